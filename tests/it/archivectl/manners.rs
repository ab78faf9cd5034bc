//! Manners of `archivectl`: its demands, its refusals, and their wording.

use recording_archiver::sim::genesys::{Conversation, FileState, Recording};
use recording_archiver::sim::wire::{Fault, Gate, Service};
use serde_json::{Value, json};

use super::{Folder, Ran, archivectl, command, end};
use crate::support::{Bench, CONVERSATION, RECORDING, call};

/// A port on which nobody listens.
const NOBODY: &str = "http://127.0.0.1:9";

/// Returns the error that `--json` wrote.
fn error(ran: &Ran) -> Value {
    let line = ran.stderr.lines().last().unwrap_or_default();
    let error: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    error["error"].clone()
}

async fn archived() -> Bench {
    let bench = Bench::with_a_call().await;
    assert_eq!(bench.archive().await[0]["outcome"], "archived");
    bench
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_that_cannot_be_written_are_no_success_and_a_reader_that_left_is_no_failure() {
    let bench = archived().await;
    for arguments in [
        &["verify", "--json"][..],
        &["audit", CONVERSATION],
        &["audit", CONVERSATION, "--html", "-"],
        &["doctor"],
        &["completions", "bash"],
        &["man"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = end(command(&bench, arguments).stdout(full).spawn().unwrap()).await;
        assert_eq!(ran.code(), Some(2), "{arguments:?}: {ran:?}");
        assert!(
            ran.stderr.contains("the results cannot be written"),
            "{arguments:?}: {}",
            ran.stderr
        );
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = end(command(&bench, &["verify"]).stdout(writer).spawn().unwrap()).await;
    assert_eq!((ran.code(), ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_json_where_results_are_and_name_service_url_and_way_out() {
    let bench = Bench::new().await;
    let unreachable = [("AWS_ENDPOINT_URL_DYNAMODB", NOBODY), ("MAX_ATTEMPTS", "1")];
    let run = |arguments: &[&str]| {
        let mut run = command(&bench, arguments);
        end(run.envs(unreachable).spawn().unwrap())
    };
    let ran = run(&["verify", "--json"]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    let told = error(&ran);
    assert_eq!(
        (&told["kind"], &told["service"], &told["url"]),
        (&json!("service"), &json!("dynamodb"), &json!(NOBODY))
    );
    assert!(told["fix"].as_str().unwrap().contains("endpoint"), "{told}");
    assert!(
        !told["message"].as_str().unwrap().contains("dispatch failure"),
        "{told}"
    );
    let ran = run(&["verify"]).await;
    for expected in ["reading the table", "Connection refused", NOBODY, "fix:"] {
        assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
    }
    for (arguments, expected) in [
        (&["verify", "--json", "--sample", "101%"][..], "at most 100%"),
        (&["report", "--json"], "which days?"),
        (&["nonsense", "--json"], "nonsense"),
    ] {
        let ran = archivectl(&bench, arguments).await;
        assert_eq!(ran.code(), Some(2), "{ran:?}");
        let told = error(&ran);
        assert_eq!(told["kind"], "usage", "{told}");
        assert!(told["message"].as_str().unwrap().contains(expected), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_that_is_down_is_one_problem() {
    let bench = Bench::new().await;
    let mut doctor = command(&bench, &["doctor", "--json"]);
    doctor.env("AWS_ENDPOINT_URL", NOBODY).env("MAX_ATTEMPTS", "1");
    let ran = end(doctor.spawn().unwrap()).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let items = ran.items();
    let problems: Vec<_> = items.iter().filter(|item| item["state"] == "problem").collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0]["check"], "secret");
    let mend = problems[0]["mend"].as_str().unwrap();
    assert!(
        mend.contains(NOBODY) && !mend.contains("GENESYS_SECRET_ID"),
        "{mend}"
    );
    for name in [
        "bucket",
        "ledger_table",
        "audit_table",
        "work_queue",
        "exception_queue",
    ] {
        let item = items.iter().find(|item| item["check"] == name).unwrap();
        assert_eq!(item["state"], "skipped", "{item}");
        assert!(item["detail"].as_str().unwrap().contains(NOBODY), "{item}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_asks_for_what_it_needs() {
    let bench = archived().await;
    let today = bench.clock.now().strftime("%Y-%m-%d").to_string();
    let (secret, bucket, audit, ledger) = (
        "GENESYS_SECRET_ID",
        "S3_BUCKET_NAME",
        "AUDIT_TABLE_NAME",
        "LEDGER_TABLE_NAME",
    );
    let days = ["--from", today.as_str(), "--to", today.as_str()];
    for (arguments, needless, needed) in [
        (&["verify"][..], &[secret][..], bucket),
        (&["audit", CONVERSATION], &[secret, bucket], audit),
        (
            &["report", days[0], days[1], days[2], days[3]],
            &[secret, bucket],
            ledger,
        ),
        (
            &["redrive", "--dry-run"],
            &[secret, bucket, audit, ledger],
            "WORK_QUEUE_URL",
        ),
        (
            &["reconcile", days[0], days[1], days[2], days[3]],
            &[bucket],
            secret,
        ),
        (
            &["backfill", "--dry-run", days[0], days[1], days[2], days[3]],
            &[bucket],
            ledger,
        ),
        (&["doctor"], &[], secret),
    ] {
        let mut without = command(&bench, arguments);
        needless.iter().for_each(|name| {
            without.env_remove(name);
        });
        let ran = end(without.spawn().unwrap()).await;
        assert_eq!(ran.code(), Some(0), "{arguments:?}: {ran:?}");
        let ran = end(command(&bench, arguments).env_remove(needed).spawn().unwrap()).await;
        assert_eq!(ran.code(), Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(needed), "{}", ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_that_is_finished_says_so_and_another_may_follow() {
    let bench = Bench::with_a_call().await;
    let folder = Folder::new();
    let list = folder.file("list.csv");
    std::fs::write(&list, CONVERSATION).unwrap();
    let run = |more: &[&str]| {
        let all = [&["backfill", "--json", "--ids", &list, "--rate", "6000"], more].concat();
        end(command(&bench, &all).spawn().unwrap())
    };
    let ran = run(&[]).await;
    assert_eq!(
        (&ran.summary()["sent"], &ran.summary()["sentBefore"]),
        (&json!(1), &json!(0)),
        "{ran:?}"
    );
    let again = run(&[]).await;
    assert_eq!(again.code(), Some(0), "{again:?}");
    assert!(again.stderr.contains("was finished"), "{}", again.stderr);
    assert_eq!(
        (&again.summary()["sent"], &again.summary()["sentBefore"]),
        (&json!(1), &json!(1)),
        "{again:?}"
    );
    assert_eq!(bench.deferred().len(), 1, "nothing twice");

    bench.world.genesys.conversation(CONVERSATION, |conversation| {
        conversation.recordings[0].state = FileState::Deleted;
    });
    let local = run(&["--local"]).await;
    assert_eq!(local.code(), Some(1), "what is gone is not done: {local:?}");
    let summary = local.summary();
    assert_eq!(
        (&summary["sent"], &summary["expired"], &summary["refused"]),
        (&json!(0), &json!(1), &json!(0))
    );
    assert_eq!(local.items()[0]["outcome"], "expired");
    let again = run(&["--local"]).await;
    assert_eq!(
        again.items(),
        Vec::<Value>::new(),
        "there is nothing to try again: {again:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redrive_knows_the_codes_asks_first_and_counts_what_the_limit_leaves() {
    let bench = Bench::new().await;
    for code in ["forbidden", "forbidden", "never_ready", "expired"] {
        let case = json!({"code": code, "job": {"conversationId": CONVERSATION}});
        let send = bench.world.aws.sqs().send_message();
        let send = send
            .queue_url(&bench.world.exception_queue)
            .message_body(case.to_string());
        send.send().await.unwrap();
    }
    for (arguments, expected) in [
        (
            &["redrive", "--code", "forbiden"][..],
            "forbidden, unknown_conversation",
        ),
        (&["redrive"], "about 4 messages in exceptions would be sent back"),
        (&["redrive", "--limit", "1"], "add --yes"),
        (&["redrive", "--queue", "foo"], "--queue is \"foo\""),
    ] {
        let ran = archivectl(&bench, arguments).await;
        assert_eq!(ran.code(), Some(2), "{ran:?}");
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
        assert!(bench.deferred().is_empty());
    }
    let ran = archivectl(&bench, &["redrive", "--json", "--yes", "--limit", "1"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let summary = ran.summary();
    assert_eq!(
        (&summary["sent"], &summary["expired"], &summary["beyondLimit"]),
        (&json!(1), &json!(1), &json!(2))
    );
    let ran = archivectl(&bench, &["redrive", "--json", "--yes"]).await;
    assert_eq!(
        (&ran.summary()["sent"], &ran.summary()["expired"]),
        (&json!(2), &json!(1)),
        "{ran:?}"
    );
    let ran = archivectl(&bench, &["redrive", "--json", "--code", "expired"]).await;
    assert_eq!(ran.summary()["sent"], 1, "unless it is named");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_misspelt_is_refused_with_what_is_accepted() {
    let bench = archived().await;
    let from = ["backfill", "--dry-run", "--from"];
    for (arguments, expected) in [
        (&[from[0], from[1], from[2], "2d", "--media", "fax"][..], "voice"),
        (
            &[from[0], from[1], from[2], "2026-1-5"],
            "did you mean 2026-01-05?",
        ),
        (&[from[0], from[1], from[2], "-7d"], "did you mean 7d?"),
        (
            &[from[0], from[1], from[2], "last week"],
            "today, yesterday, or 7d",
        ),
        (
            &["verify", "--time-zone", "Mars/Olympus"],
            "such as Europe/Berlin",
        ),
    ] {
        let ran = archivectl(&bench, arguments).await;
        assert_eq!(ran.code(), Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(expected), "{arguments:?}: {}", ran.stderr);
    }
    for days in [["today", "today"], ["yesterday", "today"], ["7d", "yesterday"]] {
        let ran = archivectl(
            &bench,
            &["backfill", "--dry-run", "--from", days[0], "--to", days[1]],
        )
        .await;
        assert_eq!(ran.code(), Some(0), "{days:?}: {ran:?}");
    }
    let ran = archivectl(&bench, &["audit", RECORDING]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert!(
        ran.stdout
            .contains("if the id is a recording's, give that of its conversation"),
        "{}",
        ran.stdout
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_manuals_and_the_version_go_where_they_are_asked_for() {
    let bench = archived().await;
    let folder = Folder::new();
    let mut audit = command(&bench, &["audit", CONVERSATION, "--html", "-"]);
    let ran = end(audit.current_dir(folder.path()).spawn().unwrap()).await;
    assert_eq!((ran.code(), ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert!(
        ran.stdout.starts_with("<!doctype html>") && ran.stdout.trim_end().ends_with("</html>"),
        "{}",
        ran.stdout
    );
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "no file called -");

    for arguments in [&["--version"][..], &["--", "--version"]] {
        let ran = archivectl(&bench, arguments).await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        let version = concat!("archivectl ", env!("CARGO_PKG_VERSION"), " (");
        assert!(
            ran.stdout.starts_with(version) && ran.stdout.contains("build for "),
            "{}",
            ran.stdout
        );
    }
    let pages = folder.file("man1");
    let ran = archivectl(&bench, &["man", "--dir", &pages]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    for (name, expected) in [
        ("archivectl.1", "COMMANDS"),
        ("archivectl-verify.1", "Prove that the archive"),
    ] {
        let page = std::fs::read_to_string(format!("{pages}/{name}")).unwrap();
        assert!(page.contains(expected), "{name}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_get_their_time_zone_quiet_and_detail_and_programs_get_utc() {
    let bench = archived().await;
    let zone = ["--time-zone", "Asia/Kolkata"];
    let ran = archivectl(&bench, &[&["audit", CONVERSATION][..], &zone].concat()).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains("+05:30  download.initiated"),
        "{}",
        ran.stdout
    );
    let json = archivectl(&bench, &[&["audit", CONVERSATION, "--json"][..], &zone].concat()).await;
    assert!(
        json.items()[0]["timestamp"].as_str().unwrap().ends_with('Z'),
        "{json:?}"
    );

    let folder = Folder::new();
    let list = folder.file("list.csv");
    std::fs::write(&list, CONVERSATION).unwrap();
    let local = |flag: &str| {
        let checkpoint = folder.file(&format!("{flag}.checkpoint"));
        let all = [
            "backfill",
            "--local",
            "--ids",
            &list,
            "--checkpoint",
            &checkpoint,
            flag,
        ];
        end(command(&bench, &all).spawn().unwrap())
    };
    let id = "c0000000-0000-4000-8000-000000000002";
    let one = Recording::audio("e0000000-0000-4000-8000-000000000201", [call()]);
    bench.world.genesys.add(Conversation::new(id).recording(one));
    std::fs::write(&list, id).unwrap();
    let ran = local("-v").await;
    assert!(
        ran.stderr.contains("recording archived"),
        "what the library says reaches people: {}",
        ran.stderr
    );
    local("-q").await;
    let ran = local("-q").await;
    assert_eq!(
        (ran.code(), ran.stderr.as_str()),
        (Some(0), ""),
        "no note either: {ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_are_prepared_side_by_side() {
    let bench = Bench::new().await;
    bench
        .world
        .genesys
        .set_data_availability("2026-03-01T00:00:00Z".parse().unwrap());
    let (wire, gate) = (&bench.world.wire, Gate::default());
    wire.disturb_next(Service::Genesys, "details-job", 1, Fault::Hold(gate.clone()));
    let days = [
        "reconcile",
        "--json",
        "--from",
        "2026-01-01",
        "--to",
        "2026-01-31",
    ];
    let child = command(&bench, &days).spawn().unwrap();
    let submitted = |count: usize| {
        wire.wait_until(move |all| {
            let submits = all.iter().filter(|asked| asked.operation == "details-job-submit");
            submits.count() >= count
        })
    };
    // The first day's job is not looked at yet, and the next days' jobs are there already.
    submitted(8).await;
    gate.open();
    let ran = end(child).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(wire.count(Service::Genesys, "details-job-submit"), 31);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_to_verify_is_not_all_is_well() {
    let bench = Bench::new().await;
    for arguments in [&["verify"][..], &["report", "--from", "yesterday"]] {
        let ran = archivectl(&bench, arguments).await;
        assert_eq!(ran.code(), Some(3), "{ran:?}");
    }
    let ran = archivectl(&bench, &["verify"]).await;
    assert!(
        ran.stdout.contains("nothing to verify") && !ran.stdout.contains("as it was archived"),
        "{}",
        ran.stdout
    );
}
