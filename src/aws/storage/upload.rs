//! One file on its way into the bucket: held back, or sent in parts; made visible, or undone.

use std::num::NonZeroUsize;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use tokio::task::JoinSet;

use super::{ObjectFacts, Storage, tags};
use crate::aws::storage::checksum;
use crate::aws::storage::parts::{MAX_PARTS, Part};
use crate::domain::digest::Digest;
use crate::domain::format::Format;
use crate::domain::recording::ArchivedFile;
use crate::error::{Error, ErrorKind};

/// One file on its way into the bucket. Ends in [`Prepared::publish`] or in [`Upload::abort`].
#[derive(Debug)]
pub struct Upload {
    storage: Storage,
    facts: ObjectFacts,
    /// What is not sent as a part: the whole of a file that turns out to be no longer than one.
    held: Part,
    multipart: Option<Multipart>,
}

/// What ends in neither way, as a panic, a hanging abort or a refused one make it, is counted, not reported: the bucket's
/// lifecycle rule is the net.
impl Drop for Upload {
    fn drop(&mut self) {
        if self.multipart.is_some() {
            self.storage.counters.abort_failures.add_one();
            tracing::warn!(
                key = self.facts.key,
                "a multipart upload is left to the lifecycle rule"
            );
        }
    }
}

#[derive(Debug)]
struct Multipart {
    id: String,
    sending: JoinSet<Result<(SentPart, Bytes), Error>>,
    sent: Vec<SentPart>,
    begun: usize,
}

#[derive(Debug)]
struct SentPart {
    number: i32,
    e_tag: String,
    crc64nvme: u64,
    size: u64,
}

/// All bytes are in S3 or at hand, verified, and none is visible yet.
#[derive(Debug)]
pub struct Prepared {
    upload: Upload,
    digest: Digest,
    /// CRC64NVME of the whole, in base64, if it was sent in parts.
    crc64nvme: Option<String>,
}

impl Upload {
    pub(super) fn new(storage: Storage, facts: ObjectFacts) -> Self {
        Self {
            storage,
            facts,
            held: Part::default(),
            multipart: None,
        }
    }

    /// Takes a full part. The first is held back, as it may be all there is; the others are sent as soon as fewer
    /// than `UPLOAD_CONCURRENCY` are in flight. If one had to end for that, gives back the memory of its bytes.
    pub async fn put_part(&mut self, part: Part) -> Result<Option<Bytes>, Error> {
        if self.multipart.is_none() {
            if self.held.bytes.is_empty() {
                self.held = part;
                return Ok(None);
            }
            let id = self.create().await?;
            self.multipart = Some(Multipart {
                id,
                sending: JoinSet::new(),
                sent: Vec::new(),
                begun: 0,
            });
            let first = std::mem::take(&mut self.held);
            self.send(first).await?;
        }
        self.send(part).await
    }

    /// Takes what is left of the stream and waits until everything is sent, short of making the object visible.
    /// Call [`Upload::abort`] when it fails.
    pub async fn prepare(&mut self, rest: Part) -> Result<(), Error> {
        if !rest.bytes.is_empty() {
            self.put_part(rest).await?;
        }
        match &mut self.multipart {
            Some(multipart) => multipart.wait_for_all().await,
            None => Ok(()),
        }
    }

    /// What was uploaded, once its digest is known to be right.
    pub fn verified(self, digest: Digest) -> Prepared {
        let crc64nvme = self
            .multipart
            .as_ref()
            .map(|multipart| crc_base64(multipart.crc()));
        Prepared {
            upload: self,
            digest,
            crc64nvme,
        }
    }

    async fn send(&mut self, part: Part) -> Result<Option<Bytes>, Error> {
        let Some(multipart) = &mut self.multipart else {
            return Ok(None);
        };
        if multipart.begun == MAX_PARTS {
            let longest = MAX_PARTS * self.storage.config.part_size / (1024 * 1024 * 1024);
            let message = format!("the recording is longer than {longest} GiB; raise UPLOAD_PART_SIZE_MIB");
            return Err(Error::new(ErrorKind::Rejected, message));
        }
        let sent = multipart.wait_for_slot(self.storage.config.concurrency).await?;
        multipart.begun += 1;
        let number = i32::try_from(multipart.begun).unwrap_or(i32::MAX);
        let part = send_part(
            self.storage.clone(),
            self.facts.key.clone(),
            multipart.id.clone(),
            number,
            part,
        );
        multipart.sending.spawn(part);
        Ok(sent)
    }

    /// Undoes the upload.
    pub async fn abort(mut self) {
        let Some(multipart) = &mut self.multipart else {
            return;
        };
        // Parts still in flight would be kept, and paid for, after the abort.
        multipart.sending.shutdown().await;
        let Storage { client, config, .. } = &self.storage;
        let abort = client
            .abort_multipart_upload()
            .bucket(&config.bucket)
            .set_expected_bucket_owner(config.bucket_owner.clone())
            .key(&self.facts.key);
        match abort.upload_id(&multipart.id).send().await {
            Err(error) if error.code() != Some("NoSuchUpload") => {
                let error = config.failed("aborting a multipart upload", error);
                tracing::warn!(key = self.facts.key, %error, "a multipart upload could not be aborted");
            }
            _ => self.multipart = None,
        }
    }

    async fn create(&self) -> Result<String, Error> {
        let (config, facts) = (&self.storage.config, &self.facts);
        let answer = self
            .storage
            .client
            .create_multipart_upload()
            .bucket(&config.bucket)
            .set_expected_bucket_owner(config.bucket_owner.clone())
            .key(&facts.key)
            .content_type(&facts.content_type)
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_type(ChecksumType::FullObject)
            .set_metadata(Some(facts.metadata()))
            .tagging("compliance=archive")
            .set_server_side_encryption(config.encryption())
            .set_ssekms_key_id(config.kms_key_id.clone())
            .set_storage_class(config.class())
            .set_object_lock_mode(config.lock_mode())
            .set_object_lock_retain_until_date(config.retain_until(facts.archived_at))
            .send()
            .await
            .map_err(|error| config.failed("beginning a multipart upload", error))?;
        answer
            .upload_id
            .ok_or_else(|| Error::transient("S3 began a multipart upload without an id"))
    }
}

impl Multipart {
    /// Gives the bytes of the part that ended last, if one had to.
    async fn wait_for_slot(&mut self, concurrency: NonZeroUsize) -> Result<Option<Bytes>, Error> {
        let mut sent = None;
        while self.sending.len() >= concurrency.get() {
            sent = self.wait_for_one().await?;
        }
        Ok(sent)
    }

    async fn wait_for_all(&mut self) -> Result<(), Error> {
        while !self.sending.is_empty() {
            self.wait_for_one().await?;
        }
        Ok(())
    }

    async fn wait_for_one(&mut self) -> Result<Option<Bytes>, Error> {
        match self.sending.join_next().await {
            None => Ok(None),
            Some(Ok(sent)) => {
                let (part, bytes) = sent?;
                self.sent.push(part);
                Ok(Some(bytes))
            }
            Some(Err(panic)) => Err(Error::new(ErrorKind::Panic, "sending a part panicked").caused_by(panic)),
        }
    }
}

async fn send_part(
    storage: Storage,
    key: String,
    id: String,
    number: i32,
    part: Part,
) -> Result<(SentPart, Bytes), Error> {
    let Part { bytes, crc64nvme } = part;
    let answer = storage
        .client
        .upload_part()
        .bucket(&storage.config.bucket)
        .set_expected_bucket_owner(storage.config.bucket_owner.clone())
        .key(&key)
        .upload_id(id)
        .part_number(number)
        .checksum_crc64_nvme(crc_base64(crc64nvme))
        .body(ByteStream::from(bytes.clone()))
        .customize()
        // The checksum proves the bytes; hashing them once more for the signature would only burn CPU.
        .disable_payload_signing()
        .send()
        .await
        .map_err(|error| storage.config.failed(&format!("sending part {number}"), error))?;
    let e_tag = answer
        .e_tag
        .ok_or_else(|| Error::transient(format!("S3 took part {number} without an ETag")))?;
    let sent = SentPart {
        number,
        e_tag,
        crc64nvme,
        size: bytes.len() as u64,
    };
    Ok((sent, bytes))
}

/// S3 wants CRC64NVME as its 8 bytes, most significant first, in base64.
fn crc_base64(crc: u64) -> String {
    BASE64.encode(crc.to_be_bytes())
}

/// How making an object visible ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Published {
    /// It is there.
    Visible,
    /// An object lies under the key already; this one was not stored.
    Occupied,
}

impl Prepared {
    /// The file as it will be.
    pub fn file(&self, channel: Option<u32>, format: Format) -> ArchivedFile {
        ArchivedFile {
            archive_key: self.upload.storage.archive_key(&self.upload.facts.key),
            sha256: self.digest.hex(),
            size_bytes: self.digest.size,
            format: format.as_str().to_owned(),
            attempt_id: self.upload.facts.attempt,
            channel,
            part: None,
            part_name: None,
            format_found: None,
            crc64nvme: self.crc64nvme.clone(),
            media_host: Some(self.upload.facts.media_host.clone()).filter(|host| !host.is_empty()),
        }
    }

    /// Undoes the upload.
    pub async fn abort(self) {
        self.upload.abort().await;
    }

    /// Makes the object visible. On an error nothing is known: look with [`Storage::holds`] before trying anything else.
    pub async fn publish(&mut self) -> Result<Published, Error> {
        let published = match &self.upload.multipart {
            Some(multipart) => self.complete(multipart).await,
            None => self.put(self.upload.held.bytes.clone()).await,
        };
        match published {
            Ok(()) => {
                self.upload.multipart = None;
                Ok(Published::Visible)
            }
            Err((Some(code), _)) if code == "PreconditionFailed" => Ok(Published::Occupied),
            Err((_, error)) => Err(error),
        }
    }

    async fn put(&self, bytes: Bytes) -> Result<(), (Option<String>, Error)> {
        let (config, facts) = (&self.upload.storage.config, &self.upload.facts);
        let mut metadata = facts.metadata();
        metadata.insert("sha256".to_owned(), self.digest.hex());
        metadata.insert("size-bytes".to_owned(), self.digest.size.to_string());
        let put = self
            .upload
            .storage
            .client
            .put_object()
            .bucket(&config.bucket)
            .set_expected_bucket_owner(config.bucket_owner.clone())
            .key(&facts.key)
            .if_none_match("*")
            .content_type(&facts.content_type)
            .checksum_sha256(BASE64.encode(self.digest.sha256))
            .set_metadata(Some(metadata))
            .tagging(
                tags(&self.digest.hex())
                    .map(|(key, value)| format!("{key}={value}"))
                    .join("&"),
            )
            .set_server_side_encryption(config.encryption())
            .set_ssekms_key_id(config.kms_key_id.clone())
            .set_storage_class(config.class())
            .set_object_lock_mode(config.lock_mode())
            .set_object_lock_retain_until_date(config.retain_until(facts.archived_at))
            .body(ByteStream::from(bytes))
            .customize()
            .disable_payload_signing()
            .send()
            .await;
        put.map(drop).map_err(|error| {
            (
                error.code().map(str::to_owned),
                config.failed(&format!("storing {}", facts.key), error),
            )
        })
    }

    async fn complete(&self, multipart: &Multipart) -> Result<(), (Option<String>, Error)> {
        let (config, facts) = (&self.upload.storage.config, &self.upload.facts);
        if let Err(error) = multipart.review(self.digest.size) {
            return Err((None, error));
        }
        let parts = multipart.in_order().into_iter().map(|part| {
            CompletedPart::builder()
                .part_number(part.number)
                .e_tag(&part.e_tag)
                .checksum_crc64_nvme(crc_base64(part.crc64nvme))
                .build()
        });
        let complete = self
            .upload
            .storage
            .client
            .complete_multipart_upload()
            .bucket(&config.bucket)
            .set_expected_bucket_owner(config.bucket_owner.clone())
            .key(&facts.key)
            .upload_id(&multipart.id)
            .if_none_match("*")
            .set_checksum_crc64_nvme(self.crc64nvme.clone())
            .checksum_type(ChecksumType::FullObject)
            .mpu_object_size(i64::try_from(self.digest.size).unwrap_or(i64::MAX))
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts.collect()))
                    .build(),
            )
            .send()
            .await;
        complete.map(drop).map_err(|error| {
            (
                error.code().map(str::to_owned),
                config.failed(&format!("completing the upload of {}", facts.key), error),
            )
        })
    }
}

impl Multipart {
    fn in_order(&self) -> Vec<&SentPart> {
        let mut parts: Vec<_> = self.sent.iter().collect();
        parts.sort_by_key(|part| part.number);
        parts
    }

    /// CRC64NVME of the whole object, put together from those of the parts: cheaper than another pass over the bytes.
    fn crc(&self) -> u64 {
        self.in_order().into_iter().fold(checksum::EMPTY, |crc, part| {
            checksum::append(crc, part.crc64nvme, part.size)
        })
    }

    /// The last look before the object becomes visible: every part is there once, and together they are all bytes.
    fn review(&self, size: u64) -> Result<(), Error> {
        let in_order = self
            .in_order()
            .iter()
            .enumerate()
            .all(|(at, part)| usize::try_from(part.number) == Ok(at + 1));
        let sent: u64 = self.sent.iter().map(|part| part.size).sum();
        if in_order && self.sent.len() == self.begun && sent == size {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Defect,
            format!(
                "{} of {} parts with {sent} of {size} bytes were sent",
                self.sent.len(),
                self.begun
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use crc_fast::CrcAlgorithm::Crc64Nvme;

    use super::*;

    #[test]
    fn the_checksum_of_the_parts_is_that_of_the_whole() {
        let whole: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let part = |number: i32, bytes: &[u8]| SentPart {
            number,
            e_tag: String::new(),
            crc64nvme: crc_fast::checksum(Crc64Nvme, bytes),
            size: bytes.len() as u64,
        };
        let multipart = Multipart {
            id: String::new(),
            sending: JoinSet::new(),
            sent: vec![part(2, &whole[150_000..]), part(1, &whole[..150_000])],
            begun: 2,
        };
        assert_eq!(multipart.crc(), crc_fast::checksum(Crc64Nvme, &whole));
    }

    #[test]
    fn a_missing_part_is_noticed_before_completion() {
        let part = |number: i32| SentPart {
            number,
            e_tag: String::new(),
            crc64nvme: 0,
            size: 5,
        };
        let upload = |sent: Vec<SentPart>| Multipart {
            id: String::new(),
            sending: JoinSet::new(),
            sent,
            begun: 2,
        };
        assert!(upload(vec![part(1), part(2)]).review(10).is_ok());
        assert!(upload(vec![part(1)]).review(5).is_err());
        assert!(upload(vec![part(1), part(1)]).review(10).is_err());
        assert!(upload(vec![part(1), part(2)]).review(11).is_err());
    }
}
