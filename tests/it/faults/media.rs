//! The host of the signed URLs misbehaves.

use recording_archiver::sim::genesys::{Delivery, Etag, Length, Mishap, Redirect};

use super::*;

/// After the first byte, in the middle of a part, around its end, at the end of the next, before the last byte.
const OFFSETS: [u64; 7] = [1, PART / 2, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 999];

/// Archives a long call whose host delivers like this and meets this mishap first; gives the requests it took.
async fn archived_after(mishaps: Vec<Mishap>, delivery: impl FnOnce(&mut Delivery)) -> usize {
    let (media, sha256) = long_call();
    media.script(mishaps).deliver(delivery);
    let bench = Bench::with_media(media.clone()).await;
    bench.assert_archived(bench.invoke(job()).await, &sha256).await;
    media.requests()
}

/// Checks that a short call whose host always does this is never archived, leaves nothing, and is archived by the next
/// run.
async fn transient_while(mishap: Mishap, delivery: impl FnOnce(&mut Delivery)) -> String {
    let media = call();
    media.always(mishap).deliver(delivery);
    let bench = Bench::with_media(media.clone()).await;
    let answer = bench.invoke(job()).await;
    let text = answer.as_ref().unwrap_err().to_string();
    bench.assert_ended(answer, Ending::Retry, About::Recording).await;
    assert_eq!(
        bench.asked(Service::Genesys, "recording"),
        4,
        "202, and then each try with a fresh URL"
    );
    media
        .always(Mishap::Nothing)
        .deliver(|delivery| *delivery = Delivery::default());
    bench.assert_next_run_archives(&call_sha256()).await;
    text
}

#[tokio::test]
async fn a_body_cut_anywhere_is_resumed_at_the_next_byte() {
    for at in OFFSETS {
        let (media, sha256) = long_call();
        media.script([Mishap::CutAt(at)]);
        let bench = Bench::with_media(media.clone()).await;
        bench.assert_archived(bench.invoke(job()).await, &sha256).await;
        let ranges: Vec<_> = bench
            .world
            .wire
            .exchanges()
            .into_iter()
            .filter(|e| e.service == Service::Media)
            .map(|exchange| exchange.headers.get("range").cloned())
            .collect();
        assert_eq!(ranges, [None, Some(format!("bytes={at}-"))]);
        assert_eq!(
            bench.asked(Service::Genesys, "recording"),
            2,
            "202, and a URL that is still good"
        );
    }
}

#[tokio::test]
async fn a_body_cut_anywhere_is_fetched_anew_where_ranges_are_not_served() {
    for at in OFFSETS {
        let requests = archived_after(vec![Mishap::CutAt(at)], |delivery| delivery.ranges = false).await;
        assert_eq!(requests, 3, "cut at {at}: first, asked to resume, anew");
    }
}

#[tokio::test]
async fn a_body_cut_before_its_first_byte_is_fetched_anew() {
    assert_eq!(archived_after(vec![Mishap::CutAt(0)], |_| {}).await, 2);
}

#[tokio::test]
async fn without_a_strong_etag_nothing_is_pieced_together() {
    for etag in [Etag::None, Etag::Weak] {
        let requests = archived_after(vec![Mishap::CutAt(PART + 1)], |delivery| delivery.etag = etag).await;
        assert_eq!(requests, 2, "{etag:?}: first, anew");
    }
}

#[tokio::test]
async fn a_body_that_breaks_again_and_again_is_resumed_as_long_as_it_gets_on() {
    let cuts = (1..=6).map(|n| Mishap::CutAt(n * PART / 4)).collect();
    assert_eq!(archived_after(cuts, |_| {}).await, 7);
}

#[tokio::test]
async fn a_chunked_body_without_a_length_is_archived_and_resumed_too() {
    assert_eq!(
        archived_after(vec![], |delivery| delivery.length = Length::Absent).await,
        1
    );
    let requests = archived_after(vec![Mishap::CutAt(PART)], |delivery| {
        delivery.length = Length::Absent;
    })
    .await;
    assert_eq!(requests, 2);
}

#[tokio::test]
async fn an_object_that_changed_meanwhile_is_fetched_anew_as_a_whole() {
    let (media, _) = long_call();
    let other = Media::generated_wav(2 * PART + 5_000, 8);
    media.script([Mishap::CutAt(PART + 7), Mishap::ChangesTo(other.clone())]);
    let bench = Bench::with_media(media).await;
    bench
        .assert_archived(bench.invoke(job()).await, &other.sha256().unwrap())
        .await;
}

#[tokio::test]
async fn a_stalled_body_is_given_up_after_the_idle_time_and_resumed() {
    for at in [0, PART + 1] {
        assert_eq!(
            archived_after(vec![Mishap::StallAt(at, None)], |_| {}).await,
            2,
            "at {at}"
        );
    }
}

#[tokio::test]
async fn an_error_page_with_status_200_is_never_an_archive() {
    for (content_type, body, mentions) in [
        (
            "text/html; charset=utf-8",
            "<!doctype html><title>Oops</title>",
            "text/html",
        ),
        (
            "application/xml",
            "<?xml version=\"1.0\"?><Error><Code>X</Code></Error>",
            "application/xml",
        ),
        ("application/json", "{\"message\":\"no\"}", "application/json"),
        (
            "text/plain",
            "upstream connect error or disconnect/reset before headers",
            "text/plain",
        ),
        ("audio/wav", "<html><body>Oops</body></html>", "markup or JSON"),
        (
            "audio/wav",
            "\u{feff}  <html><body>Oops</body></html>",
            "markup or JSON",
        ),
        ("audio/wav", " \n{\"message\":\"no\"}", "markup or JSON"),
        ("audio/wav", "", "empty body"),
    ] {
        let text = transient_while(Mishap::instead(content_type, body), |_| {}).await;
        assert!(text.contains(mentions), "{content_type} {body}: {text}");
    }
}

#[tokio::test]
async fn a_wrong_content_length_is_never_an_archive() {
    for off in [1, 5_000, -1, -5_000] {
        let text = transient_while(Mishap::Nothing, |delivery| delivery.length = Length::OffBy(off)).await;
        assert!(text.contains("media"), "{off}: {text}");
    }
}

#[tokio::test]
async fn an_expired_url_is_replaced_by_a_fresh_one() {
    for (mishaps, requests) in [
        (vec![Mishap::Expired], 2),
        (vec![Mishap::CutAt(PART + 3), Mishap::Expired], 3),
    ] {
        let (media, sha256) = long_call();
        media.script(mishaps);
        let bench = Bench::with_media(media.clone()).await;
        bench.assert_archived(bench.invoke(job()).await, &sha256).await;
        assert_eq!(media.requests(), requests);
        assert_eq!(
            bench.asked(Service::Genesys, "recording"),
            3,
            "202, a URL, and one more"
        );
    }
}

#[tokio::test]
async fn a_url_that_is_always_expired_is_left_to_the_next_run() {
    let text = transient_while(Mishap::Expired, |_| {}).await;
    assert!(text.contains("403") && text.contains("expired"), "{text}");
}

#[tokio::test]
async fn redirects_in_circles_or_to_another_scheme_are_not_followed() {
    for redirect in [
        Redirect::Back,
        Redirect::Scheme("https".to_owned()),
        Redirect::Scheme("ftp".to_owned()),
    ] {
        transient_while(Mishap::Redirect(redirect), |_| {}).await;
    }
}

#[tokio::test]
async fn statuses_of_the_media_host_lead_where_the_interface_says() {
    for (status, ending) in [
        (400, Ending::Retry),
        (403, Ending::Retry),
        (404, Ending::Retry),
        (410, Ending::Expired),
        (429, Ending::Retry),
        (500, Ending::Retry),
        (503, Ending::Retry),
        (504, Ending::Retry),
    ] {
        let bench = Bench::with_a_call().await;
        bench
            .world
            .wire
            .disturb(move |e| (e.service == Service::Media).then(|| Fault::status(status)));
        let answer = bench.invoke(job()).await;
        bench.assert_ended(answer, ending, About::Recording).await;
        assert!(
            bench.asked(Service::Media, "media") <= 3,
            "{status}: MAX_ATTEMPTS bounds the tries of a step"
        );
    }
}

#[tokio::test]
async fn a_passing_failure_of_the_media_host_costs_one_more_try() {
    for fault in [
        Fault::status(429),
        Fault::status(503),
        Fault::status(504),
        Fault::Reset,
        Fault::Hang,
    ] {
        let bench = Bench::with_a_call().await;
        bench.world.wire.disturb_next(Service::Media, "media", 1, fault);
        bench
            .assert_archived(bench.invoke(job()).await, &call_sha256())
            .await;
        assert_eq!(bench.asked(Service::Media, "media"), 2);
    }
}

#[tokio::test]
async fn the_media_hosts_retry_after_beyond_the_deadline_is_not_waited_for() {
    let bench = Bench::with_a_call().await;
    bench.world.wire.disturb(|e| {
        (e.service == Service::Media).then(|| Fault::Respond {
            // Of a 5xx no more than a minute is waited for; a limit lasts as long as it says.
            status: 429,
            headers: vec![("retry-after".to_owned(), "86400".to_owned())],
            body: Vec::new(),
        })
    });
    let answer = bench.invoke(job()).await;
    bench.assert_ended(answer, Ending::Retry, About::Recording).await;
    assert_eq!(bench.asked(Service::Media, "media"), 1);
}
