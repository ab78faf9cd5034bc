//! The page of a call: what it was, its players, and its chain of custody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hyper::{Response, StatusCode};
use recording_archiver::domain::annotations::Annotation;
use recording_archiver::domain::call::{CallRecord, CallRecording};
use recording_archiver::domain::recording::ConversationId;
use recording_archiver::ops::custody::{self, Custody};
use recording_archiver::ops::play::{Call, Check, Described, Track};
use recording_archiver::ops::{Error, Kind};

use super::answer::{self, Body};
use super::search;
use super::state::Site;
use crate::audit::page::custody;
use crate::html::escape;
use crate::words::{bytes, clock, duration, exact_bytes, sentence};

/// Most names of a kind that are shown.
const MOST_NAMES: usize = 20;
/// Longest name that is shown whole, in characters.
const LONGEST_NAME: usize = 200;

/// Kinds of media that browsers play: the ending of a key, the element, and the type.
const PLAYED: [(&str, &str, &str); 8] = [
    ("wav", "audio", "audio/wav"),
    ("mp3", "audio", "audio/mpeg"),
    ("flac", "audio", "audio/flac"),
    ("ogg", "audio", "audio/ogg"),
    ("opus", "audio", "audio/ogg"),
    ("m4a", "audio", "audio/mp4"),
    ("webm", "audio", "audio/webm"),
    ("mp4", "video", "video/mp4"),
];

/// Returns the element and the type with which browsers play a file; without an element they play none of its kind.
pub(super) fn media(track: &Track) -> (&'static str, &'static str) {
    let stored = &track.file.stored;
    let ending = stored
        .archive_key
        .key
        .rsplit_once('.')
        .map_or("", |(_, ending)| ending);
    let kind = stored
        .stored_as
        .as_ref()
        .map(|stored_as| &stored_as.kept.content_type);
    if ending.eq_ignore_ascii_case("webm") && kind.is_some_and(|kind| kind.starts_with("video/")) {
        return ("video", "video/webm");
    }
    let known = PLAYED
        .iter()
        .find(|(known, ..)| known.eq_ignore_ascii_case(ending));
    known.map_or(("", "application/octet-stream"), |(_, element, kind)| {
        (*element, *kind)
    })
}

/// Says what is known of a file's bytes as a whole: a class of the style, and words.
pub(super) fn check(track: &Track) -> (&'static str, String) {
    let size = track.file.stored.size_bytes;
    match track.check() {
        Check::Pending => (
            "dim",
            "SHA-256 not checked yet: playing the file begins it".to_owned(),
        ),
        Check::Running(read) => {
            let share = u128::from(read) * 100 / u128::from(size.max(1));
            (
                "dim",
                format!("SHA-256 of the whole file is being checked: {share} %"),
            )
        }
        Check::Matches => (
            "good",
            "SHA-256 of the whole file checked: matches the audit".to_owned(),
        ),
        Check::Differs(detail) => ("bad", format!("NOT what was archived: {detail}")),
        Check::Failed(detail) => ("bad", format!("SHA-256 not checked: {detail}")),
    }
}

/// Returns the page of a call that cannot be opened.
pub(super) fn failed(conversation: ConversationId, error: &Error, back: String) -> Response<Body> {
    let mut body = back;
    body.push_str(&format!(
        "<p class=\"verdict bad\" role=\"alert\">{}</p>\n",
        escape(sentence(&error.to_string()))
    ));
    if let Some(way_out) = error.way_out() {
        body.push_str(&format!("<p>{}</p>\n", escape(sentence(way_out))));
    }
    let subject = format!("of conversation {conversation}");
    let status = match error.kind() {
        Kind::Usage => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_GATEWAY,
    };
    answer::page(status, ("Recordings", &subject), &body)
}

/// Returns the page of a call, with this way back.
pub(super) fn page(
    site: &Site<'_>,
    conversation: ConversationId,
    (call, described): (&Call<'_>, &Described),
    back: &str,
) -> Response<Body> {
    let mut body = back.to_owned();
    body.push_str(&format!(
        "<p class=\"dim\">Reason: <b class=\"ink\">{}</b>. Each listening is written into the audit before the first byte is \
         read, with this reason and <code>{}</code>.</p>\n",
        escape(call.reason()),
        escape(call.identity())
    ));
    for finding in call.findings() {
        let about = finding.archive_key.clone().unwrap_or_else(|| finding.about());
        let text = format!("{} {about}: {}", finding.code, finding.detail);
        body.push_str(&format!("<p class=\"verdict bad\">{}</p>\n", escape(text)));
    }
    body.push_str(&facts(described, site));
    let mut tracks = call.tracks().iter().enumerate().peekable();
    while let Some((_, first)) = tracks.peek() {
        let recording = first.recording;
        let mut of_recording = Vec::new();
        while let Some(one) = tracks.next_if(|(_, track)| track.recording == recording) {
            of_recording.push(one);
        }
        body.push_str(&section(site, conversation, described, &of_recording));
    }
    body.push_str(
        "<section class=\"custody\"><h2>Chain of custody</h2>\n<p class=\"dim\">As ledger and audit are now. \
         Whether a file is as it was archived, its player says.</p>\n",
    );
    body.push_str(&custody(&described.audit, site.zone, "h3"));
    body.push_str("</section>\n");
    let state = format!("/{}/state/{conversation}", site.token);
    let body = format!("<div id=\"call\" data-state=\"{state}\">\n{body}</div>\n");
    let subject = format!("of conversation {conversation}");
    answer::page(StatusCode::OK, ("Recordings", &subject), &body)
}

/// Returns the way back to the search that a `query` names, where calls are searched for.
pub(super) fn back(site: &Site<'_>, query: Option<&str>) -> String {
    if site.search.is_none() {
        return String::new();
    }
    let number = query.and_then(|query| query.strip_prefix("search=")?.parse().ok());
    format!(
        "<p><a href=\"{}\">&larr; Back to the search</a></p>\n",
        search::path(site, number)
    )
}

/// Returns what the call was, by its call record.
fn facts(described: &Described, site: &Site<'_>) -> String {
    let Some(record) = &described.record else {
        return match &described.fault {
            Some(fault) => format!(
                "<p class=\"verdict bad\">The call record cannot be shown: {}</p>\n",
                escape(fault)
            ),
            None => "<p class=\"verdict warn\">There is no call record: who spoke, in which queue and which way, the \
                     archive does not know.</p>\n"
                .to_owned(),
        };
    };
    let facts = record.facts(None);
    let known = record.details.is_some();
    let length = facts.end.map(|end| end.duration_since(facts.start).as_millis());
    let length = length.and_then(|millis| u64::try_from(millis).ok());
    let mut rows = vec![
        ("Began", escape(site.zone.moment(facts.start))),
        ("Lasted", length.map_or_else(|| "-".to_owned(), clock)),
        ("Direction", escape(facts.direction.as_deref().unwrap_or("-"))),
    ];
    let names = &record.names;
    for (label, ids, known) in [
        ("Agents", &facts.agents, &names.users),
        ("Queues", &facts.queues, &names.queues),
        ("Wrap-up", &facts.wrapups, &names.wrap_up_codes),
        ("Divisions", &facts.divisions, &names.divisions),
    ] {
        rows.push((label, named(ids, known)));
    }
    rows.push(("Media", named(&facts.media, &BTreeMap::new())));
    let rows: String = rows
        .into_iter()
        .map(|(label, value)| format!("<div><dt>{label}</dt><dd>{value}</dd></div>\n"))
        .collect();
    let fault = match (&record.details_missing, known) {
        (_, true) => String::new(),
        (why, false) => format!(
            "<p class=\"verdict warn\">Genesys gave no details of the call{}.</p>\n",
            why.as_ref()
                .map_or_else(String::new, |why| format!(" ({})", escape(why)))
        ),
    };
    format!("<dl class=\"facts\">\n{rows}</dl>\n{fault}")
}

/// Returns the names of ids, and the ids themselves where no name is known.
fn named(ids: &BTreeSet<String>, names: &BTreeMap<String, String>) -> String {
    if ids.is_empty() {
        return "-".to_owned();
    }
    let shown = ids.iter().take(MOST_NAMES).map(|id| {
        let name = names.get(id).unwrap_or(id);
        let kept: String = name.chars().take(LONGEST_NAME).collect();
        let more = if kept.len() < name.len() { "…" } else { "" };
        format!("<span class=\"name\">{}{more}</span>", escape(kept))
    });
    let shown: Vec<_> = shown.collect();
    match ids.len().saturating_sub(MOST_NAMES) {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}

/// Returns a recording: its players, or why there are none.
fn section(
    site: &Site<'_>,
    conversation: ConversationId,
    described: &Described,
    tracks: &[(usize, &Arc<Track>)],
) -> String {
    let Some((_, first)) = tracks.first() else {
        return String::new();
    };
    let key = first.recording.recording_key();
    let custody = described
        .audit
        .custodies
        .iter()
        .find(|custody| custody.recording == key);
    let told = Told::of(described.record.as_ref(), custody, &key);
    let mut when = Vec::new();
    when.extend(told.start.map(|start| site.zone.moment(start)));
    when.extend(told.length.map(clock));
    when.extend(told.media.clone());
    let when = when.join(" · ");
    let channels = tracks.len() > 1
        && tracks
            .iter()
            .all(|(_, track)| track.file.stored.channel.is_some());
    let together = match channels {
        true => {
            "<p><label><input type=\"checkbox\" class=\"together\" checked> Play the channels together</label></p>\n"
        }
        false => "",
    };
    let players: String = tracks
        .iter()
        .map(|(number, track)| player(site, conversation, (*number, track), &told))
        .collect();
    format!(
        "<section class=\"recording\" id=\"{key}\"><h2>Recording <code>{key}</code></h2>\n<p class=\"dim\">{when}</p>\n\
         {together}{players}{marks}</section>\n",
        key = escape(&key),
        when = escape(when),
        marks = marks(&told)
    )
}

/// What is known of a recording beside its files.
struct Told {
    start: Option<jiff::Timestamp>,
    length: Option<u64>,
    media: Option<String>,
    /// `None`: not recorded.
    annotations: Option<Vec<Annotation>>,
    omitted: usize,
}

impl Told {
    /// Takes it from the call record, and where that says nothing from ledger and audit.
    fn of(record: Option<&CallRecord>, custody: Option<&Custody>, key: &str) -> Self {
        let mut recordings = record.into_iter().flat_map(|record| &record.recordings);
        let told: Option<&CallRecording> = recordings.find(|recording| recording.recording_id == key);
        let kept = custody.and_then(|custody| custody.record.as_ref());
        let start = told.and_then(|told| told.start);
        let end = told.and_then(|told| told.end);
        let millis = start
            .zip(end)
            .map(|(start, end)| end.duration_since(start).as_millis());
        let by_record = told.and_then(|told| told.annotations.clone());
        let omitted = match told {
            Some(told) => told.annotations_omitted,
            None => kept.and_then(|kept| kept.annotations_omitted),
        };
        Self {
            start: start.or_else(|| custody::started(&custody?.events)),
            length: millis.and_then(|millis| u64::try_from(millis).ok()),
            media: told.and_then(|told| told.media.clone()),
            annotations: by_record.or_else(|| kept?.annotations.clone()),
            omitted: omitted.unwrap_or_default(),
        }
    }

    /// Returns pauses and holds as begin and length in the file, in milliseconds, and what they are.
    fn marks(&self) -> Vec<(u64, u64, String)> {
        let annotations = self.annotations.iter().flatten();
        let mark = |annotation: &Annotation| {
            let (begin, length) = (annotation.location?, annotation.duration_ms?);
            let end = u64::try_from(begin.checked_add(length)?).ok()?;
            let begin = u64::try_from(begin).unwrap_or(0);
            let kind = annotation.kind.to_lowercase();
            let reason = annotation.reason.as_ref().map(|reason| format!(" ({reason})"));
            Some((
                begin,
                end.saturating_sub(begin),
                kind + &reason.unwrap_or_default(),
            ))
        };
        annotations.filter_map(mark).collect()
    }
}

/// Returns a file of a recording.
fn player(
    site: &Site<'_>,
    conversation: ConversationId,
    (number, track): (usize, &Arc<Track>),
    told: &Told,
) -> String {
    let stored = &track.file.stored;
    let label = match (stored.channel, stored.part) {
        // Field knowledge, not official text: docs/genesys.md, "Media".
        (Some(0), _) => "Channel 0, as a rule the external party".to_owned(),
        (Some(1), _) => "Channel 1, as a rule the internal party".to_owned(),
        (Some(channel), _) => format!("Channel {channel}"),
        (None, Some(part)) => format!("Part {part}"),
        (None, None) => "All channels".to_owned(),
    };
    let at = |what: &str| format!("/{}/{what}/{conversation}/{number}", site.token);
    let (element, kind) = media(track);
    let heading = format!(
        "<p class=\"label\"><b>{label}</b> <span class=\"dim\">{} · {}</span></p>\n",
        escape(stored.archive_key.key.rsplit('/').next().unwrap_or_default()),
        bytes(stored.size_bytes)
    );
    if let Some(wait) = track.wait() {
        return format!(
            "<div class=\"track\">{heading}<p class=\"verdict warn\">{}</p>\n<p>To have it restored, and to come back \
             for it: <code>archivectl play {conversation} --reason TEXT --restore</code></p></div>\n",
            escape(wait)
        );
    }
    let download = format!(
        "<a class=\"button\" href=\"{}\" download>Download {}</a>",
        at("download"),
        escape(bytes(stored.size_bytes))
    );
    let player = match element {
        "" => "<p class=\"verdict warn\">No browser plays this kind of file: download it.</p>\n".to_owned(),
        element => format!(
            "{}<{element} class=\"player\" controls controlslist=\"nodownload\" preload=\"none\" src=\"{}\" type=\"{kind}\" aria-label=\"{label} of \
             recording {}\"></{element}>\n",
            wave(&label, element),
            at("media"),
            escape(track.recording.recording_key())
        ),
    };
    let (class, check) = check(track);
    let length = told
        .length
        .map_or_else(String::new, |millis| format!(" data-length=\"{millis}\""));
    format!(
        "<div class=\"track\" data-number=\"{number}\" data-size=\"{}\" data-channel=\"{}\"{length}>{heading}{player}\
         <div class=\"below\"><p class=\"check {class}\" role=\"status\">{}</p>{download}</div>\n\
         <p class=\"dim hash\">SHA-256 in the audit <code>{}</code>, {}</p></div>\n",
        stored.size_bytes,
        stored
            .channel
            .map_or_else(String::new, |channel| channel.to_string()),
        escape(check),
        escape(&stored.sha256),
        exact_bytes(stored.size_bytes)
    )
}

/// Returns the time line that the script draws on.
fn wave(label: &str, element: &str) -> String {
    let note = if element == "audio" {
        "drawn once it plays"
    } else {
        ""
    };
    format!(
        "<div class=\"line\"><svg class=\"wave\" data-draw=\"{element}\" viewBox=\"0 0 1000 100\" preserveAspectRatio=\"none\" \
         role=\"img\" aria-label=\"Time line of {}\"><line class=\"axis\" x1=\"0\" y1=\"50\" x2=\"1000\" y2=\"50\"/>\
         <g class=\"stretches\"></g><path class=\"bars\"/><path class=\"bars played\"/>\
         <line class=\"head\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"100\"/></svg>\
         <p class=\"scale dim\"><span class=\"now\">0:00</span> <span class=\"note\">{note}</span> <span class=\"end\"></span></p></div>\n",
        label.to_lowercase()
    )
}

/// Returns the pauses and holds of a recording; each leads there.
fn marks(told: &Told) -> String {
    let marks = told.marks();
    let omitted = match told.omitted {
        0 => String::new(),
        more => format!("<p class=\"dim\">{more} more are not kept.</p>\n"),
    };
    match &told.annotations {
        None => return "<p class=\"dim\">Pauses and holds: not recorded.</p>\n".to_owned(),
        Some(_) if marks.is_empty() => return format!("<p class=\"dim\">No pauses or holds.</p>\n{omitted}"),
        Some(_) => {}
    }
    let mark = |(begin, length, kind): &(u64, u64, String)| {
        let class = if kind.starts_with("hold") { "hold" } else { "pause" };
        format!(
            "<li><button type=\"button\" class=\"mark {class}\" data-begin=\"{begin}\" data-length=\"{length}\">{} {}, {}</button></li>",
            clock(*begin),
            escape(kind),
            duration(*length)
        )
    };
    let items: String = marks.iter().map(mark).collect();
    format!("<h3>Pauses and holds</h3>\n<ul class=\"marks\">{items}</ul>\n{omitted}")
}
