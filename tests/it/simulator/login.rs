//! Tokens, and what every request to the API needs.

use std::time::Duration;

use recording_archiver::sim::genesys::failure;
use recording_archiver::sim::wire::Service;
use tokio::net::TcpStream;

use super::{Answer, CONVERSATION, Cloud};
use crate::openapi::{assert_declared, assert_is};

const TOKEN: &str = "/oauth/token";

#[tokio::test]
async fn a_token_is_issued_for_client_credentials() {
    let cloud = Cloud::start().await;
    cloud.genesys.set_token_lifetime(Duration::from_secs(300));
    let (id, secret) = cloud.genesys.credentials();
    let answer = cloud.ask_for_token(&id, &secret).await;
    assert_eq!(answer.status, 200);
    assert_declared("post", TOKEN, 200, &answer.body);
    assert_eq!(answer.json()["expires_in"], 300);
    assert!(answer.header("inin-correlation-id").is_some());
    assert_eq!(cloud.genesys.tokens_issued(), 2);
    assert_eq!(cloud.wire.count(Service::Login, "token"), 2);
}

#[tokio::test]
async fn an_unknown_client_and_a_wrong_secret_are_told_apart_by_their_text() {
    let cloud = Cloud::start().await;
    let (id, secret) = cloud.genesys.credentials();
    cloud.genesys.rotate_secret("another");
    for (id, secret, text) in [
        ("nobody", secret.as_str(), "client not found"),
        (id.as_str(), secret.as_str(), "authentication failed"),
    ] {
        let answer = cloud.ask_for_token(id, secret).await;
        assert_eq!(answer.status, 400);
        assert_declared("post", TOKEN, 400, &answer.body);
        assert_eq!(answer.json()["error"], "invalid_client");
        assert_eq!(answer.json()["description"], text);
    }
    assert_eq!(cloud.ask_for_token(&id, "another").await.status, 200);
}

#[tokio::test]
async fn a_missing_a_stale_and_an_expired_token_are_refused() {
    let mut cloud = Cloud::start().await;
    let url = format!("{}/api/v2/recording/settings", cloud.genesys.base_url());
    let without = Answer::of(cloud.http.get(url)).await;
    cloud.genesys.advance(Duration::from_secs(86_400));
    let expired = cloud.get("/api/v2/recording/settings").await;
    cloud.token = cloud.log_in().await;
    let fresh = cloud.get("/api/v2/recording/settings").await;
    cloud.genesys.revoke_tokens();
    let stale = cloud.get("/api/v2/recording/settings").await;
    assert_eq!(fresh.status, 200);
    assert_declared("get", "/api/v2/recording/settings", 200, &fresh.body);
    for (answer, code) in [
        (without, "authentication.required"),
        (expired, "credentials.expired"),
        (stale, "bad.credentials"),
    ] {
        assert_eq!(answer.status, 401);
        assert_declared("get", "/api/v2/recording/settings", 401, &answer.body);
        assert_eq!(answer.json()["code"], code);
    }
}

#[tokio::test]
async fn every_answer_counts_against_the_rate_limit() {
    let cloud = Cloud::start().await;
    cloud.genesys.set_rate_limit(2);
    for count in ["1", "2"] {
        let answer = cloud.get("/api/v2/recording/settings").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("inin-ratelimit-count"), Some(count));
        assert_eq!(answer.header("inin-ratelimit-allowed"), Some("2"));
        assert!(answer.header("inin-ratelimit-reset").is_some());
    }
    let refused = cloud.get("/api/v2/recording/settings").await;
    assert_eq!(refused.status, 429);
    assert_declared("get", "/api/v2/recording/settings", 429, &refused.body);
    assert_eq!(refused.json()["code"], "too.many.requests.retry.after");
    assert_eq!(
        refused.header("retry-after"),
        refused.header("inin-ratelimit-reset")
    );
    cloud.genesys.send_retry_after(false);
    let silent = cloud.get("/api/v2/recording/settings").await;
    assert_eq!((silent.status, silent.header("retry-after")), (429, None));
    cloud.genesys.advance(Duration::from_secs(60));
    assert_eq!(cloud.get("/api/v2/recording/settings").await.status, 200);
}

#[tokio::test]
async fn an_error_carries_the_correlation_id_of_its_answer() {
    let cloud = Cloud::start().await;
    let answer = cloud.get("/api/v2/no/such/thing").await;
    assert_eq!(answer.status, 404);
    assert_is("ErrorBody", &answer.json());
    assert_eq!(
        answer.json()["contextId"].as_str(),
        answer.header("inin-correlation-id")
    );
}

#[tokio::test]
async fn a_failure_on_the_wire_has_a_proper_error_body() {
    let cloud = Cloud::start().await;
    let fault = failure(503, "service.unavailable");
    cloud
        .wire
        .disturb_next(Service::Genesys, "recordingmetadata", 1, fault);
    let path = "/api/v2/conversations/{conversationId}/recordingmetadata";
    let answer = cloud.get(&path.replace("{conversationId}", CONVERSATION)).await;
    assert_eq!(answer.status, 503);
    assert_declared("get", path, 503, &answer.body);
}

#[tokio::test]
async fn it_stops_with_its_last_handle() {
    let cloud = Cloud::start().await;
    let authority = cloud.genesys.base_url().replace("http://", "");
    let second = cloud.genesys.clone();
    drop(cloud);
    assert!(TcpStream::connect(&authority).await.is_ok());
    drop(second);
    while TcpStream::connect(&authority).await.is_ok() {}
}
