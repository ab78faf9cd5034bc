//! The call records and the catalog of a run: each settled conversation is described, and each of its recordings found.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use recording_archiver::domain::audit::AuditEvent;
use recording_archiver::domain::call::CallRecord;
use recording_archiver::domain::record::{Record, State};
use recording_archiver::sim::CATALOG_TABLE;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::stage::{Result, Stage};
use crate::verdict::{Verdict, scan};

/// A conversation, and a recording or `-`.
type Id = (String, String);

/// Partition key, conversation and recording of an item of the catalog.
type Found = (String, String, String);

/// Checks that each settled conversation has call records whose hashes are those of ledger and audit, that the last one
/// names each recording with its files as in the ledger, and that the catalog finds each of them by the hour.
pub(crate) async fn check(
    stage: &Stage,
    records: &BTreeMap<Id, Record>,
    events: &HashMap<Id, Vec<AuditEvent>>,
    verdict: &mut Verdict,
) -> Result<()> {
    let catalog = catalog(stage).await?;
    let conversations: BTreeSet<&String> = stage.truth.keys().map(|(conversation, _)| conversation).collect();
    for conversation in conversations {
        let id = id_of(conversation, "-");
        let settled = records.get(&id).filter(|record| record.state == State::Settled);
        let Some(whole) = settled else {
            continue;
        };
        check_audit(whole, events.get(&id).map_or(&[], Vec::as_slice), verdict);
        let Some(call) = last(stage, whole, verdict).await? else {
            continue;
        };
        verdict.calls += 1;
        let start = call.facts(None).start;
        let hour = format!("hour#{}", start.strftime("%Y-%m-%dT%H"));
        for ((conversation, recording), _) in stage
            .truth
            .range(id_of(conversation, "")..id_of(conversation, "~"))
        {
            let record = records.get(&id_of(conversation, recording));
            check_recording(&call, recording, record, verdict);
            if !catalog.contains(&(hour.clone(), conversation.clone(), recording.clone())) {
                verdict
                    .lost
                    .push(format!("the catalog does not find {recording} by {hour}"));
            }
        }
    }
    Ok(())
}

fn id_of(conversation: &str, recording: &str) -> Id {
    (conversation.to_owned(), recording.to_owned())
}

async fn catalog(stage: &Stage) -> Result<BTreeSet<Found>> {
    let items: Vec<Value> = scan(stage, CATALOG_TABLE).await?;
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let found = |item: &Value| {
        (
            text(item, "facet"),
            text(item, "interactionId"),
            text(item, "recordingId"),
        )
    };
    Ok(items.iter().map(found).collect())
}

/// Checks that the audit tells of each call record of a conversation once, in order.
fn check_audit(whole: &Record, story: &[AuditEvent], verdict: &mut Verdict) {
    let mut described: Vec<_> = story
        .iter()
        .filter(|event| event["action"] == "call.described")
        .collect();
    described.sort_by_key(|event| event.seq());
    let told = described.iter().map(|event| event["hash"].as_str());
    let kept = whole.files.iter().map(|file| Some(file.sha256.as_str()));
    verdict.corrupt_unless(told.eq(kept), || {
        format!(
            "the audit tells of other call records of {} than the ledger",
            whole.interaction_id
        )
    });
}

/// Returns the last call record of a conversation, after its bytes were checked.
async fn last(stage: &Stage, whole: &Record, verdict: &mut Verdict) -> Result<Option<CallRecord>> {
    let id = &whole.interaction_id;
    let Some(file) = whole.files.last() else {
        verdict.lost.push(format!("{id} has no call record"));
        return Ok(None);
    };
    let place = &file.archive_key;
    let s3 = stage.world.aws.s3();
    let getting = s3.get_object().bucket(&place.bucket).key(&place.key);
    let Ok(object) = getting.send().await else {
        verdict
            .lost
            .push(format!("the call record {} is not there", place.key));
        return Ok(None);
    };
    let bytes = object.body.collect().await?.into_bytes();
    let same = hex::encode(Sha256::digest(&bytes)) == file.sha256;
    verdict.corrupt_unless(same, || format!("{} is not what its record says", place.key));
    let call = CallRecord::read(&bytes);
    if let Err(error) = &call {
        verdict.corrupt.push(format!("{} {error}", place.key));
    }
    Ok(call.ok())
}

/// Checks that a call record names a recording as the ledger does.
fn check_recording(call: &CallRecord, recording: &str, record: Option<&Record>, verdict: &mut Verdict) {
    let Some(named) = call.archived().find(|named| named.recording_id == recording) else {
        verdict.lost.push(format!(
            "no call record of {} names {recording}",
            call.interaction_id
        ));
        return;
    };
    let files = record.map_or(&[][..], |record| &record.files);
    let kept = files.iter().map(|file| (&file.archive_key, &file.sha256));
    let told = named.files.iter().map(|file| (&file.archive_key, &file.sha256));
    verdict.corrupt_unless(told.eq(kept), || {
        format!(
            "the call record of {} has other files of {recording}",
            call.interaction_id
        )
    });
}
