//! `Range` and `If-Range` of a request: <https://www.rfc-editor.org/rfc/rfc9110#section-14>.

/// What a request wants of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    /// All of it.
    Whole,
    /// The bytes from the first to the last.
    Part(u64, u64),
    /// Bytes that it does not have.
    Beyond,
}

/// Reads what is wanted of a file of this `size` whose entity tag is `tag`. A range that is invalid, one of another
/// unit, several ranges, and one of another file than this (`If-Range`) count as none, as they may.
pub(super) fn span(range: Option<&str>, if_range: Option<&str>, tag: &str, size: u64) -> Span {
    if if_range.is_some_and(|condition| condition != tag) {
        return Span::Whole;
    }
    match range.and_then(read) {
        None => Span::Whole,
        Some((None, last)) => match last.min(size) {
            0 => Span::Beyond,
            length => Span::Part(size - length, size - 1),
        },
        Some((Some(first), _)) if first >= size => Span::Beyond,
        Some((Some(first), last)) => Span::Part(first, last.min(size - 1)),
    }
}

/// Reads `bytes=FIRST-LAST`, `bytes=FIRST-` or, without a first one, `bytes=-LENGTH`.
fn read(range: &str) -> Option<(Option<u64>, u64)> {
    let (unit, range) = range.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // What is beyond every number is beyond every file.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let read = match (first, last) {
        ("", last) => (None, number(last)?),
        (first, "") => (Some(number(first)?), u64::MAX),
        (first, last) => (Some(number(first)?), number(last)?),
    };
    let forward = read.0.is_none_or(|first| first <= read.1);
    (unit.trim().eq_ignore_ascii_case("bytes") && forward).then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"abc\"";

    #[test]
    fn each_form_of_a_range_is_read() {
        for (range, expected) in [
            ("bytes=0-9", Span::Part(0, 9)),
            ("bytes=10-", Span::Part(10, 99)),
            ("bytes=-30", Span::Part(70, 99)),
            ("bytes=-1000", Span::Part(0, 99)),
            ("bytes=90-99999999999999999999999", Span::Part(90, 99)),
            ("Bytes=99-99", Span::Part(99, 99)),
            ("bytes=100-", Span::Beyond),
            ("bytes=99999999999999999999999-", Span::Beyond),
            ("bytes=-0", Span::Beyond),
            ("bytes=9-5", Span::Whole),
            ("bytes=0-1,5-6", Span::Whole),
            ("bytes=-", Span::Whole),
            ("bytes=+1-2", Span::Whole),
            ("bytes 0-9", Span::Whole),
            ("lines=0-9", Span::Whole),
            ("", Span::Whole),
        ] {
            assert_eq!(span(Some(range), None, TAG, 100), expected, "{range}");
        }
        assert_eq!(span(None, None, TAG, 100), Span::Whole);
        assert_eq!(span(Some("bytes=0-"), None, TAG, 0), Span::Beyond);
        assert_eq!(span(Some("bytes=-5"), None, TAG, 0), Span::Beyond);
    }

    #[test]
    fn a_range_of_another_file_is_all_of_this_one() {
        let part = |condition| span(Some("bytes=1-2"), Some(condition), TAG, 100);
        assert_eq!(part(TAG), Span::Part(1, 2));
        for other in ["\"abd\"", "W/\"abc\"", "Thu, 01 Jan 2026 00:00:00 GMT"] {
            assert_eq!(part(other), Span::Whole, "{other}");
        }
    }
}
