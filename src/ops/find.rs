//! Finds calls in the catalog, by names or ids. Asks neither Genesys nor the bucket.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{Ended, Error, Kind, Listener, Session, Verdict};
use crate::catalog::{self, Catalog, Entry, Filter, MOST_CARRIED, Named, Wanted};
use crate::domain::call::{Facet, may_be_id};
use crate::domain::days::Range;
use crate::domain::number::{Country, NotANumber, Number};

/// A search, as it is asked for.
#[derive(Debug)]
pub struct Request {
    /// Days on which the calls began.
    pub range: Range,
    /// Agents, queues, wrap-up codes and divisions, by name or id; each call has all of them.
    pub parties: Vec<(Facet, String)>,
    /// A number of a party.
    pub number: Option<String>,
    /// The country of a number in national form; `None`: that of `NUMBER_COUNTRY`.
    pub country: Option<Country>,
    /// `inbound` or `outbound`.
    pub direction: Option<String>,
    /// A kind of session or recording.
    pub media: Option<String>,
    /// The call lasted this long at least.
    pub shortest: Option<Duration>,
    /// The call lasted this long at most.
    pub longest: Option<Duration>,
    /// The mark that an earlier search ended with.
    pub after: Option<String>,
    /// Most recordings to find.
    pub most: usize,
}

/// A recording that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hit {
    /// Its conversation.
    pub interaction_id: String,
    /// Its id.
    pub recording_id: String,
    /// When the call began.
    pub start: Timestamp,
    /// How long the call was, in milliseconds; `None`: not known.
    pub duration_ms: Option<u64>,
    /// `inbound` or `outbound`, if that is known.
    pub direction: Option<String>,
    /// Kinds of sessions and of the recording.
    pub media: Vec<String>,
    /// Who took part.
    pub agents: Vec<Party>,
    /// Queues that the call went through.
    pub queues: Vec<Party>,
    /// How it ended.
    pub wrapups: Vec<Party>,
    /// Divisions that it belongs to.
    pub divisions: Vec<Party>,
    /// A list of [`MOST_CARRIED`] is cut: the call record has the rest.
    pub cut: bool,
    /// The catalog does not have this recording by each value of the call: Genesys gave no details, or there are too
    /// many values.
    pub partial: bool,
    /// Number of its numbers that the catalog does not have: they are in national form, and no country was known.
    pub national: usize,
}

impl Hit {
    /// Returns whether the call has more of a kind than this list of it names.
    pub fn goes_on(&self, list: &[Party]) -> bool {
        self.cut && list.len() == MOST_CARRIED
    }
}

/// An id, and its name at the time of the call; where Genesys gave none then, another name of the id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Party {
    /// Its id.
    pub id: String,
    /// Its name; `None`: not known.
    pub name: Option<String>,
}

impl Party {
    /// Returns the name, or the id where none is known.
    pub fn shown(&self) -> &str {
        self.name.as_ref().unwrap_or(&self.id)
    }
}

/// A search in figures.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Recordings that were found.
    pub found: u64,
    /// Recordings that the catalog does not have by each value, so that some may fit and are not found: those of the
    /// time that was looked at, up to 1,000 of a year. 0 for a search by nothing but time, which finds all.
    pub partial: u64,
    /// The same of recordings with a number in national form, which the catalog does not have without a country. 0 for
    /// a search without a number.
    pub national: u64,
    /// The mark after which a search for more begins; `None`: there are no more.
    pub after: Option<String>,
    /// Everything that was asked for was done.
    pub finished: bool,
}

impl Figures {
    /// Returns whether anything was found.
    pub fn verdict(&self) -> Verdict {
        match self.found {
            0 => Verdict::Nothing,
            _ => Verdict::Clean,
        }
    }
}

/// Most days of a search by nothing but time, which takes 24 requests for each.
pub const MOST_DAYS_OF_ALL: usize = 31;

impl Request {
    /// Refuses a search by nothing but time that would read thousands of hours.
    fn bounded(&self) -> Result<(), Error> {
        let named = !self.parties.is_empty() || self.number.is_some();
        match self.range.days().count() {
            days if named || days <= MOST_DAYS_OF_ALL => Ok(()),
            days => Err(Error::usage(
                format!(
                    "a search of {days} days needs an agent, queue, wrap-up code, division or number: \
                     by nothing but time it reads each hour"
                ),
                format!("name one, such as --queue NAME, or name {MOST_DAYS_OF_ALL} days at most"),
            )),
        }
    }
}

/// Finds recordings of calls, and reports each.
pub async fn find(session: &Session, request: Request, listener: Listener<'_, Hit>) -> Ended<Figures> {
    let mut figures = Figures::default();
    let searching = search(session, request, listener, &mut figures);
    let end = session.unless_interrupted(searching).await;
    figures.finished = end.is_ok();
    Ended { figures, end }
}

async fn search(
    session: &Session,
    request: Request,
    listener: Listener<'_, Hit>,
    figures: &mut Figures,
) -> Result<(), Error> {
    let catalog = session.catalog()?;
    request.bounded()?;
    let mut directory = Directory {
        catalog: &catalog,
        names: HashMap::new(),
    };
    let (mut wanted, mut unnamed) = (Vec::new(), None);
    for (facet, text) in &request.parties {
        let id = match directory.id(*facet, text).await? {
            Some(id) => id,
            // Not every id has a name here, and some of Genesys are no UUIDs.
            None if may_be_id(text) => {
                unnamed = unnamed.or(Some((*facet, text)));
                text.clone()
            }
            None => return Err(unknown(*facet, text)),
        };
        wanted.push(Wanted::Id(*facet, id));
    }
    if let Some(text) = &request.number {
        let configured = session
            .config
            .catalog
            .as_ref()
            .and_then(|catalog| catalog.country);
        wanted.push(Wanted::Number(number(text, request.country.or(configured))?));
    }
    let filter = Filter {
        direction: request.direction,
        media: request.media,
        shortest: request.shortest,
        longest: request.longest,
    };
    let page = (request.after.as_deref(), request.most);
    let answer = catalog.search(request.range, &wanted, &filter, page).await?;
    if let Some((facet, text)) = unnamed.filter(|_| answer.entries.is_empty()) {
        return Err(unknown(facet, text));
    }
    (figures.partial, figures.national) = (answer.partial, answer.national);
    for entry in answer.entries {
        let hit = directory.hit(entry).await?;
        figures.found += 1;
        listener.item(hit);
    }
    figures.after = answer.after;
    Ok(())
}

/// Reads a number as the operator gives it. The error does not repeat it.
fn number(text: &str, country: Option<Country>) -> Result<Number, Error> {
    Number::parse(text, country).map_err(|fault| {
        let more = match fault {
            NotANumber::National => "or name its country: --country DE (or NUMBER_COUNTRY)",
            NotANumber::Other => "or in national form with --country",
        };
        let accepted = "give it as +4930123456, as an extension of up to 6 digits";
        Error::usage(format!("--number {fault}"), format!("{accepted}, {more}"))
    })
}

/// The names of ids, read once for each facet.
struct Directory<'a> {
    catalog: &'a Catalog,
    names: HashMap<Facet, Names>,
}

/// The names of a facet's ids.
#[derive(Default)]
struct Names {
    all: Vec<Named>,
    /// Each name by what items carry of it, and one of its names by each id.
    by_value: HashMap<String, String>,
}

impl Names {
    fn new(all: Vec<Named>) -> Self {
        let of =
            |named: &Named| [named.at.clone(), named.id.clone()].map(|value| (value, named.name.clone()));
        let by_value = all.iter().flat_map(of).collect();
        Self { all, by_value }
    }

    /// Returns a party with the name that it had in the call, or else with another one of its id.
    fn party(&self, value: &str) -> Party {
        let id = catalog::id(value);
        let name = self.by_value.get(value).or_else(|| self.by_value.get(id));
        Party {
            id: id.to_owned(),
            name: name.cloned(),
        }
    }
}

/// Candidates that an error lists.
const MOST_CANDIDATES: usize = 20;

impl Directory<'_> {
    async fn of(&mut self, facet: Facet) -> Result<&Names, Error> {
        match self.names.entry(facet) {
            Slot::Occupied(names) => Ok(names.into_mut()),
            Slot::Vacant(slot) => Ok(slot.insert(Names::new(self.catalog.names(facet).await?))),
        }
    }

    /// Returns the id that a text names: an id, or a name in any case, or else a part of one. A UUID may be written in
    /// any form. `None`: there is no such name.
    async fn id(&mut self, facet: Facet, text: &str) -> Result<Option<String>, Error> {
        if let Ok(id) = uuid::Uuid::try_parse(text) {
            return Ok(Some(id.hyphenated().to_string()));
        }
        let names = &self.of(facet).await?.all;
        if names.iter().any(|named| named.id == text) {
            return Ok(Some(text.to_owned()));
        }
        let wanted = text.to_lowercase();
        let mut exact = ids(names, |name| name == wanted);
        if exact.is_empty() {
            exact = ids(names, |name| name.contains(&wanted));
        }
        match exact.as_slice() {
            [(id, _)] => Ok(Some(id.clone())),
            [] => Ok(None),
            several => Err(ambiguous(facet, text, several)),
        }
    }

    async fn parties(&mut self, facet: Facet, values: &[String]) -> Result<Vec<Party>, Error> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let names = self.of(facet).await?;
        Ok(values.iter().map(|value| names.party(value)).collect())
    }

    async fn hit(&mut self, entry: Entry) -> Result<Hit, Error> {
        let lasted = entry.end.map(|end| end.duration_since(entry.start).as_millis());
        Ok(Hit {
            start: entry.start,
            duration_ms: lasted.and_then(|millis| u64::try_from(millis).ok()),
            agents: self.parties(Facet::Agent, &entry.agents).await?,
            queues: self.parties(Facet::Queue, &entry.queues).await?,
            wrapups: self.parties(Facet::Wrapup, &entry.wrapups).await?,
            divisions: self.parties(Facet::Division, &entry.divisions).await?,
            interaction_id: entry.interaction_id,
            recording_id: entry.recording_id,
            direction: entry.direction,
            media: entry.media,
            cut: entry.cut,
            partial: entry.partial,
            national: entry.national,
        })
    }
}

/// Says that a text is neither a name nor an id of a call that was looked for.
fn unknown(facet: Facet, text: &str) -> Error {
    let message = format!(
        "the catalog knows no {facet} named {}, and no call that fits has it as an id",
        shown(text)
    );
    let remedy = format!("check the spelling; a part of the name will do, or its id: --{facet} ID");
    Error::usage(message, remedy)
}

/// Lists the candidates for a name.
fn ambiguous(facet: Facet, text: &str, several: &[(String, String)]) -> Error {
    let listed = several.iter().take(MOST_CANDIDATES);
    let listed: Vec<_> = listed
        .map(|(id, name)| format!("{} ({id})", shown(name)))
        .collect();
    let more = match several.len().saturating_sub(MOST_CANDIDATES) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Error::usage(
        format!("{} can be {}{more}", shown(text), listed.join(", ")),
        format!("name one by its id: --{facet} ID"),
    )
}

/// Returns the ids with a name that fits, each with one.
fn ids(names: &[Named], fits: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for named in names.iter().filter(|named| fits(&named.name.to_lowercase())) {
        if !found.iter().any(|(id, _)| *id == named.id) {
            found.push((named.id.clone(), named.name.clone()));
        }
    }
    found
}

/// Shows a name within a sentence.
fn shown(name: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = name.chars().take(LONGEST).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

impl Session {
    /// Connects to the catalog.
    pub(super) fn catalog(&self) -> Result<Catalog, Error> {
        Catalog::connect(&self.clients, &self.config).ok_or_else(|| {
            let error = Error::new(
                Kind::Configuration,
                "there is no catalog: CATALOG_TABLE_NAME is not set",
            );
            error.remedy("set it and CATALOG_KEY_SECRET_ID, or name the deployed stack: --stack NAME")
        })
    }
}
