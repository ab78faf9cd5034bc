//! `archivectl verify`: proves that the archive is what it was, byte by byte and event by event.

use std::collections::BTreeMap;
use std::path::PathBuf;

use recording_archiver::domain::recording::ConversationId;
use recording_archiver::ops::finding::{Code, Finding};
use recording_archiver::ops::span::{Axis, Span};
use recording_archiver::ops::verify::{Figures, Gone, Item, Proven, Request, Sample, Scope, Sealed, verify};
use recording_archiver::ops::{Error, Listener, Session, Verdict};

use crate::args::{self, Days, EITHER, OutsideArgs};
use crate::out::Out;
use crate::proof::Proof;
use crate::text::{BAD, DIM, GOOD, NOTE, Text};
use crate::words::{bytes, count, counted};

/// Prove that the archive is what it was: every byte, and every audit event.
///
/// Reads back each object that the audit says was stored, and compares all that the audit holds of it: bytes, size,
/// metadata, tags, content type, version, lock, storage class, encryption. Checks that each audit chain is whole and
/// that the ledger says the same. Changes nothing. Without days or conversations it looks at the whole archive, and for
/// objects and ledger records that no event names; with days of archiving for such objects alone, as finding such
/// records takes all of the ledger.
#[derive(Debug, clap::Args)]
#[command(mut_arg("from", |from| from.help(EITHER)), after_help = "\
Examples:
  # the whole archive
  archivectl verify
  # what was archived in March
  archivectl verify --from 2026-03-01 --to 2026-03-31
  # the calls of March, whenever they were archived
  archivectl verify --from 2026-03-01 --to 2026-03-31 --by call
  # the proof of March, as one JSON document that stands for itself
  archivectl verify --from 2026-03-01 --to 2026-03-31 --proof proof-2026-03.json
  # a spot check, another one each time
  archivectl verify --sample 1%
  # against what was kept outside the account
  archivectl verify --checkpoint 2026-03-31.checkpoint --key log.pub
  # one conversation
  archivectl verify c0000000-0000-4000-8000-000000000001

It needs to read only: s3:GetObject, GetObjectTagging, GetObjectRetention, GetObjectLegalHold, ListBucket and \
ListBucketVersions, dynamodb:Query and Scan, and kms:Decrypt if the bucket is encrypted with a key of yours. S3 bills two requests for each object, a listing more where there are versions, and traffic out of the \
region, so run it in the bucket's region.")]
pub(crate) struct Args {
    /// Conversations to look at, whenever they were archived.
    #[arg(value_name = "CONVERSATION", value_parser = args::conversation, conflicts_with_all = ["from", "sample"])]
    conversations: Vec<ConversationId>,
    #[command(flatten)]
    days: Days,
    /// What the days are days of: the call, or its archiving.
    #[arg(long, value_name = "DAYS", value_parser = ["call", "archived"], default_value = "archived", requires = "from")]
    by: String,
    /// All of the archive, ledger records that no event names included; the same as without days.
    #[arg(long, conflicts_with_all = ["from", "conversations"])]
    all: bool,
    /// Look only at this share of the conversations, such as 1%, and not for objects that no event names.
    #[arg(long, value_name = "N%", value_parser = args::percent)]
    sample: Option<f64>,
    /// Which sample: the same word, the same conversations. Default: a random word, which is printed.
    #[arg(long, value_name = "WORD", requires = "sample")]
    seed: Option<String>,
    /// Also write the proof into this file: one JSON document with what was looked at, each object and its hash, the
    /// findings, and the verdict. It must not be there yet.
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// How many conversations at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    #[command(flatten)]
    outside: OutsideArgs,
}

/// The variables that it cannot do without.
pub(crate) const NEEDS: &[&str] = &["S3_BUCKET_NAME", "AUDIT_TABLE_NAME", "LEDGER_TABLE_NAME"];

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let axis = if args.by == "call" {
        Axis::Call
    } else {
        Axis::Archived
    };
    let range = args.days.range(session.now())?;
    let request = Request {
        conversations: args.conversations.clone(),
        span: range.map(|range| Span { range, axis }),
        sample: args.sample.map(|share| match &args.seed {
            Some(seed) => Sample {
                share,
                seed: seed.clone(),
            },
            None => Sample::random(share),
        }),
        concurrency: args.concurrency.into(),
        outside: args.outside.read()?,
    };
    let proof = args.proof.as_deref().map(Proof::begin).transpose()?;
    let progress = out.progress("verify");
    let show = |item: Item| {
        if let Some(proof) = &proof {
            out.note_loss(proof.add(&item));
        }
        match &item {
            Item::Finding(found) => out.item(&item, || finding(found)),
            Item::Proven(object) => out.detail(&item, || proven(object)),
            Item::Gone(object) => out.detail(&item, || gone(object)),
        }
    };
    let listener = |event| progress.hear(event, show);
    let ended = verify(session, request, Listener::new(&listener)).await;
    progress.finish();
    let begun = ended.figures.conversations > 0;
    out.ended(&ended, begun, || words(&ended.figures));
    ended.end?;
    if let (Some(proof), Some(path)) = (proof, &args.proof) {
        let sha256 = proof.finish(&ended.figures)?;
        out.note(format!("proof written: {}, SHA-256 {sha256}", path.display()));
    }
    Ok(ended.figures.verdict())
}

/// Adds how many findings there are, if there are any.
pub(crate) fn with_findings(text: Text, findings: &BTreeMap<Code, u64>) -> Text {
    match findings.values().sum::<u64>() {
        0 => text,
        found => text.add(", ").style(BAD, counted(found, "finding", "findings")),
    }
}

/// Shows a finding.
pub(crate) fn finding(finding: &Finding) -> Text {
    let about = finding.about();
    let what = finding.archive_key.as_ref().unwrap_or(&about);
    let text = Text::styled(BAD, finding.code).add(format!(" {what}"));
    let text = text.line().add(format!("  {}", finding.detail));
    if finding.archive_key.is_none() || about.is_empty() {
        return text;
    }
    text.line().add("  ").style(DIM, format!("recording {about}"))
}

/// Shows an object that is as it was archived.
fn proven(object: &Proven) -> Text {
    let text = Text::styled(GOOD, "as archived").add(format!(" {}", object.archive_key));
    let text = text.line().add(format!("  SHA-256 {}", object.sha256));
    object
        .notes
        .iter()
        .fold(text, |text, note| text.line().add(format!("  {note}")))
}

/// Shows an object that ended lawfully.
fn gone(object: &Gone) -> Text {
    let ending = object.ending.as_str();
    let text = Text::styled(NOTE, ending).add(format!(" {}", object.archive_key));
    text.line().add(format!("  {}", object.detail))
}

/// Says which days were looked at.
fn days(scope: &Scope) -> Option<String> {
    let (by, from, to) = (scope.by?, scope.from?, scope.to?);
    Some(match by {
        Axis::Call => format!(
            "calls of {from} to {to} (--by call), whenever they were archived; objects and ledger records that no event names were not looked for"
        ),
        Axis::Archived => format!(
            "archived {from} to {to} (--by archived), whenever the calls were; ledger records that no event names were not \
             looked for (--all does)"
        ),
    })
}

/// Says what was held against the log.
fn against_log(log: Option<&Sealed>) -> String {
    let Some(log) = log else {
        return "no log is configured: nothing was held against a log".to_owned();
    };
    let Some(time) = log.time else {
        return format!(
            "the log {} has no checkpoint yet: nothing was held against it",
            log.origin
        );
    };
    let mut said = format!(
        "{} held by the log {}: sealed by the checkpoint of {time}, size {}",
        counted(log.sealed, "audit event is", "audit events are"),
        log.origin,
        count(log.size)
    );
    if log.young > 0 {
        said.push_str(&format!("; {} of the last hour not yet", count(log.young)));
    }
    if log.leaves > 0 {
        said.push_str(&format!(
            "; {} of it looked up in the audit",
            counted(log.leaves, "leaf", "leaves")
        ));
    }
    said.push_str(match log.kept {
        true => "; it goes on from the checkpoint that was given",
        false => "; not held against one kept outside (--checkpoint)",
    });
    said
}

fn words(figures: &Figures) -> Text {
    let mut text = Text::new(format!(
        "{} read back: {} of {} in {}, {}",
        bytes(figures.bytes),
        counted(figures.files, "file", "files"),
        counted(figures.recordings, "recording", "recordings"),
        counted(figures.conversations, "conversation", "conversations"),
        counted(figures.events, "audit event", "audit events")
    ));
    if figures.objects > 0 {
        let objects = counted(figures.objects, "object", "objects");
        text = text
            .line()
            .add(format!("{objects} in the bucket looked up in the audit"));
    }
    if let Some(days) = figures.scope.as_ref().and_then(days) {
        text = text.line().add(days);
    }
    text = text.line().add(against_log(figures.log.as_ref()));
    if figures.noted > 0 {
        text = text.line().add(format!(
            "{} with a note (-v): a lawful change, or something that was not recorded then",
            counted(figures.noted, "file", "files")
        ));
    }
    if figures.gone > 0 {
        text = text.line().add(format!(
            "{} ended (-v): after the lock, or erased, so only the audit of it is proven",
            counted(figures.gone, "file has", "files have")
        ));
        if figures.untraced > 0 {
            text = text.add(format!(
                "; {} of them without a trace of when: compare with the proofs of before",
                count(figures.untraced)
            ));
        }
    }
    if figures.unarchived > 0 {
        text = text.line().add(format!(
            "{} not archived (see archivectl reconcile): nothing is proven of them but their audit",
            counted(figures.unarchived, "recording is", "recordings are")
        ));
    }
    if figures.erased > 0 {
        text = text.line().add(format!(
            "{} erased on purpose (archivectl audit CONVERSATION says by whom and why)",
            counted(figures.erased, "recording was", "recordings were")
        ));
    }
    if let Some(sample) = &figures.sample {
        text = text.line().add(format!(
            "a sample of {}%: {} conversations were left out; --seed {} chooses the same again",
            sample.share * 100.0,
            count(sample.left_out),
            sample.seed
        ));
    }
    for (code, times) in &figures.findings {
        text = text.line().style(BAD, format!("{times:>6}  {code}"));
        text = text.line().add(format!("        {}", code.remedy()));
    }
    verdict(text, figures)
}

/// Adds what the verification comes to.
fn verdict(text: Text, figures: &Figures) -> Text {
    if !figures.finished {
        return text
            .line()
            .style(BAD, "not finished")
            .add(": what is not counted here was not looked at");
    }
    match figures.verdict() {
        Verdict::Clean => text.line().add(format!(
            "{} as archived, to the byte",
            counted(figures.proven, "file is", "files are")
        )),
        Verdict::Findings => text,
        Verdict::Nothing => text
            .line()
            .style(NOTE, "there was nothing to verify")
            .add(": no file is archived there, so nothing is proven"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use recording_archiver::ops::finding::Code;
    use recording_archiver::ops::verify::Sampled;

    use super::*;

    fn found(code: Code, archive_key: Option<&str>) -> Finding {
        Finding {
            code,
            interaction_id: Some("c0000000-0000-4000-8000-000000000001".to_owned()),
            recording_id: Some("e0000000-0000-4000-8000-000000000101".to_owned()),
            archive_key: archive_key.map(str::to_owned),
            detail: "SHA-256 of its 3 bytes is ab; archived was cd".to_owned(),
        }
    }

    #[test]
    fn a_finding_names_the_object_or_the_recording() {
        let object = finding(&found(Code::ObjectChanged, Some("s3://calls/a.wav")));
        let recording = finding(&found(Code::AuditBroken, None));
        insta::assert_snapshot!(object.lines(&recording).plain());
    }

    #[test]
    fn the_summary_says_what_was_looked_at_and_what_to_do() {
        let clean = Figures {
            conversations: 1_234,
            recordings: 1_500,
            files: 1_501,
            bytes: 123_456_789,
            events: 6_004,
            proven: 1_501,
            noted: 2,
            unarchived: 3,
            objects: 1_501,
            finished: true,
            ..Figures::default()
        };
        let sampled = Figures {
            sample: Some(Sampled {
                share: 0.01,
                seed: "2026-03-01".to_owned(),
                left_out: 99,
            }),
            findings: BTreeMap::from([(Code::ObjectMissing, 2), (Code::TagDiffers, 1)]),
            finished: false,
            ..Figures::default()
        };
        insta::assert_snapshot!(words(&clean).line().lines(&words(&sampled)).plain());
    }
}
