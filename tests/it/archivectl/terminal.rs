//! What a person sees at a terminal: lines that fit, help that is complete, and nothing twice.

use recording_archiver::sim::aws::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use recording_archiver::sim::genesys::FileState;
use serde_json::{Value, json};

use super::{COMMANDS, Folder, archivectl, command, end};
use crate::support::{Bench, CONVERSATION};

/// The commands that need no archive.
const SHELL: [&str; 2] = ["completions", "man"];

/// A port on which nobody listens.
const NOBODY: &str = "http://127.0.0.1:9";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_fold_at_the_width_of_the_terminal_and_say_all_only_on_request() {
    let bench = Bench::new().await;
    let doctor = |columns: &'static str, more: &'static [&'static str]| {
        let mut run = command(&bench, &[&["doctor"], more].concat());
        run.env_remove("COLUMNS");
        if !columns.is_empty() {
            run.env("COLUMNS", columns);
        }
        end(run.spawn().unwrap())
    };
    let ran = doctor("", &[]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    for line in ran.stdout.lines() {
        // A URL stays whole, to be copied.
        let one_word = line.get(28..).is_some_and(|text| !text.contains(' '));
        assert!(
            line.chars().count() <= 80 || one_word,
            "80 where nobody knows: {line}"
        );
    }
    assert!(
        ran.stdout.contains("\n                            "),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("300 requests a minute"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("request.bytes.max"), "{}", ran.stdout);
    let wide = doctor("1000", &["-v"]).await;
    assert!(
        wide.stdout.contains("token.rate.per.minute 300") && wide.stdout.contains("request.bytes.max"),
        "{}",
        wide.stdout
    );
    let json = doctor("", &["--json"]).await;
    let limits = json.items().into_iter().find(|item| item["check"] == "limits");
    assert!(
        limits.unwrap()["detail"]
            .as_str()
            .unwrap()
            .contains("request.bytes.max"),
        "{json:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_fits_80_columns_and_its_examples_stay_whole() {
    let bench = Bench::new().await;
    for name in COMMANDS.into_iter().chain(SHELL) {
        let mut help = command(&bench, &[name, "--help"]);
        let ran = end(help.env("COLUMNS", "80").spawn().unwrap()).await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        for line in ran.stdout.lines() {
            assert!(line.chars().count() <= 80, "{name}: {line}");
        }
        let Some((_, examples)) = ran.stdout.split_once("Examples:\n") else {
            continue;
        };
        for line in examples.lines().take_while(|line| !line.is_empty()) {
            let whole = line.starts_with("  archivectl ") || line.starts_with("  # ");
            assert!(whole, "{name}: {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_that_cannot_be_written_is_no_success() {
    let bench = Bench::new().await;
    for arguments in [&["--help"][..], &["verify", "--help"], &["--version"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = end(command(&bench, arguments).stdout(full).spawn().unwrap()).await;
        assert_eq!(ran.code(), Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains("cannot be written"), "{}", ran.stderr);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = end(command(&bench, arguments).stdout(writer).spawn().unwrap()).await;
        assert_eq!((ran.code(), ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_arguments_is_one_line_with_a_fix_in_json() {
    let bench = Bench::new().await;
    for (arguments, message, fix) in [
        (
            &["--json", "audit"][..],
            "not provided: <CONVERSATION>",
            "archivectl audit --help",
        ),
        (
            &["--json", "verfy"],
            "unrecognized subcommand 'verfy'",
            "'verify'",
        ),
        (&["--json", "backfill"], "what is to be archived?", "--ids FILE"),
        (&["--json"], "requires a subcommand", "archivectl --help"),
        (
            &["--json", "redrive", "--code", "forbiden"],
            "unknown_conversation",
            "'forbidden'",
        ),
    ] {
        let ran = archivectl(&bench, arguments).await;
        assert_eq!(ran.code(), Some(2), "{ran:?}");
        let told: Value =
            serde_json::from_str(&ran.stderr).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        let text = |name: &str| told["error"][name].as_str().unwrap_or_default().to_owned();
        assert!(
            text("message").contains(message) && !text("message").contains('\n'),
            "{told}"
        );
        assert!(text("fix").contains(fix), "{told}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_asks_for_credentials_once() {
    let bench = Bench::with_a_call().await;
    let folder = Folder::new();
    let (asked, script, config) = (
        folder.file("asked"),
        folder.file("login.sh"),
        folder.file("config"),
    );
    let credentials =
        json!({"Version": 1, "AccessKeyId": ACCESS_KEY_ID, "SecretAccessKey": SECRET_ACCESS_KEY});
    std::fs::write(
        &script,
        format!("echo asked >> '{asked}'\necho '{credentials}'\n"),
    )
    .unwrap();
    std::fs::write(&config, format!("[default]\ncredential_process = sh {script}\n")).unwrap();
    let mut run = command(
        &bench,
        &["report", "--json", "--from", "2026-01-05", "--to", "2026-01-06"],
    );
    run.env("AWS_CONFIG_FILE", &config)
        .env("AWS_SHARED_CREDENTIALS_FILE", folder.file("none"))
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    let ran = end(run.spawn().unwrap()).await;
    assert!(!ran.stdout.is_empty() && ran.code() != Some(2), "{ran:?}");
    assert_eq!(std::fs::read_to_string(&asked).unwrap(), "asked\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_region_or_missing_credentials_are_one_error_with_the_way_out() {
    let bench = Bench::new().await;
    for (missing, arguments, expected) in [
        (
            &["AWS_REGION"][..],
            &["verify"][..],
            ["no AWS region is set", "set AWS_REGION"],
        ),
        (
            &["AWS_REGION"],
            &["verify", "--stack", "x"],
            ["no AWS region is set", "set AWS_REGION"],
        ),
        (
            &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
            &["redrive", "--dry-run"],
            ["there are no AWS credentials", "aws sso login"],
        ),
    ] {
        let mut run = command(&bench, arguments);
        // Nobody is asked over the network what region and credentials this machine has.
        run.env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", "/nonexistent");
        missing.iter().for_each(|name| {
            run.env_remove(name);
        });
        let ran = end(run.spawn().unwrap()).await;
        assert_eq!((ran.code(), ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
        let lines: Vec<_> = ran.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "one error and its fix: {}", ran.stderr);
        assert!(
            lines[0].contains(expected[0]) && lines[1].contains(expected[1]),
            "{lines:?}"
        );
    }
    let mut doctor = command(&bench, &["doctor", "--json"]);
    doctor
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("AWS_REGION");
    let ran = end(doctor.spawn().unwrap()).await;
    assert_eq!(ran.stderr, "", "the SDK is silent");
    let checks = ran.items();
    let credentials = checks
        .iter()
        .find(|item| item["check"] == "aws_credentials")
        .unwrap();
    assert!(
        credentials["mend"].as_str().unwrap().contains("set AWS_REGION"),
        "{credentials}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulators_that_do_not_answer_are_asked_for() {
    let bench = Bench::new().await;
    let run = |arguments: &'static [&'static str]| {
        let mut run = command(&bench, arguments);
        run.env("AWS_ENDPOINT_URL", NOBODY).env("MAX_ATTEMPTS", "1");
        end(run.spawn().unwrap())
    };
    for arguments in [&["verify"][..], &["redrive", "--dry-run"]] {
        let ran = run(arguments).await;
        assert_eq!(
            (ran.code(), ran.stdout.as_str()),
            (Some(2), ""),
            "no figures of nothing: {ran:?}"
        );
        assert!(
            ran.stderr.contains("is `cargo local -- serve` running?"),
            "{}",
            ran.stderr
        );
    }
    let ran = run(&["verify", "--stack", "x"]).await;
    assert!(
        ran.stderr
            .contains("cloudformation is expected at http://127.0.0.1:9"),
        "{}",
        ran.stderr
    );
    let ran = archivectl(&bench, &["verify", "--stack", "x"]).await;
    assert!(ran.stderr.contains("leave --stack out"), "{}", ran.stderr);
    let ran = run(&["doctor"]).await;
    assert!(
        ran.stdout.contains("is `cargo local -- serve` running?"),
        "{}",
        ran.stdout
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_refuses_leads_to_the_doctor() {
    let bench = Bench::new().await;
    let mut run = command(&bench, &["verify"]);
    let ran = end(run.env("LEDGER_TABLE_NAME", "nope").spawn().unwrap()).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(ran.stderr.contains("fix: archivectl doctor"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_archived_here_is_told_once_and_is_not_taken_for_sent() {
    let bench = Bench::with_a_call().await;
    bench.world.genesys.conversation(CONVERSATION, |conversation| {
        conversation.recordings[0].state = FileState::Archived;
    });
    let folder = Folder::new();
    let list = folder.file("list.csv");
    std::fs::write(&list, CONVERSATION).unwrap();
    let ran = archivectl(&bench, &["backfill", "--local", "--ids", &list]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let told = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(told.matches("is ARCHIVED at Genesys").count(), 1, "{told}");
    let again = archivectl(&bench, &["backfill", "--local", "--ids", &list]).await;
    assert!(!again.stderr.contains("may be on the queue"), "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_manual_page_names_its_command_on_one_line() {
    let bench = Bench::new().await;
    let folder = Folder::new();
    let pages = folder.file("man1");
    let ran = archivectl(&bench, &["man", "--dir", &pages]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let page = |name: &str| std::fs::read_to_string(format!("{pages}/{name}.1")).unwrap();
    let main = page("archivectl");
    assert!(
        main.contains(".SH NAME\narchivectl \\- Operates the recording archive: backfills history"),
        "{main}"
    );
    for command in COMMANDS.into_iter().chain(SHELL) {
        let page = page(&format!("archivectl-{command}"));
        assert!(
            page.contains(&format!(".SH NAME\narchivectl\\-{command} \\- ")),
            "{page}"
        );
        assert!(page.contains("\"archivectl 0."), "{page}");
    }
    assert!(!folder.path().join("man1/archivectl-help.1").exists());
}
