//! `archivectl log import`: the sealer, by Lambda's `Invoke`, seals what the stream did not bring.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use recording_archiver::seal::batch::Via;
use recording_archiver::sim::genesys::{Conversation, Recording};
use recording_archiver::sim::wire::{Fault, Gate, Service};
use recording_archiver::sim::{AUDIT_TABLE, SEALER};
use serde_json::{Value, json};

use super::{Ran, command, end, signal};
use crate::sealer::{deliver, sign};
use crate::support::{Bench, call};

/// Runs `archivectl log import` with these arguments, against the sealer of `bench`.
async fn import(bench: &Bench, arguments: &[&str]) -> Ran {
    end(importing(bench, arguments).spawn().unwrap()).await
}

fn importing(bench: &Bench, arguments: &[&str]) -> tokio::process::Command {
    let mut command = command(bench, &[&["log", "import"], arguments].concat());
    command.env("SEALER_FUNCTION_NAME", SEALER);
    command
}

/// Puts so many items that are no events, of which three fill a page of DynamoDB's.
async fn fill(bench: &Bench, count: usize) {
    for number in 0..count {
        let put = bench.world.aws.dynamodb().put_item().table_name(AUDIT_TABLE);
        let put = put.item("interactionId", AttributeValue::S(format!("large-{number}")));
        let put = put.item("eventId", AttributeValue::S("1".to_owned()));
        put.item("filler", AttributeValue::S("x".repeat(350_000)))
            .send()
            .await
            .unwrap();
    }
}

/// Lets this befall the second invocation.
fn disturb_second(bench: &Bench, fault: Fault) {
    let mut invocations = 0;
    bench.world.wire.disturb(move |exchange| {
        invocations += usize::from(exchange.service == Service::Lambda);
        (exchange.service == Service::Lambda && invocations == 2).then(|| fault.clone())
    });
}

fn counts(summary: &Value) -> Value {
    let names = ["seen", "imported", "sealedLate", "already", "refused", "finished"];
    names.iter().map(|name| summary[*name].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_of_more_than_24_hours_is_sealed_late_and_events_before_the_log_are_imported() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let older = bench.event_hashes().await.len() as u64;
    bench.advance(Duration::from_secs(3_600));
    sign(&bench.sealer(&[])).await.unwrap();
    // The sealer stands still, and the stream forgets what it never read.
    let other = Recording::audio("e0000000-0000-4000-8000-000000000901", [call()]);
    let id = "c0000000-0000-4000-8000-000000000009";
    bench.world.genesys.add(Conversation::new(id).recording(other));
    bench.invoke(json!({"conversationId": id})).await.unwrap();
    let lost = bench.event_hashes().await.len() as u64 - older;
    bench.advance(Duration::from_secs(72 * 3_600));
    bench.serve_sealer(900);
    let ran = import(&bench, &["--json"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let summary = ran.summary();
    assert_eq!(counts(&summary), json!([older + lost, older, lost, 0, 0, true]));
    assert_eq!(
        (&summary["function"], &summary["size"]),
        (&json!(SEALER), &json!(1 + older + lost))
    );
    bench.assert_sealed("after the import").await;
    let vias: Vec<Via> = bench.batches().await.iter().map(|batch| batch.via).collect();
    assert_eq!(vias, [Via::Genesis, Via::Imported, Via::SealedLate]);
    // Again, and beside what the stream still brings: nothing twice.
    deliver(&bench.sealer(&[]), &bench.streamed().await)
        .await
        .unwrap();
    let ran = import(&bench, &[]).await;
    assert!(
        ran.stdout.contains(&format!("{} sealed before", older + lost)),
        "{ran:?}"
    );
    assert!(
        ran.stdout.contains("now prove it: archivectl log verify"),
        "{ran:?}"
    );
    bench.assert_sealed("after another import").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sealer_is_invoked_until_it_has_seen_all_of_the_table() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let events = bench.event_hashes().await.len() as u64;
    fill(&bench, 9).await;
    // Less than a minute: one page.
    bench.serve_sealer(30);
    // An answer that is lost costs an invocation, and seals nothing twice.
    disturb_second(&bench, Fault::ApplyThenReset);
    let ran = import(&bench, &["--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let summary = ran.summary();
    assert_eq!(
        (&summary["seen"], &summary["refused"]),
        (&json!(events + 9), &json!(9))
    );
    let sealed = ["imported", "sealedLate", "already"].map(|name| summary[name].as_u64().unwrap());
    assert_eq!(sealed.iter().sum::<u64>(), events);
    assert!(summary["invocations"].as_u64().unwrap() > 2, "{summary}");
    assert_eq!(bench.leaves().await.len() as u64, 1 + events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_import_says_where_to_go_on() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let events = bench.event_hashes().await.len() as u64;
    fill(&bench, 9).await;
    bench.serve_sealer(30);
    let gate = Gate::default();
    disturb_second(&bench, Fault::Hold(gate.clone()));
    let child = importing(&bench, &["--json"]).spawn().unwrap();
    bench
        .world
        .wire
        .wait_until(|wire| wire.iter().filter(|call| call.service == Service::Lambda).count() == 2)
        .await;
    signal(&child, "INT").await;
    let ran = end(child).await;
    gate.open();
    assert_eq!(ran.code(), Some(130), "{ran:?}");
    let first = ran.summary();
    assert_eq!(
        (&first["finished"], &first["invocations"]),
        (&json!(false), &json!(1))
    );
    let next = first["next"].as_str().unwrap();
    let ran = import(&bench, &["--json", "--from", next]).await;
    let rest = ran.summary();
    let both = |name: &str| first[name].as_u64().unwrap() + rest[name].as_u64().unwrap();
    assert_eq!((both("seen"), both("refused")), (events + 9, 9), "{ran:?}");
    let ran = import(&bench, &["--from", "somewhere"]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(ran.stderr.contains("leave --from out"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lambda_refuses_names_function_region_permission_and_way_out() {
    let bench = Bench::new().await;
    let ran = import(&bench, &[]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(ran.stderr.contains("ResourceNotFoundException"), "{ran:?}");
    assert!(
        ran.stderr
            .contains("there is no function recording-sealer in us-east-1: check SEALER_FUNCTION_NAME"),
        "{ran:?}"
    );
    let refused = Fault::Respond {
        status: 403,
        headers: vec![("x-amzn-errortype".to_owned(), "AccessDeniedException".to_owned())],
        body: br#"{"Message":"User is not authorized to perform: lambda:InvokeFunction"}"#.to_vec(),
    };
    bench
        .world
        .wire
        .disturb_next(Service::Lambda, "Invoke", 1, refused);
    let ran = import(&bench, &["--json"]).await;
    let error: Value = serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
    let fix = error["error"]["fix"].as_str().unwrap();
    assert!(
        fix.contains("lambda:InvokeFunction on recording-sealer in us-east-1"),
        "{ran:?}"
    );
    let ran = end(importing(&bench, &[])
        .env_remove("SEALER_FUNCTION_NAME")
        .spawn()
        .unwrap())
    .await;
    assert!(ran.stderr.contains("SEALER_FUNCTION_NAME is not set"), "{ran:?}");
    // The function's own error, and an answer that no sealer gives.
    let fails = |_| async { Err(("transient".to_owned(), "no bucket".to_owned())) };
    bench.world.aws.serve_function(SEALER, fails);
    let ran = import(&bench, &[]).await;
    assert!(ran.stderr.contains("failed: transient: no bucket"), "{ran:?}");
    assert!(ran.stderr.contains("run archivectl log import again"), "{ran:?}");
    bench
        .world
        .aws
        .serve_function(SEALER, |_| async { Ok(json!({"sealed": 3})) });
    let ran = import(&bench, &[]).await;
    assert!(ran.stderr.contains("not what a sealer says"), "{ran:?}");
}
