//! Answers that are longer than any that is meant.

use std::time::Duration;

use super::*;

const MIB: usize = 1024 * 1024;

async fn refused(bench: &Bench, bound: &str) {
    let error = bench.invoke(job()).await.unwrap_err();
    assert_eq!(error.kind().code(), "transient", "{error}");
    assert!(error.to_string().contains(bound), "{error} lacks {bound}");
    assert!(bench.keys().await.is_empty());
}

#[tokio::test]
async fn a_token_answer_has_64_kib_at_most() {
    for (padding, fits) in [(60 * 1024, true), (64 * 1024, false)] {
        let bench = Bench::new().await;
        let token = json!({"access_token": "x", "expires_in": 86_400, "padding": " ".repeat(padding)});
        bench.always_answers("token", json_text(token.to_string()));
        if fits {
            let error = bench.invoke(job()).await.unwrap_err().to_string();
            assert!(
                error.contains("a fresh token did not help"),
                "it was taken: {error}"
            );
        } else {
            refused(&bench, "64 KiB").await;
            assert_eq!(
                bench.asked_for(Service::Login, "token"),
                1,
                "the next would be as long"
            );
            assert_eq!(bench.asked_for(Service::Genesys, "recordingmetadata"), 0);
        }
    }
}

#[tokio::test]
async fn a_list_has_1_mib_at_most() {
    for (padding, fits) in [(MIB - 1024, true), (MIB, false)] {
        let bench = Bench::with_a_call().await;
        let list = format!(
            "[{{\"id\": \"{RECORDING}\", \"media\": \"audio\"}}{}]",
            " ".repeat(padding)
        );
        bench.always_answers("recordingmetadata", json_text(list));
        if fits {
            assert_eq!(bench.archive().await[0]["outcome"], "archived");
        } else {
            refused(&bench, "1 MiB").await;
            assert_eq!(bench.asked_for(Service::Genesys, "recordingmetadata"), 1);
        }
    }
}

#[tokio::test]
async fn a_list_has_1000_entries_at_most() {
    for entry in ["null", "{}"] {
        let bench = Bench::new().await;
        let list = format!("[{}]", vec![entry; 1_001].join(","));
        bench.always_answers("recordingmetadata", json_text(list));
        refused(&bench, "1,000 entries").await;
        assert!(bench.audit(CONVERSATION, "-").await.is_empty());
    }
}

#[tokio::test]
async fn unreadable_entries_are_one_event_and_one_case_however_many_there_are() {
    let bench = Bench::with_a_call().await;
    let good = format!("{{\"id\": \"{RECORDING}\", \"media\": \"audio\"}}");
    let list = format!("[{},{good}]", vec!["{},null"; 400].join(","));
    bench.always_answers("recordingmetadata", json_text(list));
    let summary = bench.invoke(job()).await.unwrap();
    let mut outcomes = outcomes(&summary);
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["archived", "failed"]);
    let events = bench.audit(CONVERSATION, "-").await;
    assert_eq!(events.len(), 1);
    let told = events[0]["error"].as_str().unwrap();
    assert!(
        told.contains("800 entries unreadable") && told.contains("UUID"),
        "{told}"
    );
    assert_eq!(bench.codes(), ["rejected"]);
}

#[tokio::test]
async fn what_is_not_wanted_is_not_written_down_when_the_time_is_up() {
    let bench = Bench::new().await;
    let entry = |n: usize| format!("{{\"id\": \"e0000000-0000-4000-8000-{n:012}\", \"media\": \"screen\"}}");
    let list = (0..1_000).map(entry).collect::<Vec<_>>().join(",");
    bench.always_answers("recordingmetadata", json_text(format!("[{list}]")));
    let handler = bench.handler(&[]);
    let stop = handler.stop().clone();
    let mut written = 0;
    bench.world.wire.disturb(move |asked| {
        written += usize::from(asked.operation == "TransactWriteItems");
        if written == 3 {
            stop.pull();
        }
        None
    });
    let error = invoke_for(&handler, job(), Duration::from_secs(900))
        .await
        .unwrap_err();
    assert_eq!(error.kind().code(), "deadline_near");
    let written = bench.asked_for(Service::DynamoDb, "TransactWriteItems");
    assert!(written < 10, "{written} events were written after the end");
}

#[tokio::test]
async fn what_is_said_of_one_recording_has_32_mib_and_1000_files_at_most() {
    let bench = Bench::with_a_call().await;
    let padded = format!("{{\"id\": \"{RECORDING}\"{}}}", " ".repeat(32 * MIB));
    bench.always_answers("recording", json_text(padded));
    refused(&bench, "32 MiB").await;
    assert_eq!(bench.asked_for(Service::Genesys, "recording"), 1);

    let bench = Bench::with_a_call().await;
    let files = (0..1_001).map(|n| format!("\"{n}\": {{\"mediaUri\": \"https://x/{n}\"}}"));
    let files = files.collect::<Vec<_>>().join(",");
    bench.always_answers("recording", json_text(format!("{{\"mediaUris\": {{{files}}}}}")));
    refused(&bench, "1,000 entries").await;
    assert_eq!(bench.asked_for(Service::Media, "media"), 0);
}

/// Nothing waits here: the time that is left is shorter than the wait, and the error names it.
#[tokio::test]
async fn a_5xx_may_ask_for_a_minute_at_most_and_a_429_for_what_it_likes() {
    for (status, waits) in [(503, "in 60 s"), (500, "in 60 s"), (429, "in 800 s")] {
        for operation in ["token", "recordingmetadata"] {
            let bench = Bench::with_a_call().await;
            let asks = Fault::Respond {
                status,
                headers: vec![("retry-after".to_owned(), "800".to_owned())],
                body: Vec::new(),
            };
            bench.always_answers(operation, asks);
            let error = invoke_for(&bench.handler(&[]), job(), Duration::from_secs(60)).await;
            let error = error.unwrap_err().to_string();
            assert!(error.contains(waits), "{operation} {status}: {error}");
        }
    }
}

#[tokio::test]
async fn the_details_of_a_conversation_have_8_mib_at_most() {
    let bench = Bench::new().await;
    let conversation = recording_archiver::sim::genesys::Conversation::new(CONVERSATION);
    bench.world.genesys.add(conversation);
    let padded = format!(
        "{{\"conversationId\": \"{CONVERSATION}\"{}}}",
        " ".repeat(8 * MIB)
    );
    bench.always_answers("details-one", json_text(padded));
    // Nothing is listed, so the details are asked at once.
    let handler = bench.handler(&[SETTLING]);
    let summary = invoke(&handler, job()).await.unwrap();
    assert_eq!(outcomes(&summary), ["settling"]);
    // Had they been read, the next look would be an hour after the end.
    let next = bench.record(CONVERSATION, "-").await.unwrap().next_look_at;
    let wait = next.unwrap().duration_since(bench.clock.now());
    assert!(wait.as_secs() <= 900, "as if nothing had been told: {wait:?}");
}
