//! The connections that come to the page.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;

/// Time until another is taken where this machine lacks what one takes.
const PAUSE: Duration = Duration::from_millis(200);

/// A connection could not be taken, and what follows.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// That one ended before it was taken.
    Gone,
    /// This machine or process has no room for another one now.
    Full,
    /// None will come any more.
    Final,
}

/// Says what an error of accept(2) means: <https://man7.org/linux/man-pages/man2/accept.2.html#ERRORS>.
fn fault(error: &Error) -> Fault {
    // ENFILE and EMFILE, which are the same everywhere; ENOBUFS of Linux and of macOS.
    const FULL: [i32; 4] = [23, 24, 105, 55];
    match error.kind() {
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted => Fault::Gone,
        ErrorKind::OutOfMemory => Fault::Full,
        _ if error.raw_os_error().is_some_and(|code| FULL.contains(&code)) => Fault::Full,
        _ => Fault::Final,
    }
}

/// Returns the connections that `accept` takes, up to an error after which none comes. Tells `note` when there is no
/// room for more, once until there is again.
pub(super) fn arrivals<T>(
    accept: impl AsyncFnMut() -> Result<T>,
    note: impl FnMut(&Error),
) -> impl Stream<Item = Result<T>> {
    unfold((accept, note), |(mut accept, mut note)| async {
        let mut full = false;
        loop {
            match accept().await {
                Ok(one) => return Some((Ok(one), (accept, note))),
                Err(error) => match fault(&error) {
                    Fault::Gone => {}
                    Fault::Full => {
                        if !std::mem::replace(&mut full, true) {
                            note(&error);
                        }
                        tokio::time::sleep(PAUSE).await;
                    }
                    Fault::Final => return Some((Err(error), (accept, note))),
                },
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_fails_ends_no_page() {
        const FULL: i32 = 24;
        let mut answers = VecDeque::from([
            Err(ErrorKind::ConnectionAborted.into()),
            Ok(1),
            Err(Error::from_raw_os_error(FULL)),
            Err(Error::from_raw_os_error(FULL)),
            Ok(2),
            Err(ErrorKind::InvalidInput.into()),
        ]);
        let mut told = Vec::new();
        let accept = async || answers.pop_front().unwrap_or(Ok(3));
        let arrivals = arrivals(accept, |error| told.push(error.raw_os_error()));
        let seen: Vec<_> = arrivals
            .take(3)
            .map(|one| one.map_err(|error| error.kind()))
            .collect()
            .await;
        assert_eq!(seen, [Ok(1), Ok(2), Err(ErrorKind::InvalidInput)]);
        assert_eq!(told, [Some(FULL)], "once");
    }
}
