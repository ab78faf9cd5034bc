//! Evaluates the template's own alarm definitions over series of data points, as CloudWatch documents it:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html> and
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html>. Knows what the template
//! uses and refuses the rest.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::cloudformation::{Stack, Template, text};

/// Series of data points: sum and maximum of each minute, by namespace, name and values of the dimensions. What is not
/// changed is shared by clones.
#[derive(Clone, Default)]
pub(super) struct Series(pub(super) BTreeMap<String, Arc<Minutes>>);

/// Sum and maximum by minute.
type Minutes = BTreeMap<i64, (f64, f64)>;

impl Series {
    /// Adds a data point.
    pub(super) fn add(&mut self, metric: &str, minute: i64, value: f64) {
        let series = Arc::make_mut(self.0.entry(metric.to_owned()).or_default());
        let (sum, most) = series.entry(minute).or_insert((0.0, f64::MIN));
        (*sum, *most) = (*sum + value, most.max(value));
    }

    /// Puts a data point in the place of the one that is there.
    pub(super) fn set(&mut self, metric: &str, minute: i64, value: f64) {
        let series = Arc::make_mut(self.0.entry(metric.to_owned()).or_default());
        series.insert(minute, (value, value));
    }

    /// Removes the data points of these minutes.
    pub(super) fn silence(&mut self, metric: &str, minutes: std::ops::Range<i64>) {
        let series = self.0.get_mut(metric).unwrap_or_else(|| panic!("no {metric}"));
        Arc::make_mut(series).retain(|minute, _| !minutes.contains(minute));
    }
}

/// What stands in for missing data points.
#[derive(Clone, Copy, PartialEq)]
enum Missing {
    Breaching,
    NotBreaching,
    Ignore,
}

/// An alarm of a stack.
pub(super) struct Alarm {
    pub(super) name: String,
    period: i64,
    periods: usize,
    to_alarm: usize,
    above: bool,
    threshold: f64,
    missing: Missing,
    /// Metrics by id: the series and whether its sum counts (otherwise the maximum).
    metrics: BTreeMap<String, (String, bool)>,
    /// The words of its expression.
    expression: Vec<String>,
    /// `FILL` fills a metric without any data point as well. CloudWatch's documentation leaves that open.
    pub(super) fills_nothing: bool,
}

/// CloudWatch looks farther back than an alarm evaluates. Its example retrieves 5 data points for 3.
const FARTHER: usize = 2;

impl Alarm {
    /// Reads all alarms of a stack.
    pub(super) fn all(template: &Template, stack: &Stack<'_>) -> Vec<Self> {
        let alarms = template.of_type("AWS::CloudWatch::Alarm").into_iter();
        alarms
            .filter(|name| stack.makes(name))
            .map(|name| Self::read(name, &stack.value(template.resource(name))))
            .collect()
    }

    fn read(name: &str, alarm: &Value) -> Self {
        let mut metrics = BTreeMap::new();
        let mut periods = Vec::new();
        let mut expression = None;
        let single = json!([{"Id": "metric", "MetricStat": {"Metric": alarm, "Period": alarm["Period"],
            "Stat": alarm["Statistic"]}}]);
        let listed = alarm.get("Metrics").unwrap_or(&single);
        for metric in listed.as_array().unwrap() {
            let id = text(&metric["Id"]);
            if let Some(told) = metric.get("Expression") {
                assert!(
                    expression.replace(text(told)).is_none(),
                    "{name}: two expressions"
                );
                continue;
            }
            let sum = match text(&metric["MetricStat"]["Stat"]).as_str() {
                "Sum" => true,
                "Maximum" => false,
                other => panic!("{name}: the tests do not know the statistic {other}"),
            };
            periods.push(number(&metric["MetricStat"]["Period"]));
            metrics.insert(id, (series(&metric["MetricStat"]["Metric"]), sum));
        }
        assert!(periods.iter().all(|period| *period == periods[0]), "{name}");
        let fills = expression.as_ref().is_some_and(|told| told.contains("FILL"));
        assert!(
            !fills || metrics.len() == 1,
            "{name}: the tests know FILL of a single metric only"
        );
        let count = |value: &Value| {
            if value.is_null() {
                0
            } else {
                number(value) as usize
            }
        };
        let evaluated = count(&alarm["EvaluationPeriods"]);
        let to_alarm = count(&alarm["DatapointsToAlarm"]);
        let period = periods[0] as i64;
        // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
        let most = if period < 3_600 { 86_400 } else { 604_800 };
        assert!(
            period % 60 == 0 && period <= 86_400 && period * evaluated as i64 <= most,
            "{name}"
        );
        Self {
            name: name.to_owned(),
            period: period / 60,
            periods: evaluated,
            to_alarm: if to_alarm == 0 { evaluated } else { to_alarm },
            above: match text(&alarm["ComparisonOperator"]).as_str() {
                "GreaterThanThreshold" => true,
                "LessThanThreshold" => false,
                other => panic!("{name}: the tests do not know {other}"),
            },
            threshold: number(&alarm["Threshold"]),
            missing: match text(&alarm["TreatMissingData"]).as_str() {
                "breaching" => Missing::Breaching,
                "notBreaching" => Missing::NotBreaching,
                "ignore" => Missing::Ignore,
                other => panic!("{name}: the tests do not know {other}"),
            },
            metrics,
            expression: tokens(expression.as_deref().unwrap_or("metric")),
            fills_nothing: false,
        }
    }

    /// Returns the names of the series that it watches.
    pub(super) fn watches(&self) -> impl Iterator<Item = &str> {
        self.metrics.values().map(|(name, _)| name.as_str())
    }

    /// Returns the minutes at which it goes off, evaluated in each of its periods and at least once an hour. Before, it
    /// was quiet.
    pub(super) fn rings(&self, series: &Series, minutes: std::ops::Range<i64>) -> Vec<i64> {
        let windows = Windows {
            alarm: self,
            series,
            known: RefCell::default(),
        };
        let (mut ringing, mut rang) = (false, Vec::new());
        let step = self.period.min(60);
        for minute in (minutes.start..minutes.end).step_by(usize::try_from(step).unwrap()) {
            let before = ringing;
            ringing = self.evaluate(&windows.latest(minute)).unwrap_or(before);
            if ringing && !before {
                rang.push(minute);
            }
        }
        rang
    }

    /// Returns whether these data points, the newest first, are a reason to ring; `None`: the state stays.
    fn evaluate(&self, points: &[Option<f64>]) -> Option<bool> {
        let real: Vec<f64> = points.iter().copied().flatten().collect();
        let breaches = |value: &f64| match self.above {
            true => *value > self.threshold,
            false => *value < self.threshold,
        };
        if let Some(newest) = points[..self.periods]
            .iter()
            .copied()
            .collect::<Option<Vec<f64>>>()
        {
            return Some(newest.iter().filter(|value| breaches(value)).count() >= self.to_alarm);
        }
        // Enough real ones farther back: the setting for missing ones is not needed.
        let used = &real[..real.len().min(self.periods)];
        let filled = self.periods - used.len();
        let breaching = used.iter().filter(|value| breaches(value)).count();
        match self.missing {
            Missing::Breaching => Some(breaching + filled >= self.to_alarm),
            Missing::NotBreaching => Some(breaching >= self.to_alarm),
            Missing::Ignore if filled > 0 => (breaching >= self.to_alarm).then_some(true),
            Missing::Ignore => Some(breaching >= self.to_alarm),
        }
    }
}

/// Returns what the tests call a metric.
fn series(metric: &Value) -> String {
    let dimensions = metric["Dimensions"].as_array().into_iter().flatten();
    let values: Vec<String> = dimensions.map(|dimension| text(&dimension["Value"])).collect();
    let (namespace, name) = (text(&metric["Namespace"]), text(&metric["MetricName"]));
    [&[namespace, name], &values[..]].concat().join(" ")
}

fn number(value: &Value) -> f64 {
    text(value)
        .parse()
        .unwrap_or_else(|_| panic!("no number: {value}"))
}

/// The data points of an alarm: of each period, whether a metric has one, and the value of the expression.
struct Windows<'a> {
    alarm: &'a Alarm,
    series: &'a Series,
    known: RefCell<HashMap<i64, (bool, Option<f64>)>>,
}

impl Windows<'_> {
    /// Returns the values in the periods before a minute, the newest first.
    fn latest(&self, minute: i64) -> Vec<Option<f64>> {
        let retrieved = 0..(self.alarm.periods + FARTHER) as i64;
        let points = retrieved.map(|back| self.until(minute - back * self.alarm.period));
        let points: Vec<(bool, Option<f64>)> = points.collect();
        let known = self.alarm.fills_nothing || points.iter().any(|(known, _)| *known);
        points
            .into_iter()
            .map(|(_, value)| value.filter(|_| known))
            .collect()
    }

    fn until(&self, end: i64) -> (bool, Option<f64>) {
        *self.known.borrow_mut().entry(end).or_insert_with(|| {
            let metrics = self.alarm.metrics.iter();
            let metrics = metrics.filter_map(|(id, (name, sum))| {
                let points = self.series.0.get(name)?.range(end - self.alarm.period..end);
                let values = points.map(|(_, (total, most))| if *sum { *total } else { *most });
                let value = values.reduce(|one, other| if *sum { one + other } else { one.max(other) })?;
                Some((id.as_str(), value))
            });
            let metrics: BTreeMap<&str, f64> = metrics.collect();
            (
                !metrics.is_empty(),
                Expression::value(&self.alarm.expression, &metrics),
            )
        })
    }
}

/// Metric math as far as the template uses it: numbers, ids, `+ - * /`, comparisons, `AND`, `IF` and `FILL`.
struct Expression<'a> {
    rest: std::slice::Iter<'a, String>,
    metrics: &'a BTreeMap<&'a str, f64>,
}

impl<'a> Expression<'a> {
    fn value(words: &'a [String], metrics: &'a BTreeMap<&'a str, f64>) -> Option<f64> {
        let rest = words.iter();
        let mut expression = Self { rest, metrics };
        let value = expression.both();
        assert_eq!(expression.rest.next(), None, "{words:?}");
        value
    }

    /// Takes the next word if it is one of these.
    fn one_of(&mut self, words: &[&str]) -> Option<&'a str> {
        let next = self.rest.as_slice().first()?;
        words.contains(&next.as_str()).then(|| self.word())
    }

    fn word(&mut self) -> &'a str {
        self.rest.next().unwrap()
    }

    fn expect(&mut self, word: &str) {
        assert_eq!(self.word(), word);
    }

    fn both(&mut self) -> Option<f64> {
        let mut value = self.comparison();
        while self.one_of(&["AND"]).is_some() {
            let other = self.comparison();
            value = value
                .zip(other)
                .map(|(one, other)| truth(one != 0.0 && other != 0.0));
        }
        value
    }

    fn comparison(&mut self) -> Option<f64> {
        let one = self.sum();
        let Some(operator) = self.one_of(&[">", ">=", "<", "<=", "=="]) else {
            return one;
        };
        let (one, other) = one.zip(self.sum())?;
        Some(truth(match operator {
            ">" => one > other,
            ">=" => one >= other,
            "<" => one < other,
            "<=" => one <= other,
            _ => one == other,
        }))
    }

    fn sum(&mut self) -> Option<f64> {
        let mut value = self.product();
        while let Some(operator) = self.one_of(&["+", "-"]) {
            let other = self.product();
            let sign = if operator == "+" { 1.0 } else { -1.0 };
            value = value.zip(other).map(|(one, other)| one + sign * other);
        }
        value
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.factor();
        while let Some(operator) = self.one_of(&["*", "/"]) {
            let other = self.factor();
            let (one, other) = value.zip(other).unzip();
            // A division by zero gives no data point.
            value = match operator {
                "*" => one.zip(other).map(|(one, other)| one * other),
                _ => one
                    .zip(other.filter(|other| *other != 0.0))
                    .map(|(one, other)| one / other),
            };
        }
        value
    }

    fn factor(&mut self) -> Option<f64> {
        let token = self.word();
        match token {
            "(" => {
                let value = self.both();
                self.expect(")");
                value
            }
            "IF" => {
                self.expect("(");
                let condition = self.both();
                self.expect(",");
                let then = self.both();
                self.expect(",");
                let otherwise = self.both();
                self.expect(")");
                if condition? != 0.0 { then } else { otherwise }
            }
            "FILL" => {
                self.expect("(");
                let id = self.word();
                self.expect(",");
                let filling = self.both();
                self.expect(")");
                self.metrics.get(id).copied().or(filling)
            }
            token => match token.parse() {
                Ok(number) => Some(number),
                Err(_) => self.metrics.get(token).copied(),
            },
        }
    }
}

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// Splits an expression into words, numbers and signs.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |letter: char| letter.is_ascii_alphanumeric() || "_.".contains(letter);
        let length = match first {
            first if word(first) => rest.find(|letter| !word(letter)).unwrap_or(rest.len()),
            '>' | '<' | '=' if rest[1..].starts_with('=') => 2,
            _ => 1,
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}

#[test]
fn missing_data_points_count_as_the_documentation_says() {
    // The examples of the documentation: 3 of 3, and what a missing point counts as. The newest stands first.
    let alarm = |missing| Alarm {
        name: String::new(),
        period: 1,
        periods: 3,
        to_alarm: 3,
        above: true,
        threshold: 0.0,
        missing,
        metrics: BTreeMap::new(),
        expression: Vec::new(),
        fills_nothing: false,
    };
    let points = |text: &str| -> Vec<Option<f64>> {
        let point = |letter| match letter {
            'x' => Some(1.0),
            '0' => Some(0.0),
            _ => None,
        };
        text.chars().rev().map(point).collect()
    };
    for (text, breaching, not_breaching) in [
        ("0-x-x", false, false),
        ("--x-x", true, false),
        ("-----", true, false),
        ("0-xxx", true, true),
        ("xx--x", true, true),
        ("---0-", false, false),
    ] {
        let points = points(text);
        assert_eq!(
            alarm(Missing::Breaching).evaluate(&points),
            Some(breaching),
            "{text}"
        );
        assert_eq!(
            alarm(Missing::NotBreaching).evaluate(&points),
            Some(not_breaching),
            "{text}"
        );
    }
    assert_eq!(alarm(Missing::Ignore).evaluate(&points("-----")), None);
}
