//! What a backfill would take: time, requests and money, before any of it is spent.

use std::time::Duration;

use serde_json::{Value, json};

use super::checkpoint::Tally;

/// WAV of a call: 8,000 samples a second of 16 bit in stereo.
const BYTES_PER_SECOND: u64 = 32_000;

/// Metadata and media of a recording, and now and then another look while it is transcoded.
pub(super) const REQUESTS_EACH: u64 = 3;

/// USD to archive one and to keep a GB for a month in S3 Standard: docs/deploy.md, "What 100,000 recordings cost".
const USD_EACH: f64 = 7.18 / 100_000.0;
const USD_PER_GB_MONTH: f64 = 0.023;

/// What is ahead.
#[derive(Debug)]
pub(super) struct Estimate {
    jobs: u64,
    bytes: u64,
    requests: u64,
    time: Duration,
    usd: f64,
    usd_per_month: f64,
}

impl Estimate {
    /// Of the jobs in `tally`, at so many a minute.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn new(tally: &Tally, per_minute: f64) -> Self {
        let bytes = tally.seconds * BYTES_PER_SECOND;
        Self {
            jobs: tally.sent,
            bytes,
            requests: tally.sent * REQUESTS_EACH,
            time: Duration::from_secs_f64(tally.sent as f64 / per_minute * 60.0),
            usd: tally.sent as f64 * USD_EACH,
            usd_per_month: bytes as f64 / 1e9 * USD_PER_GB_MONTH,
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({"jobs": self.jobs, "bytes": self.bytes, "genesysRequests": self.requests, "seconds": self.time.as_secs(),
               "usd": self.usd, "usdPerMonth": self.usd_per_month})
    }

    pub(super) fn text(&self) -> String {
        let bytes = match self.bytes {
            // A list of ids says nothing about lengths.
            0 => String::new(),
            bytes => format!(
                "\n  {} as WAV in stereo, by the length of the conversations\n  {:.2} USD a month to keep them in S3 Standard",
                indicatif::DecimalBytes(bytes),
                self.usd_per_month
            ),
        };
        format!(
            "estimated, with the assumptions of docs/deploy.md:\n  {} to send them, at the rate given\n  {} requests to Genesys\n  \
             {:.2} USD to archive them{bytes}",
            indicatif::HumanDuration(self.time),
            indicatif::HumanCount(self.requests),
            self.usd
        )
    }
}
