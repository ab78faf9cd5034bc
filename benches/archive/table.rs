//! The report: one aligned table for people, the same as JSON for programs.

use serde_json::{Value, json};

/// The target of a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// Worth knowing, and no more.
    None,
}

/// One line of the report.
#[derive(Debug)]
pub(crate) struct Row {
    figure: String,
    target: Target,
    measured: f64,
    unit: &'static str,
}

impl Row {
    pub(crate) fn new(figure: impl Into<String>, target: Target, measured: f64, unit: &'static str) -> Self {
        Self {
            figure: figure.into(),
            target,
            measured,
            unit,
        }
    }

    /// Returns measured by target; below 1 is good for a ceiling, above 1 for a floor.
    fn ratio(&self) -> Option<f64> {
        match self.target {
            Target::AtMost(target) | Target::AtLeast(target) => Some(self.measured / target),
            Target::None => None,
        }
    }

    fn verdict(&self) -> &'static str {
        match self.target {
            Target::AtMost(most) if self.measured <= most => "met",
            Target::AtLeast(least) if self.measured >= least => "met",
            Target::None => "",
            _ => "missed",
        }
    }

    fn cells(&self) -> [String; 5] {
        let target = match self.target {
            Target::AtMost(most) => format!("<= {}", shown(most, self.unit)),
            Target::AtLeast(least) => format!(">= {}", shown(least, self.unit)),
            Target::None => String::new(),
        };
        [
            self.figure.clone(),
            target,
            shown(self.measured, self.unit),
            self.ratio()
                .map(|ratio| format!("{ratio:.2}"))
                .unwrap_or_default(),
            self.verdict().to_owned(),
        ]
    }

    fn json(&self) -> Value {
        let (bound, target) = match self.target {
            Target::AtMost(most) => (json!("at most"), json!(most)),
            Target::AtLeast(least) => (json!("at least"), json!(least)),
            Target::None => (Value::Null, Value::Null),
        };
        json!({"figure": self.figure, "bound": bound, "target": target, "measured": self.measured,
               "unit": self.unit, "ratio": self.ratio(), "verdict": self.verdict()})
    }
}

fn shown(value: f64, unit: &str) -> String {
    let digits = match value.abs() {
        small if small.fract() == 0.0 && unit != "s" => 0,
        small if small < 10.0 => 2,
        _ => 1,
    };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

/// Returns the rows under each other, each column as wide as its widest cell.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut lines = vec![["figure", "target", "measured", "ratio", "verdict"].map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    let mut widths = [0; 5];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for [figure, target, measured, ratio, verdict] in &lines {
        let [a, b, c, d, _] = widths;
        let line = format!("{figure:<a$}  {target:>b$}  {measured:>c$}  {ratio:>d$}  {verdict}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Returns the rows, and whatever else was found, as JSON.
pub(crate) fn json(rows: &[Row], notes: &[String]) -> Value {
    json!({"rows": rows.iter().map(Row::json).collect::<Vec<_>>(), "notes": notes})
}
