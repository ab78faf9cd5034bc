//! What somebody does to the audit table by plain calls becomes a leaf.

use aws_sdk_dynamodb::types::AttributeValue;
use recording_archiver::seal::{Entry, layout};
use recording_archiver::sealer::stream::Tampering;
use recording_archiver::sim::AUDIT_TABLE;
use serde_json::{Value, json};

use super::deliver;
use crate::support::{Bench, CONVERSATION, RECORDING, sha256};

/// Returns the record that a leaf stands for.
async fn record(bench: &Bench, entry: &Entry) -> Tampering {
    let bytes = bench.log().get(&layout::record(entry)).await.unwrap().unwrap();
    assert_eq!(Entry::of_record(&bytes), *entry);
    assert!(
        !String::from_utf8_lossy(&bytes).contains("requestId"),
        "the item is not kept"
    );
    Tampering::from_bytes(&bytes).unwrap()
}

/// Returns the value of a metric in each line that the sealer printed.
fn tampering(bench: &Bench) -> Vec<Value> {
    bench
        .metrics()
        .iter()
        .map(|line| line["AuditTampering"].clone())
        .collect()
}

#[tokio::test]
async fn a_changed_and_a_removed_event_are_leaves_and_a_metric() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    bench.lines.lock().unwrap().clear();
    let before = bench.streamed().await.len();
    let events = bench.audit(CONVERSATION, RECORDING).await;
    let dynamodb = bench.world.aws.dynamodb();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let (conversation, first) = (text(CONVERSATION), text(events[0].text("eventId").unwrap()));
    let change = dynamodb.update_item().table_name(AUDIT_TABLE);
    let change = change
        .key("interactionId", conversation.clone())
        .key("eventId", first.clone());
    let change = change
        .update_expression("SET #s = :s")
        .expression_attribute_names("#s", "status");
    change
        .expression_attribute_values(":s", text("failed"))
        .send()
        .await
        .unwrap();
    let remove = dynamodb.delete_item().table_name(AUDIT_TABLE);
    let remove = remove.key("interactionId", conversation).key("eventId", first);
    remove.send().await.unwrap();

    let sealer = bench.sealer(&[]);
    let records = bench.streamed().await;
    deliver(&sealer, &records).await.unwrap();
    deliver(&bench.sealer(&[]), &records).await.unwrap();
    let leaves = bench.leaves().await;
    assert_eq!(
        leaves.len(),
        1 + before + 2,
        "each is one leaf, delivered again or not"
    );
    let [changed, removed] = [&leaves[before + 1], &leaves[before + 2]];
    let changed = record(&bench, changed).await;
    assert_eq!(
        (&changed.event_name[..], changed.key("interactionId")),
        ("MODIFY", Some(CONVERSATION))
    );
    let hash = events[0].text("eventHash").map(str::to_owned);
    let (old, new) = (changed.before.unwrap(), changed.after.unwrap());
    assert_eq!((&old.event_hash, &new.event_hash), (&hash, &hash));
    assert_ne!(old.sha256, new.sha256);
    let removed = record(&bench, removed).await;
    assert_eq!((&removed.event_name[..], removed.after), ("REMOVE", None));
    assert_eq!(removed.before.unwrap().sha256, new.sha256);
    assert_eq!(tampering(&bench), [json!(2), json!(2)]);
}

#[tokio::test]
async fn a_foreign_item_is_a_leaf_whatever_it_holds() {
    let bench = Bench::new().await;
    let dynamodb = bench.world.aws.dynamodb();
    for (number, odd) in [
        AttributeValue::S("0".repeat(64)),
        AttributeValue::N("1.5e-3".to_owned()),
        AttributeValue::B(vec![1, 2, 3].into()),
        AttributeValue::Ss(vec!["a".to_owned(), "b".to_owned()]),
        AttributeValue::Null(true),
    ]
    .into_iter()
    .enumerate()
    {
        let put = dynamodb.put_item().table_name(AUDIT_TABLE);
        let put = put.item("interactionId", AttributeValue::S("planted".to_owned()));
        let put = put.item("eventId", AttributeValue::S(number.to_string()));
        put.item("eventHash", odd).send().await.unwrap();
    }
    let records = bench.streamed().await;
    deliver(&bench.sealer(&[]), &records).await.unwrap();
    let leaves = bench.leaves().await;
    assert_eq!(leaves.len(), 6);
    for (number, leaf) in leaves[1..].iter().enumerate() {
        let record = record(&bench, leaf).await;
        assert_eq!(record.event_name, "INSERT");
        assert_eq!(
            record.keys["eventId"]["sha256"],
            sha256(number.to_string().as_bytes())
        );
        assert_eq!(record.before, None);
    }
    assert_eq!(tampering(&bench), [json!(5)]);
}

#[tokio::test]
async fn a_record_holds_no_text_that_somebody_wrote_into_a_key_or_a_hash() {
    const NAME: &str = "John Doe +49 170 1234567";
    let bench = Bench::new().await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    for (conversation, event) in [(NAME, NAME), (CONVERSATION, NAME), (NAME, CONVERSATION)] {
        let put = bench.world.aws.dynamodb().put_item().table_name(AUDIT_TABLE);
        let put = put.item("interactionId", text(conversation));
        let put = put.item("eventId", text(event)).item("eventHash", text(NAME));
        put.send().await.unwrap();
    }
    let records = bench.streamed().await;
    deliver(&bench.sealer(&[]), &records).await.unwrap();
    let mut told = Vec::new();
    for leaf in &bench.leaves().await[1..] {
        let bytes = bench.log().get(&layout::record(leaf)).await.unwrap().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("John"), "{text}");
        told.push(record(&bench, leaf).await.keys["interactionId"].clone());
    }
    let hashed = json!({"sha256": sha256(NAME.as_bytes())});
    assert_eq!(told, [hashed.clone(), json!({"S": CONVERSATION}), hashed]);
}

#[tokio::test]
async fn a_record_that_is_none_does_not_stop_the_stream() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let mut records = bench.streamed().await;
    let events = records.len();
    records.insert(1, json!({"eventSource": "aws:dynamodb"}));
    records.insert(
        2,
        json!({"eventSource": "aws:dynamodb", "eventName": "INSERT", "dynamodb": {"NewImage": 7}}),
    );
    let answer = deliver(&bench.sealer(&[]), &records).await.unwrap();
    assert_eq!(answer, json!({"sealed": events + 2}));
}
