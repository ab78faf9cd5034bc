//! The pages of `audit`, `report` and statements in a real Chromium: for readers with screen readers, keyboards and
//! telephones.

use std::path::Path;

use recording_archiver::sim::AUDIT_TABLE;
use recording_archiver::sim::genesys::{Conversation, Recording};
use recording_archiver::sim::wire::{Fault, Service};
use serde_json::{Value, json};

use super::{Folder, archivectl, items, remove};
use crate::browser::{Browser, SCHEMES};
use crate::statement::gaps::with_gaps;
use crate::statement::{day, key};
use crate::support::{Bench, CONVERSATION, call, invoke};

/// Widths of a desk's screen and of a telephone's, in pixels.
const WIDTHS: [u32; 2] = [1280, 390];

/// Makes each page there is: reports with and without failures, and custodies that are whole, broken, and not archived.
async fn pages(folder: &Folder) -> Vec<String> {
    let failing = "c0000000-0000-4000-8000-000000000002";
    let bench = Bench::with_a_call().await;
    let broken = Recording::audio("e0000000-0000-4000-8000-000000000201", [call()]);
    bench
        .world
        .genesys
        .add(Conversation::new(failing).recording(broken));
    let handler = bench.handler(&[("MAX_ATTEMPTS", "1")]);
    let wire = &bench.world.wire;
    for conversation in [failing, CONVERSATION, CONVERSATION] {
        wire.disturb_next(Service::Media, "media", 1, Fault::status(500));
        let _ = invoke(&handler, json!({"conversationId": conversation})).await;
        wire.calm();
    }
    bench.archive().await;
    let day = bench.clock.now().strftime("%Y-%m-%d").to_string();
    let mut made = Vec::new();
    let mut make = async |name: &str, arguments: &[&str], code: i32| {
        let page = folder.file(name);
        let ran = archivectl(&bench, &[arguments, &["--html", &page]].concat()).await;
        assert_eq!(ran.code(), Some(code), "{name}: {ran:?}");
        made.push(page);
    };
    make("whole.html", &["audit", CONVERSATION], 0).await;
    make("unread.html", &["audit", CONVERSATION, "--no-read"], 0).await;
    make("failed.html", &["audit", failing], 3).await;
    make("report.html", &["report", "--from", &day, "--to", &day], 0).await;
    let empty = ["report", "--from", "2020-01-01", "--to", "2020-01-02"];
    make("empty.html", &empty, 3).await;
    let events = items(&bench, AUDIT_TABLE).await;
    remove(&bench, &events[1]).await;
    make("broken.html", &["audit", CONVERSATION], 1).await;
    make("broken-report.html", &["report", "--from", &day, "--to", &day], 1).await;
    made
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_hinder_nobody() {
    let Some(mut browser) = Browser::start().await else {
        return;
    };
    let folder = Folder::new();
    let mut hindrances = Vec::new();
    let pages = [pages(&folder).await, statements(&folder).await].concat();
    for page in pages {
        for width in WIDTHS {
            for scheme in SCHEMES {
                browser.open(Path::new(&page), width, scheme).await;
                let found = browser.hindrances().await;
                hindrances.extend(
                    found
                        .into_iter()
                        .map(|one| format!("{page} {width} {scheme}: {one}")),
                );
                let reach = browser.evaluate("document.documentElement.scrollWidth").await;
                if reach.as_u64().is_none_or(|reach| reach > width.into()) {
                    hindrances.push(format!("{page} is {reach} pixels wide on a screen of {width}"));
                }
            }
        }
    }
    assert_eq!(hindrances, Vec::<String>::new(), "{hindrances:#?}");
}

/// Makes the pages of statements: of a clean day, and of one with all that can stand in a statement.
async fn statements(folder: &Folder) -> Vec<String> {
    let mut made = Vec::new();
    let mut keep = async |bench: &Bench, name: &str| {
        bench.issue().await;
        let page = bench.object(&key(day(bench, 0), "1.html")).await.unwrap();
        let path = folder.file(name);
        std::fs::write(&path, page.bytes).unwrap();
        made.push(path);
    };
    keep(&Bench::stated().await, "statement-clean.html").await;
    keep(&with_gaps().await, "statement-open.html").await;
    made
}

/// Elements that a reader has to scroll sideways, as paths of numbers.
const SIDEWAYS: &str = "[...document.querySelectorAll('main *')]
    .filter(one => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX !== 'visible')
    .map(one => [...document.querySelectorAll('*')].indexOf(one))";

/// The element that has the focus, whether it shows it, and how far it is scrolled.
const FOCUS: &str = "(() => { const one = document.activeElement; const style = getComputedStyle(one);
    return {at: [...document.querySelectorAll('*')].indexOf(one), body: one === document.body,
            shown: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0, left: one.scrollLeft}; })()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_scrolls_is_reached_seen_and_scrolled_by_keyboard() {
    let Some(mut browser) = Browser::start().await else {
        return;
    };
    let folder = Folder::new();
    let mut tried = Vec::new();
    for page in pages(&folder).await {
        for width in [1280, 390, 320] {
            browser.open(Path::new(&page), width, "light").await;
            let Value::Array(mut sideways) = browser.evaluate(SIDEWAYS).await else {
                panic!("{page}: no list")
            };
            // Each stop of the Tab key, until it leaves the page.
            for _ in 0..100 {
                browser.press("Tab", 9).await;
                let focus = browser.evaluate(FOCUS).await;
                if focus["body"] == true {
                    break;
                }
                assert_eq!(
                    focus["shown"], true,
                    "{page} {width}: the focus is not seen: {focus}"
                );
                if let Some(at) = sideways.iter().position(|one| *one == focus["at"]) {
                    sideways.swap_remove(at);
                    browser.press("ArrowRight", 39).await;
                    let scrolled = "new Promise(done => { const look = () =>
                        document.activeElement.scrollLeft > 0 ? done(true) : requestAnimationFrame(look); look(); })";
                    assert_eq!(browser.evaluate(scrolled).await, true);
                    tried.push((page.clone(), width));
                }
            }
            assert_eq!(
                sideways,
                Vec::<Value>::new(),
                "{page} {width}: not reached by Tab"
            );
        }
    }
    assert!(
        !tried.is_empty(),
        "the report has a table that is wider than a telephone"
    );
}
