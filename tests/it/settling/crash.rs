//! The function dies at any point of a look: what is sent again and what was sent twice come to the same end.

use std::sync::Arc;

use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::{FileState, Recording};
use serde_json::Value;

use super::{LATER, appears};
use crate::kill::{LEASE, MOMENTS, kill};
use crate::support::{Bench, CONVERSATION, RECORDING, SETTLING, invoke_for, job, sqs};
use crate::work::Work;

const CONFIGURATION: &[(&str, &str)] = &[SETTLING];

/// A conversation that settles with two recordings, of which the second look finds the second one.
struct Scene {
    bench: Arc<Bench>,
}

impl Scene {
    async fn new() -> Self {
        Self {
            bench: Arc::new(Bench::with_a_call().await),
        }
    }

    /// Returns the scene after the first look, with the second on its way and something to find.
    async fn before_the_second_look() -> (Self, Value) {
        let scene = Self::new().await;
        scene.invoke(job()).await;
        appears(&scene.bench, LATER);
        let mut work = Work::of(&scene.bench);
        let look = work.waiting().remove(0);
        scene.bench.advance(std::time::Duration::from_secs(901));
        (scene, look)
    }

    async fn invoke(&self, body: Value) {
        let handler = self.bench.handler(CONFIGURATION);
        let answer = invoke_for(&handler, sqs([body.to_string()]), LEASE)
            .await
            .unwrap();
        assert_eq!(
            answer["batchItemFailures"].as_array().map(Vec::len),
            Some(0),
            "{answer}"
        );
    }

    /// Returns how many effects a clean run has.
    async fn effects(&self, body: Value) -> usize {
        self.bench.world.wire.forget();
        self.invoke(body).await;
        self.bench.world.wire.exchanges().len()
    }

    /// Delivers the message of the run that died before or after what it had sent, and all that follows.
    async fn run_to_the_end(&self, died_with: &Value, first: bool, story: &str) {
        let handler = self.bench.handler(CONFIGURATION);
        let mut work = Work::of(&self.bench);
        // In an order of its own: what was sent before the crash may be delivered first.
        if first {
            work.send(died_with);
        } else {
            work.deliver(&handler).await;
            work.send(died_with);
        }
        work.run_dry(&handler).await;
        let whole = self.bench.record(CONVERSATION, "-").await.expect(story);
        assert_eq!(whole.state, State::Settled, "{story}");
        let mut recordings = vec![RECORDING.to_owned()];
        if self.bench.record(CONVERSATION, LATER).await.is_some() {
            recordings.push(LATER.to_owned());
        }
        assert_eq!(whole.recordings, recordings, "{story}");
        for recording in &recordings {
            let record = self.bench.record(CONVERSATION, recording).await.unwrap();
            assert_eq!(record.state, State::Notified, "{story}");
            let actions = self.bench.actions(CONVERSATION, recording).await;
            let stored = actions
                .iter()
                .filter(|action| *action == "archive.stored")
                .count();
            assert_eq!(stored, 1, "{story}: {actions:?}");
        }
        // Each look that counts is told once, in order, and the last one settles.
        let events = self.bench.audit(CONVERSATION, "-").await;
        let looks: Vec<_> = events
            .iter()
            .map(|event| event["look"].as_u64().unwrap())
            .collect();
        assert!(looks.is_sorted_by(|one, other| one < other), "{story}: {looks:?}");
        let (last, before) = events.split_last().unwrap();
        assert_eq!(last["action"], "conversation.settled", "{story}");
        assert!(
            before
                .iter()
                .all(|event| event["action"] == "conversation.listed"),
            "{story}"
        );
        assert!(events.len() <= 4, "{story}: {looks:?}");
        assert!(self.bench.exceptions().is_empty(), "{story}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_look_survives_a_crash_at_any_point() {
    let effects = Scene::new().await.effects(job()).await;
    assert!(effects >= 14, "{effects}");
    for k in 1..=effects {
        for moment in MOMENTS {
            for first in [true, false] {
                let scene = Scene::new().await;
                assert!(kill(&scene.bench, CONFIGURATION, sqs([job().to_string()]), k, moment).await);
                let story =
                    format!("killed {moment:?} effect {k} of {effects}, delivered again first: {first}");
                scene.run_to_the_end(&job(), first, &story).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_look_survives_a_crash_at_any_point() {
    let (scene, look) = Scene::before_the_second_look().await;
    let effects = scene.effects(look).await;
    assert!(effects >= 14, "{effects}");
    for k in 1..=effects {
        for moment in MOMENTS {
            for first in [true, false] {
                let (scene, look) = Scene::before_the_second_look().await;
                let body = sqs([look.to_string()]);
                assert!(kill(&scene.bench, CONFIGURATION, body, k, moment).await);
                let story =
                    format!("killed {moment:?} effect {k} of {effects}, delivered again first: {first}");
                scene.run_to_the_end(&look, first, &story).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_look_survives_a_crash_at_any_point() {
    async fn before_it() -> (Scene, Value) {
        let scene = Scene::new().await;
        scene.invoke(job()).await;
        let look = Work::of(&scene.bench).waiting().remove(0);
        scene.bench.advance(std::time::Duration::from_secs(901));
        (scene, look)
    }
    let (scene, look) = before_it().await;
    let effects = scene.effects(look).await;
    assert!(effects >= 6, "{effects}");
    for k in 1..=effects {
        for moment in MOMENTS {
            let (scene, look) = before_it().await;
            assert!(kill(&scene.bench, CONFIGURATION, sqs([look.to_string()]), k, moment).await);
            let story = format!("killed {moment:?} effect {k} of {effects}");
            scene.run_to_the_end(&look, true, &story).await;
            assert_eq!(
                scene.bench.actions(CONVERSATION, "-").await,
                ["conversation.listed", "conversation.settled"],
                "{story}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_that_a_look_finds_is_handed_over_whatever_dies() {
    async fn before_it() -> (Scene, Value) {
        let (scene, look) = Scene::before_the_second_look().await;
        let archive = |recording: &mut Recording| recording.state = FileState::Archived;
        scene.bench.world.genesys.recording(LATER, archive).unwrap();
        (scene, look)
    }
    let (scene, look) = before_it().await;
    let effects = scene.effects(look).await;
    assert_eq!(scene.bench.exceptions().len(), 1);
    for k in 1..=effects {
        for moment in MOMENTS {
            let (scene, look) = before_it().await;
            let body = sqs([look.to_string()]);
            assert!(kill(&scene.bench, CONFIGURATION, body, k, moment).await);
            let handler = scene.bench.handler(CONFIGURATION);
            let mut work = Work::of(&scene.bench);
            work.send(&look);
            work.run_dry(&handler).await;
            let story = format!("killed {moment:?} effect {k} of {effects}");
            let codes: Vec<_> = scene
                .bench
                .exceptions()
                .iter()
                .map(|case| case["code"].clone())
                .collect();
            assert!(
                !codes.is_empty() && codes.iter().all(|code| code == "archived_at_source"),
                "{story}: {codes:?}"
            );
            assert!(codes.len() <= 2, "{story}: {codes:?}");
            let whole = scene.bench.record(CONVERSATION, "-").await.unwrap();
            assert_eq!(whole.state, State::Settled, "{story}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_event_archived_and_did_not_tell_is_told_before_the_conversation_settles() {
    let (scene, _) = Scene::before_the_second_look().await;
    let effects = scene.effects(job()).await;
    for k in 1..=effects {
        for moment in MOMENTS {
            let (scene, _) = Scene::before_the_second_look().await;
            assert!(kill(&scene.bench, CONFIGURATION, sqs([job().to_string()]), k, moment).await);
            // Its message comes again when all else is over.
            let handler = scene.bench.handler(CONFIGURATION);
            Work::of(&scene.bench).run_dry(&handler).await;
            let story = format!("killed {moment:?} effect {k} of {effects}");
            let record = scene.bench.record(CONVERSATION, LATER).await.expect(&story);
            assert_eq!(record.state, State::Notified, "{story}");
            scene.run_to_the_end(&job(), true, &story).await;
        }
    }
}
