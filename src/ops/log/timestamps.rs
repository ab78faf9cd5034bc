//! Time-stamps of RFC 3161, as far as this program reads them: which hash one is of.
//!
//! The authority's signature is not checked here: whose certificate is trusted is for whoever relies on it to say.
//! docs/evidence.md has the command.

/// OID of CMS signed data. <https://www.rfc-editor.org/rfc/rfc5652#section-5>
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// OID of the content of a time-stamp. <https://www.rfc-editor.org/rfc/rfc3161#section-2.4.2>
const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
/// OID of SHA-256.
const SHA_256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// The first of the fields that have a tag of their own.
const EXPLICIT_0: u8 = 0xa0;

/// Elements of DER that stand side by side.
#[derive(Debug, Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Takes the next element, which has to have this tag. Returns its content.
    fn take(&mut self, tag: u8) -> Option<Der<'a>> {
        let (found, rest) = self.0.split_first()?;
        let (length, rest) = rest.split_first()?;
        let (length, rest) = match length.checked_sub(0x80) {
            None => (usize::from(*length), rest),
            Some(bytes @ 1..=4) => {
                let (length, rest) = rest.split_at_checked(bytes.into())?;
                let add = |length: usize, byte: &u8| length << 8 | usize::from(*byte);
                (length.iter().fold(0, add), rest)
            }
            Some(_) => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (*found == tag).then_some(Der(content))
    }

    /// Takes the next element, which has to be this OID.
    fn take_oid(&mut self, oid: &[u8]) -> Option<()> {
        (self.take(OID)?.0 == oid).then_some(())
    }
}

/// Returns the SHA-256 that an authority's answer is a time-stamp of; `None` where it grants none, or one of another
/// hash.
pub(super) fn stamped(answer: &[u8]) -> Option<&[u8]> {
    let mut answer = Der(answer).take(SEQUENCE)?;
    let granted = answer.take(SEQUENCE)?.take(INTEGER)?;
    if !matches!(granted.0, [0 | 1]) {
        return None;
    }
    let mut token = answer.take(SEQUENCE)?;
    token.take_oid(SIGNED_DATA)?;
    let mut signed = token.take(EXPLICIT_0)?.take(SEQUENCE)?;
    signed.take(INTEGER)?;
    signed.take(SET)?;
    let mut content = signed.take(SEQUENCE)?;
    content.take_oid(TST_INFO)?;
    let mut info = content.take(EXPLICIT_0)?.take(OCTET_STRING)?.take(SEQUENCE)?;
    info.take(INTEGER)?;
    info.take(OID)?;
    let mut imprint = info.take(SEQUENCE)?;
    imprint.take(SEQUENCE)?.take_oid(SHA_256)?;
    Some(imprint.take(OCTET_STRING)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], content].concat()
    }

    /// Returns an answer of this status, over a hash of the algorithm `of`.
    fn answer(status: u8, of: &[u8], hash: &[u8]) -> Vec<u8> {
        let join = |parts: &[Vec<u8>]| parts.concat();
        let algorithm = element(SEQUENCE, &element(OID, of));
        let imprint = element(SEQUENCE, &join(&[algorithm, element(OCTET_STRING, hash)]));
        let info = join(&[element(INTEGER, &[1]), element(OID, &[0x2a, 0x03]), imprint]);
        let info = element(OCTET_STRING, &element(SEQUENCE, &info));
        let content = join(&[element(OID, TST_INFO), element(EXPLICIT_0, &info)]);
        let signed = join(&[
            element(INTEGER, &[3]),
            element(SET, &[]),
            element(SEQUENCE, &content),
        ]);
        let signed = element(EXPLICIT_0, &element(SEQUENCE, &signed));
        let token = element(SEQUENCE, &join(&[element(OID, SIGNED_DATA), signed]));
        let status = element(SEQUENCE, &element(INTEGER, &[status]));
        element(SEQUENCE, &join(&[status, token]))
    }

    #[test]
    fn a_time_stamp_names_its_hash_and_anything_else_none() {
        let hash = [7; 32];
        let granted = answer(0, SHA_256, &hash);
        assert_eq!(stamped(&granted), Some(&hash[..]));
        assert_eq!(stamped(&answer(1, SHA_256, &hash)), Some(&hash[..]));
        assert_eq!(stamped(&answer(2, SHA_256, &hash)), None, "rejected");
        assert_eq!(
            stamped(&answer(0, &SHA_256[1..], &hash)),
            None,
            "another algorithm"
        );
        for end in 0..granted.len() {
            assert_eq!(stamped(&granted[..end]), None, "cut off at {end}");
        }
        assert_eq!(stamped(&[0x30, 0xff, 0, 0]), None);
    }
}
