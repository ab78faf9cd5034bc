//! Which values find a call: ids without a name, late ones, those of a leg that was consulted, and what says so where
//! the catalog has none.

use std::collections::BTreeSet;

use recording_archiver::sim::genesys::Conversation;
use recording_archiver::sim::wire::Service;
use recording_archiver::sim::{BUCKET, CATALOG_TABLE};
use serde_json::{Value, json};

use super::calls::{Call, agent, caller, wrapup};
use super::{archivectl, catalog, command, end, find, found, those};
use crate::calls::DESCRIBING;
use crate::support::{Bench, invoke};
use crate::work::Work;

/// Returns a call as Genesys has it, with another value instead of one.
fn with(call: &Call, (value, other): (&str, &str)) -> Conversation {
    let mut conversation = call.conversation();
    let participants = conversation.participants.unwrap().to_string();
    let participants = participants.replace(value, other);
    conversation.participants = Some(serde_json::from_str(&participants).unwrap());
    conversation
}

/// Returns call `number` as Genesys has it, with another wrap-up code.
fn wrapped_up(number: usize, code: &str) -> Conversation {
    let call = Call::new(number);
    with(&call, (&wrapup(call.wrapup), code))
}

/// Archives a conversation until it is settled.
async fn settle(bench: &Bench, conversation: Conversation) {
    bench.world.genesys.set_transcoding(0);
    let job = json!({"conversationId": conversation.id});
    bench.world.genesys.add(conversation);
    let handler = bench.handler(&DESCRIBING);
    invoke(&handler, job).await.unwrap();
    Work::of(bench).run_dry(&handler).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_without_a_name_and_a_uuid_in_any_form_find_the_call() {
    let bench = Bench::new().await;
    let built_in = "ININ-WRAP-UP-TIMEOUT";
    settle(&bench, wrapped_up(0, built_in)).await;
    let id = BTreeSet::from([Call::new(0).id()]);
    let agent = agent(0);
    for (option, value) in [
        ("--wrapup", built_in.to_owned()),
        ("--agent", agent.to_uppercase()),
        ("--agent", agent.replace('-', "")),
        ("--agent", format!("{{{agent}}}")),
        ("--agent", format!("urn:uuid:{agent}")),
    ] {
        bench.world.wire.forget();
        assert_eq!(
            found(&bench, CATALOG_TABLE, &[option, &value]).await,
            id,
            "{value}"
        );
        let requests = bench.world.wire.count(Service::DynamoDb, "Query");
        assert!(requests <= 10, "{value}: {requests} requests");
    }
    for nobody in ["ININ-WRAP-UP-SKIPPED", "ININ WRAP"] {
        let ran = find(&bench, CATALOG_TABLE, &["--wrapup", nobody]).await;
        assert_eq!(ran.code(), Some(2), "{ran:?}");
        let told = format!("the catalog knows no wrapup named \"{nobody}\"");
        assert!(ran.stderr.contains(&told), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_says_how_many_recordings_it_may_have_missed_and_one_by_time_finds_them() {
    let bench = Bench::new().await;
    let calls: Vec<_> = (0..3).map(Call::new).collect();
    for call in &calls {
        // Genesys gives no details of the second one.
        bench.world.genesys.deny_analytics(call.number == 1);
        settle(&bench, call.conversation()).await;
    }
    let told = |ran: &super::Ran| ["found", "partial"].map(|name| ran.summary()[name].clone());
    let division = super::calls::division(0);
    let by_value = ["--division", &division, "--json"];
    let ran = find(&bench, CATALOG_TABLE, &by_value).await;
    assert_eq!(told(&ran), [json!(2), json!(1)], "{ran:?}");
    // Page by page, each is counted once.
    let first = find(
        &bench,
        CATALOG_TABLE,
        &[&by_value[..], &["--limit", "1"]].concat(),
    )
    .await;
    assert_eq!(told(&first), [json!(1), json!(0)], "{first:?}");
    let mark = first.summary()["after"].as_str().unwrap().to_owned();
    let second = find(
        &bench,
        CATALOG_TABLE,
        &[&by_value[..], &["--after", &mark]].concat(),
    )
    .await;
    assert_eq!(told(&second), [json!(1), json!(1)], "{second:?}");
    let by_agent = ["--agent", &agent(1)];
    let none = find(&bench, CATALOG_TABLE, &by_agent).await;
    assert_eq!(none.code(), Some(3), "{none:?}");
    assert!(
        none.stdout.contains("1 recording of this time may fit"),
        "{none:?}"
    );
    let csv = find(&bench, CATALOG_TABLE, &[&by_agent[..], &["--csv"]].concat()).await;
    assert!(csv.stderr.contains("1 recording of this time may fit"), "{csv:?}");
    let by_time = find(&bench, CATALOG_TABLE, &["--json"]).await;
    assert_eq!(told(&by_time), [json!(3), json!(0)], "{by_time:?}");
    let partial: Vec<_> = by_time
        .items()
        .iter()
        .map(|item| item["partial"].clone())
        .collect();
    assert_eq!(partial, [false, true, false].map(Value::from));
    // Nothing is left of one that is erased.
    let erase = ["erase", &calls[1].id(), "--reason", "request 4711", "--yes"];
    let ran = archivectl(&bench, &erase).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let items = catalog(&bench, CATALOG_TABLE).await;
    assert!(
        items.keys().all(|(_, at)| !at.contains(&calls[1].id())),
        "{items:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_by_number_says_how_many_recordings_have_numbers_that_are_left_out_and_no_other_search_does()
{
    let bench = Bench::new().await;
    let calls: Vec<_> = (0..3).map(Call::new).collect();
    for call in &calls {
        // Of the second one Genesys gives a number in national form, of the third one no details.
        bench.world.genesys.deny_analytics(call.number == 2);
        let given = if call.number == 1 {
            "030123001"
        } else {
            &caller(call.caller)
        };
        settle(&bench, with(call, (&caller(call.caller), given))).await;
    }
    let told = |ran: &super::Ran| ["found", "partial", "national"].map(|name| ran.summary()[name].clone());
    let number = caller(1);
    let by_number = ["--number", &number];
    let ran = find(&bench, CATALOG_TABLE, &[&by_number[..], &["--json"]].concat()).await;
    assert_eq!(told(&ran), [json!(0), json!(1), json!(1)], "{ran:?}");
    for options in [&[][..], &["--csv"]] {
        let ran = find(&bench, CATALOG_TABLE, &[&by_number, options].concat()).await;
        let words = [ran.stdout.as_str(), &ran.stderr].concat();
        assert!(
            words.contains("1 recording of this time may fit and not be found by number")
                && words.contains("set NUMBER_COUNTRY"),
            "{ran:?}"
        );
    }
    let by_agent = ["--agent", &agent(1), "--json"];
    let ran = find(&bench, CATALOG_TABLE, &by_agent).await;
    assert_eq!(told(&ran), [json!(1), json!(1), json!(0)], "{ran:?}");
    let by_time = find(&bench, CATALOG_TABLE, &["--json"]).await;
    assert_eq!(told(&by_time), [json!(3), json!(0), json!(0)], "{by_time:?}");
    let items = by_time.items();
    let marks = |name: &str| items.iter().map(|item| item[name].clone()).collect::<Vec<_>>();
    assert_eq!(marks("national"), [0, 1, 0].map(Value::from));
    assert_eq!(marks("partial"), [false, false, true].map(Value::from));
    // With a country the number is found, and nothing says that it is not.
    let mut rebuild = command(&bench, &["catalog", "rebuild", "--json"]);
    let rebuilt = end(rebuild.env("NUMBER_COUNTRY", "DE").spawn().unwrap()).await;
    assert_eq!(rebuilt.summary()["removed"], 1, "{rebuilt:?}");
    let ran = find(&bench, CATALOG_TABLE, &[&by_number[..], &["--json"]].concat()).await;
    assert_eq!(told(&ran), [json!(1), json!(1), json!(0)], "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrap_up_code_that_comes_after_the_first_look_is_waited_for_and_finds_the_call() {
    let bench = Bench::new().await;
    let code = wrapup(3);
    let (mut open, done) = (wrapped_up(1, &code), wrapped_up(1, &code));
    // After-call work goes on.
    open.acw_open = true;
    let segments = open.participants.as_mut().unwrap();
    segments[1]["sessions"][0]["segments"] = json!([{"segmentType": "wrapup"}]);
    bench.world.genesys.set_transcoding(0);
    bench.world.genesys.add(open);
    let handler = bench.handler(&DESCRIBING);
    let id = Call::new(1).id();
    invoke(&handler, json!({"conversationId": id})).await.unwrap();
    let mut work = Work::of(&bench);
    work.deliver(&handler).await;
    let call = format!("recordings/{id}/call.json");
    assert!(bench.object(&call).await.is_none(), "another look follows");
    bench.world.genesys.add(done);
    work.run_dry(&handler).await;
    assert!(bench.object(&call).await.is_some());
    assert_eq!(
        found(&bench, CATALOG_TABLE, &["--wrapup", &code]).await,
        BTreeSet::from([id])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_recording_lies_in_glacier_is_found_without_a_request_to_s3() {
    let (bench, calls) = super::archive(2).await;
    for (call, class) in calls.iter().zip(["GLACIER", "DEEP_ARCHIVE"]) {
        let key = format!("recordings/{}/{}.wav", call.id(), call.recording());
        assert!(bench.world.aws.transition(BUCKET, &key, class), "{key}");
    }
    bench.world.wire.forget();
    for call in &calls {
        let agent = agent(call.number);
        let expected = those(&calls, |one| one.number == call.number);
        assert_eq!(found(&bench, CATALOG_TABLE, &["--agent", &agent]).await, expected);
    }
    let asked = bench.world.wire.exchanges();
    assert!(asked.iter().all(|call| call.service != Service::S3), "{asked:?}");
}
