//! SQS misbehaves: then the item fails, and SQS keeps it.

use recording_archiver::sim::genesys::{Conversation, FileState, Recording, failure};

use super::*;

/// Returns a bench whose recording is in this state.
async fn in_state(state: FileState) -> Bench {
    let recording = Recording::audio(RECORDING, [call()]).state(state);
    Bench::with_recording(recording).await
}

fn all_failed() -> Value {
    json!({"batchItemFailures": [{"itemIdentifier": "m-0"}]})
}

#[tokio::test]
async fn a_job_that_cannot_be_put_back_or_handed_over_stays_with_its_trigger() {
    for state in [FileState::Uploading, FileState::Deleted, FileState::Error] {
        for fault in [
            json_error(400, "AccessDeniedException"),
            json_error(400, "QueueDoesNotExist"),
            json_error(403, "ThrottlingException"),
            json_error(500, "InternalFailure"),
            Fault::Reset,
        ] {
            let bench = in_state(state).await;
            bench
                .world
                .wire
                .disturb(move |e| (e.service == Service::Sqs).then(|| fault.clone()));
            let answer = bench.invoke(sqs([job().to_string()])).await;
            assert_eq!(answer.as_ref().unwrap(), &all_failed());
            let direct = bench.invoke(job()).await;
            let error = direct.as_ref().unwrap_err();
            assert_eq!(error.disposition(), Disposition::Retry, "{error}");
            assert!(error.to_string().contains("QUEUE_URL"), "{error}");
            assert!(bench.deferred().is_empty() && bench.exceptions().is_empty());
            assert!(bench.keys().await.is_empty() && bench.world.webhook.deliveries().is_empty());
            leaks::assert_none(&bench, &answer).await;
            leaks::assert_none(&bench, &direct).await;
        }
    }
}

#[tokio::test]
async fn once_the_queue_is_back_the_redelivered_job_gets_where_it_belongs() {
    let bench = in_state(FileState::Error).await;
    bench
        .world
        .wire
        .disturb_next(Service::Sqs, "SendMessage", 3, json_error(500, "InternalFailure"));
    assert_eq!(
        bench.invoke(sqs([job().to_string()])).await.unwrap(),
        all_failed()
    );
    assert_eq!(
        bench.invoke(sqs([job().to_string()])).await.unwrap(),
        json!({"batchItemFailures": []})
    );
    assert_eq!(bench.exceptions().len(), 1);
    assert_eq!(bench.state(RECORDING).await, Some(State::Failed));
    bench.audit(CONVERSATION, RECORDING).await;
}

#[tokio::test]
async fn a_send_that_fails_in_passing_is_tried_again() {
    for fault in [json_error(500, "InternalFailure"), Fault::Reset] {
        let bench = in_state(FileState::Uploading).await;
        bench
            .world
            .wire
            .disturb_next(Service::Sqs, "SendMessage", 2, fault);
        bench
            .assert_ended(bench.invoke(job()).await, Ending::Deferred, About::Recording)
            .await;
    }
}

#[tokio::test]
async fn a_poison_message_that_cannot_be_handed_over_stays_too() {
    let bench = Bench::new().await;
    bench
        .world
        .wire
        .disturb(|e| (e.service == Service::Sqs).then(|| json_error(500, "InternalFailure")));
    let answer = bench.invoke(sqs(["tel:+15555550100".to_owned()])).await;
    assert_eq!(answer.as_ref().unwrap(), &all_failed());
    leaks::assert_none(&bench, &answer).await;
}

#[tokio::test]
async fn each_message_of_a_batch_ends_by_itself_whatever_becomes_of_the_others() {
    let bench = Bench::with_a_call().await;
    let other = |n: u32| format!("c0000000-0000-4000-8000-00000000000{n}");
    for n in 2..=3 {
        let id = format!("e0000000-0000-4000-8000-00000000010{n}");
        bench
            .world
            .genesys
            .add(Conversation::new(other(n)).recording(Recording::audio(id, [call()])));
    }
    bench
        .world
        .wire
        .disturb(|e| e.target.contains("0000000002/").then(|| failure(503, "x")));
    bench
        .world
        .wire
        .disturb(|e| e.target.contains("0000000003/").then(|| failure(403, "x")));
    let batch = sqs([
        json!({"conversationId": other(2)}).to_string(),
        "{\"poison".to_owned(),
        json!({"conversationId": other(3)}).to_string(),
        job().to_string(),
    ]);
    let answer = bench.invoke(batch).await;
    assert_eq!(answer.as_ref().unwrap(), &all_failed());
    bench.assert_stored(&call_sha256()).await;
    assert_eq!(bench.state(RECORDING).await, Some(State::Notified));
    bench.assert_told_once(&call_sha256());
    let codes: Vec<_> = bench.exceptions().iter().map(|e| e["code"].clone()).collect();
    assert_eq!(codes.len(), 2);
    assert!(
        codes.contains(&json!("malformed_job")) && codes.contains(&json!("forbidden")),
        "{codes:?}"
    );
    bench.audit(&other(3), "-").await;
    leaks::assert_none(&bench, &answer).await;
}
