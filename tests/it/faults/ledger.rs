//! DynamoDB misbehaves. A run writes four times: claim, storing, archived, notified.

use super::*;

const WRITE: &str = "TransactWriteItems";

/// Lets the `n`-th write of a run, and every one after it unless `once`, meet this.
fn disturb_write(bench: &Bench, n: usize, once: bool, fault: Fault) {
    let mut writes = 0;
    bench.world.wire.disturb(move |e| {
        writes += usize::from(e.operation == WRITE);
        let hit = e.operation == WRITE && if once { writes == n } else { writes >= n };
        hit.then(|| fault.clone())
    });
}

/// Returns a transaction that was cancelled because of the ledger's item.
fn cancelled(reason: &str) -> Fault {
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{reason}, None]"),
        "CancellationReasons": [{"Code": reason, "Message": "Simulated"}, {"Code": "None"}],
    });
    respond(400, "application/x-amz-json-1.0", body.to_string())
}

/// Returns everything that can happen to a write, without its being carried out.
fn refusals() -> Vec<(&'static str, Fault)> {
    vec![
        ("TransactionConflict", cancelled("TransactionConflict")),
        ("ThrottlingError", cancelled("ThrottlingError")),
        (
            "ProvisionedThroughputExceeded",
            cancelled("ProvisionedThroughputExceeded"),
        ),
        ("ValidationError", cancelled("ValidationError")),
        ("ThrottlingException", json_error(400, "ThrottlingException")),
        (
            "ProvisionedThroughputExceededException",
            json_error(400, "ProvisionedThroughputExceededException"),
        ),
        ("RequestLimitExceeded", json_error(400, "RequestLimitExceeded")),
        ("InternalServerError", json_error(500, "InternalServerError")),
        (
            "ResourceNotFoundException",
            json_error(400, "ResourceNotFoundException"),
        ),
        ("AccessDeniedException", json_error(400, "AccessDeniedException")),
        ("no answer", Fault::Reset),
    ]
}

/// Asserts that a run which could not write down its end left nothing wrong, and nothing for ever.
async fn assert_interrupted(bench: &Bench, answer: &Answer, written: &[&str]) {
    let error = answer.as_ref().unwrap_err();
    assert_eq!(error.disposition(), Disposition::Retry, "{error}");
    assert_eq!(bench.actions(CONVERSATION, RECORDING).await, written);
    assert_eq!(bench.uploads_in_progress().await, Vec::<String>::new());
    assert!(bench.world.webhook.deliveries().is_empty());
    assert!(bench.deferred().is_empty() && bench.exceptions().is_empty());
    leaks::assert_none(bench, answer).await;
}

#[tokio::test]
async fn a_refused_claim_says_why_and_downloads_nothing() {
    for (code, fault) in refusals() {
        let bench = Bench::with_a_call().await;
        disturb_write(&bench, 1, false, fault);
        let answer = bench.invoke(job()).await;
        let text = answer.as_ref().unwrap_err().to_string();
        assert!(text.contains(code) && text.contains("recording-ledger"), "{text}");
        assert_interrupted(&bench, &answer, &[]).await;
        assert_eq!(
            (bench.asked(Service::Media, "media"), bench.keys().await.len()),
            (0, 0)
        );
        bench.assert_next_run_archives(&call_sha256()).await;
    }
}

#[tokio::test]
async fn a_write_refused_in_passing_is_tried_again() {
    for (code, fault) in refusals() {
        if ["ResourceNotFoundException", "AccessDeniedException"].contains(&code) {
            continue; // not a thing that passes within a run
        }
        let bench = Bench::with_a_call().await;
        for n in [1, 3, 5, 7] {
            disturb_write(&bench, n, true, fault.clone());
        }
        bench
            .assert_archived(bench.invoke(job()).await, &call_sha256())
            .await;
        assert_eq!(bench.asked(Service::DynamoDb, WRITE), 8, "{code}");
        assert_eq!(bench.asked(Service::Media, "media"), 1);
    }
}

#[tokio::test]
async fn nothing_becomes_visible_before_storing_is_written() {
    for (media, name) in [(call(), "short"), (Media::generated_wav(PART + 1_000, 7), "long")] {
        let sha256 = media.sha256().unwrap();
        let bench = Bench::with_media(media).await;
        disturb_write(&bench, 2, false, json_error(400, "ThrottlingException"));
        let answer = bench.invoke(job()).await;
        assert_interrupted(&bench, &answer, &["download.initiated"]).await;
        assert_eq!(bench.keys().await, Vec::<String>::new(), "{name}");
        bench.let_the_lease_run_out();
        bench.assert_next_run(&sha256).await;
    }
}

#[tokio::test]
async fn what_is_visible_but_not_written_down_is_adopted_by_the_next_run() {
    for (code, fault) in refusals() {
        let bench = Bench::with_a_call().await;
        disturb_write(&bench, 3, false, fault);
        let answer = bench.invoke(job()).await;
        assert_interrupted(&bench, &answer, &["download.initiated", "download.completed"]).await;
        bench.let_the_lease_run_out();
        bench.assert_next_run(&call_sha256()).await;
        assert_eq!(bench.asked(Service::Media, "media"), 1, "{code}");
    }
}

#[tokio::test]
async fn an_answer_lost_after_the_write_is_no_second_write() {
    for n in 1..=4 {
        let bench = Bench::with_a_call().await;
        disturb_write(&bench, n, true, Fault::ApplyThenReset);
        bench
            .assert_archived(bench.invoke(job()).await, &call_sha256())
            .await;
        let actions = bench.actions(CONVERSATION, RECORDING).await;
        assert_eq!(actions.len(), 4, "each event once: {actions:?}");
        let lines = bench.lines.lock().unwrap().clone();
        let printed = lines.iter().filter(|line| line["audit"] == true).count();
        assert_eq!(printed, 4, "each event is one line");
    }
}

#[tokio::test]
async fn a_write_of_unknown_result_is_sorted_out_by_a_later_run() {
    for n in 1..=4 {
        let bench = Bench::with_a_call().await;
        let mut writes = 0;
        bench.world.wire.disturb(move |e| {
            writes += usize::from(e.operation == WRITE);
            (e.operation == WRITE && writes >= n).then_some(Fault::ApplyThenReset)
        });
        let answer = bench.invoke(job()).await;
        assert!(
            answer.is_err(),
            "write {n}: nothing is certain, so nothing is claimed"
        );
        assert_eq!(bench.uploads_in_progress().await, Vec::<String>::new());
        leaks::assert_none(&bench, &answer).await;
        bench.let_the_lease_run_out();
        bench.world.wire.calm();
        let summary = bench.invoke(job()).await.unwrap();
        assert!(
            ["archived", "already_archived"].contains(&outcomes(&summary)[0]),
            "{summary}"
        );
        bench.assert_stored(&call_sha256()).await;
        assert_eq!(bench.state(RECORDING).await, Some(State::Notified));
        assert_eq!(bench.world.webhook.deliveries().len(), 1, "write {n}");
    }
}

#[tokio::test]
async fn a_run_whose_lease_another_run_took_writes_nothing_more() {
    let bench = Bench::with_a_call().await;
    let clock = bench.clock.clone();
    let mut begun = false;
    bench.world.wire.disturb(move |e| {
        if e.service == Service::Media && !std::mem::replace(&mut begun, true) {
            clock.advance(Duration::from_secs(901));
        }
        None
    });
    let answer = bench.invoke(job()).await;
    assert!(
        answer.as_ref().unwrap_err().to_string().contains("lease"),
        "{answer:?}"
    );
    assert_interrupted(&bench, &answer, &["download.initiated"]).await;
    assert_eq!(bench.keys().await, Vec::<String>::new());
    bench.assert_next_run(&call_sha256()).await;
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_left_alone_and_reported() {
    let bench = Bench::with_a_call().await;
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let put = bench
        .world
        .aws
        .dynamodb()
        .put_item()
        .table_name(recording_archiver::sim::LEDGER_TABLE);
    let put = put
        .item("interactionId", text(CONVERSATION))
        .item("recordingId", text(RECORDING));
    put.item("state", text("LEAKED")).send().await.unwrap();
    let error = bench.invoke(job()).await.unwrap_err();
    assert_eq!(error.disposition(), Disposition::Retry);
    assert!(error.to_string().contains("cannot be read"), "{error}");
    assert!(bench.audit_unverified(CONVERSATION, RECORDING).await.is_empty());
    assert_eq!(bench.asked(Service::Media, "media"), 0);
}

impl Bench {
    /// Asserts the end of the run after one that could not write down its end.
    async fn assert_next_run(&self, sha256: &str) {
        self.world.wire.calm();
        let summary = self.invoke(job()).await.unwrap();
        assert_eq!(outcomes(&summary), ["archived"]);
        self.assert_stored(sha256).await;
        assert_eq!(self.state(RECORDING).await, Some(State::Notified));
        let actions = self.actions(CONVERSATION, RECORDING).await;
        assert_eq!(
            actions[actions.len() - 2..],
            ["archive.stored", "webhook.delivered"]
        );
        assert_eq!(self.world.webhook.deliveries().len(), 1);
        leaks::assert_none(self, &Ok(summary)).await;
    }
}
