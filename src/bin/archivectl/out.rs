//! What people and programs get to see: results on stdout, as text or as JSON Lines; the way there on stderr.

use std::error::Error;
use std::fmt::{self, Display};
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use recording_archiver::redact::{visible, visible_json};
use serde_json::{Value, json};

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
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    json: bool,
}

impl Out {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// One item: `value` for programs, `text` (one or several lines) for people.
    pub(crate) fn item(self, value: &Value, text: impl FnOnce() -> Text) {
        let line = if self.json {
            visible_json(&value.to_string())
        } else {
            text().to_string()
        };
        // A reader that went away (`| head`) is no reason to fail.
        let _ = writeln!(anstream::stdout(), "{line}");
    }

    /// What the items after it are about; programs find that in the items.
    pub(crate) fn heading(self, text: impl FnOnce() -> String) {
        if !self.json {
            let _ = writeln!(anstream::stdout(), "{}", Text::styled(HEAD, text()));
        }
    }

    /// The last words: how it came out, in figures.
    pub(crate) fn summary(self, value: &Value, text: impl FnOnce() -> Text) {
        self.item(&json!({ "summary": value }), text);
    }

    /// Something on the way, for people; not a result.
    pub(crate) fn note(self, text: impl Into<Text>) {
        let text: Text = text.into();
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    /// Why it could not be done.
    pub(crate) fn error(self, error: &dyn Error) {
        let _ = writeln!(
            anstream::stderr(),
            "{}",
            Text::styled(BAD, "error:").add(format!(" {error}"))
        );
    }

    /// A progress bar of `total` steps (`None`: not known) on a terminal, a line now and then elsewhere.
    pub(crate) fn progress(self, what: &'static str, total: Option<u64>) -> Progress {
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let terminal = std::io::stderr().is_terminal();
        bar.set_draw_target(if terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        });
        let template = match total {
            Some(_) => "{prefix} {bar:30} {human_pos}/{human_len} {per_sec}, {eta} left {msg}",
            None => "{prefix} {spinner} {human_pos} {per_sec} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        Progress {
            bar,
            what,
            total,
            plain: (!terminal).then(|| std::sync::Mutex::new(std::time::Instant::now())),
        }
    }
}

/// How far a command got.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    what: &'static str,
    total: Option<u64>,
    /// Without a terminal: when the last line was written.
    plain: Option<std::sync::Mutex<std::time::Instant>>,
}

/// How often a line is written where there is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

impl Progress {
    /// So many more steps are done.
    pub(crate) fn advance(&self, steps: u64) {
        self.bar.inc(steps);
        let Some(last) = &self.plain else { return };
        let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.elapsed() >= PLAIN_EVERY {
            *last = std::time::Instant::now();
            let of = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
            let _ = writeln!(anstream::stderr(), "{}: {}{of}", self.what, self.bar.position());
        }
    }

    /// What is at hand.
    pub(crate) fn message(&self, text: String) {
        self.bar.set_message(text);
    }

    /// Runs `print` with the bar out of the way.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
