//! Output to stdout: colours on a terminal, plain lines otherwise, and a quiet end when the reader went away.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

/// The style and the detail of the output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    terminal: bool,
    colours: bool,
    /// `true`: every detail is wanted.
    pub(crate) verbose: bool,
}

impl Screen {
    pub(crate) fn detect(verbose: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            terminal,
            colours: terminal && !no_color,
            verbose,
        }
    }

    /// Writes a line. A reader that went away (`| head`) is an error, which ends the program without a word.
    pub(crate) fn line(&self, text: impl Display) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{text}")
    }

    /// Shows what is being done, until the next line takes its place.
    pub(crate) fn progress(&self, what: &str) -> io::Result<()> {
        if !self.terminal {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        write!(stdout, "… {what}\r")?;
        stdout.flush()
    }

    pub(crate) fn mark(&self, good: bool) -> &'static str {
        match (good, self.colours) {
            (true, true) => "\x1b[32m✓\x1b[0m",
            (true, false) => "✓",
            (false, true) => "\x1b[31m✗\x1b[0m",
            (false, false) => "✗",
        }
    }
}

/// Returns a number with its noun: `1 event`, `2 events`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Returns a size for people: `640 bytes`, `92.2 KiB`, `104.4 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
    let of = |unit: u64| bytes as f64 / unit as f64;
    match bytes {
        0..0x400 => count(usize::try_from(bytes).unwrap_or_default(), "byte"),
        0x400..0x10_0000 => format!("{:.1} KiB", of(0x400)),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", of(0x10_0000)),
        _ => format!("{:.1} GiB", of(0x4000_0000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_numbers_read_well() {
        assert_eq!(count(1, "event"), "1 event");
        assert_eq!(count(0, "event"), "0 events");
        assert_eq!(size(1), "1 byte");
        assert_eq!(size(94_412), "92.2 KiB");
        assert_eq!(size(109_440_044), "104.4 MiB");
        assert_eq!(size(2_500_000_000), "2.3 GiB");
    }
}
