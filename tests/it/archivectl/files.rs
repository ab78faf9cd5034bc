//! Files that `archivectl` writes: whole or not at all, and never into somebody else's.

use std::os::unix::fs::symlink;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::{Folder, archivectl};
use crate::support::{Bench, CONVERSATION};

/// Returns a folder with a file of somebody else's, and one that lists a conversation.
fn folder() -> (Folder, String, String) {
    let folder = Folder::new();
    let (theirs, list) = (folder.file("theirs"), folder.file("list.csv"));
    std::fs::write(&theirs, "theirs").unwrap();
    std::fs::write(&list, CONVERSATION).unwrap();
    (folder, theirs, list)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_is_never_written_through_a_link() {
    let bench = Bench::with_a_call().await;
    let (folder, theirs, list) = folder();
    symlink(&theirs, folder.file("list.csv.checkpoint.new")).unwrap();
    let ran = archivectl(&bench, &["backfill", "--ids", &list]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "theirs");
    assert!(
        std::fs::read_to_string(folder.file("list.csv.checkpoint"))
            .unwrap()
            .contains(CONVERSATION)
    );

    // A link to what is not there yet.
    let (dangling, nowhere) = (folder.file("dangling"), folder.file("nowhere"));
    symlink(&nowhere, &dangling).unwrap();
    let ran = archivectl(&bench, &["backfill", "--ids", &list, "--checkpoint", &dangling]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(ran.stderr.contains(&dangling), "{}", ran.stderr);
    assert!(!std::path::Path::new(&nowhere).exists());
    let mut names: Vec<_> = folder
        .path()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    let expected = [
        "dangling",
        "list.csv",
        "list.csv.checkpoint",
        "list.csv.checkpoint.new",
        "theirs",
    ];
    assert_eq!(names, expected, "nothing else is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_replaces_a_link_and_leaves_alone_what_it_leads_to() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let (folder, theirs, _) = folder();
    let page = folder.file("page.html");
    symlink(&theirs, &page).unwrap();
    let ran = archivectl(&bench, &["audit", CONVERSATION, "--html", &page]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "theirs");
    assert!(std::fs::symlink_metadata(&page).unwrap().is_file());
    // What is no file is not replaced by one.
    let socket = folder.file("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for path in [folder.path().to_str().unwrap(), &socket] {
        let ran = archivectl(&bench, &["audit", CONVERSATION, "--html", path]).await;
        assert_eq!(ran.code(), Some(2), "{ran:?}");
        assert!(
            ran.stderr.contains(path) && ran.stderr.contains("not a regular file"),
            "{}",
            ran.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_browser_is_told_to_run_and_load_nothing() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let folder = Folder::new();
    let today = bench.clock.now().strftime("%Y-%m-%d").to_string();
    for arguments in [
        &["audit", CONVERSATION][..],
        &["report", "--from", &today, "--to", &today],
    ] {
        let path = folder.file("page.html");
        let ran = archivectl(&bench, &[arguments, &["--html", &path]].concat()).await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        let page = std::fs::read_to_string(&path).unwrap();
        let (_, style) = page.split_once("<style>").unwrap();
        let (style, _) = style.split_once("</style>").unwrap();
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style));
        let policy = format!(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{hash}'; \
             base-uri 'none'; form-action 'none'\">"
        );
        let stands = page.find(&policy).unwrap_or_else(|| panic!("{policy}: {page}"));
        assert!(stands < page.find("<style>").unwrap(), "before what it allows");
        for refused in [" style=", "<script", " onclick=", " onload=", "javascript:"] {
            assert!(!page.contains(refused), "{refused}");
        }
    }
}
