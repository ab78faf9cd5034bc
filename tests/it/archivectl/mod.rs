//! The operators' command line, as a process of its own against the simulators.

mod accesses;
mod apart;
mod audit;
mod backfill;
mod browsing;
mod contradicted;
mod days;
mod described;
mod doctor;
mod document;
mod erase;
mod files;
mod find;
mod foreign;
mod general;
mod get;
mod import;
mod listening;
mod log;
mod manners;
mod paged;
mod pages;
mod play;
mod proof;
mod rebuilt;
mod reconcile;
mod redrive;
mod replaced;
mod report;
mod searching;
mod settling;
mod tampering;
mod terminal;
mod verdicts;
mod verify;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use aws_sdk_dynamodb::types::AttributeValue;
use recording_archiver::sim::AUDIT_TABLE;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::support::{Bench, CONVERSATION};

/// The commands that look at an archive.
const COMMANDS: [&str; 10] = [
    "backfill",
    "redrive",
    "reconcile",
    "verify",
    "audit",
    "doctor",
    "report",
    "accesses",
    "find",
    "catalog",
];

/// Returns the command with these arguments and the configuration of `bench`, and nothing else from around it.
fn command(bench: &Bench, arguments: &[&str]) -> Command {
    let mut command = configured(bench, ARCHIVECTL);
    command.args(arguments);
    command
}

/// The command.
const ARCHIVECTL: &str = env!("CARGO_BIN_EXE_archivectl");

/// Returns a program that has the configuration of `bench`, and nothing else from around it.
fn configured(bench: &Bench, program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(bench.world.environment())
        // As the bench's function, unless a test wants otherwise.
        .env("SETTLE_SECONDS", "0")
        // Lines do not fold, so that a test finds what it looks for.
        .env("COLUMNS", "10000")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs it to its end, for tests elsewhere.
pub(crate) async fn run(bench: &Bench, arguments: &[&str]) -> Ran {
    archivectl(bench, arguments).await
}

/// Runs it with the settings of a stack that settles conversations.
pub(crate) async fn run_settling(bench: &Bench, arguments: &[&str]) -> Ran {
    let mut command = command(bench, arguments);
    end(command.env("SETTLE_SECONDS", "900").spawn().unwrap()).await
}

/// Runs it to its end.
async fn archivectl(bench: &Bench, arguments: &[&str]) -> Ran {
    end(command(bench, arguments).spawn().unwrap()).await
}

/// Waits for its end.
async fn end(child: Child) -> Ran {
    let output = child.wait_with_output().await.unwrap();
    Ran {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Sends a signal such as `INT` to it.
async fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status();
    assert!(sent.await.unwrap().success());
}

/// A folder of a test's own, which goes away with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("archivectl-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Returns the path of a file in it.
    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The end of a run, and its output.
#[derive(Debug)]
pub(crate) struct Ran {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Ran {
    /// Returns the exit code; `None`: killed.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Returns the lines that `--json` wrote, but for the last.
    fn items(&self) -> Vec<Value> {
        let mut lines = self.lines();
        lines.pop();
        lines
    }

    /// Returns the last line of `--json`.
    pub(crate) fn summary(&self) -> Value {
        let last = self.lines().pop().unwrap_or_default();
        assert!(last["summary"].is_object(), "{self:?}");
        last["summary"].clone()
    }

    /// Asserts the exit code, and a figure of the summary.
    fn ended_with(&self, code: i32, figure: &str, count: u64) {
        let seen = (self.code(), &self.summary()[figure]);
        assert_eq!(seen, (Some(code), &Value::from(count)), "{self:?}");
    }

    fn lines(&self) -> Vec<Value> {
        let parsed = self.stdout.lines().map(serde_json::from_str);
        parsed
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// An item of DynamoDB.
type Item = HashMap<String, AttributeValue>;

/// Returns the items of [`CONVERSATION`] in a table.
async fn items(bench: &Bench, table: &str) -> Vec<Item> {
    let query = bench.world.aws.dynamodb().query().table_name(table);
    let query = query
        .key_condition_expression("interactionId = :id")
        .expression_attribute_values(":id", AttributeValue::S(CONVERSATION.to_owned()));
    query.send().await.unwrap().items.unwrap()
}

/// Removes an event from the audit table.
async fn remove(bench: &Bench, event: &Item) {
    let delete = bench.world.aws.dynamodb().delete_item().table_name(AUDIT_TABLE);
    let delete = delete.key("interactionId", event["interactionId"].clone());
    delete
        .key("eventId", event["eventId"].clone())
        .send()
        .await
        .unwrap();
}

/// Puts an item into a table, in the place of one with the same key.
async fn put(bench: &Bench, table: &str, item: Item) {
    let put = bench.world.aws.dynamodb().put_item().table_name(table);
    put.set_item(Some(item)).send().await.unwrap();
}
