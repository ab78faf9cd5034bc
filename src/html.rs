//! Pages for people: one file, no scripts, nothing loaded from elsewhere; for screens light and dark, and for paper.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

use crate::redact::visible;

/// Escapes a text for HTML. Everything that is not this project's own words goes through it.
pub fn escape(text: impl fmt::Display) -> String {
    let mut escaped = String::new();
    for letter in visible(&text.to_string()).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    /// Its head, as HTML.
    head: &'a str,
    /// Its cells are figures, which stand at its right.
    figures: bool,
}

/// Makes a column of texts; the head is HTML already.
pub const fn texts(head: &str) -> Column<'_> {
    Column { head, figures: false }
}

/// Makes a column of figures; the head is HTML already.
pub const fn figures(head: &str) -> Column<'_> {
    Column { head, figures: true }
}

impl Column<'_> {
    fn class(self) -> &'static str {
        match self.figures {
            true => " class=\"figures\"",
            false => "",
        }
    }

    fn cell(self, tag: &str, attributes: &str, html: &str) -> String {
        format!("<{tag}{}{attributes}>{html}</{tag}>", self.class())
    }
}

/// Returns a table; caption, heads and cells are HTML already. The first cell of a row is its head.
pub fn table(caption: &str, columns: &[Column<'_>], rows: &[Vec<String>]) -> String {
    format!(
        "<div class=\"wide\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\"><table>{}</table></div>\n",
        content(caption, columns, rows, |_| String::new())
    )
}

/// Returns a table of long cells, which stand below each other with their heads on a narrow screen. Caption and heads
/// are plain text, cells are HTML already.
pub fn cards(caption: &str, columns: &[Column<'_>], rows: &[Vec<String>]) -> String {
    let named = |column: Column<'_>| match column.head {
        "" => String::new(),
        head => format!(" data-head=\"{head}\""),
    };
    format!(
        "<table class=\"cards\">{}</table>\n",
        content(caption, columns, rows, named)
    )
}

fn content(
    caption: &str,
    columns: &[Column<'_>],
    rows: &[Vec<String>],
    named: impl Fn(Column<'_>) -> String,
) -> String {
    let head = |column: &Column<'_>| match column.head {
        "" => "<td></td>".to_owned(),
        head => column.cell("th", " scope=\"col\"", head),
    };
    let heads: String = columns.iter().map(head).collect();
    let row = |row: &Vec<String>| {
        let cells = columns.iter().zip(row).enumerate();
        let cells: String = cells
            .map(|(at, (column, html))| match at {
                0 => column.cell("th", &format!(" scope=\"row\"{}", named(*column)), html),
                _ => column.cell("td", &named(*column), html),
            })
            .collect();
        format!("<tr>{cells}</tr>")
    };
    let rows: String = rows.iter().map(row).collect();
    format!("<caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>")
}

/// Returns the whole page, which is about `subject` if that is named; `body` is HTML already. Its policy forbids the
/// browser everything but this style, should markup get in nevertheless.
pub fn page(title: &str, subject: &str, body: &str) -> String {
    let style = hash(STYLE);
    let policy = format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{style}'; \
         base-uri 'none'; form-action 'none'\">\n"
    );
    let style = format!("<style>{STYLE}</style>\n");
    document((title, subject), &policy, &style, body)
}

/// Returns the source of a style or script as a policy allows it.
pub fn hash(source: &str) -> String {
    format!("sha256-{}", BASE64.encode(Sha256::digest(source)))
}

/// Returns a document with this title, which is about the subject if that is named; the rest is HTML already.
pub fn document((title, subject): (&str, &str), policy: &str, style: &str, body: &str) -> String {
    let (title, subject) = (escape(title), escape(subject));
    let heading = match subject.as_str() {
        "" => title.clone(),
        subject => format!("{title} <small>{subject}</small>"),
    };
    let title = format!("{title} {subject}");
    let title = title.trim_end();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n{policy}\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         {style}</head>\n<body>\n<main>\n<h1>{heading}</h1>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// The style of all pages.
pub const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2430; --dim: #5d6878; --line: #d9dee6; --paper: #fff; --panel: #f5f7fa;
  --one: #2f6fd0; --two: #8fb6ee; --good: #1d7f4b; --warn: #a15c00; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --dim: #9aa6b6; --line: #343d4a; --paper: #14181e;
  --panel: #1c222b; --one: #6ea3f2; --two: #33507c; --good: #5cc890; --warn: #e0a050; --bad: #f2857d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.3; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h1 small { display: block; color: var(--dim); font-size: 1rem; font-weight: 600; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; overflow-wrap: anywhere; }
p { margin: .4rem 0; }
.dim, figcaption { color: var(--dim); font-size: .875rem; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.verdict { border-left: 4px solid; padding: .5rem .75rem; background: var(--panel); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1rem 0; }
.tiles div { background: var(--panel); border-radius: 6px; padding: .6rem .75rem; }
.tiles b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
table + table { margin-top: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--dim); font-weight: 600; white-space: nowrap; }
tbody th { color: inherit; font-weight: 400; white-space: normal; } th.figures { white-space: normal; }
.figures { text-align: right; padding-left: .6rem; }
caption { text-align: left; color: var(--dim); font-size: .875rem; padding: .3rem 0; }
summary { color: var(--dim); font-size: .875rem; cursor: pointer; }
code { font: .8125rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
figure { margin: 0; }
.share { display: inline-block; width: 8rem; height: .6rem; }
.fixed { white-space: nowrap; } .long { overflow-wrap: anywhere; }
.chart { display: block; width: 100%; height: auto; }
svg text { fill: var(--dim); font: 11px system-ui, sans-serif; }
@media screen and (max-width: 40rem) { h1 { font-size: 1.35rem; } h1 small { font-size: .8rem; } th { white-space: normal; } .share { width: 4rem; }
  svg text { font-size: 20px; } .cards thead { display: none; }
  .cards, .cards caption, .cards tbody, .cards tr, .cards td, .cards tbody th { display: block; text-align: left; }
  .cards td:empty { display: none; } .cards tr { border-bottom: 1px solid var(--line); padding: .4rem 0; } .cards td, .cards tbody th { border: 0; padding: 0; }
  .cards [data-head]::before { content: attr(data-head) ' '; color: var(--dim); } }
@page { margin: 15mm; }
@media print { :root { color-scheme: light; --ink: #000; --dim: #444; --line: #bbb; --paper: #fff; --panel: #f3f3f3; --one: #2f6fd0;
  --two: #8fb6ee; --good: #1d7f4b; --warn: #a15c00; --bad: #b3261e; }
  body { font-size: 10pt; } main { max-width: none; padding: 0; } h2 { break-after: avoid; }
  figure, tr, .tiles, .verdict { break-inside: avoid; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .wide { overflow: visible; } }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let page = page("<b>", "", &escape("<script>alert('x' & \"y\")</script>"));
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39; &amp; &quot;y&quot;)&lt;/script&gt;"));
        assert!(page.contains("<title>&lt;b&gt;</title>"));
    }
}
