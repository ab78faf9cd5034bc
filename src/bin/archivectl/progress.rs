//! The progress of a command: a bar on a terminal, a line every few seconds elsewhere.

use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use recording_archiver::ops::Event;
use tokio::task::AbortHandle;

use crate::words::{bytes, count};

/// Interval of the lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// The progress of a command.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Writes the lines.
    ticker: Option<AbortHandle>,
}

impl Progress {
    /// Begins to show how far `what` got; `quiet` shows nothing.
    pub(crate) fn begin(what: &'static str, quiet: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_prefix(what);
        bar.set_style(style("{prefix} {spinner} {human_pos} {rate} {wide_msg}"));
        let terminal = std::io::stderr().is_terminal();
        if terminal && !quiet {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        let ticker = (!terminal && !quiet).then(|| {
            let writing = ticks(bar.clone(), |line| {
                // Nobody reads on: no reason to end.
                let _ = writeln!(anstream::stderr(), "{line}");
            });
            tokio::spawn(writing).abort_handle()
        });
        Self { bar, ticker }
    }

    /// Shows what a command tells; a result goes to `show`, with the bar out of the way.
    pub(crate) fn hear<T>(&self, event: Event<T>, show: impl FnOnce(T)) {
        match event {
            Event::Item(item) => self.bar.suspend(|| show(item)),
            Event::Steps(steps) => {
                self.bar.inc(steps);
                // The total was told before, and was too small.
                if let Some(total) = self.bar.length() {
                    self.bar.set_length(total.max(self.bar.position()));
                }
            }
            Event::Total(total) => self.total(total),
            Event::Parts { done, all } => {
                let share = self.bar.position().saturating_mul(all);
                // Nothing so far tells nothing of the rest.
                if let Some(total) = share.checked_div(done).filter(|total| *total > 0) {
                    self.total(total);
                }
            }
            Event::At(what) => self.bar.set_message(what),
            Event::Bytes(read) => self.bar.set_message(format!("{} read", bytes(read))),
        }
    }

    fn total(&self, total: u64) {
        if total == 0 {
            return;
        }
        if self.bar.length().is_none() {
            self.bar.set_style(style(
                "{prefix} {bar:16} {human_pos} of about {human_len} {rate}{left} {wide_msg}",
            ));
        }
        self.bar.set_length(total.max(self.bar.position()));
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
        if let Some(ticker) = &self.ticker {
            ticker.abort();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    // Where the bar cannot be drawn, nothing is lost.
    style
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = out.write_str(&rate(state.per_sec()));
        })
        .with_key("left", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = out.write_str(&left(state.pos(), state.len(), state.eta()));
        })
}

/// Writes how many steps are done in a second, with one digit after the point.
fn rate(per_second: f64) -> String {
    format!("{per_second:.1}/s")
}

/// Writes how long the rest takes; nothing where the total was reached or nothing is done, and nobody knows.
fn left(done: u64, total: Option<u64>, eta: Duration) -> String {
    match total {
        Some(total) if 0 < done && done < total => format!(", {} left", HumanDuration(eta)),
        _ => String::new(),
    }
}

/// Writes a line every now and then, also while nothing moves.
async fn ticks(bar: ProgressBar, write: impl Fn(String)) {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + EVERY, EVERY);
    loop {
        ticks.tick().await;
        if let Some(line) = line(&bar) {
            write(line);
        }
    }
}

/// Returns how far it got; `None` as long as nothing is known of that.
fn line(bar: &ProgressBar) -> Option<String> {
    if bar.position() == 0 && bar.length().is_none() && bar.message().is_empty() {
        return None;
    }
    let mut line = format!("{}: {}", bar.prefix(), count(bar.position()));
    if let Some(total) = bar.length() {
        line.push_str(&format!(
            " of about {}{}",
            count(total),
            left(bar.position(), Some(total), bar.eta())
        ));
    }
    let message = bar.message();
    if !message.is_empty() {
        line.push_str(&format!(", {message}"));
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn without_a_terminal_a_line_comes_also_while_nothing_moves() {
        let progress = Progress::begin("reconcile", true);
        progress.hear(Event::<()>::At("2026-01-05".to_owned()), |()| {});
        let lines = RefCell::new(Vec::new());
        let ticking = ticks(progress.bar.clone(), |line| lines.borrow_mut().push(line));
        let half_a_minute = tokio::time::timeout(Duration::from_secs(31), ticking);
        assert!(half_a_minute.await.is_err());
        assert_eq!(lines.into_inner(), ["reconcile: 0, 2026-01-05"; 6]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_counts_nothing_writes_no_lines() {
        let progress = Progress::begin("find", true);
        let lines = RefCell::new(Vec::new());
        let ticking = ticks(progress.bar.clone(), |line| lines.borrow_mut().push(line));
        assert!(
            tokio::time::timeout(Duration::from_secs(31), ticking)
                .await
                .is_err()
        );
        assert_eq!(lines.into_inner(), [] as [String; 0]);
    }

    #[test]
    fn a_total_is_never_less_than_what_is_done() {
        let bar = ProgressBar::hidden();
        let progress = Progress { bar, ticker: None };
        progress.bar.unset_length();
        for (event, length) in [
            (Event::Steps(7), None),
            (Event::<()>::Parts { done: 0, all: 31 }, None),
            (Event::Total(3), Some(7)),
            (Event::Steps(2), Some(9)),
            (Event::Parts { done: 2, all: 31 }, Some(139)),
        ] {
            progress.hear(event, |()| {});
            assert_eq!(progress.bar.length(), length);
        }
    }

    #[test]
    fn the_rest_is_told_only_where_it_is_known() {
        let eta = Duration::from_secs(120);
        assert_eq!(left(1, Some(3), eta), ", 2 minutes left");
        for (done, total) in [(0, Some(3)), (3, Some(3)), (1, Some(0)), (1, None)] {
            assert_eq!(left(done, total, eta), "");
        }
        assert_eq!(rate(101.205_1), "101.2/s");
    }
}
