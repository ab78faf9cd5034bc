//! Text for people: pieces that are shown and never obeyed, and lines that fold at the width of the terminal.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use recording_archiver::redact::visible;
use unicode_width::UnicodeWidthStr as _;

/// The style of a finding, which a person has to look at.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// The style of a check or a figure without a finding.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// The style of a note, which a person may want to look at.
pub(crate) const NOTE: Style = AnsiColor::Yellow.on_default();
/// The style of a heading.
pub(crate) const HEAD: Style = Style::new().bold();
/// The style of details.
pub(crate) const DIM: Style = Style::new().dimmed();

/// Text for people, piece by piece. A piece is shown, never obeyed: only [`Self::style`] colours, and only
/// [`Self::line`] begins a line, whatever the pieces hold.
#[derive(Debug, Default)]
pub(crate) struct Text {
    ended: Vec<Line>,
    last: Line,
}

/// A line, with the codes of its colours.
#[derive(Debug, Default, Clone)]
struct Line {
    text: String,
    /// The column at which the line goes on where it is folded.
    hang: Option<usize>,
}

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
        self.last.text.push_str(&visible(&piece.to_string()));
        self
    }

    /// Adds a piece of this style.
    #[must_use]
    pub(crate) fn style(mut self, style: Style, piece: impl Display) -> Self {
        self.last.text.push_str(&style.to_string());
        self = self.add(piece);
        self.last.text.push_str(&format!("{style:#}"));
        self
    }

    /// Lets the line go on in this column where it is folded; otherwise it goes on two columns from where it begins.
    #[must_use]
    pub(crate) fn hang(mut self) -> Self {
        self.last.hang = Some(columns(&self.last.text));
        self
    }

    /// Ends the line.
    #[must_use]
    pub(crate) fn line(mut self) -> Self {
        self.ended.push(std::mem::take(&mut self.last));
        self
    }

    /// Adds another text as lines of its own.
    #[must_use]
    pub(crate) fn lines(mut self, other: &Self) -> Self {
        self = self.line();
        self.ended.extend(other.ended.iter().cloned());
        self.last = other.last.clone();
        self
    }

    /// Returns its lines, none longer than `width` columns as far as words allow. A word is never broken: ids, keys and
    /// URLs are there to be copied.
    pub(crate) fn folded(&self, width: usize) -> String {
        let lines = self.ended.iter().chain([&self.last]);
        let lines: Vec<_> = lines.map(|line| line.folded(width)).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
impl Text {
    /// Returns it without colours and folds, as snapshots hold it.
    pub(crate) fn plain(&self) -> String {
        self.plain_at(usize::MAX)
    }

    /// Returns it without colours.
    pub(crate) fn plain_at(&self, width: usize) -> String {
        anstream::adapter::strip_str(&self.folded(width)).to_string()
    }
}

impl From<String> for Text {
    fn from(piece: String) -> Self {
        Self::new(piece)
    }
}

impl Line {
    fn folded(&self, width: usize) -> String {
        let indent = self.text.len() - self.text.trim_start_matches(' ').len();
        // Half of a narrow terminal is for the text.
        let hang = self.hang.unwrap_or(indent + 2).min(width / 2);
        let mut folded = String::with_capacity(self.text.len());
        let (mut column, mut gap) = (0, 0);
        for (at, word) in self.text.split(' ').enumerate() {
            gap += usize::from(at > 0);
            if word.is_empty() {
                continue;
            }
            let length = columns(word);
            if column > hang && (column + gap).saturating_add(length) > width {
                folded.push('\n');
                (column, gap) = (0, hang);
            }
            folded.extend(std::iter::repeat_n(' ', gap));
            folded.push_str(word);
            column += gap + length;
            gap = 0;
        }
        folded
    }
}

/// Returns how many columns a text takes, without the codes of its colours: two for a wide letter, none for a mark on
/// another.
pub(crate) fn columns(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().width()
}

/// The width where nobody tells another.
const USUAL_WIDTH: usize = 80;

/// Returns how wide text may be: `COLUMNS`, otherwise what the terminal has, otherwise 80.
pub(crate) fn width() -> usize {
    let told = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let terminal = || Some(usize::from(terminal_size::terminal_size()?.0.0));
    let known = told.filter(|columns| *columns > 0).or_else(terminal);
    known.unwrap_or(USUAL_WIDTH)
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
            text.folded(80).matches('\u{1b}').count(),
            3,
            "bold, red, and their end"
        );
    }

    #[test]
    fn a_long_line_folds_between_words_and_goes_on_below_its_text() {
        let text = Text::styled(BAD, "ok")
            .add("  ")
            .hang()
            .add("one two three four")
            .line();
        let text = text.add("  five six seven eight");
        assert_eq!(
            text.plain_at(14),
            "ok  one two\n    three four\n  five six\n    seven\n    eight"
        );
        assert_eq!(
            text.plain_at(80),
            "ok  one two three four\n  five six seven eight"
        );
    }

    #[test]
    fn a_letter_takes_the_columns_that_a_terminal_gives_it() {
        let text = Text::new("山田太郎 山田太郎 e\u{301}e\u{301}e\u{301}e\u{301} 🙂🙂");
        assert_eq!(
            text.plain_at(16),
            "山田太郎\n  山田太郎 e\u{301}e\u{301}e\u{301}e\u{301}\n  🙂🙂"
        );
    }

    #[test]
    fn no_word_is_broken_and_a_narrow_terminal_leaves_half_to_the_text() {
        let text = Text::new("name      ").hang();
        let text = text.add("see https://example.com/long?x=1 for more");
        assert_eq!(
            text.plain_at(16),
            "name      see\n        https://example.com/long?x=1\n        for more"
        );
        assert_eq!(Text::default().plain_at(1), "");
    }
}
