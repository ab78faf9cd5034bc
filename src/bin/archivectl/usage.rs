//! What is wrong with the arguments, for programs: one line, and the way out.

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
    let mut paragraphs = text.split("\n\n");
    let message = one_line(paragraphs.next().unwrap_or_default());
    let tips = paragraphs.filter_map(|paragraph| Some(one_line(paragraph.trim().strip_prefix("tip: ")?)));
    let help = match command {
        Some(command) => format!("see archivectl {command} --help"),
        None => "see archivectl --help".to_owned(),
    };
    let fix: Vec<_> = tips.chain([help]).collect();
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
                "see archivectl audit --help",
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
