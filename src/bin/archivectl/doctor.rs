//! `archivectl doctor`: looks at each thing that the archiver needs, and says how to mend what is not right.

use recording_archiver::ops::doctor::{Check, Figures, State, WebhookCheck, doctor};
use recording_archiver::ops::{Error, Event, Listener, Session, Verdict};

use crate::out::{BAD, DIM, GOOD, NOTE, Out, Text};

/// Check a set-up, line by line, and say how to mend what is not right.
///
/// Uses your AWS credentials, not the function's role: what is denied to you here may be granted to the function, and the
/// reverse. Reads the secret and never shows it. Writes one small object, archivectl-doctor/..., into the bucket and
/// deletes it; sends nothing to the queues, and to the webhook's receiver only with --webhook.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archivectl doctor --stack recording-archiver
  archivectl doctor --webhook     also sends a test event to the webhook's receiver

Exit code 1: there are problems. Warnings alone are no problem.
Genesys cannot be asked which divisions the OAuth client may see: what it may not see looks like no recording at all.")]
pub(crate) struct Args {
    /// Send a signed test event to the webhook's receiver.
    #[arg(long)]
    webhook: bool,
}

/// The variables that it cannot do without.
pub(crate) const NEEDS: &[&str] = &[
    "GENESYS_SECRET_ID",
    "S3_BUCKET_NAME",
    "AUDIT_TABLE_NAME",
    "LEDGER_TABLE_NAME",
];

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let listener = |event| {
        if let Event::Item(check) = event {
            out.item(&check, || text(&check));
        }
    };
    let webhook = if args.webhook {
        WebhookCheck::TestEvent
    } else {
        WebhookCheck::Configuration
    };
    let ended = doctor(session, webhook, Listener::new(&listener)).await;
    out.summary(&ended.figures, || words(&ended.figures));
    ended.end?;
    Ok(ended.figures.verdict())
}

fn text(check: &Check) -> Text {
    let style = match check.state {
        State::Ok => GOOD,
        State::Warning => NOTE,
        State::Problem => BAD,
        State::Skipped => DIM,
    };
    let text = Text::styled(style, format!("{:<8}", check.state.as_str()));
    let text = text.add(format!(" {:<18} {}", check.check, check.detail));
    match &check.fix {
        Some(mend) => text.line().add(format!("{:28}to mend it: {mend}", "")),
        None => text,
    }
}

fn words(figures: &Figures) -> Text {
    let end = if figures.interrupted {
        "; interrupted before the rest"
    } else {
        ""
    };
    Text::new(format!(
        "ok {}, warnings {}, problems {}, not checked {}{end}",
        figures.ok, figures.warnings, figures.problems, figures.skipped
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_right_says_how_to_mend_it() {
        let check = |check, state, detail: &str, mend: Option<&str>| Check {
            check,
            state,
            detail: detail.to_owned(),
            fix: mend.map(str::to_owned),
        };
        let figures = Figures {
            ok: 1,
            warnings: 1,
            problems: 1,
            skipped: 1,
            interrupted: true,
        };
        let all = text(&check("token", State::Ok, "granted by https://login", None))
            .lines(&text(&check("clock", State::Warning, "61 s ahead", Some("NTP"))))
            .lines(&text(&check(
                "bucket",
                State::Problem,
                "there is no bucket x",
                Some("check it"),
            )))
            .lines(&text(&check(
                "webhook",
                State::Skipped,
                "not checked: secret is not right",
                None,
            )))
            .lines(&words(&figures));
        insta::assert_snapshot!(all.plain());
    }
}
