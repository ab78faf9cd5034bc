//! The requests that write one object. Each is sent once for each try of the SDK; what follows is the caller's
//! business.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::parts::{Part, SentPart, SentParts};
use super::{ObjectFacts, Storage, crc_base64, tags};
use crate::domain::digest::Digest;
use crate::domain::recording::StoreAnswer;
use crate::error::Error;

/// An object that is about to be written.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) storage: Storage,
    pub(super) facts: ObjectFacts,
}

/// The answer to the request that makes an object visible.
#[derive(Debug, PartialEq, Eq)]
pub enum Published {
    /// The object is there, and this is what S3 says of it.
    Visible(StoreAnswer),
    /// Another object lies under the key already; this one was not stored.
    Occupied,
}

impl Object {
    /// Opens a multipart upload. Returns its id.
    pub(super) async fn create(&self) -> Result<String, Error> {
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
            .set_metadata(Some(facts.metadata(None)))
            .tagging(format!("compliance={}", facts.kind.tag()))
            .set_server_side_encryption(config.encryption())
            .set_ssekms_key_id(config.kms_key_id.clone())
            .set_storage_class(config.class(facts.kind))
            .set_object_lock_mode(config.lock_mode())
            .set_object_lock_retain_until_date(config.retain_until(facts))
            .send()
            .await
            .map_err(|error| config.failed("beginning a multipart upload", error))?;
        answer
            .upload_id
            .ok_or_else(|| Error::transient("S3 began a multipart upload without an id"))
    }

    /// Sends one part. Returns its bytes as well, whose memory can be used again.
    pub(super) async fn send_part(
        &self,
        id: &str,
        number: i32,
        part: Part,
    ) -> Result<(SentPart, Bytes), Error> {
        let Part { bytes, crc64nvme } = part;
        let config = &self.storage.config;
        let answer = self
            .storage
            .client
            .upload_part()
            .bucket(&config.bucket)
            .set_expected_bucket_owner(config.bucket_owner.clone())
            .key(&self.facts.key)
            .upload_id(id)
            .part_number(number)
            .checksum_crc64_nvme(crc_base64(crc64nvme))
            .body(ByteStream::from(bytes.clone()))
            .customize()
            // The checksum proves the bytes; hashing them once more for the signature would only burn CPU.
            .disable_payload_signing()
            .send()
            .await
            .map_err(|error| config.failed(&format!("sending part {number}"), error))?;
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

    /// Ends a multipart upload and frees its parts. An upload that does not exist any more is no error.
    pub(super) async fn abort(&self, id: &str) -> Result<(), Error> {
        let Storage { client, config, .. } = &self.storage;
        let abort = client
            .abort_multipart_upload()
            .bucket(&config.bucket)
            .set_expected_bucket_owner(config.bucket_owner.clone())
            .key(&self.facts.key)
            .upload_id(id);
        match abort.send().await {
            Err(error) if error.code() != Some("NoSuchUpload") => {
                Err(config.failed("aborting a multipart upload", error))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Stores a file that is no longer than one part.
    pub(super) async fn put(&self, bytes: Bytes, digest: &Digest) -> Result<Published, Error> {
        let (config, facts) = (&self.storage.config, &self.facts);
        let tags = tags(facts.kind, &digest.hex()).map(|(key, value)| format!("{key}={value}"));
        let put = self
            .storage
            .client
            .put_object()
            .bucket(&config.bucket)
            .set_expected_bucket_owner(config.bucket_owner.clone())
            .key(&facts.key)
            .if_none_match("*")
            .content_type(&facts.content_type)
            // Besides the checksum itself, as S3 documents its header for objects that are locked:
            // https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .checksum_sha256(BASE64.encode(digest.sha256))
            .set_metadata(Some(facts.metadata(Some(digest))))
            .tagging(tags.join("&"))
            .set_server_side_encryption(config.encryption())
            .set_ssekms_key_id(config.kms_key_id.clone())
            .set_storage_class(config.class(facts.kind))
            .set_object_lock_mode(config.lock_mode())
            .set_object_lock_retain_until_date(config.retain_until(facts))
            .body(ByteStream::from(bytes))
            .customize()
            .disable_payload_signing()
            .send()
            .await;
        let put = put.map(|put| StoreAnswer {
            version_id: put.version_id,
            encryption: put.server_side_encryption.map(|kind| kind.as_str().to_owned()),
            kms_key_id: put.ssekms_key_id,
        });
        self.published("storing", put)
    }

    /// Completes a multipart upload.
    pub(super) async fn complete(
        &self,
        id: &str,
        parts: &SentParts,
        crc64nvme: Option<String>,
        size: u64,
    ) -> Result<Published, Error> {
        let config = &self.storage.config;
        let parts = parts.in_order().into_iter().map(|part| {
            CompletedPart::builder()
                .part_number(part.number)
                .e_tag(&part.e_tag)
                .checksum_crc64_nvme(crc_base64(part.crc64nvme))
                .build()
        });
        let upload = CompletedMultipartUpload::builder().set_parts(Some(parts.collect()));
        let completed = self
            .storage
            .client
            .complete_multipart_upload()
            .bucket(&config.bucket)
            .set_expected_bucket_owner(config.bucket_owner.clone())
            .key(&self.facts.key)
            .upload_id(id)
            .if_none_match("*")
            .set_checksum_crc64_nvme(crc64nvme)
            .checksum_type(ChecksumType::FullObject)
            .mpu_object_size(i64::try_from(size).unwrap_or(i64::MAX))
            .multipart_upload(upload.build())
            .send()
            .await;
        let completed = completed.map(|completed| StoreAnswer {
            version_id: completed.version_id,
            encryption: completed
                .server_side_encryption
                .map(|kind| kind.as_str().to_owned()),
            kms_key_id: completed.ssekms_key_id,
        });
        self.published("completing the upload of", completed)
    }

    fn published<E>(&self, doing: &str, answer: Result<StoreAnswer, SdkError<E>>) -> Result<Published, Error>
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        match answer {
            Ok(answer) => Ok(Published::Visible(answer)),
            Err(error) if error.code() == Some("PreconditionFailed") => Ok(Published::Occupied),
            Err(error) => {
                let doing = format!("{doing} {}", self.facts.key);
                Err(self.storage.config.failed(&doing, error))
            }
        }
    }
}
