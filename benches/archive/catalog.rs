//! The cost of finding calls: searches of a catalog with so many calls of one month, by each facet alone and by pairs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use recording_archiver::aws::Clients;
use recording_archiver::catalog::Catalog;
use recording_archiver::config::Config;
use recording_archiver::domain::call::{CallRecord, Extent};
use recording_archiver::domain::recording::ConversationId;
use recording_archiver::sim::aws::{ACCESS_KEY_ID, Aws, REGION, SECRET_ACCESS_KEY, Storage};
use recording_archiver::sim::wire::Wire;
use recording_archiver::sim::{CATALOG_KEY, CATALOG_SECRET, CATALOG_TABLE};
use serde_json::{Value, json};
use tokio::process::Command;

use super::table::{Row, Target};
use super::{Bench, Result, folder};

/// Calls of each agent and of each number, which are as many hits: the archive grows by having more of them.
const HITS: u64 = 1_000;
const QUEUES: u64 = 20;
const WRAPUPS: u64 = 50;
const DIVISIONS: u64 = 4;

/// Facets that have so few hits: agent and number.
const NARROW: usize = 2;

/// The most that a search may take.
const SECONDS: f64 = 1.0;
const REQUESTS: f64 = 10.0;

/// Calls whose items are put at a time, and times that are prepared.
const AT_A_TIME: u64 = 10_000;
const SIDE_BY_SIDE: usize = 2;

/// The slowest search, and the one with the most requests.
#[derive(Clone, Copy)]
struct Worst {
    millis: f64,
    requests: f64,
}

/// Searches a hundredth of the calls, then all of them.
pub(crate) async fn searches(bench: &mut Bench, all: u64) -> Result<()> {
    let few = searched(bench, all / 100).await?;
    let many = searched(bench, all).await?;
    bench.rows.extend([
        Row::new(
            format!(
                "archivectl find among {} calls, up to {HITS} hits: slowest",
                all / 100
            ),
            Target::AtMost(SECONDS * 1e3),
            few.millis,
            "ms",
        ),
        Row::new(
            format!("archivectl find among {all} calls, up to {HITS} hits: slowest"),
            Target::AtMost(SECONDS * 1e3),
            many.millis,
            "ms",
        ),
        // Of few calls, a day by hour alone takes a request for each of its hours.
        Row::new("  most requests", Target::AtMost(REQUESTS), many.requests, ""),
        Row::new(
            "  slowest by that of a hundredth of the calls",
            Target::None,
            many.millis / few.millis,
            "x",
        ),
    ]);
    Ok(())
}

async fn searched(bench: &mut Bench, calls: u64) -> Result<Worst> {
    let place = folder()?.join("catalog");
    // What an earlier run left, if it did not end.
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir_all(&place)?;
    let wire = Wire::default();
    let aws = Aws::start_with(&wire, 0, &place, Storage::Folder).await?;
    let worst = filled_and_searched(bench, &wire, &aws, calls).await;
    drop(aws);
    std::fs::remove_dir_all(&place)?;
    worst
}

/// Returns the variables of a stack with a catalog.
fn variable(name: &str) -> Option<String> {
    let value = match name {
        "GENESYS_SECRET_ID" | "S3_BUCKET_NAME" | "AUDIT_TABLE_NAME" => name.to_lowercase().replace('_', "-"),
        "LEDGER_TABLE_NAME" => "ledger".to_owned(),
        "CATALOG_TABLE_NAME" => CATALOG_TABLE.to_owned(),
        "CATALOG_KEY_SECRET_ID" => CATALOG_SECRET.to_owned(),
        _ => return None,
    };
    Some(value)
}

async fn filled_and_searched(bench: &mut Bench, wire: &Wire, aws: &Aws, calls: u64) -> Result<Worst> {
    aws.create_catalog(CATALOG_TABLE).await?;
    aws.put_secret(CATALOG_SECRET, CATALOG_KEY).await?;
    let config = Config::from_lookup(variable)?;
    let clients = Clients::new(&aws.sdk_config(), &config);
    let catalog = Catalog::connect(&clients, &config).ok_or("there is no catalog")?;
    let begun = Instant::now();
    let items = fill(Arc::new(catalog), aws, calls).await?;
    let filling = begun.elapsed().as_secs_f64();
    bench.notes.push(format!(
        "find among {calls:>9}: {items} items, put in {filling:.0} s"
    ));
    let mut worst = Worst {
        millis: 0.0,
        requests: 0.0,
    };
    for (name, wanted) in wanted(calls) {
        wire.forget();
        let begun = Instant::now();
        let hits = find(aws, &wanted).await?;
        let millis = begun.elapsed().as_secs_f64() * 1e3;
        let requests = wire.exchanges().len();
        if hits == 0 {
            return Err(format!("a search by {name} found nothing").into());
        }
        bench.notes.push(format!(
            "find among {calls:>9} by {name:<20}: {hits:>4} hits, {requests:>2} requests, {millis:>6.0} ms"
        ));
        worst.millis = worst.millis.max(millis);
        worst.requests = worst.requests.max(requests as f64);
    }
    Ok(worst)
}

/// Runs `archivectl find` from its start to its end, and returns how many recordings it printed.
async fn find(aws: &Aws, wanted: &[String]) -> Result<usize> {
    let limit = HITS.to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_archivectl"))
        .args(["find", "--json", "--limit", &limit])
        .args(wanted)
        .env_clear()
        .envs(
            ["CATALOG_TABLE_NAME", "CATALOG_KEY_SECRET_ID"]
                .map(|name| (name, variable(name).unwrap_or_default())),
        )
        .envs([
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        ])
        .env("AWS_REGION", REGION)
        .env("AWS_ENDPOINT_URL", aws.endpoint_url())
        .output()
        .await?;
    let printed = String::from_utf8(output.stdout)?;
    match output.status.success() {
        true => Ok(printed
            .lines()
            .filter(|line| line.contains("\"recordingId\""))
            .count()),
        false => Err(String::from_utf8_lossy(&output.stderr).into()),
    }
}

/// Fills the catalog, and returns the number of its items. They are what `Catalog::put` writes for these calls.
async fn fill(catalog: Arc<Catalog>, aws: &Aws, calls: u64) -> Result<usize> {
    let starts = (0..calls).step_by(usize::try_from(AT_A_TIME)?);
    let mut made = stream::iter(starts)
        .map(|from| tokio::spawn(made(catalog.clone(), from..calls.min(from + AT_A_TIME), calls)))
        .buffered(SIDE_BY_SIDE);
    let mut items = 0;
    let mut names = BTreeMap::new();
    while let Some(made) = made.next().await {
        let (entries, named) = made??;
        items += entries.len();
        aws.load(CATALOG_TABLE, entries)?;
        names.extend(named);
    }
    items += names.len();
    aws.load(CATALOG_TABLE, names.into_values().collect())?;
    Ok(items)
}

/// Items as JSON, and names by their key.
type Made = (Vec<Value>, BTreeMap<String, Value>);

async fn made(catalog: Arc<Catalog>, some: Range<u64>, calls: u64) -> Result<Made> {
    let (mut items, mut names) = Made::default();
    for of in some {
        let (entries, named) = catalog.made(&call(of, calls)?).await?;
        for entry in entries {
            items.push(serde_json::to_value(entry)?);
        }
        for name in named {
            names.insert(name.at.clone(), serde_json::to_value(name)?);
        }
    }
    Ok((items, names))
}

/// Returns the id of something of a kind.
fn id(kind: char, number: u64) -> String {
    format!("{kind}0000000-0000-4000-8000-{number:012}")
}

/// Returns its name, which is no part of another one.
fn name(kind: char, number: u64) -> String {
    format!("{kind} {number:06}")
}

fn number(of: u64) -> String {
    format!("+4930{of:08}")
}

/// Spreads a number, so that no two facets of the calls go together.
fn spread(number: u64, salt: u64) -> u64 {
    let mixed = (number ^ (salt << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// Returns the milliseconds from the month's beginning to the start of call `of` so many.
fn after_midnight(of: u64, calls: u64) -> u64 {
    of * (31 * 86_400_000 / calls)
}

/// Returns call `of` so many: all of them begin in January.
fn call(of: u64, calls: u64) -> Result<CallRecord> {
    let month: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let start = month + SignedDuration::from_millis(i64::try_from(after_midnight(of, calls))?);
    let end = start + SignedDuration::from_secs(300);
    let agents = (calls / HITS).max(1);
    let (agent, queue) = (spread(of, 3) % agents, spread(of, 4) % QUEUES);
    let (wrapup, division) = (spread(of, 5) % WRAPUPS, spread(of, 1) % DIVISIONS);
    let details = json!({
        "conversationStart": start.to_string(), "conversationEnd": end.to_string(),
        "originatingDirection": "inbound", "divisionIds": [id('d', division)],
        "participants": [
            {"purpose": "customer", "sessions": [{"mediaType": "voice", "ani": number(spread(of, 2) % agents)}]},
            {"purpose": "agent", "userId": id('a', agent), "sessions": [{"mediaType": "voice",
             "segments": [{"queueId": id('b', queue), "wrapUpCode": id('f', wrapup)}]}]},
        ],
    });
    let conversation = ConversationId::parse(&id('c', of))?;
    let mut call =
        CallRecord::new(conversation, "details").with_details(&details.to_string(), Extent::Standard);
    let named = |kind, number| BTreeMap::from([(id(kind, number), name(kind, number))]);
    call.names.users = named('a', agent);
    call.names.queues = named('b', queue);
    call.names.wrap_up_codes = named('f', wrapup);
    call.names.divisions = named('d', division);
    let recording = json!({"recordingId": id('e', of), "state": "archived", "media": "audio", "files": []});
    call.recordings.push(serde_json::from_value(recording)?);
    Ok(call)
}

/// Returns each facet alone, and the pairs of which one has no more than about [`HITS`] hits, as the command's options.
/// Without another facet the hours are read: of the day of one call, as few people would search a whole month so.
fn wanted(calls: u64) -> Vec<(String, Vec<String>)> {
    // The values of one call, so that a pair finds something.
    let of = calls / 2;
    let agents = (calls / HITS).max(1);
    let day = format!("2026-01-{:02}", after_midnight(of, calls) / 86_400_000 + 1);
    let facets = [
        ("agent", name('a', spread(of, 3) % agents)),
        ("number", number(spread(of, 2) % agents)),
        ("queue", name('b', spread(of, 4) % QUEUES)),
        ("wrapup", name('f', spread(of, 5) % WRAPUPS)),
        ("division", name('d', spread(of, 1) % DIVISIONS)),
    ];
    let option = |(facet, value): &(&str, String)| [format!("--{facet}"), value.clone()];
    let span = |from: &str, to: &str| ["--from", from, "--to", to].map(str::to_owned).to_vec();
    let (month, day) = (span("2026-01-01", "2026-01-31"), span(&day, &day));
    let mut all = vec![("hour".to_owned(), day.clone())];
    for (at, one) in facets.iter().enumerate() {
        all.push((one.0.to_owned(), [&month[..], &option(one)].concat()));
        if at >= NARROW {
            continue;
        }
        all.push((format!("{} and hour", one.0), [&day[..], &option(one)].concat()));
        for other in &facets[at + 1..] {
            let pair = [&month[..], &option(one), &option(other)].concat();
            all.push((format!("{} and {}", one.0, other.0), pair));
        }
    }
    all
}
