//! Searching and listening in a real Chromium, as people do: with a pointer, by keyboard alone, on a telephone.

use jiff::SignedDuration;
use recording_archiver::sim::BUCKET;
use recording_archiver::sim::genesys::{Conversation, Media, Recording, Thing};
use recording_archiver::sim::wire::Service;
use serde_json::{Value, json};

use super::described::SOON;
use super::listening::{DAY, archive, sent};
use super::play::{self, Page, media};
use crate::apart::ACCESSES;
use crate::browser::{Browser, SCHEMES};
use crate::support::{Bench, CONVERSATION, KEY, invoke};
use crate::work::Work;

const OPEN: [&str; 4] = ["find", "--open", "--reason", "complaint 4711"];

/// The day, as it is typed into a field for a day.
const TYPED: &str = "01152026";

const PLAYERS: &str = "[...document.querySelectorAll('audio')]";

/// Waits until an expression is true; one that never is ends the test.
async fn until(browser: &mut Browser, expression: &str) {
    let wait = format!(
        "new Promise((done, failed) => {{ const look = () => ({expression}) ? done(true) : setTimeout(look, 20); look();
            setTimeout(() => failed({PLAYERS}.map(one => [one.paused, one.currentTime, one.duration])), 30000); }})"
    );
    assert_eq!(browser.evaluate(&wait).await, true);
}

/// Waits until each player fulfils this.
async fn until_each(browser: &mut Browser, condition: &str) {
    until(browser, &format!("{PLAYERS}.every(one => {condition})")).await;
}

async fn assert_hinders_nobody(browser: &mut Browser, what: &str, width: u32) {
    assert_eq!(browser.hindrances().await, [""; 0], "{what}");
    let reach = browser.evaluate("document.documentElement.scrollWidth").await;
    assert!(
        reach.as_u64().is_some_and(|reach| reach <= width.into()),
        "{what} is {reach} wide"
    );
    photograph(browser, what).await;
}

/// Keeps a picture where somebody wants them: docs/find.png and docs/play.png are the upper parts of two.
async fn photograph(browser: &mut Browser, what: &str) {
    if let Some(folder) = std::env::var_os("PHOTOGRAPHS") {
        let name = what.replace(' ', "-") + ".png";
        let file = std::path::Path::new(&folder).join(name);
        browser.photograph(&file).await;
    }
}

/// Returns the archive of several calls of a day, of which that with two channels is the first.
async fn several() -> Bench {
    let bench = archive("Anna Example", "Claims").await;
    let genesys = &bench.world.genesys;
    let handler = bench.handler(&[SOON[0], SOON[1]]);
    for (id, name) in [(2, "Ben Sample"), (3, "Christina Placeholder-Longname")] {
        genesys.name(Thing::User, &agent(id), name, "active");
    }
    for (id, name) in [(2, "Renewals"), (3, "Claims, second line")] {
        genesys.name(Thing::Queue, &queue(id), name, "active");
    }
    for (number, minutes, seconds, direction, (user, line)) in [
        (2, 23, 125, "inbound", (2, 1)),
        (3, 51, 1_840, "outbound", (1, 2)),
        (4, 96, 312, "inbound", (3, 3)),
        (5, 180, 47, "outbound", (2, 2)),
    ] {
        let id = |letter: char| format!("{letter}0000000-0000-4000-8000-{number:012}");
        let segment = json!({"segmentType": "interact", "queueId": queue(line)});
        let session =
            json!({"mediaType": "voice", "direction": direction, "recording": true, "segments": [segment]});
        let call = Conversation::new(id('c'));
        let start = call.start + SignedDuration::from_mins(minutes);
        let mut call = call.lasting(start, SignedDuration::from_secs(seconds));
        call.participants = Some(json!([
            {"purpose": "customer", "sessions": [session]},
            {"purpose": "agent", "userId": agent(user), "sessions": [session]},
        ]));
        call.direction = direction;
        genesys.add(call.recording(Recording::audio(id('e'), [Media::generated_wav(2_000, 1)])));
        invoke(&handler, json!({"conversationId": id('c')}))
            .await
            .unwrap();
    }
    Work::of(&bench).run_dry(&handler).await;
    bench.world.wire.forget();
    bench
}

fn agent(number: u64) -> String {
    format!("a0000000-0000-4000-8000-{number:012}")
}

fn queue(number: u64) -> String {
    format!("b0000000-0000-4000-8000-{number:012}")
}

/// Returns what the results of the search say.
async fn results(browser: &mut Browser) -> String {
    let text = browser
        .evaluate("document.querySelector('.results').innerText")
        .await;
    text.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_searched_heard_sought_and_kept_with_a_pointer() {
    let Some(mut browser) = Browser::start().await else {
        return;
    };
    let bench = several().await;
    let page = Page::of(&bench, &OPEN).await;
    browser.listen().await;
    browser.visit(&page.url, 1280, SCHEMES[0]).await;
    for day in ["[name=from]", "[name=to]"] {
        browser.click(day, 0.1).await;
        browser.write(TYPED).await;
    }
    browser.click("[name=agent]", 0.5).await;
    browser.write("nobody").await;
    browser.follow().await;
    let told = results(&mut browser).await;
    assert!(told.contains("no agent named"), "{told}");
    browser
        .evaluate("document.querySelector('[name=agent]').select()")
        .await;
    browser.write("anna").await;
    browser.click_through("form .button").await;
    let told = results(&mut browser).await;
    assert!(
        told.starts_with("2 recordings.") && told.contains("Renewals"),
        "{told}"
    );
    let here = browser.evaluate("location.href").await;
    browser.click_through(".hits a").await;

    // The button of the player itself, at its left.
    const BUTTON: f64 = 0.025;
    assert_eq!(
        bench.audit(CONVERSATION, ACCESSES).await,
        [],
        "opening a page is no listening"
    );
    browser.click("audio", BUTTON).await;
    until_each(&mut browser, "one.currentTime > 0.1 && one.duration > 4.4").await;
    browser.click("audio", BUTTON).await;
    until_each(&mut browser, "one.paused").await;
    browser.click(".wave", 0.75).await;
    until_each(
        &mut browser,
        "Math.abs(one.currentTime - 0.75 * one.duration) < 0.05",
    )
    .await;
    browser.click(".mark.hold[data-begin=\"3200\"]", 0.5).await;
    until_each(
        &mut browser,
        "one.paused && Math.abs(one.currentTime - 3.2) < 0.05",
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
    photograph(&mut browser, "played").await;

    let wire = &bench.world.wire;
    let ranges = wire
        .exchanges()
        .into_iter()
        .filter_map(|exchange| exchange.headers.get("range").cloned());
    assert!(
        ranges.clone().any(|range| range.starts_with("bytes=0-")),
        "{:?}",
        ranges.collect::<Vec<_>>()
    );
    wire.forget();
    let (name, bytes) = browser.download("a[download]").await;
    assert!(name.ends_with("-0.wav"), "{name}");
    let order: Vec<_> = wire
        .exchanges()
        .into_iter()
        .map(|exchange| exchange.operation)
        .collect();
    let place = |operation: &str| order.iter().position(|one| one == operation);
    assert!(
        place("TransactWriteItems").unwrap() < place("GetObject").unwrap(),
        "{order:?}"
    );
    assert_eq!(
        bytes,
        bench.object(&KEY.replace(".wav", "-0.wav")).await.unwrap().bytes
    );
    let events = bench.audit(CONVERSATION, ACCESSES).await;
    let told: Vec<_> = events
        .iter()
        .map(|event| [&event["access"], &event["reason"]])
        .collect();
    let reason = &json!("complaint 4711");
    assert_eq!(told, [[&json!("played"), reason], [&json!("downloaded"), reason]]);

    browser.click_through("main a").await;
    assert_eq!(browser.evaluate("location.href").await, here);
    assert!(results(&mut browser).await.starts_with("2 recordings."));
    assert_eq!(browser.complaints(), [""; 0]);
    let host = page.url.split('/').take(3).collect::<Vec<_>>().join("/");
    let mut elsewhere = browser.asked();
    elsewhere.retain(|url| ![&host, "data:", "blob:"].iter().any(|own| url.starts_with(own)));
    assert_eq!(elsewhere, [""; 0]);
    page.close().await.ended_with(0, "downloaded", 1);
    let gone: Value = browser
        .evaluate("fetch(location.href).then(() => 'there', () => 'gone')")
        .await;
    assert_eq!(gone, "gone");
}

/// Presses Tab until the focus is on what a selector finds; each stop on the way is seen.
async fn tab_to(browser: &mut Browser, selector: &str) {
    for _ in 0..100 {
        browser.press("Tab", 9).await;
        let focus = browser
            .evaluate(&format!(
                "(() => {{ const one = document.activeElement, style = getComputedStyle(one);
                    const box = one.getBoundingClientRect();
                    return {{what: one.outerHTML.slice(0, 80), there: one.matches({selector:?}),
                             shown: one.matches('audio, body') || parseFloat(style.outlineWidth) > 0 && style.outlineStyle !== 'none',
                             within: one.matches('body') || box.top < innerHeight && box.bottom > 0}}; }})()"
            ))
            .await;
        assert!(focus["shown"] == true && focus["within"] == true, "{focus}");
        if focus["there"] == true {
            return;
        }
    }
    panic!("Tab never comes to {selector}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_searched_heard_and_sought_by_keyboard_alone() {
    let Some(mut browser) = Browser::start().await else {
        return;
    };
    let bench = several().await;
    let page = Page::of(&bench, &OPEN).await;
    browser.listen().await;
    browser.visit(&page.url, 390, SCHEMES[1]).await;
    for (field, text) in [("from", TYPED), ("to", TYPED), ("agent", "anna")] {
        tab_to(&mut browser, &format!("[name={field}]")).await;
        browser.write(text).await;
    }
    browser.follow().await;
    assert!(results(&mut browser).await.starts_with("2 recordings."));
    // From the results on: past the form that is above them on a telephone.
    browser.press("Tab", 9).await;
    let there = "document.activeElement.matches('.hits a') && document.activeElement.getBoundingClientRect().top < innerHeight";
    assert_eq!(browser.evaluate(there).await, true);
    browser.follow().await;
    tab_to(&mut browser, "audio").await;
    browser.write(" ").await;
    until_each(&mut browser, "one.currentTime > 0.1").await;
    browser.write(" ").await;
    until_each(&mut browser, "one.paused").await;
    browser.press("End", 35).await;
    until_each(&mut browser, "one.currentTime > one.duration - 0.1").await;
    browser.press("Home", 36).await;
    until_each(&mut browser, "one.currentTime === 0").await;
    tab_to(&mut browser, ".mark.hold[data-begin=\"3200\"]").await;
    browser.press("Enter", 13).await;
    until_each(
        &mut browser,
        "one.paused && Math.abs(one.currentTime - 3.2) < 0.05",
    )
    .await;
    tab_to(&mut browser, "body").await;
    assert_eq!(browser.complaints(), [""; 0]);
    page.close().await.ended_with(0, "played", 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_page_of_a_search_hinders_nobody() {
    let Some(mut browser) = Browser::start().await else {
        return;
    };
    let bench = several().await;
    let page = Page::of(&bench, &OPEN).await;
    let days = [("from", DAY), ("to", DAY)];
    let found = sent(&page, &days).await;
    let first = sent(&page, &[&days[..], &[("limit", "2")]].concat()).await;
    let nothing = sent(
        &page,
        &[&days[..], &[("queue", "renewals"), ("direction", "inbound")]].concat(),
    )
    .await;
    let refused = sent(&page, &[&days[..], &[("number", "030 123456")]].concat()).await;
    let call = format!("call/{CONVERSATION}?search=1");
    let (unknown, cold) = (call.replace("01?", "ee?"), call.replace("01?", "02?"));
    let key = "recordings/c0000000-0000-4000-8000-000000000002/e0000000-0000-4000-8000-000000000002.wav";
    assert!(bench.world.aws.transition(BUCKET, key, "GLACIER"));
    for (width, scheme) in [(1280, SCHEMES[0]), (390, SCHEMES[1])] {
        for (what, path) in [
            ("form", ""),
            ("found", &found),
            ("first", &first),
            ("nothing", &nothing),
            ("refused", &refused),
            ("call", &call),
            ("cold", &cold),
            ("unknown", &unknown),
            ("forgotten", "search/99"),
        ] {
            browser.visit(&page.at(path), width, scheme).await;
            assert_hinders_nobody(&mut browser, &format!("{what} {width} {scheme}"), width).await;
        }
    }
    page.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_far_ahead_is_read_from_there() {
    let Some(mut browser) = Browser::start().await else {
        return;
    };
    const MIB: u64 = 1024 * 1024;
    let bench = play::archive([Media::generated_wav(6 * MIB, 1)], &[]).await;
    let page = Page::play(&bench).await;
    browser.visit(&page.url, 1280, SCHEMES[0]).await;
    browser.evaluate(&format!("{PLAYERS}[0].play()")).await;
    until_each(&mut browser, "one.currentTime > 0").await;
    browser.click(".wave", 0.9).await;
    until_each(
        &mut browser,
        "!one.seeking && one.currentTime > 0.9 * one.duration",
    )
    .await;
    let begin = |range: &String| {
        range
            .strip_prefix("bytes=")?
            .split('-')
            .next()?
            .parse::<u64>()
            .ok()
    };
    let reads = bench
        .world
        .wire
        .exchanges()
        .into_iter()
        .filter(|exchange| exchange.service == Service::S3);
    let begins: Vec<_> = reads
        .filter_map(|read| begin(read.headers.get("range")?))
        .collect();
    assert!(begins.iter().any(|begin| *begin > 3 * MIB), "{begins:?}");
    page.get(&media(0)).await.bytes().await.unwrap();
    page.close().await;
}
