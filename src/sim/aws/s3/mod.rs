//! S3 over plain files, strict where the real service is strict.
//!
//! The protocol (routing, signatures, XML) comes from `s3s`. Its companion `s3s-fs` is not used: it
//! deletes an upload before checking its parts, decides `If-None-Match` outside of any lock, forgets
//! tags and the checksums of multipart uploads, and keeps its own files among the buckets. Those are
//! the very guarantees the archiver leans on, so the operations it needs are here, and no others.
//!
//! Not simulated: reading older versions, default retention, ACLs, policies beyond the refusal of overwrites by
//! `PutObject`, `If-Match`, paging of `ListMultipartUploads` and `ListObjectVersions`.

#[macro_use]
mod macros;
#[macro_use]
mod attributes;
mod checksum;
pub(super) mod cold;
mod completion;
mod disk;
mod listing;
mod locks;
mod objects;
mod paths;
mod policy;
mod uploads;
mod versions;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use attributes::{Attributes, checked_tags, object_encoding, parse_tags};
use checksum::Declared;
use completion::Completion;
use disk::Disk;
use objects::only_if_absent;
use policy::Policies;
use uploads::Uploads;

/// The state of the simulated S3; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Store {
    disk: Arc<Disk>,
    uploads: Arc<Uploads>,
    policies: Arc<Policies>,
}

impl Store {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            disk: Arc::new(Disk::open(folder)?),
            uploads: Arc::default(),
            policies: Arc::default(),
        })
    }

    pub(super) fn service(&self, access_key: &str, secret_key: &str) -> S3Service {
        let mut builder = S3ServiceBuilder::new(self.clone());
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        builder.build()
    }

    pub(super) fn object_path(&self, bucket: &str, key: &str) -> PathBuf {
        self.disk.object_path(bucket, key)
    }

    /// Changes the storage class of an object in place. Returns whether there is one.
    pub(super) fn transition(&self, bucket: &str, key: &str, class: &str) -> bool {
        let changed = self.disk.change(bucket, key, |attributes| {
            attributes.storage_class = Some(class.to_owned());
            Ok(())
        });
        changed.is_ok()
    }

    /// Moves an object of the class `INTELLIGENT_TIERING` into one of its archive tiers, as time does.
    pub(super) fn archive(&self, bucket: &str, key: &str, tier: &str) -> bool {
        let changed = self.disk.change(bucket, key, |attributes| {
            attributes.archive_tier = Some(tier.to_owned());
            Ok(())
        });
        changed.is_ok()
    }

    /// Ends the restore of an object that is under way. Returns whether there is such an object.
    pub(super) fn finish_restore(&self, bucket: &str, key: &str) -> bool {
        let changed = self.disk.change(bucket, key, |attributes| {
            attributes.finish_restore();
            Ok(())
        });
        changed.is_ok()
    }

    pub(super) async fn uploads_in_progress(&self, bucket: &str) -> Vec<String> {
        let uploads = self.uploads.in_progress(bucket).await;
        uploads.iter().map(|upload| upload.key.clone()).collect()
    }
}

#[async_trait::async_trait]
impl S3 for Store {
    async fn create_bucket(
        &self,
        req: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        self.disk.create_bucket(&req.input.bucket)?;
        Ok(S3Response::new(CreateBucketOutput {
            location: Some(format!("/{}", req.input.bucket)),
        }))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.disk.bucket(&req.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn list_buckets(
        &self,
        _req: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let bucket = |name| Bucket {
            name: Some(name),
            ..Bucket::default()
        };
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(self.disk.buckets()?.into_iter().map(bucket).collect()),
            ..ListBucketsOutput::default()
        }))
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        if req.input.if_none_match.is_none() {
            self.policies.check_overwrite(&req.input.bucket, &req.input.key)?;
        }
        objects::put(&self.disk, req).await
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        objects::head(&self.disk, &req.input)
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        objects::get(&self.disk, &req.input).await
    }

    async fn restore_object(
        &self,
        req: S3Request<RestoreObjectInput>,
    ) -> S3Result<S3Response<RestoreObjectOutput>> {
        cold::restore(&self.disk, &req.input)
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        locks::delete(&self.disk, &req.input)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn get_object_tagging(
        &self,
        req: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let stored = self.disk.stored(&req.input.bucket, &req.input.key)?;
        Ok(S3Response::new(GetObjectTaggingOutput {
            tag_set: stored.attributes.tag_set(),
            version_id: None,
        }))
    }

    async fn put_object_tagging(
        &self,
        req: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let pair = |tag: Tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
        let tags = req.input.tagging.tag_set.into_iter().map(pair).collect();
        let tags = checked_tags(tags)?;
        self.disk
            .change(&req.input.bucket, &req.input.key, |attributes| {
                attributes.tags = tags;
                Ok(())
            })?;
        Ok(S3Response::new(PutObjectTaggingOutput::default()))
    }

    async fn put_bucket_versioning(
        &self,
        req: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        self.disk.keep_versions(&req.input.bucket)?;
        Ok(S3Response::new(PutBucketVersioningOutput::default()))
    }

    async fn get_bucket_versioning(
        &self,
        req: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let enabled = || BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED);
        Ok(S3Response::new(GetBucketVersioningOutput {
            status: self.disk.keeps_versions(&req.input.bucket)?.then(enabled),
            ..GetBucketVersioningOutput::default()
        }))
    }

    async fn put_bucket_policy(
        &self,
        req: S3Request<PutBucketPolicyInput>,
    ) -> S3Result<S3Response<PutBucketPolicyOutput>> {
        self.disk.bucket(&req.input.bucket)?;
        self.policies.put(&req.input.bucket, req.input.policy)?;
        Ok(S3Response::new(PutBucketPolicyOutput::default()))
    }

    async fn get_bucket_policy(
        &self,
        req: S3Request<GetBucketPolicyInput>,
    ) -> S3Result<S3Response<GetBucketPolicyOutput>> {
        self.disk.bucket(&req.input.bucket)?;
        Ok(S3Response::new(GetBucketPolicyOutput {
            policy: Some(self.policies.get(&req.input.bucket)?),
        }))
    }

    async fn list_object_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        listing::versions(&self.disk, req.input).map(S3Response::new)
    }

    async fn put_object_retention(
        &self,
        req: S3Request<PutObjectRetentionInput>,
    ) -> S3Result<S3Response<PutObjectRetentionOutput>> {
        locks::retain(&self.disk, req.input)?;
        Ok(S3Response::new(PutObjectRetentionOutput::default()))
    }

    async fn get_object_retention(
        &self,
        req: S3Request<GetObjectRetentionInput>,
    ) -> S3Result<S3Response<GetObjectRetentionOutput>> {
        locks::retention(&self.disk, &req.input).map(S3Response::new)
    }

    async fn put_object_legal_hold(
        &self,
        req: S3Request<PutObjectLegalHoldInput>,
    ) -> S3Result<S3Response<PutObjectLegalHoldOutput>> {
        let status = req.input.legal_hold.and_then(|hold| hold.status);
        self.disk
            .change(&req.input.bucket, &req.input.key, |attributes| {
                attributes.legal_hold = status.map(|status| status.as_str().to_owned());
                Ok(())
            })?;
        Ok(S3Response::new(PutObjectLegalHoldOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        listing::objects(&self.disk, req.input).map(S3Response::new)
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = req.input;
        self.disk.bucket(&input.bucket)?;
        let upload = self.uploads.create(
            (input.bucket.clone(), input.key.clone()),
            named_attributes!(input),
            input.checksum_algorithm.as_ref(),
            input.checksum_type.as_ref(),
        )?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(upload.bucket.clone()),
            key: Some(upload.key.clone()),
            upload_id: Some(upload.id.clone()),
            checksum_algorithm: upload.checksum_algorithm(),
            checksum_type: upload.checksum_type(),
            server_side_encryption: Some(upload.attributes.server_side_encryption()),
            ssekms_key_id: upload.attributes.kms_key_id.clone(),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let declared = Declared::of(&req)?;
        let input = req.input;
        let upload = self.uploads.find(&input.bucket, &input.key, &input.upload_id)?;
        let hashing = upload.hashing_for(input.part_number, &declared)?;
        let body = input.body.ok_or_else(|| s3_error!(IncompleteBody))?;
        let (incoming, digest) = self.disk.receive(body, hashing).await?;
        declared.verify(&digest)?;
        let mut output = UploadPartOutput {
            server_side_encryption: Some(upload.attributes.server_side_encryption()),
            ..UploadPartOutput::default()
        };
        fill_checksums!(output, &digest.checksums);
        let part = upload.put_part(input.part_number, incoming, digest).await?;
        output.e_tag = Some(ETag::Strong(part.e_tag()));
        Ok(S3Response::new(output))
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = req.input;
        let upload = self.uploads.find(&input.bucket, &input.key, &input.upload_id)?;
        let completion = Completion {
            checksums: given_checksums!(input),
            checksum_type: input.checksum_type,
            size: input.mpu_object_size,
            only_if_absent: only_if_absent(input.if_none_match.as_ref(), input.if_match.as_ref())?,
            parts: input
                .multipart_upload
                .and_then(|upload| upload.parts)
                .unwrap_or_default(),
        };
        let attributes = upload.complete(&self.disk, &completion).await?;
        let mut output = CompleteMultipartUploadOutput {
            version_id: attributes.version_id.clone(),
            location: Some(format!("/{}/{}", upload.bucket, upload.key)),
            bucket: Some(upload.bucket.clone()),
            key: Some(upload.key.clone()),
            e_tag: Some(ETag::Strong(attributes.e_tag.clone())),
            checksum_type: attributes.checksum_type.clone().map(Into::into),
            server_side_encryption: Some(attributes.server_side_encryption()),
            ssekms_key_id: attributes.kms_key_id.clone(),
            ..CompleteMultipartUploadOutput::default()
        };
        fill_checksums!(output, &attributes.checksums);
        Ok(S3Response::new(output))
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = req.input;
        self.uploads
            .find(&input.bucket, &input.key, &input.upload_id)?
            .abort()
            .await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.disk.bucket(&req.input.bucket)?;
        let open = self.uploads.in_progress(&req.input.bucket).await;
        Ok(S3Response::new(listing::uploads(&open, req.input)))
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        let upload = self
            .uploads
            .find(&req.input.bucket, &req.input.key, &req.input.upload_id)?;
        let parts = upload.parts().await?;
        Ok(S3Response::new(listing::parts(&parts, req.input)))
    }
}
