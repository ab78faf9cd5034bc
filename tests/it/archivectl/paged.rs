//! The page of `find --open` in the hands of several: tabs, strangers, and files in cold storage.

use recording_archiver::sim::BUCKET;
use recording_archiver::sim::genesys::{Conversation, Media, Recording};
use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::archivectl;
use super::described::SOON;
use super::listening::{DAY, FIND, archive as settled, search};
use super::play::{Page, archive, media};
use crate::support::{CONVERSATION, KEY, call, invoke};
use crate::work::Work;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_page_is_of_the_search_that_it_was_shown_with() {
    let bench = settled("Anna Example", "Claims").await;
    let reason = ["--reason", "complaint of anna@example.com"];
    let page = Page::of(
        &bench,
        &[
            &FIND[..2],
            &reason,
            &FIND[4..],
            &["--limit", "7", "--media", "cobrowse"],
        ]
        .concat(),
    )
    .await;
    let html = page.get("").await.text().await.unwrap();
    assert!(html.contains("<option selected>cobrowse</option>"), "{html}");
    assert!(html.contains(r#"name="limit" value="7""#), "{html}");
    assert!(
        html.contains("complaint of") && !html.contains("anna@example.com"),
        "{html}"
    );
    // A search that does not end, of one tab, and another one of another tab.
    let day = [("from", DAY), ("to", DAY)];
    let of_queue = [&day[..], &[("queue", "Claims"), ("limit", "1")]].concat();
    let html = search(&page, &of_queue).await;
    assert!(
        html.contains("all up to yesterday") && html.contains("1 recording"),
        "{html}"
    );
    page.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_names_its_fields_and_no_options() {
    let bench = settled("Anna Example", "Claims").await;
    let page = Page::of(&bench, &FIND).await;
    let day = [("from", DAY), ("to", DAY)];
    for (fields, told) in [
        (&[("number", "030 123456")][..], "“Number” is in national form"),
        (&[("number", "030 123456")], "DE in “Its country”"),
        (&[("queue", "Nonsense")], "in “Queue”"),
        (
            &[("min-duration", "long")],
            "for “Lasted at least”: accepted: a length",
        ),
        (
            &[("min-duration", "5m"), ("max-duration", "1m")],
            "“Lasted at least” 300s is longer than “Lasted at most” 60s",
        ),
        (&[("country", "DE")], "1 recording"),
    ] {
        let html = search(&page, &[&day[..], fields].concat()).await;
        assert!(html.contains(told), "{told}: {html}");
        let shown = html.split("class=\"results\"").nth(1).unwrap();
        assert!(!shown.contains("--"), "{shown}");
    }
    let html = search(&page, &[("from", "2025-12-31"), ("to", "2025-01-01")]).await;
    assert!(
        html.contains("“From” 2025-12-31 is after “To” 2025-01-01"),
        "{html}"
    );
    let html = search(&page, &[("from", "2025-01-01"), ("to", "2025-12-31")]).await;
    assert!(html.contains("A search of 365 days"), "{html}");
    page.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_results_says_how_many_recordings_it_may_lack_also_where_it_has_none() {
    let bench = settled("Anna Example", "Claims").await;
    let handler = bench.handler(&SOON);
    // Of one call Genesys gives no details, of another one a number in national form.
    for (number, denied) in [(2, true), (3, false)] {
        let recording = format!("e0000000-0000-4000-8000-{number:012}");
        let recording = Recording::audio(recording, [Media::generated_wav(2_000, 1)]);
        let id = format!("c0000000-0000-4000-8000-{number:012}");
        let mut conversation = Conversation::new(&id).recording(recording);
        let session =
            json!({"mediaType": "voice", "direction": "inbound", "recording": true, "ani": "tel:030123456"});
        conversation.participants = Some(json!([{"purpose": "customer", "sessions": [session]}]));
        bench.world.genesys.add(conversation);
        bench.world.genesys.deny_analytics(denied);
        invoke(&handler, json!({"conversationId": id})).await.unwrap();
        Work::of(&bench).run_dry(&handler).await;
    }
    let page = Page::of(&bench, &FIND).await;
    let day = [("from", DAY), ("to", DAY)];
    let by_value = "1 recording of this time may fit and not be found by each agent";
    let by_number = "1 recording of this time may fit and not be found by number";
    for (fields, found, told) in [
        (&[][..], "3 recordings", &[][..]),
        (&[("agent", "anna")], "1 recording", &[by_value]),
        (
            &[("agent", "anna"), ("direction", "outbound")],
            "No recording",
            &[by_value],
        ),
        (
            &[("number", "+4930123456")],
            "1 recording",
            &[by_value, by_number],
        ),
        (
            &[("number", "+4930123457")],
            "No recording",
            &[by_value, by_number],
        ),
    ] {
        let html = search(&page, &[&day[..], fields].concat()).await;
        let shown = html.split("class=\"results\"").nth(1).unwrap();
        let shown = shown.split("</section>").next().unwrap();
        assert!(shown.contains(found), "{found}: {shown}");
        for words in [by_value, by_number] {
            assert_eq!(
                shown.contains(words),
                told.contains(&words),
                "{fields:?}: {shown}"
            );
        }
        assert!(!shown.contains("--"), "{shown}");
    }
    page.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_do_not_lock_out_those_who_know_the_page() {
    let bench = archive([call()], &[]).await;
    let page = Page::play(&bench).await;
    let authority = page.url.split('/').nth(2).unwrap();
    let mut silent = Vec::new();
    for _ in 0..80 {
        silent.push(TcpStream::connect(authority).await.unwrap());
    }
    let patience = std::time::Duration::from_secs(5);
    let asked = tokio::time::timeout(patience, page.get(&format!("call/{CONVERSATION}"))).await;
    assert_eq!(asked.unwrap().status(), StatusCode::OK);
    let mut stranger = TcpStream::connect(authority).await.unwrap();
    let request = format!("GET /nothing HTTP/1.1\r\nhost: {authority}\r\n\r\n");
    stranger.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stranger.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 404") && answer.contains("connection: close"),
        "{answer}"
    );
    assert_eq!(page.close().await.code(), Some(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_file_in_cold_storage_leaves_the_others_to_be_heard_and_its_restore_is_noticed() {
    let bench = archive([call(), call()], &[("RECORDING_CHANNELS", "split")]).await;
    let [zero, one] = [0, 1].map(|channel| KEY.replace(".wav", &format!("-{channel}.wav")));
    assert!(
        bench.world.aws.transition(BUCKET, &one, "GLACIER"),
        "{zero} {one}"
    );
    let page = Page::play(&bench).await;
    let html = page.call().await;
    assert!(
        html.contains("up to 5 hours") && html.matches("<audio").count() == 1,
        "{html}"
    );
    assert_eq!(page.range(&media(0), "bytes=0-9").await.status(), 206);
    assert_eq!(page.range(&media(1), "bytes=0-9").await.status(), 502);
    let restore = ["play", CONVERSATION, "--reason", "r", "--restore"];
    assert_eq!(archivectl(&bench, &restore).await.code(), Some(3));
    assert!(page.call().await.contains("being restored"));
    assert!(bench.world.aws.finish_restore(BUCKET, &one));
    assert_eq!(page.call().await.matches("<audio").count(), 2);
    assert_eq!(page.range(&media(1), "bytes=0-9").await.status(), 206);
    for number in [0, 1] {
        assert_eq!(page.checked(number).await.0, "good");
    }
    page.close().await.ended_with(0, "checked", 2);
}
