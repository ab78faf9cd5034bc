//! Names of users, queues, wrap-up codes and divisions, kept for the life of a container.
//!
//! They are asked for when a call is archived, as objects get renamed and deleted later.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::api::Api;
use super::bounded::Bounded;
use super::refusal::is_refusal;
use crate::clock::{Clock, Deadline};
use crate::domain::call::{Facts, Names};
use crate::error::{Error, ErrorKind};

/// A kind of thing with an id and a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Users,
    Queues,
    WrapUpCodes,
    Divisions,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Users, Self::Queues, Self::WrapUpCodes, Self::Divisions];

    /// Returns the name of the kind in the call record.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Queues => "queues",
            Self::WrapUpCodes => "wrapUpCodes",
            Self::Divisions => "divisions",
        }
    }

    /// Returns the path of the list, and the permission that it needs.
    pub(super) fn list(self) -> (&'static str, &'static str) {
        match self {
            Self::Users => ("/api/v2/users", "none is documented"),
            Self::Queues => ("/api/v2/routing/queues", "routing:queue:view"),
            Self::WrapUpCodes => ("/api/v2/routing/wrapupcodes", "routing:wrapupCode:view"),
            Self::Divisions => ("/api/v2/authorization/divisions", "none is documented"),
        }
    }
}

/// Ids in one request. The maximum is not documented; this many keep the URL below 2,000 characters.
const MOST_IDS: usize = 40;
/// Refused requests for one list that are asked again by halves: to find one of 40 ids takes six.
const MOST_HALVED: usize = 12;
/// Refused lists without a success among them: one of 40 ids takes fewer, so all of the kind are refused.
const MOST_REFUSED: usize = 7;
/// Names of a kind that are kept. More than an organisation has; beyond it, all are asked for again.
const MOST_KEPT: usize = 50_000;
/// Longest name that is kept, in characters.
const LONGEST_NAME: usize = 1_024;
/// Time in which nobody asks again for what Genesys gave no names of: the other calls of a batch would ask as well.
const RESTS: SignedDuration = SignedDuration::from_secs(60);

/// Ids of things of which the names are wanted, by kind.
#[derive(Debug, Default)]
pub(super) struct Ids(HashMap<Kind, BTreeSet<String>>);

impl FromIterator<Facts> for Ids {
    fn from_iter<T: IntoIterator<Item = Facts>>(calls: T) -> Self {
        let mut ids = Self::default();
        for facts in calls {
            for (kind, named) in [
                (Kind::Users, facts.agents),
                (Kind::Queues, facts.queues),
                (Kind::WrapUpCodes, facts.wrapups),
                (Kind::Divisions, facts.divisions),
            ] {
                ids.0.entry(kind).or_default().extend(named);
            }
        }
        ids
    }
}

/// The names that were asked for so far.
#[derive(Debug)]
pub(super) struct Known([OfKind; 4]);

/// The names of one kind.
#[derive(Debug)]
struct OfKind {
    kind: Kind,
    clock: Clock,
    kept: Mutex<Kept>,
    /// Held by who asks Genesys. What is kept can be read meanwhile.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    /// `None`: Genesys knows no such thing.
    names: HashMap<String, Option<String>>,
    denied: bool,
    /// What Genesys gave no names of when it was last asked: one id, or for `None` the kind.
    resting: HashMap<Option<String>, Resting>,
}

/// Nobody asks again until then, for this reason.
#[derive(Debug)]
struct Resting {
    until: Timestamp,
    kind: ErrorKind,
    why: String,
}

#[derive(Deserialize)]
struct Page {
    entities: Option<Bounded<Vec<Entity>>>,
}

#[derive(Deserialize)]
struct Entity {
    id: Option<String>,
    name: Option<String>,
}

impl Known {
    /// Knows no name yet.
    pub(super) fn new(clock: &Clock) -> Self {
        Self(Kind::ALL.map(|kind| OfKind {
            kind,
            clock: clock.clone(),
            kept: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }))
    }

    /// Returns the names of these ids, and the error of a kind that Genesys does not give all of now. Ids of a kind
    /// that the OAuth client may not ask for have none, which is logged once.
    pub(super) async fn of(
        &self,
        api: &Api,
        ids: &Ids,
        deadline: &Deadline,
    ) -> Result<(Names, Option<Error>), Error> {
        let (mut names, mut failed) = (Names::default(), None);
        for known in &self.0 {
            let kind = known.kind;
            let Some(ids) = ids.0.get(&kind).filter(|ids| !ids.is_empty()) else {
                continue;
            };
            let error = known.ask(api, ids, deadline).await?;
            let (found, missing) = known.found(ids);
            names
                .missing
                .extend(missing.map(|why| (kind.as_str().to_owned(), why.to_owned())));
            // Of a failure that passes, more is to be expected.
            let passes = |error: &Error| !is_refusal(error);
            if failed.is_none() || error.as_ref().is_some_and(passes) {
                failed = error.or(failed);
            }
            match kind {
                Kind::Users => names.users = found,
                Kind::Queues => names.queues = found,
                Kind::WrapUpCodes => names.wrap_up_codes = found,
                Kind::Divisions => names.divisions = found,
            }
        }
        Ok((names, failed))
    }
}

impl OfKind {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what is kept where that is too much.
    fn make_room(&self) {
        let mut kept = self.kept();
        if kept.names.len() + kept.resting.len() > MOST_KEPT {
            (kept.names, kept.resting) = Default::default();
        }
    }

    /// Returns the known names of these ids, and why others are missing.
    fn found(&self, ids: &BTreeSet<String>) -> (BTreeMap<String, String>, Option<&'static str>) {
        let kept = self.kept();
        let named = |id: &String| Some((id.clone(), kept.names.get(id)?.clone()?));
        let found = ids.iter().filter_map(named).collect();
        let lacks = ids.iter().any(|id| !kept.names.contains_key(id));
        let missing = lacks.then_some(if kept.denied { "denied" } else { "unavailable" });
        (found, missing)
    }

    /// Returns the ids of which nothing is known, and may be asked for. The error is why others are not asked for now.
    fn due(&self, ids: &BTreeSet<String>) -> (Vec<String>, Option<Error>) {
        let kept = self.kept();
        let now = self.clock.now();
        let rests = |what: &Option<String>| {
            let resting = kept.resting.get(what).filter(|resting| now < resting.until)?;
            Some(Error::new(resting.kind, resting.why.clone()))
        };
        let (mut new, mut failed) = (Vec::new(), None);
        if kept.denied {
            return (new, failed);
        }
        for id in ids.iter().filter(|id| !kept.names.contains_key(*id)) {
            match rests(&None).or_else(|| rests(&Some(id.clone()))) {
                Some(error) => failed = Some(error),
                None => new.push(id.clone()),
            }
        }
        (new, failed)
    }

    /// Asks nobody for this for a while.
    fn rest(&self, id: Option<&String>, error: &Error) {
        let until = self.clock.now().saturating_add(RESTS).unwrap_or(Timestamp::MAX);
        let (kind, why) = (error.kind(), error.redacted());
        let resting = Resting { until, kind, why };
        let kind = self.kind.as_str();
        let mut kept = self.kept();
        if !kept.resting.contains_key(&id.cloned()) {
            tracing::warn!(kind, id, error = resting.why, "Genesys gives no names of a kind");
        }
        kept.resting.insert(id.cloned(), resting);
    }

    /// Asks for the names that are not known yet. Returns the error of the kind, or of ids of it, that Genesys gives no
    /// names of.
    async fn ask(
        &self,
        api: &Api,
        ids: &BTreeSet<String>,
        deadline: &Deadline,
    ) -> Result<Option<Error>, Error> {
        let (new, failed) = self.due(ids);
        if new.is_empty() {
            return Ok(failed);
        }
        let _asking = self.asking.lock().await;
        self.make_room();
        // Some may be known by now.
        let (new, mut failed) = self.due(ids);
        // Genesys may refuse a list for one built-in thing.
        let (built_in, own): (Vec<_>, Vec<_>) = new.into_iter().partition(|id| is_built_in(id));
        for list in own.chunks(MOST_IDS).chain(built_in.chunks(MOST_IDS)) {
            if self.kept().denied {
                break;
            }
            match self.ask_for_parts(api, list, deadline).await? {
                Some(Refused::All(error)) => {
                    self.rest(None, &error);
                    return Ok(Some(error));
                }
                Some(Refused::Some(error)) => failed = Some(error),
                None => {}
            }
        }
        Ok(failed)
    }

    /// Asks for the names of a list of ids. Those that Genesys refuses together are asked for by halves, so that one of
    /// them takes no names of others away, and those that an answer lacks once more.
    async fn ask_for_parts(
        &self,
        api: &Api,
        ids: &[String],
        deadline: &Deadline,
    ) -> Result<Option<Refused>, Error> {
        let mut parts = vec![ids.to_vec()];
        let (mut halved, mut lists, mut told) = (0, 0, false);
        let mut refused = None;
        while let Some(ids) = parts.pop() {
            let error = match self.ask_for(api, &ids, deadline).await {
                Ok(lacking) => {
                    told = true;
                    parts.extend(Some(lacking).filter(|lacking| !lacking.is_empty()));
                    continue;
                }
                Err(error) => error,
            };
            // Each of the built-in ones may be refused, which says nothing of others.
            lists += usize::from(ids.len() > 1 && !ids.iter().any(|id| is_built_in(id)));
            match ids.as_slice() {
                _ if error.kind() == ErrorKind::DeadlineNear => return Err(error),
                _ if !is_refusal(&error) || lists == MOST_REFUSED && !told => {
                    return Ok(Some(Refused::All(error)));
                }
                // No list of Genesys has to know a built-in thing.
                [id] if is_built_in(id) => {
                    self.kept().names.insert(id.clone(), None);
                }
                [id] => {
                    self.rest(Some(id), &error);
                    refused = Some(Refused::Some(error));
                }
                _ if halved < MOST_HALVED => {
                    halved += 1;
                    let (one, other) = ids.split_at(ids.len() / 2);
                    parts.extend([one.to_vec(), other.to_vec()]);
                }
                _ => refused = Some(Refused::Some(error)),
            }
        }
        Ok(refused)
    }

    /// Asks for the names of these ids by one request. Returns those that the answer lacks although it has others: it
    /// may have been cut.
    async fn ask_for(&self, api: &Api, ids: &[String], deadline: &Deadline) -> Result<Vec<String>, Error> {
        let (path, permission) = self.kind.list();
        let size = MOST_IDS.to_string();
        let mut query = vec![("pageSize", size.as_str())];
        if self.kind == Kind::Users {
            // The default leaves out former agents.
            query.push(("state", "any"));
        }
        query.extend(ids.iter().map(|id| ("id", id.as_str())));
        let kind = self.kind.as_str();
        let what = format!("the names of {} {kind}", ids.len());
        let answer = match api.get(path, &query, &what, deadline).await {
            Ok(answer) => answer,
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                tracing::warn!(
                    kind,
                    permission,
                    "Genesys answers 403 about names: call records hold ids without names. Grant the OAuth client's \
                     role this permission"
                );
                self.kept().denied = true;
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let Some(Bounded(entities)) = answer.json::<Page>(&what)?.entities else {
            return Err(Error::transient(format!(
                "Genesys' answer about {what} has no entities"
            )));
        };
        let named = entities
            .into_iter()
            .filter_map(|entity| Some((entity.id?, entity.name?)));
        let named: HashMap<_, _> = named.collect();
        let (told, lacking): (Vec<_>, Vec<_>) = ids.iter().cloned().partition(|id| named.contains_key(id));
        let mut kept = self.kept();
        kept.resting.remove(&None);
        let unknown = if told.is_empty() { lacking.as_slice() } else { &[] };
        for id in told.iter().chain(unknown) {
            let name = named.get(id).map(|name| bounded(name));
            kept.resting.remove(&Some(id.clone()));
            kept.names.insert(id.clone(), name);
        }
        Ok(if told.is_empty() { Vec::new() } else { lacking })
    }
}

/// Ids of a list that Genesys gave no names of.
enum Refused {
    /// All of the kind.
    All(Error),
    /// Some of them.
    Some(Error),
}

/// Checks whether an id is that of a built-in thing, such as `ININ-WRAP-UP-TIMEOUT`: all others are UUIDs.
fn is_built_in(id: &str) -> bool {
    uuid::Uuid::try_parse(id).is_err()
}

fn bounded(name: &str) -> String {
    let mut kept: String = name.chars().take(LONGEST_NAME).collect();
    if kept.len() < name.len() {
        kept.push('…');
    }
    kept
}
