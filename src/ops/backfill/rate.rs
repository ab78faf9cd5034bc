//! The pace at which a backfill sends.

use super::estimate;
use crate::ops::session::PATIENCE;
use crate::ops::{Error, Session};

/// Requests a minute that Genesys is known to allow a token.
const KNOWN: u64 = 300;

/// The pace of a backfill.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// Conversations a minute.
    PerMinute(f64),
    /// A share of the requests that Genesys allows the token of an OAuth client a minute.
    Share(f64),
}

impl Rate {
    /// Returns it in conversations a minute, each of as many requests as its lane takes. Asks Genesys for the limit of
    /// a token, which is 300 where it names none.
    pub(super) async fn per_minute(self, session: &Session, bulk: bool) -> Result<f64, Error> {
        let share = match self {
            Self::PerMinute(number) => return Ok(number),
            Self::Share(share) => share,
        };
        let limits = session
            .genesys()?
            .limits("platform.api", &session.deadline(PATIENCE))
            .await?;
        let of_a_token = limits
            .iter()
            .filter(|limit| limit.key.contains("token.rate.per.minute"));
        let least = of_a_token
            .filter_map(|limit| u64::try_from(limit.value).ok())
            .min();
        Ok(estimate::rate_of(share, least.unwrap_or(KNOWN), bulk))
    }
}
