//! What a backfill would take: time, requests and money, before any of it is spent.

use std::time::Duration;

use serde_json::{Value, json};

use super::checkpoint::Tally;
use crate::out::Text;

/// WAV of a call: 8,000 samples a second of 16 bit in stereo.
const BYTES_PER_SECOND: u64 = 32_000;

/// Tenths of requests to Genesys for a conversation of one recording: the list, the recording twice (the first request
/// starts the transcoding); then, to settle it, the list again and a tenth of a request for details.
const REQUEST_TENTHS_EACH: u64 = 41;

/// USD to archive one and to keep a GB for a month in S3 Standard: docs/deploy.md, "What 100,000 recordings cost".
const USD_EACH: f64 = 8.08 / 100_000.0;
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
            requests: (tally.sent * REQUEST_TENTHS_EACH).div_ceil(10),
            time: Duration::from_secs_f64(tally.sent as f64 / per_minute * 60.0),
            usd: tally.sent as f64 * USD_EACH,
            usd_per_month: bytes as f64 / 1e9 * USD_PER_GB_MONTH,
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({"jobs": self.jobs, "bytes": self.bytes, "genesysRequests": self.requests, "seconds": self.time.as_secs(),
               "usd": self.usd, "usdPerMonth": self.usd_per_month})
    }

    pub(super) fn text(&self) -> Text {
        let text = Text::new("estimated, with the assumptions of docs/deploy.md:");
        let text = text.line().add(format!(
            "  {} to send them, at the rate given",
            indicatif::HumanDuration(self.time)
        ));
        let requests = indicatif::HumanCount(self.requests);
        let text = text.line().add(format!("  {requests} requests to Genesys"));
        let text = text.line().add(format!("  {:.2} USD to archive them", self.usd));
        // A list of ids says nothing about lengths.
        if self.bytes == 0 {
            return text;
        }
        let bytes = indicatif::DecimalBytes(self.bytes);
        text.line()
            .add(format!(
                "  {bytes} as WAV in stereo, by the length of the conversations"
            ))
            .line()
            .add(format!(
                "  {:.2} USD a month to keep them in S3 Standard",
                self.usd_per_month
            ))
    }
}
