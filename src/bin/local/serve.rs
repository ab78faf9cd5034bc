//! Keeps the simulators up, and lets the function work off their queue.

use std::net::IpAddr;

use recording_archiver::sim::{Ports, Site, World};
use tokio::sync::Notify;

use super::args::Serve;
use super::folder::{Folder, Result};
use super::function::Function;
use super::screen::{Screen, count};
use super::sealing::Sealing;
use super::worker;

/// Serves until Ctrl-C.
pub(crate) async fn run(screen: &Screen, options: Serve) -> Result<()> {
    let site = Site::served(options.bind, options.name);
    let folder = Folder::take(&format!(
        "cargo local -- serve, which listens on ports {} to {}",
        Ports::SERVE.genesys,
        Ports::SERVE.webhook
    ))?;
    if let Some(emptied) = options.fresh.then(|| folder.empty()).transpose()?.flatten() {
        screen.line(emptied)?;
    }
    let world = folder.start(site).await.map_err(|error| {
        format!("{error}. Stop what listens there: a `cargo local -- serve` of another folder, perhaps")
    })?;
    introduce(screen, &world, options.bind)?;
    let (mut sealing, stop) = (Sealing::new(&world).await?, Notify::new());
    let worked = async {
        let put_back = until_interrupted(screen, &world, options.worker).await;
        stop.notify_one();
        put_back
    };
    let (put_back, ()) = tokio::try_join!(worked, sealing.run(screen, &stop))?;
    sealing.conclude(&world, screen).await?;
    screen.line(farewell(world.aws.depth(&world.work_queue), put_back))?;
    Ok(())
}

/// Works off the queue, or leaves it, until Ctrl-C. Returns how many messages of the last batch were put back.
async fn until_interrupted(screen: &Screen, world: &World, worker: bool) -> Result<usize> {
    let name = &world.site().name;
    if !worker {
        screen.line("The work queue is left to you. Ctrl-C ends.")?;
        tokio::signal::ctrl_c().await?;
        Ok(0)
    } else if !resolves(name).await {
        screen.line(format!(
            "This machine itself does not know {name}, so the function could"
        ))?;
        screen.line("not fetch media here: the work queue is left to you. Ctrl-C ends.")?;
        tokio::signal::ctrl_c().await?;
        Ok(0)
    } else {
        screen.line("The function works off the work queue, and says here what it did. Ctrl-C ends.\n")?;
        work(screen, world).await
    }
}

/// Works off the queue until Ctrl-C; messages in progress then clean up and stay in the queue. Returns how many did.
async fn work(screen: &Screen, world: &World) -> Result<usize> {
    let function = Function::new(world)?;
    let stop = Notify::new();
    let interrupted = async {
        tokio::signal::ctrl_c().await?;
        function.stop();
        stop.notify_one();
        Result::Ok(())
    };
    let (put_back, ()) = tokio::try_join!(worker::run(screen, world, &function, &stop), interrupted)?;
    Ok(put_back)
}

/// Returns what the work queue keeps for the next `cargo local -- serve`.
fn farewell(kept: usize, put_back: usize) -> String {
    let kept = match kept {
        0 => return "\nStopped. The work queue is empty.".to_owned(),
        kept => count(kept, "message"),
    };
    let put_back = match put_back {
        0 => String::new(),
        put_back => format!(", {put_back} of them put back from the last batch"),
    };
    format!("\nStopped. The work queue keeps {kept}{put_back}.")
}

fn introduce(screen: &Screen, world: &World, bind: IpAddr) -> Result<()> {
    let ports = world.site().ports;
    screen.line(format!(
        "The simulators are up on {bind}, ports {} to {}.\nFiles: target/local/archive.\n",
        ports.genesys, ports.webhook
    ))?;
    screen.line(
        "In another terminal, with their environment:\n  \
           eval \"$(cargo local -- env)\"\n\
         the operators' command line (docs/operations.md):\n  \
           cargo archivectl doctor\n\
         or the function under cargo-lambda:\n  \
           cargo lambda watch\n  \
           cargo lambda invoke recording-archiver \\\n      \
               --data-file events/12-direct-job.archived.json\n\
         SAM and Docker: docs/deploy.md, \"On a laptop\".\n",
    )?;
    Ok(())
}

/// Returns whether this machine itself knows the name in the URLs that are handed out.
async fn resolves(name: &str) -> bool {
    tokio::net::lookup_host((name.trim_matches(['[', ']']), 0))
        .await
        .is_ok()
}

/// Prints the environment of `serve` for a shell's `eval`.
pub(crate) fn print_environment(screen: &Screen, name: Option<String>) -> Result<()> {
    let mut site = Site::loopback(Ports::SERVE);
    site.name = name.unwrap_or(site.name);
    for (name, value) in site.operators_environment() {
        screen.line(format!("export {name}={value}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_says_what_the_queue_keeps() {
        assert_eq!(farewell(0, 0), "\nStopped. The work queue is empty.");
        assert_eq!(farewell(1, 0), "\nStopped. The work queue keeps 1 message.");
        assert_eq!(
            farewell(17, 3),
            "\nStopped. The work queue keeps 17 messages, 3 of them put back from the last batch."
        );
    }
}
