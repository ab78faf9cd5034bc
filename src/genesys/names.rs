//! Names of users, queues, wrap-up codes and divisions, kept for the life of a container.
//!
//! They are asked for when a call is archived, as objects get renamed and deleted later.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::sync::Mutex;

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
/// Refused requests for ids of one kind that are asked again by halves: 40 ids take six to find one of them.
const MOST_HALVED: usize = 12;
/// Refused lists without a success among them: one of 40 ids takes fewer, so all of the kind are refused.
const MOST_REFUSED: usize = 7;
/// Names that are kept. More than an organisation has; beyond it, all are asked for again.
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
pub(super) struct Known {
    clock: Clock,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// `None`: Genesys knows no such thing.
    names: HashMap<(Kind, String), Option<String>>,
    denied: HashSet<Kind>,
    /// What Genesys gave no names of when it was last asked: all of a kind, or one id. Until when nobody asks again,
    /// and why.
    resting: HashMap<(Kind, Option<String>), (Timestamp, String)>,
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
    pub(super) fn new(clock: Clock) -> Self {
        let kept = Mutex::default();
        Self { clock, kept }
    }

    /// Returns the names of these ids, and the error of a kind that Genesys does not give all of now. Ids of a kind
    /// that the OAuth client may not ask for have none, which is logged once.
    pub(super) async fn of(
        &self,
        api: &Api,
        ids: &Ids,
        deadline: &Deadline,
    ) -> Result<(Names, Option<Error>), Error> {
        let mut kept = self.kept.lock().await;
        if kept.names.len() + kept.resting.len() > MOST_KEPT {
            kept.names.clear();
            kept.resting.clear();
        }
        let now = self.clock.now();
        let (mut names, mut failed) = (Names::default(), None);
        for kind in Kind::ALL {
            let Some(ids) = ids.0.get(&kind).filter(|ids| !ids.is_empty()) else {
                continue;
            };
            if let Some(error) = kept.ask(api, (kind, ids), now, deadline).await? {
                let missing = (kind.as_str().to_owned(), "unavailable".to_owned());
                names.missing.extend([missing]);
                failed = Some(error);
            }
            if kept.denied.contains(&kind) {
                let missing = (kind.as_str().to_owned(), "denied".to_owned());
                names.missing.extend([missing]);
            }
            let found = kept.found(kind, ids);
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

impl Kept {
    fn found(&self, kind: Kind, ids: &BTreeSet<String>) -> BTreeMap<String, String> {
        let named = |id: &String| Some((id.clone(), self.names.get(&(kind, id.clone()))?.clone()?));
        ids.iter().filter_map(named).collect()
    }

    /// Returns why nobody asks for this now, if that is so.
    fn rests(&self, kind: Kind, id: Option<&String>, now: Timestamp) -> Option<Error> {
        let (until, why) = self.resting.get(&(kind, id.cloned()))?;
        (now < *until).then(|| Error::transient(why.clone()))
    }

    /// Asks nobody for this for a while.
    fn rest(&mut self, kind: Kind, id: Option<&String>, now: Timestamp, error: &Error) {
        let error = error.redacted();
        let until = now.saturating_add(RESTS).unwrap_or(Timestamp::MAX);
        let before = self.resting.insert((kind, id.cloned()), (until, error.clone()));
        if before.is_none() {
            let kind = kind.as_str();
            tracing::warn!(kind, id, error, "Genesys gives no names of a kind");
        }
    }

    /// Asks for the names that are not known yet. Ids that Genesys refuses together are asked for by halves, so that
    /// one of them takes no names of others away. Returns the error of a kind, or of an id alone, that it gives no
    /// names of.
    async fn ask(
        &mut self,
        api: &Api,
        (kind, ids): (Kind, &BTreeSet<String>),
        now: Timestamp,
        deadline: &Deadline,
    ) -> Result<Option<Error>, Error> {
        let new = |id: &&String| !self.names.contains_key(&(kind, (*id).clone()));
        let new: Vec<_> = ids.iter().filter(new).cloned().collect();
        if new.is_empty() || self.denied.contains(&kind) {
            return Ok(None);
        }
        let mut failed = self.rests(kind, None, now);
        if failed.is_some() {
            return Ok(failed);
        }
        let (resting, new): (Vec<_>, Vec<_>) = new
            .into_iter()
            .partition(|id| self.rests(kind, Some(id), now).is_some());
        failed = resting.first().and_then(|id| self.rests(kind, Some(id), now));
        let mut parts: Vec<&[String]> = new.chunks(MOST_IDS).collect();
        let (mut halved, mut refused, mut told) = (0, 0, false);
        while let Some(ids) = parts.pop() {
            let Err(error) = self.ask_for(api, kind, ids, deadline).await else {
                told = true;
                continue;
            };
            refused += usize::from(ids.len() > 1);
            match ids {
                _ if error.kind() == ErrorKind::DeadlineNear => return Err(error),
                _ if !is_refusal(&error) || refused == MOST_REFUSED && !told => {
                    self.rest(kind, None, now, &error);
                    return Ok(Some(error));
                }
                // Built-in things have ids that are no UUIDs, and no list of Genesys has to know them.
                [id] if uuid::Uuid::try_parse(id).is_err() => {
                    self.names.insert((kind, id.clone()), None);
                }
                [_, _, ..] if halved < MOST_HALVED => {
                    halved += 1;
                    let (one, other) = ids.split_at(ids.len() / 2);
                    parts.extend([one, other]);
                }
                _ => {
                    for id in ids {
                        self.rest(kind, Some(id), now, &error);
                    }
                    failed = Some(error);
                }
            }
        }
        Ok(failed)
    }

    /// Asks for the names of so many ids by one request.
    async fn ask_for(
        &mut self,
        api: &Api,
        kind: Kind,
        ids: &[String],
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let (path, permission) = kind.list();
        let size = MOST_IDS.to_string();
        let mut query = vec![("pageSize", size.as_str())];
        if kind == Kind::Users {
            // The default leaves out former agents.
            query.push(("state", "any"));
        }
        query.extend(ids.iter().map(|id| ("id", id.as_str())));
        let what = format!("the names of {} {}", ids.len(), kind.as_str());
        let answer = match api.get(path, &query, &what, deadline).await {
            Ok(answer) => answer,
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                tracing::warn!(
                    kind = kind.as_str(),
                    permission,
                    "Genesys answers 403 about names: call records hold ids without names. Grant the OAuth client's \
                     role this permission"
                );
                self.denied.insert(kind);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let Bounded(entities) = answer.json::<Page>(&what)?.entities.unwrap_or_default();
        let named = entities
            .into_iter()
            .filter_map(|entity| Some((entity.id?, entity.name?)));
        let named: HashMap<_, _> = named.collect();
        for id in ids {
            let name = named.get(id).map(|name| bounded(name));
            self.names.insert((kind, id.clone()), name);
        }
        Ok(())
    }
}

fn bounded(name: &str) -> String {
    let mut kept: String = name.chars().take(LONGEST_NAME).collect();
    if kept.len() < name.len() {
        kept.push('…');
    }
    kept
}
