//! Lengths of time for people.

/// Milliseconds with the unit that fits.
#[expect(clippy::cast_precision_loss, reason = "one digit after the point")]
pub(super) fn duration(millis: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    match UNITS.iter().find(|(unit, _)| millis >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", millis as f64 / *unit as f64),
        None => format!("{millis} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_has_its_unit() {
        let told = [0, 999, 1_500, 90_000, 5_400_000, 129_600_000].map(duration);
        assert_eq!(told, ["0 ms", "999 ms", "1.5 s", "1.5 min", "1.5 h", "1.5 d"]);
    }
}
