//! Objects in one piece.

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ArchiveStatus, RestoreRequest, Tag, Tagging};
use aws_sdk_s3::types::{ChecksumType, ObjectLockMode, ServerSideEncryption, StorageClass};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use recording_archiver::sim::aws::{Aws, Storage};
use recording_archiver::sim::wire::{Service, Wire};
use sha2::{Digest as _, Sha256};

use super::{BUCKET, KEY, code, head, put, simulator};

fn sha256(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(Sha256::digest(bytes))
}

#[tokio::test]
async fn an_object_is_a_plain_file_with_exactly_its_bytes() {
    let (_wire, aws, s3) = simulator().await;
    put(&s3, b"RIFF").await;
    assert_eq!(std::fs::read(aws.object_path(BUCKET, KEY)).unwrap(), b"RIFF");
    let got = s3.get_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"RIFF");
}

#[tokio::test]
async fn all_that_was_said_about_an_object_is_remembered() {
    let (_wire, _aws, s3) = simulator().await;
    let until = DateTime::from_secs(4_102_444_800);
    s3.put_object()
        .bucket(BUCKET)
        .key(KEY)
        .body(ByteStream::from_static(b"RIFF"))
        .checksum_sha256(sha256(b"RIFF"))
        .content_type("audio/wav")
        .metadata("interaction-id", "i-1")
        .storage_class(StorageClass::GlacierIr)
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .ssekms_key_id("a-key")
        .object_lock_mode(ObjectLockMode::Compliance)
        .object_lock_retain_until_date(until)
        .send()
        .await
        .unwrap();
    let head = head(&s3, KEY).await;
    assert_eq!(head.content_length(), Some(4));
    assert_eq!(head.content_type(), Some("audio/wav"));
    assert_eq!(head.metadata().unwrap()["interaction-id"], "i-1");
    assert_eq!(head.storage_class(), Some(&StorageClass::GlacierIr));
    assert_eq!(head.server_side_encryption(), Some(&ServerSideEncryption::AwsKms));
    assert_eq!(head.ssekms_key_id(), Some("a-key"));
    assert_eq!(head.object_lock_mode(), Some(&ObjectLockMode::Compliance));
    assert_eq!(head.object_lock_retain_until_date(), Some(&until));
    assert_eq!(head.checksum_sha256(), Some(sha256(b"RIFF").as_str()));
    assert_eq!(head.checksum_type(), Some(&ChecksumType::FullObject));
}

#[tokio::test]
async fn checksums_are_told_only_when_asked_for() {
    let (_wire, _aws, s3) = simulator().await;
    put(&s3, b"RIFF").await;
    let head = s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    assert_eq!((head.checksum_crc32(), head.checksum_type()), (None, None));
}

#[tokio::test]
async fn an_object_whose_checksum_differs_never_becomes_visible() {
    let (_wire, aws, s3) = simulator().await;
    let put = s3
        .put_object()
        .bucket(BUCKET)
        .key(KEY)
        .body(ByteStream::from_static(b"RIFF"));
    assert_eq!(
        code(put.checksum_sha256(sha256(b"other")).send().await),
        "BadDigest"
    );
    let head = s3.head_object().bucket(BUCKET).key(KEY).send().await;
    assert!(head.unwrap_err().into_service_error().is_not_found());
    assert!(!aws.object_path(BUCKET, KEY).exists());
}

#[tokio::test]
async fn an_unsigned_payload_is_accepted_and_still_checked() {
    let (wire, _aws, s3) = simulator().await;
    for (sha, expected) in [(sha256(b"other"), false), (sha256(b"RIFF"), true)] {
        let put = s3
            .put_object()
            .bucket(BUCKET)
            .key(KEY)
            .body(ByteStream::from_static(b"RIFF"))
            .checksum_sha256(sha);
        let sent = put.customize().disable_payload_signing().send().await;
        assert_eq!(sent.is_ok(), expected);
    }
    let puts = wire
        .exchanges()
        .into_iter()
        .filter(|exchange| exchange.operation == "PutObject");
    for put in puts {
        assert_eq!(put.headers["x-amz-content-sha256"], "UNSIGNED-PAYLOAD");
    }
}

#[tokio::test]
async fn the_sdk_adds_no_second_checksum_to_one_given_by_hand() {
    let (wire, _aws, s3) = simulator().await;
    let put = s3
        .put_object()
        .bucket(BUCKET)
        .key(KEY)
        .body(ByteStream::from_static(b"RIFF"));
    put.checksum_sha256(sha256(b"RIFF")).send().await.unwrap();
    let put = wire.exchanges().pop().unwrap();
    let checksums: Vec<_> = put
        .headers
        .keys()
        .filter(|name| name.contains("checksum"))
        .collect();
    assert_eq!(checksums, ["x-amz-checksum-sha256"]);
    assert!(!put.headers.contains_key("x-amz-trailer"));
    assert_eq!(
        put.headers["x-amz-content-sha256"],
        hex::encode(Sha256::digest(b"RIFF"))
    );
}

#[tokio::test]
async fn a_streamed_body_is_checked_by_the_checksum_in_its_trailer() {
    let (wire, aws, s3) = simulator().await;
    s3.put_object()
        .bucket(BUCKET)
        .key(KEY)
        .body(vec![7; 100_000].into())
        .send()
        .await
        .unwrap();
    let body = ByteStream::from_path(aws.object_path(BUCKET, KEY)).await.unwrap();
    s3.put_object()
        .bucket(BUCKET)
        .key("copy")
        .body(body)
        .send()
        .await
        .unwrap();
    let put = wire.exchanges().pop().unwrap();
    assert_eq!(put.headers["x-amz-trailer"], "x-amz-checksum-crc32");
    assert_eq!(
        std::fs::read(aws.object_path(BUCKET, "copy")).unwrap(),
        vec![7; 100_000]
    );
    let head = head(&s3, "copy").await;
    assert!(head.checksum_crc32().is_some());
    assert_eq!(head.content_encoding(), None);
}

#[tokio::test]
async fn a_wrong_signature_is_refused() {
    let (_wire, aws, _s3) = simulator().await;
    let other = aws_sdk_s3::config::Credentials::new("test", "wrong", None, None, "test");
    let config = aws_sdk_s3::config::Builder::from(&aws.sdk_config()).credentials_provider(other);
    let stranger = aws_sdk_s3::Client::from_conf(config.build());
    let put = stranger.put_object().bucket(BUCKET).key(KEY).send().await;
    assert_eq!(code(put), "SignatureDoesNotMatch");
}

#[tokio::test]
async fn an_object_written_only_if_absent_is_not_overwritten() {
    let (_wire, aws, s3) = simulator().await;
    let put = |body: &'static [u8]| {
        let put = s3.put_object().bucket(BUCKET).key(KEY).if_none_match("*");
        put.body(ByteStream::from_static(body)).send()
    };
    put(b"first").await.unwrap();
    assert_eq!(code(put(b"second").await), "PreconditionFailed");
    assert_eq!(std::fs::read(aws.object_path(BUCKET, KEY)).unwrap(), b"first");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_writers_exactly_one_wins() {
    let (_wire, aws, s3) = simulator().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..16_u8 {
        let put = s3
            .put_object()
            .bucket(BUCKET)
            .key(KEY)
            .if_none_match("*")
            .metadata("writer", writer.to_string());
        writers.spawn(async move {
            (
                writer,
                put.body(vec![writer; 100_000].into()).send().await.is_ok(),
            )
        });
    }
    let winners: Vec<u8> = writers
        .join_all()
        .await
        .into_iter()
        .filter(|(_, won)| *won)
        .map(|(w, _)| w)
        .collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(
        std::fs::read(aws.object_path(BUCKET, KEY)).unwrap(),
        vec![winners[0]; 100_000]
    );
    let head = s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    assert_eq!(head.metadata().unwrap()["writer"], winners[0].to_string());
}

#[tokio::test]
async fn tags_come_with_the_object_and_can_be_replaced() {
    let (_wire, _aws, s3) = simulator().await;
    let put = s3
        .put_object()
        .bucket(BUCKET)
        .key(KEY)
        .tagging("compliance=archive&note=a%20b%2Bc");
    put.send().await.unwrap();
    let tags = || async {
        let got = s3
            .get_object_tagging()
            .bucket(BUCKET)
            .key(KEY)
            .send()
            .await
            .unwrap();
        let pairs = got.tag_set.into_iter().map(|tag| (tag.key, tag.value));
        pairs.collect::<Vec<_>>()
    };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        tags().await,
        [pair("compliance", "archive"), pair("note", "a b+c")]
    );
    let tag = Tag::builder().key("sha256").value("abc").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag).build().unwrap();
    s3.put_object_tagging()
        .bucket(BUCKET)
        .key(KEY)
        .tagging(tagging)
        .send()
        .await
        .unwrap();
    assert_eq!(tags().await, [pair("sha256", "abc")]);
}

#[tokio::test]
async fn what_s3_refuses_is_refused() {
    let (_wire, _aws, s3) = simulator().await;
    let put = || s3.put_object().bucket(BUCKET).key(KEY);
    assert_eq!(code(put().tagging("a=1&a=2").send().await), "InvalidTag");
    assert_eq!(
        code(put().storage_class("FLOPPY".into()).send().await),
        "InvalidStorageClass"
    );
    assert_eq!(
        code(put().object_lock_mode(ObjectLockMode::Governance).send().await),
        "InvalidArgument"
    );
    assert_eq!(code(put().ssekms_key_id("a-key").send().await), "InvalidArgument");
    assert_eq!(
        code(s3.put_object().bucket("no-bucket").key(KEY).send().await),
        "NoSuchBucket"
    );
}

#[tokio::test]
async fn a_range_of_an_object_can_be_read() {
    let (_wire, _aws, s3) = simulator().await;
    put(&s3, b"0123456789").await;
    let got = s3
        .get_object()
        .bucket(BUCKET)
        .key(KEY)
        .range("bytes=2-4")
        .send()
        .await
        .unwrap();
    assert_eq!(got.content_range(), Some("bytes 2-4/10"));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"234");
}

#[tokio::test]
async fn a_deleted_object_is_gone_with_its_folders() {
    let (_wire, aws, s3) = simulator().await;
    s3.put_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    s3.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    s3.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    assert_eq!(
        code(s3.get_object().bucket(BUCKET).key(KEY).send().await),
        "NoSuchKey"
    );
    assert!(!aws.object_path(BUCKET, "recordings").exists());
}

#[tokio::test]
async fn listings_are_ordered_paged_and_grouped() {
    let (_wire, _aws, s3) = simulator().await;
    for key in ["b/2", "a/1", "c", "b/1", "b-1"] {
        s3.put_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
    let mut pages = s3
        .list_objects_v2()
        .bucket(BUCKET)
        .max_keys(2)
        .into_paginator()
        .send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        keys.extend(
            page.unwrap()
                .contents
                .unwrap_or_default()
                .into_iter()
                .filter_map(|object| object.key),
        );
    }
    assert_eq!(keys, ["a/1", "b-1", "b/1", "b/2", "c"]);
    let mut pages = s3
        .list_objects_v2()
        .bucket(BUCKET)
        .delimiter("/")
        .max_keys(1)
        .into_paginator()
        .send();
    let mut folders = Vec::new();
    while let Some(page) = pages.next().await {
        folders.extend(
            page.unwrap()
                .common_prefixes
                .unwrap_or_default()
                .into_iter()
                .filter_map(|p| p.prefix),
        );
    }
    assert_eq!(folders, ["a/", "b/"]);
}

#[tokio::test]
async fn objects_and_tables_outlive_the_simulator() {
    let folder = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
    for first in [true, false] {
        let wire = Wire::default();
        let aws = Aws::start_with(&wire, 0, &folder, Storage::Folder).await.unwrap();
        aws.create_bucket(BUCKET).await.unwrap();
        aws.create_tables("audit", "ledger").await.unwrap();
        let s3 = aws.s3();
        if first {
            s3.put_object()
                .bucket(BUCKET)
                .key(KEY)
                .content_type("audio/wav")
                .send()
                .await
                .unwrap();
        }
        let head = s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
        assert_eq!(head.content_type(), Some("audio/wav"));
        assert_eq!(wire.count(Service::S3, "PutObject"), usize::from(first));
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_request_for_the_bucket_of_another_account_is_refused_and_does_nothing() {
    let (_wire, aws, s3) = simulator().await;
    let put = |owner: &str| {
        let put = s3
            .put_object()
            .bucket(BUCKET)
            .key(KEY)
            .expected_bucket_owner(owner);
        put.body(ByteStream::from_static(b"RIFF")).send()
    };
    assert_eq!(code(put("999999999999").await), "AccessDenied");
    assert!(!aws.object_path(BUCKET, KEY).exists());
    put(recording_archiver::sim::aws::ACCOUNT_ID).await.unwrap();
    let head = s3
        .head_object()
        .bucket(BUCKET)
        .key(KEY)
        .expected_bucket_owner("999999999999");
    let refused = head.send().await.unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 403);
}

/// Asks for a restore for so many days, and returns the error's code.
async fn restore(s3: &aws_sdk_s3::Client, days: Option<i32>) -> Result<(), String> {
    let request = RestoreRequest::builder().set_days(days).build();
    let asked = s3
        .restore_object()
        .bucket(BUCKET)
        .key(KEY)
        .restore_request(request);
    match asked.send().await {
        Ok(_) => Ok(()),
        refused => Err(code(refused)),
    }
}

#[tokio::test]
async fn an_object_in_cold_storage_is_read_once_it_is_restored() {
    let (wire, aws, s3) = simulator().await;
    put(&s3, b"RIFF").await;
    let get = || s3.get_object().bucket(BUCKET).key(KEY).send();
    for class in ["GLACIER", "DEEP_ARCHIVE"] {
        assert!(aws.transition(BUCKET, KEY, class));
        put(&s3, b"RIFF").await;
        assert_eq!(
            restore(&s3, Some(1)).await,
            Err("InvalidObjectState".to_owned()),
            "not cold"
        );
        assert!(aws.transition(BUCKET, KEY, class));
        assert_eq!(code(get().await), "InvalidObjectState");
        assert_eq!(head(&s3, KEY).await.restore(), None);
        assert_eq!(restore(&s3, None).await, Err("MalformedXML".to_owned()));
        assert_eq!(restore(&s3, Some(0)).await, Err("MalformedXML".to_owned()));
        wire.forget();
        assert_eq!(restore(&s3, Some(2)).await, Ok(()));
        assert_eq!(wire.exchanges()[0].status, Some(202));
        assert_eq!(head(&s3, KEY).await.restore(), Some("ongoing-request=\"true\""));
        assert_eq!(
            restore(&s3, Some(2)).await,
            Err("RestoreAlreadyInProgress".to_owned())
        );
        assert_eq!(wire.exchanges()[2].status, Some(409));
        assert_eq!(code(get().await), "InvalidObjectState");
        assert!(aws.finish_restore(BUCKET, KEY));
        let told = head(&s3, KEY).await.restore().unwrap().to_owned();
        assert!(
            told.starts_with("ongoing-request=\"false\", expiry-date=\""),
            "{told}"
        );
        assert!(told.ends_with(" 00:00:00 GMT\""), "{told}");
        assert_eq!(
            get().await.unwrap().body.collect().await.unwrap().to_vec(),
            b"RIFF"
        );
        wire.forget();
        assert_eq!(restore(&s3, Some(9)).await, Ok(()), "for longer");
        assert_eq!(wire.exchanges()[0].status, Some(200));
        put(&s3, b"RIFF").await;
    }
}

#[tokio::test]
async fn from_an_archive_tier_an_object_moves_back_for_good_and_takes_no_days() {
    let (_wire, aws, s3) = simulator().await;
    put(&s3, b"RIFF").await;
    for tier in [ArchiveStatus::ArchiveAccess, ArchiveStatus::DeepArchiveAccess] {
        assert!(aws.transition(BUCKET, KEY, "INTELLIGENT_TIERING"));
        assert!(aws.archive(BUCKET, KEY, tier.as_str()));
        assert_eq!(head(&s3, KEY).await.archive_status(), Some(&tier));
        let got = s3.get_object().bucket(BUCKET).key(KEY).send().await;
        assert_eq!(code(got), "InvalidObjectState");
        assert_eq!(restore(&s3, Some(1)).await, Err("MalformedXML".to_owned()));
        assert_eq!(restore(&s3, None).await, Ok(()));
        assert_eq!(
            restore(&s3, None).await,
            Err("RestoreAlreadyInProgress".to_owned())
        );
        assert!(aws.finish_restore(BUCKET, KEY));
        let head = head(&s3, KEY).await;
        assert_eq!((head.archive_status(), head.restore()), (None, None));
        assert!(s3.get_object().bucket(BUCKET).key(KEY).send().await.is_ok());
    }
}
