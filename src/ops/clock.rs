//! Compares this machine's clock with those of AWS and Genesys.

use jiff::{SignedDuration, Timestamp};

use super::Session;
use super::error::{Error, Kind};

/// Largest difference between clocks that is tolerated.
pub(super) const TOLERATED: SignedDuration = SignedDuration::from_secs(60);

/// Describes the difference between this machine's clock and that of `whose`.
pub(super) fn difference(off: SignedDuration, whose: &str) -> String {
    match off.as_secs() {
        0 => format!("agrees with {whose}' clock"),
        ahead @ 1.. => format!("{ahead} s ahead of {whose}' clock"),
        behind => format!("{} s behind {whose}' clock", behind.unsigned_abs()),
    }
}

/// Fails if this machine's clock differs from that of AWS or Genesys, as far as their answers are dated: a command that
/// archives on this machine takes the dates of locks, leases and evidence from its clock.
pub(super) async fn check(session: &Session) -> Result<(), Error> {
    let storage = session.storage();
    let genesys = session.genesys()?;
    let aws = async { Ok::<_, crate::error::Error>(("AWS", storage.time().await?)) };
    let genesys = async { Ok(("Genesys", genesys.time().await?)) };
    let before = session.clock.now();
    let asked = async { futures_util::try_join!(aws, genesys) };
    let (aws, genesys) = session.unless_interrupted(asked).await?;
    let after = session.clock.now();
    for (whose, there) in [aws, genesys] {
        let Some(there) = there else { continue };
        let off = apart(before, after, there);
        if off.abs() > TOLERATED {
            let difference = difference(off, whose);
            return Err(Error::new(
                Kind::Clock,
                format!(
                    "this machine's clock is {difference}: with --local, the dates until which objects are locked and the times of \
                     the evidence come from it"
                ),
            )
            .remedy("synchronise it (NTP), or have the function archive (without --local)"));
        }
    }
    Ok(())
}

/// Returns the difference between a clock that showed `before` and `after` around a request and the clock that answered
/// `there`.
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
