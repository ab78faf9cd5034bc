//! `archivectl backfill`: from days, from lists, and right here; interrupted, and gone on with.

mod bulk;
mod interrupted;
mod lists;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use recording_archiver::sim::genesys::{Conversation, Recording};
use recording_archiver::sim::wire::{Fault, Service};
use serde_json::{Value, json};

use super::{Folder, Ran, archivectl, command, end};
use crate::support::{Bench, CONVERSATION, KEY, RECORDING, call, invoke};

const DAYS: [&str; 4] = ["--from", "2026-01-05", "--to", "2026-01-07"];
const QUEUE: &str = "a0000000-0000-4000-8000-000000000001";

fn id(number: usize) -> String {
    format!("c0000000-0000-4000-8000-{number:012x}")
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Returns a call of five minutes, in which a recording was started.
fn call_at(number: usize, start: Timestamp) -> Conversation {
    let mut conversation = Conversation::new(id(number)).lasting(start, SignedDuration::from_mins(5));
    conversation.marked = Some(true);
    conversation
}

/// Returns how often a job for each conversation was sent to the work queue.
fn sent(bench: &Bench) -> BTreeMap<String, usize> {
    let mut sent = BTreeMap::new();
    for (job, _) in bench.deferred() {
        *sent
            .entry(job["conversationId"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    sent
}

/// Returns a bench with three days, of which Genesys' jobs cover two, with one of everything.
async fn three_days() -> Bench {
    let bench = Bench::new().await;
    let genesys = &bench.world.genesys;
    genesys.set_data_availability(at("2026-01-08T06:00:00Z"));
    genesys.add(call_at(0x11, at("2026-01-05T08:00:00Z")));
    // Jobs list it on both days, as it went on after midnight.
    genesys.add(call_at(0x12, at("2026-01-05T23:58:00Z")));
    genesys.add(call_at(0x13, at("2026-01-06T10:00:00Z")));
    genesys.add(call_at(0x14, at("2026-01-07T10:00:00Z")));
    let mut unrecorded = call_at(0x15, at("2026-01-06T11:00:00Z"));
    unrecorded.marked = None;
    genesys.add(unrecorded);
    genesys.add(call_at(0x16, at("2026-01-07T11:00:00Z")).ongoing());
    genesys.add(call_at(0x17, at("2026-01-08T00:00:00Z")));
    let mut other = call_at(0x18, at("2026-01-06T12:00:00Z"));
    (other.direction, other.media_type, other.queue) = ("outbound", "callback", Some(QUEUE.to_owned()));
    genesys.add(other);
    let recording = Recording::audio(RECORDING, [call()]);
    let archived = call_at(1, at("2026-01-06T13:00:00Z")).recording(recording);
    genesys.add(archived);
    assert_eq!(bench.archive().await[0]["outcome"], "archived");
    bench.world.wire.forget();
    bench
}

fn figures(summary: &Value) -> [u64; 6] {
    ["listed", "unrecorded", "ongoing", "filtered", "archived", "sent"].map(|name| {
        summary[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {summary}"))
    })
}

/// Backfills [`DAYS`], with this checkpoint.
async fn backfill(bench: &Bench, checkpoint: &str) -> Ran {
    let arguments = ["backfill", "--json", "--checkpoint", checkpoint, "--rate", "6000"];
    end(command(bench, &arguments).args(DAYS).spawn().unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_how_much_there_is_and_what_it_takes_and_sends_nothing() {
    let bench = three_days().await;
    let folder = Folder::new();
    let mut dry = command(&bench, &["backfill", "--dry-run", "--json"]);
    let ran = end(dry.args(DAYS).current_dir(folder.path()).spawn().unwrap()).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let summary = ran.summary();
    assert_eq!(figures(&summary), [8, 1, 1, 0, 1, 5], "{summary}");
    let estimate = &summary["estimate"];
    assert_eq!(estimate["jobs"], 5);
    assert_eq!(estimate["bytes"], 5 * 300 * 32_000);
    assert_eq!(estimate["genesysRequests"], 21);
    assert_eq!(estimate["seconds"], 6, "5 at 50 a minute");
    let days: Vec<_> = ran.items().iter().map(|day| day["sent"].clone()).collect();
    assert_eq!(days, [json!(2), json!(2), json!(1)]);
    assert!(bench.deferred().is_empty());
    assert_eq!(
        folder.path().read_dir().unwrap().count(),
        0,
        "no checkpoint either"
    );
    let count = |operation| bench.world.wire.count(Service::Genesys, operation);
    assert_eq!(
        count("details-job-submit"),
        2,
        "jobs for the days that they cover"
    );
    assert_eq!(
        count("details-query"),
        2,
        "the query for the third, to the end of its list"
    );

    let mut dry = command(&bench, &["backfill", "--dry-run"]);
    let ran = end(dry.args(DAYS).spawn().unwrap()).await;
    for expected in [
        "2026-01-06  4 listed",
        "5 to send",
        "21 requests to Genesys",
        "USD",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\u{1b}'), "no colours without a terminal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_sends_jobs_that_the_function_archives_and_is_done_then() {
    let bench = three_days().await;
    bench.world.genesys.conversation(&id(0x13), |conversation| {
        let recording = Recording::audio("e0000000-0000-4000-8000-000000000113", [call()]);
        conversation.recordings.push(recording);
    });
    // A job that fails is begun anew.
    bench.world.genesys.fail_jobs(1);
    let folder = Folder::new();
    let checkpoint = folder.file("x.checkpoint");
    let run = || backfill(&bench, &checkpoint);
    let ran = run().await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let expected = [0x11, 0x12, 0x13, 0x14, 0x18].map(|number| (id(number), 1));
    assert_eq!(sent(&bench), BTreeMap::from(expected));
    let (job, delay) = bench.deferred().swap_remove(2);
    assert_eq!(job["conversationId"], id(0x13));
    let requester = job["requestedBy"].as_str().unwrap().to_owned();
    assert!(
        requester.starts_with("archivectl backfill of 2026-01-05 to 2026-01-07"),
        "{requester}"
    );
    assert_eq!(delay, 0);
    let summary = invoke(&bench.handler(&[]), job).await.unwrap();
    assert_eq!(summary["results"][0]["outcome"], "archived");
    let events = bench
        .audit(&id(0x13), "e0000000-0000-4000-8000-000000000113")
        .await;
    assert_eq!(
        events[0]["actor"]["requestedBy"], requester,
        "the audit knows who asked"
    );

    let again = run().await;
    assert_eq!(again.code(), Some(0), "{again:?}");
    assert!(again.stderr.contains("this backfill was finished"), "{again:?}");
    assert_eq!(again.summary()["sent"], 5, "as counted before");
    assert_eq!(bench.deferred().len(), 5, "nothing twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_are_applied_to_what_genesys_lists() {
    let bench = three_days().await;
    for (filter, sent) in [
        (&["--media", "callback"][..], 1),
        (&["--direction", "inbound"], 4),
        (&["--queue", QUEUE, "--direction", "outbound"], 1),
        (&["--division", QUEUE], 0),
        (&["--min-duration", "5m", "--media", "voice"], 4),
        (&["--max-duration", "299s"], 0),
    ] {
        let mut dry = command(&bench, &["backfill", "--dry-run", "--json"]);
        let ran = end(dry.args(DAYS).args(filter).spawn().unwrap()).await;
        assert_eq!(ran.summary()["sent"], sent, "{filter:?}: {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_is_said_with_the_way_out() {
    let bench = three_days().await;
    let folder = Folder::new();
    let checkpoint = folder.file("x.checkpoint");
    for (arguments, expected) in [
        (&["backfill"][..], "give --from and --to, or --ids FILE"),
        (
            &["backfill", "--from", "2026-01-09", "--to", "2026-01-05"],
            "--from 2026-01-09 is after --to 2026-01-05",
        ),
        (
            &["backfill", "--from", "2026-01-05", "--to", "2999-01-01"],
            "is in the future",
        ),
        (
            &["backfill", "--from", "5.1.2026"],
            "invalid value '5.1.2026' for '--from",
        ),
        (&["backfill", "--to", "2026-01-05"], "--from"),
        (
            &["backfill", "--from", "2026-01-05", "--ids", "x"],
            "cannot be used with",
        ),
        (
            &["backfill", "--from", "2026-01-05", "--rate", "0"],
            "conversations a minute, at least 1",
        ),
        (
            &["backfill", "--ids", "/nowhere/x.csv", "--checkpoint", &checkpoint],
            "/nowhere/x.csv",
        ),
    ] {
        let ran = archivectl(&bench, arguments).await;
        assert_eq!(ran.code(), Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(expected), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    bench.world.genesys.deny_analytics(true);
    let mut denied = command(&bench, &["backfill", "--dry-run"]);
    let ran = end(denied.args(DAYS).spawn().unwrap()).await;
    assert_eq!(ran.code(), Some(2));
    assert!(
        ran.stderr.contains("analytics:conversationDetail:view"),
        "{}",
        ran.stderr
    );
    let mut queueless = command(&bench, &["backfill", "--checkpoint", &checkpoint]);
    let ran = end(queueless.args(DAYS).env_remove("WORK_QUEUE_URL").spawn().unwrap()).await;
    assert_eq!(ran.code(), Some(2));
    assert!(ran.stderr.contains("set WORK_QUEUE_URL"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_queue_refuses_is_a_finding_and_is_sent_by_the_next_run() {
    let bench = three_days().await;
    let folder = Folder::new();
    let checkpoint = folder.file("x.checkpoint");
    // All but the first of the first day, twice.
    bench.refuse_first_of_batch(2);
    let run = || backfill(&bench, &checkpoint);
    let ran = run().await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(ran.summary()["refused"], 1);
    assert!(
        ran.items().iter().any(|item| item["interactionId"] == id(0x11)),
        "{ran:?}"
    );
    assert!(!sent(&bench).contains_key(&id(0x11)));
    let ran = run().await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let expected = [0x11, 0x13, 0x14, 0x18].map(|number| (id(number), 1));
    assert_eq!(
        sent(&bench),
        BTreeMap::from(expected),
        "the second was taken, so the answer said"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_archives_right_here_with_the_functions_own_code() {
    let bench = Bench::with_a_call().await;
    bench.world.genesys.conversation(CONVERSATION, |conversation| {
        conversation.start = at("2026-01-06T10:00:00Z");
    });
    let mut denied = Conversation::new(id(2)).denied();
    (denied.start, denied.marked) = (at("2026-01-06T11:00:00Z"), Some(true));
    bench.world.genesys.add(denied);
    let folder = Folder::new();
    let checkpoint = folder.file("x.checkpoint");
    let run = || {
        let mut run = command(
            &bench,
            &[
                "backfill",
                "--local",
                "--json",
                "--checkpoint",
                &checkpoint,
                "--rate",
                "6000",
            ],
        );
        end(run
            .args(DAYS)
            .env_remove("WORK_QUEUE_URL")
            .env_remove("EXCEPTION_QUEUE_URL")
            .spawn()
            .unwrap())
    };
    let ran = run().await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert!(bench.object(KEY).await.is_some());
    let events = bench.audit(CONVERSATION, RECORDING).await;
    let version = events[0]["actor"]["functionVersion"].as_str().unwrap();
    assert!(version.starts_with("archivectl "), "{version}");
    assert_eq!(events[0]["actor"]["source"], "operator");
    assert_eq!(
        events[0]["actor"]["identity"], "arn:aws:iam::123456789012:user/simulated",
        "by STS"
    );
    let items = ran.items();
    let of = |id: &str| items.iter().find(|item| item["interactionId"] == id).unwrap();
    assert_eq!(of(CONVERSATION)["outcome"], "archived");
    assert_eq!(of(CONVERSATION)["files"], json!([format!("s3://calls/{KEY}")]));
    assert_eq!(of(&id(2))["outcome"], "failed");
    assert!(
        of(&id(2))["reason"]
            .as_str()
            .unwrap()
            .contains("recording:recording:view"),
        "{items:?}"
    );

    // Mended, the same command does what is left, and only that.
    bench.world.genesys.conversation(&id(2), |conversation| {
        conversation.denied = None;
        let recording = Recording::audio("e0000000-0000-4000-8000-000000000102", [call()]);
        conversation.recordings.push(recording);
    });
    bench.world.wire.forget();
    let ran = run().await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(bench.world.wire.count(Service::S3, "PutObject"), 1);
    assert_eq!(bench.keys().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_takes_no_lock_dates_from_a_clock_that_is_off() {
    let bench = Bench::with_a_call().await;
    let folder = Folder::new();
    let list = folder.file("list.csv");
    std::fs::write(&list, CONVERSATION).unwrap();
    let run = |arguments: &[&str]| {
        let all = [&["backfill", "--ids", &list], arguments].concat();
        end(command(&bench, &all).spawn().unwrap())
    };
    for (service, name) in [(Service::S3, "AWS"), (Service::Genesys, "Genesys")] {
        for (seconds, told) in [(-90, "s ahead of"), (90, "s behind")] {
            let date = bench.clock.now() + SignedDuration::from_secs(seconds);
            let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            bench.world.wire.disturb(move |asked| {
                let about_time = asked.operation == "HeadBucket" || asked.target == "/";
                (asked.service == service && about_time).then(|| Fault::Respond {
                    status: 404,
                    headers: vec![("date".to_owned(), date.clone())],
                    body: Vec::new(),
                })
            });
            let ran = run(&["--local"]).await;
            assert_eq!(ran.code(), Some(2), "{ran:?}");
            for expected in [told, name, "without --local"] {
                assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
            }
            assert!(bench.keys().await.is_empty() && bench.record(CONVERSATION, RECORDING).await.is_none());
            bench.world.wire.calm();
        }
    }
    let ran = run(&["--local"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert!(bench.object(KEY).await.is_some());
}
