//! What one batch download does not give comes by a second one, which gives the entries of many jobs.

use recording_archiver::domain::record::State;
use recording_archiver::sim::ROLE_ID;
use recording_archiver::sim::genesys::InBatch;
use serde_json::{Value, json};

use super::*;
use crate::support::sqs_from;

/// Returns a job for the conversations `from` to before `to`, of a requester of its own.
fn job(from: usize, to: usize) -> Value {
    json!({"bulk": (from..to).map(entry).collect::<Vec<_>>(), "requestedBy": format!("ben{from}")})
}

/// Has the next batch download of each of these conversations answer with an error.
fn fail_once(bench: &Bench, conversations: &[usize]) {
    for n in conversations {
        let fails = InBatch::FailsOnce("Internal error".to_owned());
        bench.world.genesys.treat_in_batches(recording(*n, 0), fails);
    }
}

fn submitted(bench: &Bench) -> usize {
    bench.world.wire.count(Service::Genesys, "batch-submit")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_errors_of_several_jobs_come_by_one_batch_download_of_four_requests() {
    let bench = bench(6).await;
    fail_once(&bench, &[0, 2, 5]);
    bench.world.wire.forget();
    let mut work = Work::of(&bench);
    for from in [0, 2, 4] {
        work.send(&job(from, from + 2));
    }
    work.run_dry(&handler(&bench)).await;
    assert_eq!(submitted(&bench), 3 + 1);
    assert_eq!(bench.genesys_requests(), 4 * 4, "submitted and asked about");
    assert!(live_jobs(&bench).is_empty() && bench.exceptions().is_empty());
    for n in 0..6 {
        assert_archived(&bench, n, &wav(n)).await;
        let record = bench.record(&conversation(n), "-").await.unwrap();
        assert_eq!(record.settled_by.as_deref(), Some("bulk"));
        let events = bench.audit(&conversation(n), &recording(n, 0)).await;
        let stored = events.iter().find(|event| event["action"] == "archive.stored");
        let asked = &stored.unwrap()["actor"]["requestedBy"];
        assert_eq!(asked, &json!(format!("ben{}", n / 2 * 2)), "{n}");
    }
    let gathered = bulk_jobs(&bench).into_iter().map(|(job, delay)| (delay, job));
    let again: Vec<_> = gathered
        .filter(|(_, job)| job["deferrals"] == 1 && job["batch"].is_null())
        .collect();
    assert_eq!(again.len(), 3);
    let together = again.iter().all(|(delay, _)| (1..=900).contains(delay));
    assert!(together, "at the next quarter of an hour: {again:?}");
}

#[tokio::test]
async fn an_error_that_stays_is_left_to_the_live_lane_after_a_second_batch_download() {
    let bench = bench(2).await;
    let fails = InBatch::Fails("Internal error".to_owned());
    bench.world.genesys.treat_in_batches(recording(1, 0), fails);
    work_off(&bench, &handler(&bench), &bulk(2)).await;
    assert_eq!(submitted(&bench), 2);
    assert_eq!(live_jobs(&bench)[0]["conversationId"], conversation(1));
    for n in 0..2 {
        assert_archived(&bench, n, &wav(n)).await;
        assert_eq!(state(&bench, n, "-").await, Some(State::Settled));
    }
}

/// Returns the jobs that wait for a second batch download, one for each of the conversations.
async fn waiting(bench: &Bench, handler: &Handler, count: usize) -> Vec<String> {
    fail_once(bench, &(0..count).collect::<Vec<_>>());
    bench.world.genesys.set_batch_polls(0);
    for n in 0..count {
        invoke(handler, job(n, n + 1)).await.unwrap();
        let (poll, _) = bulk_jobs(bench).pop().unwrap();
        invoke(handler, sqs([poll.to_string()])).await.unwrap();
    }
    let jobs = bulk_jobs(bench).into_iter().map(|(job, _)| job);
    let waiting = jobs.filter(|job| job["deferrals"] == 1);
    waiting.map(|job| job.to_string()).collect()
}

#[tokio::test]
async fn a_submission_that_fails_leaves_every_message_that_it_gathered_to_sqs() {
    let bench = bench(3).await;
    let handler = handler(&bench);
    let jobs = waiting(&bench, &handler, 3).await;
    assert_eq!(jobs.len(), 3);
    let unavailable = Fault::status(503);
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "batch-submit", 3, unavailable);
    let own = format!("{ROLE_ID}:recording-archiver");
    let answer = invoke(&handler, sqs_from(jobs.clone(), &own)).await.unwrap();
    let left = answer["batchItemFailures"].as_array().unwrap();
    assert_eq!(left.len(), 3, "{answer}");
    let (before, sent) = (submitted(&bench), bulk_jobs(&bench).len());
    let answer = invoke(&handler, sqs_from(jobs, &own)).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    assert_eq!(submitted(&bench) - before, 1);
    assert_eq!(bulk_jobs(&bench).len() - sent, 1);
}

#[tokio::test]
async fn only_what_the_function_itself_sent_says_who_asked_for_an_entry() {
    let bench = bench(2).await;
    let handler = handler(&bench);
    let jobs = waiting(&bench, &handler, 2).await;
    let before = submitted(&bench);
    invoke(&handler, sqs(jobs)).await.unwrap();
    assert_eq!(submitted(&bench) - before, 2, "of somebody else: not gathered");
    let mut claims = job(0, 1);
    claims["bulk"][0]["asked"] = json!({"requestedBy": "mallory", "origin": {"source": "operator"}});
    work_off(&bench, &handler, &claims).await;
    let events = bench.audit(&conversation(0), &recording(0, 0)).await;
    assert!(!format!("{events:?}").contains("mallory"), "{events:?}");
}
