//! Gathers the evidence for what an invocation archived, from every place that holds some, and compares it:
//! the file on disk, audit, ledger, tag, object metadata and webhook.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::types::AttributeValue;
use recording_archiver::aws::ledger::from_item;
use recording_archiver::domain::audit::{self, Action, AuditEvent};
use recording_archiver::domain::call;
use recording_archiver::domain::record::Record;
use recording_archiver::domain::recording::{ArchiveKey, ArchivedFile, ObjectKind};
use recording_archiver::sim::{AUDIT_TABLE, LEDGER_TABLE, World};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::folder::{Result, shown};
use super::screen::size;

/// The files, items and lines that an invocation left behind, and the contradictions between them.
#[derive(Default)]
pub(crate) struct Evidence {
    pub(crate) files: Vec<File>,
    /// Lines for whoever wants to see all.
    pub(crate) details: Vec<String>,
    pub(crate) broken: Vec<String>,
}

/// An archived file.
pub(crate) struct File {
    pub(crate) conversation: String,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// Gathers the evidence of every recording that this invocation wrote audit events about.
pub(crate) async fn of_invocation(
    world: &World,
    lines: &[Value],
    answer: Option<&Value>,
) -> Result<Evidence> {
    let mut evidence = Evidence::default();
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let touched: BTreeSet<(String, String)> = lines
        .iter()
        .filter(|line| line["audit"] == true)
        .map(|line| (text(line, "interactionId"), text(line, "recordingId")))
        .collect();
    for (conversation, recording) in touched {
        of_recording(world, &conversation, &recording, &mut evidence).await?;
    }
    let results = answer.and_then(|answer| answer["results"].as_array());
    for result in results.into_iter().flatten() {
        if result["outcome"] == "already_archived" {
            let key = &result["files"][0]["archiveKey"];
            evidence.details.push(format!("nothing downloaded again: {key}"));
        }
    }
    Ok(evidence)
}

async fn of_recording(
    world: &World,
    conversation: &str,
    recording: &str,
    evidence: &mut Evidence,
) -> Result<()> {
    let events = audit_trail(world, conversation, recording).await?;
    let record = ledger_record(world, conversation, recording).await?;
    let subject = if recording == "-" {
        "conversation".to_owned()
    } else {
        format!("recording {recording}")
    };
    let state = match record.state.as_str() {
        "notified" => "archived, webhook delivered",
        other => other,
    };
    evidence.details.push(format!("{subject}: {state}"));
    for file in &record.files {
        of_file(world, file, &events, evidence).await?;
        let place = &file.archive_key;
        evidence.files.push(File {
            conversation: conversation.to_owned(),
            path: world.aws.object_path(&place.bucket, &place.key),
            bytes: file.size_bytes,
        });
    }
    let actions: Vec<_> = events.iter().filter_map(|event| event.text("action")).collect();
    let broken_chain = match audit::verify(&events) {
        Ok(end) if end.head == record.chain_head => None,
        Ok(_) => Some("the chain does not end where the ledger says".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    let chain = broken_chain.as_deref().unwrap_or("chain intact");
    evidence
        .details
        .push(format!("audit    {} ({chain})", actions.join(" → ")));
    evidence
        .broken
        .extend(broken_chain.map(|chain| format!("{subject}: {chain}")));
    let error = events.last().and_then(AuditEvent::error);
    evidence
        .details
        .extend(error.map(|error| format!("error    {error}")));
    Ok(())
}

/// Holds one file against everybody who names its hash.
async fn of_file(
    world: &World,
    file: &ArchivedFile,
    events: &[AuditEvent],
    evidence: &mut Evidence,
) -> Result<()> {
    let ArchiveKey { bucket, key } = &file.archive_key;
    let path = world.aws.object_path(bucket, key);
    let (sha256, bytes) = hash_file(&path)?;
    evidence
        .details
        .push(format!("file     {} ({})", shown(&path), size(bytes)));
    let request = world.aws.s3().get_object_tagging().bucket(bucket).key(key);
    let tags = request.send().await?;
    let tag = |name: &str| {
        let tag = tags.tag_set().iter().find(|tag| tag.key() == name);
        tag.map(|tag| tag.value().to_owned()).unwrap_or_default()
    };
    let kind = match file.format == call::FORMAT && file.archive_key.key.ends_with(".json") {
        true => ObjectKind::CallRecord,
        false => ObjectKind::Recording,
    };
    let (delivery, told) = delivered(world, &file.archive_key.to_string()).unwrap_or_default();
    let mut witnesses = vec![
        ("ledger", file.sha256.clone()),
        ("audit", audited(events, &file.archive_key.to_string())),
        ("tag", tag("sha256")),
    ];
    if kind == ObjectKind::Recording {
        witnesses.push(("webhook", told));
    }
    let (agree, differ): (Vec<_>, Vec<_>) = witnesses.into_iter().partition(|(_, hash)| *hash == sha256);
    let names = |list: &[(&str, String)]| list.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let agreeing = names(&agree);
    evidence.details.push(format!(
        "sha256   {sha256} computed from the file; the same in {agreeing}"
    ));
    if !differ.is_empty() {
        let broken = format!(
            "{}: another SHA-256, or none, in {}",
            file.archive_key,
            names(&differ)
        );
        evidence.broken.push(broken);
    }
    if bytes != file.size_bytes || tag("compliance") != kind.tag() {
        let broken = format!(
            "{}: size or the tag compliance={} is wrong",
            file.archive_key,
            kind.tag()
        );
        evidence.broken.push(broken);
    }
    if !delivery.is_empty() {
        evidence
            .details
            .push(format!("webhook  {delivery} signature verified"));
    }
    Ok(())
}

/// Returns the hash in the audit event about storing this file; empty if there is none.
fn audited(events: &[AuditEvent], archive_key: &str) -> String {
    let stored = events.iter().find(|event| {
        let storing = matches!(
            event.action(),
            Some(Action::ArchiveStored | Action::CallDescribed)
        );
        storing && event.archive_key() == Some(archive_key)
    });
    let hash = stored.and_then(AuditEvent::sha256);
    hash.unwrap_or_default().to_owned()
}

/// Returns the id of the verified webhook that named this file, and the hash in it.
fn delivered(world: &World, archive_key: &str) -> Option<(String, String)> {
    world.webhook.deliveries().into_iter().find_map(|delivery| {
        let files = delivery.body["files"].as_array()?;
        let file = files.iter().find(|file| file["archiveKey"] == archive_key)?;
        let hash = file["hash"].as_str().unwrap_or_default().to_owned();
        delivery.verified.then_some((delivery.id, hash))
    })
}

async fn audit_trail(world: &World, conversation: &str, recording: &str) -> Result<Vec<AuditEvent>> {
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
        let event: AuditEvent = from_item(item)?;
        if event.recording() == Some(recording) {
            events.push(event);
        }
    }
    events.sort_by_key(AuditEvent::seq);
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

/// Returns the cases in the exception queue after the first `known` ones.
pub(crate) fn cases(world: &World, known: usize) -> Vec<Value> {
    let messages = world.aws.messages(&world.exception_queue);
    let cases = messages.iter().skip(known);
    cases
        .filter_map(|case| serde_json::from_str(&case.body).ok())
        .collect()
}

/// Reads a field of a process' status in MiB, where the system has it: Linux.
/// <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>
pub(crate) fn memory(process: u32, field: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    let kib: f64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}
