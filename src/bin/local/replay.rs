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
use super::sealing::Sealing;

/// The state of the folder before the run.
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

/// The results of all events together.
#[derive(Default)]
struct Total {
    events: usize,
    /// Events whose names promise nothing.
    unpromised: usize,
    /// Size of each archived file.
    files: BTreeMap<PathBuf, u64>,
    /// The conversation whose evidence is shown as an example, and its file.
    example: Option<(String, PathBuf)>,
    broken: Vec<String>,
}

/// An event, read from its file.
#[derive(Debug)]
pub(crate) struct Event {
    /// The file's name up to its first dot.
    story: String,
    /// The outcomes that the file's name promises, if it does.
    promised: Option<BTreeSet<String>>,
    payload: Value,
}

/// Reads the files of events. The error names the file, and what it is instead.
pub(crate) fn read(paths: &[PathBuf]) -> std::result::Result<Vec<Event>, String> {
    paths.iter().map(|path| read_one(path)).collect()
}

fn read_one(path: &Path) -> std::result::Result<Event, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let payload: Value =
        serde_json::from_str(&text).map_err(|error| format!("{shown} is not JSON: {error}"))?;
    if is_environment(&payload) {
        return Err(format!(
            "{shown} is no event: it is the environment of a container (sam local invoke --env-vars)"
        ));
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    Ok(Event {
        story: stem.split('.').next().unwrap_or_default().to_owned(),
        promised: promise(path),
        payload,
    })
}

/// Tells the file of variables that SAM gives to a container: for each function an object of texts.
/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-using-invoke.html>
fn is_environment(payload: &Value) -> bool {
    let texts = |value: &Value| {
        let variables = value.as_object();
        variables.is_some_and(|variables| !variables.is_empty() && variables.values().all(Value::is_string))
    };
    let functions = payload.as_object();
    functions.is_some_and(|functions| !functions.is_empty() && functions.values().all(texts))
}

/// Replays `events` in order. Returns whether each kept its promise and all evidence agrees.
pub(crate) async fn run(world: &World, screen: &Screen, events: Vec<Event>, ground: Ground) -> Result<bool> {
    let stage = Stage {
        world,
        screen,
        function: Function::new(world)?,
        ground,
    };
    screen.line(
        "Genesys, S3, DynamoDB, SQS, Secrets Manager and a webhook receiver are simulated\n\
         in this process. What came of each event (✓: what its file name promises; ·: no\n\
         promise in its name; case: handed to people; refused: answered with an error):\n",
    )?;
    let mut total = Total {
        events: events.len(),
        ..Total::default()
    };
    for event in events {
        stage.replay(event, &mut total).await?;
    }
    let sealed = conclude(world, screen, &total).await?;
    Ok(sealed && total.broken.is_empty())
}

/// Everything that an event is replayed with.
struct Stage<'a> {
    world: &'a World,
    screen: &'a Screen,
    function: Function,
    ground: Ground,
}

impl Stage<'_> {
    async fn replay(&self, event: Event, total: &mut Total) -> Result<()> {
        let Self {
            world,
            screen,
            function,
            ground,
        } = self;
        let Event {
            story,
            promised,
            payload,
        } = event;
        screen.progress(&story)?;
        let known = world.aws.messages(&world.exception_queue).len();
        let begun = Instant::now();
        let ran = function.invoke(world, &story, payload).await?;
        let took = begun.elapsed().as_millis();
        let outcomes = ran.outcomes();
        let cases = evidence::cases(world, known);
        let words = words(&outcomes, &ran, &cases);
        let broken = promised
            .as_ref()
            .filter(|promised| !kept(promised, &outcomes, *ground));
        let mark = match (&promised, broken) {
            (None, _) => "·",
            (Some(_), broken) => screen.mark(broken.is_none()),
        };
        screen.line(format!("{mark} {story:<45}  {words}"))?;
        if let Some(promised) = broken {
            let [promised, outcomes] =
                [promised, &outcomes].map(|set| joined(set.iter().map(String::as_str)));
            let came_to = format!("promised {promised}, came to {outcomes}");
            screen.line(format!("    because  {came_to}"))?;
            total.broken.push(format!("{story}: {came_to}"));
        }
        let evidence = evidence::of_invocation(world, &ran.lines, ran.answer.as_ref().ok()).await?;
        if screen.verbose || broken.is_some() {
            details(screen, &ran, &cases, &evidence)?;
            screen.line(format!("    took     {took} ms"))?;
        }
        total.unpromised += usize::from(promised.is_none());
        total
            .broken
            .extend(evidence.broken.iter().map(|what| format!("{story}: {what}")));
        for file in evidence.files {
            if total.example.is_none() && file.path.extension().is_none_or(|end| end != "json") {
                total.example = Some((file.conversation, file.path.clone()));
            }
            total.files.insert(file.path, file.bytes);
        }
        Ok(())
    }
}

/// Returns the outcomes in the words of a reader, with the codes of what failed.
fn words(outcomes: &BTreeSet<String>, ran: &Ran, cases: &[Value]) -> String {
    let codes: BTreeSet<_> = cases.iter().filter_map(|case| case["code"].as_str()).collect();
    let word = |outcome: &str| match (outcome, &ran.answer) {
        ("already_archived", _) => "already archived".to_owned(),
        ("failed", Err((code, _))) => format!("refused: {code}"),
        ("expired", Ok(_)) => "case: expired".to_owned(),
        ("failed", Ok(_)) => format!("case: {}", joined(codes.iter().copied())),
        (other, _) => other.to_owned(),
    };
    let (first, rest): (Vec<_>, Vec<_>) = outcomes.iter().partition(|outcome| *outcome == "archived");
    let words = first.into_iter().chain(rest).map(|outcome| word(outcome));
    words.collect::<Vec<_>>().join(", ")
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" and ")
}

fn details(screen: &Screen, ran: &Ran, cases: &[Value], evidence: &Evidence) -> Result<()> {
    if let Err((code, text)) = &ran.answer {
        screen.line(format!("    error    answered with {code}: {text}"))?;
    }
    for case in cases {
        let text = |name: &str| case[name].as_str().unwrap_or_default();
        screen.line(format!("    case     {}: {}", text("code"), text("error")))?;
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

/// Shows what all events came to, and what is sealed of it. Returns whether each audit event is.
async fn conclude(world: &World, screen: &Screen, total: &Total) -> Result<bool> {
    let cases = world.aws.messages(&world.exception_queue).len();
    screen.line(format!(
        "\n{}: {} archived ({}), {} sent,\n{} for people, {} waiting in the work queue.",
        count(total.events, "event"),
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
        return Ok(false);
    }
    match total.unpromised {
        0 => screen.line("Every event came to what its name promises.")?,
        unpromised if unpromised == total.events => {}
        _ => screen.line("Every event whose name promises something came to that.")?,
    }
    let sealed = Sealing::new(world).await?.conclude(world, screen).await?;
    if let Some((conversation, path)) = &total.example {
        screen.line("The SHA-256 of each file, computed again, is the one in ledger, audit, tag and")?;
        screen.line("webhook (-v shows it).")?;
        screen.line(format!("\nplay a call   {}", shown(path)))?;
        screen.line("go on         cargo local -- serve")?;
        let audit = format!("(eval \"$(cargo local -- env)\"; cargo archivectl audit {conversation})");
        screen.line(format!("its evidence  {audit}  # beside serve"))?;
    }
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(outcomes: &str) -> BTreeSet<String> {
        outcomes.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_file_that_is_no_event_is_named_before_anything_starts() {
        let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
        let refused = |name: &str| read(&[events.join(name)]).unwrap_err();
        assert!(refused("local-env.json").contains("local-env.json is no event: it is the environment"));
        assert!(refused("README.md").contains("README.md is not JSON"));
        assert!(refused("nothing.json").contains("nothing.json cannot be read"));
        let read = read(&[events.join("12-direct-job.archived.json")]).unwrap();
        assert_eq!(
            (read[0].story.as_str(), &read[0].promised),
            ("12-direct-job", &Some(set("archived")))
        );
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
