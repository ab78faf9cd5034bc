//! The pages lead where they say: links and paths exist, and what a stranger asks is two clicks from the README.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fancy_regex::Regex;
use serde_json::Value;

use crate::support::{Bench, CONVERSATION, RECORDING, project};

/// Returns the text of each page, by its path in the project.
fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    for folder in ["", "docs", "events"] {
        for entry in std::fs::read_dir(project().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                let path = Path::new(folder).join(name);
                let text = std::fs::read_to_string(project().join(&path)).unwrap();
                pages.insert(path.to_str().unwrap().to_owned(), text);
            }
        }
    }
    pages
}

/// Returns the text without its blocks of code.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// Returns the headings of a page as its anchors, each with the text below it.
fn sections(text: &str) -> BTreeMap<String, String> {
    let heading = Regex::new(r"(?m)^#+ (.*)$").unwrap();
    let headings: Vec<_> = heading.captures_iter(text).map(Result::unwrap).collect();
    let mut sections = BTreeMap::new();
    for (at, found) in headings.iter().enumerate() {
        let title = found.get(1).unwrap().as_str().to_lowercase();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
        let end = headings
            .get(at + 1)
            .map_or(text.len(), |next| next.get(0).unwrap().start());
        let below = text[found.get(0).unwrap().end()..end].to_owned();
        sections.insert(kept.collect::<String>().replace(' ', "-"), below);
    }
    sections
}

/// Returns where the links of a page lead within the project: path and anchor, empty for the page as a whole.
fn links(page: &str, text: &str) -> Vec<(String, String)> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let prose = prose(text);
    let found = link.captures_iter(&prose).map(|found| found.unwrap());
    let targets = found.map(|found| found.get(1).unwrap().as_str().to_owned());
    targets
        .filter(|target| !target.contains("://"))
        .map(|target| {
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = match path {
                "" => page.to_owned(),
                path => normal(&Path::new(page).parent().unwrap().join(path)),
            };
            (path, anchor.to_owned())
        })
        .collect()
}

/// Returns the path without `..`.
fn normal(path: &Path) -> String {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => assert!(normal.pop(), "{path:?} leads out of the project"),
            part => normal.push(part),
        }
    }
    normal.to_str().unwrap().to_owned()
}

#[test]
fn every_link_within_the_project_leads_somewhere() {
    let pages = pages();
    let mut dead = Vec::new();
    for (page, text) in &pages {
        for (path, anchor) in links(page, text) {
            let there = match pages.get(&path) {
                Some(target) => anchor.is_empty() || sections(&prose(target)).contains_key(&anchor),
                None => anchor.is_empty() && project().join(&path).exists(),
            };
            if !there {
                dead.push(format!("{page} -> {path}#{anchor}"));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn lines_of_prose_fit_120_columns() {
    let long = |line: &&str| line.chars().count() > 120;
    for (page, text) in pages() {
        let lines = prose(&text);
        let long: Vec<_> = lines
            .lines()
            .filter(long)
            .filter(|line| !line.trim_start().starts_with('|'))
            .collect();
        assert!(long.is_empty(), "{page}: {long:#?}");
    }
    let files = ["src", "tests", "benches"].map(crate::layers::files);
    for path in files.into_iter().flatten() {
        let text = std::fs::read_to_string(&path).unwrap();
        let comments = text.lines().filter(|line| line.trim_start().starts_with("//"));
        let long: Vec<_> = comments
            .filter(long)
            .filter(|line| !line.contains("://"))
            .collect();
        assert!(long.is_empty(), "{}: {long:#?}", path.display());
    }
}

#[test]
fn every_path_that_a_page_names_exists() {
    let path = Regex::new(r"`((?:src|tests|benches|scripts|docs|events)/[\w./-]+)`").unwrap();
    let mut missing = Vec::new();
    for (page, text) in pages() {
        for found in path.captures_iter(&text) {
            let named = found.unwrap().get(1).unwrap().as_str().to_owned();
            if !project().join(&named).exists() {
                missing.push(format!("{page}: {named}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Questions of a stranger; the place of each answer, and words of it.
const ASKED: [(&str, &str, &str, &[&str]); 4] = [
    (
        "where is the retry of a part decided",
        "ARCHITECTURE.md",
        "who-retries-what",
        &["a part of an upload", "`aws::retries`", "`MAX_ATTEMPTS`"],
    ),
    (
        "what does the audit item of a stored file hold",
        "docs/interface.md",
        "a-stored-file",
        &["\"action\": \"archive.stored\"", "\"archiveKey\"", "\"hash\""],
    ),
    (
        "how do I add a variable",
        "CONTRIBUTING.md",
        "how-to-add",
        &["| a variable |", "`src/config/read.rs`", "`template.yaml`"],
    ),
    (
        "which codes can the exception queue hold",
        "docs/interface.md",
        "codes",
        &["`malformed_job`", "`webhook_unsignable`", "exception queue"],
    ),
];

#[test]
fn what_a_stranger_asks_is_answered_two_clicks_from_the_readme() {
    let pages = pages();
    let from = |page: &str| links(page, &pages[page]);
    let first: BTreeSet<_> = from("README.md").into_iter().collect();
    let read = first.iter().filter(|(page, _)| pages.contains_key(page));
    let second = read.flat_map(|(page, _)| from(page));
    let reached: BTreeSet<_> = second.chain(first.iter().cloned()).collect();
    for (question, page, anchor, answer) in ASKED {
        let place = (page.to_owned(), anchor.to_owned());
        assert!(reached.contains(&place), "{question}: no way to {page}#{anchor}");
        let text = &sections(&pages[page])[anchor];
        for part in answer {
            assert!(text.contains(part), "{question}: {page}#{anchor} lacks {part}");
        }
    }
}

#[tokio::test]
async fn the_audit_item_of_a_stored_file_holds_what_the_page_shows() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let events = bench.audit(CONVERSATION, RECORDING).await;
    let stored = events.iter().find(|event| event["action"] == "archive.stored");
    let text = &sections(&pages()["docs/interface.md"])["a-stored-file"];
    let shown = text
        .split("```json\n")
        .nth(1)
        .unwrap()
        .split("\n```")
        .next()
        .unwrap();
    let shown: Value = serde_json::from_str(shown).unwrap();
    let names = |item: &Value| -> BTreeSet<String> { item.as_object().unwrap().keys().cloned().collect() };
    let stored = serde_json::to_value(stored.unwrap()).unwrap();
    assert_eq!(names(&stored), names(&shown));
    for (name, value) in shown.as_object().unwrap() {
        let of_one_kind = std::mem::discriminant(value) == std::mem::discriminant(&stored[name]);
        assert!(of_one_kind, "{name}: {value}, not {}", stored[name]);
    }
}
