//! The house keeps its order: imports point down, values know no I/O, the simulators share no code with what they
//! test, and no file or function grows without a reason.
//!
//! The layers are read from the table in the documentation of `src/lib.rs`, so that the page cannot rot.

mod circles;
mod paths;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fancy_regex::Regex;
use syn::spanned::Spanned as _;
use syn::visit::Visit;

use crate::support::project;

/// Longest function, in lines.
const LONGEST_FUNCTION: usize = 70;
/// Most parameters of a function, the receiver not counted.
const MOST_PARAMETERS: usize = 5;
/// Longest file, in lines.
const LONGEST_FILE: usize = 500;

/// The exceptions, each with its reason. Entries only ever leave this list.
const EXCEPTIONS: [(&str, &str); 0] = [];

/// A source file: its path below `src/`, and its text without comments and without its own tests.
struct Source {
    path: String,
    code: String,
}

impl Source {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let without_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code = without_tests.lines().map(|line| {
            if line.trim_start().starts_with("//") {
                ""
            } else {
                line
            }
        });
        let below = path.strip_prefix(project().join("src")).unwrap();
        Self {
            path: below.to_str().unwrap().replace('\\', "/"),
            code: code.collect::<Vec<_>>().join("\n"),
        }
    }

    /// Returns the module of the crate that it belongs to; binaries are named `bin/NAME`.
    fn module(&self) -> String {
        let mut parts = self.path.split('/');
        match (parts.next().unwrap(), parts.next()) {
            ("bin", Some(name)) => format!("bin/{}", name.trim_end_matches(".rs")),
            (first, _) => first.trim_end_matches(".rs").to_owned(),
        }
    }

    /// Returns every path that it names.
    fn paths(&self) -> Vec<paths::Path> {
        paths::paths(&self.code)
    }

    /// Returns the modules of the library that it names.
    fn imports(&self) -> BTreeSet<String> {
        // Inside a binary, `crate` is the binary.
        let of_a_binary = self.path.starts_with("bin/") || self.path == "main.rs";
        let library = if of_a_binary {
            "recording_archiver"
        } else {
            "crate"
        };
        let paths = self.paths().into_iter();
        paths
            .filter(|path| path[0] == library)
            .filter_map(|path| path.get(1).cloned())
            .collect()
    }
}

/// Returns the Rust files below a folder of the project.
pub(crate) fn files(folder: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&project().join(folder), &mut found);
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    files("src").iter().map(|path| Source::read(path)).collect()
}

/// Returns the layer of each module, from the table in `src/lib.rs`: `//! | 2 | aws, genesys | ... |`.
fn layers() -> BTreeMap<String, u32> {
    let text = std::fs::read_to_string(project().join("src/lib.rs")).unwrap();
    let row = Regex::new(r"(?m)^//! \| (\d) \| ([^|]+) \|").unwrap();
    let mut layers = BTreeMap::new();
    for found in row.captures_iter(&text) {
        let found = found.unwrap();
        let layer = found.get(1).unwrap().as_str().parse().unwrap();
        for module in found.get(2).unwrap().as_str().split(',') {
            let module = module.trim().trim_matches(['`', '[', ']']).to_owned();
            assert_eq!(
                layers.insert(module.clone(), layer),
                None,
                "{module} stands in two layers"
            );
        }
    }
    layers
}

#[test]
fn every_module_has_a_layer_and_every_layer_names_modules_that_exist() {
    let modules: BTreeSet<String> = sources()
        .iter()
        .map(Source::module)
        .filter(|name| name != "lib")
        .collect();
    let named: BTreeSet<String> = layers().into_keys().collect();
    assert_eq!(modules, named);
}

#[test]
fn imports_point_down() {
    let layers = layers();
    let mut up = Vec::new();
    for source in sources().iter().filter(|source| source.path != "lib.rs") {
        let module = source.module();
        for import in source.imports() {
            let Some(layer) = layers.get(&import) else {
                panic!("{} imports {import}, which has no layer", source.path)
            };
            if *layer > layers[&module] {
                up.push(format!("{} -> {import}", source.path));
            }
        }
    }
    assert!(up.is_empty(), "these point up:\n{}", up.join("\n"));
}

#[track_caller]
fn assert_none_of(folder: &str, forbidden: &str, why: &str) {
    let forbidden = Regex::new(forbidden).unwrap();
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.path.starts_with(folder)) {
        for line in source
            .code
            .lines()
            .filter(|line| forbidden.is_match(line).unwrap())
        {
            found.push(format!("{}: {}", source.path, line.trim()));
        }
    }
    assert!(found.is_empty(), "{why}:\n{}", found.join("\n"));
}

#[test]
fn values_know_no_io_no_clock_and_no_environment() {
    assert_none_of(
        "domain/",
        r"\b(tokio|reqwest|aws_\w+|std::(env|fs|net|process)|SystemTime|Instant|Timestamp::now)\b",
        "the domain is values alone",
    );
}

#[test]
fn the_simulators_share_no_code_with_what_they_test() {
    let others: Vec<String> = sources()
        .iter()
        .filter(|source| source.module() == "sim")
        .flat_map(|source| {
            source
                .imports()
                .into_iter()
                .map(|import| (source.path.clone(), import))
        })
        .filter(|(_, import)| import != "sim")
        .map(|(path, import)| format!("{path} -> {import}"))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn ops_prints_nothing_and_knows_no_arguments() {
    assert_none_of(
        "ops/",
        r"\b(e?print(ln)?!|anstream|anstyle|indicatif|clap)",
        "commands are values, rendered by the binary",
    );
}

/// Collects the functions that are too long, and those that take too much.
struct Functions<'a> {
    path: &'a str,
    long: Vec<String>,
    wide: Vec<String>,
}

impl<'a> Functions<'a> {
    fn of(source: &'a Source) -> Self {
        let text = std::fs::read_to_string(project().join("src").join(&source.path)).unwrap();
        let mut functions = Functions {
            path: &source.path,
            long: Vec::new(),
            wide: Vec::new(),
        };
        functions.visit_file(&syn::parse_file(&text).unwrap());
        functions
    }

    fn look(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (path, name) = (self.path, &signature.ident);
        let lines = block.span().end().line - block.span().start().line + 1;
        if lines > LONGEST_FUNCTION {
            self.long.push(format!("{path}::{name} has {lines} lines"));
        }
        let inputs = signature.inputs.iter();
        let typed = inputs.filter_map(|input| match input {
            syn::FnArg::Typed(parameter) => Some(parameter),
            syn::FnArg::Receiver(_) => None,
        });
        let parameters: usize = typed.map(|parameter| named(&parameter.pat)).sum();
        if parameters > MOST_PARAMETERS {
            self.wide
                .push(format!("{path}::{name} has {parameters} parameters"));
        }
    }
}

/// How many parameters a pattern is: a tuple hides as many as it names.
fn named(pattern: &syn::Pat) -> usize {
    match pattern {
        syn::Pat::Tuple(tuple) => tuple.elems.iter().map(named).sum(),
        _ => 1,
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.look(&function.sig, &function.block);
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.look(&function.sig, &function.block);
        syn::visit::visit_impl_item_fn(self, function);
    }
}

#[test]
fn no_file_and_no_function_is_too_long_to_read() {
    let mut long = Vec::new();
    for path in ["benches", "src", "tests"].into_iter().flat_map(files) {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        if lines > LONGEST_FILE {
            let path = path.strip_prefix(project()).unwrap();
            long.push(format!("{} has {lines} lines", path.display()));
        }
    }
    for source in sources() {
        long.extend(Functions::of(&source).long);
    }
    let excepted = |line: &String| {
        EXCEPTIONS
            .iter()
            .any(|(what, _)| line.starts_with(&format!("{what} has")))
    };
    long.retain(|line| !excepted(line));
    assert!(long.is_empty(), "too long to read at once:\n{}", long.join("\n"));
}

/// Of the simulators, the signatures are those of the protocols that they speak.
#[test]
fn no_function_takes_more_than_five_parameters() {
    let sources = sources();
    let ours = sources.iter().filter(|source| source.module() != "sim");
    let wide: Vec<String> = ours.flat_map(|source| Functions::of(source).wide).collect();
    assert!(wide.is_empty(), "these take too much:\n{}", wide.join("\n"));
}
