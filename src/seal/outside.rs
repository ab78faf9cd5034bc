//! Those who get each checkpoint to keep it out of the account's reach: an SNS topic, and a time-stamping authority.
//!
//! Neither holds up sealing. A checkpoint that one of them did not get is not sent again: the next one covers all that
//! it covered.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use sha2::{Digest as _, Sha256};

use super::checkpoint::Checkpoint;
use super::layout;
use super::store::LogStore;
use crate::aws::failed;
use crate::error::Error;
use crate::http;

/// Longest time that an authority may take for its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest answer of an authority, in bytes: a token with its certificates has some 6,000.
const LONGEST: usize = 64 * 1024;

/// A request for a time-stamp up to its digest: version 1, SHA-256. <https://www.rfc-editor.org/rfc/rfc3161#section-2.4.1>
const REQUEST: [u8; 24] = [
    0x30, 0x39, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
    0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
];

/// The rest of the request: the answer is to hold the authority's certificate.
const WITH_CERTIFICATE: [u8; 3] = [0x01, 0x01, 0xff];

/// An SNS topic that gets the text of each checkpoint.
#[derive(Debug, Clone)]
pub struct Topic {
    client: aws_sdk_sns::Client,
    arn: String,
}

/// A time-stamping authority, RFC 3161.
#[derive(Debug, Clone)]
pub struct Authority {
    client: Client,
    url: Url,
}

impl Topic {
    /// Makes a sender to the topic. Sends nothing.
    pub fn new(client: aws_sdk_sns::Client, arn: String) -> Self {
        Self { client, arn }
    }

    /// Sends the signed note of a checkpoint.
    pub async fn send(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let note = String::from_utf8_lossy(&checkpoint.note);
        let publish = self.client.publish().topic_arn(&self.arn).message(note);
        let sent = publish.send().await;
        sent.map_err(|error| failed(&format!("sending the checkpoint to {}", self.arn), error))?;
        Ok(())
    }
}

impl Authority {
    /// Makes a client of the authority at `url`. Sends nothing.
    pub fn new(url: Url) -> Result<Self, Error> {
        let client = http::client(|builder| builder.timeout(PATIENCE))?;
        Ok(Self { client, url })
    }

    /// Has the signed note of a checkpoint time-stamped, and keeps the answer in the log's bucket. Checks that the
    /// answer grants a time-stamp and names the note's hash; whoever uses it checks the authority's signature.
    pub async fn stamp(&self, log: &LogStore, checkpoint: &Checkpoint) -> Result<(), Error> {
        let host = self.url.host_str().unwrap_or_default();
        let refused = |why: String| Error::transient(format!("the time-stamping authority {host} {why}"));
        let digest = Sha256::digest(&checkpoint.note);
        let request = [&REQUEST[..], &digest, &WITH_CERTIFICATE].concat();
        let post = self.client.post(self.url.clone()).body(request);
        let post = post.header(CONTENT_TYPE, "application/timestamp-query").send();
        let answer = post
            .await
            .map_err(|error| refused(format!("did not answer: {}", error.without_url())))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(refused(format!("answered {status}")));
        }
        let body = http::read_within(answer, LONGEST).await;
        let body = body.map_err(|error| refused(format!("gave an answer that cannot be read: {error}")))?;
        if !is_granted(&body) || !body.windows(digest.len()).any(|bytes| bytes == &digest[..]) {
            return Err(refused("granted no time-stamp of the checkpoint".to_owned()));
        }
        let key = layout::timestamp(checkpoint.time, checkpoint.size);
        log.put(&key, body).await?;
        Ok(())
    }
}

/// Says whether an answer grants a time-stamp: in DER a sequence, in it the sequence of the status, in it the status 0
/// (granted) or 1 (granted with changes).
fn is_granted(answer: &[u8]) -> bool {
    content(answer)
        .and_then(content)
        .is_some_and(|status| matches!(status, [0x02, 0x01, 0 | 1, ..]))
}

/// Returns what follows the tag and the length of a sequence in DER.
fn content(der: &[u8]) -> Option<&[u8]> {
    let (length, rest) = der.strip_prefix(&[0x30])?.split_first()?;
    match length.checked_sub(0x80) {
        None => Some(rest),
        Some(bytes) => rest.get(usize::from(bytes)..),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_granted_time_stamp_is_one() {
        assert!(is_granted(&[
            0x30, 0x82, 0x10, 0x00, 0x30, 0x03, 0x02, 0x01, 0x00, 0x30
        ]));
        assert!(is_granted(&[
            0x30, 0x07, 0x30, 0x03, 0x02, 0x01, 0x01, 0x30, 0x00
        ]));
        assert!(!is_granted(&[0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x02]));
        for broken in [&b""[..], b"<html>", &[0x30], &[0x30, 0xff], &[0x30, 0x82, 0x10]] {
            assert!(!is_granted(broken), "{broken:?}");
        }
    }
}
