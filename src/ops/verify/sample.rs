//! Samples of all conversations.

use sha2::{Digest as _, Sha256};

/// A share of all conversations, chosen by a word: always the same for the same word.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// More than 0 and at most 1.
    pub share: f64,
    /// The word that chooses it.
    pub seed: String,
}

impl Sample {
    /// Makes a sample that nobody can predict.
    pub fn random(share: f64) -> Self {
        Self {
            share,
            seed: uuid::Uuid::new_v4().simple().to_string(),
        }
    }

    pub(super) fn holds(&self, conversation: &str) -> bool {
        let digest = Sha256::digest(format!("{} {conversation}", self.seed));
        let number = digest
            .iter()
            .take(4)
            .fold(0, |number, byte| number << 8 | u32::from(*byte));
        f64::from(number) < self.share * (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_holds_about_its_share_and_always_the_same() {
        let sample = |seed: &str| Sample {
            share: 0.1,
            seed: seed.to_owned(),
        };
        let chosen = |sample: &Sample| {
            (0..10_000)
                .filter(|id| sample.holds(&id.to_string()))
                .collect::<Vec<_>>()
        };
        let (march, again, april) = (
            chosen(&sample("march")),
            chosen(&sample("march")),
            chosen(&sample("april")),
        );
        assert!((850..1_150).contains(&march.len()), "{}", march.len());
        assert_eq!(march, again);
        assert_ne!(march, april);
    }
}
