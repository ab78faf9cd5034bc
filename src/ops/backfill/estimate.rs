//! The expected time, requests and cost of a backfill.

use serde::Serialize;

use super::checkpoint::Totals;

/// WAV of a call: 8,000 samples a second of 16 bit in stereo.
const BYTES_PER_SECOND: u64 = 32_000;

/// Tenths of requests to Genesys for a conversation of one recording: the list, the recording twice (the first request
/// starts the transcoding); then, to settle it, the list again and a tenth of a request for details.
const REQUEST_TENTHS_EACH: u64 = 41;

/// The same as it was recorded, in Opus of 16 kbit/s a channel: an eighth of WAV. A trunk of PCMU gives half of WAV.
const ORIGINAL_BYTES_PER_SECOND: u64 = 4_000;

/// Hundredths of requests to Genesys for a recording by batch downloads, with 2 errors in a hundred and call records:
/// docs/performance.md, "Requests to Genesys".
const BULK_REQUEST_HUNDREDTHS_EACH: u64 = 6;

/// The same where the errors of each job come alone: the most that a pace is reckoned with.
const BULK_REQUEST_HUNDREDTHS_MOST: u64 = 10;

/// Conversations that go by batch downloads for as many requests as one that goes alone: 4.1 by 0.1.
pub(super) const ALONE: usize = 41;

/// Conversations a minute that the live lane is sent, unless `--rate` says otherwise.
const LIVE_RATE: f64 = 50.0;

/// USD to archive one, by either lane, and to keep a GB for a month in S3 Standard: docs/deploy.md, "What 100,000
/// recordings cost".
const USD_EACH: f64 = 4.25 / 100_000.0;
const BULK_USD_EACH: f64 = 3.26 / 100_000.0;
const USD_PER_GB_MONTH: f64 = 0.023;

/// The expected time, requests and cost of a backfill, one by one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// Jobs to send.
    pub jobs: u64,
    /// The live lane.
    #[serde(flatten)]
    pub live: Lane,
    /// The same by batch downloads, with `--bulk`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bulk: Option<Lane>,
}

/// The expected time, requests and cost by one of the lanes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lane {
    /// Bytes: as WAV in stereo, or as recorded.
    pub bytes: u64,
    /// Requests to Genesys.
    pub genesys_requests: u64,
    /// Time that sending takes, in seconds.
    pub seconds: u64,
    /// Cost of archiving them.
    pub usd: f64,
    /// Cost of keeping them.
    pub usd_per_month: f64,
}

impl Estimate {
    /// Estimates the jobs counted as sent, at `per_minute` jobs a minute; in `bulk`, both lanes side by side, and each
    /// job that goes alone counts for [`ALONE`].
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn new(totals: &Totals, per_minute: f64, bulk: bool) -> Self {
        let (jobs, seconds) = (totals.counts.sent, totals.seconds);
        let live_rate = if bulk { LIVE_RATE } else { per_minute };
        let requests = (jobs * REQUEST_TENTHS_EACH).div_ceil(10);
        let usd = jobs as f64 * USD_EACH;
        Self {
            jobs,
            live: Lane::new(seconds * BYTES_PER_SECOND, requests, jobs as f64 / live_rate, usd),
            bulk: bulk.then(|| {
                // Some of the jobs are the live lane's all the same.
                let batched = jobs.saturating_sub(totals.alone);
                let hundredths =
                    batched * BULK_REQUEST_HUNDREDTHS_EACH + totals.alone * REQUEST_TENTHS_EACH * 10;
                let (batched, alone) = (batched as f64, totals.alone as f64);
                Lane::new(
                    seconds * ORIGINAL_BYTES_PER_SECOND,
                    hundredths.div_ceil(100),
                    (batched + alone * ALONE as f64) / per_minute,
                    batched * BULK_USD_EACH + alone * USD_EACH,
                )
            }),
        }
    }
}

impl Lane {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate, of what is not negative"
    )]
    fn new(bytes: u64, genesys_requests: u64, minutes: f64, usd: f64) -> Self {
        Self {
            bytes,
            genesys_requests,
            seconds: (minutes * 60.0) as u64,
            usd,
            usd_per_month: bytes as f64 / 1e9 * USD_PER_GB_MONTH,
        }
    }
}

/// Returns how many conversations a minute take a share of so many requests to Genesys a minute.
#[expect(clippy::cast_precision_loss, reason = "a limit of some hundreds")]
pub(super) fn rate_of(share: f64, requests_a_minute: u64, bulk: bool) -> f64 {
    let each = match bulk {
        true => BULK_REQUEST_HUNDREDTHS_MOST as f64 / 100.0,
        false => REQUEST_TENTHS_EACH as f64 / 10.0,
    };
    (share * requests_a_minute as f64 / each).max(1.0)
}
