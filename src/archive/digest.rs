//! The hashing adapter: counts and hashes whatever streams through, and changes none of it.
//!
//! Two sums of the same bytes: SHA-256 is the evidence, and CRC64NVME is what S3 can check a multipart upload by.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use crc_fast::CrcAlgorithm::Crc64Nvme;
use futures_util::Stream;
use sha2::{Digest as _, Sha256};

/// What passed through a [`Hashed`] stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// SHA-256 of all bytes.
    pub sha256: [u8; 32],
    /// CRC64NVME of all bytes.
    pub crc64nvme: u64,
    /// How many bytes.
    pub size: u64,
}

impl Digest {
    /// The SHA-256 in lower-case hex.
    pub fn hex(&self) -> String {
        hex::encode(self.sha256)
    }
}

/// A stream of bytes that hashes what passes.
#[derive(Debug)]
pub struct Hashed<S> {
    inner: S,
    sha256: Sha256,
    crc64nvme: crc_fast::Digest,
    size: u64,
}

impl<S> Hashed<S> {
    /// Wraps a stream before its first byte.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            sha256: Sha256::new(),
            crc64nvme: crc_fast::Digest::new(Crc64Nvme),
            size: 0,
        }
    }

    /// The digest of all that passed.
    pub fn finish(self) -> Digest {
        Digest {
            sha256: self.sha256.finalize().into(),
            crc64nvme: self.crc64nvme.finalize(),
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
        let next = Pin::new(&mut this.inner).poll_next(cx);
        if let Poll::Ready(Some(Ok(bytes))) = &next {
            this.sha256.update(bytes);
            this.crc64nvme.update(bytes);
            this.size += bytes.len() as u64;
        }
        next
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
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20),
        ) {
            let whole = chunks.concat();
            let stream = futures_util::stream::iter(chunks).map(|c| Ok::<_, std::io::Error>(Bytes::from(c)));
            let mut hashed = Hashed::new(stream);
            let passed = futures_executor(async { (&mut hashed).try_collect::<Vec<_>>().await }).unwrap();
            prop_assert_eq!(&passed.concat(), &whole);
            let digest = hashed.finish();
            prop_assert_eq!(digest.size, whole.len() as u64);
            prop_assert_eq!(digest.hex(), hex::encode(Sha256::digest(&whole)));
            prop_assert_eq!(digest.crc64nvme, crc_fast::checksum(Crc64Nvme, &whole));
        }
    }

    #[test]
    fn crc64nvme_is_the_published_one() {
        // Check value of CRC-64/NVME: https://reveng.sourceforge.io/crc-catalogue/17plus.htm#crc.cat.crc-64-nvme
        assert_eq!(crc_fast::checksum(Crc64Nvme, b"123456789"), 0xae8b_1486_0a79_9888);
    }

    fn futures_executor<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }
}
