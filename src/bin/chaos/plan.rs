//! The arguments of the command line.

use std::str::FromStr;

/// The answer to `--help`.
pub(crate) const HELP: &str = "\
chaos [--seed N] [--recordings M] [--workers W] [--seconds S]

Archives M recordings (200) with W containers (4) that share one queue, on simulators in this process. For S seconds (20),
and until there was a fault for every second recording and a crash for every tenth (0.1 s more for each recording at most),
a storm rages: requests are cut, hang, are refused, are carried out without an answer, or come late; media breaks off,
stalls, turns into error pages or changes; messages come twice; containers are killed; recordings turn up late. Half of
the conversations are history that bulk jobs ask for, some of it together with an event: batch downloads answer with
errors, leave recordings out, never complete, are another client's or lost, or their URLs expire; some entries nobody can
archive. Then the storm ends, the queue is worked off until every conversation is settled, every recording is held against
what the source ever served of it, every entry without one has to be a case, and every conversation has to have a call
record, by which the catalog finds its recordings.

The seed (1) decides about all of that. Nothing leaves this machine, and the run ends by itself. Exit code 1: something
was lost, stored twice or corrupt, or the storm did too little; the report says what, and which seed it was.";

/// The extent of the chaos, and its seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) recordings: usize,
    pub(crate) workers: usize,
    pub(crate) seconds: u64,
}

impl Plan {
    /// Reads the arguments; `None`: help is wanted.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut plan = Self {
            seed: 1,
            recordings: 200,
            workers: 4,
            seconds: 20,
        };
        while let Some(name) = arguments.next() {
            if matches!(name.as_str(), "--help" | "-h" | "help") {
                return Ok(None);
            }
            let value = arguments.next().unwrap_or_default();
            match name.as_str() {
                "--seed" => plan.seed = number(&name, &value, u64::MAX)?,
                "--recordings" => plan.recordings = number(&name, &value, 10_000)?,
                "--workers" => plan.workers = number(&name, &value, 64)?,
                "--seconds" => plan.seconds = number(&name, &value, 3600)?,
                _ => return Err(format!("chaos does not know {name:?}")),
            }
        }
        Ok(Some(plan))
    }
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(
    name: &str,
    value: &str,
    most: T,
) -> Result<T, String> {
    let number = value.parse().ok().filter(|number| *number <= most);
    number.ok_or_else(|| format!("{name} takes a number up to {most}, not {value:?}"))
}
