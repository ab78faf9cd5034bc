//! The tutorial's API misbehaves.

use recording_archiver::sim::genesys::{Interaction, Mishap, Retention, Status, failure};

use super::*;

const ENDPOINTS: [(&str, About); 2] = [
    ("interaction", About::Conversation),
    ("interaction-download", About::Recording),
];

/// Returns a bench whose interaction has one recording of this media.
async fn with(media: Media, change: impl FnOnce(Interaction) -> Interaction) -> Bench {
    let bench = Bench::new().await;
    let interaction = Interaction::new(CONVERSATION, media).recording_id(RECORDING);
    bench.world.genesys.add_interaction(change(interaction));
    bench
}

async fn run(bench: &Bench, payload: Value) -> Answer {
    invoke(
        &bench.handler(&[("GENESYS_RECORDING_API", "interactions")]),
        payload,
    )
    .await
}

#[tokio::test]
async fn statuses_of_each_endpoint_lead_where_the_interface_says() {
    for (operation, about) in ENDPOINTS {
        for (fault, ending, tries) in [
            (failure(400, "invalid.value"), Ending::Failed("rejected"), 1),
            (
                failure(403, "missing.permissions"),
                Ending::Failed("forbidden"),
                1,
            ),
            (failure(404, "not.found"), Ending::Deferred, 1),
            (failure(406, "not.acceptable"), Ending::Failed("rejected"), 1),
            (failure(410, "recording.retention.expired"), Ending::Expired, 1),
            (failure(429, "x"), Ending::Retry, 3),
            (failure(503, "x"), Ending::Retry, 3),
            (failure(504, "x"), Ending::Retry, 3),
            (Fault::Reset, Ending::Retry, 3),
            (Fault::Hang, Ending::Retry, 3),
        ] {
            let bench = with(call(), |interaction| interaction).await;
            bench
                .world
                .wire
                .disturb(move |e| (e.operation == operation).then(|| fault.clone()));
            let answer = run(&bench, job()).await;
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
async fn each_status_of_the_metadata_leads_where_the_interface_says() {
    let gone = |retention| move |interaction: Interaction| interaction.retention(retention);
    let status = |status| move |interaction: Interaction| interaction.status(status);
    let bench = with(call(), status(Status::Processing)).await;
    bench
        .assert_ended(run(&bench, job()).await, Ending::Deferred, About::Recording)
        .await;
    let bench = with(call(), status(Status::Failed)).await;
    bench
        .assert_ended(
            run(&bench, job()).await,
            Ending::Failed("broken_at_source"),
            About::Recording,
        )
        .await;
    let bench = with(call(), status(Status::NotFound)).await;
    bench
        .assert_ended(run(&bench, job()).await, Ending::Deferred, About::Conversation)
        .await;
    let bench = with(call(), gone(Retention::Nothing)).await;
    bench
        .assert_ended(run(&bench, job()).await, Ending::Expired, About::Conversation)
        .await;
    let bench = with(call(), gone(Retention::MetadataOnly)).await;
    bench
        .assert_ended(run(&bench, job()).await, Ending::Expired, About::Recording)
        .await;
}

#[tokio::test]
async fn what_is_processing_is_archived_when_it_is_done() {
    let bench = with(call(), |interaction| interaction.processing(1)).await;
    bench
        .assert_ended(run(&bench, job()).await, Ending::Deferred, About::Recording)
        .await;
    let (again, _) = bench.deferred().remove(0);
    assert_eq!(outcomes(&run(&bench, again).await.unwrap()), ["archived"]);
    bench.assert_stored(&call_sha256()).await;
    bench.assert_told_once(&call_sha256());
}

#[tokio::test]
async fn metadata_of_other_types_is_read_as_far_as_it_matters() {
    let whole =
        json!({"id": RECORDING, "status": "ready", "duration": 9, "format": "wav", "retentionPolicy": null});
    for (field, value, ending) in [
        ("duration", json!("nine"), None),
        ("duration", json!(null), None),
        ("format", json!(["wav"]), None),
        ("retentionPolicy", json!("Keep for 90 days"), None),
        ("retentionPolicy", json!({"id": 7, "name": null, "x": {}}), None),
        ("tomorrow", json!({"a": [1]}), None),
        ("id", json!(7), Some((Ending::Retry, About::Conversation))),
        (
            "id",
            json!(null),
            Some((Ending::Failed("rejected"), About::Conversation)),
        ),
        (
            "id",
            json!("x"),
            Some((Ending::Failed("rejected"), About::Conversation)),
        ),
        ("status", json!(7), Some((Ending::Retry, About::Conversation))),
        ("status", json!(null), Some((Ending::Deferred, About::Recording))),
        (
            "status",
            json!("READY_SOON"),
            Some((Ending::Deferred, About::Recording)),
        ),
    ] {
        let bench = with(call(), |interaction| interaction).await;
        let mut body = whole.clone();
        body[field] = value;
        let body = body.to_string();
        bench.world.wire.disturb(move |e| {
            (e.operation == "interaction").then(|| respond(200, "application/json", body.clone()))
        });
        let answer = run(&bench, job()).await;
        match ending {
            None => bench.assert_archived(answer, &call_sha256()).await,
            Some((ending, about)) => bench.assert_ended(answer, ending, about).await,
        }
    }
}

#[tokio::test]
async fn what_is_processing_needs_no_id_yet() {
    for body in [
        json!({"status": "processing"}),
        json!({"status": "processing", "id": null}),
    ] {
        let bench = with(call(), |interaction| interaction).await;
        bench.world.wire.disturb(move |e| {
            (e.operation == "interaction").then(|| respond(200, "application/json", body.to_string()))
        });
        bench
            .assert_ended(run(&bench, job()).await, Ending::Deferred, About::Conversation)
            .await;
    }
}

#[tokio::test]
async fn a_download_that_is_not_ready_is_deferred() {
    let bench = with(call(), |interaction| interaction).await;
    let fault = failure(202, "recording.processing");
    bench
        .world
        .wire
        .disturb(move |e| (e.operation == "interaction-download").then(|| fault.clone()));
    bench
        .assert_ended(run(&bench, job()).await, Ending::Deferred, About::Recording)
        .await;
}

#[tokio::test]
async fn a_download_that_breaks_is_resumed_with_the_token() {
    let (media, sha256) = long_call();
    media.script([Mishap::CutAt(PART + 1)]);
    let bench = with(media, |interaction| interaction).await;
    bench.assert_archived(run(&bench, job()).await, &sha256).await;
    let exchanges = bench.world.wire.exchanges();
    let downloads: Vec<_> = exchanges
        .iter()
        .filter(|e| e.operation == "interaction-download")
        .collect();
    assert_eq!(downloads.len(), 2);
    assert_eq!(downloads[1].headers["range"], format!("bytes={}-", PART + 1));
    for download in downloads {
        assert_eq!(download.headers["accept"], "audio/wav");
        assert!(download.headers["authorization"].starts_with("Bearer "));
    }
}

#[tokio::test]
async fn an_error_page_instead_of_the_download_is_never_an_archive() {
    for (content_type, body) in [
        ("text/html", "<html></html>"),
        ("application/json", "{\"status\":\"processing\"}"),
        ("audio/wav", "<Error/>"),
        ("audio/wav", ""),
    ] {
        let media = call();
        media.always(Mishap::instead(content_type, body));
        let bench = with(media, |interaction| interaction).await;
        bench
            .assert_ended(run(&bench, job()).await, Ending::Retry, About::Recording)
            .await;
    }
}

#[tokio::test]
async fn a_token_revoked_before_the_download_is_replaced() {
    let bench = with(call(), |interaction| interaction).await;
    let (genesys, mut revoked) = (bench.world.genesys.clone(), false);
    bench.world.wire.disturb(move |exchange| {
        if exchange.operation == "interaction-download" && !std::mem::replace(&mut revoked, true) {
            genesys.revoke_tokens();
        }
        None
    });
    bench
        .assert_archived(run(&bench, job()).await, &call_sha256())
        .await;
    assert_eq!(bench.world.genesys.tokens_issued(), 2);
}

#[tokio::test]
async fn a_redirect_to_another_host_is_never_given_the_token() {
    use recording_archiver::sim::genesys::Redirect;
    let elsewhere = Bench::new().await;
    let media = call();
    media.always(Mishap::Redirect(Redirect::To(format!(
        "{}/x",
        elsewhere.world.genesys.media_base_url()
    ))));
    let bench = with(media, |interaction| interaction).await;
    bench
        .assert_ended(
            run(&bench, job()).await,
            Ending::Failed("forbidden"),
            About::Recording,
        )
        .await;
    let received = elsewhere.world.wire.exchanges();
    assert!(!received.is_empty());
    assert!(
        received
            .iter()
            .all(|exchange| !exchange.headers.contains_key("authorization"))
    );
}
