//! Limits of Genesys: a bulk job waits for them by messages, and live calls keep what they need of the requests.

use std::time::Duration;

use futures_util::future::join_all;
use recording_archiver::domain::record::State;
use recording_archiver::sim::ROLE_ID;
use serde_json::{Value, json};

use super::*;
use crate::support::{invoke_for, sqs_from};

/// A refusal that names the limit, with a status of its own.
fn named_limit() -> Fault {
    let body = json!({"code": "batch.download.limit", "status": 400,
        "limit": {"key": "batch.jobs.max", "namespace": "recording", "value": 10}});
    Fault::Respond {
        status: 400,
        headers: vec![("retry-after".to_owned(), "200".to_owned())],
        body: body.to_string().into_bytes(),
    }
}

/// Delivers a message. Returns what the function sent of a bulk job, with its delay.
async fn deliver(bench: &Bench, handler: &Handler, job: &Value) -> (Value, i64) {
    let answer = invoke(handler, sqs([job.to_string()])).await.unwrap();
    assert_eq!(
        answer,
        json!({"batchItemFailures": []}),
        "no receive is used up for it"
    );
    bulk_jobs(bench).pop().unwrap()
}

#[tokio::test]
async fn a_refused_submission_waits_by_messages_and_is_not_lost() {
    let bench = bench(2).await;
    let handler = handler(&bench);
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "batch-submit", 1, named_limit());
    wire.disturb_next(Service::Genesys, "batch-submit", 2, Fault::status(429));
    let mut job = bulk(2);
    job["bulk"][1]["conversationEnd"] = json!(bench.clock.now().to_string());
    for (waits, seconds) in [(1, 60), (2, 60), (3, 200)] {
        let (next, delay) = deliver(&bench, &handler, &job).await;
        assert_eq!((&next["waits"], delay), (&json!(waits), seconds));
        assert_eq!(
            (&next["batch"], &next["bulk"]),
            (&Value::Null, &json!([entry(0)]))
        );
        job = next;
    }
    assert_eq!(
        wire.count(Service::Genesys, "batch-submit"),
        3,
        "asked once each time"
    );
    assert_eq!(live_jobs(&bench).len(), 1, "of the one that is too young, once");
    let (submitted, _) = deliver(&bench, &handler, &job).await;
    assert!(submitted["batch"].is_object() && submitted["waits"].is_null());
    Work::of(&bench).run_dry(&handler).await;
    assert_archived(&bench, 0, &wav(0)).await;
    assert_eq!(bench.exceptions().len(), 0);
}

#[tokio::test]
async fn a_refused_poll_is_repeated_once_genesys_takes_it_and_counts_as_none() {
    let bench = bench(1).await;
    let handler = handler(&bench);
    let poll = faults::last_poll(&bench, &handler, bulk(1)).await;
    let limit = Fault::Respond {
        status: 429,
        headers: vec![("inin-ratelimit-reset".to_owned(), "17".to_owned())],
        body: Vec::new(),
    };
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "batch-job", 1, limit);
    let (next, delay) = deliver(&bench, &handler, &poll).await;
    assert_eq!((&next["batch"], delay), (&poll["batch"], 17));
    assert_eq!(next["waits"], 1);
    invoke(&handler, next).await.unwrap();
    assert_archived(&bench, 0, &wav(0)).await;
}

#[tokio::test]
async fn a_submission_that_is_refused_for_a_day_is_left_to_the_live_lane() {
    let bench = bench(1).await;
    let handler = handler(&bench);
    let mut job = bulk(1);
    job["waits"] = json!(100);
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "batch-submit", 1, Fault::status(429));
    work_off(&bench, &handler, &job).await;
    assert_eq!(wire.count(Service::Genesys, "batch-submit"), 1);
    assert_archived(&bench, 0, &wav(0)).await;
    let record = bench.record(&conversation(0), "-").await.unwrap();
    assert_eq!(record.settled_by.as_deref(), Some("details"));
}

#[tokio::test]
async fn bulk_jobs_take_a_quarter_of_the_live_client_and_all_of_their_own() {
    let secret = json!({"clientId": "bulk-client", "clientSecret": "its-secret"});
    for (client, submitted) in [("", 2), ("genesys/bulk", 8)] {
        let bench = bench(1).await;
        let (genesys, aws) = (&bench.world.genesys, &bench.world.aws);
        genesys.set_rate_limit(8);
        genesys.add_client("bulk-client", "its-secret");
        aws.put_secret("genesys/bulk", &secret.to_string()).await.unwrap();
        let handler = bench.handler(&[ORIGINAL, SETTLING, ("GENESYS_BULK_SECRET_ID", client)]);
        for _ in 0..9 {
            let before = bulk_jobs(&bench).len();
            invoke(&handler, bulk(1)).await.unwrap();
            assert_eq!(bulk_jobs(&bench).len(), before + 1);
        }
        let submissions = bench.world.wire.count(Service::Genesys, "batch-submit");
        assert_eq!(submissions, submitted, "{client}");
        let waiting = bulk_jobs(&bench).into_iter().filter(|(job, _)| job["waits"] == 1);
        assert!(waiting.into_iter().all(|(_, delay)| (55..=61).contains(&delay)));
    }
}

/// Requests a minute that Genesys allows a token here: few, so that an hour is short.
const ALLOWED: u32 = 5;

/// Simulated time between two invocations of a container.
const STEP: Duration = Duration::from_secs(30);

/// Bulk jobs that wait for the hour to begin.
const JOBS: usize = 8;

/// Returns a bench with bulk jobs that wait, and live jobs behind them.
async fn rush_hour() -> (Bench, [usize; 2]) {
    let live = [JOBS, JOBS + 1];
    let bench = bench(JOBS + live.len()).await;
    let calls = live.map(|n| json!({"conversationId": conversation(n)}).to_string());
    let early = bench.handler(&[ORIGINAL]);
    invoke(&early, sqs(calls)).await.unwrap();
    bench.world.genesys.set_rate_limit(ALLOWED);
    bench.world.genesys.set_batch_polls(1);
    bench.world.wire.forget();
    (bench, live)
}

/// Lets two containers work for so many steps, each with bulk jobs, and with a live job of one request at every step,
/// which is two fifths of what is allowed. Returns how many messages were left to SQS.
async fn work(bench: &Bench, live: [usize; 2], steps: usize) -> usize {
    let containers = [(); 2].map(|()| bench.handler(&[ORIGINAL]));
    let own = format!("{ROLE_ID}:recording-archiver");
    let mut work = Work::of(bench);
    for n in 0..JOBS {
        work.send(&json!({ "bulk": [entry(n)] }));
    }
    let mut left = 0;
    for _ in 0..steps {
        bench.advance(STEP);
        let mut due = work.due(4).into_iter();
        let invocations = containers.iter().zip(live).map(|(container, live)| {
            let call = json!({"conversationId": conversation(live)}).to_string();
            let messages: Vec<_> = [call].into_iter().chain(due.by_ref().take(2)).collect();
            // A live job that had to wait for the next minute would not end in time.
            invoke_for(container, sqs_from(messages, &own), Duration::from_secs(20))
        });
        for answer in join_all(invocations.collect::<Vec<_>>()).await {
            left += answer.unwrap()["batchItemFailures"].as_array().unwrap().len();
        }
    }
    left
}

/// Returns how many requests to Genesys ended with this status.
fn answered(bench: &Bench, status: u16) -> usize {
    let exchanges = bench.world.wire.exchanges();
    let of = exchanges.iter().filter(|asked| asked.service == Service::Genesys);
    of.filter(|asked| asked.status == Some(status)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_of_live_calls_and_batch_downloads_meets_no_429_and_no_live_call_waits() {
    let (bench, live) = rush_hour().await;
    assert_eq!(
        work(&bench, live, 120).await,
        0,
        "every live job ends when it comes"
    );
    assert_eq!(answered(&bench, 429), 0);
    let requests = answered(&bench, 200);
    assert!(requests >= 240 + 3 * JOBS, "{requests}");
    for n in 0..JOBS {
        let archived = state(&bench, n, &recording(n, 0)).await;
        assert_eq!(archived, Some(State::Notified), "{n}");
    }
    let waited = bulk_jobs(&bench).into_iter().filter(|(job, _)| job["waits"] == 1);
    assert!(waited.count() > 0, "there was more to do than a minute takes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_answers_do_not_tell_the_count_the_same_jobs_meet_429() {
    let (bench, live) = rush_hour().await;
    bench.world.genesys.tell_rate_limit(false);
    work(&bench, live, 2).await;
    assert!(answered(&bench, 429) > 0);
}
