//! The tables, and what the archiver expects of a transaction.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsError, TransactWriteItemsOutput};
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use recording_archiver::sim::wire::Service;

use super::simulator;

fn s(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

async fn tables() -> (
    recording_archiver::sim::wire::Wire,
    recording_archiver::sim::aws::Aws,
    Client,
) {
    let (wire, aws, _s3) = simulator().await;
    aws.create_tables("audit", "ledger").await.unwrap();
    let client = aws.dynamodb();
    (wire, aws, client)
}

/// Moves the ledger from one state to another and puts the audit event, together.
fn transition(client: &Client, from: &str, to: &str, event: &str) -> TransactWriteItemsFluentBuilder {
    let update = Update::builder()
        .table_name("ledger")
        .key("interactionId", s("i"))
        .key("recordingId", s("r"))
        .update_expression("SET #s = :to ADD attempts :one")
        .condition_expression("attribute_not_exists(interactionId) OR #s = :from")
        .expression_attribute_names("#s", "state")
        .expression_attribute_values(":to", s(to))
        .expression_attribute_values(":from", s(from))
        .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let put = Put::builder()
        .table_name("audit")
        .item("interactionId", s("i"))
        .item("eventId", s(event))
        .condition_expression("attribute_not_exists(eventId)");
    client
        .transact_write_items()
        .transact_items(
            TransactWriteItem::builder()
                .update(update.build().unwrap())
                .build(),
        )
        .transact_items(TransactWriteItem::builder().put(put.build().unwrap()).build())
}

async fn ledger(client: &Client) -> HashMap<String, AttributeValue> {
    let get = client
        .get_item()
        .table_name("ledger")
        .key("interactionId", s("i"))
        .key("recordingId", s("r"));
    get.consistent_read(true)
        .send()
        .await
        .unwrap()
        .item
        .unwrap_or_default()
}

async fn events(client: &Client) -> Vec<String> {
    let query = client
        .query()
        .table_name("audit")
        .key_condition_expression("interactionId = :i");
    let items = query
        .expression_attribute_values(":i", s("i"))
        .send()
        .await
        .unwrap()
        .items
        .unwrap_or_default();
    items
        .iter()
        .map(|item| item["eventId"].as_s().unwrap().clone())
        .collect()
}

type Failure = SdkError<TransactWriteItemsError>;

fn reasons(
    result: Result<TransactWriteItemsOutput, Failure>,
) -> Vec<aws_sdk_dynamodb::types::CancellationReason> {
    match result.unwrap_err().into_service_error() {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            cancelled.cancellation_reasons.unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_update_and_a_put_happen_together() {
    let (wire, _aws, client) = tables().await;
    transition(&client, "claimed", "storing", "1")
        .send()
        .await
        .unwrap();
    transition(&client, "storing", "archived", "2")
        .send()
        .await
        .unwrap();
    let item = ledger(&client).await;
    assert_eq!(item["state"], s("archived"));
    assert_eq!(item["attempts"], AttributeValue::N("2".to_owned()));
    assert_eq!(events(&client).await, ["1", "2"]);
    assert_eq!(wire.count(Service::DynamoDb, "TransactWriteItems"), 2);
}

#[tokio::test]
async fn a_failed_condition_cancels_everything_and_shows_the_item_as_it_was() {
    let (_wire, _aws, client) = tables().await;
    transition(&client, "claimed", "storing", "1")
        .send()
        .await
        .unwrap();
    let reasons = reasons(transition(&client, "claimed", "archived", "2").send().await);
    assert_eq!(reasons[0].code(), Some("ConditionalCheckFailed"));
    assert_eq!(reasons[0].item().unwrap()["state"], s("storing"));
    assert_eq!(reasons[1].code(), Some("None"));
    assert_eq!(ledger(&client).await["state"], s("storing"));
    assert_eq!(events(&client).await, ["1"]);
}

#[tokio::test]
async fn an_audit_event_cannot_be_replaced() {
    let (_wire, _aws, client) = tables().await;
    transition(&client, "claimed", "storing", "1")
        .send()
        .await
        .unwrap();
    let reasons = reasons(transition(&client, "storing", "archived", "1").send().await);
    assert_eq!(reasons[0].code(), Some("None"));
    assert_eq!(reasons[1].code(), Some("ConditionalCheckFailed"));
    assert_eq!(ledger(&client).await["state"], s("storing"));
}

#[tokio::test]
async fn a_transaction_repeated_with_its_token_happens_once() {
    let (_wire, _aws, client) = tables().await;
    for _ in 0..2 {
        transition(&client, "claimed", "storing", "1")
            .client_request_token("token")
            .send()
            .await
            .unwrap();
    }
    assert_eq!(
        ledger(&client).await["attempts"],
        AttributeValue::N("1".to_owned())
    );
    let other = transition(&client, "claimed", "storing", "2")
        .client_request_token("token")
        .send()
        .await;
    let error = other.unwrap_err().into_service_error();
    assert!(matches!(
        error,
        TransactWriteItemsError::IdempotentParameterMismatchException(_)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_transactions_exactly_one_wins() {
    let (_wire, _aws, client) = tables().await;
    let mut claims = tokio::task::JoinSet::new();
    for claim in 0..16 {
        let transaction = transition(&client, "free", "claimed", &claim.to_string());
        claims.spawn(async move { transaction.send().await.is_ok() });
    }
    assert_eq!(claims.join_all().await.into_iter().filter(|won| *won).count(), 1);
    assert_eq!(events(&client).await.len(), 1);
}
