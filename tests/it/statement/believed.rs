//! Documents are believed by the hashes that the audit names, and by nothing else.

use aws_sdk_s3::primitives::ByteStream;
use recording_archiver::sim::BUCKET;
use serde_json::json;

use super::clean::{archived, stated};
use super::days::issued;
use super::{FOLDER, at, conversation, day, key, reasons, recorded, recording};
use crate::support::Bench;

impl Bench {
    async fn put_object(&self, key: &str, body: &str) {
        let put = self.world.aws.s3().put_object().bucket(BUCKET).key(key);
        let body = ByteStream::from(body.as_bytes().to_vec());
        put.body(body).send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_documents_of_runs_no_open_day_is_forgotten() {
    let bench = Bench::stated().await;
    let first = day(&bench, 0);
    bench.world.genesys.add(recorded(first, 1));
    bench.issue().await;
    let runs = bench
        .keys()
        .await
        .into_iter()
        .filter(|key| key.contains("/runs/"));
    for key in runs {
        bench.put_object(&key, "lost").await;
    }
    bench.pass(2);
    let days = [1, 0].map(|before| format!("{} 1", day(&bench, before)));
    let expected = [vec![format!("{first} 2")], days.into()].concat();
    assert_eq!(issued(&bench.issue().await), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_survey_that_is_lost_is_a_gap_and_what_it_named_is_not_taken_for_archived() {
    let bench = archived(1..=1).await;
    let mut late = recorded(day(&bench, 0), 1);
    let mut second = late.recordings[0].clone();
    second.id = recording(11);
    late.recordings.push(second);
    bench.world.genesys.add(late);
    assert_eq!(stated(&bench).await["survey"]["lateRecordings"], 1);
    bench
        .put_object(&key(day(&bench, 0), "1.json"), "{\"clean\": true}")
        .await;
    bench.world.genesys.set_least_retention(1);
    let statement = stated(&bench).await;
    assert_eq!(
        (&statement["clean"], &statement["notChecked"]),
        (&json!(false), &json!(["kept"]))
    );
    let gaps = bench.metrics().pop().unwrap()["StatementGaps"].as_u64();
    assert!(gaps >= Some(1), "{gaps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_the_audit_does_not_name_are_not_believed() {
    let bench = Bench::stated().await;
    let first = day(&bench, 0);
    bench.world.genesys.add(recorded(first, 1));
    bench.issue().await;
    let issued_first = bench.object(&key(first, "1.json")).await.unwrap();
    bench.pass(1);
    // A run that left nothing open, a statement that is clean, one that is none, and a run that is none.
    let run = format!("{FOLDER}runs/{}T06:00:00Z-x.json", day(&bench, -2));
    let clean = json!({"schema": "recording-archiver.statement-run/1", "run": uuid::Uuid::nil(), "began": at(first, 1),
        "statements": [], "carried": [], "left": []});
    bench.put_object(&run, &clean.to_string()).await;
    bench
        .put_object(&format!("{FOLDER}runs/2999-01-01T06:00:00Z-x.json"), "none")
        .await;
    bench.put_object(&key(first, "2.json"), "none").await;
    bench.put_object(&key(first, "7.json"), "{\"number\": 7}").await;
    let second = day(&bench, 0);
    let answer = bench.issue().await;
    assert_eq!(issued(&answer), [format!("{first} 3"), format!("{second} 1")]);
    let statement = bench.statement_of(first, 3).await;
    let hash = crate::support::sha256(&issued_first.bytes);
    assert_eq!(statement["supersedes"]["hash"], hash.as_str());
    assert_eq!(bench.jobs(), [conversation(1)], "sent once");

    // What was issued is replaced by what says that all is well.
    let mut forged = statement.clone();
    (forged["clean"], forged["open"]) = (json!(true), json!([]));
    forged["figures"]["gaps"] = json!(0);
    bench.put_object(&key(first, "3.json"), &forged.to_string()).await;
    bench.pass(30);
    bench.issue().await;
    bench.issue().await;
    let gaps = bench.metrics().pop().unwrap()["StatementGaps"].as_u64();
    assert_eq!(gaps, Some(2), "the gap, and what was said of it before");
    let named = (conversation(1), "never_seen".to_owned());
    assert_eq!(reasons(&bench.statement_of(first, 4).await), [named].into());
}
