//! Refused arguments as an error: one line, and the way out.

use std::ffi::OsStr;

use recording_archiver::ops::{Error, Kind};

/// Returns a refusal of the arguments as an error like all others. `cli` is the command line that refused them.
pub(crate) fn error(refusal: &clap::Error, cli: &clap::Command) -> Error {
    let words = std::env::args_os().skip(1);
    let command = words
        .filter_map(|word| cli.find_subcommand(AsRef::<OsStr>::as_ref(&word)))
        .map(clap::Command::get_name)
        .next();
    of_text(&refusal.render().to_string(), command)
}

fn of_text(text: &str, command: Option<&str>) -> Error {
    let (first, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let message = one_line(first);
    let after = |head: &str| {
        let paragraphs = rest.split("\n\n").map(str::trim);
        let found = paragraphs.filter_map(|paragraph| paragraph.strip_prefix(head).map(one_line));
        found.collect::<Vec<_>>()
    };
    let see = match command {
        Some(command) => format!("see archivectl {command} --help"),
        None => "see archivectl --help".to_owned(),
    };
    let hint = Some(after("tip: ")).filter(|tips| !tips.is_empty());
    let fix = [hint.unwrap_or_else(|| after("Usage: ")), vec![see]].concat();
    Error::new(Kind::Usage, message.trim_start_matches("error: ")).remedy(fix.join("; "))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_line_with_the_way_out() {
        for (text, command, message, fix) in [
            (
                "error: the following required arguments were not provided:\n  <CONVERSATION>\n\nUsage: archivectl audit \
                 <CONVERSATION>\n\nFor more information, try '--help'.\n",
                Some("audit"),
                "the following required arguments were not provided: <CONVERSATION>",
                "archivectl audit <CONVERSATION>; see archivectl audit --help",
            ),
            (
                "error: unrecognized subcommand 'verfy'\n\n  tip: a similar subcommand exists: 'verify'\n\nUsage: archivectl \
                 [OPTIONS] <COMMAND>\n",
                None,
                "unrecognized subcommand 'verfy'",
                "a similar subcommand exists: 'verify'; see archivectl --help",
            ),
            (
                "error: invalid value 'fax' for '--media <TYPE>'\n  [possible values: voice, chat]\n\nFor more information, \
                 try '--help'.\n",
                Some("backfill"),
                "invalid value 'fax' for '--media <TYPE>' [possible values: voice, chat]",
                "see archivectl backfill --help",
            ),
        ] {
            let error = of_text(text, command);
            assert_eq!(
                (error.to_string().as_str(), error.way_out()),
                (message, Some(fix))
            );
        }
    }
}
