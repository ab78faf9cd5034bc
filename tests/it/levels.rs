//! Service levels: how soon after the end of its call a recording that an end event asked for is archived.

use std::time::Duration;

use jiff::SignedDuration;
use recording_archiver::sim::ROLE_ID;
use recording_archiver::sim::genesys::{Conversation, FileState, Recording, Topic, event};
use serde_json::Value;

use crate::support::{Bench, CONVERSATION, RECORDING, call, invoke, job, sqs, sqs_from};

const LEVELS: [&str; 4] = [
    "RecordingsArchived",
    "LiveRecordings",
    "LiveWithinHour",
    "LiveWithinDay",
];

/// Returns what the last invocation counted.
fn counted(bench: &Bench) -> [u64; 4] {
    let lines = bench.metrics();
    let line = lines
        .iter()
        .rev()
        .find(|line| line.get(LEVELS[0]).is_some())
        .unwrap();
    LEVELS.map(|name| line[name].as_u64().unwrap())
}

/// Returns a bench with a recording of a call that has just ended, and that is not ready.
async fn not_ready() -> Bench {
    let bench = Bench::new().await;
    let mut recording = Recording::audio(RECORDING, [call()]).state(FileState::Uploading);
    recording.duration = Some(SignedDuration::from_mins(5));
    recording.start = bench.clock.now() - SignedDuration::from_mins(5);
    bench
        .world
        .genesys
        .add(Conversation::new(CONVERSATION).recording(recording));
    bench
}

/// Lets this much time pass, then has the recording ready.
fn ready_after(bench: &Bench, time: Duration) {
    bench.advance(time);
    let set = bench
        .world
        .genesys
        .recording(RECORDING, |recording| recording.state = FileState::Available);
    set.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_counts_from_the_end_of_its_call_however_often_it_was_deferred() {
    for (hours, expected) in [(0, [1, 1, 1, 1]), (2, [1, 1, 0, 1]), (25, [1, 1, 0, 0])] {
        let bench = not_ready().await;
        let handler = bench.handler(&[("READINESS_DEADLINE_MINUTES", "43200")]);
        let end = event(Topic::CustomerEnd, CONVERSATION, bench.clock.now());
        invoke(&handler, sqs([end.to_string()])).await.unwrap();
        assert_eq!(counted(&bench), [0; 4], "deferred: nothing is decided yet");
        ready_after(&bench, Duration::from_secs(hours * 3_600 + 60));
        let (deferred, _) = bench.deferred().pop().unwrap();
        let own = sqs_from([deferred.to_string()], &format!("{ROLE_ID}:recording-archiver"));
        invoke(&handler, own).await.unwrap();
        assert_eq!(counted(&bench), expected, "{hours} h");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_misses_both_levels_and_what_people_ask_for_counts_for_none() {
    let bench = not_ready().await;
    let end = event(Topic::CustomerEnd, CONVERSATION, bench.clock.now());
    let broken = |recording: &mut Recording| recording.state = FileState::Archived;
    bench.world.genesys.recording(RECORDING, broken).unwrap();
    bench.invoke(sqs([end.to_string()])).await.unwrap();
    assert_eq!(counted(&bench), [0, 1, 0, 0]);

    ready_after(&bench, Duration::from_secs(400_000_000));
    bench.invoke(sqs([job().to_string()])).await.unwrap();
    assert_eq!(counted(&bench), [1, 0, 0, 0], "ten years late, by a backfill");
    let line = bench.metrics().pop().unwrap();
    assert!(line["ArchiveAge"][0].as_u64().unwrap() >= 400_000_000, "{line}");
    assert_eq!(line["LiveAge"], Value::Null);
}
