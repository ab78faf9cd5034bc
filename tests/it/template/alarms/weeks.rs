//! What a stack's metrics look like in ordinary weeks. Minutes count from a Monday, 00:00 UTC.

use super::evaluator::Series;

pub(super) const HOUR: i64 = 60;
pub(super) const DAY: i64 = 24 * HOUR;
pub(super) const WEEK: i64 = 7 * DAY;

/// Minutes between two data points.
pub(super) const STEP: i64 = 5;

/// Calls in each step of office hours: 48 an hour.
const CALLS: f64 = 4.0;

// What the tests call the metrics: namespace, name, and the values of the dimensions.
pub(super) const RULE: &str =
    "AWS/Events TriggeredRules aws.partner/genesys.com/cloud/org/archive ConversationEndRule";
pub(super) const RECEIVED: &str = "AWS/SQS NumberOfMessagesReceived WorkQueue.QueueName";
pub(super) const OLDEST: &str = "AWS/SQS ApproximateAgeOfOldestMessage WorkQueue.QueueName";
pub(super) const NEW_CASES: &str = "AWS/SQS NumberOfMessagesSent ExceptionQueue.QueueName";
pub(super) const CASE_AGE: &str = "AWS/SQS ApproximateAgeOfOldestMessage ExceptionQueue.QueueName";
pub(super) const DEAD: &str = "AWS/SQS ApproximateNumberOfMessagesVisible WorkDeadLetterQueue.QueueName";
pub(super) const ERRORS: &str = "AWS/Lambda Errors ArchiverFunction";
pub(super) const THROTTLES: &str = "AWS/Lambda Throttles ArchiverFunction";
pub(super) const ARCHIVED: &str = "RecordingArchiver RecordingsArchived";
pub(super) const LIVE: &str = "RecordingArchiver LiveRecordings";
pub(super) const WITHIN_HOUR: &str = "RecordingArchiver LiveWithinHour";
pub(super) const WITHIN_DAY: &str = "RecordingArchiver LiveWithinDay";
pub(super) const LIVE_AGE: &str = "RecordingArchiver LiveAge archived";
pub(super) const DEFERRALS: &str = "RecordingArchiver Deferrals";
pub(super) const FAILURES: &str = "RecordingArchiver BatchItemFailures";
pub(super) const REQUESTS: &str = "RecordingArchiver GenesysRequests";
pub(super) const THROTTLED: &str = "RecordingArchiver GenesysThrottled";
pub(super) const WEBHOOK: &str = "RecordingArchiver WebhookFailures";
pub(super) const ABORTS: &str = "RecordingArchiver AbortFailures";
pub(super) const LEAVES: &str = "RecordingArchiver LeavesSealed";
pub(super) const CHECKPOINTS: &str = "RecordingArchiver CheckpointsSigned";
pub(super) const TAMPERING: &str = "RecordingArchiver AuditTampering";
pub(super) const SEALER_ERRORS: &str = "AWS/Lambda Errors SealerFunction";
pub(super) const SEALER_AGE: &str = "AWS/Lambda IteratorAge SealerFunction";
pub(super) const ISSUED: &str = "RecordingArchiver StatementsIssued";
pub(super) const GAPS: &str = "RecordingArchiver StatementGaps";
pub(super) const EMPTY_DAYS: &str = "RecordingArchiver DaysWithoutArchive";
pub(super) const DELETIONS: &str = "RecordingArchiver DeletionsAhead";
pub(super) const OLD_DEAD: &str = "RecordingArchiver OldDeadLetters";

/// The minute of the day at which the statement is issued.
pub(super) const STATED: i64 = 5 * HOUR;

/// Returns the steps of these minutes.
pub(super) fn steps(minutes: std::ops::Range<i64>) -> impl Iterator<Item = i64> {
    (minutes.start..minutes.end).step_by(usize::try_from(STEP).unwrap())
}

/// Returns whether calls come in: Monday to Friday, 8 to 18 h.
pub(super) fn is_office(minute: i64) -> bool {
    minute % WEEK < 5 * DAY && (8 * HOUR..18 * HOUR).contains(&(minute % DAY))
}

/// Returns weeks in which everything works, with the small faults that every week has.
pub(super) fn ordinary(weeks: i64) -> Series {
    let mut series = Series::default();
    for minute in steps(0..weeks * WEEK) {
        if is_office(minute) {
            office(&mut series, minute);
        }
        if minute % 30 == 0 {
            let sealed = if is_office(minute) { 40.0 } else { 0.0 };
            for (name, value) in [
                (LEAVES, sealed),
                (CHECKPOINTS, 1.0),
                (TAMPERING, 0.0),
                (SEALER_ERRORS, 0.0),
            ] {
                series.add(name, minute, value);
            }
        }
        if minute % DAY == STATED {
            for (name, value) in [
                (ISSUED, 1.0),
                (GAPS, 0.0),
                (EMPTY_DAYS, 0.0),
                (DELETIONS, 0.0),
                (OLD_DEAD, 0.0),
            ] {
                series.add(name, minute, value);
            }
            series.add(LEAVES, minute + STEP, 1.0);
        }
    }
    series
}

fn office(series: &mut Series, minute: i64) {
    // One of 200 comes up late, one message of 500 has to be delivered again, Genesys refuses a request now and then.
    let now_and_then = |every: i64| f64::from(u8::from(minute % (every * STEP) == 0));
    let late = now_and_then(50);
    for (name, value) in [
        (RULE, CALLS),
        (RECEIVED, 3.5 * CALLS),
        (OLDEST, 900.0),
        (ERRORS, 0.0),
        (THROTTLES, 0.0),
        (ARCHIVED, CALLS),
        (LIVE, CALLS),
        (WITHIN_HOUR, CALLS - late),
        (WITHIN_DAY, CALLS),
        (LIVE_AGE, if late > 0.0 { 7_500.0 } else { 420.0 }),
        (DEFERRALS, 3.0),
        (FAILURES, now_and_then(36)),
        (REQUESTS, 17.0),
        (THROTTLED, now_and_then(12)),
        (WEBHOOK, now_and_then(20)),
        (ABORTS, 0.0),
        (SEALER_AGE, 310_000.0),
    ] {
        series.add(name, minute, value);
    }
}

/// Adds a backfill of old calls: 1,200 an hour, also at night and on the weekend.
pub(super) fn backfill(series: &mut Series, minutes: std::ops::Range<i64>) {
    for minute in steps(minutes) {
        for (name, value) in [
            (RECEIVED, 330.0),
            (OLDEST, 1_800.0),
            (ERRORS, 0.0),
            (THROTTLES, 0.0),
            (ARCHIVED, 100.0),
            (LIVE, 0.0),
            (WITHIN_HOUR, 0.0),
            (WITHIN_DAY, 0.0),
            (DEFERRALS, 110.0),
            (FAILURES, 1.0),
            (REQUESTS, 410.0),
            (THROTTLED, 12.0),
            (ABORTS, 0.0),
            (SEALER_AGE, 320_000.0),
        ] {
            series.add(name, minute, value);
        }
        if minute % 30 == 0 {
            series.add(LEAVES, minute, 1_800.0);
        }
    }
}
