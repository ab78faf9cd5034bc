//! Each alarm goes off in its scenario and in no other, and none in ordinary weeks.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use super::evaluator::{Alarm, Series};
use super::weeks::{
    ABORTS, ARCHIVED, CASE_AGE, CHECKPOINTS, DAY, DEAD, DEFERRALS, DELETIONS, EMPTY_DAYS, ERRORS, FAILURES,
    GAPS, HOUR, ISSUED, LEAVES, LIVE, LIVE_AGE, NEW_CASES, OLD_DEAD, OLDEST, RECEIVED, REQUESTS, RULE,
    SEALER_AGE, SEALER_ERRORS, STATED, TAMPERING, THROTTLED, THROTTLES, WEBHOOK, WEEK, WITHIN_DAY,
    WITHIN_HOUR, backfill, is_office, ordinary, steps,
};
use crate::cloudformation::Template;

const BUS: (&str, &str) = ("PartnerEventBusName", "aws.partner/genesys.com/cloud/org/archive");

/// Begins on the Tuesday of the third week at 10 h, and lasts for longer than a week.
const BEGIN: i64 = 2 * WEEK + DAY + 10 * HOUR;
const END: i64 = BEGIN + 8 * DAY;

/// Five ordinary weeks.
pub(super) static WEEKS: LazyLock<Series> = LazyLock::new(|| ordinary(5));

/// The alarms of a stack with a bus.
pub(super) static ALARMS: LazyLock<Vec<Alarm>> = LazyLock::new(|| {
    let template = Template::read();
    Alarm::all(&template, &template.stack(&[BUS]))
});

fn alarm(name: &str) -> &'static Alarm {
    ALARMS.iter().find(|alarm| alarm.name == name).unwrap()
}

/// Returns the names of the alarms that go off in these minutes, and how often.
fn rings(series: &Series, minutes: std::ops::Range<i64>) -> Vec<(String, usize)> {
    let rang = ALARMS
        .iter()
        .map(|alarm| (alarm.name.clone(), alarm.rings(series, minutes.clone()).len()));
    rang.filter(|(_, times)| *times > 0).collect()
}

#[test]
fn ordinary_weeks_quiet_weekends_and_a_backfill_are_silent() {
    let mut series = WEEKS.clone();
    assert_eq!(rings(&series, WEEK..4 * WEEK), []);
    // From Friday evening to Monday evening, and over a night.
    backfill(&mut series, 2 * WEEK + 4 * DAY + 19 * HOUR..3 * WEEK + 20 * HOUR);
    assert_eq!(rings(&series, WEEK..4 * WEEK), []);
}

#[test]
fn every_alarm_watches_something_that_is_written_and_a_new_stack_asks_for_its_first_recording() {
    let series = &*WEEKS;
    // Nothing is written of these in a week without a case or a dead letter.
    let seldom = [NEW_CASES, CASE_AGE, DEAD];
    for alarm in ALARMS.iter() {
        for metric in alarm.watches() {
            let known = series.0.contains_key(metric) || seldom.contains(&metric);
            assert!(known, "{}: {metric}", alarm.name);
        }
    }
    let new: Vec<String> = rings(&Series::default(), 0..DAY)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        new,
        [
            "CheckpointMissingAlarm",
            "QuietAlarm",
            "RuleSilentAlarm",
            "StatementMissingAlarm"
        ]
    );
}

#[test]
fn a_metric_without_any_data_point_rings_alike_whether_or_not_it_can_be_filled() {
    let template = Template::read();
    for (parameters, expected) in [
        (&[BUS][..], true),
        // Without a bus there is no rule that could be silent.
        (&[], false),
    ] {
        let mut alarms = Alarm::all(&template, &template.stack(parameters));
        for fills_nothing in [false, true] {
            let mut silent = BTreeSet::new();
            for alarm in &mut alarms {
                alarm.fills_nothing = fills_nothing;
                if !alarm.rings(&Series::default(), 0..DAY).is_empty() {
                    silent.insert(alarm.name.as_str());
                }
            }
            assert_eq!(silent.contains("RuleSilentAlarm"), expected);
            for name in ["CheckpointMissingAlarm", "QuietAlarm", "StatementMissingAlarm"] {
                assert!(silent.remove(name), "{name}");
            }
            silent.remove("RuleSilentAlarm");
            assert_eq!(silent, BTreeSet::new(), "{fills_nothing}");
        }
    }
}

/// What the function writes while it works.
const OF_FUNCTION: [&str; 11] = [
    ARCHIVED,
    LIVE,
    WITHIN_HOUR,
    WITHIN_DAY,
    LIVE_AGE,
    DEFERRALS,
    FAILURES,
    REQUESTS,
    THROTTLED,
    WEBHOOK,
    ABORTS,
];

/// Sets a metric in all steps of office hours of these minutes.
fn always(series: &mut Series, metric: &str, minutes: std::ops::Range<i64>, value: f64) {
    steps(minutes)
        .filter(|minute| is_office(*minute))
        .for_each(|minute| series.set(metric, minute, value));
}

/// Sets what the statements of these minutes find.
fn stated(series: &mut Series, minutes: std::ops::Range<i64>, found: &[(&str, f64)]) {
    for minute in steps(minutes).filter(|minute| minute % DAY == STATED) {
        found
            .iter()
            .for_each(|(metric, value)| series.set(metric, minute, *value));
    }
}

/// Changes the series of ordinary weeks.
type Change = fn(&mut Series);

/// What goes wrong, and what rings.
const SCENARIOS: [(&str, Change, &[&str]); 30] = [
    (
        "the integration at Genesys is switched off",
        integration_off,
        &[
            "DayWithoutArchiveAlarm",
            "QuietAlarm",
            "RuleSilentAlarm",
            "StatementNotCleanAlarm",
        ],
    ),
    (
        "jobs come from elsewhere, and the rule is silent",
        |series| series.silence(RULE, BEGIN..END),
        &["RuleSilentAlarm"],
    ),
    (
        "events come, and every recording is filtered out",
        |series| {
            for metric in [ARCHIVED, LIVE, WITHIN_HOUR, WITHIN_DAY] {
                always(series, metric, BEGIN..END, 0.0);
            }
        },
        &["QuietAlarm"],
    ),
    (
        "an event is lost",
        |series| stated(series, BEGIN..END, &[(GAPS, 1.0)]),
        &["StatementNotCleanAlarm"],
    ),
    (
        "a day's calls are all lost",
        |series| {
            stated(series, BEGIN..BEGIN + DAY, &[(GAPS, 480.0), (EMPTY_DAYS, 1.0)]);
        },
        &["DayWithoutArchiveAlarm", "StatementNotCleanAlarm"],
    ),
    (
        "a policy at Genesys deletes soon",
        |series| stated(series, BEGIN..END, &[(DELETIONS, 3.0)]),
        &["GenesysDeletesSoonAlarm"],
    ),
    (
        "the statement's schedule is off",
        |series| {
            for metric in [ISSUED, GAPS, EMPTY_DAYS, DELETIONS, OLD_DEAD] {
                series.silence(metric, BEGIN..END);
            }
        },
        &["StatementMissingAlarm"],
    ),
    (
        "the sealer is off",
        |series| {
            for metric in [LEAVES, CHECKPOINTS, TAMPERING, SEALER_ERRORS, SEALER_AGE] {
                series.silence(metric, BEGIN..END);
            }
        },
        &["CheckpointMissingAlarm"],
    ),
    (
        "the sealer does not follow the stream any more",
        |series| {
            series.silence(SEALER_AGE, BEGIN..END);
            steps(BEGIN..END)
                .filter(|minute| minute % 30 == 0)
                .for_each(|minute| series.set(LEAVES, minute, 0.0));
        },
        &["SealerSilentAlarm"],
    ),
    (
        "the sealer falls behind",
        |series| always(series, SEALER_AGE, BEGIN..BEGIN + DAY, 8_000_000.0),
        &["SealerBehindAlarm"],
    ),
    (
        "the sealer fails",
        |series| series.add(SEALER_ERRORS, BEGIN, 1.0),
        &["SealerErrorsAlarm"],
    ),
    (
        "somebody changes an audit event",
        |series| series.add(TAMPERING, BEGIN, 1.0),
        &["TamperingAlarm"],
    ),
    (
        "a case that somebody closes",
        |series| {
            series.add(NEW_CASES, BEGIN, 1.0);
            steps(BEGIN..BEGIN + DAY)
                .for_each(|minute| series.add(CASE_AGE, minute, ((minute - BEGIN) * 60) as f64));
        },
        &["ExceptionsAlarm"],
    ),
    (
        "a case that nobody closes",
        a_case_is_left,
        &["ExceptionsAlarm", "OldExceptionsAlarm"],
    ),
    (
        "ten thousand cases in an hour",
        |series| {
            steps(BEGIN..BEGIN + HOUR).for_each(|minute| series.add(NEW_CASES, minute, 850.0));
        },
        &["ExceptionsAlarm", "ExceptionsFloodAlarm"],
    ),
    (
        "a dead letter that is sent again",
        |series| {
            steps(BEGIN..BEGIN + DAY).for_each(|minute| series.add(DEAD, minute, 1.0));
        },
        &["DeadLettersAlarm"],
    ),
    (
        "a dead letter that nobody sends again",
        |series| {
            for minute in steps(BEGIN..END) {
                series.add(DEAD, minute, 1.0);
            }
            stated(series, BEGIN + WEEK..END, &[(OLD_DEAD, 1.0)]);
        },
        &["DeadLettersAlarm", "OldDeadLettersAlarm"],
    ),
    (
        "Genesys is down for three hours",
        genesys_down,
        &[
            "HourLevelFastBurnAlarm",
            "HourLevelSlowBurnAlarm",
            "RedeliveriesAlarm",
        ],
    ),
    (
        "Genesys makes nothing ready",
        |series| {
            for (metric, value) in [
                (DEFERRALS, 16.0),
                (ARCHIVED, 0.0),
                (LIVE, 0.0),
                (WITHIN_HOUR, 0.0),
                (WITHIN_DAY, 0.0),
            ] {
                always(series, metric, BEGIN..BEGIN + 3 * HOUR, value);
            }
            series.silence(LIVE_AGE, BEGIN..BEGIN + 3 * HOUR);
        },
        &["DeferralsAlarm"],
    ),
    (
        "another program uses up the rate limit",
        |series| always(series, THROTTLED, BEGIN..BEGIN + HOUR, 4.0),
        &["GenesysThrottledAlarm"],
    ),
    (
        "the account's concurrency is used up",
        |series| always(series, THROTTLES, BEGIN..BEGIN + HOUR, 9.0),
        &["ThrottlesAlarm"],
    ),
    (
        "an invocation times out",
        |series| series.add(ERRORS, BEGIN, 1.0),
        &["ErrorsAlarm"],
    ),
    (
        "an upload cannot be aborted",
        |series| series.add(ABORTS, BEGIN, 1.0),
        &["AbortFailuresAlarm"],
    ),
    (
        "the webhook's receiver is down",
        |series| always(series, WEBHOOK, BEGIN..BEGIN + HOUR, 4.0),
        &["WebhookFailuresAlarm"],
    ),
    (
        "the queue grows",
        |series| always(series, OLDEST, BEGIN..BEGIN + DAY, 15_000.0),
        &["OldestMessageAlarm"],
    ),
    (
        "one recording is seven hours late",
        |series| series.add(LIVE_AGE, BEGIN, 25_300.0),
        &["ArchiveAgeAlarm"],
    ),
    (
        "two of five recordings take more than an hour",
        |series| {
            always(series, WITHIN_HOUR, BEGIN..BEGIN + 8 * HOUR, 2.0);
        },
        &["HourLevelSlowBurnAlarm"],
    ),
    (
        "a recording is archived after a day",
        |series| {
            series.set(WITHIN_HOUR, BEGIN, 3.0);
            series.set(WITHIN_DAY, BEGIN, 3.0);
            series.set(LIVE_AGE, BEGIN, 90_000.0);
        },
        &[
            "ArchiveAgeAlarm",
            "DayLevelFastBurnAlarm",
            "DayLevelSlowBurnAlarm",
        ],
    ),
    (
        "one of a hundred recordings takes more than a day",
        |series| {
            // A large organisation: 100 calls in five minutes.
            for minute in steps(BEGIN..BEGIN + 8 * HOUR) {
                [LIVE, WITHIN_HOUR, WITHIN_DAY]
                    .iter()
                    .for_each(|metric| series.set(metric, minute, 99.0));
                series.set(LIVE, minute, 100.0);
                series.set(LIVE_AGE, minute, 20_000.0);
            }
        },
        &["DayLevelSlowBurnAlarm"],
    ),
    (
        "the function is off, and events pile up",
        function_off,
        &[
            "DayWithoutArchiveAlarm",
            "OldestMessageAlarm",
            "QuietAlarm",
            "StatementNotCleanAlarm",
        ],
    ),
];

fn integration_off(series: &mut Series) {
    for metric in [RULE, RECEIVED, OLDEST, ERRORS, THROTTLES]
        .into_iter()
        .chain(OF_FUNCTION)
    {
        series.silence(metric, BEGIN..END);
    }
    // Nobody tells the statement, which asks Genesys itself.
    stated(series, BEGIN + DAY..END, &[(GAPS, 480.0), (EMPTY_DAYS, 1.0)]);
}

fn function_off(series: &mut Series) {
    for metric in [RECEIVED, ERRORS, THROTTLES].into_iter().chain(OF_FUNCTION) {
        series.silence(metric, BEGIN..END);
    }
    for minute in steps(BEGIN..END) {
        series.set(OLDEST, minute, ((minute - BEGIN) * 60) as f64);
    }
    stated(series, BEGIN + DAY..END, &[(GAPS, 480.0), (EMPTY_DAYS, 1.0)]);
}

fn a_case_is_left(series: &mut Series) {
    series.add(NEW_CASES, BEGIN, 1.0);
    steps(BEGIN..END).for_each(|minute| series.add(CASE_AGE, minute, ((minute - BEGIN) * 60) as f64));
}

fn genesys_down(series: &mut Series) {
    let down = BEGIN..BEGIN + 3 * HOUR;
    for metric in [ARCHIVED, LIVE, WITHIN_HOUR, WITHIN_DAY] {
        always(series, metric, down.clone(), 0.0);
    }
    series.silence(LIVE_AGE, down.clone());
    always(series, FAILURES, down.clone(), 12.0);
    always(series, OLDEST, down.clone(), 10_800.0);
    for minute in steps(down.end..down.end + HOUR) {
        for (metric, value) in [
            (ARCHIVED, 12.0),
            (LIVE, 16.0),
            (WITHIN_HOUR, 4.0),
            (WITHIN_DAY, 16.0),
        ] {
            series.set(metric, minute, value);
        }
        series.set(LIVE_AGE, minute, 11_000.0);
    }
}

#[test]
fn each_alarm_goes_off_in_its_scenario_and_in_no_other() {
    let series = &*WEEKS;
    let mut fired = BTreeSet::new();
    for (what, change, expected) in SCENARIOS {
        let mut changed = series.clone();
        change(&mut changed);
        // An alarm whose metrics are as in ordinary weeks is as silent as in those.
        let differs = |metric: &str| match (changed.0.get(metric), series.0.get(metric)) {
            (Some(one), Some(other)) => !Arc::ptr_eq(one, other),
            (one, other) => one.is_some() || other.is_some(),
        };
        let touched = ALARMS.iter().filter(|alarm| alarm.watches().any(differs));
        let rang = touched.filter(|alarm| !alarm.rings(&changed, BEGIN - DAY..END).is_empty());
        let names: BTreeSet<&str> = rang.map(|alarm| alarm.name.as_str()).collect();
        assert_eq!(names, expected.iter().copied().collect(), "{what}");
        fired.extend(expected.iter().copied());
    }
    let all: BTreeSet<&str> = ALARMS.iter().map(|alarm| alarm.name.as_str()).collect();
    assert_eq!(fired, all, "an alarm without a scenario");
}

#[test]
fn a_case_that_nobody_closes_does_not_hide_the_next_ones() {
    let mut series = WEEKS.clone();
    a_case_is_left(&mut series);
    series.add(NEW_CASES, BEGIN + 3 * DAY, 1.0);
    steps(BEGIN + 5 * DAY..BEGIN + 5 * DAY + HOUR).for_each(|minute| series.add(NEW_CASES, minute, 850.0));
    let rang = rings(&series, BEGIN - DAY..END);
    let times = |alarm: &str| {
        rang.iter()
            .find(|(name, _)| name == alarm)
            .map(|(_, times)| *times)
    };
    assert_eq!(times("ExceptionsAlarm"), Some(3));
    assert_eq!(times("ExceptionsFloodAlarm"), Some(1));
    assert_eq!(times("OldExceptionsAlarm"), Some(1));
}

#[test]
fn what_the_statement_found_keeps_ringing_until_the_next_one_is_clean() {
    let alarm = alarm("StatementNotCleanAlarm");
    let found = |days: i64| {
        let mut series = WEEKS.clone();
        stated(&mut series, BEGIN..BEGIN + days * DAY, &[(GAPS, 1.0)]);
        alarm.rings(&series, BEGIN..BEGIN + WEEK)
    };
    // One ring for a week of gaps: nothing in between takes it back.
    assert_eq!(found(1).len(), 1);
    assert_eq!(found(1), found(6));
}

#[test]
fn silence_rings_after_the_hours_that_were_asked_for() {
    let template = Template::read();
    let mut series = WEEKS.clone();
    integration_off(&mut series);
    for (hours, rings) in [("72", 72), ("24", 24), ("168", 168)] {
        let stack = template.stack(&[BUS, ("QuietAlarmHours", hours)]);
        assert_eq!(stack.refused(), None);
        let alarms = Alarm::all(&template, &stack);
        for name in ["QuietAlarm", "RuleSilentAlarm"] {
            let alarm = alarms.iter().find(|alarm| alarm.name == name).unwrap();
            // Within the hour after that; a night is quiet for 14 hours.
            let rang = alarm.rings(&series, BEGIN..END);
            assert!(
                (BEGIN + rings * HOUR..=BEGIN + (rings + 1) * HOUR).contains(&rang[0]),
                "{name}: {rang:?}"
            );
        }
    }
    for hours in ["0", "169"] {
        assert!(template.stack(&[("QuietAlarmHours", hours)]).refused().is_some());
    }
}
