//! Backfills from a list of jobs.

use recording_archiver::sim::genesys::Recording;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::super::{Folder, archivectl, command, end};
use super::{at, call_at, id};
use crate::support::{Bench, CONVERSATION, KEY, RECORDING, call};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_sent_but_for_its_bad_lines_which_are_named() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let folder = Folder::new();
    let list = folder.file("list.csv");
    let hash = "ab".repeat(32);
    let lines = [
        "conversationId,recordingId,expectedSha256".to_owned(),
        id(2),
        "not-a-uuid".to_owned(),
        format!("{},{RECORDING},{hash}", id(3)),
        format!("{},{RECORDING},zz", id(4)),
        id(2),
        CONVERSATION.to_owned(),
    ];
    std::fs::write(&list, lines.join("\r\n")).unwrap();
    let ran = archivectl(&bench, &["backfill", "--json", "--ids", &list]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let items = ran.items();
    assert_eq!(
        items.iter().map(|item| item["line"].clone()).collect::<Vec<_>>(),
        [json!(3), json!(5)]
    );
    assert!(
        items[1]["error"].as_str().unwrap().contains("expectedSha256"),
        "{items:?}"
    );
    let summary = ran.summary();
    assert_eq!(summary["sent"], 2);
    assert_eq!(summary["archived"], 1);
    assert_eq!(summary["duplicates"], 1);
    assert_eq!(summary["badLines"], 2);
    let jobs: Vec<_> = bench.deferred().into_iter().map(|(job, _)| job).collect();
    assert_eq!(jobs[0]["conversationId"], id(2));
    assert_eq!(jobs[1]["recordingId"], RECORDING);
    assert_eq!(jobs[1]["expectedSha256"], hash);
    assert!(std::path::Path::new(&format!("{list}.checkpoint")).exists());

    // The same from stdin, as JSON Lines; it has no name, hence no checkpoint.
    let mut child = command(&bench, &["backfill", "--json", "--ids", "-"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let line = json!({"interactionId": id(5), "requestedBy": "audit 7"});
    stdin.write_all(line.to_string().as_bytes()).await.unwrap();
    drop(stdin);
    let ran = end(child).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(bench.deferred()[2].0["requestedBy"], "audit 7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_job_refused_for_its_hash_is_not_archived_without_it() {
    let bench = Bench::new().await;
    let recording = Recording::audio(RECORDING, [call()]);
    let genesys = &bench.world.genesys;
    genesys.add(call_at(1, at("2026-01-06T13:00:00Z")).recording(recording));
    let expecting = json!({"conversationId": CONVERSATION, "expectedSha256": "0".repeat(64)});
    let refused = bench.invoke(expecting).await.unwrap();
    assert_eq!(refused["results"][0]["outcome"], "failed");
    let folder = Folder::new();
    let days = ["--from", "2026-01-06", "--to", "2026-01-06", "--json"];
    for command_line in [
        &["backfill"][..],
        &["backfill", "--local"],
        &["reconcile", "--enqueue"],
    ] {
        let mut run = command(&bench, command_line);
        let ran = end(run.args(days).current_dir(folder.path()).spawn().unwrap()).await;
        assert_eq!(ran.code(), Some(1), "{ran:?}");
        assert_eq!(ran.summary()["sent"], 0, "{command_line:?}: {ran:?}");
        assert!(ran.stdout.contains(RECORDING), "it is named: {ran:?}");
        assert!(ran.stdout.contains("not the expected 0000"), "{ran:?}");
        assert!(bench.deferred().is_empty());
        assert!(bench.object(KEY).await.is_none());
    }
    let list = folder.file("named.csv");
    std::fs::write(&list, CONVERSATION).unwrap();
    let ran = archivectl(&bench, &["backfill", "--ids", &list, "--json"]).await;
    assert_eq!(ran.summary()["sent"], 1, "who names it decides: {ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_not_there_leaves_no_checkpoint() {
    let bench = Bench::new().await;
    let folder = Folder::new();
    for list in [
        folder.file("nosuch.csv"),
        folder.path().to_str().unwrap().to_owned(),
    ] {
        let ran = archivectl(&bench, &["backfill", "--ids", &list]).await;
        assert_eq!(ran.code(), Some(2), "{ran:?}");
        assert!(ran.stderr.contains(&list), "{ran:?}");
        assert!(!std::path::Path::new(&format!("{list}.checkpoint")).exists());
    }
}
