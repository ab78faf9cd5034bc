//! The service levels in words, for text and page.

use recording_archiver::ops::report::{DAY_OBJECTIVE, Figures, HOUR_OBJECTIVE};

use crate::words::counted;

/// Describes the service levels; `None` without a recording that an end event asked for.
pub(super) fn service(figures: &Figures) -> Option<String> {
    let all = figures.live_recordings;
    let share = |part: u64| percent(part, all);
    (all > 0).then(|| {
        format!(
            "{} % within an hour of the end of the call (objective {HOUR_OBJECTIVE} %), {} % within 24 hours \
             (objective {DAY_OBJECTIVE} %), of {} that end events asked for",
            share(figures.live_within_hour),
            share(figures.live_within_day),
            counted(all, "recording", "recordings")
        )
    })
}

/// Returns a share in percent, with a decimal, rounded down: 99.96 is not 100.
fn percent(part: u64, all: u64) -> String {
    let tenths = (part * 1_000).checked_div(all).unwrap_or_default();
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        tenth => format!("{}.{tenth}", tenths / 10),
    }
}
