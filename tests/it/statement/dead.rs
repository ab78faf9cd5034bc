//! Dead letters become failures of ledger and audit before SQS forgets them.

use std::time::Duration;

use recording_archiver::domain::audit::Action;
use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::{Topic, event};
use serde_json::{Value, json};

use super::made::{Entry, Made};
use super::{conversation, day, reasons, recorded, recording};
use crate::support::{Bench, invoke, sqs};

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Bench {
    pub(crate) async fn bury(&self, body: &Value) {
        let send = self.world.aws.sqs().send_message();
        let send = send.queue_url(&self.world.dead_letter_queue);
        send.message_body(body.to_string()).send().await.unwrap();
    }

    /// Lets days pass, and Genesys know them.
    pub(crate) fn pass(&self, days: u32) {
        self.advance(DAY * days);
        self.world.genesys.set_data_availability(self.clock.now());
    }

    /// Returns how many of the statement's last dead letters were old.
    fn old(&self) -> u64 {
        self.counted("OldDeadLetters")
    }

    fn counted(&self, name: &str) -> u64 {
        let metrics = self.metrics();
        let last = metrics.iter().rev().find_map(|line| line[name].as_u64());
        last.unwrap()
    }

    async fn state_of(&self, number: usize, recording: &str) -> Option<State> {
        let record = self.record(&conversation(number), recording).await;
        record.map(|record| record.state)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_nobody_sends_again_for_a_week_is_a_failure_with_its_code() {
    let bench = Bench::stated().await;
    let end = event(Topic::CustomerEnd, &conversation(1), bench.clock.now());
    bench.bury(&end).await;
    bench
        .bury(&json!({"conversationId": conversation(2), "recordingId": recording(2)}))
        .await;
    bench.bury(&json!({"neither": "a job nor an event"})).await;
    bench.pass(6);
    bench.issue().await;
    assert_eq!((bench.old(), bench.state_of(1, "-").await), (0, None));
    bench.pass(1);
    let day = day(&bench, 0);
    for number in 1..=2 {
        bench.world.genesys.add(recorded(day, number));
    }
    bench.issue().await;
    let failed = Some(State::Failed);
    assert_eq!(bench.old(), 3, "one of them holds no job");
    assert_eq!(
        [
            bench.state_of(1, "-").await,
            bench.state_of(2, &recording(2)).await,
            bench.state_of(2, "-").await
        ],
        [failed, failed, None]
    );
    let events = bench.audit(&conversation(1), "-").await;
    assert_eq!(
        (events[0].action(), &events[0]["code"]),
        (Some(Action::DownloadFailed), &json!("dead_letter"))
    );
    let actor = events[0].actor().unwrap();
    assert_eq!(
        (actor.source.as_str(), actor.event_id.as_deref()),
        ("schedule", end["id"].as_str())
    );
    let failure = || "failed:dead_letter".to_owned();
    let expected = [(conversation(1), failure()), (conversation(2), failure())];
    assert_eq!(reasons(&bench.statement_of(day, 1).await), expected.into());

    // The next run finds it done, and the message where it was; the function archives what is sent again.
    bench.pass(1);
    bench.issue().await;
    assert_eq!(
        (bench.old(), bench.audit(&conversation(1), "-").await.len()),
        (3, 1)
    );
    let handler = bench.handler(&[("SETTLE_SECONDS", "900")]);
    invoke(&handler, sqs([end.to_string()])).await.unwrap();
    let archived = bench.state_of(1, &recording(1)).await;
    assert_eq!(archived, Some(State::Notified));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_entry_of_a_bulk_job_that_nobody_sends_again_is_a_failure() {
    let bench = Bench::stated().await;
    let entry = |number: usize| json!({"conversationId": conversation(number)});
    let mut second = entry(2);
    second["recordingId"] = recording(2).into();
    // The function here wants WAV, and would refuse it.
    bench
        .bury(&json!({"bulk": [entry(1), second], "requestedBy": "anna", "batch": {"id": "b-1", "polls": 3}}))
        .await;
    bench.pass(7);
    bench.issue().await;
    assert_eq!(bench.old(), 1);
    for (number, recording) in [(1, "-"), (2, recording(2).as_str())] {
        let state = bench.state_of(number, recording).await;
        assert_eq!(state, Some(State::Failed), "{number}");
        let events = bench.audit(&conversation(number), recording).await;
        let actor = events[0].actor().unwrap();
        assert_eq!(
            (&events[0]["code"], actor.requested_by.as_deref()),
            (&json!("dead_letter"), Some("anna"))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_ledger_knows_better_stays() {
    let bench = Bench::stated().await;
    let all = 1..=5;
    for number in all.clone() {
        bench.bury(&json!({"conversationId": conversation(number)})).await;
    }
    bench
        .bury(&json!({"conversationId": conversation(1), "recordingId": recording(1)}))
        .await;
    bench.pass(8);
    let now = bench.clock.now();
    let mut made = Made::default();
    made.archived(1, now - DAY * 3);
    // Its recording says how it stands.
    made.stored(2, now - DAY * 3, json!({}));
    let mut entry = |number: usize, action: Action, state: State, ago: Duration| {
        let entry = Entry {
            number,
            recording: None,
            action,
            state,
            at: now - ago,
        };
        made.entry(
            &entry,
            json!({}),
            json!({"looks": u32::from(state == State::Settling)}),
        );
    };
    entry(3, Action::DownloadExpired, State::Expired, DAY * 3);
    // A look is due, and one that was lost.
    entry(4, Action::ConversationListed, State::Settling, DAY / 4);
    entry(5, Action::ConversationListed, State::Settling, DAY * 3);
    made.write(&bench).await;
    bench.issue().await;
    assert_eq!(bench.old(), 6);
    let mut states = Vec::new();
    for number in all {
        states.push(bench.state_of(number, "-").await);
    }
    assert_eq!(
        states,
        [
            Some(State::Settled),
            None,
            Some(State::Expired),
            Some(State::Settling),
            Some(State::Failed)
        ]
    );
    assert_eq!(bench.state_of(1, &recording(1)).await, Some(State::Archived));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_that_nobody_closes_is_counted_however_often_somebody_looks_at_it() {
    let bench = Bench::stated().await;
    let case = json!({"conversationId": conversation(1), "error": "x", "code": "forbidden"});
    let send = bench.world.aws.sqs().send_message();
    let send = send.queue_url(&bench.world.exception_queue);
    send.message_body(case.to_string()).send().await.unwrap();
    bench.pass(6);
    bench.issue().await;
    assert_eq!(bench.counted("OldExceptions"), 0);
    for _ in 0..4 {
        crate::archivectl::run(&bench, &["redrive", "--dry-run"]).await;
    }
    bench.pass(1);
    bench.issue().await;
    bench.issue().await;
    let there = bench.world.aws.messages(&bench.world.exception_queue);
    assert_eq!(
        (bench.counted("OldExceptions"), there.len()),
        (1, 1),
        "and it stays"
    );
}
