//! What people and programs get to see: results on stdout, as text or as JSON Lines; the way there on stderr.

use std::fmt::{self, Display};
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use anstyle::{AnsiColor, Style};
use recording_archiver::ops::{Error, Interrupt, Kind};
use recording_archiver::redact::{visible, visible_json};
use serde::Serialize;

use crate::args::Common;
use crate::progress::Progress;
use crate::words::Zone;

/// What somebody has to look at.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What is as it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What somebody may want to look at.
pub(crate) const NOTE: Style = AnsiColor::Yellow.on_default();
/// What follows is about it.
const HEAD: Style = Style::new().bold();
/// What is beside the point.
pub(crate) const DIM: Style = Style::new().dimmed();

/// Text for a terminal, piece by piece. A piece is shown, never obeyed: only [`Self::style`] colours, and only
/// [`Self::line`] begins a line, whatever the pieces hold.
#[derive(Debug, Default)]
pub(crate) struct Text(String);

impl Text {
    /// Begins with a plain piece.
    pub(crate) fn new(piece: impl Display) -> Self {
        Self::default().add(piece)
    }

    /// Begins with a piece of this style.
    pub(crate) fn styled(style: Style, piece: impl Display) -> Self {
        Self::default().style(style, piece)
    }

    /// Adds a piece.
    #[must_use]
    pub(crate) fn add(mut self, piece: impl Display) -> Self {
        self.0.push_str(&visible(&piece.to_string()));
        self
    }

    /// Adds a piece of this style.
    #[must_use]
    pub(crate) fn style(self, style: Style, piece: impl Display) -> Self {
        self.ours(&style.to_string())
            .add(piece)
            .ours(&format!("{style:#}"))
    }

    /// Ends the line.
    #[must_use]
    pub(crate) fn line(self) -> Self {
        self.ours("\n")
    }

    /// Adds another text as lines of its own.
    #[must_use]
    pub(crate) fn lines(self, other: &Self) -> Self {
        self.line().ours(&other.0)
    }

    fn ours(mut self, text: &str) -> Self {
        self.0.push_str(text);
        self
    }
}

#[cfg(test)]
impl Text {
    /// Returns it without colours, as snapshots hold it.
    pub(crate) fn plain(&self) -> String {
        anstream::adapter::strip_str(&self.0).to_string()
    }
}

impl Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Text {
    fn from(piece: String) -> Self {
        Self::new(piece)
    }
}

/// Where everything is written. Colours only on a terminal, and never with `NO_COLOR`.
#[derive(Debug)]
pub(crate) struct Out {
    json: bool,
    quiet: bool,
    zone: Zone,
    /// Pulled when nothing more can be written.
    interrupt: Interrupt,
    /// Why a result could not be written.
    lost: Mutex<Option<io::Error>>,
}

impl Out {
    pub(crate) fn new(common: &Common, interrupt: Interrupt) -> Self {
        Self {
            json: common.json,
            quiet: common.quiet,
            zone: common.time_zone.clone(),
            interrupt,
            lost: Mutex::default(),
        }
    }

    /// Returns the time zone of people.
    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Begins to show how far a command got.
    pub(crate) fn progress(&self, what: &'static str) -> Progress {
        Progress::begin(what, self.quiet)
    }

    /// Writes one item: `value` for programs, `text` (one or several lines) for people.
    pub(crate) fn item(&self, value: &impl Serialize, text: impl FnOnce() -> Text) {
        if self.json {
            self.line(json_line(value));
        } else {
            self.line(text());
        }
    }

    /// Writes what the items after it are about; programs find that in the items.
    pub(crate) fn heading(&self, text: impl FnOnce() -> String) {
        if !self.json {
            self.line(Text::styled(HEAD, text()));
        }
    }

    /// Writes how it came out, in figures, after all items.
    pub(crate) fn summary(&self, figures: &impl Serialize, text: impl FnOnce() -> Text) {
        #[derive(Serialize)]
        struct Summary<'a, T> {
            summary: &'a T,
        }
        self.item(&Summary { summary: figures }, text);
    }

    /// Writes bytes as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        self.note_loss(io::stdout().write_all(bytes));
    }

    fn line(&self, line: impl Display) {
        self.note_loss(writeln!(anstream::stdout(), "{line}"));
    }

    /// Remembers that results are lost, and ends the command. A reader that went away (`| head`) wants no more.
    fn note_loss(&self, written: io::Result<()>) {
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.get_or_insert(error);
            self.interrupt.pull();
        }
    }

    /// Fails if a result could not be written.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        self.note_loss(io::stdout().flush());
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner).take();
        match lost {
            None => Ok(()),
            Some(error) => {
                let error = Error::new(Kind::Output, format!("the results cannot be written: {error}"));
                Err(error.remedy("what was written is cut off: make room, and run it again"))
            }
        }
    }

    /// Writes something on the way, for people; not a result.
    pub(crate) fn note(&self, text: impl Into<Text>) {
        if !self.quiet {
            to_stderr(&text.into());
        }
    }

    /// Writes why it could not be done, and the way out.
    pub(crate) fn error(&self, error: &Error) {
        if self.json {
            error_line(error);
        } else {
            to_stderr(&error_text(error));
        }
    }
}

/// Writes an error for programs.
pub(crate) fn error_line(error: &Error) {
    #[derive(Serialize)]
    struct Told<'a> {
        kind: &'static str,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        fix: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        service: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct Line<'a> {
        error: Told<'a>,
    }
    let line = json_line(&Line {
        error: Told {
            kind: error.kind().as_str(),
            message: error.to_string(),
            fix: error.way_out(),
            service: error.unreachable(),
            url: error.url(),
        },
    });
    to_stderr(&Text(line));
}

/// Writes a value for programs. What is written has text keys and finite numbers, so it can be.
fn json_line(value: &impl Serialize) -> String {
    visible_json(&serde_json::to_string(value).unwrap_or_default())
}

/// Writes lines of the log to stderr, in which foreign text is shown and not obeyed.
#[derive(Debug)]
pub(crate) struct LogWriter;

impl io::Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let (line_only, end) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        io::stderr().write_all(format!("{}{end}", visible(line_only)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn to_stderr(text: &Text) {
    // Where errors cannot be written, there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "{text}");
}

fn error_text(error: &Error) -> Text {
    let text = Text::styled(BAD, "error:").add(format!(" {error}"));
    match error.way_out() {
        Some(way_out) => text.line().style(NOTE, "  fix:").add(format!(" {way_out}")),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_colour_nothing_and_begin_no_line() {
        let evil = "a\u{1b}[31m\nb\u{202e}";
        let text = Text::styled(BAD, evil)
            .add(evil)
            .line()
            .add("c")
            .lines(&Text::new("d"));
        let plain = r"a\u{1b}[31m\nb\u{202e}";
        assert_eq!(text.plain(), format!("{plain}{plain}\nc\nd"));
        assert_eq!(
            text.to_string().matches('\u{1b}').count(),
            3,
            "bold, red, and their end"
        );
    }

    #[test]
    fn an_error_comes_with_the_way_out() {
        let error = Error::new(recording_archiver::ops::Kind::Usage, "which days?").remedy("give --from");
        insta::assert_snapshot!(error_text(&error).plain(), @r"
        error: which days?
          fix: give --from
        ");
    }
}
