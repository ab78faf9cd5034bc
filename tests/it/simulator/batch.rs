//! Batch downloads: what is asked for, what comes of it, and who may see it.

use recording_archiver::sim::genesys::{Conversation, FileState, InBatch, Kind, Media, Recording};
use recording_archiver::sim::wire::Service;
use serde_json::{Value, json};

use super::{Answer, CONVERSATION, Cloud, RECORDING, call};
use crate::openapi::assert_declared;
use crate::support::sha256;

const SUBMIT: &str = "/api/v2/recording/batchrequests";
const JOB: &str = "/api/v2/recording/batchrequests/{jobId}";

/// More polls than any job here takes that completes at all.
const MANY: usize = 10;

fn recording(number: usize) -> String {
    format!("e0000000-0000-4000-8000-{number:012}")
}

fn wav(seed: u64) -> Media {
    Media::generated_wav(1_000, seed)
}

/// Returns an item for all recordings of the conversation.
fn whole() -> Value {
    json!({ "conversationId": CONVERSATION })
}

impl Cloud {
    async fn submit(&self, items: &Value) -> Answer {
        let body = json!({ "batchDownloadRequestList": items });
        self.post(SUBMIT, &body).await
    }

    /// Submits a batch that has to be accepted. Returns its id.
    async fn batch(&self, items: &Value) -> String {
        let answer = self.submit(items).await;
        assert_declared("post", SUBMIT, 200, &answer.body);
        assert_eq!(answer.status, 200);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    async fn poll(&self, id: &str) -> Value {
        let answer = self.get(&JOB.replace("{jobId}", id)).await;
        assert_eq!(answer.status, 200);
        assert_declared("get", JOB, 200, &answer.body);
        answer.json()
    }

    /// Polls a batch until it completes. Returns its results by recording, sorted.
    async fn results(&self, id: &str) -> Vec<Value> {
        for _ in 0..MANY {
            let job = self.poll(id).await;
            if job["status"] == "Completed" {
                let mut results = job["results"].as_array().unwrap().clone();
                results.sort_by_key(|result| result["recordingId"].to_string());
                return results;
            }
        }
        panic!("the batch does not complete");
    }

    async fn fetch(&self, result: &Value) -> Answer {
        Answer::of(self.http.get(result["resultUrl"].as_str().unwrap())).await
    }
}

/// Returns a cloud whose conversation has so many calls.
async fn with_calls(count: usize) -> Cloud {
    let cloud = Cloud::start().await;
    let calls = (0..count).map(|number| Recording::audio(recording(number), [wav(number as u64)]));
    let conversation = calls.fold(Conversation::new(CONVERSATION), Conversation::recording);
    cloud.genesys.add(conversation);
    cloud
}

fn errors(results: &[Value]) -> Vec<&str> {
    results
        .iter()
        .filter_map(|result| result["errorMsg"].as_str())
        .collect()
}

#[tokio::test]
async fn equal_counts_are_not_the_end_of_a_batch() {
    let cloud = with_calls(6).await;
    let id = cloud.batch(&json!([whole()])).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let job = cloud.poll(&id).await;
        assert_eq!(job["expectedResultCount"], job["resultCount"]);
        assert_eq!(job["results"].as_array().unwrap().len(), job["resultCount"]);
        seen.push((job["status"].clone(), job["resultCount"].clone()));
    }
    let expected = [("InProgress", 0), ("InProgress", 2), ("Completed", 6)];
    assert_eq!(
        seen,
        expected.map(|(status, count)| (json!(status), json!(count)))
    );
    assert_eq!(cloud.wire.count(Service::Genesys, "batch-submit"), 1);
    assert_eq!(cloud.wire.count(Service::Genesys, "batch-job"), 3);
}

#[tokio::test]
async fn results_come_in_another_order_than_they_were_asked_for() {
    let cloud = with_calls(20).await;
    let items =
        (0..20).map(|number| json!({"conversationId": CONVERSATION, "recordingId": recording(number)}));
    let id = cloud.batch(&items.collect()).await;
    cloud.genesys.set_batch_polls(0);
    let order = |job: Value| -> Vec<String> {
        let results = job["results"].as_array().unwrap().iter();
        results.map(|result| result["recordingId"].to_string()).collect()
    };
    cloud.results(&id).await;
    let (one, other) = (order(cloud.poll(&id).await), order(cloud.poll(&id).await));
    assert_eq!(one.len(), 20);
    assert!(!one.is_sorted() && one != other, "{one:?}");
}

#[tokio::test]
async fn a_hundred_items_are_the_most_and_each_names_a_conversation() {
    let cloud = with_calls(1).await;
    let items = |count| Value::from(vec![whole(); count]);
    cloud.batch(&items(100)).await;
    let refused = cloud.submit(&items(101)).await;
    assert_eq!(refused.status, 400);
    assert_declared("post", SUBMIT, 400, &refused.body);
    assert_eq!(refused.json()["code"], "batch.download.too.many.items");
    for invalid in [
        json!([]),
        Value::Null,
        json!([{ "recordingId": RECORDING }]),
        json!([{ "conversationId": "all" }]),
        json!([{ "conversationId": CONVERSATION, "recordingId": 7 }]),
    ] {
        let refused = cloud.submit(&invalid).await;
        assert_eq!(refused.status, 400, "{invalid}");
        assert_eq!(refused.json()["code"], "invalid.value", "{invalid}");
    }
}

#[tokio::test]
async fn only_the_client_that_submitted_a_batch_reads_it() {
    let mut cloud = with_calls(1).await;
    let id = cloud.batch(&json!([whole()])).await;
    let path = JOB.replace("{jobId}", &id);
    let first = cloud.token.clone();
    cloud.genesys.add_client("another-client", "its-secret");
    assert_eq!(cloud.ask_for_token("another-client", "wrong").await.status, 400);
    let granted = cloud.ask_for_token("another-client", "its-secret").await.json();
    cloud.token = granted["access_token"].as_str().unwrap().to_owned();
    let refused = cloud.get(&path).await;
    assert_eq!(refused.status, 403);
    assert_declared("get", JOB, 403, &refused.body);
    assert_eq!(refused.json()["code"], "batch.download.permission.denied");
    // Another token of the client that submitted is as good.
    cloud.token = cloud.log_in().await;
    assert_ne!(cloud.token, first);
    assert_eq!(cloud.get(&path).await.status, 200);
    let unknown = cloud.get(&JOB.replace("{jobId}", CONVERSATION)).await;
    assert_eq!(unknown.status, 404);
    assert_declared("get", JOB, 404, &unknown.body);
}

#[tokio::test]
async fn to_submit_needs_a_permission_and_to_read_needs_none() {
    let cloud = with_calls(1).await;
    let id = cloud.batch(&json!([whole()])).await;
    for kind in [
        "recording",
        "recordingSegment",
        "snippetRecording",
        "screenRecording",
    ] {
        cloud.genesys.deny(&format!("recording:{kind}:view"), true);
    }
    let refused = cloud.submit(&json!([whole()])).await;
    assert_eq!(refused.status, 403);
    assert_declared("post", SUBMIT, 403, &refused.body);
    cloud.poll(&id).await;
}

#[tokio::test]
async fn a_call_comes_as_it_was_recorded() {
    let media = wav(7);
    let cloud = Cloud::with(call(&media)).await;
    let id = cloud.batch(&json!([whole()])).await;
    let results = cloud.results(&id).await;
    assert_eq!(results[0]["contentType"], "audio/wav");
    let answer = cloud.fetch(&results[0]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("audio/wav"));
    assert_eq!(sha256(&answer.body), media.sha256().unwrap());
}

#[tokio::test]
async fn another_poll_does_not_renew_an_expired_url() {
    let cloud = with_calls(1).await;
    let id = cloud.batch(&json!([whole()])).await;
    let before = cloud.results(&id).await;
    cloud.genesys.expire_urls();
    let after = cloud.results(&id).await;
    assert_eq!(before, after);
    assert_eq!(cloud.fetch(&after[0]).await.status, 403);
}

#[tokio::test]
async fn a_recording_can_have_several_results_or_an_error_or_none() {
    let cloud = Cloud::start().await;
    let (two, failing, left_out) = (recording(1), recording(2), recording(3));
    let channels = [wav(1), wav(2)];
    let hashes = [0, 1].map(|channel: usize| channels[channel].sha256().unwrap());
    let conversation = Conversation::new(CONVERSATION)
        .recording(Recording::audio(&two, channels))
        .recording(Recording::audio(&failing, [wav(3)]))
        .recording(Recording::audio(&left_out, [wav(4)]));
    cloud.genesys.add(conversation);
    cloud.genesys.treat_in_batches(&two, InBatch::PerChannel);
    cloud.genesys.treat_in_batches(&left_out, InBatch::LeftOut);
    let text = "Internal error".to_owned();
    cloud.genesys.treat_in_batches(&failing, InBatch::Fails(text));
    let id = cloud.batch(&json!([whole()])).await;
    let results = cloud.results(&id).await;
    let of: Vec<_> = results
        .iter()
        .map(|result| result["recordingId"].as_str().unwrap())
        .collect();
    assert_eq!(of, [&two, &two, &failing], "nothing tells of {left_out}");
    assert_eq!(errors(&results), ["Internal error"]);
    assert!(results[2].get("resultUrl").is_none());
    let mut fetched = Vec::new();
    for result in &results[..2] {
        fetched.push(sha256(&cloud.fetch(result).await.body));
    }
    fetched.sort();
    let mut expected = Vec::from(hashes);
    expected.sort();
    assert_eq!(fetched, expected);
    let job = cloud.poll(&id).await;
    assert_eq!((&job["resultCount"], &job["errorCount"]), (&json!(3), &json!(1)));
}

#[tokio::test]
async fn what_is_archived_or_unknown_is_an_error_of_its_own() {
    let archived = Recording::audio(RECORDING, [wav(1)]).state(FileState::Archived);
    let cloud = Cloud::with(archived).await;
    let unknown = "c0000000-0000-4000-8000-00000000ffff";
    let items = json!([
        whole(),
        { "conversationId": CONVERSATION, "recordingId": recording(9) },
        { "conversationId": unknown },
    ]);
    let id = cloud.batch(&items).await;
    let results = cloud.results(&id).await;
    assert_eq!(results.len(), 3);
    assert_eq!(errors(&results).len(), 3);
    let whole = results
        .iter()
        .find(|result| result["conversationId"] == unknown)
        .unwrap();
    assert!(whole.get("recordingId").is_none(), "no recording was named");
}

#[tokio::test]
async fn chats_mails_and_messages_are_transcripts_in_json() {
    for kind in [Kind::Chat, Kind::Email, Kind::Message] {
        let cloud = Cloud::with(Recording::text(RECORDING, kind, Media::bytes("a ZIP or an EML"))).await;
        let id = cloud.batch(&json!([whole()])).await;
        let results = cloud.results(&id).await;
        assert_eq!(results[0]["contentType"], "application/json");
        let answer = cloud.fetch(&results[0]).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.json()[0].is_object(), "{kind:?}");
    }
}

#[tokio::test]
async fn a_batch_may_never_complete() {
    let cloud = with_calls(3).await;
    cloud.genesys.stick_batches(1);
    let id = cloud.batch(&json!([whole()])).await;
    for _ in 0..MANY {
        assert_eq!(cloud.poll(&id).await["status"], "InProgress");
    }
    assert_eq!(cloud.poll(&id).await["resultCount"], 2);
    let next = cloud.batch(&json!([whole()])).await;
    assert_eq!(cloud.results(&next).await.len(), 3);
}
