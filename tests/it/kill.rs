//! Containers that die in the middle of a run.

use std::sync::Arc;
use std::time::Duration;

use recording_archiver::sim::wire::Fault;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::{Bench, invoke_for};

/// Time of an invocation, and so of the lease of a dead one.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// When the function dies.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    /// The exchange is on its way, and is never carried out.
    Before,
    /// The request was carried out, and the answer never arrives.
    After,
}

pub(crate) const MOMENTS: [Moment; 2] = [Moment::Before, Moment::After];

/// Runs the function in a container of its own, and kills the container at the `k`-th exchange. Whether it got that
/// far.
pub(crate) async fn kill(
    bench: &Arc<Bench>,
    configuration: &'static [(&'static str, &'static str)],
    payload: Value,
    k: usize,
    moment: Moment,
) -> bool {
    let function = bench.clone();
    let run = async move {
        let handler = function.handler(configuration);
        let _ = invoke_for(&handler, payload, LEASE).await;
    };
    let crashed = kill_run(bench, k, moment, run).await;
    bench.clock.advance(LEASE + Duration::from_secs(1));
    crashed
}

/// Does `run` in a container of its own, and kills the container at the `k`-th exchange. Nothing of it gets to clean
/// up: with its runtime go its tasks, its connections and its timers. Whether it got that far.
pub(crate) async fn kill_run(
    bench: &Bench,
    k: usize,
    moment: Moment,
    run: impl Future<Output = ()> + Send + 'static,
) -> bool {
    let wire = bench.world.wire.clone();
    wire.forget();
    let fault = match moment {
        Moment::Before => Fault::Hang,
        Moment::After => Fault::ApplyThenHang,
    };
    wire.disturb(move |exchange| (exchange.seq == k).then(|| fault.clone()));
    let container = Runtime::new().unwrap();
    let run = container.spawn(run);
    let reached = wire.wait_until(|exchanges| {
        exchanges.get(k - 1).is_some_and(|exchange| match moment {
            Moment::Before => true,
            Moment::After => exchange.status.is_some(),
        })
    });
    let crashed = tokio::select! {
        () = reached => true,
        _ = run => false,
    };
    // Returns when every thread of the runtime has ended, so that nothing of this run comes after the crash.
    tokio::task::spawn_blocking(move || container.shutdown_timeout(LEASE))
        .await
        .unwrap();
    wire.calm();
    crashed
}
