//! The messages of a batch that wait for a second batch download: one gives the entries of all of them.

use super::event::{Message, Request};
use crate::domain::audit::is_own;

/// Puts the entries of bulk jobs that wait for a second batch download into the first of these jobs, as far as they fit
/// into one, each with who asked for it. Takes only what the function itself sent, as it says who asked first.
pub(super) fn gather(messages: &mut [Message], own_role: Option<&str>) {
    let mut gathering: Vec<usize> = Vec::new();
    for at in 0..messages.len() {
        let (earlier, rest) = messages.split_at_mut(at);
        let Some(message) = rest.first_mut().filter(|message| waits(message, own_role)) else {
            continue;
        };
        let Ok(Request::Bulk { job }) = &message.request else {
            continue;
        };
        let into = gathering.iter().copied().find(|into| {
            let first = earlier.get_mut(*into).map(|first| &mut first.request);
            match first {
                Some(Ok(Request::Bulk { job: first })) => first.gather(job),
                _ => false,
            }
        });
        message.into = into;
        gathering.extend(into.is_none().then_some(at));
    }
}

/// Says whether a message is a bulk job that waits for a second batch download, sent by the function itself.
fn waits(message: &Message, own_role: Option<&str>) -> bool {
    let second = matches!(&message.request, Ok(Request::Bulk { job }) if job.is_second());
    second && is_own(message.sender_id.as_deref(), own_role)
}
