//! The cost of a process, as the operating system accounts for it: `/proc`, so Linux only.
//!
//! <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>,
//! <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>

use std::fs;
use std::time::Duration;

use super::Result;

/// Ticks per second of the times in `stat`: fixed at 100 for programs, whatever the kernel uses inside.
const TICKS: f64 = 100.0;

/// CPU time of a process and all its threads, those that ended included.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Cpu {
    pub(crate) fn seconds(self) -> f64 {
        self.user + self.system
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            user: self.user - before.user,
            system: self.system - before.system,
        }
    }
}

/// Returns the state letter and the CPU time so far. A process that ended keeps both until its parent asks for its
/// status.
pub(crate) fn cpu(process: u32) -> Result<(char, Cpu)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name before it is in parentheses and may hold anything.
    let (_, rest) = stat.rsplit_once(") ").ok_or("a stat file without a name")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at).ok_or("a short stat file")?.parse()?) };
    let state = fields.first().and_then(|field| field.chars().next());
    let cpu = Cpu {
        user: ticks(11)? / TICKS,
        system: ticks(12)? / TICKS,
    };
    Ok((state.unwrap_or('?'), cpu))
}

/// Returns CPU time so far in milliseconds, of the threads that still live: for what takes less than a few ticks.
pub(crate) fn precise(process: u32) -> Result<f64> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
        let running = schedstat.split(' ').next().unwrap_or_default();
        nanoseconds += running.parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e6)
}

/// Returns the most memory a living process held so far, in bytes.
pub(crate) fn peak(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Returns CPU time of this process so far.
pub(crate) fn own() -> Result<Cpu> {
    Ok(cpu(std::process::id())?.1)
}

/// Returns the middle one; of an even number the upper of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Returns the time in milliseconds, for a table.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
