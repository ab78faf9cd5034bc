//! The bucket of a trail of CloudTrail: who read objects, with whatever program. Only `archivectl` asks.

use std::io::Read as _;

use aws_sdk_s3::Client;
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::failed;
use crate::domain::recording::ArchiveKey;
use crate::error::Error;

/// A log file that unpacks to more is refused. CloudTrail's own stay far below.
const LONGEST: u64 = 512 << 20;

/// The calls of S3 that give somebody the bytes of an object, or a copy of them.
const READS: [&str; 4] = ["GetObject", "SelectObjectContent", "CopyObject", "UploadPartCopy"];

/// The bucket of a trail.
#[derive(Debug)]
pub struct Trail {
    client: Client,
    bucket: String,
}

/// A page of a day's log files.
#[derive(Debug, Default)]
pub struct FilePage {
    /// Their keys.
    pub keys: Vec<String>,
    /// The beginning of the next page; `None` after the last one.
    pub next: Option<String>,
}

/// A read of an object, or an attempt at one, as CloudTrail tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRead {
    /// CloudTrail's id of the event. An event may be delivered twice.
    pub id: Uuid,
    /// When it was.
    pub at: Timestamp,
    /// The reader: an ARN where CloudTrail names one, otherwise a service, a principal or an account.
    pub by: String,
    /// The principal, as AWS numbers it: of a session the unique id of the role, and its name.
    pub principal: Option<String>,
    /// The source identity of the reader's session.
    pub source_identity: Option<String>,
    /// The object.
    pub place: ArchiveKey,
    /// The address that the request came from, or the service.
    pub address: String,
    /// The program, as it calls itself.
    pub user_agent: String,
    /// Why S3 refused it; `None`: the bytes were given.
    pub refused: Option<String>,
}

impl Trail {
    /// Makes a reader of the trail's bucket. Sends nothing.
    pub fn new(client: Client, bucket: String) -> Self {
        Self { client, bucket }
    }

    /// Returns the name of the bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Returns the folders with log files of an account and a region: `AWSLogs/ACCOUNT/CloudTrail/REGION/`.
    pub async fn folders(&self) -> Result<Vec<String>, Error> {
        let mut folders = Vec::new();
        for account in self.below("AWSLogs/").await? {
            folders.extend(self.below(&format!("{account}CloudTrail/")).await?);
        }
        Ok(folders)
    }

    async fn below(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let listed = self.client.list_objects_v2().bucket(&self.bucket);
        let listed = listed.prefix(prefix).delimiter("/").send().await;
        let listed = listed.map_err(|error| failed(&format!("listing {}", self.place(prefix)), error))?;
        let folders = listed.common_prefixes().iter();
        Ok(folders
            .filter_map(|folder| folder.prefix().map(str::to_owned))
            .collect())
    }

    /// Returns the first UTC day of which there is a log file.
    pub async fn first_day(&self, folder: &str) -> Result<Option<Date>, Error> {
        let first = self.client.list_objects_v2().bucket(&self.bucket);
        let first = first.prefix(folder).max_keys(1).send().await;
        let first = first.map_err(|error| failed(&format!("listing {}", self.place(folder)), error))?;
        let key = first.contents().first().and_then(|object| object.key());
        let day = key.and_then(|key| key.strip_prefix(folder)?.get(.."2026/01/15".len()));
        Ok(day.and_then(|day| Date::strptime("%Y/%m/%d", day).ok()))
    }

    /// Returns a page of the log files that were delivered on a UTC day, in order of delivery, from `from` on.
    pub async fn files(&self, folder: &str, day: Date, from: Option<String>) -> Result<FilePage, Error> {
        let prefix = format!("{folder}{}/", day.strftime("%Y/%m/%d"));
        let page = self.client.list_objects_v2().bucket(&self.bucket);
        let page = page.prefix(&prefix).set_continuation_token(from).send().await;
        let page = page.map_err(|error| failed(&format!("listing {}", self.place(&prefix)), error))?;
        let keys = page.contents().iter().filter_map(|object| object.key());
        Ok(FilePage {
            keys: keys.map(str::to_owned).collect(),
            next: page.next_continuation_token().map(str::to_owned),
        })
    }

    /// Returns the reads that a log file tells of, or why it cannot be read as one.
    pub async fn reads(&self, key: &str) -> Result<Result<Vec<ObjectRead>, String>, Error> {
        let doing = || format!("reading {}", self.place(key));
        let got = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await;
        let got = got.map_err(|error| failed(&doing(), error))?;
        let broken = |error| Error::transient(format!("{} broke off", doing())).caused_by(error);
        let packed = got.body.collect().await.map_err(broken)?.into_bytes();
        Ok(unpacked(&packed))
    }

    /// Returns `s3://bucket/key`.
    pub fn place(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }
}

/// A log file, as far as it is needed: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-examples.html>.
#[derive(Deserialize)]
struct LogFile {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    #[serde(rename = "eventID")]
    id: Uuid,
    event_time: Timestamp,
    event_source: String,
    event_name: String,
    #[serde(default)]
    user_identity: Value,
    #[serde(default, rename = "sourceIPAddress")]
    address: Option<String>,
    #[serde(default)]
    user_agent: Option<String>,
    #[serde(default)]
    error_code: Option<String>,
    #[serde(default)]
    request_parameters: Value,
}

fn unpacked(packed: &[u8]) -> Result<Vec<ObjectRead>, String> {
    let mut json = Vec::new();
    let mut decoder = MultiGzDecoder::new(packed).take(LONGEST + 1);
    decoder
        .read_to_end(&mut json)
        .map_err(|error| format!("it is no gzip: {error}"))?;
    if json.len() as u64 > LONGEST {
        return Err(format!("it unpacks to more than {LONGEST} bytes"));
    }
    let file: LogFile =
        serde_json::from_slice(&json).map_err(|error| format!("it is no log file of CloudTrail: {error}"))?;
    Ok(file.records.into_iter().filter_map(Record::into_read).collect())
}

impl Record {
    /// Returns the read that it tells of, if it tells of one.
    fn into_read(self) -> Option<ObjectRead> {
        if self.event_source != "s3.amazonaws.com" || !READS.contains(&self.event_name.as_str()) {
            return None;
        }
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let asked = &self.request_parameters;
        let copied = text(&asked["x-amz-copy-source"]).filter(|_| self.event_name.contains("Copy"));
        // Of a copy, the object that was read is the source: `/bucket/key?versionId=...`, with or without the slash.
        let (bucket, key) = match copied {
            Some(source) => {
                let source = source.trim_start_matches('/').split('?').next()?;
                let (bucket, key) = source.split_once('/')?;
                (bucket.to_owned(), key.to_owned())
            }
            None => (text(&asked["bucketName"])?, text(&asked["key"])?),
        };
        let who = &self.user_identity;
        let mut names = ["arn", "invokedBy", "principalId", "accountId"].into_iter();
        let by = names.find_map(|name| text(&who[name]));
        Some(ObjectRead {
            id: self.id,
            at: self.event_time,
            by: by.unwrap_or_else(|| "unknown".to_owned()),
            principal: text(&who["principalId"]),
            source_identity: text(&who["sessionContext"]["sourceIdentity"]),
            place: ArchiveKey { bucket, key },
            address: self.address.unwrap_or_default(),
            user_agent: self.user_agent.unwrap_or_default(),
            refused: self.error_code,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::json;

    use super::*;

    fn packed(file: &Value) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(file.to_string().as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn record(name: &str, parameters: &Value) -> Value {
        json!({
            "eventVersion": "1.11", "eventID": "11111111-2222-4333-8444-555555555555",
            "eventTime": "2026-03-01T10:20:30Z", "eventSource": "s3.amazonaws.com", "eventName": name,
            "awsRegion": "eu-central-1", "sourceIPAddress": "192.0.2.7", "userAgent": "[aws-cli/2.15]",
            "userIdentity": {"type": "AssumedRole", "principalId": "AROAEXAMPLE:anna",
                "arn": "arn:aws:sts::123456789012:assumed-role/Reader/anna", "accountId": "123456789012",
                "sessionContext": {"sourceIdentity": "anna", "attributes": {"mfaAuthenticated": "false"}}},
            "requestParameters": parameters, "responseElements": null, "readOnly": true,
            "eventCategory": "Data",
        })
    }

    #[test]
    fn a_read_is_told_by_its_object_and_a_copy_by_its_source() {
        let file = json!({"Records": [
            record("GetObject", &json!({"bucketName": "calls", "key": "recordings/a b.wav", "Host": "x"})),
            record("CopyObject", &json!({"bucketName": "mine", "key": "stolen",
                                         "x-amz-copy-source": "/calls/recordings/c.wav?versionId=v1"})),
            record("HeadObject", &json!({"bucketName": "calls", "key": "recordings/d.wav"})),
            record("ListObjects", &json!({"bucketName": "calls"})),
            record("GetObject", &Value::Null),
        ]});
        let reads = unpacked(&packed(&file)).unwrap();
        let places: Vec<_> = reads.iter().map(|read| read.place.to_string()).collect();
        assert_eq!(
            places,
            ["s3://calls/recordings/a b.wav", "s3://calls/recordings/c.wav"]
        );
        assert_eq!(reads[0].by, "arn:aws:sts::123456789012:assumed-role/Reader/anna");
        assert_eq!(reads[0].source_identity.as_deref(), Some("anna"));
        assert_eq!(reads[0].refused, None);
    }

    #[test]
    fn whoever_has_no_arn_is_named_by_what_is_there() {
        let read = |identity: Value| {
            let mut record = record("GetObject", &json!({"bucketName": "calls", "key": "k"}));
            record["userIdentity"] = identity;
            unpacked(&packed(&json!({"Records": [record]}))).unwrap()[0]
                .by
                .clone()
        };
        let service = json!({"type": "AWSService", "invokedBy": "replication.amazonaws.com"});
        assert_eq!(read(service), "replication.amazonaws.com");
        let anonymous = json!({"type": "AWSAccount", "principalId": "", "accountId": "anonymous"});
        assert_eq!(read(anonymous), "anonymous");
        assert_eq!(read(json!({})), "unknown");
    }

    #[test]
    fn what_is_no_log_file_says_so() {
        assert!(unpacked(b"plain").unwrap_err().contains("no gzip"));
        assert!(
            unpacked(&packed(&json!({"a": 1})))
                .unwrap_err()
                .contains("no log file")
        );
    }
}
