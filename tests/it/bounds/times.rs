//! Times that cannot be: nothing is deferred for ever by them, and nothing is locked for ever.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use recording_archiver::sim::LEDGER_TABLE;
use recording_archiver::sim::genesys::{Conversation, Topic, event};

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

/// Returns a conversation of which Genesys lists nothing.
async fn without_recording() -> Bench {
    let bench = Bench::new().await;
    bench.world.genesys.add(Conversation::new(CONVERSATION));
    bench
}

/// Returns the job as it is sent again.
fn again(bench: &Bench) -> Value {
    bench.deferred().pop().unwrap().0
}

#[tokio::test]
async fn a_time_in_the_future_ends_the_waiting_as_the_present_does() {
    let far = "9999-12-30T00:00:00Z".parse::<Timestamp>().unwrap();
    let mut by_job = job();
    by_job["firstSeen"] = json!(far.to_string());
    let by_event = |time: Value| {
        let mut event = event(Topic::CustomerEnd, CONVERSATION, Timestamp::now());
        event["detail"]["eventBody"]["eventTime"] = time;
        event
    };
    let now = Timestamp::now();
    for payload in [
        by_job,
        by_event(json!(far.as_millisecond())),
        by_event(json!(now.as_microsecond())),
        by_event(json!(now.as_microsecond() / 10)),
        by_event(json!(i64::MAX)),
        by_event(json!(1.5e300)),
    ] {
        let bench = without_recording().await;
        let summary = bench.invoke(payload.clone()).await.unwrap();
        assert_eq!(outcomes(&summary), ["deferred"], "{payload}");
        let again = again(&bench);
        let seen: Timestamp = again["firstSeen"].as_str().unwrap().parse().unwrap();
        assert!(seen <= bench.clock.now(), "{payload}: {seen}");
        bench.clock.advance(25 * HOUR);
        assert_eq!(
            outcomes(&bench.invoke(again).await.unwrap()),
            ["failed"],
            "{payload}"
        );
        assert_eq!(bench.codes(), ["never_ready"]);
    }
}

#[tokio::test]
async fn five_thousand_deferrals_end_what_no_time_limit_ended() {
    let bench = without_recording().await;
    let mut tired = job();
    tired["deferrals"] = json!(4_999);
    assert_eq!(outcomes(&bench.invoke(tired).await.unwrap()), ["deferred"]);
    let tired = again(&bench);
    assert_eq!(tired["deferrals"], 5_000);
    assert_eq!(outcomes(&bench.invoke(tired.clone()).await.unwrap()), ["failed"]);
    assert_eq!(bench.codes(), ["deferrals_exhausted"]);
    assert_eq!(bench.deferred().len(), 1, "it does not come again");
    assert_eq!(
        bench.actions(CONVERSATION, "-").await,
        ["download.deferred", "download.failed"]
    );
    bench.clock.advance(25 * HOUR);
    bench.invoke(tired).await.unwrap();
    assert_eq!(
        bench.codes().last().unwrap(),
        "never_ready",
        "time limits come first"
    );
}

#[tokio::test]
async fn five_thousand_deferrals_end_the_waiting_for_another_run_and_for_the_receiver() {
    let bench = claimed().await;
    let mut tired = job();
    tired["deferrals"] = json!(5_000);
    assert_eq!(outcomes(&bench.invoke(tired.clone()).await.unwrap()), ["failed"]);
    assert_eq!(bench.codes(), ["deferrals_exhausted"]);

    let bench = Bench::with_a_call().await;
    bench.world.webhook.always_answer(500);
    assert_eq!(outcomes(&bench.invoke(tired).await.unwrap()), ["failed"]);
    assert_eq!(bench.codes(), ["webhook_undeliverable"]);
    assert!(bench.deferred().is_empty());
    assert_eq!(bench.keys().await, [KEY]);
}

/// Returns a bench whose recording a run has claimed that is gone now.
async fn claimed() -> Bench {
    let bench = Bench::with_a_call().await;
    bench
        .world
        .wire
        .disturb_next(Service::Media, "media", 1, Fault::Hang);
    let handler = bench.handler(&[]);
    tokio::select! {
        answer = invoke(&handler, job()) => panic!("{answer:?}"),
        () = bench.world.wire.wait_until(|all| all.iter().any(|asked| asked.service == Service::Media)) => {}
    }
    bench
}

/// Writes an attribute of the recording's record as no run would.
async fn tamper(bench: &Bench, name: &str, value: AttributeValue) {
    let update = bench.world.aws.dynamodb().update_item().table_name(LEDGER_TABLE);
    update
        .key("interactionId", AttributeValue::S(CONVERSATION.to_owned()))
        .key("recordingId", AttributeValue::S(RECORDING.to_owned()))
        .update_expression(format!("SET {name} = :value"))
        .expression_attribute_values(":value", value)
        .send()
        .await
        .unwrap();
}

fn far_away() -> Timestamp {
    "2036-01-01T00:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn a_lease_that_ends_in_ten_years_ends_in_a_quarter_of_an_hour() {
    let bench = claimed().await;
    let end = AttributeValue::N(far_away().as_millisecond().to_string());
    tamper(&bench, "leaseExpiresAt", end).await;
    assert_eq!(outcomes(&bench.invoke(job()).await.unwrap()), ["deferred"]);
    let (_, delay) = bench.deferred().pop().unwrap();
    assert!((800..=900).contains(&delay), "{delay}");
    bench.clock.advance(Duration::from_secs(901));
    assert_eq!(outcomes(&bench.invoke(job()).await.unwrap()), ["archived"]);
}

#[tokio::test]
async fn a_lease_that_was_written_in_the_future_holds_nobody_up() {
    let bench = claimed().await;
    let end = AttributeValue::N(far_away().as_millisecond().to_string());
    tamper(&bench, "leaseExpiresAt", end).await;
    tamper(&bench, "updatedAt", AttributeValue::S(far_away().to_string())).await;
    assert_eq!(outcomes(&bench.invoke(job()).await.unwrap()), ["archived"]);
}
