//! Searching and listening in a real Chromium, and what of foreign texts gets there.

use recording_archiver::sim::genesys::{Annotation, Conversation, Mark, Media, Recording, Thing};
use recording_archiver::sim::wire::{Fault, Gate, Service};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::described::SOON;
use super::play::Page;
use crate::apart::ACCESSES;
use crate::support::{Bench, CONVERSATION, RECORDING, invoke, project};
use crate::work::Work;

const AGENT: &str = "a0000000-0000-4000-8000-000000000001";
const QUEUE: &str = "b0000000-0000-4000-8000-000000000001";
pub(super) const DAY: &str = "2026-01-15";
pub(super) const FIND: [&str; 8] = [
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
pub(super) async fn archive(agent: &str, queue: &str) -> Bench {
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

/// Fills the form in and sends it, and returns where the answer is.
pub(super) async fn sent(page: &Page, fields: &[(&str, &str)]) -> String {
    let sent = page.post(fields).await;
    assert_eq!(sent.status(), 303);
    let place = sent.headers()["location"].to_str().unwrap();
    place.split('/').skip(2).collect::<Vec<_>>().join("/")
}

/// Fills the form in and sends it, and returns the page that answers.
pub(super) async fn search(page: &Page, fields: &[(&str, &str)]) -> String {
    let path = sent(page, fields).await;
    page.get(&path).await.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_tab_shows_its_own_search_and_no_url_what_it_is_for() {
    let bench = archive("Anna Example", "Claims").await;
    let page = Page::of(&bench, &FIND).await;
    let days = [("from", DAY), ("to", DAY)];
    let one = sent(&page, &[&days[..], &[("agent", "anna")]].concat()).await;
    let other = sent(&page, &[&days[..], &[("queue", "nonsense")]].concat()).await;
    let mut found = Vec::new();
    for place in [&one, &other, &one, &String::new()] {
        assert!(!place.contains("anna") && !place.contains("nonsense"), "{place}");
        let html = page.get(place).await.text().await.unwrap();
        let told = ["value=\"anna\"", "value=\"nonsense\"", "/call/"];
        found.push(told.map(|told| html.contains(told)));
    }
    let (own, others, first) = ([true, false, true], [false, true, false], [false, false, true]);
    assert_eq!(found, [own, others, own, first]);
    // The way back from a call is to the search that it was found by.
    let call = format!(
        "call/{CONVERSATION}?{}",
        one.split('#').next().unwrap().replace('/', "=")
    );
    let html = page.get(&one).await.text().await.unwrap();
    assert!(html.contains(&format!("{call}#{RECORDING}")), "{html}");
    let html = page.get(&call).await.text().await.unwrap();
    assert!(
        html.contains(&format!("/{one}\">&larr; Back to the search")),
        "{html}"
    );
    // One of long ago is not kept.
    for _ in 0..100 {
        sent(&page, &days).await;
    }
    let gone = page.get(&one).await;
    assert_eq!(gone.status(), 404);
    let html = gone.text().await.unwrap();
    assert!(
        html.contains("not kept any more") && html.contains("name=\"from\""),
        "{html}"
    );
    page.close().await;
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
    let call = format!("/call/{CONVERSATION}");
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
    assert_eq!(page.checked(1).await.0, "good");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_can_take_no_more_connections_says_so_and_goes_on() {
    let bench = archive("Anna Example", "Claims").await;
    let mut page = Page::limited(&bench, 48, &FIND).await;
    let host = page.url.split('/').nth(2).unwrap().to_owned();
    let mut connections = Vec::new();
    for _ in 0..48 {
        connections.push(TcpStream::connect(&host).await.unwrap());
    }
    let told = page.told().await;
    assert!(
        told.contains("no more connections for now: Too many open files"),
        "{told}"
    );
    drop(connections);
    assert!(page.get("").await.text().await.unwrap().contains("/call/"));
    assert_eq!(page.close().await.code(), Some(3));
}
