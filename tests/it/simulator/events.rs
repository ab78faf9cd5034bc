//! The events that start an archive.

use recording_archiver::sim::genesys::{Topic, event};

use super::CONVERSATION;
use crate::openapi::assert_is;

#[test]
fn events_are_as_declared() {
    for (topic, name, schema) in [
        (
            Topic::CustomerEnd,
            "customer.end",
            "CustomerEndDetailEventTopicCustomerEndEvent",
        ),
        (Topic::UserEnd, "user.end", "UserEndDetailEventTopicUserEndEvent"),
        (Topic::AcdEnd, "acd.end", "AcdEndDetailEventTopicAcdEndEvent"),
        (Topic::FlowEnd, "flow.end", "FlowEndDetailEventTopicFlowEndEvent"),
    ] {
        let event = event(topic, CONVERSATION, "2026-01-15T10:20:30.761Z".parse().unwrap());
        assert_is("EventBridgeEvent", &event);
        assert_is(schema, &event["detail"]["eventBody"]);
        let template = format!("v2.detail.events.conversation.{{id}}.{name}");
        assert_eq!(event["detail-type"], template.as_str());
        assert_eq!(
            event["detail"]["topicName"],
            template.replace("{id}", CONVERSATION)
        );
        assert_eq!(event["time"], "2026-01-15T10:20:30Z");
        assert_eq!(event["detail"]["timestamp"], "2026-01-15T10:20:30.761Z");
    }
}
