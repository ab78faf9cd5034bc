//! How cost grows: CPU and peak memory with the size of a recording, speed with the records at a time. As SVG.

use std::fmt::Write as _;

use crate::function::Function;
use crate::rows::{archive, batch_of_ten};
use crate::scene::Scene;
use crate::{GIB, MIB, Plan, Result};

/// One line of a picture: what it shows, and its points.
struct Line {
    title: &'static str,
    points: Vec<(f64, f64)>,
}

pub(crate) async fn pictures(plan: &Plan) -> Result<()> {
    let (mut cpu, mut peak) = (Vec::new(), Vec::new());
    for size in [64 * 1024, MIB, 16 * MIB, 128 * MIB, GIB, 4 * GIB] {
        println!("growth: {} KiB", size / 1024);
        let call = Scene::call(size)?;
        let mut scene = Scene::new().await?;
        let mut function = Function::start(plan, &scene.world, &[]).await?;
        // Small ones often, as the clock ticks every 10 ms.
        let times = (64 * MIB / size).clamp(1, 64);
        let before = function.cpu()?;
        for _ in 0..times {
            archive(&mut function, &mut scene, &call).await?;
        }
        let mib = size as f64 / MIB as f64;
        cpu.push((mib, (function.cpu()? - before) / times as f64));
        peak.push((mib, function.peak()?));
    }
    let mut speed = Vec::new();
    for at_once in [1, 2, 4, 8, 16] {
        println!("growth: {at_once} at a time");
        speed.push((at_once as f64, 10.0 / batch_of_ten(plan, at_once).await?));
    }
    for (name, across, line) in [
        (
            "cpu",
            "MiB of one recording",
            Line {
                title: "CPU seconds",
                points: cpu,
            },
        ),
        (
            "memory",
            "MiB of one recording",
            Line {
                title: "peak memory, MiB",
                points: peak,
            },
        ),
        (
            "batch",
            "RECORD_CONCURRENCY",
            Line {
                title: "recordings per second, batch of 10, 10 ms per request",
                points: speed,
            },
        ),
    ] {
        std::fs::write(plan.output.join(format!("{name}.svg")), picture(&line, across))?;
    }
    println!("pictures in target/bench");
    Ok(())
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const MARGIN: f64 = 50.0;

/// One line over a logarithmic axis, each point with its value.
fn picture(line: &Line, across: &str) -> String {
    let logs: Vec<f64> = line.points.iter().map(|(x, _)| x.log2()).collect();
    let (first, last) = (
        logs.first().copied().unwrap_or(0.0),
        logs.last().copied().unwrap_or(1.0),
    );
    let top = line.points.iter().map(|(_, y)| *y).fold(0.0, f64::max) * 1.15;
    let at = |(x, y): (f64, f64)| {
        let right = MARGIN + (x.log2() - first) / (last - first) * (WIDTH - 2.0 * MARGIN);
        (right, HEIGHT - MARGIN - y / top * (HEIGHT - 2.0 * MARGIN))
    };
    let path: String = line
        .points
        .iter()
        .map(|point| at(*point))
        .map(|(x, y)| format!("{x:.1},{y:.1} "))
        .collect();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\"><rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\
         <text x=\"{MARGIN}\" y=\"24\" font-size=\"15\">{}</text>\
         <line x1=\"{MARGIN}\" y1=\"{base}\" x2=\"{}\" y2=\"{base}\" stroke=\"#888\"/>\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#444\">{across} (logarithmic)</text>\
         <polyline points=\"{path}\" fill=\"none\" stroke=\"#1565c0\" stroke-width=\"2\"/>",
        line.title,
        WIDTH - MARGIN,
        WIDTH / 2.0,
        HEIGHT - 10.0,
        base = HEIGHT - MARGIN,
    );
    for point in &line.points {
        let ((x, y), (label, value)) = (at(*point), *point);
        // Writing to a string does not fail.
        let _ = write!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#1565c0\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value:.3}</text>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#444\">{label}</text>",
            y - 8.0,
            HEIGHT - MARGIN + 16.0,
        );
    }
    svg.push_str("</svg>\n");
    svg
}
