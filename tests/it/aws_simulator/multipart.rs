//! Objects in many pieces.

use std::collections::BTreeSet;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder;
use aws_sdk_s3::operation::create_multipart_upload::builders::CreateMultipartUploadFluentBuilder;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, StorageClass,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use recording_archiver::sim::wire::{Fault, Service};

use super::{BUCKET, KEY, code, head, simulator};

const MIB: usize = 1024 * 1024;

fn crc64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes).to_be_bytes())
}

fn create(s3: &Client) -> CreateMultipartUploadFluentBuilder {
    s3.create_multipart_upload()
        .bucket(BUCKET)
        .key(KEY)
        .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
        .checksum_type(ChecksumType::FullObject)
}

/// An upload with 5 MiB of ones and 3 bytes of twos.
struct Upload {
    s3: Client,
    id: String,
    parts: Vec<CompletedPart>,
    bytes: Vec<u8>,
}

impl Upload {
    async fn begin(s3: &Client) -> Self {
        Self::of(s3, &[vec![1; 5 * MIB], vec![2; 3]]).await
    }

    async fn of(s3: &Client, parts: &[Vec<u8>]) -> Self {
        let created = create(s3)
            .content_type("audio/wav")
            .metadata("attempt-id", "7")
            .tagging("compliance=archive");
        let created = created
            .storage_class(StorageClass::StandardIa)
            .send()
            .await
            .unwrap();
        let mut upload = Self {
            s3: s3.clone(),
            id: created.upload_id.unwrap(),
            parts: Vec::new(),
            bytes: parts.concat(),
        };
        for (part, number) in parts.iter().zip(1..) {
            let sent = upload.part(number, part.clone(), crc64(part)).await.unwrap();
            upload.parts.push(
                CompletedPart::builder()
                    .part_number(number)
                    .e_tag(sent.e_tag.unwrap())
                    .build(),
            );
        }
        upload
    }

    async fn part(
        &self,
        number: i32,
        bytes: Vec<u8>,
        crc: String,
    ) -> Result<
        aws_sdk_s3::operation::upload_part::UploadPartOutput,
        aws_sdk_s3::error::SdkError<aws_sdk_s3::operation::upload_part::UploadPartError>,
    > {
        let part = self
            .s3
            .upload_part()
            .bucket(BUCKET)
            .key(KEY)
            .upload_id(&self.id)
            .part_number(number);
        part.checksum_crc64_nvme(crc)
            .body(bytes.into())
            .customize()
            .disable_payload_signing()
            .send()
            .await
    }

    fn completion(&self) -> CompleteMultipartUploadFluentBuilder {
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(self.parts.clone()))
            .build();
        self.s3
            .complete_multipart_upload()
            .bucket(BUCKET)
            .key(KEY)
            .upload_id(&self.id)
            .multipart_upload(parts)
            .checksum_type(ChecksumType::FullObject)
            .checksum_crc64_nvme(crc64(&self.bytes))
            .mpu_object_size(i64::try_from(self.bytes.len()).unwrap())
            .if_none_match("*")
    }
}

#[tokio::test]
async fn a_completed_upload_is_one_object_with_all_it_was_created_with() {
    let (_wire, aws, s3) = simulator().await;
    let upload = Upload::begin(&s3).await;
    assert_eq!(aws.uploads_in_progress(BUCKET).await, [KEY]);
    assert!(!aws.object_path(BUCKET, KEY).exists());
    let completed = upload.completion().send().await.unwrap();
    assert!(completed.e_tag().unwrap().ends_with("-2\""));
    assert_eq!(
        completed.checksum_crc64_nvme(),
        Some(crc64(&upload.bytes).as_str())
    );
    assert_eq!(std::fs::read(aws.object_path(BUCKET, KEY)).unwrap(), upload.bytes);
    let head = head(&s3, KEY).await;
    assert_eq!(head.content_type(), Some("audio/wav"));
    assert_eq!(head.metadata().unwrap()["attempt-id"], "7");
    assert_eq!(head.storage_class(), Some(&StorageClass::StandardIa));
    assert_eq!(head.checksum_crc64_nvme(), Some(crc64(&upload.bytes).as_str()));
    assert_eq!(head.checksum_type(), Some(&ChecksumType::FullObject));
    let tags = s3
        .get_object_tagging()
        .bucket(BUCKET)
        .key(KEY)
        .send()
        .await
        .unwrap()
        .tag_set;
    assert_eq!((tags[0].key(), tags[0].value()), ("compliance", "archive"));
    assert!(aws.uploads_in_progress(BUCKET).await.is_empty());
}

#[tokio::test]
async fn a_part_whose_checksum_differs_is_not_kept() {
    let (_wire, _aws, s3) = simulator().await;
    let upload = Upload::of(&s3, &[]).await;
    assert_eq!(
        code(upload.part(1, vec![1; 10], crc64(b"other")).await),
        "BadDigest"
    );
    let parts = s3
        .list_parts()
        .bucket(BUCKET)
        .key(KEY)
        .upload_id(&upload.id)
        .send()
        .await
        .unwrap();
    assert!(parts.parts().is_empty());
}

#[tokio::test]
async fn nothing_becomes_visible_unless_size_and_checksum_of_the_whole_agree() {
    let (_wire, aws, s3) = simulator().await;
    let upload = Upload::begin(&s3).await;
    assert_eq!(
        code(
            upload
                .completion()
                .checksum_crc64_nvme(crc64(b"other"))
                .send()
                .await
        ),
        "BadDigest"
    );
    assert_eq!(
        code(upload.completion().mpu_object_size(17).send().await),
        "InvalidRequest"
    );
    assert_eq!(
        code(
            upload
                .completion()
                .checksum_type(ChecksumType::Composite)
                .send()
                .await
        ),
        "BadDigest"
    );
    assert!(!aws.object_path(BUCKET, KEY).exists());
    assert_eq!(aws.uploads_in_progress(BUCKET).await, [KEY]);
    upload.completion().send().await.unwrap();
}

#[tokio::test]
async fn the_parts_named_must_be_the_parts_uploaded_in_order_and_large_enough() {
    let (_wire, _aws, s3) = simulator().await;
    let mut upload = Upload::begin(&s3).await;
    upload.parts.reverse();
    assert_eq!(code(upload.completion().send().await), "InvalidPartOrder");
    upload.parts.reverse();
    upload
        .parts
        .push(CompletedPart::builder().part_number(3).e_tag("none").build());
    assert_eq!(code(upload.completion().send().await), "InvalidPart");
    let small = Upload::of(&s3, &[vec![1; 5 * MIB - 1], vec![2; 3]]).await;
    assert_eq!(code(small.completion().send().await), "EntityTooSmall");
    assert_eq!(code(upload.part(0, vec![], crc64(b"")).await), "InvalidArgument");
    assert_eq!(
        code(upload.part(10_001, vec![], crc64(b"")).await),
        "InvalidArgument"
    );
}

#[tokio::test]
async fn a_part_with_another_kind_of_checksum_is_refused() {
    let (wire, _aws, s3) = simulator().await;
    let upload = Upload::of(&s3, &[]).await;
    // Without a checksum given by hand, the SDK adds the CRC32 of its own accord.
    let part = s3
        .upload_part()
        .bucket(BUCKET)
        .key(KEY)
        .upload_id(&upload.id)
        .part_number(1);
    assert_eq!(code(part.body(vec![1; 10].into()).send().await), "InvalidRequest");
    assert!(
        wire.exchanges()
            .pop()
            .unwrap()
            .headers
            .contains_key("x-amz-checksum-crc32")
    );
}

#[tokio::test]
async fn the_sdk_sends_a_part_with_the_checksum_given_and_no_other() {
    let (wire, _aws, s3) = simulator().await;
    let upload = Upload::of(&s3, &[]).await;
    upload.part(1, vec![1; 10], crc64(&[1; 10])).await.unwrap();
    let sent = wire.exchanges().pop().unwrap();
    let checksums: Vec<_> = sent
        .headers
        .keys()
        .filter(|name| name.contains("checksum"))
        .collect();
    assert_eq!(checksums, ["x-amz-checksum-crc64nvme"]);
    assert_eq!(sent.headers["x-amz-content-sha256"], "UNSIGNED-PAYLOAD");
}

#[tokio::test]
async fn a_composite_checksum_needs_that_of_each_part() {
    let (_wire, _aws, s3) = simulator().await;
    let created = s3.create_multipart_upload().bucket(BUCKET).key(KEY);
    let created = created
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .send()
        .await
        .unwrap();
    assert_eq!(created.checksum_type(), Some(&ChecksumType::Composite));
    let id = created.upload_id.unwrap();
    let part = s3
        .upload_part()
        .bucket(BUCKET)
        .key(KEY)
        .upload_id(&id)
        .part_number(1);
    let part = part
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .body(vec![1; 10].into())
        .send()
        .await
        .unwrap();
    let complete = |part: CompletedPart| {
        let parts = CompletedMultipartUpload::builder().parts(part).build();
        s3.complete_multipart_upload()
            .bucket(BUCKET)
            .key(KEY)
            .upload_id(&id)
            .multipart_upload(parts)
            .send()
    };
    let named = CompletedPart::builder()
        .part_number(1)
        .e_tag(part.e_tag().unwrap());
    assert_eq!(code(complete(named.clone().build()).await), "InvalidRequest");
    let named = named.set_checksum_sha256(part.checksum_sha256().map(str::to_owned));
    let completed = complete(named.build()).await.unwrap();
    assert!(completed.checksum_sha256().unwrap().ends_with("=-1"));
}

#[tokio::test]
async fn an_upload_never_replaces_an_object_it_must_not_replace() {
    let (_wire, aws, s3) = simulator().await;
    let upload = Upload::begin(&s3).await;
    s3.put_object()
        .bucket(BUCKET)
        .key(KEY)
        .body(b"first".to_vec().into())
        .send()
        .await
        .unwrap();
    assert_eq!(code(upload.completion().send().await), "PreconditionFailed");
    assert_eq!(std::fs::read(aws.object_path(BUCKET, KEY)).unwrap(), b"first");
    assert_eq!(aws.uploads_in_progress(BUCKET).await, [KEY]);
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_can_be_repeated() {
    let (wire, _aws, s3) = simulator().await;
    let upload = Upload::begin(&s3).await;
    wire.disturb_next(Service::S3, "CompleteMultipartUpload", 1, Fault::ApplyThenReset);
    let completed = upload.completion().send().await.unwrap();
    let repeated = upload.completion().send().await.unwrap();
    assert_eq!(completed.e_tag(), repeated.e_tag());
    assert_eq!(wire.count(Service::S3, "CompleteMultipartUpload"), 3);
}

#[tokio::test]
async fn of_racing_uploads_exactly_one_wins() {
    let (_wire, aws, s3) = simulator().await;
    let (one, other) = tokio::join!(Upload::begin(&s3), Upload::begin(&s3));
    let (one, other) = tokio::join!(one.completion().send(), other.completion().send());
    assert!(one.is_ok() != other.is_ok());
    assert_eq!(aws.uploads_in_progress(BUCKET).await, [KEY]);
}

#[tokio::test]
async fn a_finished_upload_does_not_exist_any_more() {
    let (_wire, aws, s3) = simulator().await;
    let (completed, aborted) = (Upload::begin(&s3).await, Upload::begin(&s3).await);
    let abort = |id: &str| {
        s3.abort_multipart_upload()
            .bucket(BUCKET)
            .key(KEY)
            .upload_id(id)
            .send()
    };
    completed.completion().send().await.unwrap();
    abort(&aborted.id).await.unwrap();
    assert_eq!(code(aborted.completion().send().await), "NoSuchUpload");
    for upload in [completed, aborted] {
        assert_eq!(code(upload.part(3, vec![3], crc64(&[3])).await), "NoSuchUpload");
        assert_eq!(code(abort(&upload.id).await), "NoSuchUpload");
        let parts = s3
            .list_parts()
            .bucket(BUCKET)
            .key(KEY)
            .upload_id(&upload.id)
            .send()
            .await;
        assert_eq!(code(parts), "NoSuchUpload");
    }
    assert!(aws.uploads_in_progress(BUCKET).await.is_empty());
}

#[tokio::test]
async fn uploads_and_their_parts_are_listed() {
    let (_wire, _aws, s3) = simulator().await;
    let upload = Upload::begin(&s3).await;
    let uploads = s3.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(upload.id.as_str()));
    let mut parts = s3
        .list_parts()
        .bucket(BUCKET)
        .key(KEY)
        .upload_id(&upload.id)
        .max_parts(1)
        .into_paginator()
        .send();
    let mut sizes = Vec::new();
    while let Some(page) = parts.next().await {
        sizes.extend(page.unwrap().parts().iter().filter_map(|part| part.size()));
    }
    assert_eq!(sizes, [5 * 1024 * 1024, 3]);
}

#[tokio::test]
async fn the_wire_knows_the_operations_by_name() {
    let (wire, _aws, s3) = simulator().await;
    Upload::begin(&s3).await.completion().send().await.unwrap();
    s3.get_object_tagging()
        .bucket(BUCKET)
        .key(KEY)
        .send()
        .await
        .unwrap();
    s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    s3.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    let names: BTreeSet<_> = wire
        .exchanges()
        .into_iter()
        .map(|exchange| exchange.operation)
        .collect();
    let expected = [
        "CompleteMultipartUpload",
        "CreateBucket",
        "CreateMultipartUpload",
        "GetObjectTagging",
        "HeadObject",
        "ListObjectsV2",
        "UploadPart",
    ];
    assert_eq!(names, expected.map(str::to_owned).into());
}
