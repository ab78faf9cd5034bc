//! Distributions of lengths of time, in little memory.

use std::collections::BTreeMap;

use serde::Serialize;

/// The figures of a distribution, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Lengths {
    /// Number of values.
    pub count: u64,
    /// The length that half of them do not exceed; like the next two to within 5 %.
    pub p50: Option<u64>,
    /// The length that 90 % do not exceed.
    pub p90: Option<u64>,
    /// The length that 99 % do not exceed.
    pub p99: Option<u64>,
    /// The longest.
    pub max: Option<u64>,
}

/// Counts of numbers by size, to within 5 %.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// By power of [`STEP`].
    buckets: BTreeMap<u32, u64>,
    count: u64,
    most: u64,
}

/// The ratio of two neighbouring buckets' limits.
const STEP: f64 = 1.05;

impl Histogram {
    pub(super) fn add(&mut self, value: u64) {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "5 % is what it is good for, and the logarithm of a whole number is small and not negative"
        )]
        let bucket = (value.max(1) as f64).log(STEP).ceil() as u32;
        *self.buckets.entry(bucket).or_default() += 1;
        self.count += 1;
        self.most = self.most.max(value);
    }

    /// Returns the value that this share of all does not exceed, to within 5 %; `None` of an empty histogram.
    fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (bucket, count) in &self.buckets {
            seen += count;
            if seen >= rank {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a positive number of milliseconds"
                )]
                let upper = STEP.powf(f64::from(*bucket)) as u64;
                return Some(upper.min(self.most));
            }
        }
        None
    }

    /// Returns the lengths that a report shows.
    pub(super) fn lengths(&self) -> Lengths {
        Lengths {
            count: self.count,
            p50: self.percentile(50),
            p90: self.percentile(90),
            p99: self.percentile(99),
            max: (self.count > 0).then_some(self.most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_within_five_percent() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50), None);
        (1..=10_000).for_each(|value| histogram.add(value));
        for percent in [1, 50, 90, 99, 100] {
            let (exact, told) = (percent * 100, histogram.percentile(percent).unwrap());
            assert!(told >= exact && told * 100 <= exact * 105, "{percent}: {told}");
        }
        assert_eq!(histogram.lengths().max, Some(10_000));
        let mut single = Histogram::default();
        single.add(0);
        assert_eq!((single.percentile(99), single.lengths().max), (Some(0), Some(0)));
    }
}
