//! The API of today misbehaves.

use recording_archiver::sim::genesys::{Conversation, FileState, TranscodingBody, failure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const ENDPOINTS: [(&str, About); 2] = [
    ("recordingmetadata", About::Conversation),
    ("recording", About::Recording),
];

/// Returns a bench where one operation of the API always meets this.
async fn with_fault(operation: &'static str, fault: Fault) -> Bench {
    let bench = Bench::with_a_call().await;
    bench
        .world
        .wire
        .disturb(move |e| (e.operation == operation).then(|| fault.clone()));
    bench
}

#[tokio::test]
async fn statuses_of_each_endpoint_lead_where_the_interface_says() {
    for (operation, about) in ENDPOINTS {
        for (fault, ending, tries) in [
            (failure(400, "bad.request"), Ending::Failed("rejected"), 1),
            (
                failure(403, "missing.permissions"),
                Ending::Failed("forbidden"),
                1,
            ),
            (
                failure(404, "conversation.not.found"),
                Ending::Failed("unknown_conversation"),
                1,
            ),
            (failure(404, "not.found"), Ending::Deferred, 1),
            (respond(404, "text/html", "<html></html>"), Ending::Deferred, 1),
            (failure(405, "method.not.allowed"), Ending::Failed("rejected"), 1),
            (failure(410, "gone"), Ending::Expired, 1),
            (failure(302, ""), Ending::Retry, 3),
            (failure(408, "timeout"), Ending::Retry, 3),
            (failure(429, "too.many.requests"), Ending::Retry, 3),
            (failure(500, "internal"), Ending::Retry, 3),
            (failure(502, "bad.gateway"), Ending::Retry, 3),
            (failure(503, "service.unavailable"), Ending::Retry, 3),
            (failure(504, "timeout"), Ending::Retry, 3),
            (Fault::Reset, Ending::Retry, 3),
            (Fault::Hang, Ending::Retry, 3),
            (respond(200, "text/html", "<html>Oops</html>"), Ending::Retry, 1),
            (respond(200, "application/json", "[{\"id\":"), Ending::Retry, 1),
            (respond(200, "application/json", "7"), Ending::Retry, 1),
            (respond(200, "application/json", ""), Ending::Deferred, 1),
            (respond(200, "application/json", " null "), Ending::Deferred, 1),
        ] {
            let bench = with_fault(operation, fault).await;
            let answer = bench.invoke(job()).await;
            bench.assert_ended(answer, ending, about).await;
            assert_eq!(
                bench.asked(Service::Genesys, operation),
                tries,
                "{operation} {ending:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_403_names_the_permission_to_grant() {
    for (operation, _) in ENDPOINTS {
        let bench = with_fault(operation, failure(403, "missing.any.permissions")).await;
        bench.invoke(job()).await.unwrap();
        let error = bench.exceptions()[0]["error"].as_str().unwrap().to_owned();
        assert!(
            error.contains("recording:recording:view") && error.contains("division"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_storm_that_passes_within_the_tries_costs_nothing_but_them() {
    for (operation, _) in ENDPOINTS {
        for fault in [
            failure(429, "x"),
            failure(503, "x"),
            failure(504, "x"),
            Fault::Reset,
            Fault::Hang,
        ] {
            let bench = Bench::with_a_call().await;
            bench
                .world
                .wire
                .disturb_next(Service::Genesys, operation, 2, fault);
            bench
                .assert_archived(bench.invoke(job()).await, &call_sha256())
                .await;
            // And the recording once more, as the first answer about it is 202.
            let asked = if operation == "recording" { 4 } else { 3 };
            assert_eq!(bench.asked(Service::Genesys, operation), asked);
            assert_eq!(bench.metrics()[0]["GenesysRequests"], 5);
        }
    }
}

#[tokio::test]
async fn a_429_is_counted_and_its_retry_after_is_kept_within_the_deadline() {
    for (seconds, archives, tries) in [("0", true, 3), ("86400", false, 1), ("soon", true, 3)] {
        let bench = Bench::with_a_call().await;
        let fault = Fault::Respond {
            status: 429,
            headers: vec![("retry-after".to_owned(), seconds.to_owned())],
            body: Vec::new(),
        };
        bench
            .world
            .wire
            .disturb_next(Service::Genesys, "recordingmetadata", 2, fault);
        let answer = bench.invoke(job()).await;
        if archives {
            bench.assert_archived(answer, &call_sha256()).await;
        } else {
            bench
                .assert_ended(answer, Ending::Retry, About::Conversation)
                .await;
        }
        assert_eq!(
            bench.asked(Service::Genesys, "recordingmetadata"),
            tries,
            "Retry-After: {seconds}"
        );
        assert_eq!(bench.metrics()[0]["GenesysThrottled"], tries.min(2));
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let tries = tokio::spawn(async move {
        for _ in 0..3 {
            let mut socket = listener.accept().await.unwrap().0;
            let _ = socket.read(&mut [0; 4096]).await.unwrap();
            socket
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n[{\"id\":")
                .await
                .unwrap();
        }
    });
    let bench = Bench::with_a_call().await;
    let answer = invoke(&bench.handler(&[("GENESYS_API_BASE_URL", &url)]), job()).await;
    assert!(
        answer.as_ref().unwrap_err().to_string().contains("broke off"),
        "{answer:?}"
    );
    bench
        .assert_ended(answer, Ending::Retry, About::Conversation)
        .await;
    tries.await.unwrap();
    bench.assert_next_run_archives(&call_sha256()).await;
}

#[tokio::test]
async fn each_file_state_leads_where_the_interface_says_whichever_answer_tells_it() {
    for (state, ending) in [
        ("UPLOADING", Ending::Deferred),
        ("RESTORING", Ending::Deferred),
        ("A_STATE_OF_TOMORROW", Ending::Deferred),
        ("DELETED", Ending::Expired),
        ("ARCHIVED", Ending::Failed("archived_at_source")),
        ("ERROR", Ending::Failed("broken_at_source")),
    ] {
        let bench = with(|recording| recording.metadata_field("fileState", state)).await;
        bench
            .assert_ended(bench.invoke(job()).await, ending, About::Recording)
            .await;
        assert_eq!(bench.asked(Service::Genesys, "recording"), 0);
        // It was available when it was listed, and is no more when its media is asked for.
        let bench = with(|recording| recording.field("fileState", state)).await;
        bench
            .assert_ended(bench.invoke(job()).await, ending, About::Recording)
            .await;
        assert_eq!(bench.asked(Service::Media, "media"), 0);
    }
}

#[tokio::test]
async fn a_recording_on_its_way_is_archived_when_it_has_arrived() {
    let bench = with(|recording| {
        recording
            .state(FileState::Uploading)
            .then_after(1, FileState::Available)
    })
    .await;
    bench
        .assert_ended(bench.invoke(job()).await, Ending::Deferred, About::Recording)
        .await;
    let (again, delay) = bench.deferred().remove(0);
    assert_eq!((&again["recordingId"], delay), (&json!(RECORDING), 30));
    let summary = bench.invoke(again).await.unwrap();
    assert_eq!(outcomes(&summary), ["archived"]);
    bench.assert_stored(&call_sha256()).await;
    bench.assert_told_once(&call_sha256());
}

#[tokio::test]
async fn an_empty_list_is_not_believed_and_recordings_that_come_later_are_archived() {
    let bench = Bench::new().await;
    let conversation = Conversation::new(CONVERSATION).recording(Recording::audio(RECORDING, [call()]));
    bench.world.genesys.add(conversation.empty_for(1));
    bench
        .assert_ended(bench.invoke(job()).await, Ending::Deferred, About::Conversation)
        .await;
    let (again, _) = bench.deferred().remove(0);
    assert_eq!(again.get("recordingId"), None, "which there will be is not known");
    assert_eq!(outcomes(&bench.invoke(again).await.unwrap()), ["archived"]);
    bench.assert_stored(&call_sha256()).await;
    bench.assert_told_once(&call_sha256());
}

#[tokio::test]
async fn what_is_transcoded_for_hours_is_deferred_ever_longer_and_fails_at_the_readiness_deadline() {
    for body in [
        TranscodingBody::Empty,
        TranscodingBody::Null,
        TranscodingBody::Stub,
    ] {
        let bench = with(|recording| recording.transcoding(usize::MAX, body)).await;
        let mut again = job();
        for (n, expected) in [30, 60, 120, 240, 480, 900, 900].into_iter().enumerate() {
            assert_eq!(outcomes(&bench.invoke(again).await.unwrap()), ["deferred"]);
            let (next, delay) = bench.deferred().pop().unwrap();
            assert_eq!((delay, &next["deferrals"]), (expected, &json!(n + 1)));
            assert_eq!(
                next["firstSeen"],
                bench.deferred()[0].0["firstSeen"],
                "counted from the first time"
            );
            again = next;
        }
        bench.clock.advance(Duration::from_secs(24 * 3600 + 60));
        let summary = bench.invoke(again).await.unwrap();
        assert_eq!(outcomes(&summary), ["failed"]);
        assert_eq!(bench.exceptions()[0]["code"], "never_ready");
        assert_eq!(
            bench.state(RECORDING).await,
            Some(recording_archiver::domain::record::State::Failed)
        );
        assert_eq!(
            bench.actions(CONVERSATION, RECORDING).await.last().unwrap(),
            "download.failed"
        );
        assert_eq!(
            (bench.keys().await.len(), bench.world.webhook.deliveries().len()),
            (0, 0)
        );
        leaks::assert_none(&bench, &Ok(summary)).await;
    }
}

#[tokio::test]
async fn the_wait_that_a_202_asks_for_is_the_deferrals_delay() {
    let bench = with(|mut recording| {
        recording.transcoding_retry_after = Some(77);
        recording.transcoding(1, TranscodingBody::Empty)
    })
    .await;
    bench
        .assert_ended(bench.invoke(job()).await, Ending::Deferred, About::Recording)
        .await;
    assert_eq!(bench.deferred()[0].1, 77);
}
