//! The days with events that the audit's index by days does not hold, as the sealer saw them.

use crate::domain::days::Range;
use crate::ops::Session;
use crate::seal::layout;
use crate::seal::store::LogStore;

/// Returns whether the audit's index by days misses an event of these days, as far as the log that is configured knows:
/// an event that was not sealed yet is not counted. `true` where the log cannot be listed.
pub(in crate::ops) async fn has_undated(session: &Session, range: Range) -> bool {
    let Some(bucket) = session.log.bucket.clone() else {
        return false;
    };
    let store = LogStore::new(session.clients.s3.clone(), bucket);
    // Keys sort by day, and this one comes right before that of the first.
    let before = layout::undated(range.first.saturating_sub(jiff::Span::new().days(1)));
    let Ok(keys) = store.keys(layout::UNDATED, Some(&before)).await else {
        return true;
    };
    let mut days = keys.iter().filter_map(|key| layout::undated_day(key));
    days.any(|day| range.first <= day && day <= range.last)
}
