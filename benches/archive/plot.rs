//! Line charts as SVG: little enough to need no library, and the text in them stays text.

use std::fmt::Write as _;

/// One axis: its range is that of its ticks.
#[derive(Debug)]
pub(crate) struct Axis {
    pub(crate) label: &'static str,
    pub(crate) logarithmic: bool,
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Returns where a value lies, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let scaled = |value: f64| if self.logarithmic { value.ln() } else { value };
        let (low, high) = match (self.ticks.first(), self.ticks.last()) {
            (Some((low, _)), Some((high, _))) => (scaled(*low), scaled(*high)),
            _ => return 0.0,
        };
        (scaled(value) - low) / (high - low)
    }
}

/// Points that belong together.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
    /// A limit or an ideal, not a measurement.
    pub(crate) dashed: bool,
}

/// One chart.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
}

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 56.0;
const COLOURS: [&str; 3] = ["#1f5fa8", "#c0392b", "#555"];

/// Returns the charts side by side.
pub(crate) fn svg(charts: &[Chart]) -> String {
    let width = WIDTH * charts.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" width=\"{width}\" \
         height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"{width}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
    );
    for (at, chart) in charts.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate({},0)\">", WIDTH * at as f64);
        chart.draw(&mut svg);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

impl Chart {
    fn across(&self, x: f64) -> f64 {
        LEFT + self.x.place(x) * (WIDTH - LEFT - RIGHT)
    }

    fn down(&self, y: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(y) * (HEIGHT - TOP - BOTTOM)
    }

    fn draw(&self, svg: &mut String) {
        let (bottom, right, middle) = (HEIGHT - BOTTOM, WIDTH - RIGHT, (TOP + HEIGHT - BOTTOM) / 2.0);
        text(
            svg,
            (WIDTH / 2.0, 22.0),
            "middle",
            &self.title,
            "font-size=\"14\" font-weight=\"bold\"",
        );
        for (value, label) in &self.x.ticks {
            let x = self.across(*value);
            rule(svg, (x, TOP), (x, bottom));
            text(svg, (x, bottom + 18.0), "middle", label, "");
        }
        for (value, label) in &self.y.ticks {
            let y = self.down(*value);
            rule(svg, (LEFT, y), (right, y));
            text(svg, (LEFT - 8.0, y + 4.0), "end", label, "");
        }
        text(
            svg,
            ((LEFT + right) / 2.0, HEIGHT - 14.0),
            "middle",
            self.x.label,
            "",
        );
        let turned = format!("transform=\"rotate(-90 18 {middle})\"");
        text(svg, (18.0, middle), "middle", self.y.label, &turned);
        for (at, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[at % COLOURS.len()];
            let places: Vec<_> = line
                .points
                .iter()
                .map(|(x, y)| (self.across(*x), self.down(*y)))
                .collect();
            let path: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let dashes = if line.dashed {
                " stroke-dasharray=\"6 4\""
            } else {
                ""
            };
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>",
                path.join(" ")
            );
            for (x, y) in places.iter().filter(|_| !line.dashed) {
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
                );
            }
            let key = TOP + 16.0 * (at as f64 + 1.0);
            let _ = writeln!(
                svg,
                "<line x1=\"{0}\" y1=\"{key}\" x2=\"{1}\" y2=\"{key}\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>",
                LEFT + 10.0,
                LEFT + 38.0
            );
            text(svg, (LEFT + 44.0, key + 4.0), "start", line.name, "");
        }
    }
}

fn rule(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>"
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str, more: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {more}>{words}</text>"
    );
}
