//! The expected time, requests and cost of a backfill.

use serde::Serialize;

use super::checkpoint::Totals;
use crate::domain::bulk::MOST_ENTRIES;

/// WAV of a call: 8,000 samples a second of 16 bit in stereo.
const BYTES_PER_SECOND: u64 = 32_000;

/// Tenths of requests to Genesys for a conversation of one recording: the list, the recording twice (the first request
/// starts the transcoding); then, to settle it, the list again and a tenth of a request for details.
const REQUEST_TENTHS_EACH: u64 = 41;

/// Requests to Genesys for a batch download of a hundred conversations that is found in progress twice: submitted, and
/// asked about three times. What it does not give costs as much as in the live lane.
const REQUESTS_A_BATCH: u64 = 4;

/// USD to archive one and to keep a GB for a month in S3 Standard: docs/deploy.md, "What 100,000 recordings cost".
const USD_EACH: f64 = 8.08 / 100_000.0;
const USD_PER_GB_MONTH: f64 = 0.023;

/// The expected time, requests and cost of a backfill.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// Jobs to send.
    pub jobs: u64,
    /// Bytes, as WAV in stereo.
    pub bytes: u64,
    /// Requests to Genesys.
    pub genesys_requests: u64,
    /// Time that sending takes, in seconds.
    pub seconds: u64,
    /// Cost of archiving them.
    pub usd: f64,
    /// Cost of keeping them.
    pub usd_per_month: f64,
    /// Requests to Genesys with `--bulk`, where every batch download gives everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bulk_requests: Option<u64>,
}

impl Estimate {
    /// Estimates the jobs counted as sent, at `per_minute` jobs a minute; in `bulk`, both lanes.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate, of what is not negative"
    )]
    pub(super) fn new(totals: &Totals, per_minute: f64, bulk: bool) -> Self {
        let jobs = totals.counts.sent;
        let bytes = totals.seconds * BYTES_PER_SECOND;
        Self {
            jobs,
            bytes,
            genesys_requests: (jobs * REQUEST_TENTHS_EACH).div_ceil(10),
            seconds: (jobs as f64 / per_minute * 60.0) as u64,
            usd: jobs as f64 * USD_EACH,
            usd_per_month: bytes as f64 / 1e9 * USD_PER_GB_MONTH,
            bulk_requests: bulk.then(|| jobs.div_ceil(MOST_ENTRIES as u64) * REQUESTS_A_BATCH),
        }
    }
}
