//! The function dies while it describes a call: the next run comes to the same end.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use recording_archiver::domain::record::State;
use recording_archiver::sim::CATALOG_TABLE;
use recording_archiver::sim::genesys::{Recording, Thing};
use serde_json::Value;

use super::{CALL, DESCRIBING, LATER};
use crate::kill::{LEASE, MOMENTS, kill};
use crate::support::{Bench, CONVERSATION, RECORDING, call, invoke_for, job, sha256, sqs};
use crate::work::Work;

const CONFIGURATION: &[(&str, &str)] = &DESCRIBING;

/// Returns a conversation that is looked at once, and the job of its last look.
async fn before_the_last_look() -> (Arc<Bench>, Value) {
    let bench = Arc::new(Bench::with_a_call().await);
    let handler = bench.handler(CONFIGURATION);
    invoke_for(&handler, sqs([job().to_string()]), LEASE)
        .await
        .unwrap();
    let look = Work::of(&bench).waiting().remove(0);
    bench.advance(std::time::Duration::from_secs(901));
    (bench, look)
}

/// Returns the number of requests of the last look.
async fn effects() -> usize {
    let (bench, look) = before_the_last_look().await;
    bench.world.wire.forget();
    let handler = bench.handler(CONFIGURATION);
    invoke_for(&handler, sqs([look.to_string()]), LEASE)
        .await
        .unwrap();
    let effects = bench.world.wire.exchanges().len();
    assert!(effects >= 10, "{effects}");
    effects
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_comes_between_a_death_and_the_next_run_is_described_as_well() {
    let effects = effects().await;
    let mut described = 0;
    for k in 1..=effects {
        for moment in MOMENTS {
            let (bench, look) = before_the_last_look().await;
            assert!(kill(&bench, CONFIGURATION, sqs([look.to_string()]), k, moment).await);
            bench.world.genesys.conversation(CONVERSATION, |conversation| {
                conversation.recordings.push(Recording::audio(LATER, [call()]));
            });
            let handler = bench.handler(CONFIGURATION);
            let mut work = Work::of(&bench);
            work.send(&look);
            work.run_dry(&handler).await;
            let story = format!("killed {moment:?} effect {k} of {effects}");
            let whole = bench.record(CONVERSATION, "-").await.expect(&story);
            assert_eq!(whole.state, State::Settled, "{story}");
            // Settled before it died, the conversation is not looked at again.
            if bench.record(CONVERSATION, LATER).await.is_some() {
                let both = BTreeSet::from([RECORDING, LATER]);
                let named = whole.described.iter().map(String::as_str);
                assert_eq!(named.collect::<BTreeSet<_>>(), both, "{story}");
                described += 1;
            }
        }
    }
    assert!(described > effects, "{described} of {effects}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_described_once_wherever_the_function_dies() {
    let effects = effects().await;
    for k in 1..=effects {
        for moment in MOMENTS {
            for renamed in [false, true] {
                let (bench, look) = before_the_last_look().await;
                assert!(kill(&bench, CONFIGURATION, sqs([look.to_string()]), k, moment).await);
                if renamed {
                    // The next run makes other bytes of the call.
                    let agent = "a0000000-0000-4000-8000-0000000000a1";
                    bench.world.genesys.name(Thing::User, agent, "Renamed", "active");
                }
                let handler = bench.handler(CONFIGURATION);
                let mut work = Work::of(&bench);
                work.send(&look);
                work.run_dry(&handler).await;
                let story = format!("killed {moment:?} effect {k} of {effects}, renamed: {renamed}");
                assert_described(&bench, &story).await;
            }
        }
    }
}

async fn assert_described(bench: &Bench, story: &str) {
    let whole = bench.record(CONVERSATION, "-").await.expect(story);
    assert_eq!(whole.state, State::Settled, "{story}");
    let actions = bench.actions(CONVERSATION, "-").await;
    let expected = ["conversation.listed", "call.described", "conversation.settled"];
    assert_eq!(actions, expected, "{story}");
    let calls: Vec<_> = bench.keys().await;
    let calls: Vec<_> = calls.iter().filter(|key| key.ends_with(".json")).collect();
    assert_eq!(calls, [CALL], "{story}");
    let object = bench.object(CALL).await.unwrap();
    let event = &bench.audit(CONVERSATION, "-").await[1];
    assert_eq!(event["hash"], sha256(&object.bytes), "{story}");
    let attempt = &object.head.metadata().unwrap()["attempt-id"];
    assert_eq!(event["attemptId"], attempt.as_str(), "{story}");
    assert_eq!(whole.files.len(), 1, "{story}");
    assert!(whole.describing.is_empty(), "{story}");
    assert!(bench.exceptions().is_empty(), "{story}");
    // And whatever was put before, the catalog has every item in the end, once.
    let scan = bench.world.aws.dynamodb().scan().table_name(CATALOG_TABLE);
    let items = scan.send().await.unwrap().items.unwrap_or_default();
    let facet = |item: &HashMap<String, AttributeValue>| {
        let key = item["facet"].as_s().unwrap();
        key.split('#').next().unwrap().to_owned()
    };
    let calls = items.iter().filter(|item| item.contains_key("interactionId"));
    let mut facets: Vec<_> = calls.map(facet).collect();
    facets.sort();
    assert_eq!(
        facets,
        ["agent", "division", "hour", "number", "wrapup"],
        "{story}"
    );
    let names: BTreeSet<_> = items
        .iter()
        .filter_map(|item| item.get("name")?.as_s().ok())
        .collect();
    assert!(names.len() >= 3, "{story}: {names:?}");
}
