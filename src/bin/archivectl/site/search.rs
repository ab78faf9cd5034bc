//! The page that calls are searched with: a form, and what was found.

use hyper::{Response, StatusCode};
use recording_archiver::ops::Error;
use recording_archiver::ops::find::{Hit, Party};

use super::answer::{self, Body};
use super::state::{Form, Found, Search, Site};
use crate::html::escape;
use crate::words::{clock, counted};

/// The fields of the form: name, label, type and what stands in it as an example.
const FIELDS: [(&str, &str, &str, &str); 10] = [
    ("from", "From (UTC)", "date", ""),
    ("to", "To (UTC)", "date", ""),
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

/// Most fields of a form that are read.
const MOST_FIELDS: usize = 100;

/// Remembers what a form holds: another search, or only the mark after which the last one goes on.
pub(super) fn remember(site: &Site<'_>, mut fields: Form) {
    fields.retain(|(_, value)| !value.trim().is_empty());
    fields.truncate(MOST_FIELDS);
    let mut form = site.form.borrow_mut();
    if let [(name, _)] = fields.as_slice()
        && name == AFTER
    {
        form.retain(|(name, _)| name != AFTER);
        form.append(&mut fields);
    } else {
        *form = fields;
    }
}

/// Searches again, and returns the page.
pub(super) async fn page(site: &Site<'_>, find: &Search<'_>) -> Response<Body> {
    let form = site.form.borrow().clone();
    let asked = form.iter().any(|(name, _)| name == "from");
    let result = match asked {
        true => results(site, find(form.clone()).await),
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
    let chosen = |name: &str, value: &str| form.iter().any(|(n, v)| n == name && v == value);
    for (name, label, values) in [
        ("direction", "Direction", &["inbound", "outbound"][..]),
        (
            "media",
            "Media",
            &["voice", "audio", "screen", "chat", "email", "message"],
        ),
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

fn results(site: &Site<'_>, found: Result<Found, Error>) -> String {
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            let way_out = error
                .way_out()
                .map(|way_out| format!("<p>{}</p>\n", escape(way_out)));
            let way_out = way_out.unwrap_or_default();
            return format!(
                "<p class=\"verdict bad\" role=\"alert\">{}</p>\n{way_out}",
                escape(error)
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
            "<form method=\"post\" action=\"/{}/\"><input type=\"hidden\" name=\"{AFTER}\" value=\"{}\">\
             <button type=\"submit\" class=\"button\">Show the next ones</button></form>\n",
            site.token,
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
