//! Recordings of a conversation.

use recording_archiver::sim::genesys::{
    Annotation, Conversation, FileState, Kind, Mark, Media, Recording, TranscodingBody,
};
use recording_archiver::sim::wire::Service;
use serde_json::{Value, json};

use super::{CONVERSATION, Cloud, RECORDING, call, uri};
use crate::openapi::assert_declared;

const METADATA: &str = "/api/v2/conversations/{conversationId}/recordingmetadata";
const METADATA_ONE: &str = "/api/v2/conversations/{conversationId}/recordingmetadata/{recordingId}";
const RECORDINGS: &str = "/api/v2/conversations/{conversationId}/recordings";
const ONE: &str = "/api/v2/conversations/{conversationId}/recordings/{recordingId}";
const SECOND: &str = "e0000000-0000-4000-8000-000000000002";

fn states(metadata: &Value) -> Vec<&str> {
    let list = metadata.as_array().unwrap().iter();
    list.map(|recording| recording["fileState"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn metadata_and_recording_are_as_declared_in_every_state() {
    for state in FileState::ALL {
        let cloud = Cloud::with(call(&Media::generated_wav(1000, 1)).state(state)).await;
        let list = cloud.metadata().await;
        assert_eq!(list.status, 200);
        assert_declared("get", METADATA, 200, &list.body);
        assert_eq!(states(&list.json()), [state.as_str()]);
        assert_eq!(list.json()[0]["region"], "eu-central-1");
        assert!(list.json()[0].get("mediaUris").is_none());

        let one = METADATA_ONE.replace("{conversationId}", CONVERSATION);
        let one = cloud.get(&one.replace("{recordingId}", RECORDING)).await;
        assert_declared("get", METADATA_ONE, 200, &one.body);

        let recording = cloud.recording("?formatId=WAV&download=true").await;
        assert_eq!(recording.status, 200);
        assert_declared("get", ONE, 200, &recording.body);
        let playable = matches!(state, FileState::Available | FileState::Restored);
        for field in ["mediaUris", "startTime", "endTime", "sessionId"] {
            assert_eq!(
                recording.json().get(field).is_some(),
                playable,
                "{field} in {state:?}"
            );
        }
        let all = cloud.recordings().await;
        assert_declared("get", RECORDINGS, 200, &all.body);
        assert_eq!(states(&all.json()), [state.as_str()]);
    }
}

#[tokio::test]
async fn each_channel_has_a_file_and_a_download_is_merged() {
    let (left, right) = (Media::generated_wav(1000, 1), Media::generated_wav(1000, 2));
    let merged = Media::generated_wav(2000, 3);
    let recording = Recording::audio(RECORDING, [left, right]).merged(merged);
    let cloud = Cloud::with(recording.with_figures()).await;
    let split = cloud.recording("?formatId=WAV").await.json();
    let keys: Vec<_> = split["mediaUris"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["0", "1"]);
    assert_eq!(split["outputSizeInBytes"], 2000);
    let whole = cloud.recording("?formatId=WAV&download=true").await.json();
    let keys: Vec<_> = whole["mediaUris"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["S"]);
    assert_ne!(uri(&split, "0"), uri(&split, "1"));
    assert!(uri(&whole, "S").starts_with(&cloud.genesys.media_base_url()));
    assert!(uri(&whole, "S").contains("/isDownloading%3Atrue_format%3AWAV_"));
}

#[tokio::test]
async fn a_recording_is_transcoded_for_each_format_anew() {
    for (body, bytes) in [
        (TranscodingBody::Empty, Some("")),
        (TranscodingBody::Null, Some("null")),
        (TranscodingBody::Stub, None),
    ] {
        let recording = call(&Media::bytes("RIFF")).transcoding(2, body);
        let cloud = Cloud::with(recording).await;
        for format in ["WAV", "MP3"] {
            for _ in 0..2 {
                let answer = cloud.recording(&format!("?formatId={format}")).await;
                assert_eq!(answer.status, 202);
                match bytes {
                    Some(bytes) => assert_eq!(answer.body, bytes.as_bytes()),
                    None => {
                        assert_declared("get", ONE, 202, &answer.body);
                        assert!(answer.json().get("mediaUris").is_none());
                    }
                }
            }
            let answer = cloud.recording(&format!("?formatId={format}")).await;
            assert_eq!(answer.status, 200);
        }
        assert_eq!(cloud.wire.count(Service::Genesys, "recording"), 6);
    }
}

#[tokio::test]
async fn the_first_request_for_a_recording_starts_the_transcoding() {
    let cloud = Cloud::with(call(&Media::bytes("RIFF"))).await;
    cloud.genesys.set_transcoding(1); // as it is unless a test says otherwise
    for format in ["WAV", "MP3"] {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(cloud.recording(&format!("?formatId={format}")).await.status);
        }
        assert_eq!(statuses, [202, 200, 200], "{format}");
    }
    let chat = Recording::text(SECOND, Kind::Chat, Media::bytes("PK"));
    cloud.genesys.add(Conversation::new(CONVERSATION).recording(chat));
    let path = format!("/api/v2/conversations/{CONVERSATION}/recordings/{SECOND}");
    assert_eq!(
        cloud.get(&path).await.status,
        200,
        "there is nothing to transcode"
    );
    assert_eq!(cloud.get(&format!("{path}?download=true")).await.status, 202);
    let fresh = recording_archiver::sim::genesys::Genesys::start(&cloud.wire, 0, 0);
    assert_eq!(fresh.await.unwrap().transcoding(), 1);
}

#[tokio::test]
async fn a_202_can_say_when_to_come_back() {
    let cloud = Cloud::with(call(&Media::bytes("RIFF")).transcoding(2, TranscodingBody::Empty)).await;
    assert_eq!(cloud.recording("").await.header("retry-after"), None);
    let say = |recording: &mut Recording| recording.transcoding_retry_after = Some(7);
    cloud.genesys.recording(RECORDING, say).unwrap();
    assert_eq!(cloud.recording("").await.header("retry-after"), Some("7"));
}

#[tokio::test]
async fn dates_of_retention_are_in_metadata_and_recording() {
    let mut recording = call(&Media::bytes("RIFF"));
    recording.archive_date = Some("2026-04-15T00:00:00Z".parse().unwrap());
    recording.delete_date = Some("2027-01-15T00:00:00Z".parse().unwrap());
    let cloud = Cloud::with(recording).await;
    let (list, one) = (cloud.metadata().await, cloud.recording("").await);
    assert_declared("get", METADATA, 200, &list.body);
    assert_declared("get", ONE, 200, &one.body);
    for body in [&list.json()[0], &one.json()] {
        assert_eq!(body["archiveDate"], "2026-04-15T00:00:00.000Z");
        assert_eq!(body["deleteDate"], "2027-01-15T00:00:00.000Z");
    }
}

#[tokio::test]
async fn the_list_says_202_without_a_body_while_one_is_transcoded() {
    let cloud = Cloud::with(call(&Media::bytes("RIFF")).transcoding(1, TranscodingBody::Stub)).await;
    let first = cloud.recordings().await;
    assert_eq!(first.status, 202);
    assert_declared("get", RECORDINGS, 202, &first.body);
    assert_eq!(cloud.recordings().await.status, 200);
}

#[tokio::test]
async fn recordings_turn_up_one_after_another_and_become_available() {
    let late = Recording::audio(SECOND, [Media::bytes("RIFF")]).appears_after(2);
    let restored = call(&Media::bytes("RIFF"))
        .state(FileState::Restoring)
        .then_after(1, FileState::Available);
    let cloud = Cloud::start().await;
    let conversation = Conversation::new(CONVERSATION)
        .recording(restored)
        .recording(late);
    cloud.genesys.add(conversation.empty_for(1));
    let mut seen = Vec::new();
    for _ in 0..4 {
        let list = cloud.metadata().await;
        assert_declared("get", METADATA, 200, &list.body);
        seen.push(states(&list.json()).join(" "));
    }
    assert_eq!(
        seen,
        ["", "RESTORING", "AVAILABLE AVAILABLE", "AVAILABLE AVAILABLE"]
    );
}

#[tokio::test]
async fn fields_can_be_null_missing_or_unknown() {
    let recording = call(&Media::bytes("RIFF"))
        .field("mediaUris", Value::Null)
        .field("somethingNew", json!({ "deep": [1] }))
        .without("sessionId")
        .metadata_field("region", "eu-west-3")
        .metadata_without("media");
    let cloud = Cloud::with(recording).await;
    let body = cloud.recording("").await.json();
    assert_eq!(body.get("mediaUris"), Some(&Value::Null));
    assert_eq!(body["somethingNew"]["deep"][0], 1);
    assert_eq!(body.get("sessionId"), None);
    let metadata = cloud.metadata().await.json();
    assert_eq!(metadata[0]["region"], "eu-west-3");
    assert_eq!(metadata[0].get("media"), None);
}

#[tokio::test]
async fn unknown_and_denied_conversations_are_errors_as_declared() {
    let cloud = Cloud::with(call(&Media::bytes("RIFF"))).await;
    let unknown = cloud.get(&METADATA.replace("{conversationId}", SECOND)).await;
    assert_declared("get", METADATA, 404, &unknown.body);
    assert_eq!(unknown.json()["code"], "conversation.not.found");
    let path = ONE.replace("{conversationId}", CONVERSATION);
    let unknown = cloud.get(&path.replace("{recordingId}", SECOND)).await;
    assert_declared("get", ONE, 404, &unknown.body);
    assert_eq!(unknown.json()["code"], "not.found");
    let bad = cloud.recording("?formatId=AIFF").await;
    assert_eq!(bad.status, 400);
    assert_declared("get", ONE, 400, &bad.body);
    let deny = |conversation: &mut Conversation| conversation.denied = Some("missing.any.permissions".into());
    cloud.genesys.conversation(CONVERSATION, deny).unwrap();
    for answer in [cloud.metadata().await, cloud.recordings().await] {
        assert_eq!(answer.status, 403);
        assert_declared("get", METADATA, 403, &answer.body);
        assert_eq!(answer.json()["code"], "missing.any.permissions");
    }
}

#[tokio::test]
async fn messages_have_one_name_in_metadata_and_another_in_the_recording() {
    let media = Media::bytes("PK");
    let cloud = Cloud::with(Recording::text(RECORDING, Kind::Message, media)).await;
    assert_eq!(cloud.metadata().await.json()[0]["media"], "message");
    let recording = cloud.recording("?download=true").await.json();
    assert_eq!(recording["media"], "messaging");
    assert!(uri(&recording, "S").contains(".ZIP?"));
}

#[tokio::test]
async fn text_is_a_file_only_if_a_download_is_asked_for() {
    for (kind, format, field) in [
        (Kind::Chat, "chatFormatId", "transcript"),
        (Kind::Email, "emailFormatId", "emailTranscript"),
        (Kind::Message, "messageFormatId", "messagingTranscript"),
    ] {
        let cloud = Cloud::with(Recording::text(RECORDING, kind, Media::bytes("PK"))).await;
        for query in ["", "?download=false", &format!("?download=true&{format}=NONE")] {
            let inline = cloud.recording(query).await;
            assert_declared("get", ONE, 200, &inline.body);
            let inline = inline.json();
            assert!(inline.get("mediaUris").is_none(), "{inline}");
            assert_eq!(inline[field].as_array().unwrap().len(), 1, "{inline}");
        }
        let file = cloud.recording("?download=true").await.json();
        assert!(
            file.get(field).is_none() && file["mediaUris"]["S"].is_object(),
            "{file}"
        );
    }
}

#[tokio::test]
async fn media_formats_may_be_joined_or_repeated_and_win_over_the_format_id() {
    let cloud = Cloud::with(call(&Media::bytes("RIFF"))).await;
    for (query, format) in [
        ("", "WEBM"),
        ("?formatId=MP3", "MP3"),
        ("?formatId=MP3&mediaFormats=WAV", "WAV"),
        ("?mediaFormats=WAV,MP3", "WAV"),
        ("?mediaFormats=WAV%2CMP3&formatId=NONE", "WAV"),
        ("?mediaFormats=OGG_OPUS&mediaFormats=MP3", "OGG_OPUS"),
    ] {
        let answer = cloud.recording(query).await.json();
        let part = format!("_format%3A{format}_");
        assert!(uri(&answer, "0").contains(&part), "{query}: {answer}");
    }
    for bad in ["?mediaFormats=NONE", "?mediaFormats=WAV,AIFF", "?mediaFormats="] {
        assert_eq!(cloud.recording(bad).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_requested_format_is_one_by_its_first_bytes() {
    let media = Media::generated_wav(20_044, 7);
    let cloud = Cloud::with(call(&media)).await;
    for (format, start, content_type) in [
        ("WAV", &b"RIFF"[..], "audio/wav"),
        ("WAV_ULAW", b"RIFF", "audio/wav"),
        ("WEBM", b"\x1A\x45\xDF\xA3", "audio/webm"),
        ("OGG_VORBIS", b"OggS", "audio/ogg"),
        ("OGG_OPUS", b"OggS", "audio/ogg"),
        ("MP3", b"ID3", "audio/mpeg"),
        ("NONE", b"RIFF", "audio/wav"),
    ] {
        let answer = cloud.recording(&format!("?formatId={format}")).await.json();
        let file = super::Answer::of(cloud.http.get(uri(&answer, "0"))).await;
        assert!(file.body.starts_with(start), "{format}");
        assert_eq!(file.header("content-type"), Some(content_type), "{format}");
        let same = media.sha256().unwrap() == crate::support::sha256(&file.body);
        assert_eq!(same, matches!(format, "WAV" | "NONE"), "{format}");
        if start == b"RIFF" {
            let announced = u32::from_le_bytes(file.body[4..8].try_into().unwrap());
            assert_eq!(announced as usize + 8, file.body.len(), "{format} can be played");
        }
    }
}

#[tokio::test]
async fn figures_of_the_transcoding_are_told_only_by_some() {
    let names = [
        "estimatedTranscodeTimeMs",
        "actualTranscodeTimeMs",
        "outputSizeInBytes",
    ];
    for told in [false, true] {
        let recording = call(&Media::bytes("RIFF"));
        let recording = if told { recording.with_figures() } else { recording };
        let body = Cloud::with(recording).await.recording("").await.json();
        for name in names {
            assert_eq!(body.get(name).is_some(), told, "{name}");
        }
    }
}

#[tokio::test]
async fn annotations_are_nested_and_their_ids_are_worth_nothing() {
    let pause = |at| Annotation::new(Mark::Pause("SecurePause"), at, 1_000);
    let recording = call(&Media::bytes("RIFF")).annotated([
        pause(5_000).nested([pause(5_000), pause(5_500)]),
        pause(9_000),
        Annotation::new(Mark::Hold, -224_572, 30_000),
        Annotation::new(Mark::Bookmark("listen here"), 100, 0),
    ]);
    let cloud = Cloud::with(recording).await;
    let answers = [cloud.recording("").await, cloud.recording("").await];
    assert_declared("get", ONE, 200, &answers[0].body);
    let [first, second] = answers.map(|answer| answer.json()["annotations"].clone());
    assert_eq!(first[0]["annotations"].as_array().unwrap().len(), 2);
    assert_eq!(first[0]["id"], first[1]["id"], "all pauses share one");
    assert_eq!(first[2]["location"], -224_572);
    assert!(first[2].get("reason").is_none());
    assert_ne!(first[2]["id"], second[2]["id"], "holds have another each time");
    let metadata = cloud.metadata().await;
    assert_declared("get", METADATA, 200, &metadata.body);
    let listed = metadata.json()[0]["annotations"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 1, "bookmarks only: {listed}");
}

#[tokio::test]
async fn a_screen_may_come_in_several_files_even_as_a_download() {
    let parts = (0..11).map(|number| Media::bytes(format!("part {number}")));
    let cloud = Cloud::with(Recording::screen_parts(RECORDING, parts)).await;
    let answer = cloud.recording("?download=true").await.json();
    assert_eq!(answer["mediaUris"].as_object().unwrap().len(), 11);
    let last = super::Answer::of(cloud.http.get(uri(&answer, "10"))).await;
    assert_eq!(last.body, b"part 10");
    assert_eq!(last.header("content-type"), Some("video/webm"));
}

#[tokio::test]
async fn a_conversation_has_an_end_once_it_is_over() {
    const PATH: &str = "/api/v2/conversations/{conversationId}";
    let cloud = Cloud::start().await;
    cloud.genesys.add(Conversation::new(CONVERSATION).ongoing());
    let going_on = cloud.get(&PATH.replace("{conversationId}", CONVERSATION)).await;
    assert_declared("get", PATH, 200, &going_on.body);
    assert_eq!(going_on.json().get("endTime"), None);
    cloud.genesys.conversation(CONVERSATION, |conversation| {
        conversation.end = Some(conversation.start);
    });
    let over = cloud.get(&PATH.replace("{conversationId}", CONVERSATION)).await;
    assert_declared("get", PATH, 200, &over.body);
    assert_eq!(over.json()["endTime"], "2026-01-15T10:14:20.014Z");
}
