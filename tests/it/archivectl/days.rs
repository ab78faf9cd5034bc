//! Days by the index of the audit: the same answers as by a scan, for as many reads as the days have events.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use recording_archiver::domain::audit::Shard;
use recording_archiver::domain::days::{day_of, start_of};
use recording_archiver::sim::genesys::{Conversation, Recording};
use recording_archiver::sim::wire::Service;
use recording_archiver::sim::{AUDIT_TABLE, BUCKET, LEDGER_TABLE};
use serde_json::{Map, Value, json};

use super::log::made::Made;
use super::tampering::acts::{older_call, rewrite};
use super::{Ran, archivectl, command, end};
use crate::support::{Bench, call, invoke};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Whether the archiver that wrote an event knew of days.
#[derive(Clone, Copy, PartialEq)]
enum Writer {
    OfNow,
    Older,
}

fn conversation(number: usize) -> String {
    format!("c0000000-0000-4000-8000-{number:012x}")
}

fn recording(number: usize) -> String {
    format!("e0000000-0000-4000-8000-{number:012x}")
}

/// Returns a bench with so many archived conversations, whose calls were `ago`.
async fn archived(count: usize, ago: SignedDuration) -> Bench {
    let bench = Bench::new().await;
    let handler = bench.handler(&[]);
    for number in 0..count {
        let mut one = Recording::audio(recording(number), [call()]);
        one.start = bench.clock.now() - ago;
        bench
            .world
            .genesys
            .add(Conversation::new(conversation(number)).recording(one));
        invoke(&handler, json!({"conversationId": conversation(number)}))
            .await
            .unwrap();
    }
    bench
}

/// Makes a conversation one that was archived at this time, by its chain and by the ledger.
async fn moved(bench: &Bench, number: usize, to: Timestamp, by: Writer) {
    moved_with(bench, number, to, |event, id, to| match by {
        Writer::OfNow => {
            event.insert("day".to_owned(), Shard::of(id).on(day_of(to)).into());
        }
        Writer::Older => drop(event.remove("day")),
    })
    .await;
}

async fn moved_with(
    bench: &Bench,
    number: usize,
    to: Timestamp,
    change: impl Fn(&mut Map<String, Value>, &str, Timestamp),
) {
    let (id, of) = (conversation(number), recording(number));
    let at = to.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let head = rewrite(bench, [&id, &of], |event| {
        let seq = event["seq"].as_u64().unwrap();
        event.insert("eventId".to_owned(), format!("{at}#{of}#{seq:06}").into());
        event.insert("timestamp".to_owned(), at.clone().into());
        change(event, &id, to);
    })
    .await;
    let update = bench.world.aws.dynamodb().update_item().table_name(LEDGER_TABLE);
    let update = update
        .key("interactionId", AttributeValue::S(id))
        .key("recordingId", AttributeValue::S(of))
        .update_expression("SET archivedAt = :at, chainHead = :head")
        .expression_attribute_values(":head", AttributeValue::S(head))
        .expression_attribute_values(":at", AttributeValue::S(at));
    update.send().await.unwrap();
}

/// Runs a command, and returns with it how many pages of tables were scanned.
async fn counted(bench: &Bench, arguments: &[&str]) -> (Ran, usize) {
    let before = bench.world.wire.count(Service::DynamoDb, "Scan");
    let ran = archivectl(bench, arguments).await;
    let scans = bench.world.wire.count(Service::DynamoDb, "Scan") - before;
    (ran, scans)
}

fn midnight(bench: &Bench, ago: i64) -> Timestamp {
    start_of(day_of(bench.clock.now()).saturating_sub(jiff::Span::new().days(ago)))
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn recordings(ran: &Ran) -> Vec<u64> {
    let of = |day: Value| day["recordings"].as_u64().unwrap();
    ran.items().into_iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_finds_by_queries_what_a_scan_finds_to_the_microsecond_around_midnight() {
    // Enough for every shard: the ids' first digits of SHA-256 are all sixteen.
    const EACH: usize = 30;
    let bench = archived(2 * EACH + 1, DAY).await;
    let shards: std::collections::BTreeSet<_> = (0..2 * EACH)
        .map(|number| Shard::of(&conversation(number)).on(jiff::civil::date(2026, 1, 1)))
        .collect();
    assert_eq!(shards.len(), 16);
    let midnight = midnight(&bench, 5);
    let before = midnight - SignedDuration::from_micros(1);
    for number in 0..2 * EACH {
        let to = if number < EACH { before } else { midnight };
        moved(&bench, number, to, Writer::OfNow).await;
    }
    let range = ["report", "--from", &day(before), "--to", &day(midnight), "--json"];
    let (scanned, scans) = counted(&bench, &range).await;
    assert!(scans > 0, "nothing shows that older events have a day");
    assert_eq!(recordings(&scanned), [EACH as u64; 2]);

    moved(&bench, 2 * EACH, before - DAY * 2, Writer::OfNow).await;
    let (queried, scans) = counted(&bench, &range).await;
    assert_eq!(scans, 0);
    assert_eq!(queried.stdout, scanned.stdout);
    for at in [before, midnight] {
        let (one, scans) = counted(
            &bench,
            &["report", "--from", &day(at), "--to", &day(at), "--json"],
        )
        .await;
        assert_eq!((recordings(&one), scans), (vec![EACH as u64], 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_before_the_index_are_scanned_for_until_a_day_after_its_first() {
    let bench = archived(3, DAY).await;
    let first = midnight(&bench, 6);
    // On the day of the update both versions wrote.
    moved(&bench, 0, first, Writer::Older).await;
    moved(&bench, 1, first + DAY / 2, Writer::OfNow).await;
    moved(&bench, 2, first + DAY * 2, Writer::OfNow).await;
    for (from, to, found, reads_all) in [
        (-1, 0, 2, true),
        (0, 0, 2, true),
        (1, 2, 1, true),
        (2, 2, 1, false),
    ] {
        let days = [from, to].map(|days| day(first + DAY * days));
        let (ran, scans) = counted(
            &bench,
            &["report", "--from", &days[0], "--to", &days[1], "--json"],
        )
        .await;
        assert_eq!(recordings(&ran).iter().sum::<u64>(), found, "{days:?}: {ran:?}");
        assert_eq!(scans > 0, reads_all, "{days:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_with_more_than_a_page_is_read_to_its_end() {
    let bench = archived(3, DAY).await;
    let at = midnight(&bench, 4);
    moved(&bench, 0, at - DAY * 3, Writer::OfNow).await;
    // 350 KB an event: DynamoDB's page of 1 MB ends before the conversation does.
    for number in [1, 2] {
        moved_with(&bench, number, at, |event, _, to| {
            let day = Shard::of(&conversation(1)).on(day_of(to));
            event.insert("day".to_owned(), day.into());
            event.insert("filler".to_owned(), "x".repeat(350_000).into());
        })
        .await;
    }
    let before = bench.world.wire.count(Service::DynamoDb, "Query");
    let (ran, scans) = counted(
        &bench,
        &["report", "--from", &day(at), "--to", &day(at), "--json"],
    )
    .await;
    assert_eq!((recordings(&ran), scans), (vec![2], 0), "{ran:?}");
    let asked = bench.world.wire.count(Service::DynamoDb, "Query") - before;
    assert!(
        asked > 16 + 16 + 2,
        "16 for the day before, 16 for the day: {asked}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_of_calls_are_found_whenever_they_were_archived() {
    let bench = archived(3, DAY * 20).await;
    let call = bench.clock.now() - DAY * 20;
    moved(&bench, 0, call + DAY * 3, Writer::OfNow).await;
    moved(&bench, 1, call + DAY * 12, Writer::OfNow).await;
    let range = [
        "verify",
        "--by",
        "call",
        "--from",
        &day(call),
        "--to",
        &day(call),
        "--json",
    ];
    let (scanned, scans) = counted(&bench, &range).await;
    assert_eq!(scanned.summary()["recordings"], 3, "{scanned:?}");
    assert!(scans > 0);
    moved(&bench, 0, call - DAY * 3, Writer::OfNow).await;
    let (queried, scans) = counted(&bench, &range).await;
    assert_eq!(queried.summary()["recordings"], 2, "{queried:?}");
    assert_eq!(scans, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_on_which_a_former_version_wrote_is_scanned_as_the_sealer_saw_it() {
    let bench = archived(3, DAY).await;
    let day_of_both = midnight(&bench, 2);
    moved(&bench, 0, day_of_both - DAY * 3, Writer::OfNow).await;
    moved(&bench, 1, day_of_both + DAY / 3, Writer::OfNow).await;
    bench.seal_all().await;
    let range = day(day_of_both);
    let range = ["report", "--from", &range, "--to", &range, "--json"];
    let (before, scans) = counted(&bench, &range).await;
    assert_eq!((recordings(&before), scans), (vec![1], 0));
    // The function was rolled back.
    moved(&bench, 2, day_of_both + DAY / 2, Writer::Older).await;
    bench.seal_all().await;
    let (after, scans) = counted(&bench, &range).await;
    assert_eq!((recordings(&after), scans > 0), (vec![2], true), "{after:?}");
    // The days around it are read by the index.
    for days in [1, 0] {
        let other = day(midnight(&bench, days));
        let (ran, scans) = counted(&bench, &["report", "--from", &other, "--to", &other]).await;
        assert_eq!((ran.code(), scans), (Some(3), 0), "{ran:?}");
    }
    let ran = archivectl(&bench, &["log", "verify"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    // An import sees them as well.
    bench.empty_the_log().await;
    bench.serve_sealer(900);
    let mut import = command(&bench, &["log", "import"]);
    import.env("SEALER_FUNCTION_NAME", recording_archiver::sim::SEALER);
    let ran = end(import.spawn().unwrap()).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let (imported, _) = counted(&bench, &range).await;
    assert_eq!(imported.stdout, after.stdout);
}

/// Runs a command over days without a log, and returns with it how many requests to DynamoDB and S3 it made.
async fn requests(bench: &Bench, name: &str, [from, to]: [&str; 2]) -> (Ran, [usize; 2]) {
    let services = [Service::DynamoDb, Service::S3];
    let count = |service| {
        let exchanges = bench.world.wire.exchanges();
        exchanges.iter().filter(|call| call.service == service).count()
    };
    let before = services.map(count);
    let mut command = command(bench, &[name, "--from", from, "--to", to, "--json"]);
    let ran = end(command.env_remove("SEAL_BUCKET_NAME").spawn().unwrap()).await;
    let after = services.map(count);
    (ran, [after[0] - before[0], after[1] - before[1]])
}

async fn verified(bench: &Bench, of: &str) -> (Ran, [usize; 2]) {
    requests(bench, "verify", [of; 2]).await
}

/// Puts so many large items of a day into both tables, each of a conversation of its own.
async fn crowd(bench: &Bench, numbers: std::ops::Range<usize>, of: Timestamp) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    for (table, sort) in [(AUDIT_TABLE, "eventId"), (LEDGER_TABLE, "recordingId")] {
        for number in numbers.clone() {
            let id = conversation(number);
            let put = bench.world.aws.dynamodb().put_item().table_name(table);
            let put = put.item("day", text(&Shard::of(&id).on(day_of(of))));
            let put = put
                .item("interactionId", text(&id))
                .item(sort, text(&of.to_string()));
            let put = put.item("timestamp", text(&of.to_string()));
            let put = put.item("filler", text(&"x".repeat(100_000)));
            put.send().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_leads_to_what_the_index_does_not_hold() {
    let bench = archived(1, DAY).await;
    let now = bench.clock.now();
    // What shows that the index is complete.
    crowd(&bench, 100..101, now - DAY * 3).await;
    moved(&bench, 0, now, Writer::Older).await;
    let today = day(now);
    let (ran, _) = verified(&bench, &today).await;
    assert_eq!(
        (ran.code(), &ran.summary()["files"]),
        (Some(0), &json!(1)),
        "{ran:?}"
    );
    let key = format!("recordings/{}/{}.wav", conversation(0), recording(0));
    let head = bench.object(&key).await.unwrap().head;
    let put = bench.world.aws.s3().put_object().bucket(BUCKET).key(&key);
    let put = put.set_metadata(head.metadata().cloned());
    put.body(b"mine".to_vec().into()).send().await.unwrap();
    let (ran, _) = verified(&bench, &today).await;
    assert!(ran.stdout.contains("size_differs"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_costs_the_same_whatever_the_archive_holds_besides() {
    let bench = archived(2, DAY).await;
    let today = day(bench.clock.now());
    crowd(&bench, 100..110, bench.clock.now() - DAY * 3).await;
    let (ran, few) = verified(&bench, &today).await;
    assert_eq!(
        (ran.code(), &ran.summary()["recordings"]),
        (Some(0), &json!(2)),
        "{ran:?}"
    );
    crowd(&bench, 110..200, bench.clock.now() - DAY * 3).await;
    let (ran, many) = verified(&bench, &today).await;
    assert_eq!(
        (ran.code(), &ran.summary()["recordings"]),
        (Some(0), &json!(2)),
        "{ran:?}"
    );
    assert_eq!(few, many, "requests to DynamoDB and to S3");
    // What the table is; whether a day before has events, of which the third last is the first; the day; its calls.
    assert_eq!(many[0], 1 + 2 * 16 + 16 + 2 * 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_of_a_month_costs_the_same_out_of_an_archive_ten_times_as_large() {
    let bench = archived(2, DAY).await;
    let now = bench.clock.now();
    let month = [day(now - DAY * 29), day(now)];
    let month = month.each_ref().map(String::as_str);
    let before = now - DAY * 32;
    crowd(&bench, 100..110, before).await;
    let (few, small) = requests(&bench, "report", month).await;
    crowd(&bench, 110..200, before).await;
    let (many, large) = requests(&bench, "report", month).await;
    assert_eq!((many.code(), &many.stdout), (Some(0), &few.stdout), "{many:?}");
    assert_eq!(recordings(&many), [vec![0; 29], vec![2]].concat());
    assert_eq!(large, small, "requests to DynamoDB and to S3");
    assert_eq!(large[1], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_log_too_a_day_is_read_by_queries_and_what_was_sealed_in_it_is_looked_up_around_it() {
    let bench = Bench::new().await;
    let midnight = midnight(&bench, 0);
    older_call(&bench, &conversation(8), midnight - DAY * 6).await;
    let mut log = Made::new(&bench, "archive-log", 1).await;
    log.seal_all(&bench).await;
    log.checkpoint_at(midnight - DAY / 24).await;
    // Written before midnight, and sealed after it.
    older_call(&bench, &conversation(9), midnight - DAY / 48).await;
    let one = Recording::audio(recording(0), [call()]);
    bench
        .world
        .genesys
        .add(Conversation::new(conversation(0)).recording(one));
    bench
        .invoke(json!({"conversationId": conversation(0)}))
        .await
        .unwrap();
    log.seal_all(&bench).await;
    log.checkpoint().await;
    let scans = bench.world.wire.count(Service::DynamoDb, "Scan");
    let today = day(bench.clock.now());
    let ran = log
        .archivectl(&bench, &["verify", "--from", &today, "--to", &today, "--json"])
        .await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let summary = ran.summary();
    assert_eq!(
        (&summary["conversations"], &summary["log"]["records"]),
        (&json!(1), &json!(0))
    );
    assert!(
        summary["log"]["leaves"].as_u64() > summary["events"].as_u64(),
        "{summary}"
    );
    assert_eq!(bench.world.wire.count(Service::DynamoDb, "Scan"), scans);
}
