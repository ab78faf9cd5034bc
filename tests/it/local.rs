//! `cargo local` as a process, and simulators that listen elsewhere or go by another name.

use std::net::Ipv4Addr;
use std::process::{Output, Stdio};

use aws_sdk_sqs::types::Message;
use recording_archiver::sim::genesys::{Conversation, Recording};
use recording_archiver::sim::{Ports, Site, World};
use tokio::process::Command;

use crate::support::{self, Bench, CONVERSATION, RECORDING};

/// Runs `cargo local` with these arguments to its end.
async fn local(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.args(arguments).output().await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn env_prints_nothing_but_exports_of_the_served_environment() {
    let ran = local(&["--", "env"]).await;
    assert!(ran.status.success());
    let printed = text(&ran.stdout);
    let site = Site::served(Ipv4Addr::LOCALHOST.into(), None);
    let expected: String = site
        .operators_environment()
        .iter()
        .map(|(name, value)| format!("export {name}={value}\n"))
        .collect();
    assert_eq!(printed, expected);
    assert!(
        printed.contains("WORK_DEAD_LETTER_QUEUE_URL=http://127.0.0.1:9103/"),
        "{printed}"
    );
    // A shell takes it as it stands: no value needs quotes.
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_=:/.- \n".contains(letter);
    assert!(printed.chars().all(plain), "{printed}");
}

#[tokio::test]
async fn help_is_ours_and_wrong_usage_has_exit_code_2() {
    let ran = local(&["--help"]).await;
    assert!(ran.status.success());
    assert!(
        text(&ran.stdout).starts_with("cargo local  "),
        "{}",
        text(&ran.stdout)
    );
    assert!(text(&ran.stdout).lines().all(|line| line.len() <= 80));
    let ran = local(&["invoke"]).await;
    assert_eq!(ran.status.code(), Some(2));
    assert!(
        text(&ran.stderr).contains("invoke needs the file of an event"),
        "{}",
        text(&ran.stderr)
    );
    assert!(ran.stdout.is_empty());
}

#[tokio::test]
async fn a_file_that_is_no_event_is_refused_before_anything_is_shown() {
    for (file, expected) in [
        ("events/local-env.json", "events/local-env.json is no event"),
        ("events/README.md", "is not JSON"),
        ("events/nothing.json", "cannot be read"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command.current_dir(support::project()).args(["invoke", file]);
        let ran = command.output().await.unwrap();
        assert_eq!(
            (ran.status.code(), text(&ran.stdout)),
            (Some(2), String::new()),
            "{file}"
        );
        assert!(text(&ran.stderr).contains(expected), "{}", text(&ran.stderr));
        assert_eq!(
            text(&ran.stderr).lines().count(),
            2,
            "short: {}",
            text(&ran.stderr)
        );
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_it_without_a_word() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.arg("help").stdout(Stdio::piped()).stderr(Stdio::piped());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = command
        .stdout(writer)
        .spawn()
        .unwrap()
        .wait_with_output()
        .await
        .unwrap();
    assert_eq!((ran.status.code(), text(&ran.stderr)), (Some(141), String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_url_handed_out_has_the_advertised_name() {
    let folder = std::env::temp_dir().join(format!("archiver-advertised-{}", std::process::id()));
    let mut site = Site::loopback(Ports::default());
    site.name = "localhost".to_owned();
    let world = World::in_folder(&folder, site).await.unwrap();
    let bench = Bench {
        world,
        ..Bench::new().await
    };
    let recording = Recording::audio(RECORDING, [support::call()]);
    bench
        .world
        .genesys
        .add(Conversation::new(CONVERSATION).recording(recording));
    let urls = bench.world.environment();
    let urls = urls.iter().filter(|(name, _)| name.ends_with("_URL"));
    let urls: Vec<_> = urls
        .map(|(_, url)| url.clone())
        .chain([bench.world.genesys.media_base_url()])
        .collect();
    assert_eq!(urls.len(), 8);
    for url in urls {
        assert!(url.starts_with("http://localhost:"), "{url}");
    }
    let results = bench.archive().await;
    assert_eq!(results[0]["outcome"], "archived", "{results:?}");
    let _ = std::fs::remove_dir_all(folder);
}

#[tokio::test]
async fn the_environment_is_where_the_simulators_are() {
    let world = World::temporary().await.unwrap();
    let environment = world.environment();
    for (name, url) in [
        ("GENESYS_API_BASE_URL", world.genesys.base_url()),
        ("AWS_ENDPOINT_URL", world.aws.endpoint_url()),
        ("WEBHOOK_URL", world.webhook.url()),
        ("WORK_QUEUE_URL", world.work_queue.clone()),
        ("EXCEPTION_QUEUE_URL", world.exception_queue.clone()),
    ] {
        assert_eq!(environment[name], url, "{name}");
    }
    assert_eq!(
        world.site().operators_environment()["WORK_DEAD_LETTER_QUEUE_URL"],
        world.dead_letter_queue
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let first = World::temporary().await.unwrap();
    let taken = first.site().ports;
    let folder = std::env::temp_dir().join(format!("archiver-taken-{}", std::process::id()));
    let error = World::in_folder(&folder, Site::loopback(taken))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("cannot listen on 127.0.0.1:{}", taken.aws)),
        "{error}"
    );
    let _ = std::fs::remove_dir_all(folder);
}

#[tokio::test]
async fn a_message_received_too_often_becomes_a_dead_letter() {
    let world = World::temporary().await.unwrap();
    let sqs = world.aws.sqs();
    let send = sqs.send_message().queue_url(&world.work_queue).message_body("{}");
    send.send().await.unwrap();
    for reception in 1..=5 {
        let message = receive(&world, &world.work_queue).await.pop();
        let message = message.unwrap_or_else(|| panic!("reception {reception}"));
        let again = sqs.change_message_visibility().queue_url(&world.work_queue);
        let again = again.set_receipt_handle(message.receipt_handle);
        again.visibility_timeout(0).send().await.unwrap();
    }
    assert!(receive(&world, &world.work_queue).await.is_empty());
    assert_eq!(receive(&world, &world.dead_letter_queue).await.len(), 1);
}

async fn receive(world: &World, queue: &str) -> Vec<Message> {
    let received = world.aws.sqs().receive_message().queue_url(queue).send().await;
    received.unwrap().messages.unwrap_or_default()
}

#[tokio::test]
async fn messages_outlive_the_simulators_of_a_folder() {
    let folder = std::env::temp_dir().join(format!("archiver-kept-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let world = || World::in_folder(&folder, Site::default());
    let first = world().await.unwrap();
    let sqs = first.aws.sqs();
    for (queue, body, delay) in [
        (&first.work_queue, "done with", 0),
        (&first.work_queue, "in progress", 0),
        (&first.work_queue, "delayed", 600),
        (&first.exception_queue, "a case", 0),
    ] {
        let send = sqs.send_message().queue_url(queue).message_body(body);
        send.delay_seconds(delay).send().await.unwrap();
    }
    for message in [
        receive(&first, &first.work_queue).await,
        receive(&first, &first.work_queue).await,
    ]
    .concat()
    {
        if message.body.as_deref() == Some("done with") {
            let done = sqs.delete_message().queue_url(&first.work_queue);
            let done = done.set_receipt_handle(message.receipt_handle);
            done.send().await.unwrap();
        }
    }
    drop((sqs, first));
    for _restart in 0..2 {
        let next = world().await.unwrap();
        assert_eq!(
            next.aws.depth(&next.work_queue),
            2,
            "what was deleted stays deleted"
        );
        assert_eq!(
            bodies(receive(&next, &next.work_queue).await),
            ["in progress"],
            "the delay goes on"
        );
        assert_eq!(bodies(receive(&next, &next.exception_queue).await), ["a case"]);
        assert!(
            next.aws.messages(&next.work_queue).is_empty(),
            "nobody sent anything anew"
        );
    }
    std::fs::remove_dir_all(folder).unwrap();
}

fn bodies(messages: Vec<Message>) -> Vec<String> {
    messages.into_iter().filter_map(|message| message.body).collect()
}
