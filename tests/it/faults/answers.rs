//! Answers of Genesys that are not quite what is documented.

use recording_archiver::sim::genesys::Conversation;

use super::*;

/// Every field of `Recording` and `RecordingMetadata` that may be missing without a loss.
const DISPENSABLE: [&str; 20] = [
    "conversationId",
    "media",
    "mediaSubtype",
    "fileState",
    "sessionId",
    "selfUri",
    "startTime",
    "endTime",
    "creationTime",
    "originalRecordingStartTime",
    "deleteDate",
    "archiveDate",
    "region",
    "path",
    "annotations",
    "outputSizeInBytes",
    "actualTranscodeTimeMs",
    "recordingFileRole",
    "externalContacts",
    "recordingErrorStatus",
];

#[tokio::test]
async fn no_dispensable_field_is_needed_nor_minded_as_null() {
    for value in [Some(Value::Null), None] {
        let bench = with(|mut recording| {
            for name in DISPENSABLE {
                recording.fields.insert(name.to_owned(), value.clone());
                recording.metadata_fields.insert(name.to_owned(), value.clone());
            }
            recording
        })
        .await;
        bench
            .assert_archived(bench.invoke(job()).await, &call_sha256())
            .await;
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let odd = json!({"nested": [{"deeper": null}], "number": 1.5e300});
    let bench = with(|recording| {
        recording
            .field("tomorrow", odd.clone())
            .metadata_field("tomorrow", odd)
    })
    .await;
    bench
        .assert_archived(bench.invoke(job()).await, &call_sha256())
        .await;
}

#[tokio::test]
async fn a_recording_without_media_is_not_ready() {
    for uris in [
        Value::Null,
        json!({}),
        json!({"S": null}),
        json!({"S": {}}),
        json!({"S": {"mediaUri": null, "waveformData": null}}),
        json!({"S": {"mediaUri": ""}}),
    ] {
        let bench = with(|recording| recording.field("mediaUris", uris)).await;
        bench
            .assert_ended(bench.invoke(job()).await, Ending::Deferred, About::Recording)
            .await;
    }
}

#[tokio::test]
async fn urls_that_cannot_be_followed_safely_are_not_and_never_shown() {
    let signed = "LEAKED?Signature=LEAKED&Key-Pair-Id=K";
    for uris in [
        json!({"S": format!("https://media.example/{signed}")}),
        json!(format!("https://media.example/{signed}")),
        json!([format!("https://media.example/{signed}")]),
        json!({"S": {"mediaUri": 7}}),
        json!({"S": {"mediaUri": format!("ftp://media.example/{signed}")}}),
        json!({"S": {"mediaUri": format!("file:///{signed}")}}),
        json!({"S": {"mediaUri": format!("//media.example/{signed}")}}),
        json!({"S": {"mediaUri": format!("https://media.example/a/../{signed}")}}),
        json!({"S": {"mediaUri": signed}}),
    ] {
        let bench = with(|recording| recording.field("mediaUris", uris)).await;
        bench
            .assert_ended(bench.invoke(job()).await, Ending::Retry, About::Recording)
            .await;
        assert_eq!(bench.asked(Service::Media, "media"), 0);
    }
}

#[tokio::test]
async fn a_recording_of_another_id_is_not_archived_under_this_one() {
    let other = "e0000000-0000-4000-8000-000000000999";
    let bench = with(|recording| recording.field("id", other)).await;
    let answer = bench.invoke(job()).await;
    assert!(
        answer
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("another recording"),
        "{answer:?}"
    );
    bench.assert_ended(answer, Ending::Retry, About::Recording).await;
}

#[tokio::test]
async fn an_entry_without_a_usable_id_is_reported_and_does_not_take_its_neighbours_down() {
    for id in [
        None,
        Some(Value::Null),
        Some(json!("")),
        Some(json!("../../etc/passwd")),
    ] {
        let bench = Bench::new().await;
        let mut odd = Recording::audio("e0000000-0000-4000-8000-000000000102", [call()]);
        odd.metadata_fields.insert("id".to_owned(), id);
        let good = Recording::audio(RECORDING, [call()]);
        bench
            .world
            .genesys
            .add(Conversation::new(CONVERSATION).recording(odd).recording(good));
        let summary = bench.invoke(job()).await.unwrap();
        let mut outcomes = outcomes(&summary);
        outcomes.sort_unstable();
        assert_eq!(outcomes, ["archived", "failed"]);
        bench.assert_stored(&call_sha256()).await;
        bench.assert_told_once(&call_sha256());
        let exceptions = bench.exceptions();
        assert_eq!(exceptions.len(), 1);
        assert_eq!(exceptions[0]["code"], "rejected");
        assert_eq!(bench.actions(CONVERSATION, "-").await, ["download.failed"]);
        leaks::assert_none(&bench, &Ok(summary)).await;
    }
}

#[tokio::test]
async fn files_get_keys_of_their_own_whatever_genesys_calls_them() {
    for names in [["0", "1"], ["1", "S"], ["0", "00"], ["a", "b"]] {
        let bench = Bench::with_a_call().await;
        let recording = Recording::audio(RECORDING, [call(), Media::generated_wav(10_000, 3)]);
        bench
            .world
            .genesys
            .add(Conversation::new(CONVERSATION).recording(recording));
        let signed = split_answer(&bench).await;
        let uris = &signed["mediaUris"];
        let renamed = json!({names[0]: uris["0"], names[1]: uris["1"]});
        let body = json!({"id": RECORDING, "fileState": "AVAILABLE", "mediaUris": renamed}).to_string();
        bench.world.wire.forget();
        bench.world.wire.disturb(move |e| {
            (e.operation == "recording").then(|| respond(200, "application/json", body.clone()))
        });
        let summary = bench.invoke(job()).await.unwrap();
        assert_eq!(outcomes(&summary), ["archived"], "{names:?}");
        assert_eq!(bench.keys().await.len(), 2, "{names:?}");
        let files = summary["results"][0]["files"].as_array().unwrap().clone();
        assert_eq!(files[0]["sha256"], call_sha256());
        assert_eq!(
            files[1]["sha256"],
            Media::generated_wav(10_000, 3).sha256().unwrap()
        );
        assert_eq!(bench.uploads_in_progress().await, Vec::<String>::new());
        let actions = bench.actions(CONVERSATION, RECORDING).await;
        assert_eq!(
            actions
                .iter()
                .filter(|action| *action == "archive.stored")
                .count(),
            2
        );
    }
}

/// Returns the answer of the API about [`RECORDING`] when both channels are asked for.
async fn split_answer(bench: &Bench) -> Value {
    bench.world.genesys.set_transcoding(0);
    let http = reqwest::Client::new();
    let base = bench.world.genesys.base_url();
    let (id, secret) = bench.world.genesys.credentials();
    let login = http
        .post(format!("{base}/oauth/token"))
        .basic_auth(id, Some(secret));
    let login = login
        .form(&[("grant_type", "client_credentials")])
        .send()
        .await
        .unwrap();
    let token = login.json::<Value>().await.unwrap()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let url = format!("{base}/api/v2/conversations/{CONVERSATION}/recordings/{RECORDING}?formatId=WAV");
    http.get(url)
        .bearer_auth(token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap()
}
