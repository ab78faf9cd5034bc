//! What the page says of files that change, or are not checked, while somebody listens.

use recording_archiver::sim::genesys::Media;
use recording_archiver::sim::wire::{Fault, Gate};
use serde_json::json;

use super::play::{Page, archive, media, put};
use crate::support::{CONVERSATION, call, call_bytes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_replaced_after_its_check_differs_from_then_on() {
    let bench = archive([call()], &[]).await;
    let page = Page::play(&bench).await;
    assert_eq!(page.range(&media(0), "bytes=0-99").await.status(), 206);
    assert_eq!(page.checked(0).await.0, "good");
    let mut changed = call_bytes();
    changed[1_000] ^= 1;
    put(&bench, changed).await;
    assert_eq!(page.range(&media(0), "bytes=100-199").await.status(), 502);
    for _ in 0..2 {
        let (class, text) = page.checked(0).await;
        assert_eq!(class, "bad", "{text}");
        assert!(text.contains("replaced while this page was open"), "{text}");
        // To put the archived bytes back makes nothing good again.
        put(&bench, call_bytes()).await;
        assert_eq!(page.range(&media(0), "bytes=200-299").await.status(), 206);
    }
    let ran = page.close().await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(ran.summary()["findings"], json!({"object_changed": 1}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_played_and_not_checked_to_its_end_is_no_success() {
    let bench = archive([call()], &[]).await;
    let page = Page::play(&bench).await;
    assert!(page.call().await.contains("controls controlslist=\"nodownload\""));
    let gate = Gate::default();
    let held = gate.clone();
    bench.world.wire.disturb(move |exchange| {
        let checks = exchange.operation == "GetObject" && !exchange.headers.contains_key("range");
        checks.then(|| Fault::Hold(held.clone()))
    });
    assert_eq!(page.range(&media(0), "bytes=0-99").await.status(), 206);
    let ran = page.close().await;
    gate.open();
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let summary = ran.summary();
    assert_eq!(
        [&summary["played"], &summary["checked"], &summary["unchecked"]],
        [1, 0, 1]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_broke_off_is_no_success() {
    let length = 8 * 1024 * 1024;
    let bench = archive([Media::generated_wav(length, 1)], &[]).await;
    let page = Page::play(&bench).await;
    let mut kept = page.get(&format!("download/{CONVERSATION}/0")).await;
    assert!(kept.chunk().await.unwrap().is_some());
    drop(kept);
    let ran = page.close().await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let summary = ran.summary();
    assert_eq!(
        [&summary["downloaded"], &summary["checked"], &summary["unchecked"]],
        [1, 0, 1]
    );
}
