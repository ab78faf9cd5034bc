//! The template and the code agree.

use std::collections::BTreeSet;

use recording_archiver::config::VARIABLES;

use crate::support::project;

/// The names under `Environment: Variables:` of the template, read as text: its tags (`!Ref`, `!If`) are not YAML.
fn variables() -> BTreeSet<String> {
    let text = std::fs::read_to_string(project().join("template.yaml")).unwrap();
    let mut lines = text.lines().skip_while(|line| line.trim() != "Variables:");
    let indent = |line: &str| line.len() - line.trim_start().len();
    let outer = indent(lines.next().expect("the template has a Variables block"));
    let mut names = BTreeSet::new();
    let mut inner = None;
    for line in lines.filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        if indent(line) <= outer {
            break;
        }
        if indent(line) == *inner.get_or_insert(indent(line)) {
            names.insert(line.trim().split(':').next().unwrap().to_owned());
        }
    }
    names
}

#[test]
fn the_template_sets_exactly_the_variables_that_the_function_reads() {
    assert_eq!(variables(), VARIABLES.map(str::to_owned).into());
}

#[test]
fn the_readme_lists_exactly_the_variables_that_the_function_reads() {
    let readme = std::fs::read_to_string(project().join("README.md")).unwrap();
    let table = readme
        .lines()
        .skip_while(|line| !line.starts_with("| variable |"));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let first_cells = rows
        .map(|row| row.split('|').nth(1).unwrap_or_default().to_owned())
        .collect::<Vec<_>>();
    let names: BTreeSet<String> = first_cells
        .iter()
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    assert_eq!(names, VARIABLES.map(str::to_owned).into());
}
