//! Replays events through the handler and prints what came of each.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use recording_archiver::archive::Archiver;
use recording_archiver::clock::Clock;
use recording_archiver::config::Config;
use recording_archiver::sim::World;
use recording_archiver::telemetry::Lines;
use recording_archiver::trigger::handler::{Handler, Invocation};
use serde_json::Value;

use super::process::Process;
use super::{Result, evidence};

/// The outcomes that an event's name promises: `05-story.archived-and-failed.json`.
pub(crate) fn promise(path: &Path) -> Option<BTreeSet<String>> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".json")?;
    let (_, outcomes) = stem.rsplit_once('.')?;
    Some(outcomes.split("-and-").map(str::to_owned).collect())
}

/// Replays `events` in order. True if each kept its promise and all evidence agrees; `strict`: a first archiving
/// must not turn out to be done already.
pub(crate) async fn run(world: &World, events: &[PathBuf], strict: bool) -> Result<bool> {
    let function = Function::new(world)?;
    let style = Style::detect();
    let mut broken = Vec::new();
    println!(
        "Archiving against simulators of Genesys, S3, DynamoDB, SQS, Secrets Manager and a webhook's receiver,\n\
         all in this process and on loopback: {} events.\n",
        events.len()
    );
    for path in events {
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        let story = name.split_once('.').map_or(name.as_str(), |(story, _)| story);
        style.progress(story);
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("reading {}: {error}", path.display()))?;
        let payload: Value = serde_json::from_str(&text)
            .map_err(|error| format!("{} is not JSON: {error}", path.display()))?;
        let begun = Instant::now();
        let Ran {
            answer,
            lines,
            memory,
        } = function.invoke(world, story, payload).await?;
        let took = begun.elapsed().as_millis();
        let outcomes = outcomes(&lines);
        let kept = promise(path).is_none_or(|promised| {
            promised == outcomes || (!strict && outcomes == BTreeSet::from(["already_archived".to_owned()]))
        });
        let all = joined(&outcomes);
        println!("{} {story:<55} {all}  ({took} ms)", style.mark(kept));
        if !kept {
            let promised = joined(&promise(path).unwrap_or_default());
            broken.push(format!("{story}: promised {promised}, came to {all}"));
        }
        if let Err(error) = &answer {
            println!("    answered with an error  {error}");
        }
        let report = evidence::of_invocation(world, &lines, answer.as_ref().ok()).await?;
        report.lines.iter().for_each(|line| println!("{line}"));
        broken.extend(report.broken.into_iter().map(|what| format!("{story}: {what}")));
        if let Some(peak) = memory {
            println!(
                "    memory   the function, here a process of its own, never held more than {peak:.1} MB"
            );
        }
    }
    conclude(world, &broken);
    Ok(broken.is_empty())
}

fn joined(outcomes: &BTreeSet<String>) -> String {
    outcomes
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" and ")
}

/// The lines of stdout that an invocation would have written in Lambda.
type Captured = Arc<Mutex<Vec<Value>>>;

/// The function as three deployments would have it: with either API, and as a process of its own.
struct Function {
    conversations: Handler,
    interactions: Handler,
    captured: Captured,
}

/// What an invocation came to.
struct Ran {
    answer: std::result::Result<Value, String>,
    lines: Vec<Value>,
    memory: Option<f64>,
}

const REMAINING: Duration = Duration::from_secs(900);

impl Function {
    fn new(world: &World) -> Result<Self> {
        let captured = Captured::default();
        let conversations = handler(world, "conversations", &captured)?;
        let interactions = handler(world, "interactions", &captured)?;
        Ok(Self {
            conversations,
            interactions,
            captured,
        })
    }

    /// Invokes the deployment that the story is about. The long call is for a process of its own, whose memory tells.
    async fn invoke(&self, world: &World, story: &str, payload: Value) -> Result<Ran> {
        if story.contains("-long-") {
            let mut process = Process::start(world).await?;
            let (answer, lines) = process.invoke(payload, REMAINING).await?;
            let answer = answer.map_err(|error| error.to_string());
            return Ok(Ran {
                answer,
                lines,
                memory: process.peak_memory(),
            });
        }
        let handler = if story.contains("-interactions-") {
            &self.interactions
        } else {
            &self.conversations
        };
        let captured = || self.captured.lock().unwrap_or_else(PoisonError::into_inner);
        captured().clear();
        let invocation = Invocation {
            request_id: format!("local-{story}"),
            function_version: "$LATEST".to_owned(),
            remaining: REMAINING,
        };
        let answer = handler.handle(payload, &invocation).await;
        let answer = answer.map_err(|error| format!("{}: {error}", error.kind().code()));
        let lines = captured().clone();
        Ok(Ran {
            answer,
            lines,
            memory: None,
        })
    }
}

fn handler(world: &World, api: &str, captured: &Captured) -> Result<Handler> {
    let mut environment = world.environment();
    environment.insert("GENESYS_RECORDING_API", api.to_owned());
    let config = Config::from_lookup(|name| environment.get(name).cloned())?;
    let captured = captured.clone();
    let lines = Lines::new(move |line| {
        let mut captured = captured.lock().unwrap_or_else(PoisonError::into_inner);
        captured.extend(serde_json::from_str::<Value>(&line));
    });
    let archiver = Archiver::connect(config, &world.aws.sdk_config(), Clock::default(), lines.clone())?;
    Ok(Handler::new(archiver, lines))
}

/// The outcomes of an invocation, from its metrics: the one place that names them for every kind of trigger.
fn outcomes(lines: &[Value]) -> BTreeSet<String> {
    let metrics = lines.iter().filter(|line| line.get("_aws").is_some());
    metrics
        .flat_map(|line| {
            let ignored = line["EventsIgnored"]
                .as_u64()
                .is_some_and(|count| count > 0)
                .then_some("ignored");
            line["Outcome"]
                .as_str()
                .into_iter()
                .chain(ignored)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

fn conclude(world: &World, broken: &[String]) {
    let mut requests: BTreeMap<String, usize> = BTreeMap::new();
    for exchange in world.wire.exchanges() {
        *requests.entry(format!("{:?}", exchange.service)).or_default() += 1;
    }
    let requests: Vec<_> = requests
        .iter()
        .map(|(service, count)| format!("{service} {count}"))
        .collect();
    println!("\nRequests: {}", requests.join(", "));
    println!(
        "Work queue: {} deferred; exception queue: {} for people; webhook: {} delivered",
        world.aws.messages(&world.work_queue).len(),
        world.aws.messages(&world.exception_queue).len(),
        world.webhook.deliveries().len(),
    );
    if broken.is_empty() {
        println!("Every event came to what its name promises, and all evidence agrees.");
    } else {
        println!("\n{} broken:", broken.len());
        broken.iter().for_each(|line| println!("  {line}"));
    }
}

/// Colours and progress on a terminal, plain lines otherwise.
struct Style {
    terminal: bool,
    colours: bool,
}

impl Style {
    fn detect() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            terminal,
            colours: terminal && !no_color,
        }
    }

    fn progress(&self, story: &str) {
        if self.terminal {
            print!("… {story}\r");
            let _ = std::io::stdout().flush();
        }
    }

    fn mark(&self, good: bool) -> &'static str {
        match (good, self.colours) {
            (true, true) => "\x1b[32m✓\x1b[0m",
            (true, false) => "✓",
            (false, true) => "\x1b[31m✗\x1b[0m",
            (false, false) => "✗",
        }
    }
}
