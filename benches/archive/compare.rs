//! Two binaries against each other, in turns, so that what the machine does meanwhile befalls both.

use std::path::Path;

use super::accounts::{median, millis};
use super::table::{Row, Target};
use super::{Bench, Result, large, small};

/// The figures that are compared: name and unit.
const FIGURES: [(&str, &str); 6] = [
    ("CPU per GiB", "s"),
    ("peak memory, 1 GiB", "MiB"),
    ("exec to first poll", "ms"),
    ("CPU until then", "ms"),
    ("warm archive of 5 MiB: CPU", "ms"),
    ("the binary", "MiB"),
];

/// Measures the former binary and this one as often as `pairs` says, and reports both and the ratio pair by pair.
pub(crate) async fn against(bench: &mut Bench, former: &Path, pairs: usize) -> Result<()> {
    let own = bench.binary.clone();
    let binaries = [former, own.as_path()];
    let mut figures = [Vec::new(), Vec::new()];
    for pair in 0..pairs {
        // Whichever is first meets a machine that has just rested: they take turns in that, too.
        for which in [pair % 2, (pair + 1) % 2] {
            bench.binary = binaries[which].to_owned();
            figures[which].push(measure(bench).await?);
        }
        eprintln!("pair {} of {pairs}", pair + 1);
    }
    bench.binary = own;
    let [former, this] = figures;
    for (at, (name, unit)) in FIGURES.into_iter().enumerate() {
        let of = |runs: &[[f64; FIGURES.len()]]| median(runs.iter().map(|run| run[at]).collect());
        let mut ratios: Vec<f64> = former.iter().zip(&this).map(|(a, b)| b[at] / a[at]).collect();
        ratios.sort_by(f64::total_cmp);
        bench.rows.extend([
            Row::new(format!("{name}: before"), Target::None, of(&former), unit),
            Row::new("  now", Target::None, of(&this), unit),
            Row::new(
                format!("  now by before, median of {pairs} pairs"),
                Target::None,
                median(ratios.clone()),
                "x",
            ),
        ]);
        if let (Some(least), Some(most)) = (ratios.first(), ratios.last()) {
            bench
                .notes
                .push(format!("{name}: {least:.3} to {most:.3} of before"));
        }
    }
    Ok(())
}

/// Returns the [`FIGURES`] of the binary whose turn it is.
async fn measure(bench: &mut Bench) -> Result<[f64; FIGURES.len()]> {
    let size = bench.gib;
    let large = large::fresh(bench, size).await?;
    let started = bench.function(&[]).await?;
    let (ready, cpu) = (millis(started.ready_after), started.precise_cpu()?);
    drop(started);
    let warm = small::warmed(bench, 20).await?;
    Ok([
        large.precise * large::GIB / size as f64,
        large.peak,
        ready,
        cpu,
        warm.cpu,
        std::fs::metadata(&bench.binary)?.len() as f64 / super::MIB as f64,
    ])
}
