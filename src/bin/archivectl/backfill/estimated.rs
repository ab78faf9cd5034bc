//! The estimate of a dry run, in words.

use indicatif::HumanDuration;
use recording_archiver::ops::backfill::{Estimate, Lane};

use crate::text::Text;
use crate::words;

/// Says what a backfill is expected to take, of both lanes side by side.
pub(super) fn estimated(estimate: &Estimate) -> Text {
    let text = Text::new("estimated, with the assumptions of docs/deploy.md:");
    let Some(bulk) = &estimate.bulk else {
        return text.lines(&alone(&estimate.live));
    };
    let live = &estimate.live;
    let row = |what: &str, of: &dyn Fn(&Lane) -> String| {
        Text::new(format!("  {:<18}{:>18}{:>18}", what, of(live), of(bulk)))
    };
    let row_of = |text: Text, what, of: &dyn Fn(&Lane) -> String| text.lines(&row(what, of));
    let text = text
        .line()
        .add(format!("  {:<18}{:>18}{:>18}", "", "one by one", "by batches"));
    let text = row_of(text, "requests", &|lane| words::count(lane.genesys_requests));
    let text = row_of(text, "time to send", &|lane| time(lane.seconds));
    let text = row_of(text, "USD to archive", &|lane| format!("{:.2}", lane.usd));
    let text = row_of(text, "size", &|lane| words::bytes(lane.bytes));
    row_of(text, "USD a month", &|lane| format!("{:.2}", lane.usd_per_month))
}

fn time(seconds: u64) -> String {
    HumanDuration(std::time::Duration::from_secs(seconds)).to_string()
}

/// Says what archiving one by one takes.
fn alone(lane: &Lane) -> Text {
    let text = Text::new(format!(
        "  {} to send them, at the rate given",
        time(lane.seconds)
    ))
    .line()
    .add(format!(
        "  {} requests to Genesys",
        words::count(lane.genesys_requests)
    ))
    .line()
    .add(format!("  {:.2} USD to archive them", lane.usd));
    // A list of ids says nothing about lengths.
    if lane.bytes == 0 {
        return text;
    }
    let bytes = words::bytes(lane.bytes);
    text.line()
        .add(format!(
            "  {bytes} as WAV in stereo, by the length of the conversations"
        ))
        .line()
        .add(format!(
            "  {:.2} USD a month to keep them in S3 Standard",
            lane.usd_per_month
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lanes_stand_side_by_side() {
        let lane = |bytes, genesys_requests, seconds, usd, usd_per_month| Lane {
            bytes,
            genesys_requests,
            seconds,
            usd,
            usd_per_month,
        };
        let both = Estimate {
            jobs: 1_000_000,
            live: lane(9_600_000_000_000, 4_100_000, 1_200_000, 80.8, 220.8),
            bulk: Some(lane(1_200_000_000_000, 50_000, 40_000, 33.5, 27.6)),
        };
        let told = estimated(&both).plain();
        let rows: Vec<_> = told.lines().skip(1).collect();
        let aligned = rows.iter().all(|row| row.len() == rows[0].len());
        assert!(rows.len() == 6 && aligned, "{told}");
        let usd: Vec<_> = rows[3].split_whitespace().collect();
        assert_eq!(usd, ["USD", "to", "archive", "80.80", "33.50"], "{told}");
    }
}
