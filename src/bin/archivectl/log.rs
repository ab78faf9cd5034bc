//! `archivectl log`: the transparency log, shown, verified, as the proof of one event, and completed by an import.

use std::path::PathBuf;

use recording_archiver::ops::finding::Finding;
use recording_archiver::ops::log::{self, Figures, Gap, Import, Named, Proof, Proved, Shown};
use recording_archiver::ops::{Error, Kind, Listener, Session, Verdict, files};

use crate::args::{KeyArg, OutsideArgs};
use crate::out::Out;
use crate::text::{BAD, DIM, GOOD, NOTE, Text};
use crate::verify::finding;
use crate::words::{Zone, counted, duration};

/// Show and verify the transparency log, in which every audit event is a leaf that nobody can take back.
///
/// The log is a Merkle tree in a bucket of its own; its checkpoints are signed. A checkpoint that you keep outside the
/// account proves later that nothing before it was changed, whoever has every right in the account.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  # what it is, and whether the sealer runs
  archivectl log show
  # the newest checkpoint, to be kept outside
  archivectl log show --checkpoint > 2026-03-31.checkpoint
  # all of it, against a checkpoint and a key that were kept outside
  archivectl log verify --checkpoint 2026-03-31.checkpoint --key log.pub
  # the proof of one event, for somebody without this program
  archivectl log prove CONVERSATION RECORDING 3 --out event.tlog-proof
  # events that are older than the log, and those of a time in which the sealer did not run for more than 24 hours
  archivectl log import

It needs SEAL_BUCKET_NAME, SEAL_ORIGIN and SEAL_KEY_ID (or --stack), s3:GetObject, ListBucket and ListBucketVersions on \
the log's bucket, and kms:GetPublicKey, or the key as a file (--key). An import needs SEALER_FUNCTION_NAME (or --stack) and \
lambda:InvokeFunction instead.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Show(Show),
    Verify(Verify),
    Prove(Prove),
    Import(ImportArgs),
}

/// Show what the log is: its name, its key, its newest checkpoint, and what waits for the next one.
///
/// Exit code 3: it has no checkpoint yet.
#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    key: KeyArg,
    /// Print the newest checkpoint alone, to be kept outside the account.
    #[arg(long, conflicts_with = "json")]
    checkpoint: bool,
}

/// Prove that the log is whole: each checkpoint is signed and the beginning of the newest, every batch and tile is what
/// it signed, and nothing was written again, deleted, or put there by somebody else.
///
/// Reads all of the log: about 70 bytes for each event. Changes nothing.
#[derive(Debug, clap::Args)]
struct Verify {
    #[command(flatten)]
    outside: OutsideArgs,
}

/// Prove that the log holds an event: prints a C2SP tlog-proof (its leaf, the hashes up to the root, the checkpoint).
///
/// The event is the one with this number in the chain of a recording (RECORDING is `-` for the conversation as a
/// whole), as `archivectl audit CONVERSATION` lists them; or the one with this eventHash. Exit code 1: the log does not
/// hold it.
#[derive(Debug, clap::Args)]
struct Prove {
    /// CONVERSATION RECORDING NUMBER, or EVENTHASH.
    #[arg(value_name = "EVENT", num_args = 1..=3, required = true)]
    event: Vec<String>,
    #[command(flatten)]
    key: KeyArg,
    /// Write the proof into this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Seal the audit events that the sealer never saw: those older than the log, and those of a time in which it did not
/// run for more than 24 hours.
///
/// Invokes the sealer until it has looked at all of the audit table, and has it sign a checkpoint. Seals no event
/// twice, so that it can be run at any time, and again after an interruption.
#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// Go on where an import was interrupted, which printed this; without it, all of the table is read.
    #[arg(long, value_name = "NEXT")]
    from: Option<String>,
}

impl Args {
    /// Returns the variables that it cannot do without.
    pub(crate) fn needs(&self) -> &'static [&'static str] {
        match self.command {
            Command::Show(_) | Command::Verify(_) | Command::Import(_) => &[],
            Command::Prove(_) => &["AUDIT_TABLE_NAME"],
        }
    }
}

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    match &args.command {
        Command::Show(args) => show(args, session, out).await,
        Command::Verify(args) => verify(args, session, out).await,
        Command::Prove(args) => prove(args, session, out).await,
        Command::Import(args) => import(args, session, out).await,
    }
}

async fn show(args: &Show, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let outside = args.key.read()?;
    let shown = log::show(session, &outside).await?;
    for found in &shown.findings {
        out.item(found, || finding(found));
    }
    match &shown.checkpoint {
        Some(checkpoint) if args.checkpoint => out.raw(checkpoint.as_bytes()),
        None if args.checkpoint => out.note("the log has no checkpoint yet".to_owned()),
        _ => out.summary(&shown, || shown_text(&shown, out.zone())),
    }
    Ok(shown.verdict())
}

fn shown_text(shown: &Shown, zone: &Zone) -> Text {
    let mut lines = vec![
        ("log", shown.origin.clone()),
        ("key", shown.verifier_key.clone()),
        ("bucket", shown.bucket.clone()),
    ];
    if let (Some(size), Some(root), Some(newest)) = (shown.size, &shown.root, shown.newest) {
        let age = u64::try_from(shown.age_seconds.unwrap_or_default()).unwrap_or_default();
        lines.push((
            "newest",
            format!("{}, {} ago", zone.second(newest), duration(age * 1_000)),
        ));
        lines.push(("size", counted(size, "leaf", "leaves")));
        lines.push(("root", root.clone()));
        let since = shown
            .first
            .map(|first| format!(", the first of {}", zone.second(first)));
        let checkpoints = counted(shown.checkpoints, "checkpoint", "checkpoints");
        lines.push(("signed", checkpoints + &since.unwrap_or_default()));
    } else {
        lines.push(("newest", "no checkpoint yet".to_owned()));
    }
    let waiting = counted(shown.waiting, "batch", "batches");
    lines.push(("waiting", format!("{waiting} for the next checkpoint")));
    let line =
        |(name, value): (&str, String)| Text::styled(DIM, format!("{name:<8}")).add(format!(" {value}"));
    let mut lines = lines.into_iter().map(line);
    let first = lines.next().unwrap_or_else(|| Text::new(String::new()));
    lines.fold(first, |text, next| text.lines(&next))
}

async fn verify(args: &Verify, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let outside = args.outside.read()?;
    let progress = out.progress("log verify");
    let listener = |event| progress.hear(event, |found: Finding| out.item(&found, || finding(&found)));
    let ended = log::verify(session, &outside, Listener::new(&listener)).await;
    progress.finish();
    let begun = !ended.figures.origin.is_empty();
    out.ended(&ended, begun, || words(&ended.figures, out.zone()));
    ended.end?;
    Ok(ended.figures.verdict())
}

fn words(figures: &Figures, zone: &Zone) -> Text {
    let mut text = Text::new(format!(
        "{}: {} signed by {}, held against {}, {}, {}",
        figures.origin,
        counted(figures.size, "leaf", "leaves"),
        counted(figures.checkpoints, "checkpoint", "checkpoints"),
        counted(figures.batches, "batch", "batches"),
        counted(figures.tiles, "tile", "tiles"),
        counted(figures.records, "record", "records"),
    ));
    if figures.waiting > 0 {
        let waiting = counted(figures.waiting, "leaf", "leaves");
        text = text.line().add(format!("{waiting} more for the next checkpoint"));
    }
    if figures.timestamps > 0 {
        let stamps = counted(figures.timestamps, "time-stamp was", "time-stamps were");
        text = text.line().add(format!(
            "{stamps} held against the checkpoint's hash; the authority's signature was not checked: openssl ts -verify \
             does it (docs/evidence.md)"
        ));
    }
    for gap in &figures.gaps {
        text = text.line().style(NOTE, gap_text(gap, zone));
    }
    for (code, times) in &figures.findings {
        text = text.line().style(BAD, format!("{times:>6}  {code}"));
        text = text.line().add(format!("        {}", code.remedy()));
    }
    if !figures.finished {
        return text
            .line()
            .style(BAD, "not finished")
            .add(": what is not counted here was not looked at");
    }
    let Some(newest) = figures.newest else {
        return match figures.verdict() {
            Verdict::Findings => text,
            Verdict::Clean | Verdict::Nothing => text
                .line()
                .style(NOTE, "there was nothing to verify")
                .add(": the log has no checkpoint yet, so nothing is proven"),
        };
    };
    let kept = match figures.kept {
        true => ", and goes on from the checkpoint that was given",
        false => "; only a checkpoint kept outside (--checkpoint) shows whether all of it was replaced",
    };
    match figures.verdict() {
        Verdict::Clean => text.line().style(GOOD, "whole").add(format!(
            ": the log is what its checkpoint of {} signed{kept}",
            zone.second(newest)
        )),
        Verdict::Findings | Verdict::Nothing => text,
    }
}

fn gap_text(gap: &Gap, zone: &Zone) -> String {
    let from = zone.second(gap.from);
    match gap.to {
        Some(to) => format!(
            "no checkpoint for more than an hour: {from} to {}",
            zone.second(to)
        ),
        None => format!("no checkpoint for more than an hour: none since {from}; does the sealer run?"),
    }
}

async fn import(args: &ImportArgs, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let progress = out.progress("log import");
    let listener = |event| progress.hear(event, |()| {});
    let ended = log::import(session, args.from.clone(), Listener::new(&listener)).await;
    progress.finish();
    out.ended(&ended, ended.figures.invocations > 0, || imported(&ended.figures));
    ended.end?;
    Ok(ended.figures.verdict())
}

fn imported(figures: &Import) -> Text {
    let mut text = Text::new(format!(
        "{}: {} of the audit, {} older than the log, {} sealed late, {} sealed before",
        figures.function,
        counted(figures.seen, "item", "items"),
        counted(figures.imported, "event", "events"),
        figures.sealed_late,
        figures.already,
    ));
    if figures.refused > 0 {
        let refused = counted(figures.refused, "item is", "items are");
        text = text.line().style(BAD, format!("{refused} not sealed")).add(
            ": no events, or their hash is not theirs; the sealer's log names them, and archivectl verify finds them",
        );
    }
    if !figures.finished {
        text = text.line().style(BAD, "not finished");
        return match &figures.next {
            Some(next) => text.add(format!(
                ": what is sealed stays sealed; go on with archivectl log import --from {next}"
            )),
            None => text.add(": what is sealed stays sealed; run it again"),
        };
    }
    let size = figures.size.unwrap_or_default();
    text.line().style(GOOD, "sealed").add(format!(
        ": the log has {}, all signed; now prove it: archivectl log verify, then archivectl verify",
        counted(size, "leaf", "leaves")
    ))
}

async fn prove(args: &Prove, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let outside = args.key.read()?;
    let event = args.event.join(" ").parse::<Named>();
    let event = event.map_err(|wrong| {
        Error::new(Kind::Usage, wrong).remedy(
            "archivectl log prove CONVERSATION RECORDING NUMBER, as archivectl audit CONVERSATION lists them, or \
             archivectl log prove EVENTHASH",
        )
    })?;
    let proof = match log::prove(session, &event, &outside).await? {
        Proved::Sealed(proof) => proof,
        Proved::Unproven(findings) => {
            for found in &findings {
                out.item(found, || {
                    finding(found).line().add("  ").style(DIM, found.code.remedy())
                });
            }
            return Ok(Verdict::Findings);
        }
    };
    if let Some(path) = &args.out {
        let failed = |error| Error::new(Kind::File, format!("{}: {error}", path.display()));
        files::replace(path, proof.proof.as_bytes()).map_err(failed)?;
        out.note(format!("written: {}", path.display()));
    }
    if args.out.is_some() || out.is_json() {
        out.summary(&proof, || sealed(&proof, out.zone()));
    } else {
        // To be redirected into a file, so as it is: nothing of it is folded or escaped.
        out.raw(proof.proof.as_bytes());
        out.note(sealed(&proof, out.zone()));
    }
    Ok(Verdict::Clean)
}

fn sealed(proof: &Proof, zone: &Zone) -> Text {
    Text::styled(GOOD, "sealed")
        .add(format!(
            ": {} is leaf {} of {}, by the checkpoint of {}",
            proof.event_hash,
            proof.leaf,
            proof.size,
            zone.second(proof.time)
        ))
        .line()
        .add(format!(
            "any verifier of C2SP tlog-proof checks it with the key {}; by hand: docs/evidence.md",
            proof.verifier_key
        ))
}
