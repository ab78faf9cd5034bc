//! Each row of the table: its set-up, its measurement, its target.

use std::time::{Duration, Instant};

use recording_archiver::sim::wire::Service;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::function::{Function, cpu};
use crate::scene::{Call, Scene};
use crate::table::{Row, median};
use crate::{GIB, MIB, Plan, Result};

const LATENCY: Duration = Duration::from_millis(10);

/// All rows, in the order of the table.
pub(crate) async fn all(plan: &Plan, rows: &mut Vec<Row>) -> Result<()> {
    let call = Scene::call(plan.large)?;
    cpu_per_gib(plan, &call, rows).await?;
    memory(plan, &call, rows).await?;
    latency_hidden(plan, rows).await?;
    start(plan, rows).await?;
    first_archive(plan, rows).await?;
    warm_archive(plan, rows).await?;
    batch(plan, rows).await?;
    package(plan, rows)
}

/// Archives the call in a new conversation and holds its hash against the source's.
pub(crate) async fn archive(function: &mut Function, scene: &mut Scene, call: &Call) -> Result<()> {
    let conversation = scene.conversation(call);
    let hash = function.archive(&conversation).await?;
    if hash != call.sha256 {
        return Err(format!("archived {hash}, but the source is {}", call.sha256).into());
    }
    Ok(())
}

async fn cpu_per_gib(plan: &Plan, call: &Call, rows: &mut Vec<Row>) -> Result<()> {
    println!("CPU per GiB");
    let mut scene = Scene::new().await?;
    let mut function = Function::start(plan, &scene.world, &[]).await?;
    // What a process does once, such as reading the system's certificates, is the first archive's.
    archive(&mut function, &mut scene, &Scene::call(5 * MIB)?).await?;
    let per_gib = GIB as f64 / call.size as f64;
    let (mut spent, mut took) = (Vec::new(), Vec::new());
    for _ in 0..plan.runs {
        let (before, begun) = (function.cpu()?, Instant::now());
        archive(&mut function, &mut scene, call).await?;
        spent.push((function.cpu()? - before) * per_gib);
        took.push(begun.elapsed().as_secs_f64() * per_gib);
        scene.clear().await?;
    }
    let floor = median(
        (0..plan.runs)
            .map(|_| one_pass(call.size))
            .collect::<Result<_>>()?,
    ) * per_gib;
    let archiver = median(spent);
    rows.push(Row::new("CPU per GiB", archiver, "s").at_most(1.3));
    rows.push(Row::new("one SHA-256 pass over a GiB", floor, "s"));
    rows.push(Row::new("CPU to one SHA-256 pass", archiver / floor, "x").at_most(2.0));
    rows.push(Row::new("time per GiB on loopback", median(took), "s"));
    Ok(())
}

/// CPU seconds of one SHA-256 pass over as many bytes, in blocks that come from memory and not from a cache.
fn one_pass(size: u64) -> Result<f64> {
    let block = vec![0x5a_u8; usize::try_from(64 * MIB)?];
    let before = cpu("/proc/self/stat", 13)?;
    let mut hash = Sha256::new();
    for _ in 0..size.div_ceil(64 * MIB) {
        hash.update(&block);
    }
    std::hint::black_box(hash.finalize());
    Ok(cpu("/proc/self/stat", 13)? - before)
}

async fn memory(plan: &Plan, call: &Call, rows: &mut Vec<Row>) -> Result<()> {
    println!("peak memory");
    let one = peak_of(plan, call).await?;
    let four_times = peak_of(plan, &Scene::call(4 * plan.large)?).await?;
    let mut scene = Scene::new().await?;
    let mut function = Function::start(plan, &scene.world, &[]).await?;
    let conversations: Vec<_> = (0..4).map(|_| scene.conversation(call)).collect();
    acknowledged(&function.invoke(sqs(&conversations)).await?)?;
    let (large, larger) = (label(plan.large), label(4 * plan.large));
    rows.push(Row::new(format!("peak memory, {large}"), one, "MiB").at_most(64.0));
    let growth = Row::new(format!("peak memory, {larger} to {large}"), four_times / one, "x");
    rows.push(growth.at_most(1.1));
    let together = Row::new(
        format!("peak memory, 4 x {large} at once"),
        function.peak()?,
        "MiB",
    );
    rows.push(together.at_most(200.0));
    Ok(())
}

fn label(bytes: u64) -> String {
    match bytes / GIB {
        0 => format!("{} MiB", bytes / MIB),
        gib => format!("{gib} GiB"),
    }
}

/// The most memory a fresh process holds for one call.
pub(crate) async fn peak_of(plan: &Plan, call: &Call) -> Result<f64> {
    let mut scene = Scene::new().await?;
    let mut function = Function::start(plan, &scene.world, &[]).await?;
    archive(&mut function, &mut scene, call).await?;
    function.peak()
}

/// 20 ms before each answer of source and sink, against none: with parts in flight it should not show.
async fn latency_hidden(plan: &Plan, rows: &mut Vec<Row>) -> Result<()> {
    println!("throughput with latency");
    let call = Scene::call(plan.large / 4)?;
    let mut scene = Scene::new().await?;
    let mut function = Function::start(plan, &scene.world, &[]).await?;
    let mut figures = Vec::new();
    for latency in [Duration::ZERO, Duration::from_millis(20)] {
        scene.world.wire.set_latency(latency);
        let mut took = Vec::new();
        for _ in 0..plan.runs {
            let begun = Instant::now();
            archive(&mut function, &mut scene, &call).await?;
            took.push(begun.elapsed().as_secs_f64());
            scene.world.wire.set_latency(Duration::ZERO);
            scene.clear().await?;
            scene.world.wire.set_latency(latency);
        }
        figures.push(call.size as f64 / MIB as f64 / median(took));
    }
    rows.push(Row::new("throughput without latency", figures[0], "MiB/s"));
    rows.push(Row::new("throughput with 20 ms", figures[1], "MiB/s"));
    rows.push(Row::new("throughput with 20 ms to without", figures[1] / figures[0], "x").at_least(0.9));
    Ok(())
}

async fn start(plan: &Plan, rows: &mut Vec<Row>) -> Result<()> {
    println!("start");
    let scene = Scene::new().await?;
    let mut took = Vec::new();
    for _ in 0..21 {
        let function = Function::start(plan, &scene.world, &[]).await?;
        took.push(function.start.as_secs_f64() * 1000.0);
    }
    rows.push(Row::new("exec to first poll", median(took), "ms").at_most(15.0));
    Ok(())
}

async fn first_archive(plan: &Plan, rows: &mut Vec<Row>) -> Result<()> {
    let call = Scene::call(5 * MIB)?;
    let mut took = Vec::new();
    for run in 0..plan.runs {
        let mut scene = Scene::new().await?;
        let mut function = Function::start(plan, &scene.world, &[]).await?;
        scene.world.wire.set_latency(LATENCY);
        scene.world.wire.forget();
        let begun = Instant::now();
        archive(&mut function, &mut scene, &call).await?;
        took.push(begun.elapsed().as_secs_f64() * 1000.0);
        if run == 0 {
            let asked = scene.world.wire.exchanges();
            println!("first archive, its requests one after another:");
            for exchange in &asked {
                println!(
                    "  {:>2} {:?} {}",
                    exchange.seq, exchange.service, exchange.operation
                );
            }
            rows.push(Row::new("first archive, requests", asked.len() as f64, ""));
        }
    }
    rows.push(Row::new("first archive, 10 ms per request", median(took), "ms"));
    Ok(())
}

async fn warm_archive(plan: &Plan, rows: &mut Vec<Row>) -> Result<()> {
    println!("warm archive");
    let call = Scene::call(5 * MIB)?;
    let mut scene = Scene::new().await?;
    let mut function = Function::start(plan, &scene.world, &[]).await?;
    archive(&mut function, &mut scene, &call).await?;
    scene.world.wire.forget();
    let before = function.cpu()?;
    // Many, as the clock ticks every 10 ms.
    let times = 40;
    for _ in 0..times {
        archive(&mut function, &mut scene, &call).await?;
    }
    let each = f64::from(times);
    rows.push(
        Row::new(
            "warm archive, CPU",
            (function.cpu()? - before) * 1000.0 / each,
            "ms",
        )
        .at_most(25.0),
    );
    let asked = scene.world.wire.exchanges();
    for (service, name, most) in [
        (Service::S3, "S3", 1.0),
        (Service::DynamoDb, "DynamoDB", 4.0),
        (Service::Genesys, "Genesys", 2.0),
    ] {
        let requests = asked
            .iter()
            .filter(|exchange| exchange.service == service)
            .count();
        let name = format!("warm archive, {name} requests");
        rows.push(Row::new(name, requests as f64 / each, "").at_most(most));
    }
    Ok(())
}

async fn batch(plan: &Plan, rows: &mut Vec<Row>) -> Result<()> {
    println!("batch");
    let (one, four) = (batch_of_ten(plan, 1).await?, batch_of_ten(plan, 4).await?);
    rows.push(Row::new("batch of 10, one at a time", one * 1000.0, "ms"));
    rows.push(Row::new("batch of 10, four at a time, speed", one / four, "x").at_least(3.0));
    Ok(())
}

/// Seconds for ten small recordings in one batch, with this many at a time.
pub(crate) async fn batch_of_ten(plan: &Plan, at_once: usize) -> Result<f64> {
    let call = Scene::call(100_000)?;
    let mut scene = Scene::new().await?;
    let at_once = at_once.to_string();
    let mut function = Function::start(plan, &scene.world, &[("RECORD_CONCURRENCY", &at_once)]).await?;
    archive(&mut function, &mut scene, &call).await?;
    scene.world.wire.set_latency(LATENCY);
    let mut took = Vec::new();
    for _ in 0..3 {
        let conversations: Vec<_> = (0..10).map(|_| scene.conversation(&call)).collect();
        let begun = Instant::now();
        acknowledged(&function.invoke(sqs(&conversations)).await?)?;
        took.push(begun.elapsed().as_secs_f64());
    }
    Ok(median(took))
}

fn package(plan: &Plan, rows: &mut Vec<Row>) -> Result<()> {
    let binary = std::fs::read(&plan.binary)?;
    let mut zipped = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut zipped, &binary)?;
    let mib = |bytes: usize| bytes as f64 / MIB as f64;
    rows.push(Row::new("binary", mib(binary.len()), "MiB"));
    rows.push(Row::new("package, zipped", mib(zipped.finish()?.len()), "MiB").at_most(5.0));
    Ok(())
}

fn sqs(conversations: &[String]) -> Value {
    let records = conversations.iter().map(|id| {
        json!({"messageId": id, "receiptHandle": "handle", "body": json!({"conversationId": id}).to_string(),
               "attributes": {}, "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs",
               "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:work", "awsRegion": "us-east-1"})
    });
    json!({"Records": records.collect::<Vec<_>>()})
}

fn acknowledged(answer: &Value) -> Result<()> {
    if *answer == json!({"batchItemFailures": []}) {
        return Ok(());
    }
    Err(format!("not all of the batch was archived: {answer}").into())
}
