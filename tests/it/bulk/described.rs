//! Call records of conversations that a batch download settled: found as those of the live lane are.

use recording_archiver::domain::record::State;
use recording_archiver::sim::CATALOG_TABLE;
use recording_archiver::sim::genesys::{InBatch, Recording, Thing, failure};
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::trigger::handler::Handler;
use serde_json::{Value, json};

use super::{
    ORIGINAL, bench, bulk, bulk_jobs, conversation, handler, live_jobs, recording, state, wav, work_off,
};
use crate::calls::DESCRIBING;
use crate::support::Bench;
use crate::work::Work;

const AGENT: &str = "a0000000-0000-4000-8000-000000000007";

/// Returns the function as it is configured for the bulk lane and for call records.
pub(super) fn describing(bench: &Bench) -> Handler {
    bench.handler(&[&[ORIGINAL][..], &DESCRIBING].concat())
}

/// Hides a conversation from analytics for so many requests.
fn hide(bench: &Bench, n: usize, requests: usize) {
    let genesys = &bench.world.genesys;
    genesys.conversation(&conversation(n), |known| known.details_absent_for = requests);
}

/// Settles so many conversations of one agent by a batch download.
pub(super) async fn described(bench: &Bench, count: usize) {
    described_by(bench, count, |_| AGENT.to_owned()).await;
}

/// Settles so many conversations by a batch download, each of the agent with this id.
pub(super) async fn described_by(bench: &Bench, count: usize, agent: impl Fn(usize) -> String) {
    for n in 0..count {
        taken_by(bench, n, &agent(n));
    }
    work_off(bench, &describing(bench), &bulk(count)).await;
}

/// Lets a conversation be that of an agent, whose name is its number.
pub(super) fn taken_by(bench: &Bench, n: usize, agent: &str) {
    let session = json!({"mediaType": "voice", "direction": "inbound", "recording": true,
                         "segments": [{"segmentType": "interact", "segmentEnd": super::END}]});
    let genesys = &bench.world.genesys;
    genesys.name(Thing::User, agent, &format!("Agent {n}"), "active");
    let agent = json!([{"purpose": "agent", "userId": agent, "sessions": [session]}]);
    genesys.conversation(&conversation(n), |known| known.participants = Some(agent));
}

pub(super) async fn call_record(bench: &Bench, n: usize) -> Value {
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
    hide(&bench, 1, 9);
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

#[tokio::test]
async fn an_unknown_conversation_takes_no_details_of_others_away() {
    let bench = bench(41).await;
    hide(&bench, 40, 9);
    // As if a list were refused for one id in it.
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "details", 1, failure(404, "not.found"));
    described(&bench, 41).await;
    assert_eq!(wire.count(Service::Genesys, "details"), 3, "one, and two shorter");
    assert_eq!(call_record(&bench, 40).await["detailsMissing"], "unknown");
    assert_eq!(of_agent(&bench).await, 40);
}

#[tokio::test]
async fn one_id_for_which_genesys_refuses_every_list_costs_few_requests() {
    let bench = bench(100).await;
    let odd = conversation(77);
    bench.world.wire.disturb(move |exchange| {
        let list = exchange.service == Service::Genesys && exchange.target.contains("details?id=");
        (list && exchange.target.contains(&odd)).then(|| Fault::status(400))
    });
    described(&bench, 100).await;
    // 100; 20, 40, 40; 20, 20; 10, 10. The ten with that id are then asked for alone.
    assert_eq!(bench.world.wire.count(Service::Genesys, "details"), 8);
    assert_eq!(of_agent(&bench).await, 100);
}

#[tokio::test]
async fn what_the_details_say_is_held_against_what_came() {
    let bench = bench(4).await;
    let genesys = &bench.world.genesys;
    // A batch download leaves a sensitive recording out without a word.
    let sensitive = Recording::audio(recording(0, 1), [wav(9)]);
    genesys.conversation(&conversation(0), |known| known.recordings.push(sensitive));
    genesys.treat_in_batches(recording(0, 1), InBatch::LeftOut);
    // Analytics contradict the job: this one goes on.
    genesys.conversation(&conversation(2), |known| known.end = None);
    work_off(&bench, &describing(&bench), &bulk(4)).await;
    let by = async |n: usize| {
        let record = bench.record(&conversation(n), "-").await.unwrap();
        record.settled_by
    };
    assert_eq!(by(0).await.as_deref(), Some("details"), "two were started");
    assert_eq!(by(1).await.as_deref(), Some("bulk"));
    assert_ne!(by(2).await.as_deref(), Some("bulk"), "it goes on");
    assert!(state(&bench, 0, &recording(0, 1)).await.is_some());
}

#[tokio::test]
async fn a_settled_conversation_of_which_a_recording_is_archived_now_is_looked_at_again() {
    let bench = bench(1).await;
    let changes = [&[ORIGINAL][..], &DESCRIBING].concat();
    let unwanted = bench.handler(&[&changes[..], &[("RECORDING_MEDIA", "screen")]].concat());
    work_off(&bench, &unwanted, &bulk(1)).await;
    assert_eq!(state(&bench, 0, &recording(0, 0)).await, Some(State::Skipped));
    assert_eq!(state(&bench, 0, "-").await, Some(State::Settled));
    work_off(&bench, &bench.handler(&changes), &bulk(1)).await;
    assert_eq!(state(&bench, 0, &recording(0, 0)).await, Some(State::Notified));
    assert_eq!(live_jobs(&bench)[0]["recheck"], true);
    let call = call_record(&bench, 0).await;
    assert_eq!(call["recordings"][0]["recordingId"], recording(0, 0));
}

#[tokio::test]
async fn a_settled_conversation_of_which_more_was_started_is_looked_at_again() {
    let bench = bench(1).await;
    let handler = handler(&bench);
    work_off(&bench, &handler, &bulk(1)).await;
    let mut more = bulk(1);
    more["bulk"][0]["kinds"] = json!(["audio", "audio"]);
    work_off(&bench, &handler, &more).await;
    assert_eq!(live_jobs(&bench)[0]["recheck"], true);
}

#[tokio::test]
async fn what_the_answer_to_a_long_list_lacks_is_asked_for_once_more() {
    let bench = bench(41).await;
    hide(&bench, 0, 1);
    described(&bench, 41).await;
    assert_eq!(bench.world.wire.count(Service::Genesys, "details"), 2);
    assert_eq!(of_agent(&bench).await, 41);
}

#[tokio::test]
async fn a_list_that_is_not_answered_is_asked_for_once_in_a_run_and_leaves_nothing_to_the_live_lane() {
    let bench = bench(20).await;
    let wire = &bench.world.wire;
    let attempts = 4;
    wire.disturb_next(Service::Genesys, "details", attempts, Fault::status(503));
    described(&bench, 20).await;
    assert_eq!(wire.count(Service::Genesys, "details"), attempts + 1);
    assert!(live_jobs(&bench).is_empty());
    let delays: Vec<i64> = bulk_jobs(&bench).iter().map(|(_, delay)| *delay).collect();
    assert_eq!(delays.last(), Some(&900), "{delays:?}");
    assert_eq!(of_agent(&bench).await, 20);
}

#[tokio::test]
async fn where_details_do_not_come_for_hours_the_live_lane_gets_the_calls() {
    let bench = bench(2).await;
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "details", 10_000, Fault::status(503));
    let handler = describing(&bench);
    let mut work = Work::of(&bench);
    work.send(&bulk(2));
    while live_jobs(&bench).is_empty() {
        assert!(work.deliver(&handler).await > 0, "nothing is left to do");
    }
    let (last, _) = bulk_jobs(&bench).pop().unwrap();
    assert_eq!(last["batch"]["polls"], 13);
    let waited: i64 = bulk_jobs(&bench).iter().map(|(_, delay)| *delay).sum();
    assert!(waited > 2 * 3_600, "{waited} s");
    assert_eq!(live_jobs(&bench).len(), 2);
}
