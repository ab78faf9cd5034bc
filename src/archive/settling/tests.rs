use serde_json::json;

use super::*;
use crate::config::Config;
use crate::domain::recording::ConversationId;

const ID: &str = "c0000000-0000-4000-8000-000000000001";
const START: Timestamp = Timestamp::constant(1_768_472_430, 0);
const HOUR: i64 = 3600;

fn limits() -> LimitConfig {
    let config = Config::from_lookup(|name| {
        let needed = [
            "GENESYS_SECRET_ID",
            "S3_BUCKET_NAME",
            "AUDIT_TABLE_NAME",
            "LEDGER_TABLE_NAME",
        ];
        needed
            .contains(&name)
            .then(|| name.to_lowercase().replace('_', "-"))
    });
    config.unwrap().limits
}

fn at(seconds: i64) -> Timestamp {
    START + SignedDuration::from_secs(seconds)
}

fn record(value: serde_json::Value) -> Record {
    let mut all = json!({"interactionId": ID, "recordingId": "-", "state": "settling", "format": "wav", "attempts": 0,
        "leaseOwner": "00000000-0000-0000-0000-000000000000", "leaseExpiresAt": 0, "chainHead": "", "seq": 1,
        "updatedAt": START});
    for (name, value) in value.as_object().unwrap() {
        all[name] = value.clone();
    }
    serde_json::from_value(all).unwrap()
}

/// After `looks` looks that all listed this.
fn looked(looks: u32, listed: &[&str]) -> Record {
    record(json!({"looks": looks, "listed": listed, "recordings": listed, "listedSince": START}))
}

fn job(look: Option<u32>, recheck: bool) -> Job {
    Job {
        look,
        recheck,
        ..Job::new(ConversationId::parse(ID).unwrap())
    }
}

#[test]
fn a_job_is_stale_answered_joined_or_taken_by_what_the_ledger_knows() {
    let overdue = HOUR + 1;
    let settling = |next: i64| record(json!({"looks": 2, "nextLookAt": at(next)}));
    let state = |state: &str, looks: u32| {
        record(json!({"state": state, "looks": looks, "deferrals": 1, "nextLookAt": START}))
    };
    for (look, recheck, known, planned) in [
        (None, false, None, Plan::Take(1)),
        (Some(2), false, None, Plan::Take(1)),
        (Some(9), false, Some(settling(0)), Plan::Take(3)),
        (None, false, Some(settling(0)), Plan::Join),
        (None, false, Some(settling(-overdue)), Plan::Take(3)),
        (None, true, Some(settling(0)), Plan::Take(3)),
        (Some(2), false, Some(settling(0)), Plan::Stale),
        (Some(3), false, Some(settling(0)), Plan::Take(3)),
        (None, false, Some(state("settled", 2)), Plan::Answer),
        (None, true, Some(state("settled", 2)), Plan::Take(3)),
        (Some(3), false, Some(state("settled", 2)), Plan::Stale),
        (Some(3), true, Some(state("settled", 2)), Plan::Take(3)),
        (None, false, Some(state("unrecorded", 2)), Plan::Answer),
        (Some(3), false, Some(state("unrecorded", 2)), Plan::Stale),
        // Listing them failed, or nothing was listed: the same job comes again.
        (None, false, Some(state("deferred", 0)), Plan::Join),
        (None, false, Some(state("deferred", 1)), Plan::Join),
        (Some(2), false, Some(state("deferred", 1)), Plan::Take(2)),
        (None, false, Some(state("failed", 3)), Plan::Take(4)),
        (Some(4), false, Some(state("failed", 3)), Plan::Take(4)),
    ] {
        let found = plan(&job(look, recheck), None, known.as_ref(), START);
        assert_eq!(found, planned, "look {look:?}, recheck {recheck}, {known:?}");
    }
}

#[test]
fn a_deferred_job_goes_on_unless_another_one_was_sent_in_its_place() {
    let again = Job {
        deferrals: 1,
        ..job(None, false)
    };
    for (looks, sent, planned) in [(0, 1, Plan::Take(1)), (0, 2, Plan::Join), (2, 1, Plan::Take(3))] {
        let known =
            record(json!({"state": "deferred", "looks": looks, "deferrals": sent, "nextLookAt": at(30)}));
        let found = plan(&again, None, Some(&known), START);
        assert_eq!(found, planned, "{looks} looks, deferred {sent} times");
    }
}

#[test]
fn a_later_end_event_looks_again_at_what_was_settled_without_the_details() {
    let planned = |ended: Option<i64>, known: &Record| {
        let job = Job {
            first_seen: Some(at(1)),
            ..job(None, false)
        };
        plan(&job, ended.map(at), Some(known), at(HOUR))
    };
    let known = |by: &str| record(json!({"state": "settled", "looks": 4, "settledBy": by, "since": START}));
    for by in ["listing", BULK] {
        let known = known(by);
        assert_eq!(planned(Some(1), &known), Plan::Take(5));
        assert_eq!(planned(Some(0), &known), Plan::Answer);
        assert_eq!(planned(None, &known), Plan::Answer, "no event");
    }
    assert_eq!(planned(Some(1), &known("details")), Plan::Answer);
}

#[test]
fn a_look_leaves_alone_what_is_final_and_what_has_a_job_of_its_own() {
    for (state, work) in [
        ("claimed", true),
        ("storing", true),
        ("archived", false),
        ("notified", false),
        ("skipped", false),
        ("failed", false),
        ("expired", false),
        ("deferred", false),
    ] {
        let record = record(json!({"state": state}));
        assert_eq!(needs_work(Some(&record), at(HOUR)), work, "{state}");
    }
    assert!(needs_work(None, START), "a new one");
    for state in ["claimed", "archived"] {
        let leased = record(json!({"state": state, "leaseExpiresAt": at(600).as_millisecond()}));
        assert!(!needs_work(Some(&leased), at(599)), "{state}: a run is at it");
        assert!(
            needs_work(Some(&leased), at(600)),
            "{state}: it died, perhaps before it told the receiver"
        );
    }
    let deferred = record(json!({"state": "deferred"}));
    assert!(needs_work(Some(&deferred), at(6 * HOUR + 1)), "its job is lost");
}

/// What the details say.
#[derive(Debug, Clone, Copy)]
enum Say {
    Ended,
    EndedRecorded,
    GoesOn,
    GoesOnRecorded,
    Unknown,
    Denied,
    TooLong,
}

impl Say {
    fn told(self) -> Told {
        let known = |ended: bool, recorded: bool| {
            Told::Known(Box::new(Conversation {
                id: ConversationId::parse(ID).unwrap(),
                start: START,
                end: ended.then_some(START),
                media_types: Vec::new(),
                directions: Vec::new(),
                queues: Vec::new(),
                divisions: Vec::new(),
                recorded,
                screen_recorded: false,
                snippet_recorded: false,
                started: Vec::new(),
                open: Vec::new(),
                given: None,
            }))
        };
        match self {
            Self::Ended => known(true, false),
            Self::EndedRecorded => known(true, true),
            Self::GoesOn => known(false, false),
            Self::GoesOnRecorded => known(false, true),
            Self::Unknown => Told::Unknown,
            Self::Denied => Told::Denied,
            Self::TooLong => Told::TooLong,
        }
    }
}

/// What follows look `look`, `seconds` after the end event, which listed `listed`; `None`: the details were not needed.
fn next(look: u32, seconds: i64, listed: &[&str], before: Option<&Record>, say: Say) -> (bool, Next) {
    let (limits, told) = (limits(), say.told());
    let listed: Vec<String> = listed.iter().map(|id| (*id).to_owned()).collect();
    let view = View {
        look,
        listed: &listed,
        kinds: &[],
        garbled: false,
        complete: true,
        before,
        since: START,
        now: at(seconds),
        limits: &limits,
        wanted: &[],
    };
    let asked = view.needs_details();
    (asked, view.next(asked.then_some(&told)))
}

fn again(seconds: u64) -> Next {
    Next::Again(Duration::from_secs(seconds))
}

#[test]
fn the_first_look_asks_nothing_more_where_something_is_listed() {
    assert_eq!(
        next(1, 120, &["a"], None, Say::EndedRecorded),
        (false, again(900))
    );
}

#[test]
fn two_looks_that_list_the_same_of_an_ended_conversation_settle_it() {
    let before = looked(1, &["a", "b"]);
    let second = |listed: &[&str], say| next(2, 1020, listed, Some(&before), say);
    assert_eq!(
        second(&["a", "b"], Say::EndedRecorded),
        (true, Next::Settled("details"))
    );
    assert_eq!(second(&["a", "b"], Say::GoesOnRecorded), (true, again(1800)));
    assert_eq!(
        second(&["a", "b", "c"], Say::EndedRecorded),
        (false, again(1800)),
        "one more"
    );
    assert_eq!(
        second(&["a"], Say::EndedRecorded),
        (false, again(1800)),
        "one less"
    );
    assert_eq!(
        second(&[], Say::EndedRecorded),
        (false, again(1800)),
        "none any more"
    );
    // The run that wrote the first look down died; its message lived.
    assert_eq!(
        next(2, 1020, &["a"], None, Say::EndedRecorded),
        (false, again(1800))
    );
}

#[test]
fn a_list_read_just_after_the_end_proves_nothing() {
    let (limits, before, listed) = (limits(), looked(1, &["a"]), ["a".to_owned()]);
    for (ended, settled) in [(1020, false), (721, false), (720, true)] {
        let Told::Known(mut known) = Say::EndedRecorded.told() else {
            panic!()
        };
        known.end = Some(at(ended));
        let view = View {
            look: 2,
            listed: &listed,
            kinds: &[],
            garbled: false,
            complete: true,
            before: Some(&before),
            since: START,
            now: at(1020),
            limits: &limits,
            wanted: &[],
        };
        let next = view.next(Some(&Told::Known(known)));
        assert_eq!(
            next == Next::Settled("details"),
            settled,
            "ended after {ended} s: {next:?}"
        );
    }
}

#[test]
fn what_is_not_archived_yet_is_looked_at_again() {
    let (limits, before) = (limits(), looked(1, &["a"]));
    let listed = ["a".to_owned()];
    let view = View {
        look: 2,
        listed: &listed,
        kinds: &[],
        garbled: false,
        complete: false,
        before: Some(&before),
        since: START,
        now: at(1020),
        limits: &limits,
        wanted: &[],
    };
    assert!(!view.needs_details());
    assert_eq!(view.next(None), again(1800));
    // Not even the details change that.
    assert_eq!(view.next(Some(&Say::Ended.told())), again(1800));
}

#[test]
fn delays_double_up_to_six_hours_and_one_look_falls_on_the_readiness_deadline() {
    let (mut seconds, mut delays) = (0, Vec::new());
    for look in 1..=10 {
        let before = looked(look - 1, &["a"]);
        match next(look, seconds, &["a"], Some(&before), Say::GoesOn).1 {
            Next::Again(delay) => {
                delays.push(delay.as_secs());
                seconds += i64::try_from(delay.as_secs()).unwrap();
            }
            end => {
                assert_eq!((look, end, seconds), (9, Next::Open, 24 * HOUR + 1));
                break;
            }
        }
    }
    assert_eq!(delays, [900, 1800, 3600, 7200, 14_400, 21_600, 21_600, 15_301]);
}

#[test]
fn without_the_permission_a_list_has_to_stay_the_same_for_an_hour() {
    let before = looked(3, &["a"]);
    let denied = |seconds, listed: &[&str]| next(4, seconds, listed, Some(&before), Say::Denied).1;
    assert_eq!(denied(HOUR, &["a"]), Next::Settled("listing"));
    assert_eq!(denied(HOUR - 1, &["a"]), again(7200));
    assert_eq!(denied(HOUR, &["a", "b"]), again(7200));
    // An empty list proves nothing until the readiness deadline.
    let empty = looked(3, &[]);
    let denied = |seconds| next(4, seconds, &[], Some(&empty), Say::Denied).1;
    assert_eq!(denied(HOUR), again(7200));
    assert_eq!(denied(24 * HOUR + 1), Next::Settled("listing"));
}

#[test]
fn details_that_are_too_long_settle_what_is_listed_and_never_an_empty_list() {
    let too_long = |seconds, listed: &[&str]| {
        let before = looked(3, listed);
        next(4, seconds, listed, Some(&before), Say::TooLong).1
    };
    assert_eq!(too_long(HOUR, &["a"]), Next::Settled("listing"));
    assert_eq!(too_long(HOUR, &[]), again(7200));
    assert_eq!(too_long(24 * HOUR + 1, &["a"]), Next::Settled("listing"));
    assert_eq!(too_long(24 * HOUR + 1, &[]), Next::Never);
}

#[test]
fn what_analytics_do_not_know_is_waited_for_until_the_readiness_deadline() {
    let unknown = |look, seconds, listed: &[&str]| {
        let before = looked(look - 1, listed);
        next(look, seconds, listed, Some(&before), Say::Unknown).1
    };
    assert_eq!(unknown(1, 120, &[]), again(900));
    assert_eq!(unknown(4, 2 * HOUR, &["a"]), again(7200));
    assert_eq!(unknown(9, 24 * HOUR + 1, &["a"]), Next::Settled("listing"));
    assert_eq!(unknown(9, 24 * HOUR + 1, &[]), Next::Never);
}

#[test]
fn without_a_recording_having_been_started_one_more_look_is_enough() {
    assert_eq!(next(1, 120, &[], None, Say::Ended), (true, again(3480)));
    assert_eq!(
        next(1, 120, &[], None, Say::GoesOn),
        (true, again(3480)),
        "the end comes late"
    );
    let before = looked(1, &[]);
    let second = |seconds, say| next(2, seconds, &[], Some(&before), say).1;
    assert_eq!(second(HOUR, Say::Ended), Next::Unrecorded);
    assert_eq!(
        second(HOUR - 1, Say::Ended),
        again(900),
        "too early to believe it"
    );
    assert_eq!(second(HOUR, Say::GoesOn), again(1800));
    assert_eq!(second(24 * HOUR + 1, Say::GoesOn), Next::Open);
    // Asked about long after its end, it is still looked at twice.
    assert_eq!(next(1, 48 * HOUR, &[], None, Say::Ended).1, again(900));
}

#[test]
fn a_recording_that_was_started_is_waited_for_until_the_readiness_deadline() {
    let before = looked(1, &[]);
    for say in [Say::EndedRecorded, Say::GoesOnRecorded] {
        assert_eq!(next(1, 120, &[], None, say), (true, Next::Defer), "{say:?}");
        assert_eq!(next(2, HOUR, &[], Some(&before), say).1, again(1800), "{say:?}");
    }
    let late = 24 * HOUR + 1;
    assert_eq!(next(1, late, &[], None, Say::EndedRecorded).1, Next::Never);
    assert_eq!(
        next(2, late, &[], Some(&before), Say::EndedRecorded).1,
        Next::Never
    );
    assert_eq!(
        next(2, late, &[], Some(&before), Say::GoesOnRecorded).1,
        Next::Open
    );
}

#[test]
fn the_last_look_ends_all_patience() {
    let before = looked(4999, &["b"]);
    assert_eq!(next(5000, HOUR, &["a"], Some(&before), Say::Ended).1, Next::Never);
    assert_eq!(
        next(4999, HOUR, &["a"], Some(&before), Say::Ended).1,
        again(6 * 3600)
    );
}
