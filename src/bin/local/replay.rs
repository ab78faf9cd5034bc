//! Replays events through the handler and prints what came of each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use recording_archiver::sim::World;
use serde_json::Value;

use super::evidence::{self, Evidence};
use super::folder::{Result, shown};
use super::function::{Function, Ran};
use super::screen::{Screen, count, size};

/// What the folder held before.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Ground {
    Empty,
    /// An earlier run may have archived the same.
    Trodden,
}

/// Returns the outcomes that an event's name promises: `05-story.archived-and-failed.json`.
pub(crate) fn promise(path: &Path) -> Option<BTreeSet<String>> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".json")?;
    let (_, outcomes) = stem.rsplit_once('.')?;
    Some(outcomes.split("-and-").map(str::to_owned).collect())
}

/// Returns whether `outcomes` are those promised. What an earlier run did is not done again.
fn kept(promised: &BTreeSet<String>, outcomes: &BTreeSet<String>, ground: Ground) -> bool {
    let again = |outcome: &String| match outcome.as_str() {
        "archived" => "already_archived".to_owned(),
        // The next look waits in the queue already, and further events share it.
        "settling" => "ignored".to_owned(),
        other => other.to_owned(),
    };
    promised == outcomes
        || (ground == Ground::Trodden && promised.iter().map(again).collect::<BTreeSet<_>>() == *outcomes)
}

/// What all events together came to.
#[derive(Default)]
struct Total {
    /// Size of each archived file.
    files: BTreeMap<PathBuf, u64>,
    /// The conversation whose evidence is shown as an example, and its file.
    example: Option<(String, PathBuf)>,
    broken: Vec<String>,
}

/// Replays `events` in order. Returns whether each kept its promise and all evidence agrees.
pub(crate) async fn run(world: &World, screen: &Screen, events: &[PathBuf], ground: Ground) -> Result<bool> {
    let stage = Stage {
        world,
        screen,
        function: Function::new(world)?,
        ground,
    };
    screen.line(
        "Genesys, S3, DynamoDB, SQS, Secrets Manager and a webhook receiver are simulated\n\
         in this process. What came of each event (✓: what its file name promises;\n\
         case: handed to people; refused: answered with an error):\n",
    )?;
    let mut total = Total::default();
    for path in events {
        stage.replay(path, &mut total).await?;
    }
    conclude(world, screen, events.len(), &total)?;
    Ok(total.broken.is_empty())
}

/// Everything that an event is replayed with.
struct Stage<'a> {
    world: &'a World,
    screen: &'a Screen,
    function: Function,
    ground: Ground,
}

impl Stage<'_> {
    async fn replay(&self, path: &Path, total: &mut Total) -> Result<()> {
        let Self {
            world,
            screen,
            function,
            ground,
        } = self;
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let story = name.split_once('.').map_or(name.as_str(), |(story, _)| story);
        screen.progress(story)?;
        let payload = read(path)?;
        let cases = world.aws.messages(&world.exception_queue).len();
        let begun = Instant::now();
        let ran = function.invoke(world, story, payload).await?;
        let took = begun.elapsed().as_millis();
        let outcomes = ran.outcomes();
        let promised = promise(path);
        let kept = promised
            .as_ref()
            .is_none_or(|promised| kept(promised, &outcomes, *ground));
        let words = words(&outcomes, &ran, &codes(world, cases));
        screen.line(format!("{} {story:<45}  {words}", screen.mark(kept)))?;
        if !kept {
            let promised = joined(promised.iter().flatten().map(String::as_str));
            let came_to = joined(outcomes.iter().map(String::as_str));
            total
                .broken
                .push(format!("{story}: promised {promised}, came to {came_to}"));
        }
        let evidence = evidence::of_invocation(world, &ran.lines, ran.answer.as_ref().ok()).await?;
        if screen.verbose || !kept {
            details(screen, &ran, &evidence, took)?;
        }
        total
            .broken
            .extend(evidence.broken.iter().map(|what| format!("{story}: {what}")));
        for file in evidence.files {
            if total.example.is_none() {
                total.example = Some((file.conversation, file.path.clone()));
            }
            total.files.insert(file.path, file.bytes);
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Value> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("reading {}: {error}", path.display()))?;
    let payload = serde_json::from_str(&text);
    Ok(payload.map_err(|error| format!("{} is not JSON: {error}", path.display()))?)
}

/// Returns the error codes of the exceptions after the first `known` ones.
fn codes(world: &World, known: usize) -> BTreeSet<String> {
    let cases = world.aws.messages(&world.exception_queue);
    let code = |body: &str| {
        Some(
            serde_json::from_str::<Value>(body).ok()?["code"]
                .as_str()?
                .to_owned(),
        )
    };
    cases
        .iter()
        .skip(known)
        .filter_map(|case| code(&case.body))
        .collect()
}

/// Returns the outcomes in the words of a reader, with the codes of what failed.
fn words(outcomes: &BTreeSet<String>, ran: &Ran, codes: &BTreeSet<String>) -> String {
    let word = |outcome: &str| match (outcome, &ran.answer) {
        ("already_archived", _) => "already archived".to_owned(),
        ("failed", Err((code, _))) => format!("refused: {code}"),
        ("expired", Ok(_)) => "case: expired".to_owned(),
        ("failed", Ok(_)) => format!("case: {}", joined(codes.iter().map(String::as_str))),
        (other, _) => other.to_owned(),
    };
    let (first, rest): (Vec<_>, Vec<_>) = outcomes.iter().partition(|outcome| *outcome == "archived");
    let words = first.into_iter().chain(rest).map(|outcome| word(outcome));
    words.collect::<Vec<_>>().join(", ")
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" and ")
}

fn details(screen: &Screen, ran: &Ran, evidence: &Evidence, took: u128) -> Result<()> {
    screen.line(format!("    took     {took} ms"))?;
    if let Err((code, text)) = &ran.answer {
        screen.line(format!("    error    answered with {code}: {text}"))?;
    }
    for line in &evidence.details {
        screen.line(format!("    {line}"))?;
    }
    if let Some(peak) = ran.memory {
        let text = format!(
            "    memory   the function, here a process of its own, never held more than {peak:.1} MiB"
        );
        screen.line(text)?;
    }
    Ok(())
}

fn conclude(world: &World, screen: &Screen, events: usize, total: &Total) -> Result<()> {
    let cases = world.aws.messages(&world.exception_queue).len();
    screen.line(format!(
        "\n{}: {} archived ({}), {} sent,\n{} for people, {} waiting in the work queue.",
        count(events, "event"),
        count(total.files.len(), "file"),
        size(total.files.values().sum()),
        count(world.webhook.deliveries().len(), "webhook"),
        count(cases, "case"),
        count(world.aws.depth(&world.work_queue), "job"),
    ))?;
    if screen.verbose {
        let mut requests: BTreeMap<String, usize> = BTreeMap::new();
        for exchange in world.wire.exchanges() {
            *requests.entry(format!("{:?}", exchange.service)).or_default() += 1;
        }
        let requests = requests
            .iter()
            .map(|(service, count)| format!("{service} {count}"));
        screen.line(format!("Requests: {}.", requests.collect::<Vec<_>>().join(", ")))?;
    }
    if !total.broken.is_empty() {
        screen.line(format!("\n{}:", count(total.broken.len(), "broken promise")))?;
        for line in &total.broken {
            screen.line(format!("  {line}"))?;
        }
        return Ok(());
    }
    screen.line("Every event came to what its name promises.")?;
    if let Some((conversation, path)) = &total.example {
        screen.line("The SHA-256 of each file, computed again, is the one in ledger, audit, tag and")?;
        screen.line("webhook (-v shows it).")?;
        screen.line(format!("\nplay a call   {}", shown(path)))?;
        screen.line("go on         cargo local -- serve")?;
        let audit = format!("(eval \"$(cargo local -- env)\"; cargo archivectl audit {conversation})");
        screen.line(format!("its evidence  {audit}  # beside serve"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(outcomes: &str) -> BTreeSet<String> {
        outcomes.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn only_what_was_to_be_archived_may_be_archived_already() {
        for (promised, outcomes, on_empty, on_trodden) in [
            ("archived", "archived", true, true),
            ("archived", "already_archived", false, true),
            ("archived failed", "already_archived failed", false, true),
            ("archived already_archived", "already_archived", false, true),
            ("failed", "already_archived", false, false),
            ("failed", "archived", false, false),
            ("settling", "ignored", false, true),
            ("settling", "failed", false, false),
            ("archived", "ignored", false, false),
            ("already_archived", "archived", false, false),
            ("deferred", "already_archived", false, false),
        ] {
            let (promised_set, outcomes_set) = (set(promised), set(outcomes));
            assert_eq!(
                kept(&promised_set, &outcomes_set, Ground::Empty),
                on_empty,
                "{promised} {outcomes}"
            );
            assert_eq!(
                kept(&promised_set, &outcomes_set, Ground::Trodden),
                on_trodden,
                "{promised} {outcomes}"
            );
        }
    }
}
