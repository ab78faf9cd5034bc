//! The versions of objects, in buckets that keep them.
//!
//! The newest version of an object is the file in the archive folder. Older ones, and delete markers, lie in
//! `.s3/versions/<bucket>/<key>/`, named by their order: `000001.bytes` with `000001.json`, or `000001.json` alone for
//! a marker. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html>

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use s3s::S3Result;
use s3s::dto::Timestamp;
use uuid::Uuid;

use super::attributes::Attributes;
use super::paths::{create_parent, files_below, internal};

/// The folder of all versions but the newest ones.
#[derive(Debug)]
pub(super) struct Versions(PathBuf);

/// The files of one object.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) bytes: PathBuf,
    pub(super) attributes: PathBuf,
    /// The folder of its older versions.
    pub(super) older: PathBuf,
}

/// A version of an object, or a delete marker.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) is_latest: bool,
    pub(super) is_marker: bool,
    pub(super) size: u64,
    pub(super) written: Timestamp,
    pub(super) attributes: Attributes,
    bytes: PathBuf,
    described: PathBuf,
}

/// An object as one consistent pair of bytes and attributes.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) file: fs::File,
    pub(super) meta: fs::Metadata,
    pub(super) attributes: Attributes,
}

impl Version {
    /// Changes its attributes.
    pub(super) fn change(mut self, change: impl FnOnce(&mut Attributes) -> S3Result<()>) -> S3Result<()> {
        change(&mut self.attributes)?;
        let json = serde_json::to_vec_pretty(&self.attributes).map_err(internal)?;
        fs::write(&self.described, json).map_err(internal)
    }

    /// Opens its bytes.
    pub(super) fn open(self) -> S3Result<Stored> {
        let file = fs::File::open(&self.bytes).map_err(internal)?;
        let meta = file.metadata().map_err(internal)?;
        Ok(Stored {
            file,
            meta,
            attributes: self.attributes,
        })
    }
}

impl Versions {
    pub(super) fn at(folder: &Path) -> Self {
        Self(folder.join("versions"))
    }

    fn switch(&self, bucket: &str) -> PathBuf {
        self.0.join(format!("{bucket}.kept"))
    }

    /// Begins to keep them. Objects that are there have the version `null`.
    pub(super) fn keep(&self, bucket: &str) -> S3Result<()> {
        fs::create_dir_all(self.0.join(bucket)).map_err(internal)?;
        fs::write(self.switch(bucket), []).map_err(internal)
    }

    pub(super) fn are_kept(&self, bucket: &str) -> bool {
        self.switch(bucket).is_file()
    }

    pub(super) fn folder(&self, bucket: &str, key: &str) -> PathBuf {
        self.0.join(bucket).join(key)
    }

    /// Returns the keys that have older versions or markers.
    pub(super) fn keys(&self, bucket: &str) -> S3Result<Vec<String>> {
        let top = self.0.join(bucket);
        if !top.is_dir() {
            return Ok(Vec::new());
        }
        let files = files_below(&top)?.into_iter();
        Ok(files
            .filter_map(|file| Some(file.rsplit_once('/')?.0.to_owned()))
            .collect())
    }

    /// Makes room for a new version, whose id it returns; `None` where no versions are kept.
    pub(super) fn begin(&self, bucket: &str, place: Place) -> S3Result<Option<String>> {
        if !self.are_kept(bucket) {
            return Ok(None);
        }
        retire(&place)?;
        Ok(Some(new_id()))
    }

    /// Puts a delete marker above all versions.
    pub(super) fn mark_deleted(&self, bucket: &str, place: &Place) -> S3Result<()> {
        debug_assert!(self.are_kept(bucket));
        retire(place)?;
        let marker = Attributes {
            version_id: Some(new_id()),
            ..Attributes::default()
        };
        let json = serde_json::to_vec_pretty(&marker).map_err(internal)?;
        let path = next_path(place)?.with_extension("json");
        create_parent(&path)?;
        fs::write(path, json).map_err(internal)
    }

    /// Returns all versions and markers, the newest first.
    pub(super) fn of(&self, place: &Place) -> S3Result<Vec<Version>> {
        let mut all = Vec::new();
        if place.bytes.is_file() {
            all.push(version(place.bytes.clone(), place.attributes.clone())?);
        }
        if place.older.is_dir() {
            let mut files = files_below(&place.older)?;
            // Keys below this one have folders of their own.
            files.retain(|file| file.ends_with(".json") && !file.contains('/'));
            files.sort();
            for file in files.iter().rev() {
                let described = place.older.join(file);
                all.push(version(described.with_extension("bytes"), described)?);
            }
        }
        if let Some(latest) = all.first_mut() {
            latest.is_latest = true;
        }
        Ok(all)
    }

    /// Deletes a version. One that is not there counts as deleted.
    pub(super) fn delete(&self, place: &Place, id: &str) -> S3Result<()> {
        let Some(gone) = self.of(place)?.into_iter().find(|version| version.id == id) else {
            return Ok(());
        };
        for path in [&gone.bytes, &gone.described] {
            if path.is_file() {
                fs::remove_file(path).map_err(internal)?;
            }
        }
        match self.of(place)?.into_iter().next() {
            Some(newest) if !newest.is_marker && newest.bytes != place.bytes => {
                for (from, to) in [
                    (&newest.bytes, &place.bytes),
                    (&newest.described, &place.attributes),
                ] {
                    create_parent(to)?;
                    fs::rename(from, to).map_err(internal)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Moves the newest version to the older ones.
fn retire(place: &Place) -> S3Result<()> {
    if !place.bytes.is_file() {
        return Ok(());
    }
    let path = next_path(place)?;
    create_parent(&path)?;
    fs::rename(&place.bytes, path.with_extension("bytes")).map_err(internal)?;
    if place.attributes.is_file() {
        return fs::rename(&place.attributes, path.with_extension("json")).map_err(internal);
    }
    let json = serde_json::to_vec(&Attributes::default()).map_err(internal)?;
    fs::write(path.with_extension("json"), json).map_err(internal)
}

/// Returns the path of the next older version, without its extension.
fn next_path(place: &Place) -> S3Result<PathBuf> {
    let files = if place.older.is_dir() {
        files_below(&place.older)?
    } else {
        Vec::new()
    };
    let numbers = files
        .iter()
        .filter_map(|file| file.split('.').next()?.parse::<u32>().ok());
    let next = numbers.max().unwrap_or_default() + 1;
    Ok(place.older.join(format!("{next:06}.x")))
}

fn version(bytes: PathBuf, described: PathBuf) -> S3Result<Version> {
    let attributes: Attributes = match fs::read(&described) {
        Ok(json) => serde_json::from_slice(&json).map_err(internal)?,
        Err(_) => Attributes::default(),
    };
    let meta = fs::metadata(&bytes).ok();
    let written = meta.as_ref().and_then(|meta| meta.modified().ok());
    Ok(Version {
        id: attributes.version_id.clone().unwrap_or_else(|| "null".to_owned()),
        is_latest: false,
        is_marker: meta.is_none(),
        size: meta.map(|meta| meta.len()).unwrap_or_default(),
        written: written.unwrap_or_else(SystemTime::now).into(),
        attributes,
        bytes,
        described,
    })
}

fn new_id() -> String {
    Uuid::new_v4().simple().to_string()
}
