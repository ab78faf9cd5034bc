//! The cost of finding calls: searches of a catalog with so many calls of one month, by each facet alone and by pairs.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use recording_archiver::aws::Clients;
use recording_archiver::catalog::{Catalog, Filter, Wanted};
use recording_archiver::clock::{Deadline, Stop};
use recording_archiver::config::Config;
use recording_archiver::domain::call::{CallRecord, Extent, Facet};
use recording_archiver::domain::days::Range;
use recording_archiver::domain::number::Number;
use recording_archiver::domain::recording::ConversationId;
use recording_archiver::sim::aws::{Aws, Storage};
use recording_archiver::sim::wire::Wire;
use recording_archiver::sim::{CATALOG_KEY, CATALOG_SECRET, CATALOG_TABLE};
use serde_json::json;

use super::table::{Row, Target};
use super::{Bench, Result, folder};

/// Calls of each agent and of each number, which are as many hits: the archive grows by having more of them.
const HITS: u64 = 1_000;
const QUEUES: u64 = 20;
const WRAPUPS: u64 = 50;
const DIVISIONS: u64 = 4;

/// The most that a search may take.
const SECONDS: f64 = 1.0;
const REQUESTS: u32 = 10;

/// Calls that are put at a time, and requests after which the simulator forgets them.
const SIDE_BY_SIDE: usize = 32;
const FORGET: u64 = 10_000;

/// The slowest search, and the one with the most requests.
struct Worst {
    millis: f64,
    requests: u64,
}

/// Searches a hundredth of the calls, then all of them.
pub(crate) async fn searches(bench: &mut Bench, all: u64) -> Result<()> {
    let few = searched(bench, all / 100).await?;
    let many = searched(bench, all).await?;
    #[expect(clippy::cast_precision_loss, reason = "a number of two digits")]
    let requests = many.requests as f64;
    bench.rows.extend([
        Row::new(
            format!("find among {} calls, up to {HITS} hits: slowest", all / 100),
            Target::AtMost(SECONDS * 1e3),
            few.millis,
            "ms",
        ),
        Row::new(
            format!("find among {all} calls, up to {HITS} hits: slowest"),
            Target::AtMost(SECONDS * 1e3),
            many.millis,
            "ms",
        ),
        Row::new(
            format!("find among {all} calls: most requests"),
            Target::AtMost(REQUESTS.into()),
            requests,
            "",
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

async fn filled_and_searched(bench: &mut Bench, wire: &Wire, aws: &Aws, calls: u64) -> Result<Worst> {
    aws.create_catalog(CATALOG_TABLE).await?;
    aws.put_secret(CATALOG_SECRET, CATALOG_KEY).await?;
    let config = Config::from_lookup(|name| {
        let value = match name {
            "GENESYS_SECRET_ID" | "S3_BUCKET_NAME" | "AUDIT_TABLE_NAME" => {
                name.to_lowercase().replace('_', "-")
            }
            "LEDGER_TABLE_NAME" => "ledger".to_owned(),
            "CATALOG_TABLE_NAME" => CATALOG_TABLE.to_owned(),
            "CATALOG_KEY_SECRET_ID" => CATALOG_SECRET.to_owned(),
            _ => return None,
        };
        Some(value)
    })?;
    let clients = Clients::new(&aws.sdk_config(), &config);
    let catalog = Catalog::connect(&clients, &config).ok_or("there is no catalog")?;
    let begun = Instant::now();
    fill(&catalog, wire, calls).await?;
    let filling = begun.elapsed().as_secs_f64();
    let mut worst = Worst {
        millis: 0.0,
        requests: 0,
    };
    for (name, wanted) in wanted(calls)? {
        let begun = Instant::now();
        let range = Range {
            first: "2026-01-01".parse()?,
            last: "2026-01-31".parse()?,
        };
        let page = (None, usize::try_from(HITS)?);
        let answer = catalog.search(range, &wanted, &Filter::default(), page).await?;
        let millis = begun.elapsed().as_secs_f64() * 1e3;
        if answer.entries.is_empty() {
            return Err(format!("a search by {name} found nothing").into());
        }
        bench.notes.push(format!(
            "find among {calls:>9} by {name:<18}: {:>4} hits, {:>2} requests, {millis:>6.1} ms",
            answer.entries.len(),
            answer.requests
        ));
        worst.millis = worst.millis.max(millis);
        worst.requests = worst.requests.max(answer.requests);
    }
    bench
        .notes
        .push(format!("find among {calls:>9}: filled in {filling:.0} s"));
    Ok(worst)
}

async fn fill(catalog: &Catalog, wire: &Wire, calls: u64) -> Result<()> {
    let stop = Stop::default();
    for from in (0..calls).step_by(usize::try_from(FORGET)?) {
        let some = from..calls.min(from + FORGET);
        stream::iter(some.map(|number| call(number, calls)))
            .map(|call| {
                let deadline = Deadline::new(Duration::from_secs(60), &stop);
                async move { catalog.put(&call?, &[], &deadline).await.map_err(super::boxed) }
            })
            .buffer_unordered(SIDE_BY_SIDE)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        wire.forget();
    }
    Ok(())
}

/// Returns the id of something of a kind.
fn id(kind: char, number: u64) -> String {
    format!("{kind}0000000-0000-4000-8000-{number:012}")
}

fn number(of: u64) -> String {
    format!("+4930{of:08}")
}

/// Spreads a number, so that no two facets of the calls go together.
fn spread(number: u64, salt: u64) -> u64 {
    let mixed = (number ^ (salt << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// Returns call `of` so many: all of them begin in January.
fn call(of: u64, calls: u64) -> Result<CallRecord> {
    let month: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let millis = i64::try_from(of * (31 * 86_400_000 / calls))?;
    let start = month + SignedDuration::from_millis(millis);
    let end = start + SignedDuration::from_secs(300);
    let agents = (calls / HITS).max(1);
    let details = json!({
        "conversationStart": start.to_string(), "conversationEnd": end.to_string(),
        "originatingDirection": "inbound", "divisionIds": [id('d', spread(of, 1) % DIVISIONS)],
        "participants": [
            {"purpose": "customer", "sessions": [{"mediaType": "voice", "ani": number(spread(of, 2) % agents)}]},
            {"purpose": "agent", "userId": id('a', spread(of, 3) % agents), "sessions": [{"mediaType": "voice",
             "segments": [{"queueId": id('b', spread(of, 4) % QUEUES),
                           "wrapUpCode": id('f', spread(of, 5) % WRAPUPS)}]}]},
        ],
    });
    let conversation = ConversationId::parse(&id('c', of))?;
    let mut call =
        CallRecord::new(conversation, "details").with_details(&details.to_string(), Extent::Standard);
    let recording = json!({"recordingId": id('e', of), "state": "archived", "media": "audio", "files": []});
    call.recordings.push(serde_json::from_value(recording)?);
    Ok(call)
}

/// Returns each facet alone, and pairs of which one has no more than [`HITS`] hits.
fn wanted(calls: u64) -> Result<Vec<(String, Vec<Wanted>)>> {
    // The values of one call, so that a pair finds something.
    let of = calls / 2;
    let agents = (calls / HITS).max(1);
    let number = Number::parse(&number(spread(of, 2) % agents), None)?;
    let facets = [
        ("agent", Wanted::Id(Facet::Agent, id('a', spread(of, 3) % agents))),
        ("number", Wanted::Number(number)),
        ("queue", Wanted::Id(Facet::Queue, id('b', spread(of, 4) % QUEUES))),
        (
            "wrapup",
            Wanted::Id(Facet::Wrapup, id('f', spread(of, 5) % WRAPUPS)),
        ),
        (
            "division",
            Wanted::Id(Facet::Division, id('d', spread(of, 1) % DIVISIONS)),
        ),
    ];
    let mut all = vec![("hour".to_owned(), Vec::new())];
    for (at, (one, wanted)) in facets.iter().enumerate() {
        all.push(((*one).to_owned(), vec![wanted.clone()]));
        let narrow = at < 2;
        for (other, also) in facets.iter().skip(at + 1).filter(|_| narrow) {
            all.push((format!("{one} and {other}"), vec![wanted.clone(), also.clone()]));
        }
    }
    Ok(all)
}
