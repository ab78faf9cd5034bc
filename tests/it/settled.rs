//! Invariants of a recording once everything has come to rest, whatever happened on the way.

use std::collections::BTreeSet;

use recording_archiver::domain::audit::AuditEvent;
use recording_archiver::domain::record::State;
use recording_archiver::domain::recording::ArchivedFile;

use crate::support::{Bench, CONVERSATION, RECORDING, sha256};

/// Holds object, ledger, audit and webhook of [`RECORDING`] against each other. `files` has, for each file of the
/// recording, the hashes of everything that the source ever served of it.
pub(crate) async fn assert_settled(bench: &Bench, files: &[Vec<String>], story: &str) {
    let record = bench.record(CONVERSATION, RECORDING).await.expect(story);
    assert_eq!(record.state, State::Notified, "{story}");
    assert_eq!(record.files.len(), files.len(), "{story}: {:?}", record.files);
    let in_bucket: BTreeSet<_> = bench.keys().await.into_iter().collect();
    let keys = |files: &[ArchivedFile]| -> BTreeSet<_> {
        files.iter().map(|file| file.archive_key.key.clone()).collect()
    };
    let (archived, former) = (keys(&record.files), keys(&record.former_files));
    assert!(archived.is_subset(&in_bucket), "{story}: what is named is there");
    assert!(
        in_bucket.is_subset(&(&archived | &former)),
        "{story}: what is there is named"
    );
    assert!(archived.is_disjoint(&former), "{story}: and named once");
    for (file, served) in record.files.iter().zip(files) {
        assert_whole(bench, file, served, story).await;
    }
    let events = bench.audit(CONVERSATION, RECORDING).await;
    assert_consistent(&events, &record.files, story);
    let deliveries = bench.world.webhook.deliveries();
    let ids: BTreeSet<_> = deliveries.iter().map(|delivery| &delivery.id).collect();
    assert_eq!(ids.len(), 1, "{story}: one id, however often it was told");
    for delivery in &deliveries {
        assert!(delivery.verified, "{story}");
        assert_eq!(delivery.body["hash"], record.files[0].sha256, "{story}");
        assert_eq!(
            delivery.body["files"].as_array().map(Vec::len),
            Some(files.len()),
            "{story}"
        );
    }
}

/// Asserts that the bytes of an object are among those the source served, and that all that is told of it is true.
async fn assert_whole(bench: &Bench, file: &ArchivedFile, served: &[String], story: &str) {
    let object = bench.object(&file.archive_key.key).await.expect(story);
    let hash = sha256(&object.bytes);
    assert!(
        served.contains(&hash),
        "{story}: bytes that the source never served"
    );
    assert_eq!(hash, file.sha256, "{story}");
    assert_eq!(object.bytes.len() as u64, file.size_bytes, "{story}");
    let tags: BTreeSet<_> = object.tags.into_iter().collect();
    let told = [
        ("compliance".to_owned(), "archive".to_owned()),
        ("sha256".to_owned(), hash),
    ];
    assert_eq!(tags, told.into(), "{story}");
}

/// Asserts that the audit has no contradictions: begun, each file completed and then stored as it is now, notified.
fn assert_consistent(events: &[AuditEvent], files: &[ArchivedFile], story: &str) {
    let actions: Vec<&str> = events
        .iter()
        .map(|event| event["action"].as_str().unwrap())
        .collect();
    let at = |action: &str| -> Vec<usize> {
        let positions = actions.iter().enumerate();
        positions
            .filter(|(_, found)| **found == action)
            .map(|(n, _)| n)
            .collect()
    };
    let story = format!("{story}: {actions:?}");
    assert_eq!(actions[0], "download.initiated", "{story}");
    assert_eq!(actions.last(), Some(&"webhook.delivered"), "{story}");
    assert_eq!(at("webhook.delivered").len(), 1, "{story}");
    let stored = at("archive.stored");
    assert_eq!(stored.len(), files.len(), "{story}: each file is stored once");
    let nothing_to_do_with_bytes = actions[stored[0]..]
        .iter()
        .all(|action| !action.starts_with("download."));
    assert!(
        nothing_to_do_with_bytes,
        "{story}: what is archived is not touched again"
    );
    for (event, file) in stored.iter().map(|n| &events[*n]).zip(files) {
        assert_eq!(event["hash"], file.sha256, "{story}");
        assert_eq!(event["archiveKey"], file.archive_key.to_string(), "{story}");
        assert_eq!(event["sizeBytes"], file.size_bytes, "{story}");
        let completed = at("download.completed").into_iter().filter(|n| {
            let told = |name| events[*n].get(name) == event.get(name);
            told("hash") && told("archiveKey") && told("attemptId")
        });
        assert_eq!(
            completed.count(),
            1,
            "{story}: its bytes were checked before, once"
        );
    }
}
