//! The closed list of reasons: why a conversation that Genesys lists is or is not archived.

use crate::custody::Custody;
use crate::custody::standing::Reason as Standing;
use crate::domain::audit::AuditEvent;
use crate::domain::state::State;
use crate::error::ErrorKind;

/// The one reason of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// All of its wanted recordings are archived, and no more can come.
    Archived,
    /// Deleted from the archive on purpose.
    Erased,
    /// Recorded, and none of its recordings is of a kind that is archived.
    Filtered,
    /// A recording may still come, and the function is going to look for it.
    Waiting,
    /// Its after-call work was never closed, so Genesys does not let its recording go.
    AfterCallWorkOpen,
    /// Genesys holds its recording as an orphan.
    Orphaned,
    /// Genesys reports that the upload of its recording failed.
    UploadFailed,
    /// Archived as a copy from which Genesys cut what the OAuth client may not hear.
    SensitiveWithheld,
    /// In cold storage at Genesys.
    ColdAtSource,
    /// Deleted at Genesys before it was archived.
    Expired,
    /// Settled without a recording, and Genesys says that one was started.
    NothingFound,
    /// Archived, and Genesys keeps a recording that came up after the last look at it.
    Late,
    /// Its job, or a look at it, is lost.
    Stalled,
    /// All listed recordings are archived, and no look found out whether there are more.
    Unsettled,
    /// A run ended without an archive: the code says why.
    Failed,
    /// No run ever saw it.
    NeverSeen,
    /// Ledger and audit contradict each other, or the audit has a gap.
    Contradicted,
    /// Began more than a year and a half ago: Genesys gives it to listed organisations only.
    OlderThan18Months,
    /// Began more than five years ago: Genesys gives it through a special job only.
    OlderThan5Years,
}

/// What a reason means for the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Accounted for.
    Settled,
    /// Not decided yet; the function goes on by itself.
    Pending,
    /// Somebody has to act, or something is lost.
    Gap,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Archived,
        Self::Erased,
        Self::Filtered,
        Self::Waiting,
        Self::AfterCallWorkOpen,
        Self::Orphaned,
        Self::UploadFailed,
        Self::SensitiveWithheld,
        Self::ColdAtSource,
        Self::Expired,
        Self::NothingFound,
        Self::Late,
        Self::Stalled,
        Self::Unsettled,
        Self::Failed,
        Self::NeverSeen,
        Self::Contradicted,
        Self::OlderThan18Months,
        Self::OlderThan5Years,
    ];

    /// Returns its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Archived => "archived",
            Self::Erased => "erased",
            Self::Filtered => "filtered",
            Self::Waiting => "waiting",
            Self::AfterCallWorkOpen => "after_call_work_open",
            Self::Orphaned => "orphaned",
            Self::UploadFailed => "upload_failed",
            Self::SensitiveWithheld => "sensitive_withheld",
            Self::ColdAtSource => "cold_at_source",
            Self::Expired => "expired",
            Self::NothingFound => "nothing_found",
            Self::Late => "late",
            Self::Stalled => "stalled",
            Self::Unsettled => "unsettled",
            Self::Failed => "failed",
            Self::NeverSeen => "never_seen",
            Self::Contradicted => "contradicted",
            Self::OlderThan18Months => "older_than_18_months",
            Self::OlderThan5Years => "older_than_5_years",
        }
    }

    /// Returns what it means for the day.
    pub fn class(self) -> Class {
        match self {
            Self::Archived | Self::Erased | Self::Filtered => Class::Settled,
            Self::Waiting => Class::Pending,
            _ => Class::Gap,
        }
    }

    /// Returns what it means, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Archived => "archived",
            Self::Erased => "deleted from the archive on purpose",
            Self::Filtered => "of a kind that is not archived (RECORDING_MEDIA)",
            Self::Waiting => "a recording may still come; the function looks for it by itself",
            Self::AfterCallWorkOpen => "its after-call work was never closed: close it at Genesys",
            Self::Orphaned => {
                "Genesys holds its recording as an orphan: close its after-call work, or attach the orphan"
            }
            Self::UploadFailed => "Genesys reports that the upload of its recording failed: ask Genesys",
            Self::SensitiveWithheld => {
                "archived, and Genesys cut the copy: grant recording:recording:viewSensitiveData"
            }
            Self::ColdAtSource => "in cold storage at Genesys: restore it there, then replay its case",
            Self::Expired => "deleted at Genesys before it was archived",
            Self::NothingFound => {
                "settled without a recording, and Genesys says that one was started: send it again"
            }
            Self::Late => {
                "archived, and a recording came up after the last look at it; a job was sent for it"
            }
            Self::Stalled => "its job or a look at it is lost: see the dead letter queue, or send it again",
            Self::Unsettled => {
                "archived, and no look found out whether there are more recordings: send it again"
            }
            Self::Failed => "ended without an archive; its case says what to do",
            Self::NeverSeen => "no run ever saw it; a job was sent for it",
            Self::Contradicted => "ledger and audit contradict each other: archivectl verify",
            Self::OlderThan18Months => "older than 18 months: Genesys gives it to listed organisations only",
            Self::OlderThan5Years => "older than five years: Genesys gives it through a special job only",
        }
    }
}

/// A reason, with the code of the failure where it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) reason: Reason,
    code: Option<String>,
    /// Nobody can change it any more.
    pub(super) is_final: bool,
}

impl Verdict {
    /// Returns how statements write it: `failed:CODE` for a failure.
    pub(super) fn label(&self) -> String {
        match &self.code {
            Some(code) => format!("{}:{code}", self.reason.as_str()),
            None => self.reason.as_str().to_owned(),
        }
    }
}

impl From<Reason> for Verdict {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            code: None,
            is_final: reason == Reason::Expired,
        }
    }
}

/// What is known of a conversation beside its standing.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub(super) custodies: &'a [Custody],
    /// It is over.
    pub(super) ended: bool,
    /// Parts of it have no end.
    pub(super) open: bool,
    /// Genesys lists an orphan recording for it.
    pub(super) orphan: bool,
    /// Genesys reports that an upload of it failed.
    pub(super) upload_failed: bool,
    /// Genesys keeps a recording of it that came up after the last look at it.
    pub(super) late: bool,
}

/// Returns the reason of a conversation with this standing.
pub(super) fn verdict(standing: Standing, evidence: &Evidence<'_>) -> Verdict {
    // Where Genesys itself says what became of the recording, that is the reason.
    let by_source = evidence.by_source();
    let or_by_source = |reason: Reason| Verdict::from(by_source.unwrap_or(reason));
    match standing {
        // Whether it is also found by what it was about is `reconcile`'s to say.
        Standing::Archived | Standing::Undescribed | Standing::Uncatalogued => evidence.archived(by_source),
        Standing::Settling | Standing::InProgress | Standing::TooEarly
            if !evidence.ended && evidence.open =>
        {
            or_by_source(Reason::AfterCallWorkOpen)
        }
        Standing::Settling | Standing::InProgress | Standing::TooEarly => Reason::Waiting.into(),
        Standing::Unsettled => Reason::Unsettled.into(),
        Standing::Expired => Reason::Expired.into(),
        Standing::NothingFound if evidence.late => Reason::Late.into(),
        Standing::NothingFound => or_by_source(Reason::NothingFound),
        Standing::Deferred | Standing::Unfinished => Reason::Stalled.into(),
        Standing::Failed => evidence.failed(by_source),
        Standing::NeverSeen => or_by_source(Reason::NeverSeen),
        Standing::Contradicted => Reason::Contradicted.into(),
        Standing::OlderThan18Months => Reason::OlderThan18Months.into(),
        Standing::OlderThan5Years => Reason::OlderThan5Years.into(),
    }
}

impl Evidence<'_> {
    fn recordings(&self) -> impl Iterator<Item = &Custody> {
        self.custodies.iter().filter(|custody| custody.recording != "-")
    }

    fn state(&self, state: State) -> bool {
        self.recordings().any(|custody| custody.state() == Some(state))
    }

    /// Returns whether the archive holds a recording of it.
    pub(super) fn holds(&self) -> bool {
        self.state(State::Archived) || self.state(State::Notified)
    }

    /// Returns what Genesys itself says became of a recording.
    fn by_source(&self) -> Option<Reason> {
        if self.orphan {
            Some(Reason::Orphaned)
        } else {
            self.upload_failed.then_some(Reason::UploadFailed)
        }
    }

    /// Returns the reason of a conversation whose recordings are archived, as far as they are known. What Genesys says
    /// of another one makes it a gap: which of them the orphan or the failed upload was is not told. A report of failed
    /// uploads keeps what was uploaded at the second attempt, so that one cannot be closed here.
    fn archived(&self, by_source: Option<Reason>) -> Verdict {
        let mut verdict = Verdict::from(match by_source {
            _ if self.late => Reason::Late,
            Some(reason) => reason,
            None => self.kept(),
        });
        verdict.is_final |= verdict.reason == Reason::UploadFailed;
        verdict
    }

    /// Returns how its recordings are kept.
    fn kept(&self) -> Reason {
        let cut = |event: &AuditEvent| {
            event
                .get("genesys")
                .is_some_and(|notes| notes["redacted"] == "start_cut")
        };
        let withheld = self.recordings().any(|custody| {
            custody.archived_at().is_some()
                && custody.state() != Some(State::Erased)
                && custody.events.iter().any(cut)
        });
        if withheld {
            Reason::SensitiveWithheld
        } else if self.state(State::Erased) && !self.holds() {
            Reason::Erased
        } else {
            Reason::Archived
        }
    }

    /// Returns the reason behind the last failure. What only says that nothing came gives way to what Genesys says.
    fn failed(&self, by_source: Option<Reason>) -> Verdict {
        let failed = self
            .custodies
            .iter()
            .filter(|custody| custody.state() == Some(State::Failed));
        let events = failed.flat_map(|custody| &custody.events);
        let code = events
            .filter(|event| event.error().is_some())
            .max_by_key(|event| event.timestamp());
        let code = code.and_then(|event| event.text("code")).unwrap_or("unknown");
        let is = |kind: ErrorKind| kind.code() == code;
        if is(ErrorKind::AfterCallWorkOpen) {
            return by_source.unwrap_or(Reason::AfterCallWorkOpen).into();
        }
        if is(ErrorKind::ArchivedAtSource) {
            return Reason::ColdAtSource.into();
        }
        match by_source.filter(|_| is(ErrorKind::NeverReady)) {
            Some(reason) => reason.into(),
            None => Verdict {
                reason: Reason::Failed,
                code: Some(code.to_owned()),
                is_final: is(ErrorKind::BrokenAtSource),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the evidence of a conversation that is over, of which nothing is known.
    fn nothing() -> Evidence<'static> {
        Evidence {
            custodies: &[],
            ended: true,
            open: false,
            orphan: false,
            upload_failed: false,
            late: false,
        }
    }

    #[test]
    fn a_recording_that_came_late_makes_its_conversation_a_gap_that_can_be_closed() {
        for standing in [Standing::Archived, Standing::Undescribed, Standing::NothingFound] {
            let evidence = Evidence {
                late: true,
                ..nothing()
            };
            let verdict = verdict(standing, &evidence);
            assert_eq!((verdict.label().as_str(), verdict.is_final), ("late", false));
        }
    }

    #[test]
    fn a_standing_has_one_reason_and_genesys_knows_better_why_nothing_came() {
        let evidence = |orphan, upload_failed| Evidence {
            orphan,
            upload_failed,
            ..nothing()
        };
        for (standing, plain, orphan, upload) in [
            (Standing::NeverSeen, "never_seen", "orphaned", "upload_failed"),
            (
                Standing::NothingFound,
                "nothing_found",
                "orphaned",
                "upload_failed",
            ),
            (
                Standing::Failed,
                "failed:unknown",
                "failed:unknown",
                "failed:unknown",
            ),
            (Standing::Archived, "archived", "orphaned", "upload_failed"),
            (Standing::Expired, "expired", "expired", "expired"),
            (Standing::Settling, "waiting", "waiting", "waiting"),
            (Standing::Deferred, "stalled", "stalled", "stalled"),
            (Standing::Unfinished, "stalled", "stalled", "stalled"),
        ] {
            let label = |orphan, upload| verdict(standing, &evidence(orphan, upload)).label();
            assert_eq!(
                [label(false, false), label(true, false), label(false, true)],
                [plain, orphan, upload],
                "{standing:?}"
            );
        }
    }

    #[test]
    fn what_was_never_closed_is_open_and_what_goes_on_is_waited_for() {
        let evidence = |ended, open| Evidence {
            ended,
            open,
            ..nothing()
        };
        let label = |ended, open| verdict(Standing::TooEarly, &evidence(ended, open)).label();
        assert_eq!(label(false, true), "after_call_work_open");
        assert_eq!(label(false, false), "waiting");
        assert_eq!(label(true, false), "waiting");
    }

    #[test]
    fn each_reason_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
