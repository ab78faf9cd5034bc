//! Queues and secrets.

use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use recording_archiver::sim::aws::SentMessage;
use recording_archiver::sim::wire::{Fault, Service};

use super::{code, simulator};

fn sent(body: &str, delay_seconds: Option<i64>) -> SentMessage {
    SentMessage {
        body: body.to_owned(),
        delay_seconds,
    }
}

#[tokio::test]
async fn a_message_is_received_until_it_is_deleted() {
    let (_wire, aws, _s3) = simulator().await;
    let url = aws.create_queue("work").await.unwrap();
    assert!(url.starts_with(&aws.endpoint_url()));
    let sqs = aws.sqs();
    sqs.send_message()
        .queue_url(&url)
        .message_body("job")
        .send()
        .await
        .unwrap();
    let receive = || async {
        let received = sqs.receive_message().queue_url(&url).send().await.unwrap();
        received.messages.unwrap_or_default().pop()
    };
    let first = receive().await.unwrap();
    assert_eq!(first.body(), Some("job"));
    assert!(receive().await.is_none());
    let visibility = sqs
        .change_message_visibility()
        .queue_url(&url)
        .visibility_timeout(0);
    visibility
        .receipt_handle(first.receipt_handle().unwrap())
        .send()
        .await
        .unwrap();
    let again = receive().await.unwrap();
    assert_eq!(again.message_id(), first.message_id());
    let delete = sqs.delete_message().queue_url(&url);
    delete
        .receipt_handle(again.receipt_handle().unwrap())
        .send()
        .await
        .unwrap();
    let count = QueueAttributeName::ApproximateNumberOfMessages;
    let hidden = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    let attributes = sqs
        .get_queue_attributes()
        .queue_url(&url)
        .attribute_names(QueueAttributeName::All);
    let attributes = attributes.send().await.unwrap().attributes.unwrap();
    assert_eq!(
        (attributes[&count].as_str(), attributes[&hidden].as_str()),
        ("0", "0")
    );
}

#[tokio::test]
async fn delayed_messages_are_known_to_the_test_but_not_received() {
    let (_wire, aws, _s3) = simulator().await;
    let (url, other) = (
        aws.create_queue("work").await.unwrap(),
        aws.create_queue("other").await.unwrap(),
    );
    let sqs = aws.sqs();
    sqs.send_message()
        .queue_url(&url)
        .message_body("later")
        .delay_seconds(900)
        .send()
        .await
        .unwrap();
    let entry = |id: &str| SendMessageBatchRequestEntry::builder().id(id).message_body(id);
    let batch = sqs.send_message_batch().queue_url(&url);
    let batch = batch
        .entries(entry("a").delay_seconds(600).build().unwrap())
        .entries(entry("b").build().unwrap());
    batch.send().await.unwrap();
    let received = sqs
        .receive_message()
        .queue_url(&url)
        .max_number_of_messages(10)
        .send()
        .await
        .unwrap();
    let bodies: Vec<_> = received
        .messages()
        .iter()
        .filter_map(|message| message.body())
        .collect();
    assert_eq!(bodies, ["b"]);
    assert_eq!(
        aws.messages(&url),
        [sent("later", Some(900)), sent("a", Some(600)), sent("b", None)]
    );
    assert!(aws.messages(&other).is_empty());
}

#[tokio::test]
async fn what_sqs_refuses_is_refused_and_not_recorded() {
    let (wire, aws, _s3) = simulator().await;
    let url = aws.create_queue("work").await.unwrap();
    let send = || aws.sqs().send_message().queue_url(&url).message_body("job");
    assert_eq!(
        code(send().delay_seconds(901).send().await),
        "InvalidParameterValue"
    );
    assert!(
        send()
            .message_body("x".repeat(1024 * 1024 + 1))
            .send()
            .await
            .is_err()
    );
    let missing = send().queue_url(format!("{url}-missing")).send().await;
    assert!(
        missing
            .unwrap_err()
            .into_service_error()
            .is_queue_does_not_exist()
    );
    wire.disturb_next(Service::Sqs, "SendMessage", 1, Fault::status(403));
    send().send().await.unwrap_err();
    assert!(aws.messages(&url).is_empty());
}

#[tokio::test]
async fn a_secret_is_read_by_name_and_by_arn_and_can_change() {
    let (wire, aws, _s3) = simulator().await;
    aws.put_secret("genesys", "old").await.unwrap();
    aws.put_secret("genesys", "new").await.unwrap();
    let secrets = aws.secrets();
    let by_name = secrets
        .get_secret_value()
        .secret_id("genesys")
        .send()
        .await
        .unwrap();
    assert_eq!(by_name.secret_string(), Some("new"));
    let by_arn = secrets
        .get_secret_value()
        .secret_id(by_name.arn().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(by_arn.secret_string(), Some("new"));
    let missing = secrets
        .get_secret_value()
        .secret_id("missing")
        .send()
        .await
        .unwrap_err();
    assert!(missing.into_service_error().is_resource_not_found_exception());
    assert_eq!(wire.count(Service::SecretsManager, "GetSecretValue"), 3);
}
