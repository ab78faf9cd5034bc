//! Who asked: what AWS says of it, apart from what the caller claims.

use recording_archiver::sim::genesys::{FileState, Recording};
use recording_archiver::sim::{ROLE_ID, genesys::Conversation};
use serde_json::{Value, json};

use crate::support::{Bench, CONVERSATION, RECORDING, call, job, sqs, sqs_from};

/// Returns a bench with a recording that is not ready.
async fn not_ready() -> Bench {
    let recording = Recording::audio(RECORDING, [call()]).state(FileState::Uploading);
    Bench::with(Conversation::new(CONVERSATION).recording(recording)).await
}

/// Returns the job that was sent to the work queue last.
fn last_sent(bench: &Bench) -> Value {
    bench.deferred().pop().unwrap().0
}

/// Returns the actor of the last event.
async fn last_actor(bench: &Bench) -> Value {
    bench.audit(CONVERSATION, RECORDING).await.pop().unwrap()["actor"].clone()
}

fn own_session() -> String {
    format!("{ROLE_ID}:recording-archiver")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_the_function_defers_keeps_who_asked_first() {
    let bench = not_ready().await;
    let mut asked = job();
    asked["requestedBy"] = json!("legal hold LH-1");
    bench.invoke(sqs([asked.to_string()])).await.unwrap();
    let first = last_actor(&bench).await;
    for (name, value) in [
        ("source", "sqs"),
        ("messageId", "m-0"),
        ("senderId", "AIDASIMULATED"),
        ("queueArn", "arn:aws:sqs:us-east-1:123456789012:work"),
        ("requestedBy", "legal hold LH-1"),
    ] {
        assert_eq!(first[name], value, "{name}");
    }
    assert_eq!(
        (&first["origin"], &first["claimed"]),
        (&Value::Null, &Value::Null)
    );
    let origin = json!({"source": "sqs", "messageId": "m-0", "senderId": "AIDASIMULATED"});
    for _ in 0..2 {
        let sent = last_sent(&bench);
        assert_eq!(
            sent["origin"], origin,
            "of the first message, however often it is deferred"
        );
        let again = sqs_from(["{}".to_owned(), sent.to_string()], &own_session());
        bench.invoke(again).await.unwrap();
        let actor = last_actor(&bench).await;
        assert_eq!(
            (&actor["messageId"], &actor["senderId"]),
            (&json!("m-1"), &json!(own_session()))
        );
        assert_eq!((&actor["origin"], &actor["claimed"]), (&origin, &Value::Null));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_somebody_else_sends_is_a_claim_and_goes_no_further() {
    let forged = json!({"source": "eventbridge", "eventId": "e0000000-0000-4000-8000-0000000000ee"});
    let mut asked = job();
    asked["origin"] = forged.clone();
    for sender in [
        "AIDASIMULATED",
        // Another role, a user of that name, and a role whose id goes on.
        "AROAANOTHER:recording-archiver",
        ROLE_ID,
        "AROASIMULATEDARCHIVERS:recording-archiver",
        "",
    ] {
        let bench = not_ready().await;
        bench.invoke(sqs_from([asked.to_string()], sender)).await.unwrap();
        let actor = last_actor(&bench).await;
        assert_eq!(
            (&actor["origin"], &actor["claimed"]),
            (&Value::Null, &forged),
            "{sender}"
        );
        let own = json!({"source": "sqs", "messageId": "m-0", "senderId": sender});
        assert_eq!(last_sent(&bench)["origin"], own);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_id_of_its_role_the_function_believes_no_origin() {
    let bench = not_ready().await;
    let mut asked = job();
    asked["origin"] = json!({"source": "direct"});
    let handler = bench.handler(&[("ARCHIVER_ROLE_ID", "")]);
    let event = sqs_from([asked.to_string()], &own_session());
    crate::support::invoke(&handler, event).await.unwrap();
    let actor = last_actor(&bench).await;
    assert_eq!(
        (&actor["origin"], &actor["claimed"]),
        (&Value::Null, &asked["origin"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_invocation_is_known_by_its_request_alone() {
    let bench = not_ready().await;
    let mut asked = job();
    asked["origin"] = json!({"source": "sqs", "senderId": own_session()});
    bench.invoke(asked.clone()).await.unwrap();
    let actor = last_actor(&bench).await;
    assert_eq!(
        (&actor["origin"], &actor["claimed"]),
        (&Value::Null, &asked["origin"])
    );
    let origin = json!({"source": "direct", "requestId": actor["requestId"]});
    assert_eq!(last_sent(&bench)["origin"], origin);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_to_replay_names_no_origin() {
    let recording = Recording::audio(RECORDING, [call()]).state(FileState::Archived);
    let bench = Bench::with(Conversation::new(CONVERSATION).recording(recording)).await;
    bench.invoke(sqs([job().to_string()])).await.unwrap();
    let case = bench.exceptions().pop().unwrap();
    assert_eq!(case["job"]["conversationId"], CONVERSATION);
    assert_eq!(case["job"]["origin"], Value::Null, "who replays it asks");
}
