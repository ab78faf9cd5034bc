//! Reads of archived objects as CloudTrail wrote them down, held against the accesses that the audit holds.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Accessed, Search, found_in, is_archived};
use crate::aws::APP_NAME;
use crate::aws::trail::{ObjectRead, Trail};
use crate::domain::audit;
use crate::domain::days::{Range, day_of};
use crate::ops::Error;
use crate::ops::access::Access;
use crate::ops::finding::{Code, Finding};

/// Objects that are named of a group.
pub const NAMED: usize = 10;

/// Longest time from an access to the last read that it explains: no session of a role is longer.
const LASTS: SignedDuration = SignedDuration::from_hours(12);

/// Reads of somebody on a UTC day with one program from one address, for which the audit holds no access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reads {
    /// The day.
    pub day: Date,
    /// Who it was: an ARN where CloudTrail names one.
    pub by: String,
    /// The source identity of the session.
    pub source_identity: Option<String>,
    /// The address that the requests came from, or the service.
    pub address: String,
    /// The program, as it calls itself.
    pub user_agent: String,
    /// Why S3 refused them; null: the bytes were given.
    pub refused: Option<String>,
    /// The program calls itself one of this project.
    pub own_program: bool,
    /// Number of reads.
    pub reads: u64,
    /// The first one.
    pub first: Timestamp,
    /// The last one.
    pub last: Timestamp,
    /// The first objects by name, as `s3://bucket/key`.
    pub objects: BTreeSet<String>,
}

/// The reads that CloudTrail wrote down, in figures.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrailFigures {
    /// Log files that were read.
    pub files: u64,
    /// Reads of archived objects.
    pub reads: u64,
    /// Those for which the audit holds an access of the same identity to the same object.
    pub recorded: u64,
    /// Those without, by a program that calls itself one of this project.
    pub own_program: u64,
    /// Those without, by any other program.
    pub unrecorded: u64,
    /// Those that S3 refused.
    pub refused: u64,
}

/// What tells groups apart, in the order in which they are shown.
type Key = (Date, String, String, String, Option<String>, Option<String>);

/// The times of accesses, by identity and object.
#[derive(Default)]
struct Explained(HashMap<(String, String), Vec<Timestamp>>);

impl Explained {
    fn by(accesses: &[Accessed]) -> Self {
        let mut explained = Self::default();
        // A restore reads nothing.
        let reading = |access: &&Accessed| access.access != Access::RestoreRequested.as_str();
        for access in accesses.iter().filter(reading) {
            let Some(by) = &access.by else { continue };
            for file in &access.files {
                let key = (by.clone(), file.clone());
                explained.0.entry(key).or_default().push(access.at);
            }
        }
        explained
    }

    /// Returns whether the audit holds an access that led to this read: its clock is that of the reader's machine.
    fn holds(&self, read: &ObjectRead) -> bool {
        let key = (read.by.clone(), read.place.to_string());
        let led = |at: &Timestamp| !audit::is_ahead(*at, read.at) && read.at.duration_since(*at) <= LASTS;
        self.0.get(&key).is_some_and(|times| times.iter().any(led))
    }
}

impl Search<'_> {
    /// Reads the log files that may tell of these days, and sorts the reads without an access into groups.
    pub(super) async fn reads(
        &mut self,
        trail: &Trail,
        accesses: &[Accessed],
    ) -> Result<(TrailFigures, Vec<Reads>), Error> {
        let mut gathered = Gathered {
            explained: Explained::by(accesses),
            range: self.range,
            figures: TrailFigures::default(),
            seen: HashSet::new(),
            groups: BTreeMap::new(),
        };
        let session = self.session;
        let storage = &session.config.storage;
        let (bucket, prefix) = (storage.bucket.clone(), storage.key_template.prefix().to_owned());
        // A file holds what was before its delivery, which is minutes later as a rule.
        let last = self.range.last.tomorrow().unwrap_or(self.range.last);
        let days = Range {
            last: last.min(day_of(session.now())),
            ..self.range
        };
        for folder in session.unless_interrupted(trail.folders()).await? {
            for day in days.days() {
                self.listener.at(format!("{folder} {day}"));
                let mut from = None;
                loop {
                    let listing = trail.files(&folder, day, from.take());
                    let page = session.unless_interrupted(listing).await?;
                    for key in page.keys {
                        match session.unless_interrupted(trail.reads(&key)).await? {
                            Ok(reads) => {
                                gathered.figures.files += 1;
                                let archived = |read: &ObjectRead| is_archived(&read.place, &bucket, &prefix);
                                reads
                                    .into_iter()
                                    .filter(archived)
                                    .for_each(|read| gathered.add(read));
                            }
                            Err(why) => {
                                found_in(&mut self.figures, self.listener, unreadable(trail, &key, why));
                            }
                        }
                    }
                    from = page.next;
                    if from.is_none() {
                        break;
                    }
                }
            }
        }
        Ok((gathered.figures, gathered.groups.into_values().collect()))
    }
}

fn unreadable(trail: &Trail, key: &str, why: String) -> Finding {
    Finding {
        code: Code::ObjectUnreadable,
        interaction_id: None,
        recording_id: None,
        archive_key: Some(trail.place(key)),
        detail: why,
    }
}

struct Gathered {
    explained: Explained,
    range: Range,
    figures: TrailFigures,
    /// CloudTrail delivers an event twice at times.
    seen: HashSet<uuid::Uuid>,
    groups: BTreeMap<Key, Reads>,
}

impl Gathered {
    fn add(&mut self, read: ObjectRead) {
        if !self.range.holds(read.at) || !self.seen.insert(read.id) {
            return;
        }
        self.figures.reads += 1;
        let own_program = read.user_agent.contains(&format!("app/{APP_NAME}"));
        let count = if read.refused.is_some() {
            &mut self.figures.refused
        } else if self.explained.holds(&read) {
            self.figures.recorded += 1;
            return;
        } else if own_program {
            &mut self.figures.own_program
        } else {
            &mut self.figures.unrecorded
        };
        *count += 1;
        let place = read.place.to_string();
        let day = day_of(read.at);
        let key = (
            day,
            read.by.clone(),
            read.address.clone(),
            read.user_agent.clone(),
            read.source_identity.clone(),
            read.refused.clone(),
        );
        let group = self.groups.entry(key).or_insert_with(|| Reads {
            day,
            by: read.by,
            source_identity: read.source_identity,
            address: read.address,
            user_agent: read.user_agent,
            refused: read.refused,
            own_program,
            reads: 0,
            first: read.at,
            last: read.at,
            objects: BTreeSet::new(),
        });
        group.reads += 1;
        group.first = group.first.min(read.at);
        group.last = group.last.max(read.at);
        group.objects.insert(place);
        if group.objects.len() > NAMED {
            group.objects.pop_last();
        }
    }
}
