//! A long backfill, interrupted and gone on with.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use recording_archiver::sim::wire::{Fault, Service};
use tokio::process::Child;

use super::super::{Folder, command, end, signal};
use super::{at, call_at, id, sent};
use crate::support::Bench;

/// Returns a bench with a thousand calls on each of five days, of which Genesys' jobs cover three.
async fn five_thousand() -> Bench {
    let bench = Bench::new().await;
    let genesys = &bench.world.genesys;
    genesys.set_data_availability(at("2026-01-09T00:00:00Z"));
    genesys.set_job_looks(0);
    genesys.set_page_overlap(7);
    genesys.set_rate_limit(u32::MAX);
    for number in 0..5_000 {
        let second = i64::try_from(number % 1_000 * 80).unwrap();
        let day = SignedDuration::from_hours(24 * i64::try_from(number / 1_000).unwrap());
        genesys.add(call_at(
            number,
            at("2026-01-05T00:00:00Z") + day + SignedDuration::from_secs(second),
        ));
    }
    // Genesys has enough of every seventh request, and never twice of the same: with several requests under way, chance
    // could otherwise refuse one until its attempts are used up.
    let (mut count, mut refused) = (0, BTreeSet::new());
    bench.world.wire.disturb(move |exchange| {
        if exchange.service != Service::Genesys || refused.remove(&exchange.target) {
            return None;
        }
        count += 1;
        (count % 7 == 0).then(|| {
            refused.insert(exchange.target.clone());
            Fault::Respond {
                status: 429,
                headers: vec![("retry-after".to_owned(), "0".to_owned())],
                body: b"{}".to_vec(),
            }
        })
    });
    bench
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_of_5000_survives_interruptions_without_a_gap_and_without_a_double() {
    let bench = five_thousand().await;
    let folder = Folder::new();
    let checkpoint = folder.file("x.checkpoint");
    let start = || -> Child {
        let arguments = [
            "backfill",
            "--json",
            "--from",
            "2026-01-05",
            "--to",
            "2026-01-09",
            "--rate",
            "1e9",
        ];
        let mut run = command(&bench, &arguments);
        run.args(["--checkpoint", &checkpoint]).spawn().unwrap()
    };
    let batches = |count: usize| {
        bench.world.wire.wait_until(move |exchanges| {
            exchanges
                .iter()
                .filter(|exchange| exchange.operation == "SendMessageBatch")
                .count()
                >= count
        })
    };

    // Ctrl-C, twice as soon, and calls that analytics lists late.
    for (run, batch) in [(1, 90), (2, 230)] {
        let child = start();
        batches(batch).await;
        signal(&child, "INT").await;
        let ran = end(child).await;
        assert_eq!(ran.code(), Some(130), "{ran:?}");
        assert_eq!(ran.summary()["interrupted"], true);
        assert!(
            ran.stderr.contains("going on where it was") == (run == 2),
            "{ran:?}"
        );
        for number in 0..5 {
            let start = at("2026-01-08T12:00:07Z") + SignedDuration::from_secs(number * 80);
            bench.world.genesys.add(call_at(
                5_000 + run * 10 + usize::try_from(number).unwrap(),
                start,
            ));
        }
    }
    let unique = |sent: &BTreeMap<String, usize>| sent.values().all(|times| *times == 1);
    assert!(unique(&sent(&bench)), "Ctrl-C repeats nothing");

    // The power goes while a batch is on its way: the queue has it, and nobody was told.
    let mut left = 60;
    bench.world.wire.disturb(move |exchange| {
        left -= usize::from(left > 0 && exchange.operation == "SendMessageBatch");
        (left == 0 && exchange.operation == "SendMessageBatch").then_some(Fault::ApplyThenHang)
    });
    let before = bench.deferred().len();
    let child = start();
    while bench.deferred().len() < before + 600 {
        tokio::task::yield_now().await;
    }
    signal(&child, "KILL").await;
    assert_eq!(end(child).await.code(), None);
    let untold: BTreeSet<String> = bench
        .deferred()
        .split_off(before + 590)
        .into_iter()
        .map(|(job, _)| job["conversationId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(untold.len(), 10);
    bench.world.wire.calm();

    let ran = end(start()).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("10 may be on the queue already"),
        "{}",
        ran.stderr
    );
    let sent = sent(&bench);
    let expected: BTreeSet<String> = (0..5_000)
        .chain(5_010..5_015)
        .chain(5_020..5_025)
        .map(id)
        .collect();
    assert_eq!(
        sent.keys().cloned().collect::<BTreeSet<_>>(),
        expected,
        "none missing"
    );
    let twice: BTreeSet<String> = sent
        .into_iter()
        .filter(|(_, times)| *times > 1)
        .map(|(id, _)| id)
        .collect();
    assert_eq!(twice, untold, "and none twice that was not said to be");
    assert_eq!(ran.summary()["sent"], 5_010);
}
