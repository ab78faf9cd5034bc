//! Cuts a byte stream of unknown length into parts of equal size, and keeps account of those that S3 took. Pure; S3's
//! limits live here.

use bytes::{Bytes, BytesMut};

use super::checksum;
use crate::error::{Error, ErrorKind};

/// S3 takes at most this many parts: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
pub(super) const MAX_PARTS: usize = 10_000;

/// A part, and the checksum that S3 is to check it by.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    /// The part's bytes.
    pub(super) bytes: Bytes,
    /// CRC64NVME of them.
    pub(super) crc64nvme: u64,
}

/// Collects chunks and gives them back as parts, all full but the last.
///
/// The checksum is taken of what comes in, not of the copy that is sent: S3 then refuses a byte that changed in
/// between.
#[derive(Debug)]
pub(super) struct PartBuffer {
    part_size: usize,
    filling: BytesMut,
    crc64nvme: crc_fast::Digest,
}

impl PartBuffer {
    /// Makes a buffer for parts of `part_size` bytes, at least 1.
    pub(super) fn new(part_size: usize) -> Self {
        Self {
            part_size: part_size.max(1),
            filling: BytesMut::new(),
            crc64nvme: checksum::running(),
        }
    }

    /// Takes from `chunk` what fits and gives a part once it is full; call again until `chunk` is empty.
    pub(super) fn take_from(&mut self, chunk: &mut Bytes) -> Option<Part> {
        if self.filling.capacity() == 0 && !chunk.is_empty() {
            // One allocation for the whole part, so that it is never copied while it grows.
            self.filling.reserve(self.part_size);
        }
        let fits = chunk.len().min(self.part_size - self.filling.len());
        let bytes = chunk.split_to(fits);
        self.crc64nvme.update(&bytes);
        self.filling.extend_from_slice(&bytes);
        (self.filling.len() == self.part_size).then(|| self.part())
    }

    /// Takes the memory of a part that was sent for the next one: new memory has to be zeroed, page by page, by the
    /// operating system. Does nothing where the memory is still being read.
    pub(super) fn reuse(&mut self, sent: Bytes) {
        if self.filling.capacity() == 0
            && let Ok(mut memory) = sent.try_into_mut()
        {
            memory.clear();
            self.filling = memory;
        }
    }

    /// Returns the rest when the stream has ended: less than a part, possibly nothing.
    pub(super) fn rest(&mut self) -> Part {
        self.part()
    }

    fn part(&mut self) -> Part {
        Part {
            bytes: std::mem::take(&mut self.filling).freeze(),
            crc64nvme: self.crc64nvme.finalize_reset(),
        }
    }
}

/// A part that S3 took.
#[derive(Debug)]
pub(super) struct SentPart {
    /// From 1.
    pub(super) number: i32,
    /// S3's name for it.
    pub(super) e_tag: String,
    /// CRC64NVME of its bytes.
    pub(super) crc64nvme: u64,
    /// Its length in bytes.
    pub(super) size: u64,
}

/// The parts of one multipart upload, in the order in which S3 took them.
#[derive(Debug, Default)]
pub(super) struct SentParts {
    sent: Vec<SentPart>,
    begun: usize,
}

impl SentParts {
    /// Counts a part that is about to be sent. Returns its number.
    pub(super) fn begin(&mut self) -> i32 {
        self.begun += 1;
        i32::try_from(self.begun).unwrap_or(i32::MAX)
    }

    /// Returns how many parts were begun.
    pub(super) fn begun(&self) -> usize {
        self.begun
    }

    /// Adds a part that S3 took.
    pub(super) fn add(&mut self, part: SentPart) {
        self.sent.push(part);
    }

    /// Returns the parts in the order of their numbers.
    pub(super) fn in_order(&self) -> Vec<&SentPart> {
        let mut parts: Vec<_> = self.sent.iter().collect();
        parts.sort_by_key(|part| part.number);
        parts
    }

    /// Returns the CRC64NVME of the whole object, put together from those of the parts: cheaper than another pass over
    /// the bytes.
    pub(super) fn crc64nvme(&self) -> u64 {
        self.in_order().into_iter().fold(checksum::EMPTY, |crc, part| {
            checksum::append(crc, part.crc64nvme, part.size)
        })
    }

    /// Checks, before the object becomes visible, that every part is there once and that they add up to `size` bytes.
    pub(super) fn review(&self, size: u64) -> Result<(), Error> {
        let in_order = self
            .in_order()
            .iter()
            .enumerate()
            .all(|(at, part)| usize::try_from(part.number) == Ok(at + 1));
        let sent: u64 = self.sent.iter().map(|part| part.size).sum();
        if in_order && self.sent.len() == self.begun && sent == size {
            return Ok(());
        }
        let (parts, begun) = (self.sent.len(), self.begun);
        let message = format!("{parts} of {begun} parts with {sent} of {size} bytes were sent");
        Err(Error::new(ErrorKind::Defect, message))
    }
}

#[cfg(test)]
mod tests {
    use crc_fast::CrcAlgorithm::Crc64Nvme;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_parts_as_cutting_the_whole(
            part_size in 1_usize..50,
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 0..20),
            reused in any::<bool>(),
        ) {
            let whole = chunks.concat();
            let mut buffer = PartBuffer::new(part_size);
            let mut parts = Vec::new();
            for chunk in chunks {
                let mut chunk = Bytes::from(chunk);
                while !chunk.is_empty() {
                    if let Some(part) = buffer.take_from(&mut chunk) {
                        parts.push((part.bytes.to_vec(), part.crc64nvme));
                        if reused {
                            buffer.reuse(part.bytes);
                        }
                    }
                }
            }
            let rest = buffer.rest();
            prop_assert!(rest.bytes.len() < part_size);
            if !rest.bytes.is_empty() {
                parts.push((rest.bytes.to_vec(), rest.crc64nvme));
            }
            let checksum = |part: &[u8]| crc_fast::checksum(Crc64Nvme, part);
            let naive: Vec<_> = whole.chunks(part_size).map(|part| (part.to_vec(), checksum(part))).collect();
            prop_assert_eq!(parts, naive);
        }
    }

    #[test]
    fn the_memory_of_a_part_is_used_again_once_nobody_reads_it() {
        let mut buffer = PartBuffer::new(4);
        let mut parts = |text: &'static str, used: Option<Bytes>| {
            if let Some(used) = used {
                buffer.reuse(used);
            }
            buffer
                .take_from(&mut Bytes::from_static(text.as_bytes()))
                .unwrap()
                .bytes
        };
        let first = parts("aaaa", None);
        let (memory, reader) = (first.as_ptr(), first.clone());
        let second = parts("bbbb", Some(first));
        assert_eq!(reader, "aaaa", "whoever still reads it is not disturbed");
        assert_ne!(second.as_ptr(), memory);
        assert_eq!(parts("cccc", Some(reader)).as_ptr(), memory);
    }

    #[test]
    fn the_checksum_of_the_parts_is_that_of_the_whole() {
        let whole: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let part = |number: i32, bytes: &[u8]| SentPart {
            number,
            e_tag: String::new(),
            crc64nvme: crc_fast::checksum(Crc64Nvme, bytes),
            size: bytes.len() as u64,
        };
        let parts = SentParts {
            sent: vec![part(2, &whole[150_000..]), part(1, &whole[..150_000])],
            begun: 2,
        };
        assert_eq!(parts.crc64nvme(), crc_fast::checksum(Crc64Nvme, &whole));
    }

    #[test]
    fn a_missing_part_is_noticed_before_completion() {
        let part = |number: i32| SentPart {
            number,
            e_tag: String::new(),
            crc64nvme: 0,
            size: 5,
        };
        let parts = |sent: Vec<SentPart>| SentParts { sent, begun: 2 };
        assert!(parts(vec![part(1), part(2)]).review(10).is_ok());
        let error = parts(vec![part(1)]).review(5).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Defect, "nothing panicked");
        assert!(parts(vec![part(1), part(1)]).review(10).is_err());
        assert!(parts(vec![part(1), part(2)]).review(11).is_err());
    }
}
