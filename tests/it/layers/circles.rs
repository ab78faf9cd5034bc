//! No module imports what imports it, not even by way of others.

use std::collections::{BTreeMap, BTreeSet};

use super::paths::{Path, resolve};
use super::{Source, sources};

/// The imports of each module.
type Arrows<T> = BTreeMap<T, BTreeSet<T>>;

/// Returns what is left when everything that imports nothing else, or that nothing else imports, has been taken away:
/// the circles, and what lies between them.
fn circles<T: Ord + Clone>(mut arrows: Arrows<T>) -> Arrows<T> {
    loop {
        let known: BTreeSet<T> = arrows.keys().cloned().collect();
        arrows
            .values_mut()
            .for_each(|imports| imports.retain(|import| known.contains(import)));
        let imported: BTreeSet<T> = arrows.values().flatten().cloned().collect();
        arrows.retain(|module, imports| !imports.is_empty() && imported.contains(module));
        if arrows.len() == known.len() {
            return arrows;
        }
    }
}

#[test]
fn a_circle_is_found_and_what_leads_there_is_not() {
    let arrows = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")];
    let mut all = Arrows::new();
    for (from, to) in arrows {
        all.entry(from).or_default().insert(to);
        all.entry(to).or_default();
    }
    let expected = [("b", ["c"].into()), ("c", ["b"].into())];
    assert_eq!(circles(all), expected.into());
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let mut arrows = Arrows::new();
    for source in sources().iter().filter(|source| source.path != "lib.rs") {
        let module = source.module();
        let others = source.imports().into_iter().filter(|import| *import != module);
        arrows.entry(module.clone()).or_default().extend(others);
    }
    let circles = circles(arrows);
    assert!(circles.is_empty(), "these import each other: {circles:#?}");
}

/// Returns the path of a file's module; `None` for a file that is not below `folder`, the root of a crate or a part of
/// one.
fn module_path(source: &Source, folder: &str, root: &str) -> Option<Path> {
    source.path.strip_prefix(folder)?;
    let below = source.path.strip_prefix(root)?.strip_suffix(".rs")?;
    let mut path: Path = below.split('/').map(str::to_owned).collect();
    if ["mod", "main"].contains(&path.last()?.as_str()) {
        path.pop();
    }
    Some(path)
}

/// In the simulators and the binaries the rule holds for each file, a folder's `mod.rs` against the files beside it,
/// too: what the files share has a file of its own.
#[test]
fn no_files_of_simulators_and_binaries_import_each_other_in_a_circle() {
    let sources = sources();
    for (folder, root) in [
        ("sim/", ""),
        ("bin/archivectl/", "bin/archivectl/"),
        ("bin/chaos/", "bin/chaos/"),
        ("bin/local/", "bin/local/"),
    ] {
        let files: Vec<(Path, &Source)> = sources
            .iter()
            .filter_map(|source| Some((module_path(source, folder, root)?, source)))
            .collect();
        let modules: BTreeSet<Path> = files.iter().map(|(module, _)| module.clone()).collect();
        assert!(modules.len() > 3, "{folder} has files");
        let imports = |module: &Path, source: &Source| {
            let paths = source.paths();
            let imports = paths.iter().filter_map(|path| resolve(path, module, &modules));
            imports.map(|module| module.join("::")).collect()
        };
        let arrows = files
            .iter()
            .map(|(module, source)| (module.join("::"), imports(module, source)));
        let circles = circles(arrows.collect());
        assert!(
            circles.is_empty(),
            "in {folder} these import each other: {circles:#?}"
        );
    }
}
