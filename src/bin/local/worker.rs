//! Lambda's poller: takes messages from the work queue, invokes the function with them, and deletes what it is done
//! with.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use recording_archiver::sim::aws::{ACCOUNT_ID, REGION};
use recording_archiver::sim::{WORK_QUEUE, World};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::evidence;
use super::folder::{Result, shown};
use super::function::{Function, REMAINING, Ran};
use super::screen::{Screen, count, size};

/// Pause after an empty answer: the simulated queue answers at once.
const POLL: Duration = Duration::from_secs(1);
/// Seconds for which a message is hidden while the function has it: longer than an invocation.
const HIDDEN: i32 = REMAINING.as_secs() as i32 + 30;
/// Seconds until a message that the function left is handed out again. In AWS: the queue's visibility timeout.
const AGAIN: i32 = 30;

/// Works until `stop`; a batch in progress is seen through. Returns how many messages of the last batch were put back.
pub(crate) async fn run(screen: &Screen, world: &World, function: &Function, stop: &Notify) -> Result<usize> {
    loop {
        let messages = receive(world).await?;
        // Nobody asks for the record of requests here, and it would grow for as long as this runs.
        world.wire.forget();
        let put_back = match messages.as_slice() {
            [] => 0,
            messages => batch(screen, world, function, messages).await?,
        };
        tokio::select! {
            biased;
            () = stop.notified() => return Ok(put_back),
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

async fn receive(world: &World) -> Result<Vec<Message>> {
    let request = world.aws.sqs().receive_message().queue_url(&world.work_queue);
    let request = request.max_number_of_messages(10).visibility_timeout(HIDDEN);
    let received = request
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await?;
    Ok(received.messages.unwrap_or_default())
}

/// Has the function work off a batch, and returns how many messages of it were put back.
async fn batch(screen: &Screen, world: &World, function: &Function, messages: &[Message]) -> Result<usize> {
    let records: Vec<_> = messages.iter().map(record).collect();
    let known = world.aws.messages(&world.exception_queue).len();
    let ran = function
        .invoke(world, "queue", json!({ "Records": records }))
        .await?;
    let failures = failures(&ran);
    let sqs = world.aws.sqs();
    let mut left = Vec::new();
    for message in messages {
        let receipt = message.receipt_handle.as_deref().unwrap_or_default();
        let id = message.message_id.as_deref().unwrap_or_default();
        if failures.as_ref().is_none_or(|failures| failures.contains(id)) {
            let again = sqs.change_message_visibility().queue_url(&world.work_queue);
            again
                .receipt_handle(receipt)
                .visibility_timeout(AGAIN)
                .send()
                .await?;
            left.push(id);
        } else {
            let done = sqs.delete_message().queue_url(&world.work_queue);
            done.receipt_handle(receipt).send().await?;
        }
    }
    tell(screen, world, &ran, messages.len()).await?;
    for line in not_archived(&ran, &evidence::cases(world, known), &left) {
        screen.line(format!("  {line}"))?;
    }
    Ok(left.len())
}

/// Returns a line for each message that was not archived in this run, with the reason.
fn not_archived(ran: &Ran, cases: &[Value], left: &[&str]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = Vec::new();
    let mut named = BTreeSet::new();
    for event in ran.lines.iter().filter(|line| line["audit"] == true) {
        let message = text(&event["actor"]["messageId"]);
        let word = match event["action"].as_str() {
            Some("download.failed") if left.contains(&message.as_str()) => "put back",
            Some("download.failed") => "failed",
            Some("download.expired") => "expired",
            Some("download.deferred") => "deferred",
            Some("webhook.failed") => "webhook",
            _ => continue,
        };
        lines.push(format!("{word:<8}  {}", text(&event["error"])));
        named.insert(message);
    }
    for case in cases
        .iter()
        .filter(|case| !named.contains(&text(&case["messageId"])))
    {
        lines.push(format!(
            "failed    {}: {}",
            text(&case["code"]),
            text(&case["error"])
        ));
    }
    let refused = ran.answer.as_ref().err();
    for id in left.iter().filter(|id| !named.contains(**id)) {
        let why = refused.map_or_else(String::new, |(code, why)| format!(": {code}: {why}"));
        lines.push(format!("put back  message {id}{why}"));
    }
    lines
}

/// Returns the ids of the messages to hand out again; without a usable answer, all of them: `None`.
fn failures(ran: &Ran) -> Option<BTreeSet<String>> {
    let failures = ran.answer.as_ref().ok()?["batchItemFailures"].as_array()?;
    let ids = failures
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().map(str::to_owned));
    ids.collect()
}

/// Returns a message as Lambda hands it to a function.
fn record(message: &Message) -> Value {
    let attributes = message.attributes.iter().flatten();
    let attributes: serde_json::Map<_, _> = attributes
        .map(|(name, value)| (name.as_str().to_owned(), json!(value)))
        .collect();
    json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": {},
        "md5OfBody": message.md5_of_body,
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{WORK_QUEUE}"),
        "awsRegion": REGION,
    })
}

async fn tell(screen: &Screen, world: &World, ran: &Ran, messages: usize) -> Result<()> {
    let outcomes = ran
        .outcomes()
        .into_iter()
        .collect::<Vec<_>>()
        .join(", ")
        .replace('_', " ");
    screen.line(format!(
        "{} from the work queue: {outcomes}",
        count(messages, "message")
    ))?;
    let evidence = match evidence::of_invocation(world, &ran.lines, ran.answer.as_ref().ok()).await {
        Ok(evidence) => evidence,
        // The queue shall be worked off whatever becomes of the proof.
        Err(error) => return Ok(screen.line(format!("{} {error}", screen.mark(false)))?),
    };
    for file in &evidence.files {
        screen.line(format!("  {} ({})", shown(&file.path), size(file.bytes)))?;
    }
    for broken in &evidence.broken {
        screen.line(format!("{} {broken}", screen.mark(false)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use recording_archiver::sim::library;

    use super::*;

    /// Sends these bodies and lets the worker take them: one batch, as it is stopped before it begins.
    async fn world_after(bodies: &[&str]) -> World {
        let world = World::temporary().await.unwrap();
        library::fill(&world.genesys);
        for body in bodies {
            let send = world.aws.sqs().send_message().queue_url(&world.work_queue);
            send.message_body(*body).send().await.unwrap();
        }
        let function = Function::new(&world).unwrap();
        let stop = Notify::new();
        stop.notify_one();
        run(&Screen::detect(false), &world, &function, &stop)
            .await
            .unwrap();
        world
    }

    /// Returns how many messages wait, are hidden, and are delayed.
    async fn depth(world: &World) -> [String; 3] {
        let request = world
            .aws
            .sqs()
            .get_queue_attributes()
            .queue_url(&world.work_queue);
        let all = request.attribute_names(aws_sdk_sqs::types::QueueAttributeName::All);
        let attributes = all.send().await.unwrap().attributes.unwrap();
        ["", "NotVisible", "Delayed"].map(|kind| {
            let name = format!("ApproximateNumberOfMessages{kind}");
            attributes[&name.as_str().into()].clone()
        })
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn jobs_are_archived_or_handed_to_people_and_then_deleted() {
        let job = r#"{"conversationId": "c0000000-0000-4000-8000-000000000012"}"#;
        let world = world_after(&[job, "{"]).await;
        let key = "recordings/c0000000-0000-4000-8000-000000000012/e0000000-0000-4000-8000-000000001201.wav";
        assert!(world.aws.object_path("calls", key).exists());
        assert_eq!(
            world.aws.messages(&world.exception_queue).len(),
            1,
            "the cut-off body"
        );
        let [waiting, hidden, _delayed] = depth(&world).await;
        assert_eq!([waiting, hidden], ["0", "0"], "both are done with");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_message_that_the_function_leaves_is_hidden_and_not_deleted() {
        let world = World::temporary().await.unwrap();
        library::fill(&world.genesys);
        world.genesys.rotate_secret("another");
        let send = world.aws.sqs().send_message().queue_url(&world.work_queue);
        let job = r#"{"conversationId": "c0000000-0000-4000-8000-000000000012"}"#;
        send.message_body(job).send().await.unwrap();
        let (function, stop) = (Function::new(&world).unwrap(), Notify::new());
        stop.notify_one();
        let put_back = run(&Screen::detect(false), &world, &function, &stop)
            .await
            .unwrap();
        assert_eq!(depth(&world).await, ["0", "1", "0"]);
        assert_eq!(put_back, 1);
    }

    #[test]
    fn each_message_that_is_not_archived_has_a_line_with_its_reason() {
        let event = |action: &str, message: &str, error: &str| json!({"audit": true, "action": action, "error": error, "actor": {"messageId": message}});
        let ran = Ran {
            answer: Ok(json!({"batchItemFailures": []})),
            lines: vec![
                json!({"audit": true, "action": "archive.stored"}),
                event("download.failed", "m-1", "Genesys answered 403"),
                event("download.deferred", "m-2", "still transcoding"),
                event("download.expired", "m-3", "DELETED at Genesys"),
                event("download.failed", "m-6", "S3 answered 503"),
            ],
            memory: None,
        };
        let cases = [
            json!({"code": "forbidden", "error": "Genesys answered 403", "messageId": "m-1"}),
            json!({"code": "malformed_job", "error": "not JSON", "messageId": "m-4"}),
        ];
        assert_eq!(
            not_archived(&ran, &cases, &["m-5", "m-6"]),
            [
                "failed    Genesys answered 403",
                "deferred  still transcoding",
                "expired   DELETED at Genesys",
                "put back  S3 answered 503",
                "failed    malformed_job: not JSON",
                "put back  message m-5",
            ]
        );
    }

    #[test]
    fn without_a_usable_answer_every_message_is_left() {
        let ran = |answer| Ran {
            answer,
            lines: Vec::new(),
            memory: None,
        };
        assert_eq!(failures(&ran(Err((String::new(), String::new())))), None);
        assert_eq!(
            failures(&ran(Ok(json!({"batchItemFailures": [{"itemIdentifier": 7}]})))),
            None
        );
        let one = failures(&ran(Ok(
            json!({"batchItemFailures": [{"itemIdentifier": "m-1"}]}),
        )));
        assert_eq!(one, Some(BTreeSet::from(["m-1".to_owned()])));
    }
}
