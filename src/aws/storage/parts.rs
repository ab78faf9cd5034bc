//! Cuts a byte stream of unknown length into parts of equal size. Pure; S3's limits live here.

use bytes::{Bytes, BytesMut};

use super::checksum;

/// S3 takes at most this many parts: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
pub const MAX_PARTS: usize = 10_000;

/// A part, and the checksum that S3 is to check it by.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// The part's bytes.
    pub bytes: Bytes,
    /// CRC64NVME of them.
    pub crc64nvme: u64,
}

/// Collects chunks and gives them back as parts, all full but the last.
///
/// The checksum is taken of what comes in, not of the copy that is sent: S3 then refuses a byte that changed in between.
#[derive(Debug)]
pub struct PartBuffer {
    part_size: usize,
    filling: BytesMut,
    crc64nvme: crc_fast::Digest,
}

impl PartBuffer {
    /// A buffer for parts of `part_size` bytes, at least 1.
    pub fn new(part_size: usize) -> Self {
        Self {
            part_size: part_size.max(1),
            filling: BytesMut::new(),
            crc64nvme: checksum::running(),
        }
    }

    /// Takes from `chunk` what fits and gives a part once it is full; call again until `chunk` is empty.
    pub fn take_from(&mut self, chunk: &mut Bytes) -> Option<Part> {
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
    /// operating system. Where somebody still reads it, nothing happens.
    pub fn reuse(&mut self, sent: Bytes) {
        if self.filling.capacity() == 0
            && let Ok(mut memory) = sent.try_into_mut()
        {
            memory.clear();
            self.filling = memory;
        }
    }

    /// What is left when the stream has ended: less than a part, possibly nothing.
    pub fn finish(mut self) -> Part {
        self.part()
    }

    fn part(&mut self) -> Part {
        Part {
            bytes: std::mem::take(&mut self.filling).freeze(),
            crc64nvme: self.crc64nvme.finalize_reset(),
        }
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
            let rest = buffer.finish();
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
}
