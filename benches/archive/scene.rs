//! Source and sink: the simulators over a folder in memory, and conversations with recordings of a size.

use std::path::{Path, PathBuf};

use recording_archiver::sim::genesys::{Conversation, Media, Recording};
use recording_archiver::sim::{BUCKET, Ports, World};

use crate::Result;

/// A world that goes away with everything in it.
pub(crate) struct Scene {
    pub(crate) world: World,
    folder: PathBuf,
    conversations: u64,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Bytes to archive.
pub(crate) struct Call {
    pub(crate) media: Media,
    pub(crate) sha256: String,
    pub(crate) size: u64,
}

impl Scene {
    pub(crate) async fn new() -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let folder = parent.join(format!("archive-bench-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            world: World::in_folder(&folder, Ports::default()).await?,
            folder,
            conversations: 0,
        })
    }

    /// A call of about this size, generated as it is served.
    pub(crate) fn call(size: u64) -> Result<Call> {
        let media = Media::generated_wav(size, 1);
        Ok(Call {
            sha256: media.sha256()?,
            size: media.len()?,
            media,
        })
    }

    /// A new conversation with this call; gives its id.
    pub(crate) fn conversation(&mut self, call: &Call) -> String {
        self.conversations += 1;
        let n = self.conversations;
        let id = format!("c0000000-0000-4000-8000-{n:012}");
        let recording = Recording::audio(format!("e0000000-0000-4000-8000-{n:012}"), [call.media.clone()]);
        self.world
            .genesys
            .add(Conversation::new(&id).recording(recording));
        id
    }

    /// Frees the memory of what was archived.
    pub(crate) async fn clear(&self) -> Result<()> {
        let s3 = self.world.aws.s3();
        let listed = s3.list_objects_v2().bucket(BUCKET).send().await?;
        for key in listed.contents().iter().filter_map(|object| object.key()) {
            s3.delete_object().bucket(BUCKET).key(key).send().await?;
        }
        Ok(())
    }
}
