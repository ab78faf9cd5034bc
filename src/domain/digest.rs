//! The hashing adapter: counts and hashes the bytes that stream through it, and changes none.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use sha2::{Digest as _, Sha256};

/// Half of what the first-level cache of today's servers holds.
const BLOCK: usize = 16 * 1024;

/// The digest of the bytes that passed through a [`Hashed`] stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// SHA-256 of all bytes.
    pub sha256: [u8; 32],
    /// Number of bytes.
    pub size: u64,
}

impl Digest {
    /// Returns the digest of bytes that are in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            sha256: Sha256::digest(bytes).into(),
            size: bytes.len() as u64,
        }
    }

    /// Returns the SHA-256 in lower-case hex.
    pub fn hex(&self) -> String {
        hex::encode(self.sha256)
    }
}

/// A stream that hashes the bytes which pass through it. It gives them in blocks that the next reader finds in the
/// processor's cache, as a chunk from the network can be larger than that.
#[derive(Debug)]
pub struct Hashed<S> {
    inner: S,
    /// The rest of the current chunk, not hashed yet.
    chunk: Bytes,
    sha256: Sha256,
    size: u64,
}

impl<S> Hashed<S> {
    /// Wraps a stream before its first byte.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            chunk: Bytes::new(),
            sha256: Sha256::new(),
            size: 0,
        }
    }

    /// Returns the digest of all bytes that passed.
    pub fn finish(self) -> Digest {
        Digest {
            sha256: self.sha256.finalize().into(),
            size: self.size,
        }
    }
}

impl<S, E> Stream for Hashed<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    type Item = Result<Bytes, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.chunk.is_empty() {
            match Pin::new(&mut this.inner).poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => this.chunk = chunk,
                other => return other,
            }
        }
        let block = this.chunk.split_to(this.chunk.len().min(BLOCK));
        this.sha256.update(&block);
        this.size += block.len() as u64;
        Poll::Ready(Some(Ok(block)))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, TryStreamExt as _};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_chunking_gives_the_digest_of_the_whole_and_leaves_the_bytes_alone(
            chunks in proptest::collection::vec((any::<u8>(), 0..3 * BLOCK), 0..9),
        ) {
            let chunks: Vec<Vec<u8>> = chunks
                .into_iter()
                .map(|(first, length)| (0..length).map(|at| first.wrapping_add(at as u8)).collect())
                .collect();
            let whole = chunks.concat();
            let stream = futures_util::stream::iter(chunks).map(|c| Ok::<_, std::io::Error>(Bytes::from(c)));
            let mut hashed = Hashed::new(stream);
            let passed = futures_executor(async { (&mut hashed).try_collect::<Vec<_>>().await }).unwrap();
            prop_assert!(passed.iter().all(|block| block.len() <= BLOCK));
            prop_assert_eq!(&passed.concat(), &whole);
            let digest = hashed.finish();
            prop_assert_eq!(digest.size, whole.len() as u64);
            prop_assert_eq!(digest.hex(), hex::encode(Sha256::digest(&whole)));
        }
    }

    fn futures_executor<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }
}
