//! Searching and listening in a real Chromium, and what of foreign texts gets there.

use recording_archiver::sim::genesys::{Annotation, Conversation, Mark, Media, Recording, Thing};
use recording_archiver::sim::wire::{Fault, Gate, Service};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::described::SOON;
use super::play::Page;
use crate::apart::ACCESSES;
use crate::browser::{Browser, SCHEMES};
use crate::support::{Bench, CONVERSATION, RECORDING, invoke, project};
use crate::work::Work;

const AGENT: &str = "a0000000-0000-4000-8000-000000000001";
const QUEUE: &str = "b0000000-0000-4000-8000-000000000001";
const DAY: &str = "2026-01-15";
const FIND: [&str; 8] = [
    "find",
    "--open",
    "--reason",
    "complaint 4711",
    "--from",
    DAY,
    "--to",
    DAY,
];

/// Returns a call in two channels with a pause and a hold.
fn two_channels() -> Conversation {
    let [one, other] = ["call-01-0.wav", "call-01-1.wav"].map(|name| {
        let path = project().join("src/sim/media").join(name);
        Media::bytes(std::fs::read(path).unwrap())
    });
    let recording = Recording::audio(RECORDING, [one, other]).annotated([
        Annotation::new(Mark::Pause("SecurePause"), 1_500, 600),
        Annotation::new(Mark::Hold, 3_200, 900),
        Annotation::new(Mark::Hold, -224_572, 30_000),
    ]);
    Conversation::new(CONVERSATION).recording(recording)
}

/// Returns the archive of a settled call in which an agent and a queue of these names took part.
async fn archive(agent: &str, queue: &str) -> Bench {
    let mut call = two_channels();
    let segment = json!({"segmentType": "interact", "queueId": QUEUE});
    let session = json!({"mediaType": "voice", "direction": "inbound", "recording": true, "ani": "tel:+4930123456",
                         "segments": [segment]});
    call.participants = Some(json!([
        {"purpose": "customer", "sessions": [session]},
        {"purpose": "agent", "userId": AGENT, "sessions": [session]},
    ]));
    let bench = Bench::with(call).await;
    let genesys = &bench.world.genesys;
    genesys.name(Thing::User, AGENT, agent, "active");
    genesys.name(Thing::Queue, QUEUE, queue, "active");
    let handler = bench.handler(&[SOON[0], SOON[1], ("RECORDING_CHANNELS", "split")]);
    invoke(&handler, json!({"conversationId": CONVERSATION}))
        .await
        .unwrap();
    Work::of(&bench).run_dry(&handler).await;
    bench.world.wire.forget();
    bench
}

/// Fills the form in and sends it, and returns the page that answers.
async fn search(page: &Page, fields: &[(&str, &str)]) -> String {
    let sent = page.post(fields).await;
    assert_eq!(sent.status(), 303);
    page.get("").await.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_while_a_call_is_opened_holds_nothing_up() {
    let bench = archive("Anna Example", "Claims").await;
    let page = Page::of(&bench, &FIND).await;
    let (gate, (asks, mut asked)) = (Gate::default(), mpsc::unbounded_channel());
    let held = gate.clone();
    bench.world.wire.disturb(move |exchange| {
        let reads = exchange.service == Service::DynamoDb;
        reads.then(|| {
            let _ = asks.send(());
            Fault::Hold(held.clone())
        })
    });
    let meanwhile = async {
        asked.recv().await.unwrap();
        let host = page.url.split('/').nth(2).unwrap();
        let mut other = TcpStream::connect(host).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        other.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        other.read_to_string(&mut answer).await.unwrap();
        gate.open();
        answer
    };
    let path = format!("call/{CONVERSATION}");
    let (call, other) = tokio::join!(page.get(&path), meanwhile);
    assert!(other.starts_with("HTTP/1.1 404"), "{other}");
    assert_eq!(call.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_finds_what_the_command_line_finds_and_each_play_has_the_reason() {
    let bench = archive("Anna Example", "Claims").await;
    let page = Page::of(&bench, &FIND).await;
    let call = format!("/call/{CONVERSATION}#");
    assert!(
        page.get("").await.text().await.unwrap().contains(&call),
        "found at once"
    );
    let found = [
        ("from", DAY),
        ("to", DAY),
        ("agent", "anna"),
        ("number", "030 123456"),
        ("country", "DE"),
    ];
    let html = search(&page, &found).await;
    assert!(
        html.contains(&call) && html.contains("Claims") && html.contains("value=\"030 123456\""),
        "{html}"
    );
    for (fields, told) in [
        (
            &[("from", DAY), ("to", DAY), ("direction", "outbound")][..],
            "No recording was found",
        ),
        (
            &[("from", DAY), ("to", DAY), ("queue", "Nonsense")],
            "no queue named",
        ),
        (
            &[("from", DAY), ("to", DAY), ("min-duration", "long")],
            "accepted",
        ),
        (&[("from", "yesteryear")], "accepted"),
        (&[], "Name the first day"),
    ] {
        let html = search(&page, fields).await;
        assert!(html.contains(told) && !html.contains(&call), "{told}: {html}");
        assert!(!html.contains("Usage:"), "{html}");
    }
    let html = page.call().await;
    for told in [
        "Anna Example",
        "Claims",
        "inbound",
        "pause (SecurePause)",
        "hold",
        "Back to the search",
    ] {
        assert!(html.contains(told), "{told}: {html}");
    }
    assert!(
        !html.contains("+4930123456"),
        "nobody listened yet, and nothing is in the audit"
    );
    page.get(&format!("media/{CONVERSATION}/1"))
        .await
        .bytes()
        .await
        .unwrap();
    let events = bench.audit(CONVERSATION, ACCESSES).await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(
        (&events[0]["reason"], &events[0]["access"]),
        (&json!("complaint 4711"), &json!("played"))
    );
    assert_eq!(events[0]["files"].as_array().unwrap().len(), 2);
    let ran = page.close().await;
    ran.ended_with(0, "played", 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_forms_are_shown_and_never_obeyed() {
    let hostile = format!("<script>alert(1)</script>\"'\u{202e}gnp.{}", "x".repeat(10_000));
    let bench = archive(&hostile, "<img src=x onerror=alert(1)>").await;
    let page = Page::of(&bench, &FIND).await;
    let form = search(
        &page,
        &[
            ("from", DAY),
            ("to", DAY),
            ("queue", "<img"),
            ("agent", &hostile[..60]),
        ],
    )
    .await;
    let nobody = search(&page, &[("from", DAY), ("to", DAY), ("queue", &hostile)]).await;
    let call = page.call().await;
    assert!(form.contains("&lt;img src=x"), "{form}");
    for html in [form, nobody, call] {
        assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
        for markup in ["<script>alert", "<img", "\u{202e}", &"x".repeat(9_000) as &str] {
            let in_form = markup.starts_with('x') && html.contains("name=\"queue\"");
            assert!(in_form || !html.contains(markup), "{markup:?}: {html}");
        }
    }
    page.close().await;
}

/// Waits until an expression is true.
async fn until(browser: &mut Browser, expression: &str) {
    let wait = format!(
        "new Promise(done => {{ const look = () => ({expression}) ? done(true) : setTimeout(look, 20); look(); }})"
    );
    assert_eq!(browser.evaluate(&wait).await, true);
}

async fn assert_hinders_nobody(browser: &mut Browser, what: &str, width: u32) {
    assert_eq!(browser.hindrances().await, [""; 0], "{what}");
    let reach = browser.evaluate("document.documentElement.scrollWidth").await;
    assert!(
        reach.as_u64().is_some_and(|reach| reach <= width.into()),
        "{what} is {reach} wide"
    );
    // docs/play.png is the upper part of one of these.
    if let Some(folder) = std::env::var_os("PHOTOGRAPHS") {
        let name = what.replace(' ', "-") + ".png";
        browser
            .photograph(&std::path::Path::new(&folder).join(name))
            .await;
    }
}

const PLAYERS: &str = "[...document.querySelectorAll('audio')]";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_found_heard_and_followed_by_keyboard() {
    let Some(mut browser) = Browser::start().await else {
        return;
    };
    let bench = archive("Anna Example", "Claims").await;
    let page = Page::of(&bench, &FIND).await;
    browser.listen().await;
    for (width, scheme) in [
        (1280, SCHEMES[0]),
        (390, SCHEMES[1]),
        (390, SCHEMES[0]),
        (1280, SCHEMES[1]),
    ] {
        browser.visit(&page.url, width, scheme).await;
        assert_hinders_nobody(&mut browser, &format!("search {width} {scheme}"), width).await;
        // Past the form to the first hit, and in.
        browser
            .evaluate("document.querySelector('form .button').focus()")
            .await;
        browser.press("Tab", 9).await;
        let hit = browser
            .evaluate("document.activeElement.closest('.hits') !== null")
            .await;
        assert_eq!(hit, true);
        browser.follow().await;
        let events = bench.audit(CONVERSATION, ACCESSES).await;
        assert_eq!(
            events.is_empty(),
            width == 1280 && scheme == "light",
            "opening a page is no listening"
        );
        browser.evaluate(&format!("{PLAYERS}[0].play()")).await;
        until(
            &mut browser,
            &format!("{PLAYERS}.every(one => one.currentTime > 0.1 && one.duration > 4.4)"),
        )
        .await;
        until(
            &mut browser,
            "document.querySelectorAll('.wave[data-drawn] .bars[d]').length === 4",
        )
        .await;
        until(
            &mut browser,
            "[...document.querySelectorAll('.check')].every(one => one.className === 'check good')",
        )
        .await;
        // Who pauses one channel pauses both, and a mark leads both to its place.
        browser.evaluate(&format!("{PLAYERS}[1].pause()")).await;
        until(&mut browser, &format!("{PLAYERS}.every(one => one.paused)")).await;
        let before = format!("{PLAYERS}.every(one => one.currentTime < 3)");
        assert_eq!(browser.evaluate(&before).await, true);
        browser
            .evaluate("document.querySelector('.mark.hold[data-begin=\"3200\"]').focus()")
            .await;
        browser.press("Enter", 13).await;
        let there = format!("{PLAYERS}.every(one => one.paused && Math.abs(one.currentTime - 3.2) < 0.05)");
        until(&mut browser, &there).await;
        assert_hinders_nobody(&mut browser, &format!("call {width} {scheme}"), width).await;
    }
    assert_eq!(bench.audit(CONVERSATION, ACCESSES).await.len(), 1);
    assert_eq!(browser.complaints(), [""; 0]);
    let host: Vec<_> = page.url.split('/').take(3).collect();
    let host = host.join("/");
    let elsewhere: Vec<_> = browser
        .asked()
        .into_iter()
        .filter(|url| !url.starts_with(&host) && !url.starts_with("data:") && !url.starts_with("blob:"))
        .collect();
    assert_eq!(elsewhere, [""; 0]);
    let ran = page.close().await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let gone: Value = browser
        .evaluate("fetch(location.href).then(() => 'there', () => 'gone')")
        .await;
    assert_eq!(gone, "gone");
}
