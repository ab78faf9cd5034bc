//! `archivectl redrive`: what ended in the exception queue or in a dead-letter queue goes back to the work queue.

use std::io::{self, IsTerminal as _, Write as _};

use clap::builder::PossibleValuesParser;
use jiff::SignedDuration;
use recording_archiver::error::ErrorKind;
use recording_archiver::ops::redrive::{Action, Figures, Filter, Item, Request, redrive, waiting};
use recording_archiver::ops::{Error, Kind, Listener, Session, Verdict};

use crate::args::span;
use crate::out::Out;
use crate::text::{BAD, DIM, Text};
use crate::words::counted;

/// Send cases and dead letters back to the work queue, once their cause is fixed.
///
/// Reads the exception queue (or the dead-letter queue, or any queue given by its URL), takes out the jobs that the
/// filters match, sends them to the work queue, and only then deletes them. Whatever does not match, or holds no job,
/// stays; so does what is gone at Genesys (expired), unless it is named.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  # what lies there, by code
  archivectl redrive --dry-run
  # after the permission was granted
  archivectl redrive --code forbidden --newer-than 2d
  # after an outage
  archivectl redrive --queue dead-letters --yes")]
pub(crate) struct Args {
    /// Where to take from: exceptions, dead-letters (WORK_DEAD_LETTER_QUEUE_URL or --stack), or a queue's URL.
    #[arg(long, default_value = "exceptions", value_name = "QUEUE")]
    queue: String,
    /// Only cases with this `code`, such as forbidden or never_ready; repeatable. Dead letters have none.
    #[arg(long = "code", value_name = "CODE", value_parser = codes(), hide_possible_values = true)]
    codes: Vec<String>,
    /// Only what was sent there less than so long ago: 90m, 12h, 2d.
    #[arg(long, value_name = "AGE", value_parser = span)]
    newer_than: Option<SignedDuration>,
    /// Only what was sent there longer ago than this.
    #[arg(long, value_name = "AGE", value_parser = span)]
    older_than: Option<SignedDuration>,
    /// Send no more than so many.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only say what would be sent.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before everything is sent that no --code narrows down. Needed where nobody can be asked.
    #[arg(long, short)]
    yes: bool,
}

/// Why Lambda gave up an asynchronous invocation
/// (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>).
const CONDITIONS: [&str; 2] = ["RetriesExhausted", "EventAgeExceeded"];

/// Accepts the code of a case.
fn codes() -> PossibleValuesParser {
    let codes = ErrorKind::ALL.map(ErrorKind::code);
    codes.into_iter().chain(CONDITIONS).into()
}

impl Args {
    /// Asks before everything is sent.
    async fn confirm(&self, session: &Session) -> Result<(), Error> {
        if self.dry_run || self.yes || !self.codes.is_empty() {
            return Ok(());
        }
        let waiting = waiting(session, &self.queue).await?;
        let about = waiting.map_or_else(
            || "all messages".to_owned(),
            |count| format!("about {}", counted(count, "message", "messages")),
        );
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            let message = format!(
                "without --code, {about} in {} would be sent back, and nobody can be asked whether that is meant",
                self.queue
            );
            return Err(Error::new(Kind::Usage, message).remedy(
                "add --yes to send them, --dry-run to see what they are, or --code to send some of them",
            ));
        }
        let _ = write!(io::stderr(), "Send back {about} of {}? [y/N] ", self.queue);
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
            Ok(())
        } else {
            Err(Error::new(Kind::Usage, "nothing was sent")
                .remedy("archivectl redrive --dry-run says what lies there"))
        }
    }
}

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    args.confirm(session).await?;
    let request = Request {
        queue: args.queue.clone(),
        filter: Filter {
            codes: args.codes.clone(),
            newer_than: args.newer_than,
            older_than: args.older_than,
        },
        limit: args.limit,
        dry_run: args.dry_run,
    };
    let progress = out.progress("redrive");
    let show = |item: Item| out.item(&item, || text(&item));
    let listener = |event| progress.hear(event, show);
    let ended = redrive(session, &request, Listener::new(&listener)).await;
    progress.finish();
    let ended = ended?;
    let figures = &ended.figures;
    let begun = figures.sent + figures.left + figures.expired + figures.unreadable + figures.refused > 0;
    out.ended(&ended, begun, || words(&ended.figures));
    ended.end?;
    Ok(ended.figures.verdict())
}

fn text(item: &Item) -> Text {
    let action = match item.action {
        Action::Sent => "sent",
        Action::WouldSend => "would send",
        Action::Refused => "refused",
        Action::Unreadable => "unreadable",
    };
    match &item.error {
        Some(why) => Text::styled(BAD, action).add(format!(" message {}: {why}", item.message_id)),
        None => Text::new(action)
            .add(format!(
                " {} ",
                item.interaction_id.as_deref().unwrap_or_default()
            ))
            .style(DIM, item.code.as_deref().unwrap_or_default()),
    }
}

fn words(figures: &Figures) -> Text {
    let done = if figures.dry_run { "would be sent" } else { "sent" };
    let mut text = Text::new(format!("{} {done}", figures.sent));
    if figures.left > 0 {
        text = text.add(format!(", {} left by the filters", figures.left));
    }
    if figures.expired > 0 {
        let command = if figures.expired == 1 {
            "sends it"
        } else {
            "sends them"
        };
        text = text.add(format!(
            ", {} expired, left (--code expired {command})",
            figures.expired
        ));
    }
    if figures.beyond_limit > 0 {
        text = text.add(format!(
            ", at least {} more beyond the limit",
            figures.beyond_limit
        ));
    }
    for (code, count) in &figures.by_code {
        text = text.line().add(format!("  {count:>6}  {code}"));
    }
    for (count, one, more) in [
        (
            figures.unreadable,
            "holds no job and stays where it is",
            "hold no job and stay where they are",
        ),
        (
            figures.refused,
            "was refused by the work queue and stays",
            "were refused by the work queue and stay",
        ),
        (
            figures.came_meanwhile,
            "came in since this began and stays: is the cause fixed?",
            "came in since this began and stay: is the cause fixed?",
        ),
    ] {
        if count > 0 {
            let what = if count == 1 { one } else { more };
            text = text.line().style(BAD, count).add(format!(" {what}"));
        }
    }
    if figures.interrupted {
        text = text.line().add("interrupted: what was not sent is still there");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_message_and_the_summary_say_what_became_of_them() {
        let item = |action, error: Option<&str>| Item {
            message_id: "m-1".to_owned(),
            action,
            code: Some("forbidden".to_owned()),
            interaction_id: Some("c0000000-0000-4000-8000-000000000001".to_owned()),
            recording_id: None,
            error: error.map(str::to_owned),
        };
        let figures = Figures {
            sent: 2,
            left: 3,
            expired: 2,
            came_meanwhile: 4,
            beyond_limit: 5,
            unreadable: 1,
            refused: 1,
            by_code: BTreeMap::from([("forbidden".to_owned(), 1), ("no code".to_owned(), 1)]),
            dry_run: false,
            interrupted: true,
        };
        let all = text(&item(Action::Sent, None))
            .lines(&text(&item(Action::WouldSend, None)))
            .lines(&text(&item(
                Action::Refused,
                Some("the work queue did not take it"),
            )))
            .lines(&text(&item(Action::Unreadable, Some("its body is not JSON"))))
            .lines(&words(&figures));
        insta::assert_snapshot!(all.plain());
    }
}
