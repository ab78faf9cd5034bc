//! Texts that others wrote: into audit items, queue messages, object keys and list entries. None of them may steer the
//! terminal that shows them, forge a line, or end the look at everything else.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use recording_archiver::sim::{AUDIT_TABLE, BUCKET, LEDGER_TABLE};
use serde_json::{Value, json};

use super::{Folder, Ran, archivectl, items, put};
use crate::support::{Bench, CONVERSATION, RECORDING};

/// Sets a title, clears the screen (ESC and its 8-bit form), forges lines, and turns the rest around.
const EVIL: &str =
    "x\u{1b}]0;owned\u{7}\u{9b}2J\n2026-01-05T00:00:00Z  archive.stored\r\u{202e}vaw\u{2066}.exe\u{2028}z";
/// The same as everybody sees it.
const SEEN: &str =
    r"x\u{1b}]0;owned\u{7}\u{9b}2J\n2026-01-05T00:00:00Z  archive.stored\r\u{202e}vaw\u{2066}.exe\u{2028}z";

/// Asserts that a run wrote nothing but lines of plain text.
fn assert_plain(ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        assert_plain_text(text);
    }
}

fn assert_plain_text(text: &str) {
    let bidi = |letter| matches!(letter, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    for letter in text.chars() {
        assert!(
            letter == '\n' || !(letter.is_control() || bidi(letter)),
            "{letter:?} in {text}"
        );
    }
    let forged = text
        .lines()
        .any(|line| line.trim_start().starts_with("2026-01-05T00:00:00Z"));
    assert!(!forged, "{text}");
}

/// Returns a bench with an archived call of which an event of the audit has this attribute instead.
async fn with_an_event(name: &str, value: AttributeValue) -> Bench {
    let bench = Bench::with_a_call().await;
    assert_eq!(bench.archive().await[0]["outcome"], "archived");
    let mut event = items(&bench, AUDIT_TABLE).await.swap_remove(1);
    event.insert(name.to_owned(), value);
    put(&bench, AUDIT_TABLE, event).await;
    bench
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_and_report_show_foreign_text_and_do_not_obey_it() {
    let bench = with_an_event("error", text(EVIL)).await;
    let today = bench.clock.now().strftime("%Y-%m-%d").to_string();
    let mut failed = items(&bench, AUDIT_TABLE).await.swap_remove(1);
    failed.insert("action".to_owned(), text("download.failed"));
    put(&bench, AUDIT_TABLE, failed).await;
    let report = ["report", "--from", &today, "--to", &today];
    for arguments in [&["audit", CONVERSATION][..], &report] {
        let ran = archivectl(&bench, arguments).await;
        assert_eq!(ran.code(), Some(1), "{ran:?}");
        assert_plain(&ran);
        // A report puts white space right, so that the same reasons are counted together.
        let seen = if arguments[0] == "audit" {
            SEEN
        } else {
            r"x\u{1b}]0;owned\u{7}\u{9b}2J 2026"
        };
        assert!(ran.stdout.contains(seen), "{arguments:?}: {}", ran.stdout);
        let folder = Folder::new();
        let page = folder.file("page.html");
        let ran = archivectl(&bench, &[arguments, &["--html", &page]].concat()).await;
        assert_eq!(ran.code(), Some(1), "{ran:?}");
        assert_plain_text(&std::fs::read_to_string(&page).unwrap());
        let ran = archivectl(&bench, &[arguments, &["--json"]].concat()).await;
        assert_plain(&ran);
        assert!(ran.stdout.contains("202e"), "{}", ran.stdout);
    }
    let events = archivectl(&bench, &["audit", CONVERSATION, "--json"])
        .await
        .items();
    assert!(
        events.iter().any(|event| event["error"] == EVIL),
        "JSON keeps the value: {events:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redrive_shows_the_code_of_a_foreign_message_and_does_not_obey_it() {
    let bench = Bench::new().await;
    let case = json!({"code": EVIL, "job": {"conversationId": CONVERSATION, "requestedBy": "a"}});
    for body in [
        case.to_string(),
        format!(
            "{{\"conversationId\": \"{CONVERSATION}\", \"{}\": 1}}",
            "\u{202e}\u{9b}2J"
        ),
    ] {
        let send = bench.world.aws.sqs().send_message();
        send.queue_url(&bench.world.exception_queue)
            .message_body(body)
            .send()
            .await
            .unwrap();
    }
    let ran = archivectl(&bench, &["redrive", "--dry-run"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_plain(&ran);
    assert!(ran.stdout.contains(SEEN), "{}", ran.stdout);
    let ran = archivectl(&bench, &["redrive", "--dry-run", "--json"]).await;
    assert_plain(&ran);
    assert_eq!(ran.summary()["byCode"][EVIL], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_names_an_object_whose_key_no_xml_can_hold() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    for key in ["recordings/\u{1}\u{1b}[2J \u{202e}+%41", "recordings/b c+d"] {
        let put = bench.world.aws.s3().put_object().bucket(BUCKET).key(key);
        put.body(b"milk".to_vec().into()).send().await.unwrap();
    }
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let mut keys: Vec<Value> = ran
        .items()
        .iter()
        .filter(|item| item["code"].is_string())
        .map(|item| item["archiveKey"].clone())
        .collect();
    keys.sort_by_key(Value::to_string);
    let strange = format!("s3://{BUCKET}/recordings/\u{1}\u{1b}[2J \u{202e}+%41");
    assert_eq!(
        keys,
        [json!(strange), json!(format!("s3://{BUCKET}/recordings/b c+d"))]
    );
    assert_eq!(ran.summary()["finished"], true);
    let ran = archivectl(&bench, &["verify"]).await;
    assert_plain(&ran);
    assert!(
        ran.stdout.contains(r"recordings/\u{1}\u{1b}[2J \u{202e}+%41"),
        "{}",
        ran.stdout
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_item_that_cannot_be_read_is_a_finding_about_that_item() {
    let bench = with_an_event("note", AttributeValue::B(Blob::new("binary"))).await;
    let event = items(&bench, AUDIT_TABLE).await.swap_remove(1);
    let id = event["eventId"].as_s().unwrap();
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let [found, proven] = &ran.items()[..] else {
        panic!("{ran:?}")
    };
    assert_eq!(
        (&found["code"], &proven["proof"]),
        (&json!("audit_unreadable"), &json!("read"))
    );
    assert_eq!(found["recordingId"], RECORDING);
    assert!(found["detail"].as_str().unwrap().contains(id), "{found}");
    assert_eq!(ran.summary()["files"], 1, "its object is read back all the same");

    let today = bench.clock.now().strftime("%Y-%m-%d").to_string();
    let ran = archivectl(&bench, &["report", "--json", "--from", &today, "--to", &today]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(ran.summary()["brokenChains"], 1);
    let ran = archivectl(&bench, &["audit", "--json", CONVERSATION]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(ran.items().len(), 3, "the others are shown: {ran:?}");
    assert_eq!(ran.summary()["recordings"][0]["whole"], false);

    // Nothing but the item itself says whose it is.
    for mut event in items(&bench, AUDIT_TABLE).await {
        event.insert("recordingId".to_owned(), AttributeValue::B(Blob::new("binary")));
        put(&bench, AUDIT_TABLE, event).await;
    }
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let codes: Vec<_> = ran.items().iter().map(|item| item["code"].clone()).collect();
    assert_eq!(
        codes.iter().filter(|code| **code == "audit_unreadable").count(),
        4,
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_read_ends_no_command() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let mut record = items(&bench, LEDGER_TABLE).await.swap_remove(0);
    record.insert("seq".to_owned(), AttributeValue::B(Blob::new("binary")));
    put(&bench, LEDGER_TABLE, record).await;
    let folder = Folder::new();
    let list = folder.file("list.csv");
    std::fs::write(&list, CONVERSATION).unwrap();
    for (arguments, code) in [
        (&["verify"][..], 1),
        (&["audit", CONVERSATION], 1),
        (&["backfill", "--ids", &list], 0),
    ] {
        let ran = archivectl(&bench, arguments).await;
        assert_eq!(ran.code(), Some(code), "{ran:?}");
    }
    assert_eq!(
        bench.deferred().len(),
        1,
        "what is not known to be archived is sent"
    );
}
