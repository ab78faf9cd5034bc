//! The simulated answers about a conversation beside its recordings, about orphans, and the organisation.

use recording_archiver::sim::genesys::{Conversation, Media, Orphan, Recording};
use serde_json::{Value, json};

use super::{CONVERSATION, Cloud, RECORDING, call};
use crate::openapi::{assert_declared, assert_is};

const CALL: &str = "/api/v2/conversations/{conversationId}";
const ONE: &str = "/api/v2/analytics/conversations/{conversationId}/details";
const SEVERAL: &str = "/api/v2/analytics/conversations/details";

fn of(path: &str) -> String {
    path.replace("{conversationId}", CONVERSATION)
}

async fn with(conversation: Conversation) -> Cloud {
    let cloud = Cloud::start().await;
    cloud.genesys.add(conversation);
    cloud
}

/// Returns the agent's participant.
fn agent(conversation: &Value) -> &Value {
    let mut participants = conversation["participants"].as_array().unwrap().iter();
    participants
        .find(|participant| participant["purpose"] == "agent")
        .unwrap()
}

#[tokio::test]
async fn after_call_work_shows_until_it_is_done() {
    let cloud = with(Conversation::new(CONVERSATION).acw_open()).await;
    let open = cloud.get(&of(CALL)).await;
    assert_declared("get", CALL, 200, &open.body);
    let open = open.json();
    assert!(open["endTime"].is_string(), "the call itself is over");
    let participant = agent(&open);
    assert_eq!(participant["wrapupRequired"], true);
    assert!(participant["startAcwTime"].is_string() && participant.get("endAcwTime").is_none());
    assert!(participant.get("wrapup").is_none());
    let details = cloud.get(&of(ONE)).await;
    assert_declared("get", ONE, 200, &details.body);
    assert!(details.json().get("conversationEnd").is_none());

    let done = |conversation: &mut Conversation| conversation.acw_open = false;
    cloud.genesys.conversation(CONVERSATION, done).unwrap();
    let closed = cloud.get(&of(CALL)).await.json();
    assert!(agent(&closed)["endAcwTime"].is_string() && agent(&closed)["wrapup"]["code"].is_string());
    let details = cloud.get(&of(ONE)).await.json();
    assert!(details["conversationEnd"].is_string());
    let segments = &agent(&details)["sessions"][0]["segments"];
    assert_eq!(segments[1]["segmentType"], "wrapup");
    assert!(segments[1]["wrapUpCode"].is_string(), "{segments}");
}

#[tokio::test]
async fn details_are_given_for_the_conversations_that_are_named() {
    let cloud = with(Conversation::new(CONVERSATION)).await;
    let second = "c0000000-0000-4000-8000-000000000002";
    let unknown = "c0000000-0000-4000-8000-00000000ffff";
    cloud.genesys.add(Conversation::new(second));
    for query in [
        format!("?id={CONVERSATION},{unknown},{second}"),
        format!("?id={CONVERSATION}&id={second}"),
    ] {
        let answer = cloud.get(&format!("{SEVERAL}{query}")).await;
        assert_declared("get", SEVERAL, 200, &answer.body);
        let answer = answer.json();
        let ids: Vec<_> = answer["conversations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["conversationId"].as_str().unwrap())
            .collect();
        assert_eq!(ids, [CONVERSATION, second]);
    }
    cloud.genesys.set_most_detail_ids(1);
    for (query, status) in [
        (format!("?id={CONVERSATION},{second}"), 400),
        (String::new(), 400),
        (format!("?id={second}"), 200),
    ] {
        let answer = cloud.get(&format!("{SEVERAL}{query}")).await;
        assert_eq!(answer.status, status, "{query}");
    }
    let answer = cloud.get(&ONE.replace("{conversationId}", unknown)).await;
    assert_declared("get", ONE, 404, &answer.body);
}

#[tokio::test]
async fn analytics_lags_behind() {
    let cloud = with(Conversation::new(CONVERSATION).details_lag(1, 1)).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let answer = cloud.get(&format!("{SEVERAL}?id={CONVERSATION}")).await.json();
        seen.push(match answer["conversations"].as_array().unwrap().first() {
            None => "absent",
            Some(one) if one.get("conversationEnd").is_none() => "open",
            Some(_) => "ended",
        });
    }
    assert_eq!(seen, ["absent", "open", "ended"]);
}

#[tokio::test]
async fn calls_screens_and_snippets_are_told_apart() {
    let media = || Media::bytes("RIFF");
    for (recording, expected) in [
        (call(&media()), [true, false, false]),
        (Recording::screen(RECORDING, media()), [false, true, false]),
        (Recording::snippet(RECORDING, media()), [false, false, true]),
    ] {
        let cloud = with(Conversation::new(CONVERSATION).recording(recording)).await;
        let details = cloud.get(&of(ONE)).await.json();
        let sessions = || {
            let participants = details["participants"].as_array().unwrap().iter();
            participants.flat_map(|participant| participant["sessions"].as_array().unwrap())
        };
        let told = [
            sessions().any(|session| session["recording"] == true),
            agent(&details)["screenRecording"] == true,
            sessions().any(|session| session["snippetRecording"] == true),
        ];
        assert_eq!(told, expected, "{details}");
    }
}

#[tokio::test]
async fn orphans_are_listed_page_by_page_and_500_without_a_conversation() {
    let cloud = Cloud::start().await;
    let id = |number: usize| format!("e0000000-0000-4000-8000-{number:012}");
    for number in 0..600 {
        cloud.genesys.add_orphan(Orphan::unknown(id(number)));
    }
    cloud.genesys.add_orphan(Orphan::of(CONVERSATION, id(700)));
    let all = cloud.get("/api/v2/orphanrecordings?pageSize=100").await.json();
    assert_eq!((&all["total"], &all["pageCount"]), (&json!(500), &json!(5)));
    assert!(all["nextUri"].is_string() && all.get("previousUri").is_none());
    let last = cloud
        .get("/api/v2/orphanrecordings?pageSize=100&pageNumber=5")
        .await
        .json();
    assert!(last.get("nextUri").is_none());
    let known = cloud
        .get("/api/v2/orphanrecordings?hasConversation=true&media=Call")
        .await
        .json();
    assert_eq!(known["total"], 1);
    let orphan = &known["entities"][0];
    assert_eq!(orphan["recording"]["conversationId"], CONVERSATION);
    assert_eq!(orphan["orphanStatus"], "CONVERSATION_NOT_COMPLETE");
    let screens = cloud.get("/api/v2/orphanrecordings?media=Screen").await.json();
    assert_eq!(screens["total"], 0);
    let one = cloud
        .get(&format!("/api/v2/orphanrecordings/{}", id(700)))
        .await
        .json();
    assert_eq!(&one, orphan);
    for bad in [
        "pageSize=101",
        "pageNumber=0",
        "media=Chat",
        "hasConversation=yes",
    ] {
        let answer = cloud.get(&format!("/api/v2/orphanrecordings?{bad}")).await;
        assert_eq!(answer.status, 400, "{bad}");
    }
    cloud.genesys.deny("recording:orphan:view", true);
    let denied = cloud.get("/api/v2/orphanrecordings").await;
    assert_eq!(denied.status, 403);
    assert_is("ErrorBody", &denied.json());
    assert!(
        denied.json()["message"]
            .as_str()
            .unwrap()
            .contains("recording:orphan:view")
    );
}

#[tokio::test]
async fn limits_have_names_and_the_rate_limit_is_one_of_them() {
    let cloud = Cloud::start().await;
    cloud.genesys.set_rate_limit(180);
    let path = "/api/v2/organizations/limits/namespaces/platform.api";
    for (path, value) in [(path.to_owned(), 180), (format!("{path}/defaults"), 300)] {
        let answer = cloud.get(&path).await.json();
        let limits = answer["entities"].as_array().unwrap();
        limits.iter().for_each(|limit| assert_is("Limit", limit));
        let limit = limits
            .iter()
            .find(|limit| limit["key"] == "client.credentials.token.rate.per.minute");
        assert_eq!(limit.unwrap()["value"], value);
    }
    let unknown = "/api/v2/organizations/limits/namespaces/no.such";
    assert_eq!(cloud.get(unknown).await.status, 400);
}

#[tokio::test]
async fn topics_tell_how_they_are_delivered_only_if_asked() {
    let cloud = Cloud::start().await;
    let path = "/api/v2/notifications/availabletopics";
    let plain = cloud.get(path).await.json();
    assert!(plain["entities"][0].get("transports").is_none());
    let expanded = cloud
        .get(&format!(
            "{path}?expand=transports,description&includePreview=true"
        ))
        .await
        .json();
    let end = expanded["entities"]
        .as_array()
        .unwrap()
        .iter()
        .find(|topic| topic["id"] == "v2.detail.events.conversation.{id}.customer.end");
    let end = end.unwrap();
    assert!(
        end["transports"]
            .as_array()
            .unwrap()
            .contains(&json!("EventBridge"))
    );
    assert!(end["description"].is_string());
}

#[tokio::test]
async fn without_its_permission_a_kind_of_recording_does_not_show() {
    let second = "e0000000-0000-4000-8000-000000000002";
    let media = || Media::bytes("RIFF");
    let conversation = Conversation::new(CONVERSATION)
        .recording(call(&media()))
        .recording(Recording::snippet(second, media()));
    let cloud = with(conversation).await;
    cloud.genesys.deny("recording:snippetRecording:view", true);
    let list = cloud.metadata().await.json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["id"], RECORDING);
    let retention = "/api/v2/recordings/retention/query?retentionThresholdDays=1";
    assert_eq!(
        cloud.get(retention).await.json()["entities"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    cloud.genesys.deny("recording:recording:view", true);
    assert_eq!(cloud.get(retention).await.status, 403);
    assert_eq!(cloud.metadata().await.status, 200, "segments may still be seen");
    cloud.genesys.deny("recording:recordingSegment:view", true);
    assert_eq!(cloud.metadata().await.json(), json!([]));
    cloud.genesys.deny("recording:screenRecording:view", true);
    assert_eq!(cloud.metadata().await.status, 403);
}
