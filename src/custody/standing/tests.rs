use super::*;

fn custody(recording: &str, state: &str, listed: &[&str]) -> Custody {
    let looks = u32::from(recording == "-");
    let record = serde_json::json!({
        "interactionId": "c0000000-0000-4000-8000-000000000001", "recordingId": recording, "state": state,
        "leaseOwner": uuid::Uuid::nil(), "leaseExpiresAt": 0, "attempts": 1, "chainHead": "", "seq": 1,
        "format": "wav", "updatedAt": "2026-01-05T08:00:00Z", "looks": looks, "recordings": listed,
    });
    Custody {
        recording: recording.to_owned(),
        record: Some(serde_json::from_value(record).unwrap()),
        events: Vec::new(),
        unreadable: Vec::new(),
        intact: true,
        superseded: recording == "-",
        findings: Vec::new(),
        contradiction: None,
    }
}

const ID: &str = "e0000000-0000-4000-8000-000000000001";

/// Returns the standing of these four days after the end, with a day of readiness, where conversations are settled.
fn judged(custodies: &[Custody]) -> Reason {
    let patience = Patience {
        now: "2026-01-09T08:00:00Z".parse().unwrap(),
        readiness: SignedDuration::from_hours(24),
        settles: true,
    };
    judge(
        (custodies, &[]),
        "2026-01-05T08:00:00Z".parse().unwrap(),
        patience,
    )
    .0
}

#[test]
fn a_conversation_that_is_not_settled_stands_as_its_worst_recording_does() {
    for (state, expected) in [
        ("notified", Reason::Unsettled),
        ("deferred", Reason::Deferred),
        ("expired", Reason::Expired),
        ("failed", Reason::Failed),
    ] {
        let custodies = [custody("-", "settling", &[ID]), custody(ID, state, &[])];
        assert_eq!(judged(&custodies), expected, "{state}");
    }
}

#[test]
fn what_was_settled_without_a_recording_is_not_archived_whatever_settled_it() {
    for (custodies, expected) in [
        (vec![custody("-", "unrecorded", &[])], Reason::NothingFound),
        (vec![custody("-", "settled", &[])], Reason::NothingFound),
        (
            vec![custody("-", "settled", &[ID]), custody(ID, "skipped", &[])],
            Reason::NothingFound,
        ),
        (
            vec![custody("-", "settled", &[ID]), custody(ID, "notified", &[])],
            Reason::Archived,
        ),
        // A job that named it archived it later, and nobody listed the conversation since.
        (
            vec![custody("-", "unrecorded", &[]), custody(ID, "notified", &[])],
            Reason::Unsettled,
        ),
        (
            vec![custody("-", "settled", &[ID]), custody(ID, "expired", &[])],
            Reason::Expired,
        ),
    ] {
        assert_eq!(judged(&custodies), expected, "{custodies:?}");
    }
}

/// Judges one whose looks are such, and returns what is said of it.
fn told(change: impl FnOnce(&mut Record)) -> (Reason, Vec<Option<String>>) {
    let mut whole = custody("-", "settling", &[ID]);
    change(whole.record.as_mut().unwrap());
    let patience = Patience {
        now: "2026-01-09T08:00:00Z".parse().unwrap(),
        readiness: SignedDuration::from_hours(24),
        settles: true,
    };
    let custodies = [whole, custody(ID, "notified", &[])];
    let (reason, causes) = judge(
        (&custodies, &[]),
        "2026-01-05T08:00:00Z".parse().unwrap(),
        patience,
    );
    (reason, causes.into_iter().map(|cause| cause.error).collect())
}

#[test]
fn what_is_unsettled_names_the_look_that_is_missing() {
    let due = |at: &str| Some(at.parse().unwrap());
    let to_come = told(|record| record.next_look_at = due("2026-01-09T07:30:00Z"));
    assert_eq!(to_come, (Reason::Settling, Vec::new()), "within the hour");
    let (reason, causes) = told(|record| record.next_look_at = due("2026-01-05T08:15:00.123Z"));
    assert_eq!(reason, Reason::Unsettled);
    assert_eq!(
        causes[0].as_deref(),
        Some(
            "look 2 was due at 2026-01-05T08:15:00Z and was not taken: its message is lost, or lies in a dead-letter \
             queue"
        )
    );
    let (reason, causes) = told(|record| record.looks = 0);
    assert_eq!(reason, Reason::Unsettled);
    assert!(
        causes[0]
            .as_ref()
            .unwrap()
            .starts_with("it was archived by a job for one recording"),
        "{causes:?}"
    );
}

#[test]
fn a_list_that_cannot_be_read_is_told_while_its_looks_go_on() {
    let (reason, causes) = told(|record| {
        record.unreadable = Some("1 entry unreadable".to_owned());
        record.since = Some("2026-01-08T09:00:00Z".parse().unwrap());
        record.next_look_at = Some("2026-01-09T08:10:00Z".parse().unwrap());
    });
    assert_eq!(reason, Reason::Settling);
    assert_eq!(
        causes[0].as_deref(),
        Some(
            "1 entry unreadable; looks go on until the readiness deadline (READINESS_DEADLINE_MINUTES: \
             2026-01-09T09:00:00Z): look 2 is due at 2026-01-09T08:10:00Z"
        )
    );
}

#[test]
fn a_reason_has_one_name() {
    use Reason::{
        Archived, Contradicted, Deferred, Expired, Failed, InProgress, NeverSeen, NothingFound,
        OlderThan5Years, OlderThan18Months, Settling, TooEarly, Unfinished, Unsettled,
    };
    for reason in [
        Archived,
        Settling,
        InProgress,
        TooEarly,
        Expired,
        Unsettled,
        NothingFound,
        Deferred,
        Unfinished,
        OlderThan5Years,
        OlderThan18Months,
        Failed,
        NeverSeen,
        Contradicted,
    ] {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
    }
}
