//! The common behaviour of all commands.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{COMMANDS, command, end};
use crate::support::{Bench, project};

/// Returns the names in a section of the template, with their defaults.
fn section(of: &str) -> Vec<(String, String)> {
    let template = std::fs::read_to_string(project().join("template.yaml")).unwrap();
    let (_, section) = template.split_once(&format!("\n{of}:\n")).unwrap();
    let mut names = Vec::new();
    for line in section
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with(' '))
    {
        if let Some(name) = line
            .strip_prefix("  ")
            .filter(|name| !name.starts_with([' ', '#']))
        {
            names.push((name.trim_end_matches(':').to_owned(), String::new()));
        } else if let Some(default) = line.strip_prefix("    Default: ") {
            names.last_mut().unwrap().1 = default.trim_matches('"').to_owned();
        }
    }
    names
}

/// Returns a CloudFormation that knows one stack, with these parameters and outputs; its URL.
async fn cloudformation(parameters: Vec<(String, String)>, outputs: Vec<(String, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let members = |kind: &str, all: Vec<(String, String)>| {
        let member = |(key, value)| {
            format!("<member><{kind}Key>{key}</{kind}Key><{kind}Value>{value}</{kind}Value></member>")
        };
        all.into_iter().map(member).collect::<String>()
    };
    let (parameters, outputs) = (members("Parameter", parameters), members("Output", outputs));
    let body = format!(
        "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><DescribeStacksResult><Stacks>\
         <member><StackName>archive</StackName><StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-01-05T00:00:00Z\
         </CreationTime><Parameters>{parameters}</Parameters><Outputs>{outputs}</Outputs></member></Stacks>\
         </DescribeStacksResult></DescribeStacksResponse>"
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 64 * 1024];
            let read = stream.read(&mut request).await.unwrap();
            let known = String::from_utf8_lossy(&request[..read]).contains("StackName=archive");
            let (status, body) = if known {
                ("200 OK", body.clone())
            } else {
                let error = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id nope does \
                             not exist</Message></Error></ErrorResponse>";
                ("400 Bad Request", error.to_owned())
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployed_template_is_all_the_configuration_it_needs() {
    let bench = Bench::with_a_call().await;
    assert_eq!(bench.archive().await[0]["outcome"], "archived");
    let environment = bench.world.environment();
    let letters = bench.world.aws.create_queue("dead-letters").await.unwrap();
    let value = |name: &str, default: String| match name {
        "SecretId" => environment["GENESYS_SECRET_ID"].clone(),
        "GenesysCloudRegion" => "eu-central-1".to_owned(),
        "GenesysApiBaseUrl" => environment["GENESYS_API_BASE_URL"].clone(),
        "GenesysLoginBaseUrl" => environment["GENESYS_LOGIN_BASE_URL"].clone(),
        "GenesysRecordingApi" => "conversations".to_owned(),
        "BucketName" => environment["S3_BUCKET_NAME"].clone(),
        "KeyTemplate" => "recordings/{interactionId}/{recordingId}{channel}.{ext}".to_owned(),
        "AuditTableName" => environment["AUDIT_TABLE_NAME"].clone(),
        "LedgerTableName" => environment["LEDGER_TABLE_NAME"].clone(),
        "CatalogTableName" => environment["CATALOG_TABLE_NAME"].clone(),
        "CatalogKeySecretId" => environment["CATALOG_KEY_SECRET_ID"].clone(),
        "WorkQueueUrl" => environment["WORK_QUEUE_URL"].clone(),
        "WorkDeadLetterQueueUrl" => letters.clone(),
        "ExceptionQueueUrl" => environment["EXCEPTION_QUEUE_URL"].clone(),
        "WebhookUrl" => environment["WEBHOOK_URL"].clone(),
        "RecordingMedia" => "screen".to_owned(),
        "ObjectLockMode" => "GOVERNANCE".to_owned(),
        "ObjectLockDays" => "2557".to_owned(),
        _ => default,
    };
    let with_values = |of: &str| -> Vec<_> {
        let named = section(of).into_iter();
        named
            .map(|(name, default)| (name.clone(), value(&name, default)))
            .collect()
    };
    let (parameters, outputs) = (with_values("Parameters"), with_values("Outputs"));
    let url = cloudformation(parameters.clone(), outputs).await;
    let older = cloudformation(parameters, Vec::new()).await;
    let run = |url: &str, stack: &str, arguments: &[&str]| {
        let mut command = command(&bench, &[arguments, &["--json", "--stack", stack]].concat());
        for variable in environment.keys().filter(|name| !name.starts_with("AWS_")) {
            command.env_remove(variable);
        }
        // As the template leaves it.
        command.env_remove("SETTLE_SECONDS");
        // The stack wins.
        command.env("S3_BUCKET_NAME", "another");
        command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", url);
        end(command.spawn().unwrap())
    };
    let ran = run(&url, "archive", &["doctor", "--webhook"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    // The simulators do not guard the evidence; what the stack names is all right.
    let warned: Vec<_> = ran
        .items()
        .into_iter()
        .filter(|item| item["state"] == "warning")
        .collect();
    let names: Vec<&str> = warned
        .iter()
        .map(|item| item["check"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["versioning", "bucket_policy"], "{ran:?}");
    assert_eq!(ran.summary()["problems"], 0, "{ran:?}");
    let ran = run(&url, "archive", &["verify"]).await;
    assert_eq!(
        (ran.code(), &ran.summary()["files"]),
        (Some(0), &1.into()),
        "{ran:?}"
    );
    let ran = run(&url, "nope", &["verify"]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("Stack with id nope does not exist"),
        "{}",
        ran.stderr
    );
    let ran = run(&older, "archive", &["verify"]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(ran.stderr.contains("has no SecretId"), "{}", ran.stderr);
    let days = [
        "backfill",
        "--dry-run",
        "--from",
        "2026-01-15",
        "--to",
        "2026-01-15",
    ];
    let ran = run(&url, "archive", &days).await;
    let summary = ran.summary();
    assert_eq!(
        (&summary["listed"], &summary["unrecorded"]),
        (&1.into(), &1.into()),
        "a call without a screen recording is none of what the stack wants: {ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_and_completions_know_every_command_and_need_no_configuration() {
    let bench = Bench::new().await;
    for arguments in [&["--help"][..], &["completions", "bash"], &["completions", "zsh"]] {
        let mut command = command(&bench, arguments);
        let ran = end(command.env_clear().spawn().unwrap()).await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        for name in COMMANDS {
            assert!(ran.stdout.contains(name), "{arguments:?}: {name}");
        }
    }
    for name in COMMANDS {
        let mut help = command(&bench, &[name, "--help"]);
        let ran = end(help.env_remove("COLUMNS").spawn().unwrap()).await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        assert!(ran.stdout.contains("Examples:"), "{name}: {}", ran.stdout);
        let longest = ran.stdout.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(100), "{name}: {longest:?}");
    }
    let mut without = command(&bench, &["verify"]);
    let ran = end(without.env_clear().spawn().unwrap()).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    for expected in ["S3_BUCKET_NAME", "LEDGER_TABLE_NAME", "--stack NAME"] {
        assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
    }
}
