//! `archivectl redrive`: cases and dead letters go back to the work queue.

use std::time::Duration;

use recording_archiver::sim::genesys::{Conversation, FileState, Recording};
use recording_archiver::sim::wire::{Fault, Service};
use serde_json::json;

use super::archivectl;
use crate::support::{Bench, CONVERSATION, KEY, RECORDING, call, invoke, job};

/// Returns the messages that can be received from a queue now; they stay there.
async fn waiting(bench: &Bench, queue: &str) -> Vec<String> {
    let sqs = bench.world.aws.sqs();
    let receive = sqs.receive_message().queue_url(queue).max_number_of_messages(10);
    let mut bodies = Vec::new();
    for message in receive.send().await.unwrap().messages.unwrap_or_default() {
        let show = sqs
            .change_message_visibility()
            .queue_url(queue)
            .visibility_timeout(0);
        let show = show.receipt_handle(message.receipt_handle.unwrap());
        show.send().await.unwrap();
        bodies.push(message.body.unwrap());
    }
    bodies
}

/// Returns a bench with one case in the exception queue: the permission is missing.
async fn with_a_case() -> Bench {
    let bench = Bench::with_a_call().await;
    let deny = |denied: Option<&str>| {
        let denied = denied.map(str::to_owned);
        bench
            .world
            .genesys
            .conversation(CONVERSATION, |conversation| conversation.denied = denied)
            .unwrap();
    };
    deny(Some("missing.any.permissions"));
    assert_eq!(bench.archive().await[0]["outcome"], "failed");
    deny(None);
    assert_eq!(waiting(&bench, &bench.world.exception_queue).await.len(), 1);
    bench
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_goes_back_once_its_cause_is_mended_and_is_archived() {
    let bench = with_a_case().await;
    let exceptions = &bench.world.exception_queue;
    for (arguments, sent, left) in [
        (&["--dry-run"][..], 1, 0),
        (&["--code", "never_ready"], 0, 1),
        (&["--older-than", "1h", "--yes"], 0, 1),
        (&["--limit", "0", "--yes"], 0, 0),
    ] {
        let ran = archivectl(&bench, &[&["redrive", "--json"], arguments].concat()).await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        let summary = ran.summary();
        assert_eq!(
            (&summary["sent"], &summary["left"]),
            (&json!(sent), &json!(left)),
            "{arguments:?}"
        );
        assert!(bench.deferred().is_empty());
        assert_eq!(
            waiting(&bench, exceptions).await.len(),
            1,
            "it can be received at once"
        );
    }
    let ran = archivectl(&bench, &["redrive", "--code", "forbidden", "--newer-than", "1h"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains(&format!("sent {CONVERSATION} forbidden")),
        "{}",
        ran.stdout
    );
    assert!(waiting(&bench, exceptions).await.is_empty());
    let (job, _) = bench.deferred().remove(0);
    let summary = invoke(&bench.handler(&[]), job).await.unwrap();
    assert_eq!(summary["results"][0]["outcome"], "archived");
    assert!(bench.object(KEY).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_of_every_shape_go_back_and_what_is_none_stays() {
    let bench = Bench::with_a_call().await;
    let letters = bench.world.aws.create_queue("dead-letters").await.unwrap();
    let event =
        std::fs::read_to_string(crate::support::project().join("events/01-customer-end-voice.archived.json"));
    let failed = json!({"version": "1.0", "requestContext": {"condition": "RetriesExhausted"}, "requestPayload": job()});
    for body in [
        job().to_string(),
        event.unwrap(),
        failed.to_string(),
        "buy milk".to_owned(),
    ] {
        let send = bench.world.aws.sqs().send_message().queue_url(&letters);
        send.message_body(body).send().await.unwrap();
    }
    let ran = archivectl(&bench, &["redrive", "--yes", "--queue", &letters, "--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let summary = ran.summary();
    assert_eq!((&summary["sent"], &summary["unreadable"]), (&json!(3), &json!(1)));
    assert_eq!(summary["byCode"], json!({"RetriesExhausted": 1, "no code": 2}));
    assert_eq!(waiting(&bench, &letters).await, ["buy milk"]);
    assert_eq!(bench.deferred().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_on_the_way_loses_nothing() {
    let bench = with_a_case().await;
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Sqs, "SendMessageBatch", 1, Fault::status(403));
    let ran = archivectl(&bench, &["redrive", "--yes"]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(ran.stderr.contains("sending to the work queue"), "{}", ran.stderr);
    assert_eq!(waiting(&bench, &bench.world.exception_queue).await.len(), 1);
    wire.disturb_next(Service::Sqs, "DeleteMessageBatch", 1, Fault::status(403));
    let ran = archivectl(&bench, &["redrive", "--yes"]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(ran.stderr.contains("deleting what was sent"), "{}", ran.stderr);
    assert_eq!(bench.deferred().len(), 1, "sent first, deleted after");
    for (queue, expected) in [
        ("nonsense", "accepted: exceptions, dead-letters"),
        ("dead-letters", "WORK_DEAD_LETTER_QUEUE_URL"),
    ] {
        let ran = archivectl(&bench, &["redrive", "--yes", "--queue", queue]).await;
        assert_eq!(ran.code(), Some(2), "{ran:?}");
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_ready_in_time_is_waited_for_anew() {
    let recording = Recording::audio(RECORDING, [call()]).state(FileState::Uploading);
    let conversation = Conversation::new(CONVERSATION).recording(recording);
    let bench = Bench::with(conversation).await;
    assert_eq!(bench.archive().await[0]["outcome"], "deferred");
    bench.clock.advance(Duration::from_secs(2 * 86_400));
    let (again, _) = bench.deferred().remove(0);
    assert_eq!(
        bench.invoke(again).await.unwrap()["results"][0]["outcome"],
        "failed"
    );
    assert_eq!(bench.exceptions()[0]["code"], "never_ready");
    let ran = archivectl(&bench, &["redrive", "--code", "never_ready"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let (job, _) = bench.deferred().pop().unwrap();
    let summary = bench.invoke(job).await.unwrap();
    assert_eq!(summary["results"][0]["outcome"], "deferred", "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_again_while_it_runs_stays() {
    let bench = with_a_case().await;
    let exceptions = &bench.world.exception_queue;
    let case = waiting(&bench, exceptions).await.remove(0);
    // The cause is not fixed: each job that is sent becomes a case again at once.
    let failing = async {
        let mut failed = 0;
        while failed < 3 {
            if bench.deferred().len() > failed {
                let send = bench.world.aws.sqs().send_message().queue_url(exceptions);
                send.message_body(&case).send().await.unwrap();
                failed += 1;
            }
            tokio::task::yield_now().await;
        }
    };
    let redrive = archivectl(
        &bench,
        &["redrive", "--code", "forbidden", "--newer-than", "2d", "--json"],
    );
    let ran = tokio::select! {
        ran = redrive => ran,
        () = failing => panic!("it sends what it has just caused"),
    };
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let summary = ran.summary();
    assert_eq!(
        ["sent", "left", "cameMeanwhile"].map(|name| summary[name].as_u64().unwrap()),
        [1, 0, 1],
        "{summary}"
    );
    assert_eq!(bench.deferred().len(), 1);
    assert_eq!(waiting(&bench, exceptions).await.len(), 1, "for the next run");
}
