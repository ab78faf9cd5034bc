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
    /// Those without, by the function: its role, and a program that calls itself one of this project.
    pub function: u64,
    /// Those without, by anybody else whose program calls itself one of this project, which any program can.
    pub own_program: u64,
    /// Those without, by any other program.
    pub unrecorded: u64,
    /// Those that S3 refused.
    pub refused: u64,
    /// Accesses that the audit holds, and of which no log file names a read.
    pub untrailed: u64,
    /// Days of the span, from the first log file of the trail on, without a log file: nobody read, or they are gone.
    pub days_without_files: Vec<Date>,
}

impl TrailFigures {
    /// Returns how many reads and accesses there are of which trail and audit do not say the same.
    pub fn unexplained(&self) -> u64 {
        self.own_program + self.unrecorded + self.untrailed
    }
}

/// An access that the audit holds, and of which no log file names a read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Untrailed {
    /// The access.
    pub untrailed: Accessed,
}

/// Time in which CloudTrail delivers what it saw, as a rule in minutes.
const DELIVERED: SignedDuration = SignedDuration::from_hours(1);

/// What tells groups apart, in the order in which they are shown.
type Key = (Date, String, String, String, Option<String>, Option<String>);

/// The accesses that may have led to reads: their times and places in the list, by identity and object.
#[derive(Default)]
struct Explained {
    by: HashMap<(String, String), Vec<(Timestamp, usize)>>,
    /// The places of those that led to a read.
    read: HashSet<usize>,
}

impl Explained {
    fn by(accesses: &[Accessed]) -> Self {
        let mut explained = Self::default();
        // A restore reads nothing.
        let reading = |access: &&Accessed| access.access != Access::RestoreRequested.as_str();
        for (place, access) in accesses.iter().enumerate().filter(|(_, access)| reading(access)) {
            let Some(by) = &access.by else { continue };
            for file in &access.files {
                let key = (by.clone(), file.clone());
                explained.by.entry(key).or_default().push((access.at, place));
            }
        }
        explained
    }

    /// Returns whether the audit holds an access that led to this read: its clock is that of the reader's machine.
    fn holds(&mut self, read: &ObjectRead) -> bool {
        let key = (read.by.clone(), read.place.to_string());
        let led = |at: Timestamp| !audit::is_ahead(at, read.at) && read.at.duration_since(at) <= LASTS;
        let leading = self.by.get(&key).into_iter().flatten().filter(|(at, _)| led(*at));
        let places: Vec<_> = leading.map(|(_, place)| *place).collect();
        self.read.extend(&places);
        !places.is_empty()
    }

    /// Returns the places of accesses that led to no read.
    fn unread(&self) -> Vec<usize> {
        let all = self.by.values().flatten().map(|(_, place)| *place);
        let unread: BTreeSet<_> = all.filter(|place| !self.read.contains(place)).collect();
        unread.into_iter().collect()
    }
}

impl Search<'_> {
    /// Reads the log files that may tell of these days, and sorts the reads without an access into groups.
    pub(super) async fn reads(
        &mut self,
        trail: &Trail,
        accesses: &[Accessed],
    ) -> Result<(TrailFigures, Vec<Reads>, Vec<Untrailed>), Error> {
        let session = self.session;
        let storage = &session.config.storage;
        let mut gathered = Gathered {
            explained: Explained::by(accesses),
            range: self.range,
            archive: (storage.bucket.clone(), storage.key_template.prefix().to_owned()),
            role: session.config.role_id.clone(),
            figures: TrailFigures::default(),
            began: None,
            with_files: BTreeSet::new(),
            seen: HashSet::new(),
            groups: BTreeMap::new(),
        };
        // A file holds what was before its delivery, which is minutes later as a rule.
        let last = self.range.last.tomorrow().unwrap_or(self.range.last);
        let days = Range {
            last: last.min(day_of(session.now())),
            ..self.range
        };
        for folder in session.unless_interrupted(trail.folders()).await? {
            let first = session.unless_interrupted(trail.first_day(&folder)).await?;
            gathered.began = gathered.began.into_iter().chain(first).min();
            for day in days.days() {
                self.day(trail, (&folder, day), &mut gathered).await?;
            }
        }
        let delivered = session.now() - DELIVERED;
        let began = gathered.began;
        // Before its first file, the trail may not have been on.
        let trailed = |day: Date| began.is_some_and(|began| day >= began);
        let over = |day: &Date| trailed(*day) && *day < day_of(delivered);
        let empty = self.range.days().filter(over);
        gathered.figures.days_without_files =
            empty.filter(|day| !gathered.with_files.contains(day)).collect();
        let unread = gathered.explained.unread();
        let unread = unread.into_iter().filter_map(|place| accesses.get(place));
        let unread = unread
            .filter(|access| self.range.holds(access.at))
            .filter(|access| trailed(day_of(access.at)) && access.at < delivered);
        let unread: Vec<_> = unread
            .map(|access| Untrailed {
                untrailed: access.clone(),
            })
            .collect();
        gathered.figures.untrailed = unread.len() as u64;
        let groups = gathered.groups.into_values().collect();
        Ok((gathered.figures, groups, unread))
    }

    /// Reads the log files of a folder that were delivered on a day.
    async fn day(
        &mut self,
        trail: &Trail,
        (folder, day): (&str, Date),
        gathered: &mut Gathered,
    ) -> Result<(), Error> {
        let session = self.session;
        self.listener.at(format!("{folder} {day}"));
        let mut from = None;
        loop {
            let page = session
                .unless_interrupted(trail.files(folder, day, from.take()))
                .await?;
            for key in page.keys {
                gathered.with_files.insert(day);
                match session.unless_interrupted(trail.reads(&key)).await? {
                    Ok(reads) => {
                        gathered.figures.files += 1;
                        reads.into_iter().for_each(|read| gathered.add(read));
                    }
                    Err(why) => found_in(&mut self.figures, self.listener, unreadable(trail, &key, why)),
                }
            }
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
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

/// The reads so far.
struct Gathered {
    explained: Explained,
    range: Range,
    /// Bucket and prefix of what is archived.
    archive: (String, String),
    /// The unique id of the function's role, if it is known.
    role: Option<String>,
    figures: TrailFigures,
    /// The first day with a log file, of all days.
    began: Option<Date>,
    /// The days that were looked at with a log file.
    with_files: BTreeSet<Date>,
    /// CloudTrail delivers an event twice at times.
    seen: HashSet<uuid::Uuid>,
    groups: BTreeMap<Key, Reads>,
}

impl Gathered {
    /// Returns whether the function's role read: `AROA...:SESSION`, which AWS says and no reader chooses.
    fn is_function(&self, read: &ObjectRead) -> bool {
        let role = read.principal.as_deref().and_then(|name| name.split(':').next());
        role.is_some() && role == self.role.as_deref()
    }

    fn add(&mut self, read: ObjectRead) {
        let (bucket, prefix) = &self.archive;
        if !is_archived(&read.place, bucket, prefix) {
            return;
        }
        // Also where the read is of the day after.
        let explained = self.explained.holds(&read);
        if !self.range.holds(read.at) || !self.seen.insert(read.id) {
            return;
        }
        self.figures.reads += 1;
        let own_program = read.user_agent.contains(&format!("app/{APP_NAME}"));
        let count = if read.refused.is_some() {
            &mut self.figures.refused
        } else if explained {
            self.figures.recorded += 1;
            return;
        } else if own_program && self.is_function(&read) {
            self.figures.function += 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::recording::ArchiveKey;

    const ONE: &str = "s3://calls/recordings/c/one.wav";
    const OTHER: &str = "s3://calls/recordings/c/other.wav";

    fn access(at: Timestamp, access: Access, files: &[&str]) -> Accessed {
        Accessed {
            at,
            interaction_id: "c".to_owned(),
            recording_id: "e".to_owned(),
            access: access.as_str().to_owned(),
            by: Some("somebody".to_owned()),
            requested_by: None,
            reason: "case".to_owned(),
            files: files.iter().map(|file| (*file).to_owned()).collect(),
            event_id: "e!access#1".to_owned(),
        }
    }

    fn read(at: Timestamp, by: &str, place: &str) -> ObjectRead {
        ObjectRead {
            id: uuid::Uuid::nil(),
            at,
            by: by.to_owned(),
            principal: None,
            source_identity: None,
            place: ArchiveKey::try_from(place.to_owned()).unwrap(),
            address: String::new(),
            user_agent: String::new(),
            refused: None,
        }
    }

    #[test]
    fn an_access_without_a_read_of_one_of_its_files_is_named() {
        let at: Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
        let accesses = [
            access(at, Access::Played, &[ONE, OTHER]),
            access(at, Access::Downloaded, &["s3://calls/recordings/c/third.wav"]),
            access(at, Access::RestoreRequested, &[ONE]),
        ];
        let mut explained = Explained::by(&accesses);
        assert_eq!(explained.unread(), [0, 1], "a restore reads nothing");
        let minute = SignedDuration::from_mins(1);
        for (at, by, place) in [
            (at - minute * 60, "somebody", OTHER),
            (at + minute, "somebody else", OTHER),
            (at + LASTS + minute, "somebody", OTHER),
        ] {
            assert!(!explained.holds(&read(at, by, place)), "{at} {by}");
            assert_eq!(explained.unread(), [0, 1]);
        }
        assert!(explained.holds(&read(at + minute, "somebody", OTHER)));
        assert_eq!(explained.unread(), [1]);
    }
}
