//! Every version and delete marker in the log's bucket, which has one of each object and no markers.

use super::store::LogStore;
use crate::aws::failed;
use crate::error::Error;

/// A page of the bucket.
#[derive(Debug, Default)]
pub struct VersionPage {
    /// The key of each version, in order: twice where an object has two.
    pub keys: Vec<String>,
    /// The keys of the delete markers.
    pub markers: Vec<String>,
    /// The beginning of the next page; `None` after the last one.
    pub next: Option<VersionMark>,
}

/// The beginning of a page.
#[derive(Debug, Clone)]
pub struct VersionMark {
    key: Option<String>,
    version: Option<String>,
}

impl LogStore {
    /// Returns a page of all versions and delete markers, from `from` on. Keys of the log hold no letter that S3 would
    /// encode.
    pub async fn versions(&self, from: Option<VersionMark>) -> Result<VersionPage, Error> {
        let (key, version) = from.map(|from| (from.key, from.version)).unzip();
        let listed = self
            .client
            .list_object_versions()
            .bucket(&self.bucket)
            .set_key_marker(key.flatten())
            .set_version_id_marker(version.flatten())
            .send()
            .await
            .map_err(|error| failed(&format!("listing the versions of s3://{}", self.bucket), error))?;
        let keys = listed.versions().iter().filter_map(|version| version.key());
        let markers = listed.delete_markers().iter().filter_map(|marker| marker.key());
        Ok(VersionPage {
            keys: keys.map(str::to_owned).collect(),
            markers: markers.map(str::to_owned).collect(),
            next: (listed.is_truncated() == Some(true)).then(|| VersionMark {
                key: listed.next_key_marker.clone(),
                version: listed.next_version_id_marker.clone(),
            }),
        })
    }
}
