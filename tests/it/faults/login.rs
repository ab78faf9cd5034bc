//! Token and secret: refused, revoked, rotated, unreadable.

use recording_archiver::sim::SECRET;

use super::*;

fn secret(client_secret: &str) -> String {
    let client_id = "c11e0000-0000-4000-8000-000000000001";
    json!({"clientId": client_id, "clientSecret": client_secret, "webhookSecret": recording_archiver::sim::WEBHOOK_SECRET})
        .to_string()
}

fn secret_reads(bench: &Bench) -> usize {
    bench.asked(Service::SecretsManager, "GetSecretValue")
}

#[tokio::test]
async fn a_token_revoked_in_mid_run_is_replaced_once_from_a_fresh_secret() {
    let bench = Bench::with_a_call().await;
    let (genesys, mut revoked) = (bench.world.genesys.clone(), false);
    bench.world.wire.disturb(move |exchange| {
        if exchange.operation == "recording" && !std::mem::replace(&mut revoked, true) {
            genesys.revoke_tokens();
        }
        None
    });
    bench
        .assert_archived(bench.invoke(job()).await, &call_sha256())
        .await;
    assert_eq!(
        (bench.world.genesys.tokens_issued(), secret_reads(&bench)),
        (2, 2)
    );
}

#[tokio::test]
async fn a_401_that_stays_fails_the_run_after_one_fresh_token_and_says_what_to_check() {
    for (operation, about) in [
        ("recordingmetadata", About::Conversation),
        ("recording", About::Recording),
    ] {
        let bench = Bench::with_a_call().await;
        bench.world.wire.disturb(move |e| {
            (e.operation == operation)
                .then(|| recording_archiver::sim::genesys::failure(401, "bad.credentials"))
        });
        let answer = bench.invoke(job()).await;
        let text = answer.as_ref().unwrap_err().to_string();
        assert!(text.contains("check that the OAuth client is active"), "{text}");
        bench.assert_ended(answer, Ending::Retry, about).await;
        assert_eq!(
            (bench.world.genesys.tokens_issued(), secret_reads(&bench)),
            (2, 2),
            "{operation}"
        );
        assert_eq!(bench.asked(Service::Genesys, operation), 2);
        bench.assert_next_run_archives(&call_sha256()).await;
    }
}

#[tokio::test]
async fn a_rotated_secret_is_read_anew_once() {
    let bench = Bench::with_a_call().await;
    let container = bench.handler(&[]);
    bench
        .world
        .wire
        .disturb_next(Service::Login, "token", 3, Fault::status(503));
    let answer = invoke(&container, job()).await;
    bench
        .assert_ended(answer, Ending::Retry, About::Conversation)
        .await;
    bench.world.genesys.rotate_secret("the-next-client-secret");
    bench
        .world
        .aws
        .put_secret(SECRET, &secret("the-next-client-secret"))
        .await
        .unwrap();
    bench.world.wire.forget();
    bench
        .assert_archived(invoke(&container, job()).await, &call_sha256())
        .await;
    assert_eq!(
        (secret_reads(&bench), bench.asked(Service::Login, "token")),
        (1, 2)
    );
}

#[tokio::test]
async fn a_client_that_the_fresh_secret_does_not_help_is_reported_with_what_to_check() {
    let bench = Bench::with_a_call().await;
    bench.world.genesys.rotate_secret("something-else");
    let answer = bench.invoke(job()).await;
    let text = answer.as_ref().unwrap_err().to_string();
    for part in [
        "authentication failed",
        "clientSecret",
        "GENESYS_SECRET_ID",
        "GENESYS_CLOUD_REGION",
    ] {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    bench
        .assert_ended(answer, Ending::Retry, About::Conversation)
        .await;
    assert_eq!(
        (secret_reads(&bench), bench.asked(Service::Login, "token")),
        (2, 2)
    );
}

#[tokio::test]
async fn a_login_that_fails_in_passing_costs_one_more_try() {
    for fault in [
        Fault::status(429),
        Fault::status(500),
        Fault::status(503),
        Fault::Reset,
        Fault::Hang,
        respond(200, "text/html", "<html>Oops</html>"),
        respond(200, "application/json", "{\"access_token\":null}"),
        respond(200, "application/json", ""),
    ] {
        let bench = Bench::with_a_call().await;
        bench.world.wire.disturb_next(Service::Login, "token", 1, fault);
        bench
            .assert_archived(bench.invoke(job()).await, &call_sha256())
            .await;
        assert_eq!(bench.asked(Service::Login, "token"), 2);
    }
}

#[tokio::test]
async fn a_login_that_stays_down_leaves_the_job_to_the_trigger() {
    for (fault, tries) in [
        (Fault::status(403), 3),
        (Fault::status(404), 3),
        (Fault::status(410), 3),
        (Fault::status(503), 3),
        (Fault::Reset, 3),
        (respond(400, "text/html", "<html>LEAKED</html>"), 2),
        (
            respond(
                401,
                "application/json",
                "{\"error\":\"invalid_client\",\"description\":null}",
            ),
            2,
        ),
    ] {
        let bench = Bench::with_a_call().await;
        bench
            .world
            .wire
            .disturb(move |e| (e.service == Service::Login).then(|| fault.clone()));
        let answer = bench.invoke(job()).await;
        bench
            .assert_ended(answer, Ending::Retry, About::Conversation)
            .await;
        assert_eq!(bench.asked(Service::Login, "token"), tries);
        bench.assert_next_run_archives(&call_sha256()).await;
    }
}

#[tokio::test]
async fn a_token_that_claims_to_live_for_ever_is_taken() {
    let bench = Bench::with_a_call().await;
    bench
        .world
        .genesys
        .set_token_lifetime(Duration::from_secs(u64::MAX / 2));
    bench
        .assert_archived(bench.invoke(job()).await, &call_sha256())
        .await;
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_leaves_the_job_to_the_trigger_and_says_which() {
    for (status, code, tries) in [
        (400, "AccessDeniedException", 1),
        (400, "ResourceNotFoundException", 1),
        (400, "DecryptionFailure", 1),
        (500, "InternalServiceError", 3),
    ] {
        let bench = Bench::with_a_call().await;
        bench
            .world
            .wire
            .disturb(move |e| (e.service == Service::SecretsManager).then(|| json_error(status, code)));
        let answer = bench.invoke(job()).await;
        let text = answer.as_ref().unwrap_err().to_string();
        assert!(
            text.contains(SECRET) && text.contains("GENESYS_SECRET_ID") && text.contains(code),
            "{text}"
        );
        bench
            .assert_ended(answer, Ending::Retry, About::Conversation)
            .await;
        assert_eq!(
            (secret_reads(&bench), bench.asked(Service::Login, "token")),
            (tries, 0)
        );
        bench.assert_next_run_archives(&call_sha256()).await;
    }
}

#[tokio::test]
async fn a_secret_in_another_shape_is_described_but_never_shown() {
    for (secret, mentions) in [
        ("LEAKED", "not valid JSON"),
        ("[\"LEAKED\"]", "not a JSON object"),
        (
            "{\"clientId\":\"id\",\"clientSecret\":{\"LEAKED\":1}}",
            "clientSecret",
        ),
        ("{\"clientSecret\":\"LEAKED\"}", "no clientId"),
    ] {
        let bench = Bench::with_a_call().await;
        bench.world.aws.put_secret(SECRET, secret).await.unwrap();
        let answer = bench.invoke(job()).await;
        let text = answer.as_ref().unwrap_err().to_string();
        assert!(text.contains(mentions), "{text}");
        bench
            .assert_ended(answer, Ending::Retry, About::Conversation)
            .await;
    }
}

#[tokio::test]
async fn an_answer_of_secrets_manager_that_breaks_off_does_not_show_what_it_held() {
    let bench = Bench::with_a_call().await;
    let half = format!(
        "{{\"Name\":\"x\",\"SecretString\":{:?},\"VersionId",
        secret("LEAKED")
    );
    let fault = respond(200, "application/x-amz-json-1.1", half);
    bench
        .world
        .wire
        .disturb(move |e| (e.service == Service::SecretsManager).then(|| fault.clone()));
    let answer = bench.invoke(job()).await;
    bench
        .assert_ended(answer, Ending::Retry, About::Conversation)
        .await;
}
