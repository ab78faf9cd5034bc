//! The figures of a report, gathered recording by recording. Their memory does not grow with the archive.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

use super::histogram::Histogram;
use super::months::{Locks, Months};
use super::{Behind, Day, Deadline, Figures, LISTED, NAMED, NEAR, OTHER, OUTCOMES, Report};
use crate::domain::audit::{Action, AuditEvent, is_live};
use crate::domain::days::day_of;
use crate::domain::outcome::{A_DAY, AN_HOUR};
use crate::domain::record::State;
use crate::ops::custody::{ApartChain, Custody, noted, started};
use crate::ops::span::Span;

/// The figures of a report, while they are gathered.
#[derive(Debug)]
pub(super) struct Gathered {
    span: Span,
    now: Timestamp,
    /// Recordings and bytes of every day of the range, days without any included.
    days: BTreeMap<Date, (u64, u64)>,
    /// From the claim to the verified object, in milliseconds.
    latency: Histogram,
    /// From the start of a recording to its archive, in milliseconds.
    age: Histogram,
    months: Months,
    figures: Figures,
}

/// Longest reason, in characters.
const LONGEST_REASON: usize = 160;

/// Reasons beyond these count as one.
const REASONS: usize = 200;

impl Gathered {
    /// Begins; `asked`: S3 is asked for the locks of files.
    pub(super) fn new(span: Span, now: Timestamp, asked: bool) -> Self {
        let range = span.range;
        Self {
            span,
            now,
            days: range.days().map(|date| (date, (0, 0))).collect(),
            latency: Histogram::default(),
            age: Histogram::default(),
            months: Months::new(now, asked),
            figures: Figures {
                outcomes: OUTCOMES.into_iter().map(|outcome| (outcome, 0)).collect(),
                ..Figures::of(range)
            },
        }
    }

    /// Makes the report.
    pub(super) fn finish(mut self) -> Report {
        let day = |(day, (recordings, bytes))| Day {
            day,
            recordings,
            bytes,
        };
        let days: Vec<_> = self.days.into_iter().map(day).collect();
        self.figures.recordings = days.iter().map(|day| day.recordings).sum();
        self.figures.bytes = days.iter().map(|day| day.bytes).sum();
        self.figures.latency_ms = self.latency.lengths();
        self.figures.age_ms = self.age.lengths();
        self.figures.months = self.months.finish();
        Report {
            days,
            figures: self.figures,
        }
    }

    /// Adds one recording, by its audit, and by the locks of its files that S3 told. Returns what it is counted as;
    /// `None` if it is not counted.
    pub(super) fn add(&mut self, custody: &Custody, locks: &Locks) -> Option<Behind> {
        if !self.span.holds(custody) {
            return None;
        }
        self.figures.chains += 1;
        self.figures.broken_chains += u64::from(!custody.findings.is_empty());
        for event in &custody.events {
            if event.timestamp().is_some_and(|at| self.span.range.holds(at)) {
                self.add_event(event);
            }
        }
        let state = custody.state().filter(|_| !custody.superseded)?;
        let (interaction_id, recording_id) = ids(&custody.events);
        let mut behind = Behind {
            interaction_id,
            recording_id,
            state: outcome(state),
            archived_at: custody.archived_at(),
            bytes: 0,
            retain_until: None,
        };
        *self.figures.outcomes.entry(behind.state).or_default() += 1;
        self.add_live(custody, state);
        let Some(archived) = behind.archived_at else {
            let named = self.figures.recordings_by_state.entry(behind.state).or_default();
            if named.len() < NAMED {
                named.insert(format!("{}/{}", behind.interaction_id, behind.recording_id));
            }
            self.add_deadline(state, custody);
            return Some(behind);
        };
        let files = custody.files();
        behind.bytes = files.iter().map(|file| file.size_bytes).sum();
        let (recordings, bytes) = self.days.entry(day_of(archived)).or_default();
        *recordings += 1;
        *bytes += behind.bytes;
        for file in &files {
            let end = self.months.add(archived, file, locks);
            behind.retain_until = behind.retain_until.max(end);
        }
        if let Some(start) = started(&custody.events) {
            self.age.add(millis(archived.duration_since(start)));
        }
        Some(behind)
    }

    /// Adds a chain of events that are not about archiving.
    pub(super) fn add_apart(&mut self, chain: &ApartChain) {
        if self.span.holds_apart(chain) {
            self.figures.chains += 1;
            self.figures.broken_chains += u64::from(!chain.findings.is_empty());
        }
    }

    fn add_event(&mut self, event: &AuditEvent) {
        let Some(action) = event.action() else { return };
        match action {
            Action::DownloadDeferred => self.figures.deferrals += 1,
            Action::DownloadFailed | Action::WebhookFailed => {
                let reason = reason(event.error().unwrap_or_default());
                let failures = &mut self.figures.failures;
                let room = failures.len() < REASONS || failures.contains_key(&reason);
                let reason = if room { reason } else { OTHER.to_owned() };
                let named = self
                    .figures
                    .failed_conversations
                    .entry(reason.clone())
                    .or_default();
                if let Some(id) = event.text("interactionId").filter(|_| named.len() < NAMED) {
                    named.insert(id.to_owned());
                }
                *failures.entry(reason).or_default() += 1;
            }
            Action::ArchiveStored => event
                .latency_ms()
                .into_iter()
                .for_each(|latency| self.latency.add(latency)),
            Action::DownloadInitiated
            | Action::DownloadCompleted
            | Action::DownloadExpired
            | Action::DownloadSkipped
            | Action::WebhookDelivered
            | Action::ConversationListed
            | Action::ConversationSettled
            | Action::ConversationUnrecorded
            | Action::CallDescribed
            | Action::ObjectErased
            // Of a chain apart.
            | Action::RecordingAccessed
            | Action::StatementIssued => {}
        }
    }

    /// Adds a recording to the service levels. One whose end is not noted is left out.
    fn add_live(&mut self, custody: &Custody, state: State) {
        let end = noted(&custody.events, "endTime");
        let age = match custody.archived_at() {
            None if !matches!(state, State::Failed | State::Expired) => return,
            None => None,
            Some(archived) => match end {
                None => return,
                Some(end) => Some(archived.duration_since(end)),
            },
        };
        if is_live(&custody.events) {
            let within = |level| age.is_some_and(|age| age.unsigned_abs() <= level || age.is_negative());
            self.figures.live_recordings += 1;
            self.figures.live_within_hour += u64::from(within(AN_HOUR));
            self.figures.live_within_day += u64::from(within(A_DAY));
        }
    }

    fn add_deadline(&mut self, state: State, custody: &Custody) {
        let gone = matches!(state, State::Expired | State::Skipped | State::Erased);
        let at = noted(&custody.events, "deleteDate");
        let Some(at) = at.filter(|at| !gone && *at <= self.now + NEAR) else {
            return;
        };
        let (interaction_id, recording_id) = ids(&custody.events);
        let figures = &mut self.figures;
        figures.deadlines_near += 1;
        figures.deadlines.push(Deadline {
            delete_date: at,
            interaction_id,
            recording_id,
            state: outcome(state),
        });
        figures.deadlines.sort();
        figures.deadlines.truncate(LISTED);
    }
}

/// Returns conversation and recording, as the last event names them.
fn ids(events: &[AuditEvent]) -> (String, String) {
    let id = |name: &str| {
        let last = events.last().and_then(|event| event.text(name));
        last.unwrap_or_default().to_owned()
    };
    (id("interactionId"), id("recordingId"))
}

fn outcome(state: State) -> &'static str {
    match state {
        State::Archived | State::Notified => "archived",
        State::Deferred | State::Settling => "waiting",
        State::Claimed | State::Storing => "in progress",
        State::Failed => "failed",
        State::Expired => "expired",
        State::Skipped => "skipped",
        State::Erased => "erased",
        // A conversation without recordings. Where it has any, they stand in the report, and the conversation does not.
        State::Settled | State::Unrecorded => "no recording",
    }
}

fn millis(duration: SignedDuration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or_default()
}

/// Returns an error's text without ids, keys and hashes, which differ each time.
fn reason(error: &str) -> String {
    const LONGEST: usize = 20;
    let words = error.split_whitespace().map(|word| {
        let id = word.chars().count() > LONGEST && word.contains(|letter: char| letter.is_ascii_digit());
        if id { "…" } else { word }
    });
    let words = words.collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(LONGEST_REASON) {
        _ if words.is_empty() => "no reason given".to_owned(),
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_failure_of_two_recordings_has_one_reason() {
        let error = |id: &str| format!("recording {id} of conversation {id}: Genesys answered 403");
        let one = reason(&error("e0000000-0000-4000-8000-000000000101"));
        assert_eq!(one, reason(&error("e0000000-0000-4000-8000-000000000102")));
        assert_eq!(one, "recording … of conversation … Genesys answered 403");
    }
}
