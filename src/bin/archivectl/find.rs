//! `archivectl find`: finds calls by who, where, when and how, years later.

use std::cell::RefCell;
use std::time::Duration;

use clap::{CommandFactory as _, Parser};
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use recording_archiver::catalog::{MOST_COUNTED, is_mark};
use recording_archiver::domain::call::Facet;
use recording_archiver::domain::number::Country;
use recording_archiver::ops::find::{Figures, Hit, Party, Request, find};
use recording_archiver::ops::{Error, Event, Kind, Listener, Session, Verdict};
use recording_archiver::redact::visible;

use crate::args::{self, BEGAN, Common, Days};
use crate::get;
use crate::out::Out;
use crate::play;
use crate::site::{self, Form, Found, Shown, SiteArgs};
use crate::text::{self, DIM, NOTE, Text, width};
use crate::usage;
use crate::words::{Zone, clock, count, counted};

/// Find calls by agent, queue, wrap-up code, division or number.
///
/// Asks the catalog alone: neither Genesys nor the recordings are needed, whatever storage they lie in. Names may be in
/// any case, and a part is enough where only one has it. Numbers are in the catalog as hashes, so they are found and
/// not shown.
#[derive(Debug, clap::Args)]
#[command(mut_arg("from", |from| from.help(BEGAN)), after_help = "\
Examples:
  # the calls of an agent in a queue
  archivectl find --from 2026-03-01 --agent 'Anna Example' --queue claims
  # the calls of a number, as it is written in Germany
  archivectl find --from 2024-01-01 --number '030 123456' --country DE
  # the next ones, after the mark that the last search ended with
  archivectl find --from 2024-01-01 --queue claims --after MARK

It needs to read only: dynamodb:Query and GetItem on the catalog's table, and for --number \
secretsmanager:GetSecretValue on its key.")]
pub(crate) struct Args {
    #[command(flatten)]
    days: Days,
    /// Only calls in which this user took part, by name or id.
    #[arg(long, value_name = "NAME", value_parser = args::name)]
    agent: Vec<String>,
    /// Only calls that went through this queue, by name or id.
    #[arg(long, value_name = "NAME", value_parser = args::name)]
    queue: Vec<String>,
    /// Only calls that ended with this wrap-up code, by name or id.
    #[arg(long, value_name = "NAME", value_parser = args::name)]
    wrapup: Vec<String>,
    /// Only calls of this division, by name or id.
    #[arg(long, value_name = "NAME", value_parser = args::name)]
    division: Vec<String>,
    /// Only calls from or to this number: +4930123456, an extension of up to 6 digits, or a national number with
    /// --country.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    number: Option<String>,
    /// The country of a number in national form, such as DE. Default: NUMBER_COUNTRY.
    #[arg(long, value_name = "COUNTRY", requires = "number", value_parser = country)]
    country: Option<Country>,
    /// Only calls that were begun this way.
    #[arg(long, value_name = "DIRECTION", value_parser = ["inbound", "outbound"])]
    direction: Option<String>,
    /// Only recordings of this kind (audio, screen, ...), or of calls with a session of it (voice, ...).
    #[arg(long, value_name = "KIND", value_parser = args::kind)]
    media: Option<String>,
    /// Only calls of at least this length: 90s, 5m or 1h.
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    min_duration: Option<Duration>,
    /// Only calls of at most this length.
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    max_duration: Option<Duration>,
    /// Most recordings to show.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Go on after the mark that an earlier search ended with.
    #[arg(long, value_name = "MARK", value_parser = mark)]
    after: Option<String>,
    /// Comma-separated values with a line of names first.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    page: PageArgs,
}

/// Arguments of the page.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "On a page")]
struct PageArgs {
    /// Search on a page of this machine, and listen to what is found, as archivectl play does.
    #[arg(long, requires = "reason", conflicts_with = "csv")]
    open: bool,
    /// Why somebody listens: kept in the audit for good, so name a case and no party to the call.
    #[arg(long, value_name = "TEXT", requires = "open", value_parser = args::reason)]
    reason: Option<String>,
    #[command(flatten)]
    site: SiteArgs,
}

/// A search as a form names it.
#[derive(Debug, Parser)]
#[command(name = "archivectl find", color = clap::ColorChoice::Never)]
struct Again {
    /// Known to the arguments below.
    #[command(flatten)]
    _common: Common,
    #[command(flatten)]
    args: Args,
}

impl Args {
    /// Returns the variables that it cannot do without.
    pub(crate) fn needs(&self) -> &'static [&'static str] {
        if self.page.open { get::NEEDS } else { &[] }
    }

    /// Returns the search.
    fn request(&self, now: Timestamp) -> Result<Request, Error> {
        let lists = [
            (Facet::Agent, &self.agent),
            (Facet::Queue, &self.queue),
            (Facet::Wrapup, &self.wrapup),
            (Facet::Division, &self.division),
        ];
        if let (Some(least), Some(most)) = (self.min_duration, self.max_duration)
            && least > most
        {
            let (least, most) = (least.as_secs(), most.as_secs());
            let message =
                format!("--min-duration {least}s is longer than --max-duration {most}s: no call is both");
            return Err(Error::new(Kind::Usage, message).remedy("exchange them, or leave one out"));
        }
        let parties = lists
            .into_iter()
            .flat_map(|(facet, names)| names.iter().map(move |name| (facet, name.clone())));
        Ok(Request {
            range: self.days.required(now)?,
            parties: parties.collect(),
            number: self.number.clone(),
            country: self.country,
            direction: self.direction.clone(),
            media: self.media.clone(),
            shortest: self.min_duration,
            longest: self.max_duration,
            after: self.after.clone(),
            most: usize::try_from(self.limit).unwrap_or(usize::MAX),
        })
    }
}

fn country(text: &str) -> Result<Country, String> {
    Country::parse(text).ok_or_else(|| format!("accepted: {}", Country::accepted()))
}

fn mark(text: &str) -> Result<String, String> {
    let read = is_mark(text).then(|| text.to_owned());
    read.ok_or_else(|| "accepted: the mark that an earlier search ended with, as a whole".to_owned())
}

fn length(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3_600)];
    let read = |(unit, seconds): (char, u64)| {
        let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
        Some(Duration::from_secs(u64::from(number) * seconds))
    };
    let read = units.into_iter().find_map(read);
    read.ok_or_else(|| "accepted: a length such as 90s, 5m or 1h".to_owned())
}

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    if args.page.open {
        return open(args, session, out).await;
    }
    let request = args.request(session.now())?;
    if args.csv {
        out.raw(CSV_HEADER.as_bytes());
    }
    let progress = out.progress("find");
    let show = |hit: Hit| match args.csv {
        true => out.raw(csv(&hit).as_bytes()),
        false => out.item(&hit, || lines(&hit, out.zone(), width())),
    };
    let listener = |event| progress.hear(event, show);
    let ended = find(session, request, Listener::new(&listener)).await;
    progress.finish();
    let figures = &ended.figures;
    match (args.csv, &figures.after) {
        (false, _) => {
            let begun = figures.found > 0 || figures.partial > 0 || figures.national > 0;
            out.ended(&ended, begun, || words(figures));
        }
        (true, Some(mark)) => out.note(format!("there are more: --after '{mark}'")),
        (true, None) => {}
    }
    if args.csv {
        missed(figures, LISTED)
            .into_iter()
            .for_each(|note| out.note(note));
    }
    ended.end?;
    Ok(ended.figures.verdict())
}

/// Shows the search on a page.
async fn open(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let search = |form: Form| -> LocalBoxFuture<'_, _> { Box::pin(again(form, session)) };
    let shown = Shown::Search(&search, form(args, session.now()));
    let reason = args.page.reason.as_deref().unwrap_or_default();
    let figures = site::serve((session, out), &args.page.site, reason, shown).await?;
    out.summary(&figures, || play::words(&figures));
    Ok(figures.verdict())
}

/// Searches as the command line would with the fields of a form as its options.
async fn again(form: Form, session: &Session) -> Result<Found, Error> {
    // A country alone says nothing, and a form may keep one.
    let number = form
        .iter()
        .any(|(name, value)| name == "number" && !value.trim().is_empty());
    let options = form
        .into_iter()
        .filter(|(name, _)| number || name != "country")
        .map(|(name, value)| format!("--{name}={}", value.trim()));
    let options = std::iter::once("find".to_owned()).chain(options);
    let read = Again::try_parse_from(options);
    // How to use a command line helps nobody on a page.
    let refused = |error| Error::new(Kind::Usage, usage::error(&error, &Again::command()).to_string());
    let args = read.map_err(refused)?.args;
    let hits = RefCell::new(Vec::new());
    let listener = |event| {
        if let Event::Item(hit) = event {
            hits.borrow_mut().push(hit);
        }
    };
    let ended = find(session, args.request(session.now())?, Listener::new(&listener)).await;
    ended.end?;
    Ok(Found {
        hits: hits.into_inner(),
        missed: missed(&ended.figures, ON_PAGE),
        after: ended.figures.after,
    })
}

/// Returns the fields that a form begins with.
fn form(args: &Args, now: Timestamp) -> Form {
    let seconds = |length: Option<Duration>| length.map(|length| format!("{}s", length.as_secs()));
    let (from, to) = args.days.named(now);
    let single = [
        ("from", from),
        ("to", to),
        ("number", args.number.clone()),
        ("country", args.country.map(|country| country.code().to_owned())),
        ("direction", args.direction.clone()),
        ("media", args.media.clone()),
        ("limit", Some(args.limit.to_string())),
        ("min-duration", seconds(args.min_duration)),
        ("max-duration", seconds(args.max_duration)),
        ("after", args.after.clone()),
    ];
    let single = single
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let several = [
        ("agent", &args.agent),
        ("queue", &args.queue),
        ("wrapup", &args.wrapup),
        ("division", &args.division),
    ];
    let several = several
        .into_iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name, value.clone())));
    let fields = single.chain(several);
    fields.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Names those of a list of a call, with a last one that says that it goes on.
fn names<'a>(hit: &Hit, parties: &'a [Party]) -> Vec<&'a str> {
    let more = hit.goes_on(parties).then_some("…");
    parties.iter().map(Party::shown).chain(more).collect()
}

/// Names people and places, as many as fit into so many columns; `-` where there are none.
fn named(names: &[&str], columns: usize) -> String {
    if names.is_empty() {
        return "-".to_owned();
    }
    let names = visible(&names.join(", "));
    if text::columns(&names) <= columns {
        return names;
    }
    let mut kept = String::new();
    // Of marks without a width there may be any number.
    for letter in names.chars().take(8 * columns) {
        kept.push(letter);
        if text::columns(&kept) >= columns {
            kept.pop();
            break;
        }
    }
    format!("{kept}…")
}

/// Width of the column of agents, where there is room for more.
const AGENTS: usize = 32;

/// Shows a recording in two lines: the call, and the ids to go on with.
fn lines(hit: &Hit, zone: &Zone, width: usize) -> Text {
    let length = hit.duration_ms.map_or_else(|| "-".to_owned(), clock);
    let direction = match hit.direction.as_deref() {
        Some("inbound") => "in",
        Some("outbound") => "out",
        _ => "-",
    };
    let call = format!("{}  {length:>8}  {direction:3}  ", zone.second(hit.start));
    let room = width.saturating_sub(text::columns(&call) + 2) / 2;
    let (agents, queues) = (
        named(&names(hit, &hit.agents), room),
        named(&names(hit, &hit.queues), room),
    );
    let gap = room.min(AGENTS).saturating_sub(text::columns(&agents)) + 2;
    let text = Text::new(call).add(format!("{agents}{:gap$}{queues}", ""));
    let ids = format!("{} {}", hit.interaction_id, hit.recording_id);
    text.line().add("  ").style(DIM, ids)
}

fn words(figures: &Figures) -> Text {
    let text = match figures.found {
        0 => Text::new("no recording was found"),
        found => Text::new(counted(found, "recording", "recordings")),
    };
    let text = missed(figures, LISTED)
        .into_iter()
        .fold(text, |text, note| text.line().style(NOTE, note));
    match &figures.after {
        None => text,
        Some(mark) => {
            let more = format!("there are more than these {}: ", count(figures.found));
            text.line().style(NOTE, more).add(format!("--after '{mark}'"))
        }
    }
}

/// How the command lists recordings that a search by value, and one by number, may have missed.
const LISTED: [&str; 2] = [
    "without these, find --json lists them, as partial",
    "without it, find --json lists them, as national; set NUMBER_COUNTRY and run archivectl catalog rebuild to find them",
];

/// How the page lists them.
const ON_PAGE: [&str; 2] = [
    "leave these fields empty to find them",
    "leave this field empty to find them",
];

/// Says that a search may have missed recordings, and how to list them.
fn missed(figures: &Figures, [partial, national]: [&str; 2]) -> Vec<String> {
    let of_value = format!("by each agent, queue, wrap-up code, division and number: {partial}");
    let of_number = format!("by number, as numbers in national form are left out: {national}");
    let missed = [(figures.partial, of_value), (figures.national, of_number)];
    let missed = missed.into_iter().filter(|(number, _)| *number > 0);
    let told = missed.map(|(number, how)| {
        let least = if number < MOST_COUNTED { "" } else { "at least " };
        let recordings = counted(number, "recording", "recordings");
        format!("{least}{recordings} of this time may fit and not be found {how}")
    });
    told.collect()
}

const CSV_HEADER: &str =
    "start,durationSeconds,direction,media,agents,queues,wrapups,divisions,interactionId,recordingId\r\n";

/// Writes a line of comma-separated values (RFC 4180).
fn csv(hit: &Hit) -> String {
    let names = |parties| names(hit, parties).join("; ");
    let seconds = hit.duration_ms.map(|millis| (millis / 1_000).to_string());
    let fields = [
        hit.start.to_string(),
        seconds.unwrap_or_default(),
        hit.direction.clone().unwrap_or_default(),
        hit.media.join("; "),
        names(&hit.agents),
        names(&hit.queues),
        names(&hit.wrapups),
        names(&hit.divisions),
        hit.interaction_id.clone(),
        hit.recording_id.clone(),
    ];
    let fields: Vec<_> = fields.iter().map(|field| quoted(field)).collect();
    format!("{}\r\n", fields.join(","))
}

/// Quotes a field where it has to be. A spreadsheet takes a field that begins like a formula for one.
fn quoted(field: &str) -> String {
    let field = visible(field);
    let field = match field.starts_with(['=', '+', '-', '@']) {
        true => format!("'{field}"),
        false => field,
    };
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit() -> Hit {
        let party = |id: &str, name: Option<&str>| Party {
            id: id.to_owned(),
            name: name.map(str::to_owned),
        };
        Hit {
            interaction_id: "c0000000-0000-4000-8000-000000000001".to_owned(),
            recording_id: "e0000000-0000-4000-8000-000000000101".to_owned(),
            start: "2026-01-15T10:14:20.014Z".parse().unwrap(),
            duration_ms: Some(400_000),
            direction: Some("inbound".to_owned()),
            media: vec!["voice".to_owned(), "audio".to_owned()],
            agents: vec![party("u1", Some("=Anna \"A\" Example")), party("u2", None)],
            queues: vec![party(
                "q1",
                Some("\u{202e}Claims of a very long name, and more of it"),
            )],
            wrapups: Vec::new(),
            divisions: Vec::new(),
            cut: false,
            partial: false,
            national: 0,
        }
    }

    #[test]
    fn a_hit_fits_the_terminal() {
        let zone = Zone::parse("UTC").unwrap();
        let mut wide = hit();
        wide.agents[0].name = Some("山田太郎山田太郎山田太郎".to_owned());
        wide.queues[0].name = Some("🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂".to_owned());
        for hit in [hit(), wide] {
            for width in [80, 120] {
                let text = lines(&hit, &zone, width).plain_at(width);
                assert!(text.lines().all(|line| text::columns(line) <= width), "{text}");
                assert_eq!(text.lines().count(), 2, "{text}");
            }
        }
        insta::assert_snapshot!(lines(&hit(), &zone, 80).plain_at(80), @r#"
        2026-01-15T10:14:20Z   0:06:40  in   =Anna "A" Example, …  \u{202e}Claims of a…
          c0000000-0000-4000-8000-000000000001 e0000000-0000-4000-8000-000000000101
        "#);
    }

    #[test]
    fn a_field_is_quoted_and_no_formula() {
        let line = csv(&hit());
        assert!(line.contains(r#","'=Anna ""A"" Example; u2","#), "{line}");
        assert!(line.ends_with("\r\n") && !line.contains('\u{202e}'), "{line}");
    }

    #[test]
    fn recordings_that_are_counted_up_to_a_bound_are_at_least_so_many() {
        let told = |partial, national| {
            let figures = Figures {
                partial,
                national,
                ..Figures::default()
            };
            missed(&figures, ["", ""])
        };
        assert_eq!(told(0, 0), [""; 0]);
        assert!(told(999, 0)[0].starts_with("999 recordings of this time may fit"));
        let both = told(1_000, 1_001);
        assert!(both[0].starts_with("at least 1,000 recordings of this time may fit"));
        assert!(both[1].starts_with("at least 1,001 recordings of this time may fit"));
    }

    #[test]
    fn lengths_have_a_unit() {
        assert_eq!(length("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(length("2h"), Ok(Duration::from_secs(7_200)));
        assert!(length("90").unwrap_err().contains("90s, 5m or 1h"));
    }
}
