//! The function dies at any point of a batch download: the next run brings it to the same end.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::kill::{MOMENTS, Moment, kill};

const CONFIGURATION: [(&str, &str); 3] = [ORIGINAL, SETTLING, ("CALL_RECORD", "standard")];

/// Returns a bench with one call, and the message of the last poll of its batch download.
async fn at_the_last_poll() -> (Arc<Bench>, Value) {
    let bench = bench(1).await;
    let handler = bench.handler(&CONFIGURATION);
    let poll = super::faults::last_poll(&bench, &handler, bulk(1)).await;
    bench.world.wire.forget();
    (Arc::new(bench), poll)
}

/// Asserts that the call is archived, described and settled once.
async fn assert_done(bench: &Bench, story: &str) {
    assert_archived(bench, 0, &wav(0)).await;
    let actions = bench.actions(&conversation(0), "-").await;
    let count = |wanted: &str| actions.iter().filter(|action| *action == wanted).count();
    assert_eq!(count("call.described"), 1, "{story}: {actions:?}");
    assert_eq!(count("conversation.settled"), 1, "{story}: {actions:?}");
    assert_eq!(state(bench, 0, "-").await, Some(State::Settled), "{story}");
    assert_eq!(bench.keys().await.len(), 2, "{story}: the call and its record");
    assert!(bench.exceptions().is_empty(), "{story}");
    assert_eq!(bench.uploads_in_progress().await, [""; 0], "{story}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_dies_at_any_point_is_followed_by_one_that_ends_it() {
    let (bench, poll) = at_the_last_poll().await;
    invoke(&bench.handler(&CONFIGURATION), poll).await.unwrap();
    let effects = bench.world.wire.exchanges().len();
    assert!(effects >= 12, "{effects}");
    assert_done(&bench, "without a crash").await;
    for k in 1..=effects {
        for moment in MOMENTS {
            let story = format!("killed {moment:?} effect {k} of {effects}");
            let (bench, poll) = at_the_last_poll().await;
            assert!(
                kill(&bench, &CONFIGURATION, poll.clone(), k, moment).await,
                "{story}"
            );
            let handler = bench.handler(&CONFIGURATION);
            invoke(&handler, poll).await.expect(&story);
            Work::of(&bench).run_dry(&handler).await;
            assert_done(&bench, &story).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_dies_while_it_submits_is_followed_by_one_that_submits_again() {
    let clean = bench(2).await;
    clean.world.wire.forget();
    // One goes to the live lane.
    let mut job = bulk(2);
    job["bulk"][1]["conversationEnd"] = json!(clean.clock.now().to_string());
    invoke(&clean.handler(&CONFIGURATION), job.clone()).await.unwrap();
    let effects = clean.world.wire.exchanges().len();
    for k in 1..=effects {
        for moment in [Moment::Before, Moment::After] {
            let story = format!("killed {moment:?} effect {k} of {effects}");
            let bench = Arc::new(bench(2).await);
            assert!(
                kill(&bench, &CONFIGURATION, job.clone(), k, moment).await,
                "{story}"
            );
            let handler = bench.handler(&CONFIGURATION);
            invoke(&handler, job.clone()).await.expect(&story);
            Work::of(&bench).run_dry(&handler).await;
            for n in 0..2 {
                assert_archived(&bench, n, &wav(n)).await;
                assert_eq!(state(&bench, n, "-").await, Some(State::Settled), "{story}");
            }
        }
    }
}
