//! Pages for people: one file, no scripts, nothing loaded from elsewhere; for screens light and dark, and for paper.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use recording_archiver::ops::{Error, Kind, files};
use recording_archiver::redact::visible;
use sha2::{Digest as _, Sha256};

/// Escapes a text for HTML. Everything that is not this project's own words goes through it.
pub(crate) fn escape(text: impl fmt::Display) -> String {
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

/// Returns a table; heads and cells are HTML already.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |_: &str, cell: &str| format!("<td>{cell}</td>");
    format!(
        "<div class=\"wide\" role=\"region\" aria-label=\"Table\" tabindex=\"0\"><table>{}</table></div>\n",
        content(heads, rows, cell)
    )
}

/// Returns a table of long cells, which stand below each other with their heads on a narrow screen. Heads are plain
/// text, cells are HTML already.
pub(crate) fn cards(heads: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |head: &str, cell: &str| match head {
        "" => format!("<td>{cell}</td>"),
        head => format!("<td data-head=\"{head}\">{cell}</td>"),
    };
    format!("<table class=\"cards\">{}</table>\n", content(heads, rows, cell))
}

fn content(heads: &[&str], rows: &[Vec<String>], cell: impl Fn(&str, &str) -> String) -> String {
    let heads_html: String = heads
        .iter()
        .map(|head| match *head {
            "" => "<td></td>".to_owned(),
            head => format!("<th scope=\"col\">{head}</th>"),
        })
        .collect();
    let row = |row: &Vec<String>| {
        let cells: String = heads
            .iter()
            .zip(row)
            .map(|(head, text)| cell(head, text))
            .collect();
        format!("<tr>{cells}</tr>")
    };
    let rows: String = rows.iter().map(row).collect();
    format!("<thead><tr>{heads_html}</tr></thead><tbody>{rows}</tbody>")
}

/// Returns the whole page, which is about `subject` if that is named; `body` is HTML already. Its policy forbids the
/// browser everything but this style, should markup get in nevertheless.
pub(crate) fn page(title: &str, subject: &str, body: &str) -> String {
    let style = hash(STYLE);
    let policy = format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{style}'; \
         base-uri 'none'; form-action 'none'\">\n"
    );
    let style = format!("<style>{STYLE}</style>\n");
    document((title, subject), &policy, &style, body)
}

/// Returns the source of a style or script as a policy allows it.
pub(crate) fn hash(source: &str) -> String {
    format!("sha256-{}", BASE64.encode(Sha256::digest(source)))
}

/// Returns a document with this title, which is about the subject if that is named; the rest is HTML already.
pub(crate) fn document((title, subject): (&str, &str), policy: &str, style: &str, body: &str) -> String {
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

/// Says whether a page goes to stdout.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Writes the page in place of what lies there, and names the file if it cannot be written.
pub(crate) fn write(path: &Path, page: &str) -> Result<(), Error> {
    let written = files::replace(path, page.as_bytes());
    written.map(drop).map_err(|error| {
        Error::new(
            Kind::File,
            format!("{} cannot be written: {error}", path.display()),
        )
    })
}

/// The style of all pages.
pub(crate) const STYLE: &str = "
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
code { font: .8125rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
figure { margin: 0; }
.share { display: inline-block; width: 8rem; height: .6rem; }
.fixed { white-space: nowrap; }
.chart { display: block; width: 100%; height: auto; }
svg text { fill: var(--dim); font: 11px system-ui, sans-serif; }
@media screen and (max-width: 40rem) { h1 { font-size: 1.35rem; } h1 small { font-size: .8rem; } th { white-space: normal; } .share { width: 4rem; }
  svg text { font-size: 20px; } .cards thead { display: none; }
  .cards, .cards tbody, .cards tr, .cards td { display: block; }
  .cards tr { border-bottom: 1px solid var(--line); padding: .4rem 0; } .cards td { border: 0; padding: 0; }
  .cards td[data-head]::before { content: attr(data-head) ' '; color: var(--dim); } }
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
