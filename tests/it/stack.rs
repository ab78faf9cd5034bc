//! The deployment, tried out: the template's stack in moto, with the built function at work in it.
//!
//! Needs the tools of `scripts/dev-venv`; without them each of these tests says that it is skipped.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_s3::types::ChecksumMode;
use base64::Engine as _;
use recording_archiver::aws::ledger::from_item;
use recording_archiver::domain::audit::{self, AuditEvent};
use recording_archiver::domain::record::{Record, State};
use recording_archiver::sim::genesys::{Conversation, Genesys, Media, Recording};
use recording_archiver::sim::runtime::RuntimeApi;
use recording_archiver::sim::wire::Wire;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::cloudformation::text;
use crate::support::{CONVERSATION, KEY, RECORDING, call, project, sha256, sqs};

const BUS: &str = "aws.partner/genesys.com/cloud/11111111-2222-4333-8444-555555555555/call-archive";

const LONG: &str = "e0000000-0000-4000-8000-000000000102";

/// Returns a tool of the virtual environment; prints where it is missing.
fn tool(name: &str) -> Option<PathBuf> {
    installed(&format!("bin/{name}"))
}

/// Returns the path of this name in the virtual environment; prints where it is missing.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = project().join(".venv").join(name);
    if path.exists() {
        return Some(path);
    }
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    // Not by a macro, as the test runner would keep it to itself; in one piece, as tests run side by side.
    let word = format!("skipped {test}: no .venv/{name}; run scripts/dev-venv\n");
    let _ = std::io::stderr().write_all(word.as_bytes());
    None
}

/// Returns what tests/it/stack.py says next.
async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line = lines.next_line().await.unwrap();
    serde_json::from_str(&line.expect("tests/it/stack.py says why not")).unwrap()
}

fn texts(fields: &Value) -> BTreeMap<String, String> {
    let fields = fields.as_object().unwrap().iter();
    fields.map(|(name, value)| (name.clone(), text(value))).collect()
}

/// The stack in moto. Goes away when dropped.
struct Deployed {
    outputs: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    url: String,
    sdk: SdkConfig,
    moto: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Deployed {
    /// Deploys the template, puts the secret into it and then these events on the partner's bus.
    async fn new(python: PathBuf, secret: Value, events: &[Value]) -> Self {
        Self::from(python, secret, events, None).await
    }

    /// Deploys like `new`, this older template if there is one.
    async fn from(python: PathBuf, secret: Value, events: &[Value], before: Option<&str>) -> Self {
        let parameters = json!({"PartnerEventBusName": BUS, "EndEventDelaySeconds": "0"});
        let secret = secret.to_string();
        let wanted = json!({"parameters": parameters, "secret": secret, "events": events, "before": before});
        let mut moto = Command::new(python)
            .arg(project().join("tests/it/stack.py"))
            .arg(wanted.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(moto.stdout.take().unwrap()).lines();
        let made = next(&mut lines).await;
        let url = text(&made["url"]);
        let credentials = Credentials::new("test", "test", None, None, "moto");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(&url)
            .build();
        Self {
            outputs: texts(&made["outputs"]),
            environment: texts(&made["environment"]),
            url,
            sdk,
            moto,
            lines,
        }
    }

    /// Updates the stack to the template of today.
    async fn update(&mut self) {
        let input = self.moto.stdin.as_mut().unwrap();
        input.write_all(b"update\n").await.unwrap();
        let made = next(&mut self.lines).await;
        self.outputs = texts(&made["outputs"]);
        self.environment = texts(&made["environment"]);
    }

    fn output(&self, name: &str) -> &str {
        &self.outputs[name]
    }

    /// Returns the bodies of all messages in a queue of the outputs.
    async fn messages(&self, queue: &str) -> Vec<String> {
        let sqs = aws_sdk_sqs::Client::new(&self.sdk);
        let receive = sqs
            .receive_message()
            .queue_url(self.output(queue))
            .max_number_of_messages(10);
        let messages = receive.send().await.unwrap().messages.unwrap_or_default();
        messages
            .into_iter()
            .map(|message| message.body.unwrap())
            .collect()
    }

    /// Runs the built function as this stack would, once.
    async fn invoke(&self, genesys: &Genesys, event: Value) -> Result<Value, Value> {
        let runtime = RuntimeApi::start().await.unwrap();
        let _function = Command::new(env!("CARGO_BIN_EXE_recording-archiver"))
            .env_clear()
            .envs(&self.environment)
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", runtime.address().as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", self.output("FunctionName")),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", self.output("LogGroupName")),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                // What is not in this stack: moto for AWS, the simulator for Genesys Cloud.
                ("AWS_ENDPOINT_URL", self.url.as_str()),
                ("GENESYS_API_BASE_URL", genesys.base_url().as_str()),
                ("GENESYS_LOGIN_BASE_URL", genesys.base_url().as_str()),
            ])
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        runtime.invoke(event, Duration::from_secs(900)).await
    }
}

fn sample_event(name: &str) -> Value {
    let text = std::fs::read_to_string(project().join("events").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployed_stack_archives_the_call_of_an_event_on_the_partner_bus() {
    let Some(python) = tool("python") else { return };
    let genesys = Genesys::start(&Wire::default(), 0, 0).await.unwrap();
    // More than two parts of the size that the template sets.
    let (short, long) = (call(), Media::generated_wav(17 * 1024 * 1024, 1));
    let conversation =
        Conversation::new(CONVERSATION).recording(Recording::audio(RECORDING, [short.clone()]));
    genesys.add(conversation.recording(Recording::audio(LONG, [long.clone()])));
    let (id, secret) = genesys.credentials();
    let events = [
        "01-customer-end-voice.archived.json",
        "04-chat-end.ignored.json",
        "23-customer-start.ignored.json",
    ];
    let stack = Deployed::new(
        python,
        json!({"clientId": id, "clientSecret": secret}),
        &events.map(sample_event),
    )
    .await;

    // The rule let the end of the voice call through, and nothing else.
    let bodies = stack.messages("WorkQueueUrl").await;
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let poison = "not a job".to_owned();
    let answer = stack
        .invoke(&genesys, sqs(bodies.into_iter().chain([poison])))
        .await;
    assert_eq!(answer, Ok(json!({"batchItemFailures": []})));

    let s3 = aws_sdk_s3::config::Builder::from(&stack.sdk)
        .force_path_style(true)
        .build();
    let s3 = aws_sdk_s3::Client::from_conf(s3);
    let dynamodb = aws_sdk_dynamodb::Client::new(&stack.sdk);
    let query = dynamodb.query().table_name(stack.output("AuditTableName"));
    let query = query.key_condition_expression("interactionId = :id");
    let query = query.expression_attribute_values(":id", AttributeValue::S(CONVERSATION.to_owned()));
    let trail: Vec<AuditEvent> = query.send().await.unwrap().items().iter().map(item).collect();
    for (recording, media) in [(RECORDING, &short), (LONG, &long)] {
        let (bucket, key) = (stack.output("BucketName"), KEY.replace(RECORDING, recording));
        let hash = media.sha256().unwrap();
        let get = s3
            .get_object()
            .bucket(bucket)
            .key(&key)
            .checksum_mode(ChecksumMode::Enabled);
        let object = get.send().await.unwrap();
        assert_eq!(object.ssekms_key_id(), Some(stack.output("KmsKeyArn")));
        let checksum = object.checksum_crc64_nvme().map(str::to_owned);
        let bytes = object.body.collect().await.unwrap().into_bytes();
        assert_eq!(sha256(&bytes), hash);
        // Moto keeps the checksum of a multipart upload; that of a single put it does not give back.
        let expected = (recording == LONG).then(|| crc64nvme(&bytes));
        assert_eq!(checksum, expected);
        let tags = s3
            .get_object_tagging()
            .bucket(bucket)
            .key(&key)
            .send()
            .await
            .unwrap();
        let tags: BTreeMap<&str, &str> = tags
            .tag_set()
            .iter()
            .map(|tag| (tag.key(), tag.value()))
            .collect();
        assert_eq!(
            tags,
            BTreeMap::from([("compliance", "archive"), ("sha256", hash.as_str())])
        );

        let get = dynamodb.get_item().table_name(stack.output("LedgerTableName"));
        let get = get.key("interactionId", AttributeValue::S(CONVERSATION.to_owned()));
        let get = get.key("recordingId", AttributeValue::S(recording.to_owned()));
        let record: Record = item(&get.send().await.unwrap().item.unwrap());
        assert_eq!((record.state, &record.files[0].sha256), (State::Archived, &hash));
        let mut trail = trail.clone();
        trail.retain(|event| event["recordingId"] == recording);
        assert_eq!(audit::verify(&trail).unwrap().head, record.chain_head);
        assert_eq!(trail.last().unwrap()["action"], "archive.stored");
        assert_eq!(trail[0]["actor"]["source"], "sqs");
    }

    // Its role may look again: the second look is on its way, and written down.
    let get = dynamodb.get_item().table_name(stack.output("LedgerTableName"));
    let get = get.key("interactionId", AttributeValue::S(CONVERSATION.to_owned()));
    let get = get.key("recordingId", AttributeValue::S("-".to_owned()));
    let whole: Record = item(&get.send().await.unwrap().item.unwrap());
    assert_eq!(
        (whole.state, whole.looks, whole.recordings.len()),
        (State::Settling, 1, 2)
    );

    let exceptions = stack.messages("ExceptionQueueUrl").await;
    assert!(
        exceptions.len() == 1 && exceptions[0].contains("malformed_job"),
        "{exceptions:?}"
    );
}

/// The last commit whose template made no log, in the history of this project.
const BEFORE_THE_LOG: &str = "aa0de6b";

/// Returns the template of that commit; says where the history does not reach that far.
async fn template_before_the_log() -> Option<String> {
    let show = Command::new("git")
        .args(["show", &format!("{BEFORE_THE_LOG}:template.yaml")])
        .current_dir(project())
        .output()
        .await;
    let found = show.ok().filter(|shown| shown.status.success());
    if found.is_none() {
        let word = format!("skipped the upgrade of a stack: no commit {BEFORE_THE_LOG} in this clone\n");
        let _ = std::io::stderr().write_all(word.as_bytes());
    }
    Some(String::from_utf8(found?.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_of_before_the_log_is_updated_in_place_and_goes_on_archiving() {
    let Some(python) = tool("python") else { return };
    let Some(before) = template_before_the_log().await else {
        return;
    };
    let genesys = Genesys::start(&Wire::default(), 0, 0).await.unwrap();
    let later = "c0000000-0000-4000-8000-000000000002";
    for (conversation, recording) in [(CONVERSATION, RECORDING), (later, LONG)] {
        let recording = Recording::audio(recording, [call()]);
        genesys.add(Conversation::new(conversation).recording(recording));
    }
    let (id, secret) = genesys.credentials();
    let secret = json!({"clientId": id, "clientSecret": secret});
    let mut stack = Deployed::from(python, secret, &[], Some(&before)).await;
    let archived = |conversation: &str| json!({"conversationId": conversation});
    let answer = stack.invoke(&genesys, archived(CONVERSATION)).await.unwrap();
    assert_eq!(answer["results"][0]["outcome"], "archived", "{answer}");
    let old = stack.outputs.clone();
    assert!(!stack.environment.contains_key("S3_OBJECT_LOCK_MODE"));

    stack.update().await;
    // The same tables, bucket and key, and what is new beside them.
    for (output, value) in &old {
        assert_eq!(stack.outputs.get(output), Some(value), "{output}");
    }
    assert_eq!(stack.environment["S3_OBJECT_LOCK_MODE"], "GOVERNANCE");
    assert_eq!(stack.environment["S3_OBJECT_LOCK_DAYS"], "2557");
    for output in ["SealBucketName", "SealKeyArn", "SealerFunctionName"] {
        assert!(!stack.output(output).is_empty(), "{output}");
    }
    let answer = stack.invoke(&genesys, archived(later)).await.unwrap();
    assert_eq!(answer["results"][0]["outcome"], "archived", "{answer}");
    // The object of before has no lock, the one of after has; the events of before are all there.
    let s3 = aws_sdk_s3::config::Builder::from(&stack.sdk)
        .force_path_style(true)
        .build();
    let s3 = aws_sdk_s3::Client::from_conf(s3);
    let key = |conversation: &str, recording: &str| {
        KEY.replace(CONVERSATION, conversation)
            .replace(RECORDING, recording)
    };
    for (key, lock) in [
        (key(CONVERSATION, RECORDING), None),
        (key(later, LONG), Some("GOVERNANCE")),
    ] {
        let head = s3.head_object().bucket(stack.output("BucketName")).key(&key);
        let head = head.send().await.unwrap();
        assert_eq!(head.object_lock_mode().map(|mode| mode.as_str()), lock, "{key}");
    }
    let dynamodb = aws_sdk_dynamodb::Client::new(&stack.sdk);
    let table = dynamodb
        .describe_table()
        .table_name(stack.output("AuditTableName"));
    let table = table.send().await.unwrap().table.unwrap();
    let indexes: Vec<_> = table
        .global_secondary_indexes()
        .iter()
        .filter_map(|index| index.index_name())
        .collect();
    let follows = table
        .stream_specification()
        .is_some_and(|stream| stream.stream_enabled);
    assert_eq!((indexes, follows), (vec!["byDay"], true));
    let scan = dynamodb.scan().table_name(stack.output("AuditTableName"));
    let events: Vec<AuditEvent> = scan.send().await.unwrap().items().iter().map(item).collect();
    let stored = events.iter().filter(|event| event["action"] == "archive.stored");
    assert_eq!(stored.count(), 2);
}

fn item<T: serde::de::DeserializeOwned>(item: &HashMap<String, AttributeValue>) -> T {
    from_item(item.clone()).unwrap()
}

fn crc64nvme(bytes: &[u8]) -> String {
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes);
    base64::engine::general_purpose::STANDARD.encode(crc.to_be_bytes())
}

/// Runs a tool in the project's folder; it has to like what it sees.
async fn pleased(tool: PathBuf, arguments: &[&str]) {
    let folder = tool.parent().unwrap().display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(&tool)
        .args(arguments)
        .current_dir(project())
        // `sam validate` wants a region and asks nobody.
        .envs([("AWS_DEFAULT_REGION", "us-east-1"), ("SAM_CLI_TELEMETRY", "0")])
        .env("PATH", format!("{folder}:{path}"))
        .output()
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}", said.join("\n"));
}

#[tokio::test]
async fn cfn_lint_finds_nothing_in_the_template() {
    let Some(lint) = tool("cfn-lint") else { return };
    pleased(lint, &["template.yaml"]).await;
}

#[tokio::test]
async fn sam_validates_the_template() {
    let Some(sam) = tool("sam") else { return };
    pleased(sam, &["validate", "--lint"]).await;
}

#[tokio::test]
async fn sam_local_hands_the_whole_environment_of_the_simulators_to_the_function() {
    let Some(python) = tool("python") else { return };
    let output = Command::new(python)
        .arg(project().join("tests/it/sam_local.py"))
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let handed: BTreeMap<String, String> = serde_json::from_slice(&output.stdout).unwrap();
    let file = std::fs::read_to_string(project().join("events/local-env.json")).unwrap();
    let file: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&file).unwrap();
    for (name, value) in &file["ArchiverFunction"] {
        assert_eq!(handed.get(name), Some(value), "{name}");
    }
}
