//! Growth of the cost: CPU time and peak memory with a recording's length, throughput of a batch with its concurrency.

use super::plot::{Axis, Chart, Line, svg};
use super::{Bench, KIB, MIB, Result, large, small};

/// Recordings in the batch: enough to keep 16 busy.
const BATCH: u64 = 32;

fn says(bytes: u64) -> String {
    match bytes {
        gib if gib >= 1024 * MIB => format!("{}G", gib / (1024 * MIB)),
        mib if mib >= MIB => format!("{}M", mib / MIB),
        kib => format!("{}K", kib / KIB),
    }
}

fn even(values: &[f64]) -> Vec<(f64, String)> {
    values.iter().map(|value| (*value, value.to_string())).collect()
}

/// Steps for an axis from 0 to a little over `most`.
fn steps(most: f64) -> Vec<(f64, String)> {
    let step = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0]
        .into_iter()
        .find(|step| most / step <= 8.0)
        .unwrap_or(500.0);
    let count = (most / step).ceil() as usize;
    even(&(0..=count).map(|at| at as f64 * step).collect::<Vec<_>>())
}

/// Measures, and draws `growth-size.svg` and `growth-concurrency.svg`.
pub(crate) async fn plots(bench: &mut Bench) -> Result<()> {
    let most = bench.four_gib;
    let sizes: Vec<u64> = (0..)
        .map(|power| (64 * KIB) << (2 * power))
        .take_while(|size| *size <= most)
        .collect();
    let (mut cpu, mut peak) = (Vec::new(), Vec::new());
    for size in &sizes {
        let run = large::fresh(bench, *size).await?;
        cpu.push((*size as f64, run.precise));
        peak.push((*size as f64, run.peak));
    }
    let axis = || Axis {
        label: "size of the recording in bytes",
        logarithmic: true,
        ticks: sizes.iter().map(|size| (*size as f64, says(*size))).collect(),
    };
    let target: Vec<_> = sizes
        .iter()
        .map(|size| (*size as f64, *size as f64 * 1.3 / (1024 * MIB) as f64))
        .filter(|(_, seconds)| *seconds >= 0.01)
        .collect();
    let charts = [
        Chart {
            title: "CPU time of one archive, start of the process included".to_owned(),
            x: axis(),
            y: Axis {
                label: "CPU seconds",
                logarithmic: true,
                ticks: even(&[0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]),
            },
            lines: vec![line("measured", cpu.clone()), limit("1.3 s per GiB", target)],
        },
        Chart {
            title: "Peak memory of one archive".to_owned(),
            x: axis(),
            y: Axis {
                label: "MiB",
                logarithmic: false,
                ticks: steps(peak.iter().fold(64.0, |most: f64, (_, mib)| most.max(*mib)) + 16.0),
            },
            lines: vec![
                line("measured", peak.clone()),
                limit("64 MiB", vec![(sizes[0] as f64, 64.0), (most as f64, 64.0)]),
            ],
        },
    ];
    std::fs::write(super::folder()?.join("growth-size.svg"), svg(&charts))?;
    for (at, size) in sizes.iter().enumerate() {
        bench.notes.push(format!(
            "growth, {:>4}: CPU {:>6.3} s, peak {:>5.1} MiB",
            says(*size),
            cpu[at].1,
            peak[at].1
        ));
    }
    concurrency(bench).await
}

async fn concurrency(bench: &mut Bench) -> Result<()> {
    let mut rates = Vec::new();
    for concurrency in [1, 2, 4, 8, 12, 16] {
        let wall = small::batch_of(bench, BATCH, concurrency).await?;
        let rate = BATCH as f64 / wall;
        bench.notes.push(format!(
            "growth, RECORD_CONCURRENCY {concurrency:>2}: {rate:>5.1} recordings/s"
        ));
        rates.push((concurrency as f64, rate));
    }
    let one = rates[0].1;
    let most = rates.iter().fold(0.0, |most: f64, (_, rate)| most.max(*rate)) * 1.2;
    let chart = Chart {
        title: format!("Batch of {BATCH} x 256 KiB, 10 ms per request"),
        x: Axis {
            label: "RECORD_CONCURRENCY",
            logarithmic: false,
            ticks: even(&[1.0, 2.0, 4.0, 8.0, 12.0, 16.0]),
        },
        y: Axis {
            label: "recordings per second",
            logarithmic: false,
            ticks: steps(most),
        },
        lines: vec![
            line("measured", rates),
            limit(
                "in proportion",
                vec![(1.0, one), ((most / one).min(16.0), one * (most / one).min(16.0))],
            ),
        ],
    };
    std::fs::write(super::folder()?.join("growth-concurrency.svg"), svg(&[chart]))?;
    Ok(())
}

fn line(name: &'static str, points: Vec<(f64, f64)>) -> Line {
    Line {
        name,
        points,
        dashed: false,
    }
}

fn limit(name: &'static str, points: Vec<(f64, f64)>) -> Line {
    Line {
        name,
        points,
        dashed: true,
    }
}
