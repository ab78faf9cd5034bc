//! Gathers the evidence for what an invocation archived, from every place that holds some, and compares it:
//! the file on disk, audit, ledger, tag, object metadata and webhook.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use aws_sdk_dynamodb::types::AttributeValue;
use recording_archiver::archive::audit::{self, AuditItem};
use recording_archiver::aws::ledger::{Record, from_item};
use recording_archiver::sim::{AUDIT_TABLE, LEDGER_TABLE, World};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Result;

/// What to print of an invocation, and what does not agree.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) lines: Vec<String>,
    pub(crate) broken: Vec<String>,
}

/// The evidence of every recording that this invocation wrote audit events about.
pub(crate) async fn of_invocation(world: &World, lines: &[Value], answer: Option<&Value>) -> Result<Report> {
    let mut report = Report::default();
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let touched: BTreeSet<(String, String)> = lines
        .iter()
        .filter(|line| line["audit"] == true)
        .map(|line| (text(line, "interactionId"), text(line, "recordingId")))
        .collect();
    for (conversation, recording) in touched {
        of_recording(world, &conversation, &recording, &mut report).await?;
    }
    for result in answer
        .and_then(|answer| answer["results"].as_array())
        .into_iter()
        .flatten()
    {
        if result["outcome"] == "already_archived" {
            report.lines.push(format!(
                "    nothing downloaded again: {}",
                result["files"][0]["archiveKey"]
            ));
        }
    }
    Ok(report)
}

async fn of_recording(world: &World, conversation: &str, recording: &str, report: &mut Report) -> Result<()> {
    let events = audit_trail(world, conversation, recording).await?;
    let record = ledger_record(world, conversation, recording).await?;
    let what = if recording == "-" {
        "conversation".to_owned()
    } else {
        format!("recording {recording}")
    };
    report
        .lines
        .push(format!("    {what}: {}", record.state.as_str()));
    for file in &record.files {
        let (bucket, key) = file.location();
        let path = world.aws.object_path(bucket, key);
        let (sha256, size) = hash_file(&path)?;
        report
            .lines
            .push(format!("    file     {} ({size} bytes)", shown(&path)));
        let mut witnesses = vec![("ledger", file.sha256.clone())];
        let stored = events.iter().find(|event| {
            event["action"] == "archive.stored"
                && event.get("archiveKey") == Some(&Value::from(file.archive_key.as_str()))
        });
        witnesses.push((
            "audit",
            stored
                .map(|event| event["hash"].as_str().unwrap_or_default().to_owned())
                .unwrap_or_default(),
        ));
        let tags = world
            .aws
            .s3()
            .get_object_tagging()
            .bucket(bucket)
            .key(key)
            .send()
            .await?;
        let tag = |name: &str| {
            tags.tag_set()
                .iter()
                .find(|tag| tag.key() == name)
                .map(|tag| tag.value().to_owned())
        };
        witnesses.push(("tag", tag("sha256").unwrap_or_default()));
        let deliveries = world.webhook.deliveries();
        let delivery = deliveries.iter().find(|delivery| {
            delivery.verified
                && delivery.body["files"]
                    .as_array()
                    .is_some_and(|files| files.iter().any(|told| told["archiveKey"] == file.archive_key))
        });
        let told = delivery.and_then(|delivery| {
            let files = delivery.body["files"].as_array()?;
            files.iter().find(|told| told["archiveKey"] == file.archive_key)?["hash"]
                .as_str()
                .map(str::to_owned)
        });
        witnesses.push(("webhook", told.unwrap_or_default()));
        let (agree, differ): (Vec<_>, Vec<_>) = witnesses.into_iter().partition(|(_, hash)| *hash == sha256);
        let names =
            |list: &[(&str, String)]| list.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        report.lines.push(format!(
            "    sha256   {sha256} recomputed from the file; the same in {}",
            names(&agree)
        ));
        if !differ.is_empty() {
            report.broken.push(format!(
                "{}: another SHA-256, or none, in {}",
                file.archive_key,
                names(&differ)
            ));
        }
        if size != file.size_bytes || tag("compliance").as_deref() != Some("archive") {
            report.broken.push(format!(
                "{}: size or the tag compliance=archive is wrong",
                file.archive_key
            ));
        }
        if let Some(delivery) = delivery {
            report
                .lines
                .push(format!("    webhook  {} signature verified", delivery.id));
        }
    }
    let actions: Vec<_> = events
        .iter()
        .filter_map(|event| event["action"].as_str())
        .collect();
    let chain = match audit::verify(&events) {
        Ok(end) if end.head == record.chain_head => "chain intact".to_owned(),
        Ok(_) => "the chain does not end where the ledger says".to_owned(),
        Err(error) => error.to_string(),
    };
    report
        .lines
        .push(format!("    audit    {} ({chain})", actions.join(" → ")));
    if chain != "chain intact" {
        report.broken.push(format!("{what}: {chain}"));
    }
    if let Some(error) = events
        .last()
        .and_then(|event| event.get("error"))
        .and_then(Value::as_str)
    {
        report.lines.push(format!("    error    {error}"));
    }
    Ok(())
}

async fn audit_trail(world: &World, conversation: &str, recording: &str) -> Result<Vec<AuditItem>> {
    let query = world
        .aws
        .dynamodb()
        .query()
        .table_name(AUDIT_TABLE)
        .key_condition_expression("interactionId = :id");
    let query = query.expression_attribute_values(":id", AttributeValue::S(conversation.to_owned()));
    let mut events = Vec::new();
    for item in query
        .into_paginator()
        .items()
        .send()
        .collect::<std::result::Result<Vec<_>, _>>()
        .await?
    {
        let event: AuditItem = from_item(item)?;
        if event["recordingId"] == recording {
            events.push(event);
        }
    }
    events.sort_by_key(|event| event["seq"].as_u64());
    Ok(events)
}

async fn ledger_record(world: &World, conversation: &str, recording: &str) -> Result<Record> {
    let key = |text: &str| AttributeValue::S(text.to_owned());
    let get = world
        .aws
        .dynamodb()
        .get_item()
        .table_name(LEDGER_TABLE)
        .consistent_read(true);
    let got = get
        .key("interactionId", key(conversation))
        .key("recordingId", key(recording))
        .send()
        .await?;
    let item = got
        .item
        .ok_or_else(|| format!("the ledger has nothing about {conversation}/{recording}"))?;
    Ok(from_item(item)?)
}

fn hash_file(path: &Path) -> Result<(String, u64)> {
    let mut file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (mut sha256, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hex::encode(sha256.finalize()), size)),
            read => {
                sha256.update(&buffer[..read]);
                size += read as u64;
            }
        }
    }
}

/// A path as one would type it in the project's folder.
fn shown(path: &Path) -> String {
    path.strip_prefix(env!("CARGO_MANIFEST_DIR"))
        .unwrap_or(path)
        .display()
        .to_string()
}

/// A field of a process' status in MB, where the system tells: Linux.
/// <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>
pub(crate) fn memory(process: u32, field: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    let kib: f64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
