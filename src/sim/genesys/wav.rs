//! WAV files: a header for generated calls, and enough parsing to cut a file in time.

use bytes::Bytes;

/// Bytes of the header that [`Layout::header`] writes for the usual 16-byte `fmt ` chunk.
pub(super) const HEADER: usize = 44;
/// Bytes of one moment of a generated call: two channels of 16 bits.
pub(super) const FRAME: u64 = 4;
/// Bytes of one second of a generated call: telephone quality, 8000 frames.
pub(super) const PER_SECOND: u64 = 8000 * FRAME;

/// Where the sound is in a file, and how fast it passes.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    fmt: Bytes,
    frame: u64,
    per_second: u64,
    /// Offset of the first byte of sound.
    pub(super) data_at: u64,
    /// Bytes of sound.
    pub(super) data_len: u64,
}

impl Layout {
    /// Returns the layout of stereo, 8 kHz, 16 bits, with `data_len` bytes of sound.
    pub(super) fn telephone(data_len: u64) -> Self {
        let mut fmt = Vec::with_capacity(16);
        fmt.extend_from_slice(&1_u16.to_le_bytes()); // PCM
        fmt.extend_from_slice(&2_u16.to_le_bytes()); // channels
        fmt.extend_from_slice(&8000_u32.to_le_bytes());
        fmt.extend_from_slice(&saturate(PER_SECOND).to_le_bytes());
        fmt.extend_from_slice(&4_u16.to_le_bytes()); // bytes of a frame
        fmt.extend_from_slice(&16_u16.to_le_bytes()); // bits of a sample
        Self {
            fmt: fmt.into(),
            frame: FRAME,
            per_second: PER_SECOND,
            data_at: HEADER as u64,
            data_len,
        }
    }

    /// Returns the layout of mono, 8 kHz, µ-law, with `data_len` bytes of sound.
    pub(super) fn mu_law(data_len: u64) -> Self {
        let mut fmt = Vec::with_capacity(16);
        fmt.extend_from_slice(&7_u16.to_le_bytes()); // µ-law
        fmt.extend_from_slice(&1_u16.to_le_bytes()); // channels
        fmt.extend_from_slice(&8000_u32.to_le_bytes());
        fmt.extend_from_slice(&8000_u32.to_le_bytes()); // bytes of a second
        fmt.extend_from_slice(&1_u16.to_le_bytes()); // bytes of a frame
        fmt.extend_from_slice(&8_u16.to_le_bytes()); // bits of a sample
        Self {
            fmt: fmt.into(),
            frame: 1,
            per_second: 8000,
            data_at: HEADER as u64,
            data_len,
        }
    }

    /// Reads the chunks at the start of a file of `len` bytes; `None` if this is no WAV.
    pub(super) fn parse(start: &Bytes, len: u64) -> Option<Self> {
        if start.get(..4)? != b"RIFF" || start.get(8..12)? != b"WAVE" {
            return None;
        }
        let (mut at, mut fmt) = (12_usize, None);
        loop {
            let size = u32::from_le_bytes(start.get(at + 4..at + 8)?.try_into().ok()?);
            let body = at + 8;
            match start.get(at..at + 4)? {
                b"fmt " => {
                    fmt = start
                        .get(body..body + size as usize)
                        .map(|_| start.slice(body..body + size as usize));
                }
                b"data" => {
                    let fmt: Bytes = fmt?;
                    let per_second = u32::from_le_bytes(fmt.get(8..12)?.try_into().ok()?);
                    let frame = u16::from_le_bytes(fmt.get(12..14)?.try_into().ok()?);
                    return (per_second > 0 && frame > 0).then(|| Self {
                        frame: u64::from(frame),
                        per_second: u64::from(per_second),
                        data_at: body as u64,
                        data_len: u64::from(size).min(len.saturating_sub(body as u64)),
                        fmt,
                    });
                }
                _ => {}
            }
            at = body + size as usize + (size as usize & 1); // chunks start at even offsets
        }
    }

    /// Returns how long the sound lasts.
    pub(super) fn millis(&self) -> u64 {
        self.data_len * 1000 / self.per_second
    }

    /// Returns the offset in the sound of the frame that is heard at `millis`.
    pub(super) fn offset_of(&self, millis: u64) -> u64 {
        let offset = u128::from(millis) * u128::from(self.per_second) / 1000;
        let offset = u64::try_from(offset).unwrap_or(u64::MAX).min(self.data_len);
        offset - offset % self.frame
    }

    /// Returns the header of a file with the same kind of sound, `data_len` bytes of it.
    pub(super) fn header(&self, data_len: u64) -> Bytes {
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(b"RIFF");
        header.extend_from_slice(&saturate(20 + self.fmt.len() as u64 + data_len).to_le_bytes());
        header.extend_from_slice(b"WAVEfmt ");
        header.extend_from_slice(&saturate(self.fmt.len() as u64).to_le_bytes());
        header.extend_from_slice(&self.fmt);
        header.extend_from_slice(b"data");
        header.extend_from_slice(&saturate(data_len).to_le_bytes());
        header.into()
    }
}

fn saturate(size: u64) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
