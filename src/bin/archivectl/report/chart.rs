//! Charts as inline SVG. Each scales with the page, has its figures as tooltips, and says in a text what it shows.

use std::fmt::Write as _;

use crate::html::{escape, figures, table, texts};
use crate::words::{bytes, count};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 180.0;
/// Room for the numbers of the upright axis, above the bars, and for the days below them.
const LEFT: f64 = 92.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 26.0;
/// No bar is wider.
const WIDEST: f64 = 64.0;

/// The unit of an upright axis.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    /// Things.
    Count,
    /// Bytes, in the largest binary unit that fits.
    Bytes,
}

impl Unit {
    /// Returns the name of the unit for values up to `most`, and how many it stands for.
    fn fitting(self, most: u64) -> (&'static str, u64) {
        let binary = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        match self {
            Self::Count => ("", 1),
            Self::Bytes => binary
                .map(|(name, bits)| (name, 1 << bits))
                .into_iter()
                .find(|(_, size)| most >= *size)
                .unwrap_or(("B", 1)),
        }
    }

    /// Returns the head of a column of such values.
    fn name(self) -> &'static str {
        match self {
            Self::Count => "Number",
            Self::Bytes => "Size",
        }
    }

    fn words(self, value: u64) -> String {
        match self {
            Self::Count => count(value),
            Self::Bytes => bytes(value),
        }
    }
}

/// Draws upright bars, one for each label, with the figures in a table behind them. `what` says what they show.
pub(super) fn bars(what: &str, label: &str, values: &[(String, u64)], unit: Unit) -> String {
    let rows: Vec<_> = values
        .iter()
        .map(|(label, value)| vec![escape(label), escape(unit.words(*value))])
        .collect();
    let what = escape(what);
    format!(
        "<figure>{}<figcaption>{what}</figcaption></figure>\n<details><summary>Figures: {what}</summary>{}</details>\n",
        picture(&what, values, unit),
        table(&what, &[texts(label), figures(unit.name())], &rows)
    )
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a picture shows no more than three digits"
)]
fn picture(what: &str, bars: &[(String, u64)], unit: Unit) -> String {
    let most = bars.iter().map(|(_, value)| *value).max().unwrap_or_default();
    let (name, size) = unit.fitting(most);
    let top = round_up(most.div_ceil(size)) * size;
    let (width, height) = (WIDTH - LEFT, HEIGHT - TOP - BOTTOM);
    let slot = width / bars.len().max(1) as f64;
    let mut svg = format!(
        "<div class=\"wide\"><svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{what}\">\n"
    );
    for line in [0, 1, 2] {
        let value = top / 2 * line;
        let y = TOP + height - height * value as f64 / top as f64;
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"var(--line)\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            format!("{} {name}", count(value / size)).trim_end()
        );
    }
    // As many labels as fit beside each other.
    let every = bars.len().div_ceil(8).max(1);
    for (at, (label, value)) in bars.iter().enumerate() {
        let x = LEFT + slot * at as f64;
        let bar = height * *value as f64 / top as f64;
        let wide = (slot * 0.8).min(WIDEST);
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{bar:.1}\" fill=\"var(--one)\"><title>{}: {}</title></rect>",
            x + (slot - wide) / 2.0,
            TOP + height - bar,
            wide,
            escape(label),
            escape(unit.words(*value))
        );
        if at % every == 0 {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x + slot / 2.0,
                HEIGHT - 6.0,
                escape(label)
            );
        }
    }
    svg.push_str("</svg></div>");
    svg
}

/// Draws lying bars with label and figure beside them, as a table that everybody can read.
#[expect(
    clippy::cast_precision_loss,
    reason = "a picture shows no more than three digits"
)]
pub(super) fn shares(caption: &str, heads: [&str; 3], rows: &[(String, u64)]) -> String {
    let sum: u64 = rows.iter().map(|(_, value)| value).sum();
    let rows: Vec<_> = rows
        .iter()
        .map(|(label, value)| {
            let percent = 100.0 * *value as f64 / sum.max(1) as f64;
            let bar = format!(
                "<span class=\"fixed\"><svg viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\" \
                 class=\"share\"><rect width=\"100\" height=\"8\" fill=\"var(--two)\"/>\
                 <rect width=\"{percent:.2}\" height=\"8\" fill=\"var(--one)\"/></svg> {percent:.1} %</span>"
            );
            vec![escape(label), count(*value), bar]
        })
        .collect();
    let [label, number, share] = heads;
    table(caption, &[texts(label), figures(number), texts(share)], &rows)
}

/// Returns the next even number of one leading digit, so that half of it is a round number, too.
fn round_up(value: u64) -> u64 {
    let mut unit = 1;
    while value > unit * 10 {
        unit *= 10;
    }
    let digits = value.div_ceil(unit).max(1);
    (digits + digits % 2) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_with_round_numbers_that_hold_the_largest_value() {
        for (value, top) in [
            (0, 2),
            (1, 2),
            (2, 2),
            (3, 4),
            (10, 10),
            (11, 20),
            (30, 40),
            (99, 100),
            (1_234, 2_000),
        ] {
            assert_eq!(round_up(value), top, "{value}");
        }
    }

    #[test]
    fn a_chart_of_nothing_is_a_chart() {
        assert!(bars("none", "day", &[], Unit::Bytes).contains("</svg>"));
        assert!(!shares("none", ["a", "b", "c"], &[("x".to_owned(), 0)]).contains("NaN"));
    }
}
