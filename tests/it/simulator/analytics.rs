//! Lists of conversations: by query, and by job.

use jiff::{SignedDuration, Timestamp};
use recording_archiver::sim::genesys::Conversation;
use serde_json::{Value, json};

use super::Cloud;
use crate::openapi::assert_declared;

const QUERY: &str = "/api/v2/analytics/conversations/details/query";
const JOBS: &str = "/api/v2/analytics/conversations/details/jobs";
const JOB: &str = "/api/v2/analytics/conversations/details/jobs/{jobId}";
const RESULTS: &str = "/api/v2/analytics/conversations/details/jobs/{jobId}/results";
const AVAILABILITY: &str = "/api/v2/analytics/conversations/details/jobs/availability";
const DAY: &str = "2026-01-05T00:00:00.000Z/2026-01-06T00:00:00.000Z";

fn id(number: usize) -> String {
    format!("c0000000-0000-4000-8000-{number:012x}")
}

/// Returns five calls of one day, and one that goes on from the day before.
async fn six() -> Cloud {
    let cloud = Cloud::start().await;
    let midnight: Timestamp = "2026-01-05T00:00:00Z".parse().unwrap();
    for number in 0..6 {
        let start = midnight + SignedDuration::from_hours(number) - SignedDuration::from_mins(5);
        let lasting = SignedDuration::from_mins(10);
        let conversation = Conversation::new(id(usize::try_from(number).unwrap())).lasting(start, lasting);
        cloud.genesys.add(conversation);
    }
    cloud
}

fn ids(answer: &Value) -> Vec<&str> {
    let list = answer["conversations"].as_array().into_iter().flatten();
    list.map(|conversation| conversation["conversationId"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn the_query_lists_what_began_on_the_day_until_a_page_has_no_list() {
    let cloud = six().await;
    let page = |number: usize| {
        json!({"interval": DAY, "order": "asc", "orderBy": "conversationStart",
               "paging": {"pageSize": 3, "pageNumber": number}})
    };
    for (number, expected) in [(1, 1..4), (2, 4..6)] {
        let answer = cloud.post(QUERY, &page(number)).await;
        assert_declared("post", QUERY, 200, &answer.body);
        assert_eq!(ids(&answer.json()), expected.map(id).collect::<Vec<_>>());
    }
    let past = cloud.post(QUERY, &page(3)).await;
    assert_declared("post", QUERY, 200, &past.body);
    assert!(past.json().get("conversations").is_none());
    let long = json!({"interval": "2026-01-01T00:00:00.000Z/2026-01-09T00:00:00.000Z"});
    for bad in [
        long,
        json!({}),
        json!({"interval": DAY, "paging": {"pageSize": 101}}),
    ] {
        let answer = cloud.post(QUERY, &bad).await;
        assert_eq!(answer.status, 400, "{bad}");
        assert_declared("post", QUERY, 400, &answer.body);
    }
}

#[tokio::test]
async fn a_job_lists_what_touched_the_day_page_by_page_once_it_is_done() {
    let cloud = six().await;
    let submitted = cloud.post(JOBS, &json!({ "interval": DAY })).await;
    assert_declared("post", JOBS, 202, &submitted.body);
    let job = submitted.json()["jobId"].as_str().unwrap().to_owned();
    let path = JOB.replace("{jobId}", &job);
    let results = RESULTS.replace("{jobId}", &job);
    assert_eq!(cloud.get(&results).await.status, 400, "it is not done");
    let mut states = Vec::new();
    loop {
        let answer = cloud.get(&path).await;
        assert_declared("get", JOB, answer.status, &answer.body);
        states.push(answer.json()["state"].as_str().unwrap().to_owned());
        if answer.status == 200 {
            break;
        }
    }
    assert_eq!(states, ["QUEUED", "PENDING", "FULFILLED"]);
    let first = cloud.get(&format!("{results}?pageSize=4")).await;
    assert_declared("get", RESULTS, 200, &first.body);
    assert_eq!(ids(&first.json()), (0..4).map(id).collect::<Vec<_>>());
    let first = first.json();
    let cursor = first["cursor"].as_str().unwrap();
    let last = cloud.get(&format!("{results}?pageSize=4&cursor={cursor}")).await;
    assert_declared("get", RESULTS, 200, &last.body);
    assert_eq!(ids(&last.json()), [id(4), id(5)]);
    assert!(last.json().get("cursor").is_none());
    let available = cloud.get(AVAILABILITY).await;
    assert_declared("get", AVAILABILITY, 200, &available.body);
    let paged = cloud
        .post(JOBS, &json!({"interval": DAY, "paging": {"pageSize": 3}}))
        .await;
    assert_eq!(paged.status, 400, "jobs take no paging");
}

#[tokio::test]
async fn without_the_permission_nothing_is_listed() {
    let cloud = six().await;
    cloud.genesys.deny_analytics(true);
    let answer = cloud.post(QUERY, &json!({ "interval": DAY })).await;
    assert_declared("post", QUERY, 403, &answer.body);
    let answer = cloud.post(JOBS, &json!({ "interval": DAY })).await;
    assert_declared("post", JOBS, 403, &answer.body);
    assert_declared("get", AVAILABILITY, 403, &cloud.get(AVAILABILITY).await.body);
}
