//! How a backfill came out, in figures and in words.

use serde_json::{Value, json};

use super::estimate::Estimate;
use super::{Backfill, Findings};
use crate::Verdict;
use crate::out::{NOTE, Text};

impl Backfill<'_> {
    /// What becomes of what is not archived yet.
    pub(super) fn done(&self) -> &'static str {
        match (self.args.dry_run, self.args.local) {
            (true, _) => "to send",
            (_, true) => "done",
            _ => "sent",
        }
    }

    /// What there is to look after.
    pub(super) fn verdict(&self) -> Verdict {
        match self.findings {
            Findings {
                bad_lines: 0,
                refused: 0,
                unreadable: 0,
                ..
            } => Verdict::Clean,
            _ => Verdict::Findings,
        }
    }

    /// The last words.
    pub(super) fn summary(&self, verdict: Verdict) {
        let tally = &self.tally;
        let interrupted = verdict == Verdict::Interrupted;
        let Findings {
            bad_lines,
            duplicates,
            refused,
            unreadable,
        } = &self.findings;
        let mut value = json!({"listed": tally.listed, "unrecorded": tally.unrecorded, "filtered": tally.filtered,
                               "ongoing": tally.ongoing, "archived": tally.archived, "sent": tally.sent, "unreadable": tally.unreadable,
                               "badLines": bad_lines, "duplicates": duplicates, "refused": refused,
                               "dryRun": self.args.dry_run, "interrupted": interrupted});
        let estimate = self.args.dry_run.then(|| Estimate::new(tally, self.args.rate));
        if let Some(estimate) = &estimate {
            value["estimate"] = estimate.json();
        }
        self.out.summary(&value, || {
            let mut text = Text::new(format!("together    {}", words(&value, self.done())));
            for (count, what) in [
                (*duplicates, "lines repeat an earlier one"),
                (
                    tally.ongoing,
                    "go on: their events will bring them, or `archivectl reconcile` later",
                ),
                (*bad_lines, "bad lines: mend them and give them again"),
                (*refused, "did not work out: the same command tries them again"),
                (
                    *unreadable,
                    "entries of Genesys' lists have no id or start that can be read",
                ),
            ] {
                if count > 0 {
                    text = text.line().style(NOTE, count).add(format!(" {what}"));
                }
            }
            if interrupted {
                text = text.line().add("interrupted: the same command goes on from here");
            }
            if let Some(estimate) = &estimate {
                text = text.lines(&estimate.text());
            }
            text
        });
    }
}

/// Figures in words; those that are nothing are left out.
pub(super) fn words(figures: &Value, done: &str) -> String {
    let named = [
        ("listed", "listed"),
        ("unrecorded", "without recording"),
        ("filtered", "left out by filters"),
        ("ongoing", "going on"),
        ("archived", "archived already"),
        ("sent", done),
    ];
    let words = named.into_iter().filter_map(|(name, word)| {
        let count = figures[name].as_u64().unwrap_or_default();
        (count > 0 || matches!(name, "listed" | "sent"))
            .then(|| format!("{} {word}", indicatif::HumanCount(count)))
    });
    words.collect::<Vec<_>>().join(", ")
}
