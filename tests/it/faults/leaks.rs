//! Nothing that must not be seen gets out, whatever goes wrong.

use super::*;

/// Greps all that a run let out for what must stay in.
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

/// Tokens, secrets, signatures and people, as far as this bench's wire has seen them.
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
