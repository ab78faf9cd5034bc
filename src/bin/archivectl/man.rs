//! `archivectl man`: manual pages, made of what `--help` says.

use std::path::PathBuf;

use recording_archiver::ops::{Error, Kind, Verdict, files};

use crate::out::Out;

/// Print the manual page, or write one for each command into a folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  # read the manual page
  archivectl man | man -l -
  # install all of them
  archivectl man --dir ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// Write archivectl.1, archivectl-verify.1 and so on into this folder.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, mut command: clap::Command, out: &Out) -> Result<Verdict, Error> {
    command.build();
    let Some(dir) = &args.dir else {
        out.raw(&page(command)?);
        return Ok(Verdict::Clean);
    };
    let failed = |path: &PathBuf, error: std::io::Error| {
        Error::new(
            Kind::File,
            format!("{} cannot be written: {error}", path.display()),
        )
    };
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    let commands = command
        .get_subcommands()
        .filter(|command| command.get_name() != "help");
    let commands: Vec<_> = commands.cloned().collect();
    for command in std::iter::once(command).chain(commands) {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let path = dir.join(format!("{name}.1"));
        files::replace(&path, &page(command)?).map_err(|error| failed(&path, error))?;
        out.note(format!("written: {}", path.display()));
    }
    Ok(Verdict::Clean)
}

fn page(command: clap::Command) -> Result<Vec<u8>, Error> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .source(concat!("archivectl ", env!("CARGO_PKG_VERSION")))
        .manual("Recording archive")
        .render(&mut page)
        .map_err(|error| Error::new(Kind::Defect, error.to_string()))?;
    Ok(page)
}
