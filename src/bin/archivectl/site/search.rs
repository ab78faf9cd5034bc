//! The page that calls are searched with: a form, and what was found.

use std::ops::Range;

use hyper::{Response, StatusCode};
use recording_archiver::ops::Error;
use recording_archiver::ops::find::{Hit, Party};

use super::answer::{self, Body};
use super::state::{Form, Found, Search, Site};
use crate::args::kinds;
use crate::html::{cards, escape, figures, texts};
use crate::words::{clock, counted, sentence};

/// The fields of the form: name, label, type and what stands in it as an example.
const FIELDS: [(&str, &str, &str, &str); 10] = [
    ("from", "From", "date", ""),
    ("to", "To", "date", ""),
    ("agent", "Agent", "text", "name or id"),
    ("queue", "Queue", "text", "name or id"),
    ("wrapup", "Wrap-up code", "text", "name or id"),
    ("division", "Division", "text", "name or id"),
    ("number", "Number", "text", "+4930123456"),
    ("country", "Its country", "text", "DE"),
    ("min-duration", "Lasted at least", "text", "30s, 5m, 1h"),
    ("max-duration", "Lasted at most", "text", "30s, 5m, 1h"),
];

/// Explains the fields for days.
const DAYS: &str = "<p class=\"wide dim\" id=\"days\">Days on which the call began, in UTC. Without a last one, all up to \
                    yesterday.</p>\n";

/// The field with the mark after which a search goes on.
const AFTER: &str = "after";

/// The field with the most recordings that are shown at a time.
const LIMIT: &str = "limit";

/// The part of the page with what was found.
const RESULTS: &str = "results";

/// Most fields of a form that are read.
const MOST_FIELDS: usize = 100;

/// Returns what a form holds.
pub(super) fn read(mut fields: Form) -> Form {
    fields.retain(|(_, value)| !value.trim().is_empty());
    fields.truncate(MOST_FIELDS);
    fields
}

/// Returns the path of a search; without a number, of the one that the page begins with.
pub(super) fn path(site: &Site<'_>, number: Option<u64>) -> String {
    match number {
        // To what was found, which is below the form on a narrow screen.
        Some(number) => format!("/{}/search/{number}#{RESULTS}", site.token),
        None => format!("/{}/", site.token),
    }
}

/// Searches again, and returns the page of the search of this number.
pub(super) async fn page(
    site: &Site<'_>,
    find: &Search<'_>,
    (number, form): (Option<u64>, &Form),
) -> Response<Body> {
    let asked = form.iter().any(|(name, _)| name == "from");
    let result = match asked {
        true => results(site, (number, form), find(form.clone()).await),
        false => "<p class=\"dim\">Name the first day, and what you know of the call.</p>\n".to_owned(),
    };
    answer::page(
        StatusCode::OK,
        ("Find a call", &span(form)),
        &body(site, form, &result),
    )
}

/// Returns the page of a search that is not kept any more.
pub(super) fn forgotten(site: &Site<'_>) -> Response<Body> {
    let result =
        "<p class=\"verdict warn\" role=\"alert\">This search is not kept any more: send it again.</p>\n";
    let body = body(site, &Form::new(), result);
    answer::page(StatusCode::NOT_FOUND, ("Find a call", ""), &body)
}

fn body(site: &Site<'_>, form: &Form, result: &str) -> String {
    format!(
        "<p class=\"dim\">Reason: <b class=\"ink\">{}</b>. Each recording that you listen to is written into the audit with \
         it. For another case, begin another page.</p>\n<div class=\"search\">\n<form method=\"post\" action=\"/{}/\" autocomplete=\"off\">\n{}\
         <button type=\"submit\" class=\"button\">Search</button>\n</form>\n\
         <section class=\"results\" id=\"{RESULTS}\" aria-label=\"Results\">\n{result}</section>\n</div>\n",
        escape(&site.reason),
        site.token,
        fields(form)
    )
}

/// Names the days of a search.
fn span(form: &Form) -> String {
    let day = |name: &str| {
        form.iter()
            .find(|(other, _)| other == name)
            .map(|(_, day)| day.as_str())
    };
    match (day("from"), day("to")) {
        (None, _) => String::new(),
        (Some(from), Some(to)) if from == to => format!("{from}, in UTC"),
        (Some(from), to) => format!("{from} to {}, days in UTC", to.unwrap_or("yesterday")),
    }
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
        let more = match name {
            "from" => " required aria-describedby=\"days\"",
            "to" => " aria-describedby=\"days\"",
            _ => "",
        };
        for (_, value) in values {
            html.push_str(&format!(
                "<label{class}>{label} <input name=\"{name}\" type=\"{kind}\" value=\"{}\" placeholder=\"{example}\"{more}></label>\n",
                escape(value)
            ));
        }
        if name == "to" {
            html.push_str(DAYS);
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

/// Names the fields of the form in a text that names the options of the command, and makes it a sentence.
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
    // A setting of the command.
    let mut text = text.replace(" (or NUMBER_COUNTRY)", "");
    for (name, label) in fields {
        let option = format!("--{name}");
        while let Some(at) = text.find(&option) {
            let end = at + option.len();
            let rest = &text[end..];
            // clap: '--from <DAY>'
            let quoted = rest.starts_with(" <") && text[..at].ends_with('\'');
            let (range, field) = match rest.find(">'").filter(|_| quoted) {
                Some(more) => (at - 1..end + more + 2, format!("“{label}”")),
                None => named(at..end, &text, label),
            };
            text.replace_range(range, &field);
        }
    }
    sentence(&text)
}

/// Names a field, with a value in capitals that stands behind its option: `--queue NAME`, `--country DE`. An id that
/// was spoken of before (`by its id: --agent ID`) is not named again.
fn named(option: Range<usize>, text: &str, label: &str) -> (Range<usize>, String) {
    let (begin, end) = (option.start, option.end);
    let after = text[end..].strip_prefix(' ').unwrap_or_default();
    let word = after.find(|letter: char| !letter.is_alphanumeric());
    let word = &after[..word.unwrap_or(after.len())];
    let capitals = word.chars().all(|letter| letter.is_ascii_uppercase());
    let value = if capitals { word } else { "" };
    let end = end + 1 + value.len();
    match value {
        "" => (option, format!("“{label}”")),
        "ID" if text[..begin].ends_with(": ") => (begin - 2..end, format!(", in “{label}”")),
        "ID" => (begin..end, format!("an id in “{label}”")),
        "NAME" => (begin..end, format!("a name in “{label}”")),
        value => (begin..end, format!("{value} in “{label}”")),
    }
}

fn results(site: &Site<'_>, (number, form): (Option<u64>, &Form), found: Result<Found, Error>) -> String {
    let found = match found {
        Ok(found) => found,
        Err(error) => return refusal(&error),
    };
    let missed = found
        .missed
        .iter()
        .map(|told| format!("<p class=\"verdict warn\">{}.</p>\n", escape(sentence(told))));
    let missed: String = missed.collect();
    if found.hits.is_empty() {
        return format!(
            "<p role=\"status\"><b>No recording was found.</b></p>\n{missed}<p class=\"dim\">Look at the days, which are \
             those on which the call began, in UTC; or leave a field empty. A call is found once it is settled, some \
             time after its end.</p>\n"
        );
    }
    let count = counted(found.hits.len() as u64, "recording", "recordings");
    let began = format!("Began ({})", site.zone);
    let columns = [
        texts(&began),
        figures("Lasted"),
        texts("Direction"),
        texts("Agents"),
        texts("Queues"),
    ];
    let rows: Vec<_> = found.hits.iter().map(|hit| row(site, number, hit)).collect();
    let (told, more) = match found.after {
        None => (format!("{count}."), String::new()),
        Some(mark) => (format!("{count}, and there are more."), next(site, form, &mark)),
    };
    format!(
        "<p role=\"status\"><b>{told}</b></p>\n{missed}<div class=\"hits\">{}</div>\n{more}",
        cards("In the order in which the calls began", &columns, &rows)
    )
}

/// Says why a search was not done, and the way out.
fn refusal(error: &Error) -> String {
    let way_out = error.way_out().map_or_else(String::new, |way_out| {
        format!("<p>{}</p>\n", escape(labelled(way_out)))
    });
    format!(
        "<p class=\"verdict bad\" role=\"alert\">{}</p>\n{way_out}",
        escape(labelled(&error.to_string()))
    )
}

/// Returns the way to what comes after a mark.
fn next(site: &Site<'_>, form: &Form, mark: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/{}/\">{}<input type=\"hidden\" name=\"{AFTER}\" value=\"{}\">\
         <button type=\"submit\" class=\"button\">Show the next ones</button></form>\n",
        site.token,
        hidden(form.iter().filter(|(name, _)| name != AFTER)),
        escape(mark)
    )
}

/// Returns a recording that was found, which leads to its call.
fn row(site: &Site<'_>, number: Option<u64>, hit: &Hit) -> Vec<String> {
    let search = number.map_or_else(String::new, |number| format!("?search={number}"));
    vec![
        format!(
            "<a href=\"/{}/call/{}{search}#{}\">{}</a>",
            site.token,
            escape(&hit.interaction_id),
            escape(&hit.recording_id),
            escape(site.zone.spoken(hit.start))
        ),
        hit.duration_ms.map_or_else(|| "-".to_owned(), clock),
        escape(hit.direction.as_deref().unwrap_or("-")),
        parties(hit, &hit.agents),
        parties(hit, &hit.queues),
    ]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_speaks_of_the_fields_of_the_form() {
        for (text, told) in [
            (
                "--number is in national form, and no country is given",
                "“Number” is in national form, and no country is given",
            ),
            (
                "or name its country: --country DE (or NUMBER_COUNTRY)",
                "Or name its country: DE in “Its country”",
            ),
            ("name one by its id: --agent ID", "Name one by its id, in “Agent”"),
            (
                "name one, such as --queue NAME, or name 31 days",
                "Name one, such as a name in “Queue”, or name 31 days",
            ),
            (
                "invalid value 'x' for '--min-duration <LENGTH>': accepted: 90s",
                "Invalid value 'x' for “Lasted at least”: accepted: 90s",
            ),
            ("for today: --to today", "For today: “To” today"),
            ("--agent Anna is nobody", "“Agent” Anna is nobody"),
        ] {
            assert_eq!(labelled(text), told);
        }
    }
}
