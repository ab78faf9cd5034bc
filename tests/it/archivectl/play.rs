//! The page on which people listen, as a browser sees it: who may ask, what comes, and what the audit says first.

use recording_archiver::sim::genesys::{Kind, Media, Recording};
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::sim::{BUCKET, LEDGER_TABLE};
use reqwest::header::{HeaderMap, RANGE};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout};

use super::{ARCHIVECTL, Ran, archivectl, command, configured, items, remove, signal};
use crate::apart::ACCESSES;
use crate::support::{
    Bench, CONVERSATION, KEY, RECORDING, call, call_bytes, invoke, job, outcomes, project, sha256,
};

const REASON: &str = "complaint 4711";

/// A page that is shown.
pub(super) struct Page {
    child: Child,
    from: BufReader<ChildStdout>,
    first: String,
    /// Its URL, with the token.
    pub(super) url: String,
    http: Client,
}

impl Page {
    /// Shows the page of a command.
    pub(super) async fn of(bench: &Bench, arguments: &[&str]) -> Self {
        let mut command = command(bench, &[arguments, &["--json"]].concat());
        Self::shown(command.spawn().unwrap()).await
    }

    /// Shows the page of a command that may have so many files and connections open.
    pub(super) async fn limited(bench: &Bench, most: u32, arguments: &[&str]) -> Self {
        let mut command = configured(bench, "/bin/sh");
        let limit = format!("ulimit -n {most}; exec \"$@\"");
        command.args(["-c", &limit, "sh", ARCHIVECTL]);
        let command = command.args(arguments).arg("--json");
        Self::shown(command.spawn().unwrap()).await
    }

    async fn shown(mut child: Child) -> Self {
        let mut from = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        from.read_line(&mut first).await.unwrap();
        let item: Value = match serde_json::from_str(&first) {
            Ok(item) => item,
            Err(error) => panic!("{error}: {first} {:?}", super::end(child).await),
        };
        let http = Client::builder().redirect(reqwest::redirect::Policy::none());
        Self {
            child,
            from,
            first,
            url: item["url"].as_str().unwrap().to_owned(),
            http: http.no_proxy().build().unwrap(),
        }
    }

    /// Shows the page of [`CONVERSATION`].
    pub(super) async fn play(bench: &Bench) -> Self {
        Self::of(bench, &["play", CONVERSATION, "--reason", REASON]).await
    }

    /// Returns a URL below the token.
    pub(super) fn at(&self, path: &str) -> String {
        let parts: Vec<_> = self.url.split('/').take(4).collect();
        format!("{}/{path}", parts.join("/"))
    }

    pub(super) async fn get(&self, path: &str) -> Response {
        self.http.get(self.at(path)).send().await.unwrap()
    }

    /// Returns the page of [`CONVERSATION`].
    pub(super) async fn call(&self) -> String {
        let answer = self.get(&format!("call/{CONVERSATION}")).await;
        answer.text().await.unwrap()
    }

    /// Sends the form of a search.
    pub(super) async fn post(&self, fields: &[(&str, &str)]) -> Response {
        self.http.post(self.at("")).form(fields).send().await.unwrap()
    }

    pub(super) async fn range(&self, path: &str, range: &str) -> Response {
        let request = self.http.get(self.at(path)).header(RANGE, range);
        request.send().await.unwrap()
    }

    /// Returns what the page says of a file's bytes, once that is said.
    pub(super) async fn checked(&self, number: usize) -> (String, String) {
        loop {
            let state: Value = self
                .get(&format!("state/{CONVERSATION}"))
                .await
                .json()
                .await
                .unwrap();
            let file = &state["files"][number];
            let told = ["class", "text"].map(|name| file[name].as_str().unwrap().to_owned());
            if file["busy"] == false {
                let [class, text] = told;
                return (class, text);
            }
        }
    }

    /// Returns the next line that it tells people.
    pub(super) async fn told(&mut self) -> String {
        let mut line = String::new();
        let from = self.child.stderr.as_mut().unwrap();
        BufReader::new(from).read_line(&mut line).await.unwrap();
        line
    }

    /// Presses Ctrl-C.
    pub(super) async fn close(self) -> Ran {
        signal(&self.child, "INT").await;
        self.ended().await
    }

    async fn ended(self) -> Ran {
        let Self {
            child,
            mut from,
            mut first,
            ..
        } = self;
        from.read_to_string(&mut first).await.unwrap();
        let ran = super::end(child).await;
        Ran { stdout: first, ..ran }
    }
}

pub(super) fn media(number: usize) -> String {
    format!("media/{CONVERSATION}/{number}")
}

/// Returns the archive of a recording with these files.
pub(super) async fn archive(channels: impl IntoIterator<Item = Media>, settings: &[(&str, &str)]) -> Bench {
    let bench = Bench::with_recording(Recording::audio(RECORDING, channels)).await;
    let handler = bench.handler(settings);
    assert_eq!(outcomes(&invoke(&handler, job()).await.unwrap()), ["archived"]);
    bench.world.wire.forget();
    bench
}

pub(super) async fn put(bench: &Bench, bytes: Vec<u8>) {
    let put = bench.world.aws.s3().put_object().bucket(BUCKET).key(KEY);
    put.body(bytes.into()).send().await.unwrap();
}

/// Returns the operations since the archiving, of those that read objects only those that read the recording.
fn operations(bench: &Bench) -> Vec<String> {
    let exchanges = bench.world.wire.exchanges().into_iter();
    let wanted = exchanges.filter(|call| call.operation != "GetObject" || call.target.contains(RECORDING));
    wanted.map(|call| call.operation).collect()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_for_those_who_know_its_url_and_host() {
    let bench = archive([call()], &[]).await;
    let page = Page::play(&bench).await;
    let address: Vec<_> = page.url.split('/').collect();
    let (authority, token) = (address[2], address[3]);
    assert!(
        authority.starts_with("127.0.0.1:") && token.len() == 64,
        "{address:?}"
    );
    let base = format!("http://{authority}");
    let wrong = "0".repeat(64);
    for path in [
        String::new(),
        format!("call/{CONVERSATION}"),
        format!("{wrong}/call/{CONVERSATION}"),
        format!("{}/call/{CONVERSATION}", &token[..63]),
        format!("{token}0/{}", media(0)),
        format!("/{token}/{}", media(0)),
        format!("{token}/call/c0000000-0000-4000-8000-0000000000ee"),
        format!("{token}/{}", media(1)),
        format!("{token}/"),
    ] {
        let answer = page.http.get(format!("{base}/{path}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let port = authority.rsplit(':').next().unwrap();
    for host in [
        "evil.example",
        "127.0.0.1",
        &format!("localhost:{port}"),
        &format!("evil.example:{port}"),
    ] {
        let asked = page.http.get(&page.url).header("host", host);
        assert_eq!(
            asked.send().await.unwrap().status(),
            StatusCode::FORBIDDEN,
            "{host}"
        );
    }
    let post = page.http.post(page.at(&media(0))).send().await.unwrap();
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(!operations(&bench).contains(&"GetObject".to_owned()));

    let answer = page.get(&format!("call/{CONVERSATION}")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let headers = answer.headers().clone();
    let policy = header(&headers, "content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(header(&headers, name), value, "{name}");
    }
    let html = answer.text().await.unwrap();
    for told in [
        "There is no call record",
        "Chain of custody",
        "complaint 4711",
        "arn:aws:iam::123456789012:user/simulated",
        "not checked yet",
        "<audio",
        &sha256(&call_bytes()),
    ] {
        assert!(html.contains(told), "{told}");
    }
    assert_eq!(bench.audit(CONVERSATION, ACCESSES).await, []);
    assert!(!operations(&bench).contains(&"GetObject".to_owned()));
    let ran = page.close().await;
    assert_eq!(ran.code(), Some(3), "nobody listened: {ran:?}");
    assert_eq!(ran.summary()["played"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_range_comes_once_the_audit_says_who_listens_and_why() {
    let bench = archive([call()], &[]).await;
    let record = items(&bench, LEDGER_TABLE).await;
    let (bytes, page) = (call_bytes(), Page::play(&bench).await);
    let (size, path) = (bytes.len(), media(0));
    let head = page.http.head(page.at(&path)).send().await.unwrap();
    let tag = header(head.headers(), "etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", sha256(&bytes)));
    assert_eq!(header(head.headers(), "content-length"), size.to_string());
    let beyond = page.range(&path, &format!("bytes={size}-")).await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(
        header(beyond.headers(), "content-range"),
        format!("bytes */{size}")
    );
    assert_eq!(
        bench.audit(CONVERSATION, ACCESSES).await,
        [],
        "no byte was read yet"
    );

    for (range, first, last) in [
        ("bytes=0-99".to_owned(), 0, 99),
        ("bytes=1000-".to_owned(), 1_000, size - 1),
        ("bytes=-44".to_owned(), size - 44, size - 1),
        (format!("bytes=100-{}", 10 * size), 100, size - 1),
    ] {
        let answer = page.range(&path, &range).await;
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(
            header(answer.headers(), "content-range"),
            format!("bytes {first}-{last}/{size}")
        );
        assert_eq!(header(answer.headers(), "content-type"), "audio/wav");
        assert_eq!(answer.bytes().await.unwrap(), bytes[first..=last], "{range}");
    }
    let conditional = |condition: &str| {
        let request = page.http.get(page.at(&path)).header(RANGE, "bytes=0-9");
        request.header("if-range", condition).send()
    };
    assert_eq!(
        conditional(&tag).await.unwrap().status(),
        StatusCode::PARTIAL_CONTENT
    );
    assert_eq!(conditional("\"other\"").await.unwrap().status(), StatusCode::OK);
    let whole = page.range(&path, "bytes=0-1,5-6").await;
    assert_eq!(
        (whole.status(), whole.bytes().await.unwrap()),
        (StatusCode::OK, bytes.into())
    );

    let operations = operations(&bench);
    let place = |operation: &str| operations.iter().position(|one| one == operation).unwrap();
    assert!(place("TransactWriteItems") < place("GetObject"), "{operations:?}");
    let (class, text) = page.checked(0).await;
    assert_eq!(class, "good", "{text}");
    let events = bench.audit(CONVERSATION, ACCESSES).await;
    assert_eq!(events.len(), 1, "one for all ranges: {events:?}");
    for (name, value) in [
        ("action", "recording.accessed"),
        ("access", "played"),
        ("reason", REASON),
    ] {
        assert_eq!(events[0][name], value);
    }
    assert_eq!(events[0]["actor"]["source"], "operator");
    assert_eq!(
        events[0]["files"][0]["archiveKey"],
        format!("s3://{BUCKET}/{KEY}")
    );
    assert_eq!(items(&bench, LEDGER_TABLE).await, record);
    let html = page.call().await;
    assert!(html.contains("matches the audit") && html.contains("recording.accessed"));
    let ran = page.close().await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(
        (&ran.summary()["played"], &ran.summary()["checked"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_leaves_in_the_middle_of_a_range_breaks_nothing() {
    let length = 8 * 1024 * 1024;
    let bench = archive([Media::generated_wav(length, 1)], &[]).await;
    let page = Page::play(&bench).await;
    let authority = page.url.split('/').nth(2).unwrap();
    let path = page.at(&media(0)).replace(&format!("http://{authority}"), "");
    for _ in 0..3 {
        let mut stream = TcpStream::connect(authority).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nrange: bytes=100-\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut some = [0; 1_000];
        stream.read_exact(&mut some).await.unwrap();
        assert!(some.starts_with(b"HTTP/1.1 206"));
    }
    let last = page.range(&media(0), "bytes=-10").await;
    assert_eq!(last.bytes().await.unwrap().len(), 10);
    assert_eq!(page.checked(0).await.0, "good");
    let whole = page.get(&media(0)).await.bytes().await.unwrap();
    assert_eq!(whole.len() as u64, length);
    let ran = page.close().await;
    assert_eq!((ran.code(), ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_listens_before_the_audit_can_say_it() {
    let bench = archive([call()], &[]).await;
    let page = Page::play(&bench).await;
    let wire = &bench.world.wire;
    wire.disturb_next(Service::DynamoDb, "TransactWriteItems", 100, Fault::status(403));
    for path in [media(0), format!("download/{CONVERSATION}/0")] {
        assert_eq!(page.get(&path).await.status(), StatusCode::BAD_GATEWAY, "{path}");
    }
    assert_eq!(page.checked(0).await.0, "bad");
    assert!(!operations(&bench).contains(&"GetObject".to_owned()));
    assert_eq!(bench.audit(CONVERSATION, ACCESSES).await, []);
    wire.calm();
    assert_eq!(page.get(&media(0)).await.status(), StatusCode::OK);
    assert_eq!(page.checked(0).await.0, "good");
    assert_eq!(page.close().await.code(), Some(0));
    wire.disturb_next(Service::Sts, "GetCallerIdentity", 100, Fault::status(403));
    let ran = archivectl(&bench, &["play", CONVERSATION, "--reason", "r"]).await;
    assert_eq!(ran.code(), Some(2), "nobody without a name: {ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_bytes_than_those_of_the_audit_are_never_called_checked_nor_downloaded_whole() {
    let mut changed = call_bytes();
    changed[1_000] ^= 1;
    for (bytes, code) in [(changed, "object_changed"), (b"short".to_vec(), "size_differs")] {
        let bench = archive([call()], &[]).await;
        put(&bench, bytes).await;
        let page = Page::play(&bench).await;
        let played = page.get(&media(0)).await.status();
        assert_eq!(played == StatusCode::OK, code == "object_changed", "{played}");
        let (class, text) = page.checked(0).await;
        assert!(
            class == "bad" && text.starts_with("NOT what was archived"),
            "{class} {text}"
        );
        // The connection may break before the head of the answer is read.
        let kept = page.http.get(page.at(&format!("download/{CONVERSATION}/0")));
        if let Ok(begun) = kept.send().await.and_then(Response::error_for_status) {
            assert!(begun.bytes().await.is_err(), "{code}");
        }
        let html = page.call().await;
        assert!(html.contains(code), "{code}");
        let ran = page.close().await;
        assert_eq!(ran.code(), Some(1), "{ran:?}");
        assert_eq!(ran.summary()["findings"], json!({code: 1}));
        assert_eq!(ran.items().last().unwrap()["code"], code);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_is_checked_named_and_in_the_audit() {
    let zip = std::fs::read(project().join("src/sim/media/chat-01.zip")).unwrap();
    let chat = Recording::text(RECORDING, Kind::Chat, Media::bytes(zip.clone()));
    let bench = Bench::with_recording(chat).await;
    let handler = bench.handler(&[("RECORDING_MEDIA", "chat")]);
    assert_eq!(outcomes(&invoke(&handler, job()).await.unwrap()), ["archived"]);
    let page = Page::play(&bench).await;
    let html = page.call().await;
    assert!(html.contains("No browser plays this kind of file") && !html.contains("<audio"));
    let answer = page.get(&format!("download/{CONVERSATION}/0")).await;
    let named = header(answer.headers(), "content-disposition").to_owned();
    assert_eq!(named, format!("attachment; filename=\"{RECORDING}.zip\""));
    assert_eq!(
        header(answer.headers(), "content-type"),
        "application/octet-stream"
    );
    assert_eq!(answer.bytes().await.unwrap(), zip);
    assert_eq!(page.checked(0).await.0, "good");
    let events = bench.audit(CONVERSATION, ACCESSES).await;
    let told: Vec<_> = events.iter().map(|event| &event["access"]).collect();
    assert_eq!(told, ["downloaded"]);
    let ran = page.close().await;
    ran.ended_with(0, "downloaded", 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_cold_storage_nothing_is_played_before_it_is_restored() {
    let bench = archive([call()], &[]).await;
    assert!(bench.world.aws.transition(BUCKET, KEY, "GLACIER"));
    let play = ["play", CONVERSATION, "--reason", REASON, "--json"];
    let ran = archivectl(&bench, &play).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    for told in ["GLACIER", "up to 5 hours", "list price", "--restore"] {
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
    // From a search, the page says the same.
    let search = Page::of(&bench, &["find", "--open", "--reason", REASON]).await;
    let html = search.call().await;
    assert!(html.contains("up to 5 hours") && html.contains("--restore") && !html.contains("<audio"));
    assert_eq!(search.get(&media(0)).await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(bench.audit(CONVERSATION, ACCESSES).await, []);
    assert_eq!(search.close().await.code(), Some(3));

    let ran = archivectl(&bench, &[&play[..], &["--restore"]].concat()).await;
    ran.ended_with(3, "restoring", 1);
    assert_eq!(ran.items()[0]["restore"], "requested");
    let operations = operations(&bench);
    assert!(!operations.contains(&"GetObject".to_owned()), "{operations:?}");
    assert!(bench.world.aws.finish_restore(BUCKET, KEY));
    let page = Page::play(&bench).await;
    assert_eq!(page.get(&media(0)).await.bytes().await.unwrap(), call_bytes());
    assert_eq!(page.checked(0).await.0, "good");
    assert_eq!(page.close().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_whose_audit_is_broken_is_not_played() {
    let bench = archive([call()], &[]).await;
    let events = items(&bench, recording_archiver::sim::AUDIT_TABLE).await;
    let first = events.iter().find(|event| event["seq"].as_n().unwrap() == "1");
    remove(&bench, first.unwrap()).await;
    let ran = archivectl(&bench, &["play", CONVERSATION, "--reason", REASON, "--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(ran.summary()["findings"], json!({"audit_broken": 1}));
    assert_eq!(bench.audit_unverified(CONVERSATION, ACCESSES).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_closes_by_itself_when_nobody_asks() {
    let bench = archive([call()], &[]).await;
    let play = ["play", CONVERSATION, "--reason", REASON, "--close-after", "1s"];
    let ran = Page::of(&bench, &play).await.ended().await;
    assert_eq!(ran.code(), Some(3), "{ran:?}");
    assert!(ran.stderr.contains("nobody asked"), "{ran:?}");
    for (arguments, told) in [
        (&["play", CONVERSATION][..], "--reason"),
        (&["play", CONVERSATION, "--reason", " "], "accepted: a text"),
        (&["find", "--open"], "--reason"),
        (&["find", "--reason", "r", "--from", "1d"], "--open"),
        (&["play", CONVERSATION, "-", "--reason", "r"], RECORDING),
    ] {
        let ran = archivectl(&bench, arguments).await;
        assert_eq!(ran.code(), Some(2), "{arguments:?} {ran:?}");
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
}
