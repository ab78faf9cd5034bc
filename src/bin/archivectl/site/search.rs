//! The page that calls are searched with: a form, and what was found.

use hyper::{Response, StatusCode};
use recording_archiver::ops::Error;
use recording_archiver::ops::find::{Hit, Party};

use super::answer::{self, Body};
use super::state::{Form, Found, Search, Site};
use crate::args::kinds;
use crate::html::escape;
use crate::words::{clock, counted};

/// The fields of the form: name, label, type and what stands in it as an example.
const FIELDS: [(&str, &str, &str, &str); 10] = [
    ("from", "From (UTC)", "date", ""),
    ("to", "To (UTC), empty: yesterday", "date", ""),
    ("agent", "Agent", "text", "name or id"),
    ("queue", "Queue", "text", "name or id"),
    ("wrapup", "Wrap-up code", "text", "name or id"),
    ("division", "Division", "text", "name or id"),
    ("number", "Number", "text", "+4930123456"),
    ("country", "Its country", "text", "DE"),
    ("min-duration", "At least", "text", "30s, 5m, 1h"),
    ("max-duration", "At most", "text", "30s, 5m, 1h"),
];

/// The field with the mark after which a search goes on.
const AFTER: &str = "after";

/// The field with the most recordings that are shown at a time.
const LIMIT: &str = "limit";

/// Most fields of a form that are read.
const MOST_FIELDS: usize = 100;

/// Remembers what a form holds.
pub(super) fn remember(site: &Site<'_>, mut fields: Form) {
    fields.retain(|(_, value)| !value.trim().is_empty());
    fields.truncate(MOST_FIELDS);
    *site.form.borrow_mut() = fields;
}

/// Searches again, and returns the page.
pub(super) async fn page(site: &Site<'_>, find: &Search<'_>) -> Response<Body> {
    let form = site.form.borrow().clone();
    let asked = form.iter().any(|(name, _)| name == "from");
    let result = match asked {
        true => results(site, &form, find(form.clone()).await),
        false => "<p class=\"dim\">Name the first day, and what you know of the call.</p>\n".to_owned(),
    };
    let body = format!(
        "<p class=\"dim\">Reason: <b class=\"ink\">{}</b>. Each recording that you listen to is written into the audit with \
         it.</p>\n<div class=\"search\">\n<form method=\"post\" action=\"/{}/\" autocomplete=\"off\">\n{}\
         <button type=\"submit\" class=\"button\">Search</button>\n</form>\n\
         <section class=\"results\" aria-label=\"Results\">\n{result}</section>\n</div>\n",
        escape(&site.reason),
        site.token,
        fields(&form)
    );
    answer::page(StatusCode::OK, ("Find a call", ""), &body)
}

/// Returns the fields of the form as they were sent.
fn fields(form: &Form) -> String {
    let mut html = String::new();
    for (name, label, kind, example) in FIELDS {
        let mut values: Vec<_> = form.iter().filter(|(other, _)| other == name).collect();
        let none = (name.to_owned(), String::new());
        if values.is_empty() {
            values.push(&none);
        }
        let class = if example == "name or id" {
            " class=\"wide\""
        } else {
            ""
        };
        let required = if name == "from" { " required" } else { "" };
        for (_, value) in values {
            html.push_str(&format!(
                "<label{class}>{label} <input name=\"{name}\" type=\"{kind}\" value=\"{}\" placeholder=\"{example}\"{required}></label>\n",
                escape(value)
            ));
        }
    }
    html.push_str(&hidden(form.iter().filter(|(name, _)| name == LIMIT)));
    let kinds: Vec<_> = kinds().collect();
    let chosen = |name: &str, value: &str| form.iter().any(|(n, v)| n == name && v == value);
    for (name, label, values) in [
        ("direction", "Direction", &["inbound", "outbound"][..]),
        ("media", "Media", &kinds),
    ] {
        let options = values.iter().map(|value| {
            let selected = if chosen(name, value) { " selected" } else { "" };
            format!("<option{selected}>{value}</option>")
        });
        html.push_str(&format!(
            "<label>{label} <select name=\"{name}\"><option value=\"\">any</option>{}</select></label>\n",
            options.collect::<String>()
        ));
    }
    html
}

/// Returns fields that nobody sees.
fn hidden<'a>(fields: impl Iterator<Item = &'a (String, String)>) -> String {
    let field = |(name, value): &(String, String)| {
        format!(
            "<input type=\"hidden\" name=\"{}\" value=\"{}\">",
            escape(name),
            escape(value)
        )
    };
    fields.map(field).collect()
}

/// Names the fields of the form in a text that names the options of the command.
fn labelled(text: &str) -> String {
    let of_page = [
        ("direction", "Direction"),
        ("media", "Media"),
        (LIMIT, "Most recordings"),
        (AFTER, "Mark"),
    ];
    let fields = FIELDS
        .iter()
        .map(|(name, label, ..)| (*name, *label))
        .chain(of_page);
    let mut text = text.to_owned();
    for (name, label) in fields {
        let option = format!("--{name}");
        let label = label.split([',', '(']).next().unwrap_or(label).trim();
        while let Some(at) = text.find(&option) {
            let rest = &text[at + option.len()..];
            // clap: '--from <DAY>'
            let quoted = rest.starts_with(" <") && text[..at].ends_with('\'');
            let (begin, end) = match rest.find(">'").filter(|_| quoted) {
                Some(more) => (at - 1, at + option.len() + more + 2),
                None => (at, at + option.len()),
            };
            text.replace_range(begin..end, &format!("“{label}”"));
        }
    }
    text
}

fn results(site: &Site<'_>, form: &Form, found: Result<Found, Error>) -> String {
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            let way_out = error
                .way_out()
                .map(|way_out| format!("<p>{}</p>\n", escape(labelled(way_out))));
            let way_out = way_out.unwrap_or_default();
            return format!(
                "<p class=\"verdict bad\" role=\"alert\">{}</p>\n{way_out}",
                escape(labelled(&error.to_string()))
            );
        }
    };
    if found.hits.is_empty() {
        return "<p role=\"status\">No recording was found.</p>\n".to_owned();
    }
    let count = counted(found.hits.len() as u64, "recording", "recordings");
    let hits: String = found.hits.iter().map(|hit| line(site, hit)).collect();
    let more = found.after.map_or_else(String::new, |mark| {
        format!(
            "<form method=\"post\" action=\"/{}/\">{}<input type=\"hidden\" name=\"{AFTER}\" value=\"{}\">\
             <button type=\"submit\" class=\"button\">Show the next ones</button></form>\n",
            site.token,
            // All of it: another search may have been sent since.
            hidden(form.iter().filter(|(name, _)| name != AFTER)),
            escape(mark)
        )
    });
    format!("<p role=\"status\">{count}</p>\n<ol class=\"hits\">\n{hits}</ol>\n{more}")
}

/// Returns a recording that was found, which leads to its call.
fn line(site: &Site<'_>, hit: &Hit) -> String {
    let length = hit.duration_ms.map_or_else(|| "-".to_owned(), clock);
    let direction = hit.direction.as_deref().unwrap_or("-");
    format!(
        "<li><a href=\"/{}/call/{}#{}\"><b>{}</b> <span class=\"dim\">{length} · {}</span><br>{}<br>\
         <span class=\"dim\">{}</span></a></li>\n",
        site.token,
        escape(&hit.interaction_id),
        escape(&hit.recording_id),
        escape(site.zone.moment(hit.start)),
        escape(direction),
        parties(hit, &hit.agents),
        parties(hit, &hit.queues)
    )
}

/// Names some of those who took part.
fn parties(hit: &Hit, parties: &[Party]) -> String {
    const MOST: usize = 5;
    const LONGEST: usize = 80;
    let names = parties.iter().take(MOST).map(|party| {
        let kept: String = party.shown().chars().take(LONGEST).collect();
        let more = if kept.len() < party.shown().len() {
            "…"
        } else {
            ""
        };
        format!("{}{more}", escape(kept))
    });
    let names: Vec<_> = names.collect();
    match (parties.len(), parties.len().saturating_sub(MOST)) {
        (0, _) => "-".to_owned(),
        (_, 0) => names.join(", "),
        (_, more) => {
            let least = if hit.goes_on(parties) { "at least " } else { "" };
            format!("{}, and {least}{more} more", names.join(", "))
        }
    }
}
