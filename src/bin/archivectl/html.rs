//! Pages for people: one file, no scripts, nothing loaded from elsewhere; for screens light and dark, and for paper.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use recording_archiver::ops::{Error, Kind, files};
use recording_archiver::redact::visible;
use sha2::{Digest as _, Sha256};

/// A text as HTML writes it. Everything that is not this project's own words goes through it.
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

/// A table; heads and cells are HTML already.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut html = String::from("<div class=\"wide\"><table><thead><tr>");
    for head in heads {
        html.push_str(&format!("<th>{head}</th>"));
    }
    html.push_str("</tr></thead><tbody>");
    for row in rows {
        html.push_str("<tr>");
        for cell in row {
            html.push_str(&format!("<td>{cell}</td>"));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>\n");
    html
}

/// The whole page; `body` is HTML already. Its policy forbids the browser everything but this style, should markup get in
/// nevertheless.
pub(crate) fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    let style = BASE64.encode(Sha256::digest(STYLE));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{style}'; \
         base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
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

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2430; --dim: #5d6878; --line: #d9dee6; --paper: #fff; --panel: #f5f7fa;
  --one: #2f6fd0; --two: #8fb6ee; --good: #1d7f4b; --warn: #a15c00; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --dim: #9aa6b6; --line: #343d4a; --paper: #14181e;
  --panel: #1c222b; --one: #6ea3f2; --two: #33507c; --good: #5cc890; --warn: #e0a050; --bad: #f2857d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; overflow-wrap: anywhere; }
p { margin: .4rem 0; }
.dim, figcaption { color: var(--dim); font-size: .875rem; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.verdict { border-left: 4px solid; padding: .5rem .75rem; background: var(--panel); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1rem 0; }
.tiles div { background: var(--panel); border-radius: 6px; padding: .6rem .75rem; }
.tiles b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--dim); font-weight: 600; white-space: nowrap; }
code { font: .8125rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
figure { margin: 0; }
.share { display: inline-block; width: 8rem; height: .6rem; }
.fixed { white-space: nowrap; }
.chart { display: block; width: 100%; height: auto; }
@media screen and (max-width: 40rem) { table, .chart { min-width: 36rem; } }
svg text { fill: var(--dim); font: 11px system-ui, sans-serif; }
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
        let page = page("<b>", &escape("<script>alert('x' & \"y\")</script>"));
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39; &amp; &quot;y&quot;)&lt;/script&gt;"));
        assert!(page.contains("<title>&lt;b&gt;</title>"));
    }
}
