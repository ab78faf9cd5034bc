//! `archivectl verify`: proves that the archive is what it was, byte by byte and event by event.

mod check;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use recording_archiver::archive::recording::ConversationId;
use recording_archiver::error::Error;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::days::{Days, Range};
use crate::finding::{Code, Finding};
use crate::out::{BAD, Out, Progress, Text};
use crate::scan::{self, Scan};
use crate::session::{self, Session};
use crate::{Failure, Verdict};
use check::{Checked, Checker};

/// Prove that the archive is what it was: every byte, and every audit event.
///
/// Reads each archived object back, recomputes its SHA-256 and size, and compares them with ledger, audit and tag; checks
/// that the audit chain is whole and ends where the ledger says; and looks for objects that no record names. Changes
/// nothing. Without arguments it looks at the whole archive.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archivectl verify                                          the whole archive
  archivectl verify --from 2026-03-01 --to 2026-03-31        what was archived in March
  archivectl verify --sample 1%                              a spot check, another one each day
  archivectl verify c0000000-0000-4000-8000-000000000001     one conversation

It needs to read only: s3:GetObject, s3:GetObjectTagging, s3:ListBucket, dynamodb:Query and dynamodb:Scan, and \
kms:Decrypt if the bucket is encrypted with a key of yours. S3 bills a request for each object and traffic out of the \
region, so run it in the bucket's region.")]
pub(crate) struct Args {
    /// Conversations to look at, whenever they were archived.
    #[arg(value_name = "CONVERSATION", value_parser = session::conversation, conflicts_with_all = ["from", "sample"])]
    conversations: Vec<ConversationId>,
    #[command(flatten)]
    days: Days,
    /// Look only at this share of the conversations, such as 1%, and not for objects that no record names.
    #[arg(long, value_name = "N%", value_parser = percent)]
    sample: Option<f64>,
    /// Which sample: the same word, the same conversations. Default: today's date.
    #[arg(long, value_name = "WORD", requires = "sample")]
    seed: Option<String>,
    /// How many conversations at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>();
    let number = number.ok().filter(|number| *number > 0.0 && *number <= 100.0);
    number
        .map(|number| number / 100.0)
        .ok_or_else(|| "accepted: more than 0% and at most 100%".to_owned())
}

pub(crate) async fn run(args: &Args, session: &Session, out: Out) -> Result<Verdict, Failure> {
    let range = args.days.range(session.clock.now())?;
    let checker = Arc::new(Checker {
        ledger: session.ledger(),
        storage: session.storage(),
        range,
    });
    let today = session.clock.now().strftime("%Y-%m-%d").to_string();
    let mut verification = Verification {
        session,
        out,
        concurrency: args.concurrency.into(),
        progress: out.progress("verify", None),
        sample: args.sample.map(|share| Sample {
            share,
            seed: args.seed.clone().unwrap_or(today),
        }),
        left_out: 0,
        total: Checked::default(),
        by_code: BTreeMap::new(),
    };
    let ended = verification.all(&args.conversations, &checker).await;
    verification.progress.finish();
    let interrupted = session.is_interrupted();
    verification.summary(interrupted || ended.is_err());
    ended?;
    Ok(match interrupted {
        true => Verdict::Interrupted,
        false if verification.by_code.is_empty() => Verdict::Clean,
        false => Verdict::Findings,
    })
}

/// A share of all conversations, chosen by chance and always the same for the same word.
#[derive(Debug)]
struct Sample {
    share: f64,
    seed: String,
}

impl Sample {
    fn holds(&self, conversation: &str) -> bool {
        let digest = Sha256::digest(format!("{} {conversation}", self.seed));
        let number = digest
            .iter()
            .take(4)
            .fold(0, |number, byte| number << 8 | u32::from(*byte));
        f64::from(number) < self.share * (f64::from(u32::MAX) + 1.0)
    }
}

struct Verification<'a> {
    session: &'a Session,
    out: Out,
    concurrency: usize,
    progress: Progress,
    sample: Option<Sample>,
    /// Conversations that are not in the sample.
    left_out: u64,
    total: Checked,
    by_code: BTreeMap<Code, u64>,
}

impl Verification<'_> {
    async fn all(&mut self, named: &[ConversationId], checker: &Arc<Checker>) -> Result<(), Failure> {
        if !named.is_empty() {
            return self.conversations(named.to_vec(), checker).await;
        }
        let mut scan = Scan::new(&checker.ledger, checker.range.map(Range::start));
        while !self.session.is_interrupted()
            && let Some(page) = scan.next(|record| checker.wants(record)).await?
        {
            for keys in page.unreadable {
                self.tell(&Finding::unreadable(keys));
            }
            let mut ids = page.ids;
            if let Some(sample) = &self.sample {
                let all = ids.len();
                ids.retain(|id| sample.holds(&id.to_string()));
                self.left_out += (all - ids.len()) as u64;
            }
            self.conversations(ids, checker).await?;
        }
        if self.sample.is_none() && !self.session.is_interrupted() {
            self.objects(checker).await?;
        }
        Ok(())
    }

    async fn conversations(
        &mut self,
        ids: Vec<ConversationId>,
        checker: &Arc<Checker>,
    ) -> Result<(), Failure> {
        self.each(ids, |id| {
            let checker = checker.clone();
            async move { checker.conversation(id).await }
        })
        .await
    }

    /// Looks for objects that no record names.
    async fn objects(&mut self, checker: &Arc<Checker>) -> Result<(), Failure> {
        let prefix = self.session.config.storage.key_template.prefix();
        let mut from = None;
        loop {
            let page = checker.storage.list(prefix, from).await?;
            let wanted = |written: Option<Timestamp>| {
                checker
                    .range
                    .is_none_or(|range| written.is_none_or(|written| range.holds(written)))
            };
            let keys = page.objects.into_iter().filter(|(_, written)| wanted(*written));
            self.each(keys.map(|(key, _)| key).collect(), |key: String| {
                let checker = checker.clone();
                async move { checker.recorded(&key).await }
            })
            .await?;
            from = page.next;
            if from.is_none() || self.session.is_interrupted() {
                return Ok(());
            }
        }
    }

    async fn each<T, F>(&mut self, items: Vec<T>, work: impl Fn(T) -> F) -> Result<(), Failure>
    where
        F: Future<Output = Result<Checked, Error>> + Send + 'static,
    {
        let (session, concurrency) = (self.session, self.concurrency);
        scan::each(session, concurrency, items, work, |checked| {
            for finding in self.total.add(checked) {
                self.tell(&finding);
            }
            self.progress.advance(1);
            let read = indicatif::HumanBytes(self.total.bytes);
            self.progress.message(format!("{read} read"));
        })
        .await
    }

    fn tell(&mut self, finding: &Finding) {
        *self.by_code.entry(finding.code).or_default() += 1;
        self.progress
            .suspend(|| self.out.item(&finding.json(), || finding.text()));
    }

    fn summary(&self, unfinished: bool) {
        let total = &self.total;
        let counts = self
            .by_code
            .iter()
            .map(|(code, count)| (code.to_string(), json!(count)));
        let sample = self
            .sample
            .as_ref()
            .map(|sample| json!({"share": sample.share, "seed": sample.seed, "leftOut": self.left_out}));
        let value = json!({"conversations": total.conversations, "recordings": total.recordings, "files": total.files,
                           "bytes": total.bytes, "events": total.events, "unarchived": total.unarchived,
                           "objects": total.objects, "sample": sample, "findings": Value::Object(counts.collect()),
                           "finished": !unfinished});
        self.out.summary(&value, || self.words(unfinished));
    }

    fn words(&self, unfinished: bool) -> Text {
        let total = &self.total;
        let count = |number| indicatif::HumanCount(number).to_string();
        let mut text = Text::new(format!(
            "{} read back: {} files of {} recordings in {} conversations, {} audit events",
            indicatif::HumanBytes(total.bytes),
            count(total.files),
            count(total.recordings),
            count(total.conversations),
            count(total.events)
        ));
        if total.objects > 0 {
            let objects = count(total.objects);
            text = text
                .line()
                .add(format!("{objects} objects in the bucket looked up in the ledger"));
        }
        if total.unarchived > 0 {
            text = text.line().add(format!(
                "{} recordings are not archived (see archivectl reconcile); their audit was checked",
                count(total.unarchived)
            ));
        }
        if let Some(sample) = &self.sample {
            text = text.line().add(format!(
                "a sample of {}%: {} conversations were left out; --seed {} chooses the same again",
                sample.share * 100.0,
                count(self.left_out),
                sample.seed
            ));
        }
        for (code, count) in &self.by_code {
            text = text.line().style(BAD, format!("{count:>6}  {code}"));
            text = text.line().add(format!("        {}", code.remedy()));
        }
        if unfinished {
            text.line()
                .style(BAD, "not finished")
                .add(": what is not counted here was not looked at")
        } else if self.by_code.is_empty() {
            text.line().add("all of it is as it was archived")
        } else {
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_holds_about_its_share_and_always_the_same() {
        let sample = |seed: &str| Sample {
            share: 0.1,
            seed: seed.to_owned(),
        };
        let chosen = |sample: &Sample| {
            (0..10_000)
                .filter(|id| sample.holds(&id.to_string()))
                .collect::<Vec<_>>()
        };
        let (march, again, april) = (
            chosen(&sample("march")),
            chosen(&sample("march")),
            chosen(&sample("april")),
        );
        assert!((850..1_150).contains(&march.len()), "{}", march.len());
        assert_eq!(march, again);
        assert_ne!(march, april);
    }
}
