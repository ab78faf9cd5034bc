//! Tells `archivectl --version` which commit it is made of.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let (profile, target) = (variable("PROFILE"), variable("TARGET"));
    // While it is worked on, the commit changes all the time, and everything would be built anew each time.
    let of = if profile == "release" {
        // A file that is not there would count as changed each time.
        if std::path::Path::new(".git/logs/HEAD").exists() {
            println!("cargo::rerun-if-changed=.git/logs/HEAD");
        }
        // A proof says by which code it was made, or that nobody knows.
        format!("commit {}, ", commit().unwrap_or_else(|| "unknown".to_owned()))
    } else {
        String::new()
    };
    println!("cargo::rustc-env=ARCHIVER_BUILD={of}{profile} build for {target}");
}

/// Returns the commit's abbreviated hash and its day, if this is a repository.
fn commit() -> Option<String> {
    let log = Command::new("git")
        .args(["log", "-1", "--format=%h of %cs"])
        .output()
        .ok()?;
    let text = String::from_utf8(log.stdout).ok()?;
    (log.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
