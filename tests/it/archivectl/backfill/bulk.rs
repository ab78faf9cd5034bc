//! `archivectl backfill --bulk`: a hundred conversations in a message, archived by one batch download.

use recording_archiver::domain::record::State;

use super::*;
use crate::support::SETTLING;
use crate::work::Work;

/// Returns the recording of a conversation.
fn recording(number: usize) -> String {
    format!("e0000000-0000-4000-8000-{number:012x}")
}

/// Runs it over the days, with these arguments as well.
async fn backfill_bulk(bench: &Bench, arguments: &[&str]) -> Ran {
    let folder = Folder::new();
    let mut command = command(bench, &["backfill", "--bulk", "--json"]);
    let command = command.args(DAYS).args(arguments).current_dir(folder.path());
    end(command.spawn().unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_conversations_of_some_days_are_archived_by_one_batch_download() {
    let bench = three_days().await;
    let due = [0x11, 0x12, 0x13, 0x14, 0x18];
    for number in due {
        bench.world.genesys.conversation(&id(number), |conversation| {
            let recording = Recording::audio(recording(number), [call()]);
            conversation.recordings.push(recording);
        });
    }
    let ran = backfill_bulk(&bench, &["--format", "original"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(ran.summary()["sent"], 5);
    let jobs: Vec<_> = bench.deferred().into_iter().map(|(job, _)| job).collect();
    let entries: Vec<_> = jobs
        .iter()
        .flat_map(|job| job["bulk"].as_array().unwrap())
        .collect();
    assert_eq!(entries.len(), 5);
    let first = json!({"conversationId": id(0x11), "conversationStart": "2026-01-05T08:00:00Z",
        "conversationEnd": "2026-01-05T08:05:00Z", "kinds": ["audio"]});
    assert_eq!(entries[0], &first);
    let requester = jobs[0]["requestedBy"].as_str().unwrap();
    assert!(
        requester.starts_with("archivectl backfill of 2026-01-05"),
        "{requester}"
    );
    bench.world.wire.forget();
    let handler = bench.handler(&[SETTLING]);
    Work::of(&bench).run_dry(&handler).await;
    for number in due {
        let archived = bench.record(&id(number), &recording(number)).await.unwrap();
        assert_eq!(archived.state, State::Notified);
        assert_eq!(archived.format, "original", "though the function's format is wav");
        let whole = bench.record(&id(number), "-").await.unwrap();
        assert_eq!(whole.settled_by.as_deref(), Some("bulk"));
    }
    assert_eq!(
        bench.genesys_requests(),
        4 * jobs.len(),
        "nothing but batch downloads"
    );
    let mut again = command(
        &bench,
        &[
            "backfill",
            "--bulk",
            "--format",
            "original",
            "--dry-run",
            "--json",
        ],
    );
    let again = again.args(DAYS).spawn().unwrap();
    assert_eq!(end(again).await.summary()["sent"], 0, "nothing is left to do");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_transcodes_is_refused_before_anything_is_sent() {
    let bench = three_days().await;
    let ran = backfill_bulk(&bench, &[]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    for way_out in [
        "RECORDING_FORMAT=original",
        "--format original",
        "RECORDING_FORMAT is wav",
    ] {
        assert!(ran.stderr.contains(way_out), "{way_out}: {}", ran.stderr);
    }
    assert!(bench.deferred().is_empty());
    for arguments in [&["--local"][..], &["--format", "wav"]] {
        assert_eq!(backfill_bulk(&bench, arguments).await.code(), Some(2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_shows_the_requests_of_both_lanes() {
    let bench = three_days().await;
    let ran = backfill_bulk(&bench, &["--format", "original", "--dry-run"]).await;
    let estimate = &ran.summary()["estimate"];
    let bulk = &estimate["bulk"];
    assert_eq!(
        (&estimate["genesysRequests"], &bulk["genesysRequests"]),
        (&json!(21), &json!(1))
    );
    assert_eq!((&estimate["seconds"], &bulk["seconds"]), (&json!(6), &json!(0)));
    assert_eq!(bulk["bytes"], 5 * 300 * 4_000);
    // Five of the 100,000 of docs/deploy.md.
    let told = include_str!("../../../../docs/deploy.md");
    let (_, told) = told.split_once("| by batch download, once |").unwrap();
    for (usd, around) in [
        (&bulk["usd"], ["| **together** | | **", "**"]),
        (&estimate["usd"], ["100,000 take ", " USD"]),
    ] {
        let (_, from) = told.split_once(around[0]).unwrap();
        let (sum, _) = from.split_once(around[1]).unwrap();
        let each = usd.as_f64().unwrap() / 5.0 * 100_000.0;
        assert_eq!(format!("{each:.2}"), sum, "{estimate}");
    }
    let mut dry = command(
        &bench,
        &["backfill", "--bulk", "--format", "original", "--dry-run"],
    );
    let ran = end(dry.args(DAYS).spawn().unwrap()).await;
    let words: Vec<_> = ran.stdout.split_whitespace().collect();
    for row in [["requests", "21", "1"], ["by", "one", "by"]] {
        assert!(words.windows(3).any(|three| three == row), "{}", ran.stdout);
    }
    assert!(bench.deferred().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_sent_with_what_analytics_know_of_its_conversations() {
    let bench = three_days().await;
    let genesys = &bench.world.genesys;
    // One that ended a moment ago, one that may have a transcript, and one with more recordings than an entry names.
    let (young, text, many) = (0x21, 0x22, 0x23);
    genesys.add(call_at(young, Timestamp::now() - SignedDuration::from_mins(10)));
    let mut chat = call_at(text, at("2026-01-06T10:00:00Z"));
    chat.media_type = "chat";
    genesys.add(chat);
    genesys.add(call_at(many, at("2026-01-06T10:00:00Z")));
    for (number, calls) in [(0x11, 2), (0x13, 2), (many, 17)] {
        genesys.conversation(&id(number), |conversation| {
            for call in 0..calls {
                let id = recording(number * 0x100 + call);
                conversation
                    .recordings
                    .push(Recording::audio(id, [super::call()]));
            }
        });
    }
    let folder = Folder::new();
    let list = folder.path().join("list.csv");
    let hash = "0".repeat(64);
    let bad = format!("{},,{hash}", id(0x14));
    let alone = [0x99, young, text, many].map(id);
    let lines = [&[id(0x11), id(0x13), bad][..], &alone].concat();
    std::fs::write(&list, lines.join("\n")).unwrap();
    let run = async |more: &[&str]| {
        let arguments = [
            "backfill", "--bulk", "--format", "original", "--json", "--rate", "1000000", "--ids",
        ];
        let mut command = command(&bench, &arguments);
        let command = command.arg(&list).args(more).env("RECORDING_MEDIA", "audio,chat");
        end(command.spawn().unwrap()).await
    };
    let dry = run(&["--dry-run"]).await.summary()["estimate"].clone();
    assert_eq!(
        dry["bulk"]["genesysRequests"], 17,
        "4.1 for each that goes alone: {dry}"
    );
    bench.world.wire.forget();
    let ran = run(&[]).await;
    assert_eq!(
        (ran.code(), &ran.summary()["sent"]),
        (Some(1), &json!(6)),
        "{ran:?}"
    );
    let bad = ran.items().into_iter().find(|item| item["line"] == 3).unwrap();
    assert!(bad["error"].as_str().unwrap().contains("without --bulk"), "{bad}");
    let sent: Vec<_> = bench.deferred().into_iter().map(|(job, _)| job).collect();
    let (jobs, bulk): (Vec<_>, Vec<_>) = sent.iter().partition(|job| job.get("bulk").is_none());
    let entry = |number: usize, start: &str, end: &str| {
        json!({"conversationId": id(number), "conversationStart": start, "conversationEnd": end,
            "kinds": ["audio", "audio"]})
    };
    let entries = json!([
        entry(0x11, "2026-01-05T08:00:00Z", "2026-01-05T08:05:00Z"),
        entry(0x13, "2026-01-06T10:00:00Z", "2026-01-06T10:05:00Z"),
    ]);
    assert_eq!((bulk.len(), &bulk[0]["bulk"]), (1, &entries));
    let mut by_themselves: Vec<_> = jobs
        .iter()
        .map(|job| {
            assert_eq!(job["format"], "original");
            job["conversationId"].as_str().unwrap()
        })
        .collect();
    by_themselves.sort_unstable();
    let mut alone = alone;
    alone.sort_unstable();
    assert_eq!(by_themselves, alone);
    let asked = bench.world.wire.count(Service::Genesys, "details");
    assert!((1..=2).contains(&asked), "{asked} requests for six");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_may_be_a_share_of_what_genesys_allows() {
    let bench = three_days().await;
    let seconds = async |arguments: &[&str]| {
        let mut dry = command(&bench, &["backfill", "--dry-run", "--json"]);
        let ran = end(dry.args(DAYS).args(arguments).spawn().unwrap()).await;
        let estimate = ran.summary()["estimate"].clone();
        estimate["seconds"].as_u64().unwrap()
    };
    // 3 of 300 requests a minute, of which each conversation takes 4.1.
    assert_eq!(seconds(&["--rate", "1%"]).await, 300, "but one a minute at least");
    let faster = seconds(&["--rate", "5%"]).await;
    assert!((81..=82).contains(&faster), "{faster}");
    assert_eq!(bench.world.wire.count(Service::Genesys, "limits"), 2);
    let mut wrong = command(&bench, &["backfill", "--rate", "101%"]);
    assert_eq!(end(wrong.args(DAYS).spawn().unwrap()).await.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_settled_without_a_recording_goes_alone_as_it_has_to_be_looked_at_again() {
    let bench = three_days().await;
    let marked = |marked| {
        let genesys = &bench.world.genesys;
        genesys.conversation(&id(0x11), |conversation| conversation.marked = Some(marked));
    };
    marked(false);
    let handler = bench.handler(&[SETTLING]);
    invoke(&handler, json!({"conversationId": id(0x11)}))
        .await
        .unwrap();
    Work::of(&bench).run_dry(&handler).await;
    let whole = bench.record(&id(0x11), "-").await.unwrap();
    assert_eq!(whole.state, State::Unrecorded);
    marked(true);
    let before = bench.deferred().len();
    let folder = Folder::new();
    let arguments = ["backfill", "--bulk", "--json", "--format", "original"];
    let mut command = command(&bench, &arguments);
    let command = command.args(DAYS).current_dir(folder.path());
    let command = command.env(SETTLING.0, SETTLING.1);
    assert_eq!(end(command.spawn().unwrap()).await.code(), Some(0));
    let sent: Vec<_> = bench.deferred().into_iter().skip(before).collect();
    let alone = sent.iter().find(|(job, _)| job["conversationId"] == id(0x11));
    let (job, _) = alone.unwrap_or_else(|| panic!("{sent:?}"));
    assert_eq!(
        (&job["recheck"], &job["format"]),
        (&json!(true), &json!("original"))
    );
}
