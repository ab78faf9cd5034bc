//! The folder that holds the archived files and the tables: one program at a time.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use recording_archiver::sim::{Site, World, library};

use super::screen::{count, size};

/// The result of whatever can end `cargo local` early.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Name of the lock, inside the folder.
const LOCK: &str = "lock";

/// The folder, locked for this process until dropped.
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes the folder wherever cargo keeps its output: beside the project, so that `cargo clean` takes it along.
    /// `command` names this process to others.
    pub(crate) fn take(command: &str) -> Result<Self> {
        Self::take_at(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("target/local"),
            command,
        )
    }

    fn take_at(path: PathBuf, command: &str) -> Result<Self> {
        let failed = |error: std::io::Error| format!("locking {}: {error}", shown(&path));
        std::fs::create_dir_all(&path).map_err(failed)?;
        let mut options = File::options();
        let mut lock = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(LOCK))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error).into()),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                lock.read_to_string(&mut holder).map_err(failed)?;
                return Err(format!(
                    "{} is in use by {}.\nStop that first (Ctrl-C in its terminal), or hand it the event: \
                     docs/deploy.md, \"On a laptop\"",
                    shown(&path),
                    if holder.is_empty() {
                        "another process"
                    } else {
                        holder.trim_end()
                    },
                )
                .into());
            }
        }
        lock.set_len(0).map_err(failed)?;
        writeln!(lock, "{command} (process {})", std::process::id()).map_err(failed)?;
        Ok(Self { path, _lock: lock })
    }

    /// Starts the simulators over the folder, with everything that the sample events speak of.
    pub(crate) async fn start(&self, site: Site) -> Result<World> {
        let world = World::in_folder(&self.path, site).await?;
        library::fill(&world.genesys);
        Ok(world)
    }

    /// Removes everything but the lock. Returns what that was, if there was anything.
    pub(crate) fn empty(&self) -> Result<Option<String>> {
        let failed = |error: std::io::Error| format!("emptying {}: {error}", shown(&self.path));
        let (mut files, mut bytes) = (0, 0);
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name() == LOCK {
                continue;
            }
            measure(&entry.path(), &mut files, &mut bytes).map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_dir() {
                std::fs::remove_dir_all(entry.path()).map_err(failed)?;
            } else {
                std::fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        let emptied = format!(
            "Emptied {} ({}, {}).",
            shown(&self.path),
            count(files, "file"),
            size(bytes)
        );
        Ok((files > 0).then_some(emptied))
    }
}

fn measure(path: &Path, files: &mut usize, bytes: &mut u64) -> std::io::Result<()> {
    let about = std::fs::symlink_metadata(path)?;
    if !about.is_dir() {
        *files += 1;
        *bytes += about.len();
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        measure(&entry?.path(), files, bytes)?;
    }
    Ok(())
}

/// Returns a path as one would type it in the project's folder.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(env!("CARGO_MANIFEST_DIR"))
        .unwrap_or(path)
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("archiver-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_second_taker_hears_who_has_the_folder_and_loses_nothing() {
        let path = fresh("lock");
        let first = Folder::take_at(path.clone(), "cargo local -- serve, ports 9101 to 9104").unwrap();
        std::fs::write(path.join("call.wav"), "abc").unwrap();
        let refused = Folder::take_at(path.clone(), "cargo local")
            .err()
            .unwrap()
            .to_string();
        assert!(
            refused.contains("in use by cargo local -- serve, ports 9101 to 9104 (process"),
            "{refused}"
        );
        assert!(path.join("call.wav").exists());
        drop(first);
        let next = Folder::take_at(path.clone(), "cargo local").unwrap();
        drop(next);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn emptying_says_what_was_there_and_keeps_the_lock() {
        let path = fresh("empty");
        let folder = Folder::take_at(path.clone(), "cargo local").unwrap();
        assert_eq!(folder.empty().unwrap(), None);
        std::fs::create_dir_all(path.join("archive/calls")).unwrap();
        std::fs::write(path.join("archive/calls/call.wav"), vec![0; 1_500_000]).unwrap();
        let told = folder.empty().unwrap().unwrap();
        assert!(told.ends_with("(1 file, 1.4 MiB)."), "{told}");
        assert!(path.join(LOCK).exists() && !path.join("archive").exists());
        drop(folder);
        std::fs::remove_dir_all(path).unwrap();
    }
}
