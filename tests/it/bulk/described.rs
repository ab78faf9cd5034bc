//! Call records of conversations that a batch download settled: found as those of the live lane are.

use recording_archiver::sim::CATALOG_TABLE;
use recording_archiver::sim::genesys::failure;
use recording_archiver::sim::wire::Service;
use serde_json::{Value, json};

use super::{ORIGINAL, bench, bulk, conversation, work_off};
use crate::calls::DESCRIBING;
use crate::support::Bench;

const AGENT: &str = "a0000000-0000-4000-8000-000000000007";

/// Settles so many conversations of one agent by a batch download.
async fn described(bench: &Bench, count: usize) {
    for n in 0..count {
        let session = json!({"mediaType": "voice", "direction": "inbound", "recording": true,
                             "segments": [{"segmentType": "interact", "segmentEnd": super::END}]});
        let agent = json!([{"purpose": "agent", "userId": AGENT, "sessions": [session]}]);
        let genesys = &bench.world.genesys;
        genesys.conversation(&conversation(n), |known| known.participants = Some(agent));
    }
    let handler = bench.handler(&[&[ORIGINAL][..], &DESCRIBING].concat());
    work_off(bench, &handler, &bulk(count)).await;
}

async fn call_record(bench: &Bench, n: usize) -> Value {
    let key = format!("recordings/{}/call.json", conversation(n));
    serde_json::from_slice(&bench.object(&key).await.unwrap().bytes).unwrap()
}

/// Returns how many items of the catalog lead from the agent to a recording.
async fn of_agent(bench: &Bench) -> usize {
    let scan = bench.world.aws.dynamodb().scan().table_name(CATALOG_TABLE);
    let found = scan.send().await.unwrap();
    let facets = found.items().iter().map(|item| item["facet"].as_s().unwrap());
    facets
        .filter(|facet| facet.starts_with("agent#") && facet.contains(AGENT))
        .count()
}

#[tokio::test]
async fn the_details_of_a_batch_come_by_one_request_and_its_calls_are_found() {
    let bench = bench(3).await;
    described(&bench, 3).await;
    assert_eq!(bench.world.wire.count(Service::Genesys, "details"), 1);
    for n in 0..3 {
        let call = call_record(&bench, n).await;
        assert_eq!(call["settledBy"], "bulk");
        assert_eq!(call["details"]["conversationId"], conversation(n));
    }
    assert_eq!(of_agent(&bench).await, 3);
}

#[tokio::test]
async fn what_analytics_do_not_know_is_not_asked_for_again() {
    let bench = bench(2).await;
    let absent = |known: &mut recording_archiver::sim::genesys::Conversation| known.details_absent_for = 9;
    bench.world.genesys.conversation(&conversation(1), absent);
    described(&bench, 2).await;
    assert_eq!(bench.world.wire.count(Service::Genesys, "details"), 1);
    assert_eq!(call_record(&bench, 1).await["detailsMissing"], "unknown");
    assert_eq!(of_agent(&bench).await, 1);
}

#[tokio::test]
async fn a_list_of_ids_that_genesys_refuses_is_asked_for_in_shorter_ones() {
    let bench = bench(41).await;
    let refused = failure(400, "bad.request");
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "details", 1, refused);
    described(&bench, 41).await;
    assert_eq!(bench.world.wire.count(Service::Genesys, "details"), 3);
    assert_eq!(of_agent(&bench).await, 41);
}
