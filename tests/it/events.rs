//! Every file in `events/` comes to what its name promises.

use std::collections::BTreeSet;

use recording_archiver::sim::library;
use serde_json::{Value, json};

use crate::openapi;
use crate::support::{Bench, SETTLING, invoke, project};

fn files() -> Vec<(String, Value)> {
    let folder = std::fs::read_dir(project().join("events")).unwrap();
    let mut files: Vec<_> = folder
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter_map(|path| {
            let stem = path.file_stem()?.to_str()?.to_owned();
            stem.contains('.').then(|| {
                (
                    stem,
                    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap(),
                )
            })
        })
        .collect();
    files.sort_by(|one, other| one.0.cmp(&other.0));
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_event_comes_to_what_its_name_promises() {
    let bench = Bench::new().await;
    library::fill(&bench.world.genesys);
    let conversations = bench.handler(&[SETTLING]);
    let interactions = bench.handler(&[("GENESYS_RECORDING_API", "interactions")]);
    let files = files();
    assert!(files.len() >= 20, "the sample events are there");
    for (stem, event) in files {
        let (story, promise) = stem.split_once('.').unwrap();
        let before = bench.metrics().len();
        let handler = if story.contains("-interactions-") {
            &interactions
        } else {
            &conversations
        };
        let answer = invoke(handler, event.clone()).await;
        let metrics = bench.metrics().split_off(before);
        let outcomes: BTreeSet<&str> = metrics
            .iter()
            .flat_map(|line| {
                line["Outcome"]
                    .as_str()
                    .into_iter()
                    .chain((line["EventsIgnored"] == 1).then_some("ignored"))
            })
            .collect();
        assert_eq!(
            outcomes,
            promise.split("-and-").collect::<BTreeSet<_>>(),
            "{story}: {answer:?}"
        );
        match answer {
            Ok(answer) if event.get("Records").is_some() => {
                assert_eq!(answer, json!({"batchItemFailures": []}), "{story}");
            }
            Ok(answer) => assert!(answer["results"].is_array(), "{story}"),
            Err(error) => assert_eq!(error.kind().code(), "malformed_job", "{story}: {error}"),
        }
    }
}

#[test]
fn sample_eventbridge_events_have_the_documented_shape() {
    let mut seen = 0;
    for (_, event) in files() {
        let bodies = event["Records"].as_array().into_iter().flatten();
        let bodies = bodies.filter_map(|record| serde_json::from_str(record["body"].as_str()?).ok());
        for candidate in std::iter::once(event.clone()).chain(bodies) {
            if candidate.get("detail-type").is_some() {
                openapi::assert_is("EventBridgeEvent", &candidate);
                seen += 1;
            }
        }
    }
    assert!(seen >= 8);
}
