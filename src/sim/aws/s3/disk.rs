//! Objects as plain files.
//!
//! `archive/<bucket>/<key>` holds the bytes and nothing else, so a person finds playable files there.
//! Facts of S3 beyond the bytes lie in `.s3`: `attributes/<bucket>/<key>.json`, and in `incoming`
//! all that is not yet an object. An object appears by one rename, under the lock that also decides
//! who of two racing writers was first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, StreamExt as _};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uuid::Uuid;

use super::attributes::Attributes;
use super::checksum::{Digest, Hashing};
pub(super) use super::paths::internal;
use super::paths::{create_parent, files_below};
use super::versions::{Place, Stored, Version, Versions};

/// Large enough to keep the number of file system calls small, small enough not to matter.
const CHUNK: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Disk {
    archive: PathBuf,
    attributes: PathBuf,
    incoming: PathBuf,
    versions: Versions,
    commit: Mutex<()>,
}

/// A file that is not an object yet; gone when dropped.
#[derive(Debug)]
pub(super) struct Incoming(PathBuf);

impl Drop for Incoming {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.0);
    }
}

impl Disk {
    /// Opens the store. Unfinished uploads of an earlier run are forgotten, as if a lifecycle rule had aborted them.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let disk = Self {
            archive: folder.join("archive"),
            attributes: folder.join(".s3/attributes"),
            incoming: folder.join(".s3/incoming"),
            versions: Versions::at(&folder.join(".s3")),
            commit: Mutex::new(()),
        };
        match fs::remove_dir_all(&disk.incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for path in [&disk.archive, &disk.attributes, &disk.incoming] {
            fs::create_dir_all(path)?;
        }
        Ok(disk)
    }

    pub(super) fn create_bucket(&self, bucket: &str) -> S3Result<()> {
        fs::create_dir(self.archive.join(bucket)).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => s3_error!(BucketAlreadyOwnedByYou),
            _ => internal(error),
        })
    }

    pub(super) fn buckets(&self) -> S3Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.archive).map_err(internal)? {
            let entry = entry.map_err(internal)?;
            if entry.path().is_dir() {
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn bucket(&self, bucket: &str) -> S3Result<PathBuf> {
        let path = self.archive.join(bucket);
        if path.is_dir() {
            return Ok(path);
        }
        Err(s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }

    pub(super) fn object_path(&self, bucket: &str, key: &str) -> PathBuf {
        self.archive.join(bucket).join(key)
    }

    /// Returns the path of a key in an existing bucket. Some keys that S3 takes are not names of files.
    fn checked_path(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        self.bucket(bucket)?;
        if key.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(s3_error!(
                NotImplemented,
                "The simulator keeps objects as files and cannot store this key"
            ));
        }
        Ok(self.object_path(bucket, key))
    }

    fn attributes_path(&self, bucket: &str, key: &str) -> PathBuf {
        self.attributes.join(bucket).join(format!("{key}.json"))
    }

    /// Writes a body to disk while hashing it.
    pub(super) async fn receive(
        &self,
        body: StreamingBlob,
        hashing: Hashing,
    ) -> S3Result<(Incoming, Digest)> {
        let broken = |error| S3Error::with_source(S3ErrorCode::IncompleteBody, error);
        self.write(body, hashing, broken).await
    }

    /// Appends files to one another while hashing the whole.
    pub(super) async fn assemble(
        &self,
        parts: &[&Incoming],
        hashing: Hashing,
    ) -> S3Result<(Incoming, Digest)> {
        let paths: Vec<_> = parts.iter().map(|part| part.0.clone()).collect();
        let chunks = futures_util::stream::iter(paths)
            .then(|path| async move { tokio::fs::File::open(path).await })
            .flat_map(|file| match file {
                Ok(file) => chunks(file, u64::MAX).boxed(),
                Err(error) => futures_util::stream::iter([Err(error)]).boxed(),
            });
        self.write(std::pin::pin!(chunks), hashing, internal).await
    }

    async fn write<E>(
        &self,
        mut source: impl Stream<Item = Result<bytes::Bytes, E>> + Unpin,
        mut hashing: Hashing,
        broken: impl Fn(E) -> S3Error,
    ) -> S3Result<(Incoming, Digest)> {
        let incoming = Incoming(self.incoming.join(Uuid::new_v4().to_string()));
        let file = tokio::fs::File::create(&incoming.0).await.map_err(internal)?;
        let mut file = tokio::io::BufWriter::with_capacity(CHUNK, file);
        while let Some(chunk) = source.next().await {
            let chunk = chunk.map_err(&broken)?;
            hashing.update(&chunk);
            file.write_all(&chunk).await.map_err(internal)?;
        }
        file.flush().await.map_err(internal)?;
        Ok((incoming, hashing.finish()))
    }

    /// Makes an object visible; with `only_if_absent` at most one of all racing writers gets through.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
    pub(super) fn publish(
        &self,
        incoming: &Incoming,
        (bucket, key): (&str, &str),
        attributes: &Attributes,
        only_if_absent: bool,
    ) -> S3Result<Option<String>> {
        let _first = self.lock();
        let path = self.checked_path(bucket, key)?;
        if only_if_absent && path.is_file() {
            return Err(precondition_failed());
        }
        let version_id = self.versions.begin(bucket, self.place(bucket, key))?;
        create_parent(&path)?;
        let attributes = Attributes {
            version_id: version_id.clone(),
            ..attributes.clone()
        };
        self.write_attributes(bucket, key, &attributes)?;
        fs::rename(&incoming.0, &path).map_err(internal)?;
        Ok(version_id)
    }

    /// Returns the files of an object.
    fn place(&self, bucket: &str, key: &str) -> Place {
        Place {
            bytes: self.object_path(bucket, key),
            attributes: self.attributes_path(bucket, key),
            older: self.versions.folder(bucket, key),
        }
    }

    /// Fails early where [`publish`](Self::publish) is bound to fail.
    pub(super) fn check_absent(&self, bucket: &str, key: &str) -> S3Result<()> {
        if self.checked_path(bucket, key)?.is_file() {
            return Err(precondition_failed());
        }
        Ok(())
    }

    pub(super) fn stored(&self, bucket: &str, key: &str) -> S3Result<Stored> {
        let _consistent = self.lock();
        let path = self.checked_path(bucket, key)?;
        if !path.is_file() {
            return Err(s3_error!(NoSuchKey, "The specified key does not exist."));
        }
        let file = fs::File::open(&path).map_err(internal)?;
        let meta = file.metadata().map_err(internal)?;
        let attributes = self.read_attributes(bucket, key)?;
        Ok(Stored {
            file,
            meta,
            attributes,
        })
    }

    /// Returns a version of an object; the newest one without an id.
    pub(super) fn stored_version(&self, bucket: &str, key: &str, id: Option<&str>) -> S3Result<Stored> {
        let Some(id) = id else {
            return self.stored(bucket, key);
        };
        let _consistent = self.lock();
        let versions = self.versions.of(&self.place(bucket, key))?;
        let named = versions.into_iter().find(|version| version.id == id);
        let version =
            named.ok_or_else(|| s3_error!(NoSuchVersion, "The specified version does not exist."))?;
        if version.is_marker {
            return Err(s3_error!(
                MethodNotAllowed,
                "The specified method is not allowed against this resource."
            ));
        }
        version.open()
    }

    /// Changes attributes of an object that is there.
    pub(super) fn change(
        &self,
        bucket: &str,
        key: &str,
        change: impl FnOnce(&mut Attributes) -> S3Result<()>,
    ) -> S3Result<()> {
        let _alone = self.lock();
        if !self.checked_path(bucket, key)?.is_file() {
            return Err(s3_error!(NoSuchKey, "The specified key does not exist."));
        }
        let mut attributes = self.read_attributes(bucket, key)?;
        change(&mut attributes)?;
        self.write_attributes(bucket, key, &attributes)
    }

    /// Changes attributes of a version of an object; of the newest one without an id.
    pub(super) fn change_version(
        &self,
        bucket: &str,
        key: &str,
        id: Option<&str>,
        change: impl FnOnce(&mut Attributes) -> S3Result<()>,
    ) -> S3Result<()> {
        let Some(id) = id else {
            return self.change(bucket, key, change);
        };
        let _alone = self.lock();
        let versions = self.versions.of(&self.place(bucket, key))?;
        let named = versions.into_iter().find(|version| version.id == id);
        let version =
            named.ok_or_else(|| s3_error!(NoSuchVersion, "The specified version does not exist."))?;
        version.change(change)
    }

    /// Begins to keep every version of the bucket's objects.
    pub(super) fn keep_versions(&self, bucket: &str) -> S3Result<()> {
        self.bucket(bucket)?;
        self.versions.keep(bucket)
    }

    /// Returns whether the bucket keeps versions.
    pub(super) fn keeps_versions(&self, bucket: &str) -> S3Result<bool> {
        self.bucket(bucket)?;
        Ok(self.versions.are_kept(bucket))
    }

    /// Returns the versions of the keys with this prefix, by key, the newest of each first.
    pub(super) fn versions(&self, bucket: &str, prefix: &str) -> S3Result<Vec<(String, Version)>> {
        let _consistent = self.lock();
        let mut keys = self.keys(bucket)?;
        keys.extend(self.versions.keys(bucket)?);
        keys.retain(|key| key.starts_with(prefix));
        keys.sort();
        keys.dedup();
        let mut all = Vec::new();
        for key in keys {
            let versions = self.versions.of(&self.place(bucket, &key))?;
            all.extend(versions.into_iter().map(|version| (key.clone(), version)));
        }
        Ok(all)
    }

    /// Deletes a version, whatever its age. The newest of those that are left is the object then.
    pub(super) fn delete_version(&self, bucket: &str, key: &str, id: &str) -> S3Result<()> {
        let _alone = self.lock();
        self.checked_path(bucket, key)?;
        self.versions.delete(&self.place(bucket, key), id)
    }

    /// Deletes an object; where versions are kept, by a marker above them. One that is not there counts as deleted, as
    /// on S3.
    pub(super) fn delete(&self, bucket: &str, key: &str) -> S3Result<()> {
        let _alone = self.lock();
        let path = self.checked_path(bucket, key)?;
        if self.versions.are_kept(bucket) {
            return self.versions.mark_deleted(bucket, &self.place(bucket, key));
        }
        for (path, top) in [
            (path, self.archive.join(bucket)),
            (self.attributes_path(bucket, key), self.attributes.clone()),
        ] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(internal(error)),
                _ => {}
            }
            // S3 has no folders: those that only led to this object go with it.
            for folder in path.ancestors().skip(1).take_while(|folder| *folder != top) {
                if fs::remove_dir(folder).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Returns all keys of a bucket in the order of their bytes.
    pub(super) fn keys(&self, bucket: &str) -> S3Result<Vec<String>> {
        let mut keys = files_below(&self.bucket(bucket)?)?;
        keys.sort();
        Ok(keys)
    }

    fn read_attributes(&self, bucket: &str, key: &str) -> S3Result<Attributes> {
        match fs::read(self.attributes_path(bucket, key)) {
            Ok(json) => serde_json::from_slice(&json).map_err(internal),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Attributes::default()),
            Err(error) => Err(internal(error)),
        }
    }

    fn write_attributes(&self, bucket: &str, key: &str, attributes: &Attributes) -> S3Result<()> {
        let path = self.attributes_path(bucket, key);
        create_parent(&path)?;
        let json = serde_json::to_vec_pretty(attributes).map_err(internal)?;
        fs::write(path, json).map_err(internal)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.commit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the next `length` bytes of a file.
pub(super) fn chunks(
    file: tokio::fs::File,
    length: u64,
) -> impl Stream<Item = io::Result<bytes::Bytes>> + Send + Sync + 'static {
    futures_util::stream::try_unfold(file.take(length), |mut file| async move {
        let mut chunk = bytes::BytesMut::with_capacity(CHUNK);
        let read = file.read_buf(&mut chunk).await?;
        Ok((read > 0).then(|| (chunk.freeze(), file)))
    })
}

fn precondition_failed() -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold"
    )
}
