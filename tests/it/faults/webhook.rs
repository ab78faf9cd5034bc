//! The webhook's receiver misbehaves: what is archived stays archived.

use recording_archiver::sim::SECRET;
use recording_archiver::sim::webhook::Answer as Reply;

use super::*;

impl Bench {
    /// Asserts that the recording is archived and its notification deferred.
    async fn assert_told_later(&self, answer: &Answer) {
        let summary = answer.as_ref().unwrap();
        assert_eq!(outcomes(summary), ["deferred"]);
        let file = &summary["results"][0]["files"][0];
        assert_eq!(
            (&file["sha256"], &file["archiveKey"]),
            (&json!(call_sha256()), &json!(format!("s3://calls/{KEY}")))
        );
        self.assert_stored(&call_sha256()).await;
        assert_eq!(self.state(RECORDING).await, Some(State::Archived));
        let actions = self.actions(CONVERSATION, RECORDING).await;
        assert_eq!(actions.last().unwrap(), "webhook.failed");
        assert_eq!(
            self.record(CONVERSATION, RECORDING)
                .await
                .unwrap()
                .lease_expires_at,
            0
        );
        assert!(self.exceptions().is_empty());
        assert_eq!(self.metrics().last().unwrap()["Deferrals"], 1);
        leaks::assert_none(self, answer).await;
    }

    fn is_down(&self, fault: Fault) {
        self.world
            .wire
            .disturb(move |e| (e.service == Service::Webhook).then(|| fault.clone()));
    }
}

#[tokio::test]
async fn whatever_the_receiver_does_the_recording_stays_archived_and_is_told_later() {
    for fault in [
        Fault::status(400),
        Fault::status(404),
        Fault::status(410),
        Fault::status(429),
        Fault::status(500),
        Fault::status(503),
        Fault::status(304),
        respond(500, "text/html", "<html>LEAKED</html>"),
        Fault::Reset,
        Fault::Hang,
        Fault::Delay(Duration::from_secs(60)),
    ] {
        let bench = Bench::with_a_call().await;
        bench.is_down(fault);
        let answer = bench.invoke(job()).await;
        bench.assert_told_later(&answer).await;
        assert_eq!(
            bench.asked(Service::Webhook, "deliver"),
            3,
            "tried again within the run"
        );
        assert_eq!(bench.metrics()[0]["WebhookFailures"], 3);
        let (again, delay) = bench.deferred().remove(0);
        assert_eq!(
            (&again["recordingId"], &again["deferrals"], delay),
            (&json!(RECORDING), &json!(1), 30)
        );
        bench.world.wire.calm();
        bench.world.wire.forget();
        assert_eq!(
            outcomes(&bench.invoke(again).await.unwrap()),
            ["already_archived"]
        );
        assert_eq!(bench.state(RECORDING).await, Some(State::Notified));
        let actions = bench.actions(CONVERSATION, RECORDING).await;
        assert_eq!(actions.last().unwrap(), "webhook.delivered");
        assert_eq!(bench.world.webhook.deliveries().len(), 1);
    }
}

#[tokio::test]
async fn a_later_run_only_notifies_with_the_same_id_and_the_same_body() {
    let bench = Bench::with_a_call().await;
    bench.world.webhook.always_answer(500);
    let answer = bench.invoke(job()).await;
    bench.assert_told_later(&answer).await;
    bench.world.webhook.always_answer(204);
    bench.world.wire.forget();
    let (again, _) = bench.deferred().remove(0);
    let summary = bench.invoke(sqs([again.to_string()])).await.unwrap();
    assert_eq!(summary, json!({"batchItemFailures": []}));
    let asked: std::collections::BTreeSet<_> =
        bench.world.wire.exchanges().iter().map(|e| e.service).collect();
    let expected = [Service::DynamoDb, Service::SecretsManager, Service::Webhook];
    assert_eq!(asked, expected.into(), "neither Genesys nor media nor S3");
    let deliveries = bench.world.webhook.deliveries();
    assert_eq!(deliveries.len(), 4);
    assert!(
        deliveries
            .iter()
            .all(|d| d.id == deliveries[0].id && d.bytes == deliveries[0].bytes && d.verified)
    );
    assert_eq!(bench.state(RECORDING).await, Some(State::Notified));
    assert_eq!(
        bench.actions(CONVERSATION, RECORDING).await.last().unwrap(),
        "webhook.delivered"
    );
    bench.world.wire.forget();
    assert_eq!(
        outcomes(&bench.invoke(job()).await.unwrap()),
        ["already_archived"]
    );
    assert_eq!(
        (
            bench.asked(Service::Webhook, "deliver"),
            bench.asked(Service::Media, "media")
        ),
        (0, 0)
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (bench, elsewhere) = (Bench::with_a_call().await, Bench::new().await);
    bench
        .world
        .webhook
        .always_answer(Reply::Redirect(elsewhere.world.webhook.url()));
    let answer = bench.invoke(job()).await;
    bench.assert_told_later(&answer).await;
    assert!(elsewhere.world.wire.exchanges().is_empty());
}

#[tokio::test]
async fn a_receiver_that_fails_in_passing_is_told_within_the_run() {
    for fault in [Fault::status(500), Fault::Reset, Fault::Hang] {
        let bench = Bench::with_a_call().await;
        bench
            .world
            .wire
            .disturb_next(Service::Webhook, "deliver", 2, fault);
        bench
            .assert_archived(bench.invoke(job()).await, &call_sha256())
            .await;
        assert_eq!(bench.metrics()[0]["WebhookFailures"], 2);
    }
}

#[tokio::test]
async fn an_answer_lost_after_the_delivery_is_told_again_under_the_same_id() {
    let bench = Bench::with_a_call().await;
    bench
        .world
        .wire
        .disturb_next(Service::Webhook, "deliver", 1, Fault::ApplyThenReset);
    assert_eq!(outcomes(&bench.invoke(job()).await.unwrap()), ["archived"]);
    bench.assert_stored(&call_sha256()).await;
    let deliveries = bench.world.webhook.deliveries();
    assert_eq!(
        (deliveries.len(), &deliveries[0].id),
        (2, &deliveries[1].id),
        "the receiver can tell"
    );
    assert_eq!(bench.state(RECORDING).await, Some(State::Notified));
}

#[tokio::test]
async fn deferrals_of_the_news_wait_ever_longer_and_keep_when_it_began() {
    let bench = Bench::with_a_call().await;
    bench.world.webhook.always_answer(503);
    let mut again = job();
    for (n, expected) in [30, 60, 120].into_iter().enumerate() {
        assert_eq!(outcomes(&bench.invoke(again).await.unwrap()), ["deferred"]);
        let (next, delay) = bench.deferred().pop().unwrap();
        assert_eq!((delay, &next["deferrals"]), (expected, &json!(n + 1)));
        assert_eq!(next["firstSeen"], bench.deferred()[0].0["firstSeen"]);
        assert_eq!(next["recordingId"], RECORDING);
        again = next;
    }
    assert_eq!(bench.asked(Service::Media, "media"), 1);
}

#[tokio::test]
async fn after_72_hours_people_are_told_instead_and_a_replay_still_delivers() {
    let bench = Bench::with_a_call().await;
    bench.world.webhook.always_answer(500);
    let answer = bench.invoke(job()).await;
    bench.assert_told_later(&answer).await;
    let (again, _) = bench.deferred().remove(0);
    bench.clock.advance(Duration::from_secs(72 * 3600 + 60));
    let answer = bench.invoke(again).await;
    assert_eq!(outcomes(answer.as_ref().unwrap()), ["failed"]);
    leaks::assert_none(&bench, &answer).await;
    let exceptions = bench.exceptions();
    assert_eq!(exceptions.len(), 1);
    assert_eq!(exceptions[0]["code"], "webhook_undeliverable");
    assert_eq!(bench.deferred().len(), 1, "no more than the first");
    bench.assert_stored(&call_sha256()).await;
    assert_eq!(bench.state(RECORDING).await, Some(State::Archived), "as it is");
    assert_eq!(
        bench.actions(CONVERSATION, RECORDING).await.last().unwrap(),
        "webhook.failed"
    );
    bench.world.webhook.always_answer(204);
    let replayed = bench.invoke(exceptions[0]["job"].clone()).await.unwrap();
    assert_eq!(outcomes(&replayed), ["already_archived"]);
    assert_eq!(bench.state(RECORDING).await, Some(State::Notified));
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_defers_the_news_as_any_other_failure_of_it() {
    let bench = Bench::with_a_call().await;
    bench.world.webhook.always_answer(500);
    let answer = bench.invoke(job()).await;
    bench.assert_told_later(&answer).await;
    bench.world.wire.disturb(|e| {
        (e.service == Service::SecretsManager).then(|| json_error(400, "AccessDeniedException"))
    });
    let (again, _) = bench.deferred().remove(0);
    let answer = bench.invoke(again).await;
    bench.assert_told_later(&answer).await;
    assert_eq!(bench.deferred().len(), 2);
}

#[tokio::test]
async fn a_rotated_webhook_secret_signs_within_five_minutes_without_a_new_container() {
    let bench = Bench::with_a_call().await;
    let container = bench.handler(&[]);
    bench.world.webhook.always_answer(500);
    let answer = invoke(&container, job()).await;
    bench.assert_told_later(&answer).await;
    let next = "whsec_dGhlLW5leHQtd2ViaG9vay1zZWNyZXQtMDAwMg==";
    let (id, secret) = bench.world.genesys.credentials();
    let value = json!({"clientId": id, "clientSecret": secret, "webhookSecret": next}).to_string();
    bench.world.aws.put_secret(SECRET, &value).await.unwrap();
    bench.world.webhook.set_secret(next);
    bench.world.webhook.always_answer(204);
    bench.clock.advance(Duration::from_secs(300));
    let (again, _) = bench.deferred().remove(0);
    assert_eq!(
        outcomes(&invoke(&container, again).await.unwrap()),
        ["already_archived"]
    );
    assert!(bench.world.webhook.deliveries().last().unwrap().verified);
    assert_eq!(bench.asked(Service::SecretsManager, "GetSecretValue"), 2);
}

#[tokio::test]
async fn while_the_secret_cannot_be_read_again_the_one_known_goes_on_signing() {
    let bench = Bench::with_a_call().await;
    let container = bench.handler(&[]);
    bench.world.webhook.always_answer(500);
    let answer = invoke(&container, job()).await;
    bench.assert_told_later(&answer).await;
    bench.world.wire.disturb(|e| {
        (e.service == Service::SecretsManager).then(|| json_error(400, "AccessDeniedException"))
    });
    bench.world.webhook.always_answer(204);
    bench.clock.advance(Duration::from_secs(300));
    let (again, _) = bench.deferred().remove(0);
    invoke(&container, again).await.unwrap();
    assert!(bench.world.webhook.deliveries().last().unwrap().verified);
    assert_eq!(bench.state(RECORDING).await, Some(State::Notified));
}

#[tokio::test]
async fn a_receiver_that_asks_for_a_long_wait_is_told_by_a_later_run() {
    let bench = Bench::with_a_call().await;
    bench.is_down(Fault::Respond {
        status: 503,
        headers: vec![("retry-after".to_owned(), "600".to_owned())],
        body: Vec::new(),
    });
    let answer = bench.invoke(job()).await;
    bench.assert_told_later(&answer).await;
    assert_eq!(
        bench.asked(Service::Webhook, "deliver"),
        1,
        "nobody sleeps for ten minutes in a function"
    );
}
