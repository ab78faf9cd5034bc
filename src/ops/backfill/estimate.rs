//! What a backfill would take: time, requests and money, before any of it is spent.

use serde::Serialize;

use super::checkpoint::Tally;

/// WAV of a call: 8,000 samples a second of 16 bit in stereo.
const BYTES_PER_SECOND: u64 = 32_000;

/// Tenths of requests to Genesys for a conversation of one recording: the list, the recording twice (the first request
/// starts the transcoding); then, to settle it, the list again and a tenth of a request for details.
const REQUEST_TENTHS_EACH: u64 = 41;

/// USD to archive one and to keep a GB for a month in S3 Standard: docs/deploy.md, "What 100,000 recordings cost".
const USD_EACH: f64 = 8.08 / 100_000.0;
const USD_PER_GB_MONTH: f64 = 0.023;

/// What is ahead.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// Jobs to send.
    pub jobs: u64,
    /// Bytes, as WAV in stereo.
    pub bytes: u64,
    /// Requests to Genesys.
    pub genesys_requests: u64,
    /// How long sending takes.
    pub seconds: u64,
    /// To archive them.
    pub usd: f64,
    /// To keep them.
    pub usd_per_month: f64,
}

impl Estimate {
    /// Estimates the jobs in `tally`, at so many a minute.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate, of what is not negative"
    )]
    pub(super) fn new(tally: &Tally, per_minute: f64) -> Self {
        let bytes = tally.seconds * BYTES_PER_SECOND;
        Self {
            jobs: tally.sent,
            bytes,
            genesys_requests: (tally.sent * REQUEST_TENTHS_EACH).div_ceil(10),
            seconds: (tally.sent as f64 / per_minute * 60.0) as u64,
            usd: tally.sent as f64 * USD_EACH,
            usd_per_month: bytes as f64 / 1e9 * USD_PER_GB_MONTH,
        }
    }
}
