//! `archivectl report`: the figures of days, as text, JSON and a page.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::types::{ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockRetention};
use jiff::SignedDuration;
use recording_archiver::domain::days::day_of;
use recording_archiver::sim::genesys::{Conversation, FileState, Recording, Topic, event};
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::sim::{BUCKET, LEDGER_TABLE};
use serde_json::{Value, json};

use super::reconcile::{DAYS, call_in, first};
use super::tampering::acts::{HOUR, keep_versions, retime};
use super::{Folder, archivectl};
use crate::support::{Bench, CONVERSATION, KEY, call, call_bytes, invoke, sqs};

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn conversation(number: usize) -> String {
    format!("c0000000-0000-4000-8000-{number:012x}")
}

fn recording(number: usize) -> String {
    format!("e0000000-0000-4000-8000-{number:012x}")
}

/// Returns five conversations: two archived, one of them the day before; one failed, one not ready, one gone.
async fn five() -> Bench {
    let bench = Bench::new().await;
    let now = bench.clock.now();
    let states = [
        FileState::Available,
        FileState::Available,
        FileState::Archived,
        FileState::Uploading,
        FileState::Deleted,
    ];
    for (at, state) in states.into_iter().enumerate() {
        let mut one = Recording::audio(recording(at + 1), [call()]).state(state);
        one.start = now - SignedDuration::from_hours(2);
        one.delete_date = Some(now + DAY * 10);
        bench
            .world
            .genesys
            .add(Conversation::new(conversation(at + 1)).recording(one));
    }
    let handler = bench.handler(&[("MAX_ATTEMPTS", "1")]);
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Media, "media", 1, Fault::status(500));
    for at in [1, 1, 2, 3, 4, 5] {
        let _ = invoke(&handler, json!({"conversationId": conversation(at)})).await;
    }
    // The second one as if it had been archived the day before.
    let head = retime(&bench, [&conversation(2), &recording(2)], |at, _| at - DAY).await;
    let update = bench.world.aws.dynamodb().update_item().table_name(LEDGER_TABLE);
    let update = update
        .key("interactionId", AttributeValue::S(conversation(2)))
        .key("recordingId", AttributeValue::S(recording(2)))
        .update_expression("SET archivedAt = :at, chainHead = :head")
        .expression_attribute_values(":head", AttributeValue::S(head))
        .expression_attribute_values(":at", AttributeValue::S((now - DAY).to_string()));
    update.send().await.unwrap();
    bench
}

fn days(bench: &Bench) -> [String; 2] {
    let now = bench.clock.now();
    [now - DAY, now].map(|at| at.strftime("%Y-%m-%d").to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_recording_is_counted_once_on_its_day_and_by_how_it_ended() {
    let bench = five().await;
    let [yesterday, today] = days(&bench);
    let range = ["report", "--from", &yesterday, "--to", &today];
    let ran = archivectl(&bench, &[&range[..], &["--json"]].concat()).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let size = call_bytes().len();
    let day = |day: &str| json!({"day": day, "recordings": 1, "bytes": size});
    assert_eq!(ran.items(), [day(&yesterday), day(&today)]);
    let summary = ran.summary();
    assert_eq!(
        summary["outcomes"],
        json!({"archived": 2, "waiting": 1, "in progress": 0, "failed": 1, "expired": 1, "skipped": 0,
               "no recording": 0}),
    );
    assert_eq!(
        (&summary["recordings"], &summary["bytes"]),
        (&json!(2), &json!(2 * size))
    );
    assert_eq!(summary["latencyMs"]["count"], 2);
    assert_eq!(summary["ageMs"]["count"], 2);
    let oldest = summary["ageMs"]["max"].as_u64().unwrap();
    assert!((7_200_000..7_500_000).contains(&oldest), "two hours: {oldest}");
    let failures = summary["failures"].as_object().unwrap();
    assert_eq!(failures.len(), 2, "{summary}");
    assert!(
        failures
            .keys()
            .any(|reason| reason.contains("ARCHIVED at Genesys")),
        "{summary}"
    );
    assert!(
        failures.keys().all(|reason| !reason.contains("e0000000")),
        "{summary}"
    );
    let behind: BTreeSet<_> = summary["failedConversations"]
        .as_object()
        .unwrap()
        .values()
        .map(Value::to_string)
        .collect();
    let expected = [1, 3].map(|number| json!([conversation(number)]).to_string());
    assert_eq!(behind, expected.into(), "{summary}");
    assert_eq!(summary["deferrals"], 1);
    let urgent: Vec<&Value> = summary["deadlines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|deadline| &deadline["interactionId"])
        .collect();
    assert!(urgent.contains(&&json!(conversation(3))), "{summary}");
    assert!(
        !urgent.contains(&&json!(CONVERSATION)),
        "what is archived is safe"
    );
    assert_eq!(summary["brokenChains"], 0);

    let ran = archivectl(&bench, &range).await;
    for expected in [
        "2 recordings",
        "2 archived",
        "1 failed",
        &conversation(3),
        "urgent",
        "all whole",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    let ran = archivectl(&bench, &["report", "--from", &today, "--to", &today, "--json"]).await;
    assert_eq!(ran.items(), [day(&today)], "the days choose");
    let ran = archivectl(
        &bench,
        &["report", "--from", "2020-01-01", "--to", "2020-01-02", "--json"],
    )
    .await;
    assert_eq!(ran.summary()["outcomes"]["archived"], 0);
    assert_eq!(ran.items().len(), 2, "days that brought nothing are told, too");
    let ran = archivectl(&bench, &["report"]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(ran.stderr.contains("which days?"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_page_is_one_file_with_charts_that_loads_nothing_and_runs_nothing() {
    let bench = five().await;
    let [yesterday, today] = days(&bench);
    let folder = Folder::new();
    let path = folder.file("report.html");
    let ran = archivectl(
        &bench,
        &["report", "--from", &yesterday, "--to", &today, "--html", &path],
    )
    .await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let page = std::fs::read_to_string(&path).unwrap();
    for expected in [
        "Recordings archived per day",
        "Bytes archived per day",
        &format!("<title>Recording archive audit table recording-audit, {yesterday} to {today}</title>"),
        "<caption>Recordings archived per day</caption>",
        "<th scope=\"row\"",
        "<td class=\"figures\">",
        "Genesys was not asked",
        "width=device-width",
        "@media print",
        "ARCHIVED at Genesys",
        &conversation(3),
        "all whole",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    assert_eq!(
        page.matches("<rect").count() - page.matches("aria-hidden").count() * 2,
        4,
        "a bar a day, twice"
    );
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    for foreign in [
        "<script", "<link", "<img", "src=", "url(", "@import", "NaN", "inf",
    ] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    let event = bench
        .audit_unverified(CONVERSATION, &recording(1))
        .await
        .remove(0);
    let delete = bench
        .world
        .aws
        .dynamodb()
        .delete_item()
        .table_name("recording-audit");
    let key = |name: &str| AttributeValue::S(event[name].as_str().unwrap().to_owned());
    let delete = delete.key("interactionId", key("interactionId"));
    delete.key("eventId", key("eventId")).send().await.unwrap();
    let ran = archivectl(
        &bench,
        &["report", "--from", &yesterday, "--to", &today, "--html", &path],
    )
    .await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains("audit chains are not whole"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_levels_count_what_end_events_asked_for() {
    let bench = Bench::new().await;
    let now = bench.clock.now();
    let states = [
        FileState::Available,
        FileState::Available,
        FileState::Archived,
        FileState::Available,
    ];
    for (at, state) in states.into_iter().enumerate() {
        let mut one = Recording::audio(recording(at + 1), [call()]).state(state);
        one.duration = Some(SignedDuration::from_mins(5));
        // The second one ended two hours ago.
        one.start = now - SignedDuration::from_mins(if at == 1 { 125 } else { 5 });
        bench
            .world
            .genesys
            .add(Conversation::new(conversation(at + 1)).recording(one));
    }
    let events = (1..=3).map(|at| event(Topic::CustomerEnd, &conversation(at), now).to_string());
    bench.invoke(sqs(events)).await.unwrap();
    // Nobody's event: a backfill.
    bench
        .invoke(json!({"conversationId": conversation(4)}))
        .await
        .unwrap();
    let [yesterday, today] = days(&bench);
    let range = ["report", "--from", &yesterday, "--to", &today];
    let ran = archivectl(&bench, &[&range[..], &["--json"]].concat()).await;
    let summary = ran.summary();
    let levels = ["liveRecordings", "liveWithinHour", "liveWithinDay"].map(|name| summary[name].clone());
    assert_eq!(
        (&summary["recordings"], levels),
        (&json!(3), [json!(3), json!(1), json!(2)])
    );
    let ran = archivectl(&bench, &range).await;
    let expected = "33.3 % within an hour of the end of the call (objective 95 %), 66.6 % within 24 hours";
    let text = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(expected), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_says_what_genesys_recorded_and_names_what_is_behind_each_number() {
    let bench = Bench::new().await;
    let genesys = &bench.world.genesys;
    genesys.set_data_availability(first() + DAY * 3);
    genesys.set_job_looks(0);
    for (number, state) in [
        (1, FileState::Available),
        (2, FileState::Available),
        (3, FileState::Archived),
        (4, FileState::Available),
    ] {
        genesys.add(call_in(number, state));
    }
    let handler = bench.handler(&[("MAX_ATTEMPTS", "1")]);
    for number in 1..=3 {
        let _ = invoke(&handler, json!({"conversationId": conversation(number)})).await;
    }
    // As if they had been archived on the day of their calls.
    let ago = bench.clock.now().duration_since(first() + HOUR * 10);
    for number in 1..=2 {
        let (id, of) = (conversation(number), recording(number));
        let head = retime(&bench, [&id, &of], |at, _| at - ago).await;
        let update = bench.world.aws.dynamodb().update_item().table_name(LEDGER_TABLE);
        let update = update
            .key("interactionId", AttributeValue::S(id))
            .key("recordingId", AttributeValue::S(of))
            .update_expression("SET archivedAt = :at, chainHead = :head")
            .expression_attribute_values(":head", AttributeValue::S(head))
            .expression_attribute_values(":at", AttributeValue::S((bench.clock.now() - ago).to_string()));
        update.send().await.unwrap();
    }
    let folder = Folder::new();
    let (list, page) = (folder.file("ids.csv"), folder.file("report.html"));
    let more = [
        "--genesys",
        "--ids",
        &list,
        "--html",
        &page,
        "--organisation",
        "Example & Co",
        "--json",
    ];
    let ran = archivectl(&bench, &[&["report"], &DAYS[..], &more].concat()).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let compared = &ran.summary()["genesys"];
    let told = ["recorded", "archived", "waiting", "missing"].map(|name| compared[name].as_u64().unwrap());
    assert_eq!(told, [4, 2, 0, 2], "{compared}");
    assert_eq!(
        compared["conversations"],
        json!({"failed": [conversation(3)], "never_seen": [conversation(4)]})
    );
    let lines = std::fs::read_to_string(&list).unwrap();
    let states: Vec<_> = lines
        .lines()
        .map(|line| line.split(',').nth(2).unwrap())
        .collect();
    assert_eq!(states[0], "state");
    let locked = lines.lines().filter(|line| line.contains(",archived,"));
    assert!(
        locked.clone().count() == 2 && locked.clone().all(|line| line.ends_with(",none,")),
        "{lines}"
    );
    for state in ["failed", "never_seen"] {
        assert_eq!(states.iter().filter(|one| **one == state).count(), 1, "{lines}");
    }
    assert_eq!(
        states.iter().filter(|one| **one == "archived").count(),
        2,
        "{lines}"
    );
    let page = std::fs::read_to_string(&page).unwrap();
    for told in [
        "<title>Recording archive Example &amp; Co, ",
        "missing: 2",
        &conversation(4),
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    // Nothing is replaced.
    let again = archivectl(&bench, &[&["report"], &DAYS[..], &["--ids", &list]].concat()).await;
    assert_eq!(again.code(), Some(2), "{again:?}");
    assert_eq!(std::fs::read_to_string(&list).unwrap(), lines);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_and_holds_are_told_by_month_as_archived_or_as_they_are_now() {
    let bench = Bench::with_a_call().await;
    keep_versions(&bench).await;
    let handler = bench.handler(&[
        ("S3_OBJECT_LOCK_MODE", "GOVERNANCE"),
        ("S3_OBJECT_LOCK_DAYS", "30"),
    ]);
    invoke(&handler, json!({"conversationId": CONVERSATION}))
        .await
        .unwrap();
    let today = day_of(bench.clock.now()).to_string();
    let months = async |more: &[&str]| {
        let days = ["report", "--from", &today, "--to", &today, "--json"];
        let ran = archivectl(&bench, &[&days, more].concat()).await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        ran.summary()["months"].clone()
    };
    let then = months(&[]).await;
    let [month] = then.as_array().unwrap().as_slice() else {
        panic!("{then}")
    };
    assert_eq!(
        (
            &month["month"],
            &month["files"],
            &month["governance"],
            &month["holds"]
        ),
        (&json!(today[..7]), &json!(1), &json!(1), &Value::Null)
    );
    assert!(
        month["firstEnd"].is_string() && month["firstEnd"] == month["lastEnd"],
        "{month}"
    );
    let hold = ObjectLockLegalHold::builder().status(ObjectLockLegalHoldStatus::On);
    let put = bench
        .world
        .aws
        .s3()
        .put_object_legal_hold()
        .bucket(BUCKET)
        .key(KEY);
    put.legal_hold(hold.build()).send().await.unwrap();
    let now = months(&["--locks"]).await;
    assert_eq!(
        (&now[0]["governance"], &now[0]["holds"]),
        (&json!(1), &json!(1)),
        "{now}"
    );
    let folder = Folder::new();
    let line = async |name: &str| {
        let list = folder.file(name);
        months(&["--locks", "--ids", &list]).await;
        let lines = std::fs::read_to_string(&list).unwrap();
        lines.lines().nth(1).unwrap().to_owned()
    };
    let locked = line("locked.csv").await;
    assert!(locked.ends_with(",GOVERNANCE,on"), "{locked}");
    // Somebody lifts the lock: the audit still holds it, and S3 no more.
    let lift = bench
        .world
        .aws
        .s3()
        .put_object_retention()
        .bucket(BUCKET)
        .key(KEY);
    lift.bypass_governance_retention(true)
        .retention(ObjectLockRetention::builder().build())
        .send()
        .await
        .unwrap();
    assert_eq!(months(&[]).await, then);
    let now = months(&["--locks"]).await;
    assert_eq!(
        (&now[0]["governance"], &now[0]["unlocked"]),
        (&json!(0), &json!(1)),
        "{now}"
    );
    let lifted = line("lifted.csv").await;
    assert!(lifted.ends_with(",,none,on"), "{lifted}");
}
