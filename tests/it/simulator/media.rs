//! The media host: signed URLs, and every way a file can be delivered.

use std::time::Duration;

use bytes::Bytes;
use recording_archiver::sim::genesys::{Etag, Length, Media, Mishap, Recording, Redirect};
use recording_archiver::sim::wire::Service;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Answer, Cloud, RECORDING, call, uri};

const SIZE: usize = 200_044;

fn sample() -> Media {
    Media::generated_wav(SIZE as u64, 42)
}

/// Returns a GET with these headers.
async fn fetch(cloud: &Cloud, url: &str, headers: &[(&str, &str)]) -> Answer {
    let request = cloud.http.get(url);
    Answer::of(
        headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value)),
    )
    .await
}

/// Returns status, bytes received, and whether the body ended as it should.
async fn fetch_part(cloud: &Cloud, url: &str) -> (u16, Vec<u8>, bool) {
    let mut response = cloud.http.get(url).send().await.unwrap();
    let (status, mut bytes) = (response.status().as_u16(), Vec::new());
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return (status, bytes, true),
            Err(_) => return (status, bytes, false),
        }
    }
}

/// Returns path and query sent as they are, without a URL library in between.
async fn raw_status(cloud: &Cloud, target: &str) -> u16 {
    let authority = cloud.genesys.media_base_url().replace("http://", "");
    let mut socket = tokio::net::TcpStream::connect(&authority).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[9..12]).parse().unwrap()
}

#[tokio::test]
async fn a_signed_url_delivers_the_file() {
    let media = sample();
    let cloud = Cloud::with(call(&media)).await;
    let answer = fetch(&cloud, &cloud.media_url().await, &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("audio/wav"));
    assert_eq!(answer.header("content-length"), Some("200044"));
    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
    assert_eq!(answer.body.len(), SIZE);
    assert_eq!(hex::encode(Sha256::digest(&answer.body)), media.sha256().unwrap());
    assert_eq!(cloud.wire.count(Service::Media, "media"), 1);
    assert_eq!(media.requests(), 1);
}

#[tokio::test]
async fn each_key_leads_to_its_own_file() {
    let files = ["zero", "one"].map(Media::bytes);
    let recording = Recording::audio(RECORDING, files).merged(Media::bytes("both"));
    let cloud = Cloud::with(recording).await;
    let split = cloud.recording("").await.json();
    let merged = cloud.recording("?download=true").await.json();
    for (answer, key, content) in [
        (&split, "0", "zero"),
        (&split, "1", "one"),
        (&merged, "S", "both"),
    ] {
        assert_eq!(
            fetch(&cloud, uri(answer, key), &[]).await.body,
            content.as_bytes()
        );
    }
}

#[tokio::test]
async fn a_signed_url_with_a_decoded_path_is_refused() {
    let cloud = Cloud::with(call(&sample())).await;
    let url = cloud.media_url().await;
    let target = url.strip_prefix(&cloud.genesys.media_base_url()).unwrap();
    assert_eq!(raw_status(&cloud, target).await, 200);
    for (sent, instead) in [("%3A", ":"), ("%3D", "="), ("%3B", ";"), ("%3A", "%3a")] {
        assert!(target.contains(sent));
        assert_eq!(
            raw_status(&cloud, &target.replace(sent, instead)).await,
            403,
            "{instead}"
        );
    }
    let longer = format!("{target}&more=1");
    assert_eq!(raw_status(&cloud, &longer).await, 403);
    assert_eq!(raw_status(&cloud, "/MediaCache/").await, 403);
}

#[tokio::test]
async fn a_request_that_carries_authorization_is_refused() {
    let cloud = Cloud::with(call(&sample())).await;
    let url = cloud.media_url().await;
    let answer = fetch(
        &cloud,
        &url,
        &[("authorization", &format!("Bearer {}", cloud.token))],
    )
    .await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), Some("application/xml"));
}

#[tokio::test]
async fn a_url_expires_with_time_or_by_order() {
    let cloud = Cloud::with(call(&sample())).await;
    cloud.genesys.set_url_lifetime(Duration::from_secs(120));
    let url = cloud.media_url().await;
    assert_eq!(fetch(&cloud, &url, &[]).await.status, 200);
    cloud.genesys.advance(Duration::from_secs(120));
    let expired = fetch(&cloud, &url, &[]).await;
    assert_eq!(expired.status, 403);
    assert!(
        String::from_utf8(expired.body)
            .unwrap()
            .contains("<Code>AccessDenied</Code>")
    );
    let url = cloud.media_url().await;
    assert_eq!(fetch(&cloud, &url, &[]).await.status, 200);
    cloud.genesys.expire_urls();
    assert_eq!(fetch(&cloud, &url, &[]).await.status, 403);
}

#[tokio::test]
async fn ranges_are_served_and_impossible_ones_refused() {
    let cloud = Cloud::with(call(&Media::bytes("0123456789"))).await;
    let url = cloud.media_url().await;
    for (range, content_range, body) in [
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-3", "bytes 7-9/10", "789"),
        ("bytes=8-99", "bytes 8-9/10", "89"),
    ] {
        let answer = fetch(&cloud, &url, &[("range", range)]).await;
        assert_eq!(
            (answer.status, answer.header("content-range")),
            (206, Some(content_range))
        );
        assert_eq!(answer.body, body.as_bytes());
    }
    let outside = fetch(&cloud, &url, &[("range", "bytes=10-")]).await;
    assert_eq!(
        (outside.status, outside.header("content-range")),
        (416, Some("bytes */10"))
    );
    let several = fetch(&cloud, &url, &[("range", "bytes=0-1,4-5")]).await;
    assert_eq!((several.status, several.body.len()), (200, 10));
}

#[tokio::test]
async fn a_range_is_served_only_if_the_file_is_still_the_same() {
    let media = Media::bytes("0123456789");
    let cloud = Cloud::with(call(&media)).await;
    let url = cloud.media_url().await;
    let etag = fetch(&cloud, &url, &[]).await.header("etag").unwrap().to_owned();
    let headers = [("range", "bytes=5-"), ("if-range", etag.as_str())];
    assert_eq!(fetch(&cloud, &url, &headers).await.status, 206);
    media.script([Mishap::ChangesTo(Media::bytes("abcdefghij"))]);
    let changed = fetch(&cloud, &url, &headers).await;
    assert_eq!(
        (changed.status, changed.body.as_slice()),
        (200, b"abcdefghij".as_slice())
    );
    assert_ne!(changed.header("etag"), Some(etag.as_str()));
    media.deliver(|delivery| delivery.etag = Etag::Weak);
    let weak = fetch(&cloud, &url, &[]).await.header("etag").unwrap().to_owned();
    let headers = [("range", "bytes=5-"), ("if-range", weak.as_str())];
    assert_eq!(fetch(&cloud, &url, &headers).await.status, 200);
}

#[tokio::test]
async fn a_host_can_know_neither_ranges_nor_tags() {
    let media = Media::bytes("0123456789");
    let cloud = Cloud::with(call(&media)).await;
    media.deliver(|delivery| {
        delivery.ranges = false;
        delivery.etag = Etag::None;
        delivery.content_type = Some("application/octet-stream".to_owned());
    });
    let answer = fetch(&cloud, &cloud.media_url().await, &[("range", "bytes=5-")]).await;
    assert_eq!((answer.status, answer.body.len()), (200, 10));
    assert_eq!(answer.header("etag"), None);
    assert_eq!(answer.header("accept-ranges"), None);
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
}

#[tokio::test]
async fn a_body_is_cut_at_exactly_the_byte_that_was_asked_for() {
    let media = sample();
    let cloud = Cloud::with(call(&media)).await;
    let url = cloud.media_url().await;
    let whole = fetch(&cloud, &url, &[]).await.body;
    for cut in [0, 1, 44, 65_536, 150_000, SIZE - 1] {
        media.script([Mishap::CutAt(cut as u64)]);
        let (status, bytes, complete) = fetch_part(&cloud, &url).await;
        assert_eq!((status, bytes.len(), complete), (200, cut, false));
        assert_eq!(bytes, whole[..cut]);
    }
    assert!(fetch_part(&cloud, &url).await.2, "the script is over");
}

#[tokio::test]
async fn a_cut_body_can_be_resumed_and_cut_again() {
    let media = sample();
    let cloud = Cloud::with(call(&media)).await;
    let url = cloud.media_url().await;
    media.script([Mishap::CutAt(1000), Mishap::CutAt(70_000)]);
    let (_, mut bytes, _) = fetch_part(&cloud, &url).await;
    let mut rest = cloud
        .http
        .get(&url)
        .header("range", "bytes=1000-")
        .send()
        .await
        .unwrap();
    while let Ok(Some(chunk)) = rest.chunk().await {
        bytes.extend_from_slice(&chunk);
    }
    assert_eq!(bytes.len(), 70_000);
    let end = fetch(&cloud, &url, &[("range", "bytes=70000-")]).await;
    bytes.extend_from_slice(&end.body);
    assert_eq!(hex::encode(Sha256::digest(&bytes)), media.sha256().unwrap());
}

#[tokio::test]
async fn the_announced_length_can_be_missing_or_wrong() {
    let media = sample();
    let cloud = Cloud::with(call(&media)).await;
    let url = cloud.media_url().await;
    media.deliver(|delivery| delivery.length = Length::Absent);
    let chunked = fetch(&cloud, &url, &[]).await;
    assert_eq!(
        (chunked.header("content-length"), chunked.body.len()),
        (None, SIZE)
    );
    media.script([Mishap::CutAt(5)]);
    let (_, bytes, complete) = fetch_part(&cloud, &url).await;
    assert_eq!((bytes.len(), complete), (5, false));
    media.deliver(|delivery| delivery.length = Length::OffBy(10));
    let (_, bytes, complete) = fetch_part(&cloud, &url).await;
    assert_eq!((bytes.len(), complete), (SIZE, false));
    media.deliver(|delivery| delivery.length = Length::OffBy(-10));
    let (_, bytes, complete) = fetch_part(&cloud, &url).await;
    assert_eq!((bytes.len(), complete), (SIZE - 10, true));
}

#[tokio::test]
async fn a_body_can_stall_for_a_while_or_for_ever() {
    let media = sample();
    let cloud = Cloud::with(call(&media)).await;
    let url = cloud.media_url().await;
    media.script([
        Mishap::StallAt(500, Some(Duration::from_millis(1))),
        Mishap::StallAt(500, None),
    ]);
    let (_, bytes, complete) = fetch_part(&cloud, &url).await;
    assert_eq!((bytes.len(), complete), (SIZE, true));
    let mut stalled = cloud.http.get(&url).send().await.unwrap();
    let mut received = 0;
    while received < 500 {
        received += stalled.chunk().await.unwrap().unwrap().len();
    }
    assert_eq!(received, 500);
}

#[tokio::test]
async fn something_else_can_come_instead_of_the_file() {
    let media = sample();
    let cloud = Cloud::with(call(&media)).await;
    let url = cloud.media_url().await;
    media.script([
        Mishap::instead("text/html", "<html>"),
        Mishap::instead("audio/wav", Bytes::new()),
        Mishap::Expired,
        Mishap::Redirect(Redirect::Back),
        Mishap::Redirect(Redirect::Scheme("ftp".to_owned())),
    ]);
    let page = fetch(&cloud, &url, &[]).await;
    assert_eq!((page.status, page.body.as_slice()), (200, b"<html>".as_slice()));
    let nothing = fetch(&cloud, &url, &[]).await;
    assert_eq!((nothing.status, nothing.body.len()), (200, 0));
    assert_eq!(fetch(&cloud, &url, &[]).await.status, 403);
    let back = fetch(&cloud, &url, &[]).await;
    assert_eq!(back.status, 302);
    assert!(url.ends_with(back.header("location").unwrap()));
    let away = fetch(&cloud, &url, &[]).await;
    assert_eq!(away.header("location").unwrap(), url.replace("http://", "ftp://"));
    media.always(Mishap::Redirect(Redirect::Back));
    let patient = reqwest::get(&url).await;
    assert!(patient.unwrap_err().is_redirect(), "a loop");
}

#[tokio::test]
async fn a_file_of_four_gigabytes_is_never_held_in_memory() {
    let media = Media::generated_wav(4 << 30, 1);
    let cloud = Cloud::with(call(&media)).await;
    let url = cloud.media_url().await;
    let end = (4_u64 << 30) - 1;
    let answer = fetch(&cloud, &url, &[("range", &format!("bytes={}-", end - 999))]).await;
    assert_eq!(answer.status, 206);
    assert_eq!(
        answer.header("content-range").unwrap(),
        format!("bytes {}-{end}/{}", end - 999, end + 1)
    );
    assert_eq!(answer.body.len(), 1000);
}

#[test]
fn generated_sound_depends_on_the_seed_and_on_nothing_else() {
    assert_eq!(sample().sha256().unwrap(), sample().sha256().unwrap());
    assert_ne!(
        sample().sha256().unwrap(),
        Media::generated_wav(SIZE as u64, 43).sha256().unwrap()
    );
    assert_eq!(sample().millis(), Some(6250));
}

#[tokio::test]
async fn generated_sound_is_a_wav_of_a_stereo_telephone_call() {
    let cloud = Cloud::with(call(&sample())).await;
    let header = fetch(&cloud, &cloud.media_url().await, &[("range", "bytes=0-43")])
        .await
        .body;
    let expected: [&[u8]; 12] = [
        b"RIFF",
        &200_036_u32.to_le_bytes(), // all that follows
        b"WAVEfmt ",
        &16_u32.to_le_bytes(),
        &1_u16.to_le_bytes(), // PCM
        &2_u16.to_le_bytes(), // channels
        &8000_u32.to_le_bytes(),
        &32_000_u32.to_le_bytes(), // bytes a second
        &4_u16.to_le_bytes(),
        &16_u16.to_le_bytes(), // bits
        b"data",
        &200_000_u32.to_le_bytes(),
    ];
    assert_eq!(header, expected.concat());
}

#[tokio::test]
async fn a_file_on_disk_is_served_while_it_is_read() {
    let media = Media::file(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/genesys-openapi.json"));
    let cloud = Cloud::with(call(&media)).await;
    let answer = fetch(&cloud, &cloud.media_url().await, &[]).await;
    assert_eq!(answer.body, include_bytes!("../../genesys-openapi.json"));
    assert_eq!(hex::encode(Sha256::digest(&answer.body)), media.sha256().unwrap());
}
