//! Checksums: which one a request declares, and what the bytes really are.
//!
//! Rules: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::ChecksumAlgorithm;
use s3s::{S3Request, S3Result, TrailingHeaders, s3_error};
use serde::{Deserialize, Serialize};

/// The checksum algorithms of S3 that the SDK computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

/// Base64 values by algorithm.
pub(super) type Checksums = BTreeMap<Algorithm, String>;

impl Algorithm {
    const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => ChecksumAlgorithm::CRC32,
            Self::Crc32c => ChecksumAlgorithm::CRC32C,
            Self::Crc64Nvme => ChecksumAlgorithm::CRC64NVME,
            Self::Sha1 => ChecksumAlgorithm::SHA1,
            Self::Sha256 => ChecksumAlgorithm::SHA256,
        }
    }

    fn header(self) -> String {
        format!("x-amz-checksum-{}", self.name().to_lowercase())
    }

    pub(super) fn parse(name: &str) -> S3Result<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| s3_error!(InvalidRequest, "Checksum algorithm {name} is not supported."))
    }
}

/// The checksums that a request declares of the bytes it carries.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) algorithm: Option<Algorithm>,
    value: Option<String>,
    trailers: Option<TrailingHeaders>,
    md5: Option<String>,
}

impl Declared {
    /// Reads the checksum headers and the announcement of a trailer.
    pub(super) fn of<T>(request: &S3Request<T>) -> S3Result<Self> {
        let header = |name: &str| Some(request.headers.get(name)?.to_str().ok()?.to_owned());
        let mut found: Vec<_> = Algorithm::ALL
            .into_iter()
            .filter_map(|algorithm| Some((algorithm, Some(header(&algorithm.header())?))))
            .collect();
        if let Some(trailer) = header("x-amz-trailer") {
            let trailing = |algorithm: &Algorithm| algorithm.header() == trailer;
            found.extend(Algorithm::ALL.into_iter().filter(trailing).map(|a| (a, None)));
        }
        if found.len() > 1 {
            return Err(s3_error!(
                InvalidRequest,
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
            ));
        }
        let (algorithm, value) = found.pop().map_or((None, None), |(a, v)| (Some(a), v));
        if header("x-amz-sdk-checksum-algorithm").is_some() && algorithm.is_none() {
            return Err(s3_error!(
                InvalidRequest,
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found."
            ));
        }
        Ok(Self {
            algorithm,
            value,
            trailers: request.trailing_headers.clone(),
            md5: header("content-md5"),
        })
    }

    /// Returns whether S3 can tell a damaged body from a good one, as objects under a lock require.
    pub(super) fn protects_the_body(&self) -> bool {
        self.algorithm.is_some() || self.md5.is_some()
    }

    /// Compares with what arrived. Call after the end of the body: trailers come last.
    pub(super) fn verify(&self, digest: &Digest) -> S3Result<()> {
        if self
            .md5
            .as_ref()
            .is_some_and(|md5| *md5 != BASE64_STANDARD.encode(digest.md5))
        {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
        let Some(algorithm) = self.algorithm else {
            return Ok(());
        };
        let trailing = || {
            let trailers = self.trailers.as_ref()?;
            trailers.read(|t| Some(t.get(algorithm.header())?.to_str().ok()?.to_owned()))?
        };
        let declared = self.value.clone().or_else(trailing);
        verify(algorithm, declared.as_deref(), &digest.checksums)
    }
}

/// Refuses with `BadDigest` unless `declared` is what was computed.
pub(super) fn verify(algorithm: Algorithm, declared: Option<&str>, actual: &Checksums) -> S3Result<()> {
    if declared == actual.get(&algorithm).map(String::as_str) {
        return Ok(());
    }
    Err(s3_error!(
        BadDigest,
        "The {} you specified did not match the calculated checksum.",
        algorithm.name()
    ))
}

/// The checksums that were computed of the bytes.
#[derive(Debug, Clone)]
pub(super) struct Digest {
    pub(super) size: u64,
    pub(super) md5: [u8; 16],
    pub(super) checksums: Checksums,
}

/// Computes a [`Digest`] as the bytes pass.
pub(super) struct Hashing {
    size: u64,
    md5: Md5,
    checksums: ChecksumHasher,
}

impl Hashing {
    /// Hashes with MD5, for the ETag, and one checksum. S3 adds CRC64NVME where a client asks for none.
    pub(super) fn with(algorithm: Option<Algorithm>) -> Self {
        let mut checksums = ChecksumHasher::default();
        match algorithm.unwrap_or(Algorithm::Crc64Nvme) {
            Algorithm::Crc32 => checksums.crc32 = Some(Crc32::new()),
            Algorithm::Crc32c => checksums.crc32c = Some(Crc32c::new()),
            Algorithm::Crc64Nvme => checksums.crc64nvme = Some(Crc64Nvme::new()),
            Algorithm::Sha1 => checksums.sha1 = Some(Sha1::new()),
            Algorithm::Sha256 => checksums.sha256 = Some(Sha256::new()),
        }
        Self {
            size: 0,
            md5: Md5::new(),
            checksums,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.md5.update(bytes);
        self.checksums.update(bytes);
    }

    pub(super) fn finish(self) -> Digest {
        Digest {
            size: self.size,
            md5: self.md5.finalize(),
            checksums: given_checksums!(self.checksums.finalize()),
        }
    }
}

/// Returns the checksum of checksums that S3 keeps for `COMPOSITE` uploads: `base64(hash(raw parts))-N`.
pub(super) fn composite<'a>(algorithm: Algorithm, parts: impl Iterator<Item = &'a Checksums>) -> Checksums {
    let mut hashing = Hashing::with(Some(algorithm));
    let mut count = 0;
    for part in parts {
        let raw = part
            .get(&algorithm)
            .and_then(|value| BASE64_STANDARD.decode(value).ok());
        hashing.update(&raw.unwrap_or_default());
        count += 1;
    }
    let mut checksums = hashing.finish().checksums;
    checksums
        .values_mut()
        .for_each(|value| *value = format!("{value}-{count}"));
    checksums
}
