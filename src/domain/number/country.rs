//! How numbers are dialled within a country, and from it to others.

/// A country whose national numbers can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166-1 code.
    code: &'static str,
    /// Country calling code.
    pub(super) calling: &'static str,
    /// Prefix of national calls, which is no part of the number; empty where there is none.
    pub(super) trunk: &'static str,
    /// Prefix of calls abroad.
    pub(super) abroad: &'static str,
}

/// Code, `countryCode`, `nationalPrefix` and an `internationalPrefix` of each country in Google's libphonenumber
/// 9.0.35, whose numbers in `libphonenumber.csv` the tests read by them.
const COUNTRIES: [(&str, &str, &str, &str); 48] = [
    ("AE", "971", "0", "00"),
    ("AT", "43", "0", "00"),
    ("AU", "61", "0", "0011"),
    ("BE", "32", "0", "00"),
    ("BG", "359", "0", "00"),
    ("CA", "1", "1", "011"),
    ("CH", "41", "0", "00"),
    ("CN", "86", "0", "00"),
    ("CY", "357", "", "00"),
    ("CZ", "420", "", "00"),
    ("DE", "49", "0", "00"),
    ("DK", "45", "", "00"),
    ("EE", "372", "", "00"),
    ("EG", "20", "0", "00"),
    ("ES", "34", "", "00"),
    ("FI", "358", "0", "00"),
    ("FR", "33", "0", "00"),
    ("GB", "44", "0", "00"),
    ("GR", "30", "", "00"),
    ("HK", "852", "", "001"),
    ("HR", "385", "0", "00"),
    ("HU", "36", "06", "00"),
    ("IE", "353", "0", "00"),
    ("IL", "972", "0", "00"),
    ("IN", "91", "0", "00"),
    ("IS", "354", "", "00"),
    ("IT", "39", "", "00"),
    ("JP", "81", "0", "010"),
    ("LI", "423", "0", "00"),
    ("LU", "352", "", "00"),
    ("LV", "371", "", "00"),
    ("MT", "356", "", "00"),
    ("MX", "52", "", "00"),
    ("MY", "60", "0", "00"),
    ("NL", "31", "0", "00"),
    ("NO", "47", "", "00"),
    ("NZ", "64", "0", "00"),
    ("PH", "63", "0", "00"),
    ("PL", "48", "", "00"),
    ("PT", "351", "", "00"),
    ("RO", "40", "0", "00"),
    ("SA", "966", "0", "00"),
    ("SE", "46", "0", "00"),
    ("SI", "386", "0", "00"),
    ("SK", "421", "0", "00"),
    ("TR", "90", "0", "00"),
    ("US", "1", "1", "011"),
    ("ZA", "27", "0", "00"),
];

impl Country {
    /// Reads an ISO 3166-1 code such as `DE`; `None` for one whose rules are not known here.
    pub fn parse(text: &str) -> Option<Self> {
        let known = COUNTRIES
            .iter()
            .find(|(code, ..)| code.eq_ignore_ascii_case(text))?;
        let (code, calling, trunk, abroad) = *known;
        Some(Self {
            code,
            calling,
            trunk,
            abroad,
        })
    }

    /// Returns the codes that are known, for messages.
    pub fn accepted() -> String {
        COUNTRIES.map(|(code, ..)| code).join(", ")
    }

    /// Returns the ISO 3166-1 code.
    pub fn code(self) -> &'static str {
        self.code
    }
}

#[cfg(test)]
mod tests {
    use fancy_regex::Regex;

    use super::*;
    use crate::domain::number::Number;

    const METADATA: &str = include_str!("libphonenumber.csv");

    /// Returns the columns of each country.
    fn metadata() -> Vec<[&'static str; 6]> {
        let rows = METADATA.lines().filter(|line| !line.starts_with('#'));
        rows.map(|row| row.split(',').collect::<Vec<_>>().try_into().unwrap())
            .collect()
    }

    #[test]
    fn the_rules_are_those_of_libphonenumber() {
        let metadata = metadata();
        assert_eq!(metadata.len(), COUNTRIES.len());
        for ([id, calling, national, international, ..], ours) in metadata.into_iter().zip(COUNTRIES) {
            assert_eq!((id, calling, national), (ours.0, ours.1, ours.2));
            let prefix = Regex::new(&format!("^(?:{international})$")).unwrap();
            assert!(prefix.is_match(ours.3).unwrap(), "{ours:?}");
        }
    }

    #[test]
    fn a_number_of_each_country_is_one_number_however_it_is_dialled() {
        for [id, calling, national, _, fixed, mobile] in metadata() {
            let country = Country::parse(id).unwrap();
            let abroad = country.abroad;
            for number in [fixed, mobile] {
                let expected = format!("+{calling}{number}");
                for dialled in [
                    expected.clone(),
                    format!("{national}{number}"),
                    number.to_owned(),
                    format!("{abroad}{calling}{number}"),
                ] {
                    let read = Number::parse(&dialled, Some(country)).unwrap();
                    assert_eq!(read.as_str(), expected, "{id}: {dialled}");
                }
            }
        }
    }

    #[test]
    fn codes_are_sorted_and_told() {
        assert!(COUNTRIES.is_sorted());
        assert_eq!(Country::parse("XX"), None);
        assert!(Country::accepted().contains("DE, DK"));
    }
}
