//! The arguments of the command line.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
cargo local                     empty target/local, replay events/*.json there
cargo local -- invoke FILE...   replay single events, on top of what is there
cargo local -- serve            keep the simulators up, and let the function
                                work off their queue
cargo local -- env              print the environment that leads to them:
                                eval \"$(cargo local -- env)\"

  -v, --verbose       none, invoke: for each event its files, hashes and audit
  --bind ADDRESS      serve: listen on this address instead of 127.0.0.1, such
                      as 0.0.0.0: every address of this machine
  --advertise NAME    serve, env: the host in the URLs that are handed out, such
                      as host.docker.internal
  --no-worker         serve: leave the work queue to another function
  --fresh             serve: empty target/local first

Genesys, S3, DynamoDB, SQS, Secrets Manager and a webhook receiver are simulated
on loopback; nothing leaves this machine. Archived files: target/local/archive.";

/// A command line that makes sense.
#[derive(Debug, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) command: Command,
    pub(crate) verbose: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Replay,
    Invoke(Vec<PathBuf>),
    Serve(Serve),
    Env {
        name: Option<String>,
    },
    Help,
    /// Not for people: this program as the function, for `process`.
    Function,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Serve {
    pub(crate) bind: IpAddr,
    pub(crate) name: Option<String>,
    pub(crate) worker: bool,
    pub(crate) fresh: bool,
}

/// The words of a command line, sorted by kind.
#[derive(Default)]
struct Words {
    plain: Vec<String>,
    /// Options in the order of their use, with their values.
    options: Vec<(&'static str, String)>,
}

/// The options, and whether each takes a value.
const OPTIONS: [(&str, bool); 6] = [
    ("--verbose", false),
    ("--help", false),
    ("--bind", true),
    ("--advertise", true),
    ("--no-worker", false),
    ("--fresh", false),
];

impl Arguments {
    /// Reads the words after the program's name. `cargo local serve` and `cargo local -- serve` are the same.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let words = Words::sort(words)?;
        let verbose = words.value("--verbose").is_some();
        if words.value("--help").is_some() {
            let command = Command::Help;
            return Ok(Self { command, verbose });
        }
        let (command, rest) = words
            .plain
            .split_first()
            .map_or(("", &[][..]), |(command, rest)| (command.as_str(), rest));
        words.only(command)?;
        let command = match (command, rest) {
            ("", _) => Command::Replay,
            ("invoke", []) => {
                let example = "cargo local -- invoke events/12-direct-job.archived.json";
                return Err(format!("invoke needs the file of an event: {example}"));
            }
            ("invoke", files) => Command::Invoke(files.iter().map(PathBuf::from).collect()),
            ("serve", []) => Command::Serve(words.serve()?),
            ("env", []) => Command::Env { name: words.name()? },
            ("help", _) => Command::Help,
            ("function", []) => Command::Function,
            ("serve" | "env", [extra, ..]) => return Err(format!("{command} takes no {extra:?}")),
            (other, _) => {
                return Err(format!(
                    "there is no command {other:?}; there are invoke, serve, env and help"
                ));
            }
        };
        Ok(Self { command, verbose })
    }
}

impl Words {
    fn sort(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut sorted = Self::default();
        let mut words = words.into_iter().enumerate();
        while let Some((index, word)) = words.next() {
            let (name, given) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let name = match name {
                "--" if index == 0 => continue,
                "-v" => "--verbose",
                "-h" => "--help",
                name => name,
            };
            if !name.starts_with('-') {
                sorted.plain.push(word);
                continue;
            }
            let known = OPTIONS.iter().find(|(option, _)| *option == name);
            let &(option, takes_value) = known.ok_or_else(|| format!("there is no option {name:?}"))?;
            let value = match (takes_value, given) {
                (false, None) => String::new(),
                (false, Some(_)) => return Err(format!("{option} takes no value")),
                (true, Some(value)) => value,
                (true, None) => words.next().map(|(_, value)| value).unwrap_or_default(),
            };
            if takes_value && (value.is_empty() || value.starts_with('-')) {
                return Err(format!("{option} needs a value"));
            }
            sorted.options.push((option, value));
        }
        Ok(sorted)
    }

    fn value(&self, option: &str) -> Option<&str> {
        let found = self.options.iter().rev().find(|(name, _)| *name == option);
        found.map(|(_, value)| value.as_str())
    }

    /// Refuses options that mean nothing to this command.
    fn only(&self, command: &str) -> Result<(), String> {
        let allowed: &[&str] = match command {
            "" | "invoke" => &["--verbose"],
            "serve" => &["--bind", "--advertise", "--no-worker", "--fresh"],
            "env" => &["--advertise"],
            _ => return Ok(()),
        };
        let foreign = self.options.iter().find(|(name, _)| !allowed.contains(name));
        foreign.map_or(Ok(()), |(name, _)| {
            let command = if command.is_empty() {
                "a replay of all events"
            } else {
                command
            };
            Err(format!("{command} knows no {name}"))
        })
    }

    fn serve(&self) -> Result<Serve, String> {
        let bind: IpAddr = match self.value("--bind") {
            None => Ipv4Addr::LOCALHOST.into(),
            Some(text) => text.parse().map_err(|_| {
                format!("--bind is {text:?}; accepted: an IP address of this machine, such as 127.0.0.1 or 0.0.0.0")
            })?,
        };
        let name = self.name()?;
        if name.is_none() && !bind.is_loopback() && !bind.is_unspecified() {
            return Err(format!(
                "--bind {bind} needs a name for the URLs, as the function speaks http with this machine only: add \
                 --advertise host.docker.internal"
            ));
        }
        Ok(Serve {
            bind,
            name,
            worker: self.value("--no-worker").is_none(),
            fresh: self.value("--fresh").is_some(),
        })
    }

    /// Returns the advertised name. The function speaks http with this machine only, so no other name would do.
    fn name(&self) -> Result<Option<String>, String> {
        match self.value("--advertise") {
            None => Ok(None),
            Some(name @ ("host.docker.internal" | "localhost" | "127.0.0.1" | "[::1]")) => {
                Ok(Some(name.to_owned()))
            }
            Some(other) => Err(format!(
                "--advertise is {other:?}; accepted: host.docker.internal, localhost, 127.0.0.1 or [::1], as the \
                 function speaks http with this machine only"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_dashes_that_cargo_wants_are_optional() {
        for line in [
            "invoke a.json b.json -v",
            "-- invoke a.json b.json --verbose",
            "-v invoke a.json b.json",
        ] {
            let arguments = parse(line).unwrap();
            assert_eq!(
                arguments.command,
                Command::Invoke(vec!["a.json".into(), "b.json".into()])
            );
            assert!(arguments.verbose);
        }
        assert_eq!(parse("").unwrap().command, Command::Replay);
        for line in ["--help", "-- -h", "help", "serve --help"] {
            assert_eq!(parse(line).unwrap().command, Command::Help, "{line}");
        }
    }

    #[test]
    fn serve_takes_an_address_and_a_name() {
        let Command::Serve(serve) =
            parse("serve --bind=0.0.0.0 --advertise host.docker.internal --no-worker")
                .unwrap()
                .command
        else {
            panic!()
        };
        assert_eq!(serve.bind.to_string(), "0.0.0.0");
        assert_eq!(serve.name.as_deref(), Some("host.docker.internal"));
        assert!(!serve.worker && !serve.fresh);
        let Command::Serve(serve) = parse("serve --fresh").unwrap().command else {
            panic!()
        };
        assert!(serve.bind.is_loopback() && serve.worker && serve.fresh);
    }

    #[test]
    fn what_makes_no_sense_is_named_with_a_way_out() {
        for (line, words) in [
            (
                "invoke",
                "invoke needs the file of an event: cargo local -- invoke events/",
            ),
            (
                "sevre",
                "no command \"sevre\"; there are invoke, serve, env and help",
            ),
            ("serve now", "serve takes no \"now\""),
            ("serve --bind", "--bind needs a value"),
            ("serve --bind --fresh", "--bind needs a value"),
            ("serve --bind 172.17.0.1", "add --advertise host.docker.internal"),
            ("serve --bind here", "--bind is \"here\"; accepted: an IP address"),
            ("serve --port 1", "no option \"--port\""),
            ("serve -v", "serve knows no --verbose"),
            ("env --fresh", "env knows no --fresh"),
            ("--fresh", "a replay of all events knows no --fresh"),
            ("serve --fresh=1", "--fresh takes no value"),
            ("env --advertise example.com", "accepted: host.docker.internal"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
