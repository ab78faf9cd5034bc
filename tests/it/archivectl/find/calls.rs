//! Calls of many facets, at Genesys and in their call records.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use recording_archiver::domain::call::{CallRecord, Extent};
use recording_archiver::domain::recording::ConversationId;
use recording_archiver::sim::AUDIT_TABLE;
use recording_archiver::sim::genesys::{Conversation, Media, Recording, Thing};
use serde_json::{Value, json};

use crate::calls::DESCRIBING;
use crate::support::{Bench, invoke, sqs};
use crate::work::Work;

/// The agent whom others consult.
const CONSULTED: usize = 15;
/// Calls that settle at the same time.
const TOGETHER: usize = 120;

/// What one call is found by.
pub(super) struct Call {
    pub(super) number: usize,
    pub(super) agents: BTreeSet<usize>,
    pub(super) queues: BTreeSet<usize>,
    pub(super) wrapup: usize,
    pub(super) division: usize,
    pub(super) caller: usize,
}

impl Call {
    /// Returns call `number`: every third is transferred to another queue, every fifth has a consulted agent.
    pub(super) fn new(number: usize) -> Self {
        let mut call = Self {
            number,
            agents: [number % 11].into(),
            queues: [number % 5].into(),
            wrapup: number % 7,
            division: number % 2,
            caller: number % 13,
        };
        if number.is_multiple_of(3) {
            call.agents.insert(11 + number % 4);
            call.queues.insert(5 + number % 2);
        }
        if number.is_multiple_of(5) {
            call.agents.insert(CONSULTED);
        }
        call
    }

    pub(super) fn id(&self) -> String {
        format!("c0000000-0000-4000-8000-{:012}", self.number)
    }

    fn start(&self) -> Timestamp {
        let begin: Timestamp = "2026-01-31T20:00:00Z".parse().unwrap();
        begin + SignedDuration::from_mins(i64::try_from(self.number).unwrap() * 5)
    }

    fn end(&self) -> Timestamp {
        self.start() + SignedDuration::from_secs(60 + i64::try_from(self.number).unwrap())
    }

    pub(super) fn recording(&self) -> String {
        format!("e0000000-0000-4000-8000-{:012}", self.number)
    }

    fn participants(&self) -> Value {
        let end = self.end().to_string();
        let session = |segments: Vec<Value>| {
            json!({"mediaType": "voice", "direction": "inbound", "recording": true,
                   "ani": format!("tel:{}", caller(self.caller)), "dnis": "tel:+15555550199", "segments": segments})
        };
        let segment = |extra: Value| {
            let mut segment = json!({"segmentType": "interact", "segmentEnd": end});
            segment
                .as_object_mut()
                .unwrap()
                .extend(extra.as_object().unwrap().clone());
            segment
        };
        let queues = self.queues.iter();
        let queues = queues.map(|queue_id| segment(json!({"queueId": queue(*queue_id)})));
        let mut participants = vec![json!({"purpose": "customer", "sessions": [session(queues.collect())]})];
        for id in self.agents.iter().filter(|id| **id != CONSULTED) {
            let wrapup = segment(json!({"wrapUpCode": wrapup(self.wrapup)}));
            participants
                .push(json!({"purpose": "agent", "userId": agent(*id), "sessions": [session(vec![wrapup])]}));
        }
        if self.agents.contains(&CONSULTED) {
            // A leg of its own, without the caller, a queue and a wrap-up.
            let consult = json!({"mediaType": "voice", "direction": "inbound", "recording": false,
                                 "segments": [segment(json!({}))]});
            participants.push(json!({"purpose": "agent", "userId": agent(CONSULTED), "sessions": [consult]}));
        }
        participants.into()
    }

    /// Returns the call as Genesys has it.
    pub(super) fn conversation(&self) -> Conversation {
        let length = self.end().duration_since(self.start());
        let mut conversation = Conversation::new(self.id()).lasting(self.start(), length);
        conversation.division = division(self.division);
        conversation.participants = Some(self.participants());
        let mut recording = Recording::audio(self.recording(), [Media::generated_wav(2_000, 1)]);
        recording.start = self.start();
        conversation.recording(recording)
    }

    /// Returns its call record.
    pub(super) fn record(&self) -> CallRecord {
        let details = json!({
            "conversationId": self.id(), "conversationStart": self.start().to_string(),
            "conversationEnd": self.end().to_string(), "originatingDirection": "inbound",
            "divisionIds": [division(self.division)], "participants": self.participants(),
        });
        let id = ConversationId::parse(&self.id()).unwrap();
        let mut call = CallRecord::new(id, "details").with_details(&details.to_string(), Extent::Standard);
        let names = |kind: fn(usize) -> String, name: &str, of: Vec<usize>| {
            let named = of.into_iter().map(|n| (kind(n), format!("{name} {n:02}")));
            named.collect::<BTreeMap<_, _>>()
        };
        call.names.users = names(agent, "Agent", self.agents.iter().copied().collect());
        call.names.queues = names(queue, "Queue", self.queues.iter().copied().collect());
        call.names.wrap_up_codes = names(wrapup, "Code", vec![self.wrapup]);
        call.names.divisions = names(division, "Division", vec![self.division]);
        let recording =
            json!({"recordingId": self.recording(), "state": "archived", "media": "audio", "files": []});
        call.recordings.push(serde_json::from_value(recording).unwrap());
        call
    }
}

pub(super) fn agent(n: usize) -> String {
    format!("a0000000-0000-4000-8000-{n:012}")
}

pub(super) fn queue(n: usize) -> String {
    format!("b0000000-0000-4000-8000-{n:012}")
}

pub(super) fn wrapup(n: usize) -> String {
    format!("f0000000-0000-4000-8000-{n:012}")
}

pub(super) fn division(n: usize) -> String {
    format!("d0000000-0000-4000-8000-{n:012}")
}

pub(super) fn caller(n: usize) -> String {
    format!("+4930123{n:03}")
}

/// Returns an archive of so many settled calls.
pub(super) async fn archive(count: usize) -> (Bench, Vec<Call>) {
    let bench = Bench::new().await;
    bench.world.aws.end_stream(AUDIT_TABLE).await.unwrap();
    let genesys = &bench.world.genesys;
    genesys.set_transcoding(0);
    // So many at once are more than Genesys allows in a minute.
    genesys.set_rate_limit(u32::MAX);
    for n in 0..16 {
        genesys.name(Thing::User, &agent(n), &format!("Agent {n:02}"), "active");
        genesys.name(Thing::Queue, &queue(n), &format!("Queue {n:02}"), "active");
        genesys.name(Thing::WrapUpCode, &wrapup(n), &format!("Code {n:02}"), "active");
        genesys.name(
            Thing::Division,
            &division(n),
            &format!("Division {n:02}"),
            "active",
        );
    }
    let calls: Vec<_> = (0..count).map(Call::new).collect();
    let handler = bench.handler(&DESCRIBING);
    let mut work = Work::of(&bench);
    for some in calls.chunks(TOGETHER) {
        for batch in some.chunks(10) {
            for call in batch {
                genesys.add(call.conversation());
            }
            let bodies = batch
                .iter()
                .map(|call| json!({"conversationId": call.id()}).to_string());
            invoke(&handler, sqs(bodies)).await.unwrap();
        }
        work.run_dry(&handler).await;
        // The requests of thousands of calls are a lot to remember.
        bench.world.wire.forget();
    }
    drop(work);
    (bench, calls)
}
