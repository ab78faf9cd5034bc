//! Cuts a byte stream of unknown length into parts of equal size. Pure; S3's limits live here.

use bytes::{Bytes, BytesMut};

/// S3 takes at most this many parts: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
pub const MAX_PARTS: usize = 10_000;

/// Collects chunks and gives them back as parts, all full but the last.
#[derive(Debug)]
pub struct PartBuffer {
    part_size: usize,
    filling: BytesMut,
}

impl PartBuffer {
    /// A buffer for parts of `part_size` bytes, at least 1.
    pub fn new(part_size: usize) -> Self {
        Self {
            part_size: part_size.max(1),
            filling: BytesMut::new(),
        }
    }

    /// Takes from `chunk` what fits and gives a part once it is full; call again until `chunk` is empty.
    pub fn take_from(&mut self, chunk: &mut Bytes) -> Option<Bytes> {
        if self.filling.capacity() == 0 && !chunk.is_empty() {
            // One allocation for the whole part, so that it is never copied while it grows.
            self.filling.reserve(self.part_size);
        }
        let fits = chunk.len().min(self.part_size - self.filling.len());
        self.filling.extend_from_slice(&chunk.split_to(fits));
        (self.filling.len() == self.part_size).then(|| std::mem::take(&mut self.filling).freeze())
    }

    /// What is left when the stream has ended: less than a part, possibly nothing.
    pub fn finish(self) -> Bytes {
        self.filling.freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_parts_as_cutting_the_whole(
            part_size in 1_usize..50,
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 0..20),
        ) {
            let whole = chunks.concat();
            let mut buffer = PartBuffer::new(part_size);
            let mut parts = Vec::new();
            for chunk in chunks {
                let mut chunk = Bytes::from(chunk);
                while !chunk.is_empty() {
                    parts.extend(buffer.take_from(&mut chunk));
                }
            }
            let rest = buffer.finish();
            prop_assert!(rest.len() < part_size);
            if !rest.is_empty() {
                parts.push(rest);
            }
            let naive: Vec<_> = whole.chunks(part_size).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(parts.iter().map(|part| part.to_vec()).collect::<Vec<_>>(), naive);
        }
    }
}
