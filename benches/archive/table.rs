//! Figures beside their targets.

use serde_json::{Value, json};

/// One figure.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    name: String,
    figure: f64,
    unit: &'static str,
    target: Option<Target>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, figure: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            figure,
            unit,
            target: None,
        }
    }

    pub(crate) fn at_most(self, bound: f64) -> Self {
        Self {
            target: Some(Target::AtMost(bound)),
            ..self
        }
    }

    pub(crate) fn at_least(self, bound: f64) -> Self {
        Self {
            target: Some(Target::AtLeast(bound)),
            ..self
        }
    }

    pub(crate) fn figure(&self) -> f64 {
        self.figure
    }

    pub(crate) fn json(&self) -> Value {
        let (bound, met) = match self.target {
            None => (Value::Null, Value::Null),
            Some(Target::AtMost(bound)) => (json!({"atMost": bound}), json!(self.figure <= bound)),
            Some(Target::AtLeast(bound)) => (json!({"atLeast": bound}), json!(self.figure >= bound)),
        };
        json!({"name": self.name, "figure": self.figure, "unit": self.unit, "target": bound, "met": met})
    }

    fn cells(&self) -> [String; 4] {
        let (target, verdict) = match self.target {
            None => (String::new(), String::new()),
            Some(Target::AtMost(bound)) => (format!("<= {bound}"), self.verdict(bound, self.figure <= bound)),
            Some(Target::AtLeast(bound)) => {
                (format!(">= {bound}"), self.verdict(bound, self.figure >= bound))
            }
        };
        let figure = format!("{:.2} {}", self.figure, self.unit);
        [self.name.clone(), figure, target, verdict]
    }

    fn verdict(&self, bound: f64, met: bool) -> String {
        let word = if met { "met" } else { "MISSED" };
        format!("{word} ({:.2} x)", self.figure / bound)
    }
}

/// The rows as text, column under column.
pub(crate) fn aligned(rows: &[Row]) -> String {
    let head = ["figure", "measured", "target", ""].map(str::to_owned);
    let lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (name, figure, target) = (width(0), width(1), width(2));
    let text = lines.iter().map(|[a, b, c, d]| {
        let line = format!("{a:<name$}  {b:>figure$}  {c:>target$}  {d}");
        format!("{}\n", line.trim_end())
    });
    text.collect()
}

/// The middle one.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
