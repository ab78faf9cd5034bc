//! Genesys as it is: what its answers mean for an archive, beyond the plain case.

use std::time::Duration;

use jiff::SignedDuration;
use recording_archiver::domain::annotations::MOST_BYTES;
use recording_archiver::domain::record::Record;
use recording_archiver::sim::genesys::{
    Annotation, Delivery, FileState, Format, Kind, Mark, Media, Recording, Topic, event, failure,
};
use recording_archiver::sim::wire::{Fault, Service};
use serde_json::{Value, json};

use crate::support::*;

/// Returns the audit event of the file that was downloaded.
async fn completed(bench: &Bench) -> Value {
    let events = bench.audit(CONVERSATION, RECORDING).await;
    let mut completed = events
        .into_iter()
        .filter(|event| event["action"] == "download.completed");
    Value::Object(completed.next().unwrap().into_attributes())
}

async fn recorded(bench: &Bench) -> Record {
    bench.record(CONVERSATION, RECORDING).await.unwrap()
}

#[tokio::test]
async fn split_channels_do_not_keep_text_from_being_archived() {
    for (kind, name) in [
        (Kind::Chat, "chat"),
        (Kind::Email, "email"),
        (Kind::Message, "message"),
    ] {
        let bench = Bench::with_recording(Recording::text(RECORDING, kind, Media::bytes("PK\x03\x04"))).await;
        let handler = bench.handler(&[("RECORDING_CHANNELS", "split"), ("RECORDING_MEDIA", name)]);
        let summary = invoke(&handler, job()).await.unwrap();
        assert_eq!(outcomes(&summary), ["archived"], "{name}: {summary}");
    }
}

#[tokio::test]
async fn what_genesys_says_it_cannot_return_is_final_whatever_the_state() {
    let status = "EMAIL_TRANSCRIPT_TOO_LARGE";
    for state in [FileState::Available, FileState::Uploading, FileState::Error] {
        let listed = Recording::audio(RECORDING, [call()]).state(state);
        let opened = Recording::audio(RECORDING, [call()])
            .field("fileState", state.as_str())
            .without("mediaUris")
            .field("recordingErrorStatus", status);
        let listed = listed.metadata_field("recordingErrorStatus", status);
        for recording in [listed, opened] {
            let bench = Bench::with_recording(recording).await;
            let result = &bench.archive().await[0];
            assert_eq!(result["outcome"], "failed", "{result}");
            let exception = &bench.exceptions()[0];
            assert_eq!(exception["code"], "broken_at_source");
            assert!(
                exception["error"].as_str().unwrap().contains(status),
                "{exception}"
            );
        }
    }
}

#[tokio::test]
async fn a_file_that_is_not_what_was_asked_for_is_named_by_what_it_is() {
    let opus = std::fs::read(project().join("src/sim/media/call-01.opus")).unwrap();
    let media = Media::bytes(opus.clone());
    media.deliver(|delivery: &mut Delivery| delivery.as_it_is = true);
    let bench = Bench::with_recording(Recording::audio(RECORDING, [media])).await;
    let result = &bench.archive().await[0];
    let key = KEY.replace(".wav", ".opus");
    assert_eq!(result["files"][0]["archiveKey"], format!("s3://calls/{key}"));
    let object = bench.object(&key).await.unwrap();
    assert_eq!(
        (object.bytes, object.head.content_type()),
        (opus, Some("audio/ogg"))
    );
    let file = &recorded(&bench).await.files[0];
    assert_eq!(
        (file.format.as_str(), file.format_found.as_deref()),
        ("wav", Some("ogg_opus"))
    );
    for event in bench.audit(CONVERSATION, RECORDING).await {
        let about_the_file = event.archive_key().is_some();
        let found = event.get("formatFound").map(|found| found == "ogg_opus");
        assert_eq!(found, about_the_file.then_some(true), "{event:?}");
    }
    let noted = &completed(&bench).await["genesys"]["contentType"];
    assert_eq!(noted, "audio/wav", "what the host called it");
}

#[tokio::test]
async fn a_content_type_that_says_nothing_is_not_kept() {
    for nothing in ["binary/octet-stream", "application/octet-stream"] {
        let media = call();
        media.deliver(|delivery| delivery.content_type = Some(nothing.to_owned()));
        let bench = Bench::with_recording(Recording::audio(RECORDING, [media])).await;
        let handler = bench.handler(&[("RECORDING_FORMAT", "original")]);
        assert_eq!(outcomes(&invoke(&handler, job()).await.unwrap()), ["archived"]);
        let object = bench.object(KEY).await.unwrap();
        assert_eq!(object.head.content_type(), Some("audio/wav"), "{nothing}");
        assert!(completed(&bench).await["genesys"].get("contentType").is_none());
    }
}

#[tokio::test]
async fn each_format_is_archived_as_what_it_is() {
    for (name, format, extension) in [
        ("wav", Format::Wav, "wav"),
        ("mp3", Format::Mp3, "mp3"),
        ("webm", Format::Webm, "webm"),
        ("wav_ulaw", Format::WavUlaw, "wav"),
        ("ogg_vorbis", Format::OggVorbis, "ogg"),
        ("ogg_opus", Format::OggOpus, "opus"),
    ] {
        let bench = Bench::with_a_call().await;
        let handler = bench.handler(&[("RECORDING_FORMAT", name)]);
        let summary = invoke(&handler, job()).await.unwrap();
        let file = &summary["results"][0]["files"][0];
        let key = KEY.replace(".wav", &format!(".{extension}"));
        assert_eq!(file["archiveKey"], format!("s3://calls/{key}"), "{name}");
        assert_eq!(file["sha256"], call().sha256_in(format).unwrap(), "{name}");
        assert_eq!(recorded(&bench).await.files[0].format_found, None, "{name}");
    }
}

/// Returns a file of a screen recording.
fn part(number: usize) -> Vec<u8> {
    [
        b"\x1A\x45\xDF\xA3".as_slice(),
        format!("part {number}").as_bytes(),
    ]
    .concat()
}

#[tokio::test]
async fn the_files_of_a_screen_are_parts_in_their_order() {
    let parts = (0..11).map(|number| Media::bytes(part(number)));
    let bench = Bench::with_recording(Recording::screen_parts(RECORDING, parts)).await;
    let handler = bench.handler(&[("RECORDING_MEDIA", "screen"), ("RECORDING_CHANNELS", "split")]);
    let summary = invoke(&handler, job()).await.unwrap();
    assert_eq!(outcomes(&summary), ["archived"], "{summary}");
    let record = recorded(&bench).await;
    let order: Vec<_> = record
        .files
        .iter()
        .map(|file| (file.part, file.part_name.clone()))
        .collect();
    assert_eq!(order, (0..11).map(|part| (Some(part), None)).collect::<Vec<_>>());
    for file in &record.files {
        let part = file.part.unwrap();
        let key = &file.archive_key.key;
        assert!(key.ends_with(&format!("{RECORDING}-{part}.webm")), "{key}");
        let bytes = bench.object(key).await.unwrap().bytes;
        assert_eq!(bytes, self::part(usize::try_from(part).unwrap()), "{key}");
    }
    let told = &bench.world.webhook.deliveries()[0].body["files"];
    assert_eq!((&told[10]["part"], told[10].get("channel")), (&json!(10), None));
    let stored = bench.audit(CONVERSATION, RECORDING).await;
    let parts: Vec<_> = stored
        .iter()
        .filter(|event| event["action"] == "archive.stored")
        .map(|event| event["part"].as_u64().unwrap())
        .collect();
    assert_eq!(parts, (0..11).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_copy_whose_beginning_was_cut_says_so() {
    for (original, expected) in [
        ("2026-01-15T10:14:00.000Z", "start_cut"),
        ("2026-01-15T10:14:20.014Z", "not_told"),
    ] {
        let recording = Recording::audio(RECORDING, [call()]);
        let bench = Bench::with_recording(recording.field("originalRecordingStartTime", original)).await;
        bench.archive().await;
        assert_eq!(completed(&bench).await["genesys"]["redacted"], expected);
    }
}

/// Returns a recording with a merged pause, a hold from before it began, and a bookmark.
fn annotated() -> Recording {
    let pause = |at| Annotation::new(Mark::Pause("SecurePause"), at, 1_000);
    Recording::audio(RECORDING, [call()]).annotated([
        pause(5_000).nested([pause(5_500), pause(5_000)]),
        Annotation::new(Mark::Hold, -224_572, 30_000),
        Annotation::new(Mark::Bookmark("she gave her number"), 100, 0),
    ])
}

#[tokio::test]
async fn pauses_and_holds_are_kept_with_the_recording() {
    let (one, other) = (
        Bench::with_recording(annotated()).await,
        Bench::with_recording(annotated()).await,
    );
    for bench in [&one, &other] {
        assert_eq!(bench.archive().await[0]["outcome"], "archived");
    }
    let record = recorded(&one).await;
    let kept = record.annotations.clone().unwrap();
    assert_eq!(
        kept,
        recorded(&other).await.annotations.unwrap(),
        "no id that is another each time"
    );
    assert_eq!(
        kept.iter().map(|kept| kept.location).collect::<Vec<_>>(),
        [Some(-224_572), Some(5_000)]
    );
    let nested: Vec<_> = kept[1].annotations.iter().map(|nested| nested.location).collect();
    assert_eq!(nested, [Some(5_000), Some(5_500)]);
    assert_eq!(record.annotations_omitted, None);
    assert!(!format!("{record:?}").contains("number"), "bookmarks stay out");
}

#[tokio::test]
async fn annotations_beyond_their_room_are_counted() {
    let many = (0..2_000).map(|at| Annotation::new(Mark::Hold, at, 1));
    let bench = Bench::with_recording(Recording::audio(RECORDING, [call()]).annotated(many)).await;
    assert_eq!(bench.archive().await[0]["outcome"], "archived");
    let record = recorded(&bench).await;
    let kept = record.annotations.unwrap();
    assert!(serde_json::to_vec(&kept).unwrap().len() <= MOST_BYTES);
    assert_eq!(kept.len() + record.annotations_omitted.unwrap(), 2_000);
}

#[tokio::test]
async fn without_annotations_nothing_is_recorded_of_them() {
    let bench = Bench::with_recording(Recording::audio(RECORDING, [call()]).without("annotations")).await;
    bench.archive().await;
    assert_eq!(recorded(&bench).await.annotations, None);
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    assert_eq!(
        recorded(&bench).await.annotations,
        Some(Vec::new()),
        "asked, and there are none"
    );
}

#[tokio::test]
async fn a_429_without_retry_after_is_waited_out_as_its_window_or_its_text_says() {
    // Longer than the invocation has: nothing is tried again, and nothing waits.
    for (name, value, text) in [
        ("inin-ratelimit-reset", "3600", ""),
        (
            "x-nothing",
            "",
            "Rate limit exceeded the maximum. Retry the request in [3600] seconds",
        ),
    ] {
        let bench = Bench::with_a_call().await;
        let fault = Fault::Respond {
            status: 429,
            headers: vec![(name.to_owned(), value.to_owned())],
            body: json!({ "message": text }).to_string().into_bytes(),
        };
        bench
            .world
            .wire
            .disturb_next(Service::Genesys, "recordingmetadata", 1, fault);
        let error = bench.invoke(job()).await.unwrap_err();
        assert!(error.to_string().contains("3600 s"), "{error}");
        assert_eq!(bench.world.wire.count(Service::Genesys, "recordingmetadata"), 1);
    }
}

#[tokio::test]
async fn a_conversation_that_is_unknown_just_after_its_end_is_waited_for() {
    let bench = Bench::with_a_call().await;
    let unknown = || {
        let fault = failure(404, "conversation.not.found");
        bench
            .world
            .wire
            .disturb_next(Service::Genesys, "recordingmetadata", 1, fault);
    };
    unknown();
    let ended = bench.clock.now() - SignedDuration::from_mins(2);
    let event = event(Topic::CustomerEnd, CONVERSATION, ended);
    assert_eq!(outcomes(&bench.invoke(event).await.unwrap()), ["deferred"]);
    let (again, _) = bench.deferred().remove(0);
    assert_eq!(
        outcomes(&bench.invoke(again.clone()).await.unwrap()),
        ["archived"]
    );

    let bench = Bench::new().await;
    bench.clock.advance(Duration::from_secs(3_600));
    assert_eq!(outcomes(&bench.invoke(again).await.unwrap()), ["failed"]);
    assert_eq!(bench.exceptions()[0]["code"], "unknown_conversation");
}
