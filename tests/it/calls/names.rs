//! Names of the ids in a call, as they were when it was archived.

use recording_archiver::sim::genesys::{Conversation, Recording, Thing};
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::telemetry;
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt as _;

use super::{CALL, DESCRIBING, read, settle_with};
use crate::log_lines::Written;
use crate::support::{Bench, CONVERSATION, call, invoke, job, sqs};
use crate::work::Work;

const AGENT: &str = "a0000000-0000-4000-8000-0000000000a1";
const QUEUE: &str = "b0000000-0000-4000-8000-000000000001";

async fn with_a_queue() -> Bench {
    let bench = Bench::with_a_call().await;
    bench.world.genesys.conversation(CONVERSATION, |conversation| {
        conversation.queue = Some(QUEUE.to_owned());
    });
    bench
}

#[tokio::test]
async fn former_agents_queues_wrap_up_codes_and_divisions_are_named() {
    let bench = with_a_queue().await;
    let genesys = &bench.world.genesys;
    genesys.name(Thing::User, AGENT, "Anna Before", "deleted");
    genesys.name(Thing::Queue, QUEUE, "Claims", "active");
    settle_with(&bench, &[]).await;
    let names = &read(&bench, CALL).await["names"];
    assert_eq!(names["users"], json!({AGENT: "Anna Before"}));
    assert_eq!(names["queues"], json!({QUEUE: "Claims"}));
    assert_eq!(
        names["wrapUpCodes"],
        json!({"a0000000-0000-4000-8000-0000000000f1": "Done"})
    );
    assert_eq!(
        names["divisions"],
        json!({"d0000000-0000-4000-8000-000000000001": "Home"})
    );
}

#[tokio::test]
async fn ten_conversations_share_the_requests_for_their_names() {
    let bench = Bench::new().await;
    let id = |n: u32| format!("c0000000-0000-4000-8000-0000000001{n:02}");
    for n in 0..10 {
        let recording = Recording::audio(format!("e0000000-0000-4000-8000-0000000001{n:02}"), [call()]);
        bench
            .world
            .genesys
            .add(Conversation::new(id(n)).recording(recording));
    }
    let handler = bench.handler(&DESCRIBING);
    let bodies = (0..10).map(|n| json!({"conversationId": id(n)}).to_string());
    invoke(&handler, sqs(bodies)).await.unwrap();
    bench.world.wire.forget();
    Work::of(&bench).run_dry(&handler).await;
    // Ten lists, one request for details, and three kinds of names.
    assert_eq!(bench.genesys_requests(), 14);
}

#[tokio::test]
async fn without_a_permission_the_record_holds_ids_and_says_so() {
    let bench = with_a_queue().await;
    bench.world.genesys.deny("routing:queue:view", true);
    bench.world.genesys.deny("routing:queue:search", true);
    settle_with(&bench, &[]).await;
    let call = read(&bench, CALL).await;
    assert_eq!(call["names"]["missing"], json!({"queues": "denied"}));
    assert_eq!(call["names"]["queues"], Value::Null);
    assert_eq!(call["names"]["users"], json!({AGENT: "Agent One"}));
}

#[tokio::test]
async fn a_name_of_ten_kilobytes_is_cut_and_any_letter_is_kept() {
    let bench = with_a_queue().await;
    let long = "ש\u{202e}".repeat(2_500);
    bench.world.genesys.name(Thing::User, AGENT, &long, "active");
    settle_with(&bench, &[]).await;
    let call = read(&bench, CALL).await;
    let name = call["names"]["users"][AGENT].as_str().unwrap();
    assert_eq!(name.chars().count(), 1_025);
    assert!(name.starts_with("ש\u{202e}ש") && name.ends_with('…'));
}

#[tokio::test]
async fn a_call_waits_for_names_until_the_readiness_deadline_and_then_goes_without() {
    let bench = with_a_queue().await;
    let handler = bench.handler(&DESCRIBING);
    invoke(&handler, job()).await.unwrap();
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "users", 10_000, Fault::status(503));
    let mut work = Work::of(&bench);
    work.deliver(&handler).await;
    assert!(bench.object(CALL).await.is_none(), "another look follows");
    work.run_dry(&handler).await;
    let call = read(&bench, CALL).await;
    assert_eq!(call["names"]["missing"]["users"], "unavailable");
}

#[tokio::test]
async fn a_kind_of_names_that_genesys_refuses_takes_no_other_names_away() {
    let bench = with_a_queue().await;
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "users", 10_000, Fault::status(400));
    settle_with(&bench, &[]).await;
    let names = &read(&bench, CALL).await["names"];
    assert_eq!(names["missing"], json!({"users": "unavailable"}));
    assert_eq!(names["users"], Value::Null);
    assert_eq!(names["divisions"].as_object().unwrap().len(), 1, "{names}");
}

/// Returns a call whose agents of these numbers ended it with a built-in wrap-up code.
async fn with_agents(numbers: std::ops::Range<usize>) -> Bench {
    let bench = Bench::with_a_call().await;
    let agents = numbers.map(|n| {
        let id = format!("a0000000-0000-4000-8000-{n:012}");
        bench
            .world
            .genesys
            .name(Thing::User, &id, &format!("Agent {n}"), "active");
        let segment = json!({"segmentType": "wrapup", "segmentEnd": "2026-01-15T10:20:30Z",
                             "wrapUpCode": "ININ-WRAP-UP-TIMEOUT"});
        json!({"purpose": "agent", "userId": id,
               "sessions": [{"mediaType": "voice", "recording": true, "segments": [segment]}]})
    });
    let agents: Vec<_> = agents.collect();
    bench.world.genesys.conversation(CONVERSATION, |conversation| {
        conversation.participants = Some(agents.into());
    });
    bench
}

/// The user whose id Genesys refuses.
const ODD: &str = "a0000000-0000-4000-8000-000000000017";

/// Lets Genesys refuse each request with that id, or with a built-in wrap-up code.
fn refuse_odd(bench: &Bench, status: u16) {
    bench.world.wire.disturb(move |exchange| {
        let refused = [ODD, "ININ-WRAP-UP"]
            .iter()
            .any(|id| exchange.target.contains(id));
        (exchange.service == Service::Genesys && refused).then(|| Fault::status(status))
    });
}

#[tokio::test]
async fn an_id_that_genesys_refuses_takes_no_other_name_away() {
    for status in [400, 404] {
        let bench = with_agents(0..40).await;
        refuse_odd(&bench, status);
        settle_with(&bench, &[]).await;
        let names = &read(&bench, CALL).await["names"];
        assert_eq!(names["users"].as_object().unwrap().len(), 39, "{names}");
        assert_eq!(names["users"][ODD], Value::Null);
        // A built-in code needs no list to know it.
        assert_eq!(names["missing"], json!({"users": "unavailable"}));
    }
}

#[tokio::test]
async fn an_id_that_genesys_refuses_is_found_by_few_requests_and_a_built_in_one_is_waited_for_by_none() {
    let bench = with_agents(0..40).await;
    refuse_odd(&bench, 400);
    let handler = bench.handler(&DESCRIBING);
    invoke(&handler, job()).await.unwrap();
    let mut work = Work::of(&bench);
    work.deliver(&handler).await;
    // 40, 20, 20, 10, 10, 5, 5, 2, 3, and the last two or three alone.
    let users = bench.world.wire.count(Service::Genesys, "users");
    assert!((11..=13).contains(&users), "{users}");
    // What is known is not asked for again, but for the id that was refused.
    let asked = || bench.world.wire.count(Service::Genesys, "users");
    while asked() == users {
        assert!(work.deliver(&handler).await > 0, "another look follows");
    }
    assert_eq!(asked(), users + 1);
}

#[tokio::test]
async fn a_kind_that_genesys_refuses_whatever_the_ids_is_given_up_for_a_minute() {
    let bench = with_agents(0..40).await;
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "users", 10_000, Fault::status(400));
    let handler = bench.handler(&DESCRIBING);
    invoke(&handler, job()).await.unwrap();
    let mut work = Work::of(&bench);
    work.deliver(&handler).await;
    // 40, 20, 10, 5, 3, 2, its two, the third, and the other two of five.
    assert_eq!(wire.count(Service::Genesys, "users"), 10);
    work.run_dry(&handler).await;
    let names = &read(&bench, CALL).await["names"];
    assert_eq!(names["missing"], json!({"users": "unavailable"}));
}

#[tokio::test]
async fn names_that_genesys_denies_are_logged_once_for_a_container() {
    let bench = Bench::new().await;
    bench.world.genesys.deny("routing:queue:view", true);
    bench.world.genesys.deny("routing:queue:search", true);
    let written = Written::default();
    let writer = written.clone();
    let layer = telemetry::layer("warn", move || writer.clone());
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let mut work = Work::of(&bench);
    for container in 1..3 {
        let handler = bench.handler(&DESCRIBING);
        for n in 0..3 {
            let id = format!("c0000000-0000-4000-8000-00000000{container:02}{n:02}");
            let recording = Recording::audio(
                format!("e0000000-0000-4000-8000-00000000{container:02}{n:02}"),
                [call()],
            );
            let mut conversation = Conversation::new(&id).recording(recording);
            conversation.queue = Some(QUEUE.to_owned());
            bench.world.genesys.add(conversation);
            invoke(&handler, json!({"conversationId": id})).await.unwrap();
            work.run_dry(&handler).await;
        }
        let lines = written.lines();
        let denied = lines
            .iter()
            .filter(|line| line["message"].as_str().unwrap().contains("403 about names"));
        let kinds: Vec<_> = denied.map(|line| line["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, vec!["queues"; container], "{lines:#?}");
    }
}
