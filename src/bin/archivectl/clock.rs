//! How far this machine's clock is from those of AWS and Genesys.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use recording_archiver::genesys::Genesys;

use crate::Failure;
use crate::session::Session;

/// How far clocks may be apart.
pub(crate) const TOLERATED: SignedDuration = SignedDuration::from_secs(60);

/// How far a clock that is `off` is ahead of that of `whose`, in words.
pub(crate) fn told(off: SignedDuration, whose: &str) -> String {
    match off.as_secs() {
        0 => format!("agrees with {whose}' clock"),
        ahead @ 1.. => format!("{ahead} s ahead of {whose}' clock"),
        behind => format!("{} s behind {whose}' clock", behind.unsigned_abs()),
    }
}

/// Refuses to go on with a clock that is not that of AWS or Genesys, as far as their answers tell the time: who archives
/// right here takes the dates of locks, leases and evidence from it.
pub(crate) async fn check(session: &Session) -> Result<(), Failure> {
    let storage = session.storage();
    let genesys = Genesys::new(&session.config, session.secrets(), Arc::default())?;
    let aws = async { Ok(("AWS", storage.time().await?)) };
    let genesys = async { Ok(("Genesys", genesys.time().await?)) };
    let before = session.clock.now();
    let asked = async { futures_util::try_join!(aws, genesys) };
    let Some((aws, genesys)) = session
        .unless_interrupted::<_, recording_archiver::error::Error>(asked)
        .await?
    else {
        return Ok(());
    };
    let after = session.clock.now();
    for (whose, there) in [aws, genesys] {
        let Some(there) = there else { continue };
        let off = apart(before, after, there);
        if off.abs() > TOLERATED {
            let told = told(off, whose);
            return Err(format!(
                "this machine's clock is {told}: with --local, the dates until which objects are locked and the times of the \
                 evidence come from it; synchronise it (NTP), or have the function archive (without --local)"
            )
            .into());
        }
    }
    Ok(())
}

/// How far a clock that said `before` and `after` around the question is from the one that answered `there`.
fn apart(before: Timestamp, after: Timestamp, there: Timestamp) -> SignedDuration {
    if there < before {
        before.duration_since(there)
    } else if there > after {
        after.duration_since(there)
    } else {
        SignedDuration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_an_answer_takes_is_not_held_against_the_clock() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let off = |there| apart(at(100), at(200), at(there)).as_secs();
        assert_eq!([off(100), off(150), off(200)], [0, 0, 0]);
        assert_eq!([off(39), off(261)], [61, -61]);
    }
}
