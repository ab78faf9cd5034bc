//! `archivectl doctor`: looks at each thing that the archiver needs, and says how to fix what is not right.

use recording_archiver::ops::doctor::{Check, Figures, Policy, State, WebhookCheck, doctor};
use recording_archiver::ops::{Error, Event, Listener, Session, Verdict};

use crate::out::Out;
use crate::text::{BAD, DIM, GOOD, NOTE, Text};

/// Check a set-up, line by line, and say how to fix what is not right.
///
/// Uses your AWS credentials, not the function's role: what is denied to you here may be granted to the function, and
/// the reverse. Reads the secret and never shows it. Writes one small object, archivectl-doctor/..., into the bucket
/// and deletes it; sends nothing to the queues, and to the webhook's receiver only with --webhook.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archivectl doctor --stack recording-archiver
  # also sends a test event to the webhook's receiver
  archivectl doctor --webhook
  # also proves that the bucket refuses what could replace an object
  archivectl doctor --probe

Exit code 1: there are problems. Warnings alone are no problem.
Genesys cannot be asked which divisions the OAuth client may see: what it may not see looks like no recording at all.")]
pub(crate) struct Args {
    /// Send a signed test event to the webhook's receiver.
    #[arg(long)]
    webhook: bool,
    /// Also send a put that the bucket's policy has to refuse. Its checksum is wrong, so that S3 never stores it.
    #[arg(long)]
    probe: bool,
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
            out.item(&check, || text(&check, out.is_verbose()));
        }
    };
    let webhook = if args.webhook {
        WebhookCheck::TestEvent
    } else {
        WebhookCheck::Configuration
    };
    let policy = if args.probe { Policy::Probe } else { Policy::Read };
    let ended = doctor(session, webhook, policy, Listener::new(&listener)).await;
    out.summary(&ended.figures, || words(&ended.figures));
    ended.end?;
    Ok(ended.figures.verdict())
}

fn text(check: &Check, verbose: bool) -> Text {
    let style = match check.state {
        State::Ok => GOOD,
        State::Warning => NOTE,
        State::Problem => BAD,
        State::Skipped => DIM,
    };
    let detail = check.brief.as_ref().filter(|_| !verbose);
    let text = Text::styled(style, format!("{:<8}", check.state.as_str()))
        .add(format!(" {:<18} ", check.check))
        .hang()
        .add(detail.unwrap_or(&check.detail));
    match &check.fix {
        Some(fix) => text
            .line()
            .add(format!("{:28}", ""))
            .hang()
            .add(format!("fix: {fix}")),
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
    fn what_is_not_right_says_how_to_fix_it() {
        let check = |check, state, detail: &str, mend: Option<&str>| Check {
            check,
            state,
            detail: detail.to_owned(),
            brief: None,
            fix: mend.map(str::to_owned),
        };
        let figures = Figures {
            ok: 1,
            warnings: 1,
            problems: 1,
            skipped: 1,
            interrupted: true,
        };
        let problem = check(
            "bucket",
            State::Problem,
            "looking for the bucket calls failed (check the name in the configuration): NoSuchBucket: there is none",
            Some("check S3_BUCKET_NAME and AWS_REGION; grant s3:ListBucket"),
        );
        let skipped = check(
            "webhook",
            State::Skipped,
            "not checked: secret is not right",
            None,
        );
        let limits = Check {
            brief: Some("300 requests a minute".to_owned()),
            ..check("limits", State::Ok, "platform.api: a 300, b 7", None)
        };
        let all = text(
            &check("token", State::Ok, "granted by https://login", None),
            false,
        )
        .lines(&text(
            &check("clock", State::Warning, "61 s ahead", Some("NTP")),
            false,
        ))
        .lines(&text(&problem, false))
        .lines(&text(&skipped, false))
        .lines(&text(&limits, false))
        .lines(&text(&limits, true))
        .lines(&words(&figures));
        insta::assert_snapshot!(all.plain_at(80));
    }
}
