//! Nothing that must not be seen gets out, whatever goes wrong.

use std::io::Write;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use recording_archiver::sim::genesys::{Mishap, Recording, Topic, event};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

/// Searches everything that a run let out for secrets and people.
pub(super) async fn assert_none(bench: &Bench, answer: &Answer) {
    let secrets = secrets(bench);
    for (place, text) in let_out(bench, answer).await {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} in {place}: {text}");
        }
    }
}

/// Phone numbers and addresses that the tests put into events, metadata and error bodies.
pub(super) const PEOPLE: [&str; 4] = [
    "15555550100",
    "5555550199",
    "anna@caller.example",
    "anna%40caller.example",
];

/// Returns tokens, secrets, signatures and people, as far as this bench's wire has seen them.
fn secrets(bench: &Bench) -> Vec<String> {
    let mut secrets = PEOPLE.map(str::to_owned).to_vec();
    secrets.push(bench.world.genesys.credentials().1);
    let webhook_secret = recording_archiver::sim::WEBHOOK_SECRET;
    secrets.push(webhook_secret.trim_start_matches("whsec_").to_owned());
    secrets.push("simulated-webhook-secret-0001".to_owned()); // the same, decoded
    secrets.push("LEAKED".to_owned()); // what the tests put where a secret can be
    for exchange in bench.world.wire.exchanges() {
        match exchange.service {
            Service::Genesys | Service::Login => {
                let header = exchange.headers.get("authorization");
                secrets.extend(header.and_then(|value| Some(value.split_once(' ')?.1.to_owned())));
            }
            Service::Media => {
                let signature = exchange.target.split("Signature=").nth(1);
                secrets.extend(signature.and_then(|rest| Some(rest.split('&').next()?.to_owned())));
            }
            _ => {}
        }
    }
    secrets
}

async fn let_out(bench: &Bench, answer: &Answer) -> Vec<(&'static str, String)> {
    let lines = serde_json::to_string(&*bench.lines.lock().unwrap()).unwrap();
    let mut texts = vec![("audit and metric lines", lines)];
    texts.push((
        "the answer",
        match answer {
            Ok(summary) => summary.to_string(),
            Err(error) => format!("{error} {error:?}"),
        },
    ));
    for key in [RECORDING, "-"] {
        let events = bench.audit(CONVERSATION, key).await;
        texts.push(("the audit table", serde_json::to_string(&events).unwrap()));
        let record = bench.record(CONVERSATION, key).await;
        texts.push(("the ledger", serde_json::to_string(&record).unwrap()));
    }
    for queue in [&bench.world.work_queue, &bench.world.exception_queue] {
        let messages = bench.world.aws.messages(queue);
        texts.extend(
            messages
                .into_iter()
                .map(|message| ("a queue message", message.body)),
        );
    }
    for delivery in bench.world.webhook.deliveries() {
        texts.push(("a webhook's headers", format!("{:?}", delivery.headers)));
        texts.push((
            "a webhook's body",
            String::from_utf8_lossy(&delivery.bytes).into_owned(),
        ));
    }
    texts
}

/// The lines that this thread logged: those of the whole test, as its runtime has no other.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Logs as the function does with this `LOG_LEVEL`, without the servers that share its process here.
    fn start(level: &str) -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let servers = [
            "s3s",
            "dynoxide",
            "axum",
            "tower",
            "winterbaume_core",
            "winterbaume_sqs",
        ];
        let filter: Targets = recording_archiver::telemetry::filter(level);
        let filter = filter.with_targets(servers.map(|server| (server, LevelFilter::OFF)));
        let subscriber = tracing_subscriber::registry().with(layer).with(filter);
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn assert_clean(&self, bench: &Bench) {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        assert!(!text.is_empty(), "nothing was looked at");
        for secret in secrets(bench) {
            let line = text.lines().find(|line| line.contains(&secret));
            assert_eq!(line, None, "{secret}");
        }
    }
}

/// Returns an error body of Genesys that says more than it should.
fn talkative(status: u16) -> Fault {
    let message =
        "no tel:+15555550100 nor +1 (555) 555-0199 nor anna@caller.example, see ?a=anna%40caller.example";
    let body = json!({"message": message, "code": "x.tel:+15555550100", "contextId": "anna@caller.example"});
    respond(status, "application/json", body.to_string())
}

/// Returns an event as Genesys sends it, with the parties' addresses all over.
fn talkative_event() -> Value {
    let mut event = event(Topic::CustomerEnd, CONVERSATION, Timestamp::now());
    let body = &mut event["detail"]["eventBody"];
    body["ani"] = json!("tel:+15555550100");
    body["addressFrom"] = json!("anna@caller.example");
    body["subject"] = json!("call +1 555 555 0199 please");
    event
}

/// Returns a bench whose recording tells who was called, wherever there is room for it.
async fn talkative_bench() -> Bench {
    let mut recording = Recording::audio(RECORDING, [call()]);
    for field in ["mediaSubject", "mediaSubtype", "sessionId", "region", "name"] {
        let value = json!("tel:+15555550100 anna@caller.example");
        recording = recording.field(field, value.clone()).metadata_field(field, value);
    }
    let marks = json!([{"type": "Pause", "reason": "tel:+15555550100", "location": 1},
                       {"type": "Bookmark", "description": "anna@caller.example", "user": {"name": "anna@caller.example"}}]);
    let recording = recording.field("annotations", marks);
    Bench::with_recording(recording).await
}

#[tokio::test]
async fn nothing_gets_out_of_a_run_that_goes_well_at_any_log_level() {
    for level in ["info", "debug", "trace"] {
        let bench = talkative_bench().await;
        let (log, _guard) = Log::start(level);
        bench
            .assert_archived(bench.invoke(talkative_event()).await, &call_sha256())
            .await;
        log.assert_clean(&bench);
    }
}

#[tokio::test]
async fn nothing_gets_out_of_runs_that_end_in_any_other_way() {
    for (operation, status) in [
        ("token", 400),
        ("token", 503),
        ("recordingmetadata", 400),
        ("recordingmetadata", 401),
        ("recordingmetadata", 404),
        ("recordingmetadata", 503),
        ("recording", 403),
        ("recording", 410),
        ("recording", 200),
        ("media", 403),
        ("media", 200),
        ("PutObject", 403),
        ("TransactWriteItems", 400),
        ("GetSecretValue", 400),
        ("deliver", 500),
    ] {
        let bench = talkative_bench().await;
        let (log, _guard) = Log::start("debug");
        bench
            .world
            .wire
            .disturb(move |e| (e.operation == operation).then(|| talkative(status)));
        let answer = bench.invoke(talkative_event()).await;
        assert_none(&bench, &answer).await;
        let batch = bench.invoke(sqs([talkative_event().to_string()])).await;
        assert_none(&bench, &batch).await;
        log.assert_clean(&bench);
    }
}

#[tokio::test]
async fn nothing_gets_out_of_a_download_that_breaks_and_redirects() {
    for mishaps in [
        vec![Mishap::CutAt(100), Mishap::CutAt(200), Mishap::Expired],
        vec![Mishap::Redirect(recording_archiver::sim::genesys::Redirect::Back); 18],
        vec![
            Mishap::Redirect(recording_archiver::sim::genesys::Redirect::Scheme(
                "ftp".to_owned()
            ));
            3
        ],
    ] {
        let media = call();
        media.script(mishaps);
        let bench = Bench::with_media(media).await;
        let (log, _guard) = Log::start("debug");
        let answer = bench.invoke(job()).await;
        assert_none(&bench, &answer).await;
        log.assert_clean(&bench);
    }
}

#[tokio::test]
async fn a_poison_message_is_handed_over_without_the_parties() {
    let bench = Bench::new().await;
    let mut odd = talkative_event();
    odd["detail"]["eventBody"]["conversationId"] = json!("tel:+15555550100");
    let answer = bench
        .invoke(sqs([odd.to_string(), "{\"ani\": \"tel:+15555550100".to_owned()]))
        .await;
    assert_eq!(answer.as_ref().unwrap(), &json!({"batchItemFailures": []}));
    assert_eq!(bench.exceptions().len(), 2);
    assert_none(&bench, &answer).await;
}

#[tokio::test]
async fn whoever_asked_is_kept_as_given() {
    let bench = Bench::with_a_call().await;
    let job = json!({"conversationId": CONVERSATION, "requestedBy": "auditor@archive.example"});
    bench
        .assert_archived(bench.invoke(job).await, &call_sha256())
        .await;
    let events = bench.audit(CONVERSATION, RECORDING).await;
    assert!(
        events
            .iter()
            .all(|event| event["actor"]["requestedBy"] == "auditor@archive.example")
    );
}

/// A call record holds numbers and names; they stand there, and names in one attribute of the catalog.
#[tokio::test]
async fn a_described_call_lets_out_no_number_and_no_name() {
    const NAME: &str = "Agent One";
    let (log, _logging) = Log::start("trace");
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&crate::calls::DESCRIBING);
    let answer = invoke(&handler, job()).await;
    crate::work::Work::of(&bench).run_dry(&handler).await;
    let call = bench.object(crate::calls::CALL).await.unwrap();
    let text = String::from_utf8(call.bytes).unwrap();
    assert!(text.contains(PEOPLE[0]) && text.contains(NAME), "{text}");
    assert_none(&bench, &answer).await;
    let lines = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let mut texts = let_out(&bench, &answer).await;
    texts.push(("the log", lines));
    texts.push(("tags", format!("{:?}", call.tags)));
    texts.push(("metadata", format!("{:?}", call.head.metadata())));
    texts.push(("keys", bench.keys().await.join(" ")));
    let scan = bench.world.aws.dynamodb().scan();
    let scan = scan.table_name(recording_archiver::sim::CATALOG_TABLE);
    for mut item in scan.send().await.unwrap().items.unwrap() {
        item.remove("name");
        texts.push(("the catalog", format!("{item:?}")));
    }
    for (place, text) in texts {
        for secret in [NAME, PEOPLE[0], recording_archiver::sim::CATALOG_KEY] {
            assert!(!text.contains(secret), "{secret} in {place}: {text}");
        }
    }
}
