//! The naive model: each recording once, with bytes that its source served, and everyone tells the same story.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use recording_archiver::domain::audit::{self, AuditEvent};
use recording_archiver::domain::record::{Record, State};
use recording_archiver::domain::recording::ArchiveKey;
use recording_archiver::sim::genesys::Media;
use recording_archiver::sim::{AUDIT_TABLE, BUCKET, LEDGER_TABLE};
use sha2::{Digest as _, Sha256};

use crate::calls;
use crate::stage::{Result, Stage};
use crate::verdict::{Verdict, scan};

/// Looks at everything that the run left behind.
pub(crate) async fn judge(stage: &Stage) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    if stage.queue.left() > 0 {
        verdict
            .lost
            .push(format!("{} messages were still in the queue", stage.queue.left()));
    }
    check_cases(stage, &mut verdict)?;
    let records: Vec<Record> = scan(stage, LEDGER_TABLE).await?;
    let records: BTreeMap<_, _> = records
        .into_iter()
        .map(|record| {
            (
                (record.interaction_id.clone(), record.recording_id.clone()),
                record,
            )
        })
        .collect();
    let mut events: HashMap<_, Vec<AuditEvent>> = HashMap::new();
    for event in scan::<AuditEvent>(stage, AUDIT_TABLE).await? {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        events
            .entry((text("interactionId"), text("recordingId")))
            .or_default()
            .push(event);
    }
    let mut named = BTreeSet::new();
    for (id, files) in &stage.truth {
        verdict.files += files.len();
        let Some(record) = records.get(id).filter(|record| record.state == State::Notified) else {
            verdict.lost.push(format!(
                "{id:?}: {:?}",
                records.get(id).map(|record| record.state)
            ));
            continue;
        };
        if record.files.len() != files.len() {
            verdict
                .lost
                .push(format!("{id:?}: {} of {} files", record.files.len(), files.len()));
            continue;
        }
        check_files(stage, record, files, &mut verdict).await?;
        named.extend(record.files.iter().map(|file| file.archive_key.key.clone()));
        let mut story = events.remove(id).unwrap_or_default();
        story.sort_by_key(AuditEvent::seq);
        check_story(record, &story, &mut verdict);
    }
    calls::check(stage, &records, &events, &mut verdict).await?;
    check_settled(stage, &records, &mut events, &mut verdict);
    // Call records.
    let wholes = records.iter().filter(|((_, recording), _)| recording == "-");
    let described = wholes.flat_map(|(_, record)| &record.files);
    named.extend(described.map(|file| file.archive_key.key.clone()));
    for key in keys(stage).await?.difference(&named) {
        verdict
            .duplicated
            .push(format!("no record names the object {key}"));
    }
    check_news(stage, &records, &mut verdict);
    Ok(verdict)
}

/// Checks that each entry that nobody can archive ends as its case, and nothing else does.
fn check_cases(stage: &Stage, verdict: &mut Verdict) -> Result<()> {
    let mut missing = stage.cases.clone();
    for exception in stage.world.aws.messages(&stage.world.exception_queue) {
        let case: serde_json::Value = serde_json::from_str(&exception.body)?;
        let id = case["interactionId"].as_str().unwrap_or_default();
        if stage.cases.get(id).is_some_and(|code| case["code"] == *code) {
            verdict.cases += usize::from(missing.remove(id).is_some());
        } else {
            verdict
                .lost
                .push(format!("handed over to people: {}", exception.body));
        }
    }
    for (id, code) in missing {
        verdict
            .lost
            .push(format!("{id} is no case, but should be {code}"));
    }
    Ok(())
}

/// Checks that each conversation is settled, with all its recordings, and its looks are in order, the last one
/// once.
fn check_settled(
    stage: &Stage,
    records: &BTreeMap<(String, String), Record>,
    events: &mut HashMap<(String, String), Vec<AuditEvent>>,
    verdict: &mut Verdict,
) {
    let mut conversations: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
    for (conversation, recording) in stage.truth.keys() {
        conversations.entry(conversation).or_default().push(recording);
    }
    for (conversation, recordings) in conversations {
        let id = (conversation.clone(), "-".to_owned());
        let settled = records.get(&id).filter(|record| record.state == State::Settled);
        let Some(record) = settled else {
            let state = records.get(&id).map(|record| record.state);
            verdict
                .lost
                .push(format!("{conversation} is not settled: {state:?}"));
            continue;
        };
        verdict.settled += 1;
        verdict.looks += record.looks;
        verdict.by_bulk += usize::from(record.settled_by.as_deref() == Some("bulk"));
        if !record.recordings.iter().eq(recordings.iter().copied()) {
            verdict.lost.push(format!(
                "{conversation} is settled with {:?}, not {recordings:?}",
                record.recordings
            ));
        }
        let mut story = events.remove(&id).unwrap_or_default();
        story.sort_by_key(AuditEvent::seq);
        let end = audit::verify(&story);
        let whole = end.is_ok_and(|end| end.head == record.chain_head && end.seq == record.seq);
        verdict.corrupt_unless(whole, || {
            format!("the audit of the looks at {conversation} is broken")
        });
        let of = |action: &str| story.iter().filter(|event| event["action"] == action).count();
        if of("conversation.settled") != 1 {
            let times = of("conversation.settled");
            verdict
                .duplicated
                .push(format!("{conversation} was settled {times} times"));
        }
    }
}

async fn check_files(
    stage: &Stage,
    record: &Record,
    files: &[Vec<Media>],
    verdict: &mut Verdict,
) -> Result<()> {
    let s3 = stage.world.aws.s3();
    for (file, served) in record.files.iter().zip(files) {
        let ArchiveKey { bucket, key } = &file.archive_key;
        let Ok(object) = s3.get_object().bucket(bucket).key(key).send().await else {
            verdict.lost.push(format!("the object {key} is not there"));
            continue;
        };
        let bytes = object.body.collect().await?.into_bytes();
        let hash = hex::encode(Sha256::digest(&bytes));
        let known = served
            .iter()
            .any(|media| media.sha256().is_ok_and(|served| served == hash));
        verdict.corrupt_unless(known, || format!("{key} has bytes that the source never served"));
        let recorded = file.sha256 == hash && file.size_bytes == bytes.len() as u64;
        verdict.corrupt_unless(recorded, || format!("{key} is not what its record says"));
        let tagging = s3.get_object_tagging().bucket(bucket).key(key).send().await?;
        let tags: BTreeSet<_> = tagging
            .tag_set()
            .iter()
            .map(|tag| (tag.key(), tag.value()))
            .collect();
        let right = BTreeSet::from([("compliance", "archive"), ("sha256", hash.as_str())]);
        verdict.corrupt_unless(tags == right, || format!("{key} has the tags {tags:?}"));
    }
    Ok(())
}

fn check_story(record: &Record, story: &[AuditEvent], verdict: &mut Verdict) {
    let id = &record.recording_id;
    match audit::verify(story) {
        Ok(end) => {
            let same = end.head == record.chain_head && end.seq == record.seq;
            verdict.corrupt_unless(same, || {
                format!("the ledger does not know the end of the audit chain of {id}")
            });
        }
        Err(error) => verdict.corrupt.push(format!("audit of {id}: {error}")),
    }
    let with = |action: &str| -> Vec<_> {
        let matching = story.iter().filter(|event| event["action"] == action);
        matching
            .map(|event| event.get("hash").and_then(|hash| hash.as_str()))
            .collect()
    };
    let stored = with("archive.stored");
    if stored.len() > record.files.len() || with("webhook.delivered").len() > 1 {
        verdict
            .duplicated
            .push(format!("the audit of {id} tells one thing twice"));
    }
    let files: Vec<_> = record
        .files
        .iter()
        .map(|file| Some(file.sha256.as_str()))
        .collect();
    let checked = with("download.completed");
    let right = stored == files && files.iter().all(|hash| checked.contains(hash));
    verdict.corrupt_unless(right, || {
        format!("the audit of {id} is of other bytes than the archive")
    });
}

fn check_news(stage: &Stage, records: &BTreeMap<(String, String), Record>, verdict: &mut Verdict) {
    let mut ids: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for delivery in stage.world.webhook.deliveries() {
        let text = |name: &str| delivery.body[name].as_str().unwrap_or_default().to_owned();
        let about = (text("interactionId"), text("recordingId"));
        let first = records.get(&about).and_then(|record| record.files.first());
        let right = delivery.verified && first.is_some_and(|file| file.sha256 == text("hash"));
        verdict.corrupt_unless(right, || {
            format!("the notification about {about:?} is wrong or not signed")
        });
        ids.entry(about).or_default().insert(delivery.id);
    }
    for id in stage.truth.keys() {
        match ids.get(id).map(BTreeSet::len) {
            Some(1) => {}
            None => verdict.lost.push(format!("nobody was told of {id:?}")),
            Some(n) => verdict
                .duplicated
                .push(format!("the notification about {id:?} has {n} ids")),
        }
    }
}

async fn keys(stage: &Stage) -> Result<BTreeSet<String>> {
    let s3 = stage.world.aws.s3();
    let pages = s3
        .list_objects_v2()
        .bucket(BUCKET)
        .into_paginator()
        .send()
        .try_collect()
        .await?;
    let objects = pages.iter().flat_map(|page| page.contents());
    Ok(objects
        .filter_map(|object| object.key().map(str::to_owned))
        .collect())
}
