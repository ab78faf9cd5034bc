//! The bytes of a media file, wherever they come from: always read by offset, never held as a whole.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::format::Format;
use super::wav::{self, Layout};

/// The most that is read at once, and the period of generated sound.
pub(super) const CHUNK: u64 = 64 * 1024;

/// Bytes that can be read at any offset.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Bytes(Bytes),
    File(PathBuf),
    /// A header, then noise in blocks of [`CHUNK`] that differ in their first eight bytes only.
    Call {
        header: Bytes,
        noise: Arc<[u8]>,
        len: u64,
    },
    /// Part of another file under a header of its own.
    Cut {
        header: Bytes,
        whole: Box<Content>,
        from: u64,
        len: u64,
    },
}

impl Content {
    /// Returns a stereo call of `len` bytes, cut down to whole frames; the same seed gives the same bytes.
    pub(super) fn call(len: u64, seed: u64) -> Self {
        let most = u64::from(u32::MAX) - 36; // what the header can still express
        let sound = len.saturating_sub(wav::HEADER as u64).min(most) / wav::FRAME * wav::FRAME;
        let mut state = seed;
        let noise = (0..CHUNK / 8)
            .flat_map(|_| split_mix(&mut state).to_le_bytes())
            .collect();
        Self::Call {
            header: Layout::telephone(sound).header(sound),
            noise,
            len: sound + wav::HEADER as u64,
        }
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(path) => path.metadata()?.len(),
            Self::Call { len, .. } => *len,
            Self::Cut { header, len, .. } => header.len() as u64 + len,
        })
    }

    /// Returns up to `len` bytes from `at`: fewer at inner borders and at the end, none only past the end.
    pub(super) fn read(&self, at: u64, len: u64) -> io::Result<Bytes> {
        let len = len.min(CHUNK).min(self.len()?.saturating_sub(at));
        match self {
            Self::Bytes(bytes) => Ok(within(bytes, at, len)),
            Self::File(path) => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(at))?;
                let mut buffer = BytesMut::zeroed(narrow(len));
                file.read_exact(&mut buffer)?;
                Ok(buffer.freeze())
            }
            Self::Call { header, .. } | Self::Cut { header, .. } if at < header.len() as u64 => {
                Ok(within(header, at, len.min(header.len() as u64 - at)))
            }
            Self::Call { header, noise, .. } => Ok(sound(noise, at - header.len() as u64, len)),
            Self::Cut {
                header, whole, from, ..
            } => whole.read(from + at - header.len() as u64, len),
        }
    }

    /// Returns how long a WAV lasts; `None` for anything else.
    pub(super) fn millis(&self) -> Option<u64> {
        self.layout().map(|layout| layout.millis())
    }

    /// Returns the sound from `start` to `end` (milliseconds) as a WAV; `None` if this is no WAV.
    pub(super) fn cut(self, start: u64, end: u64) -> Option<Self> {
        let layout = self.layout()?;
        let (from, to) = (layout.offset_of(start), layout.offset_of(end));
        let len = to.saturating_sub(from);
        Some(Self::Cut {
            header: layout.header(len),
            whole: Box::new(self),
            from: layout.data_at + from,
            len,
        })
    }

    /// Returns the file in another format, if it is sound in a format that is known: the start of the one asked for,
    /// and then all of this. Nobody can listen to it except as a WAV, but nobody can take it for the same bytes
    /// either.
    pub(super) fn transcoded(self, format: Format) -> Self {
        let found = self.read(0, CHUNK).ok().and_then(|start| Format::of(&start));
        let len = self.len().unwrap_or_default() / wav::FRAME * wav::FRAME;
        match format.header(len) {
            Some(header) if found.is_some_and(|found| found != format) => Self::Cut {
                header,
                whole: Box::new(self),
                from: 0,
                len,
            },
            _ => self,
        }
    }

    fn layout(&self) -> Option<Layout> {
        Layout::parse(&self.read(0, CHUNK).ok()?, self.len().ok()?)
    }
}

fn sound(noise: &[u8], at: u64, len: u64) -> Bytes {
    let mut bytes = BytesMut::with_capacity(narrow(len));
    while (bytes.len() as u64) < len {
        let (block, within) = (
            (at + bytes.len() as u64) / CHUNK,
            narrow((at + bytes.len() as u64) % CHUNK),
        );
        let take = (noise.len() - within).min(narrow(len) - bytes.len());
        let start = bytes.len();
        bytes.extend_from_slice(&noise[within..within + take]);
        // The number of the block makes blocks tell apart: one lost, doubled or swapped is noticed.
        for (byte, stamp) in bytes[start..]
            .iter_mut()
            .zip(block.to_le_bytes().into_iter().skip(within))
        {
            *byte ^= stamp;
        }
    }
    bytes.freeze()
}

fn within(bytes: &Bytes, at: u64, len: u64) -> Bytes {
    let at = narrow(at).min(bytes.len());
    bytes.slice(at..at + narrow(len).min(bytes.len() - at))
}

fn narrow(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Returns the next number of SplitMix64: well spread numbers from consecutive seeds, in three lines.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
