//! Lists and maps of an answer with a bound on their entries: each becomes a value many times its length.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Most entries that are read.
const MOST: usize = 1_000;

/// The first words of the error about an answer with more.
pub(super) const TOO_MANY: &str = "more than 1,000 entries";

/// An array or object of JSON with at most 1,000 entries; more are an error, found before they are read.
#[derive(Debug, Default)]
pub(super) struct Bounded<C>(pub(super) C);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bounded<Vec<T>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_seq(Entries::<Vec<T>>(PhantomData))
            .map(Self)
    }
}

/// The fields of an object, in the order in which they stand there.
#[derive(Debug, Default)]
pub(super) struct InOrder<T>(pub(super) Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bounded<InOrder<T>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(Entries::<InOrder<T>>(PhantomData))
            .map(Self)
    }
}

struct Entries<C>(PhantomData<C>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<Vec<T>> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = array.next_element()? {
            if entries.len() == MOST {
                return Err(A::Error::custom(TOO_MANY));
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<InOrder<T>> {
    type Value = InOrder<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = object.next_entry()? {
            if entries.len() == MOST {
                return Err(A::Error::custom(TOO_MANY));
            }
            entries.push(entry);
        }
        Ok(InOrder(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thousandth_entry_is_read_and_the_next_is_not() {
        let list = |count: usize| format!("[{}]", vec!["7"; count].join(","));
        let map = |count: usize| {
            let fields: Vec<_> = (0..count).map(|n| format!("\"{n}\":7")).collect();
            format!("{{{}}}", fields.join(","))
        };
        assert_eq!(
            serde_json::from_str::<Bounded<Vec<u8>>>(&list(MOST))
                .unwrap()
                .0
                .len(),
            MOST
        );
        let fits = serde_json::from_str::<Bounded<InOrder<u8>>>(&map(MOST));
        assert_eq!(fits.unwrap().0.0.len(), MOST);
        let errors = [
            serde_json::from_str::<Bounded<Vec<u8>>>(&list(MOST + 1)).unwrap_err(),
            serde_json::from_str::<Bounded<InOrder<u8>>>(&map(MOST + 1)).unwrap_err(),
        ];
        assert!(
            errors.iter().all(|error| error.to_string().starts_with(TOO_MANY)),
            "{errors:?}"
        );
    }
}
