//! The game day of docs/operations.md: something is broken on purpose in the simulators, and what the functions write
//! about it is fed to the template's own alarms.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::QueueAttributeName;
use recording_archiver::sim::genesys::{Topic, event};
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::sim::{AUDIT_TABLE, LEDGER_TABLE};
use serde_json::{Value, json};

use super::evaluator::Series;
use super::rings::{ALARMS, WEEKS};
use super::weeks::{
    ARCHIVED, DAY, DEAD, FAILURES, HOUR, LIVE, LIVE_AGE, RECEIVED, RULE, STATED, WITHIN_DAY, WITHIN_HOUR,
    is_office, steps,
};
use crate::sealer::deliver;
use crate::statement::{conversation, day, recorded};
use crate::support::{Bench, CONVERSATION, RECORDING, invoke, sqs};

/// The game day: the Tuesday of the third week, 10 h.
const BEGIN: i64 = 2 * 7 * DAY + DAY + 10 * HOUR;

/// Puts what a line of metrics says in the place of what a usual week has at that minute.
fn feed(series: &mut Series, line: &Value, minute: i64) {
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        for metric in directive["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            let mut series_name = format!("RecordingArchiver {name}");
            if directive["Dimensions"][0] == json!(["Outcome"]) {
                series_name.push_str(&format!(" {}", line["Outcome"].as_str().unwrap()));
            }
            let values = line[name]
                .as_array()
                .cloned()
                .unwrap_or_else(|| vec![line[name].clone()]);
            series.set(
                &series_name,
                minute,
                values.iter().map(|value| value.as_f64().unwrap()).sum(),
            );
        }
    }
}

/// Returns which alarms ring within a day of the game day's beginning, or within that many hours.
fn ring(series: &Series, hours: i64) -> BTreeSet<&'static str> {
    let rang = ALARMS
        .iter()
        .filter(|alarm| !alarm.rings(series, BEGIN - DAY..BEGIN + hours * HOUR).is_empty());
    rang.map(|alarm| alarm.name.as_str()).collect()
}

/// Returns the last line of metrics with this one in it.
fn line_with(bench: &Bench, metric: &str) -> Value {
    let lines = bench.metrics();
    lines
        .iter()
        .rev()
        .find(|line| line.get(metric).is_some())
        .unwrap()
        .clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rule_is_switched_off() {
    // Calls of a day, of which no event ever came.
    let bench = Bench::stated().await;
    for number in 1..=3 {
        bench.world.genesys.add(recorded(day(&bench, 0), number));
    }
    bench.issue().await;
    let line = line_with(&bench, "StatementsIssued");
    let mut series = WEEKS.clone();
    for metric in [RULE, RECEIVED, ARCHIVED, LIVE, WITHIN_HOUR, WITHIN_DAY, LIVE_AGE] {
        series.silence(metric, BEGIN..BEGIN + 8 * DAY);
    }
    // The statement of the first whole day without events comes on the third morning.
    let morning = BEGIN - BEGIN % DAY + STATED;
    for days in 3..8 {
        feed(&mut series, &line, morning + days * DAY);
    }
    assert_eq!(
        ring(&series, 60),
        BTreeSet::new(),
        "before that, it looks like a quiet day"
    );
    assert_eq!(
        ring(&series, 70),
        ["DayWithoutArchiveAlarm", "StatementNotCleanAlarm"].into()
    );
    let all = [
        "DayWithoutArchiveAlarm",
        "QuietAlarm",
        "RuleSilentAlarm",
        "StatementNotCleanAlarm",
    ];
    assert_eq!(ring(&series, 74), all.into());
    // The way back: the statement has sent them, and the function archives them.
    let jobs: Vec<String> = bench
        .deferred()
        .into_iter()
        .map(|(job, _)| job.to_string())
        .collect();
    assert_eq!(jobs.len(), 3);
    let answer = bench.invoke(sqs(jobs)).await.unwrap();
    assert_eq!(answer["batchItemFailures"], json!([]));
    assert_eq!(line_with(&bench, "RecordingsArchived")["RecordingsArchived"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn genesys_is_stopped_and_the_dead_letters_fill_up() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[("MAX_ATTEMPTS", "1")]);
    bench
        .world
        .wire
        .disturb(|exchange| (exchange.service == Service::Genesys).then(|| Fault::status(503)));
    let end = event(Topic::CustomerEnd, CONVERSATION, bench.clock.now()).to_string();
    let answer = invoke(&handler, sqs(vec![end.clone(); 4])).await.unwrap();
    assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), 4);
    let line = line_with(&bench, "BatchItemFailures");
    let mut series = WEEKS.clone();
    for minute in steps(BEGIN..BEGIN + 2 * HOUR).filter(|minute| is_office(*minute)) {
        feed(&mut series, &line, minute);
        series.set(RECEIVED, minute, 4.0);
    }
    assert_eq!(ring(&series, 2), ["RedeliveriesAlarm"].into());
    assert_eq!(series.0[FAILURES][&BEGIN], (4.0, 4.0));

    // The message comes back until it is a dead letter.
    let (aws, world) = (&bench.world.aws, &bench.world);
    let client = aws.sqs();
    client
        .send_message()
        .queue_url(&world.work_queue)
        .message_body(&end)
        .send()
        .await
        .unwrap();
    for _ in 0..6 {
        let receive = client.receive_message().queue_url(&world.work_queue);
        for message in receive.send().await.unwrap().messages() {
            let shown = client
                .change_message_visibility()
                .queue_url(&world.work_queue)
                .receipt_handle(message.receipt_handle().unwrap())
                .visibility_timeout(0);
            shown.send().await.unwrap();
        }
    }
    let visible = async || {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let asked = client
            .get_queue_attributes()
            .queue_url(&world.dead_letter_queue)
            .attribute_names(name.clone());
        let answer = asked.send().await.unwrap();
        answer.attributes().unwrap()[&name].parse::<f64>().unwrap()
    };
    let dead = visible().await;
    let mut series = WEEKS.clone();
    series.set(DEAD, BEGIN, dead);
    assert_eq!(ring(&series, 1), ["DeadLettersAlarm"].into());
    // The way back.
    bench.world.wire.calm();
    let ran =
        crate::archivectl::run(&bench, &["redrive", "--queue", &world.dead_letter_queue, "--yes"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!((dead, visible().await), (1.0, 0.0));
}

/// Deletes an item.
async fn delete(bench: &Bench, table: &str, keys: [(&str, String); 2]) {
    let delete = bench.world.aws.dynamodb().delete_item().table_name(table);
    let delete = keys.into_iter().fold(delete, |delete, (name, value)| {
        delete.key(name, AttributeValue::S(value))
    });
    delete.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_of_the_audit_is_deleted() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let sealer = bench.sealer(&[]);
    deliver(&sealer, &bench.streamed().await).await.unwrap();
    let events = bench.audit(CONVERSATION, RECORDING).await;
    let first = events[0].text("eventId").unwrap().to_owned();
    delete(
        &bench,
        AUDIT_TABLE,
        [("interactionId", CONVERSATION.to_owned()), ("eventId", first)],
    )
    .await;
    deliver(&sealer, &bench.streamed().await).await.unwrap();
    let mut series = WEEKS.clone();
    feed(&mut series, &line_with(&bench, "AuditTampering"), BEGIN);
    assert_eq!(ring(&series, 1), ["TamperingAlarm"].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_of_the_ledger_is_deleted() {
    let bench = Bench::stated().await;
    let mut made = crate::statement::made::Made::default();
    for number in 1..=2 {
        let call = recorded(day(&bench, 0), number);
        made.archived(number, call.end.unwrap());
        bench.world.genesys.add(call);
    }
    made.write(&bench).await;
    let keys = [
        ("interactionId", conversation(1)),
        ("recordingId", crate::statement::recording(1)),
    ];
    delete(&bench, LEDGER_TABLE, keys).await;
    bench.issue().await;
    let statement = bench.statement_of(day(&bench, 0), 1).await;
    assert_eq!(
        crate::statement::reasons(&statement)[&conversation(1)],
        "contradicted"
    );
    let mut series = WEEKS.clone();
    let line = line_with(&bench, "StatementGaps");
    feed(&mut series, &line, BEGIN - BEGIN % DAY + DAY + STATED);
    assert_eq!(ring(&series, 24), ["StatementNotCleanAlarm"].into());
}
