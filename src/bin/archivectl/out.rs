//! Output for people and programs: results on stdout, as text or as JSON Lines; progress and errors on stderr.

use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use recording_archiver::ops::{Ended, Error, Interrupt, Kind};
use recording_archiver::redact::{visible, visible_json};
use serde::Serialize;

use crate::args::Common;
use crate::progress::Progress;
use crate::text::{BAD, HEAD, NOTE, Text, width};
use crate::words::Zone;

/// Where everything is written. Colours only on a terminal, and never with `NO_COLOR`.
#[derive(Debug)]
pub(crate) struct Out {
    json: bool,
    quiet: bool,
    verbose: bool,
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
            verbose: common.verbose > 0,
            zone: common.time_zone.clone(),
            interrupt,
            lost: Mutex::default(),
        }
    }

    /// Returns the time zone of people.
    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Returns whether results go to programs (--json).
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Returns whether people asked for every detail (-v).
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Begins to show how far a command got.
    pub(crate) fn progress(&self, what: &'static str) -> Progress {
        Progress::begin(what, self.quiet)
    }

    /// Writes one item: `value` for programs, `text` (one or several lines) for people.
    pub(crate) fn item(&self, value: &impl Serialize, text: impl FnOnce() -> Text) {
        if self.json {
            self.line(&json_line(value));
        } else {
            self.text(&text());
        }
    }

    /// Writes an item that people only see if they ask for every detail (-v).
    pub(crate) fn detail(&self, value: &impl Serialize, text: impl FnOnce() -> Text) {
        if self.json || self.verbose {
            self.item(value, text);
        }
    }

    /// Writes what the items after it are about; programs find that in the items.
    pub(crate) fn heading(&self, text: impl FnOnce() -> String) {
        if !self.json {
            self.text(&Text::styled(HEAD, text()));
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

    /// Writes how it came out so far. Where an error ended it before it had `begun`, the error says all there is for
    /// people.
    pub(crate) fn ended<T: Serialize>(&self, ended: &Ended<T>, begun: bool, text: impl FnOnce() -> Text) {
        let failed = ended.end.as_ref().is_err_and(|error| !error.is_interruption());
        if self.json || begun || !failed {
            self.summary(&ended.figures, text);
        }
    }

    /// Writes bytes as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        self.note_loss(io::stdout().write_all(bytes));
    }

    /// Writes text for people, folded at the width of the terminal.
    fn text(&self, text: &Text) {
        self.line(&text.folded(width()));
    }

    fn line(&self, line: &str) {
        self.note_loss(writeln!(anstream::stdout(), "{line}"));
    }

    /// Remembers that results are lost, and ends the command. A reader that went away (`| head`) wants no more.
    pub(crate) fn note_loss(&self, written: io::Result<()>) {
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
        lost.map_or(Ok(()), |error| Err(cut_off(&error)))
    }

    /// Writes something on the way, for people; not a result.
    pub(crate) fn note(&self, text: impl Into<Text>) {
        if !self.quiet {
            people(&text.into());
        }
    }

    /// Writes why it could not be done, and the way out.
    pub(crate) fn error(&self, error: &Error) {
        if self.json {
            error_line(error);
        } else {
            error_people(error);
        }
    }
}

/// Writes help or the version to stdout. A reader that went away (`| head`) wants no more.
pub(crate) fn help(text: &clap::builder::StyledStr) -> Result<(), Error> {
    let mut stdout = anstream::stdout();
    let written = write!(stdout, "{}", text.ansi()).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(cut_off(&error)),
        _ => Ok(()),
    }
}

fn cut_off(error: &io::Error) -> Error {
    let error = Error::new(Kind::Output, format!("the results cannot be written: {error}"));
    error.remedy("what was written is cut off: make room, and run it again")
}

/// Writes an error for people.
pub(crate) fn error_people(error: &Error) {
    people(&error_text(error));
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
    to_stderr(&line);
}

/// Writes a value for programs. What is written has text keys and finite numbers, so it can be.
pub(crate) fn json_line(value: &impl Serialize) -> String {
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

/// Writes text for people to stderr, folded at the width of the terminal.
fn people(text: &Text) {
    to_stderr(&text.folded(width()));
}

fn to_stderr(text: &str) {
    // Where errors cannot be written, there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "{text}");
}

fn error_text(error: &Error) -> Text {
    let text = Text::styled(BAD, "error:").add(" ").hang().add(error);
    match error.way_out() {
        Some(way_out) => {
            let text = text.line().style(NOTE, "  fix:").add(" ").hang();
            text.add(way_out)
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_comes_with_the_way_out() {
        let error = Error::new(recording_archiver::ops::Kind::Usage, "which days?").remedy("give --from");
        insta::assert_snapshot!(error_text(&error).plain(), @r"
        error: which days?
          fix: give --from
        ");
    }
}
