//! Reads the paths that a source names, such as `crate::sim::wire::Wire`, and finds the module that each leads to.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// Names of a path, from its first: `["super", "wire", "Wire"]`.
pub(super) type Path = Vec<String>;

/// Returns every path in the code, those in the groups of `use` and in macros as well.
pub(super) fn paths(code: &str) -> Vec<Path> {
    let mut found = Vec::new();
    read(code.parse().unwrap(), &[], &mut found);
    found.retain(|path| !path.is_empty());
    found
}

/// Reads a stream of tokens whose paths continue `prefix`.
fn read(tokens: TokenStream, prefix: &[String], found: &mut Vec<Path>) {
    let mut path = prefix.to_vec();
    let mut continued = true;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(name) if name == "as" => drop(tokens.next()),
            TokenTree::Ident(name) => {
                if !continued {
                    found.push(std::mem::replace(&mut path, prefix.to_vec()));
                }
                path.push(name.to_string());
                continued = false;
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' && mark.spacing() == Spacing::Joint => {
                tokens.next();
                continued = true;
            }
            other => {
                if let TokenTree::Group(group) = other {
                    let continues = continued && group.delimiter() == Delimiter::Brace;
                    read(group.stream(), if continues { &path } else { &[] }, found);
                }
                found.push(std::mem::replace(&mut path, prefix.to_vec()));
                continued = true;
            }
        }
    }
    found.push(path);
}

/// Returns the deepest of `modules` that a path in `module` leads to; `None` for a path out of the crate, or to an item
/// of the module itself.
pub(super) fn resolve(path: &[String], module: &Path, modules: &BTreeSet<Path>) -> Option<Path> {
    let (first, mut rest) = path.split_first()?;
    let mut reached = match first.as_str() {
        "crate" => Path::new(),
        "self" => module.clone(),
        "super" => parent(module),
        name => below(module, name),
    };
    if rest.is_empty() {
        return None;
    }
    while let Some((next, others)) = rest.split_first() {
        let deeper = match next.as_str() {
            "super" => parent(&reached),
            name => below(&reached, name),
        };
        if !modules.contains(&deeper) {
            break;
        }
        (reached, rest) = (deeper, others);
    }
    (reached != *module && modules.contains(&reached)).then_some(reached)
}

fn parent(module: &Path) -> Path {
    module[..module.len().saturating_sub(1)].to_vec()
}

fn below(module: &Path, name: &str) -> Path {
    let mut module = module.clone();
    module.push(name.to_owned());
    module
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        text.split("::")
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn paths_are_read_out_of_groups_and_macros_as_well() {
        let found = paths("use a::{b::{c, d}, e as f}; fn g() -> h::I { json!({\"j\": k::l()}) }");
        for expected in ["a::b::c", "a::b::d", "a::e", "h::I", "k::l"] {
            assert!(found.contains(&path(expected)), "{expected} in {found:?}");
        }
    }

    #[test]
    fn a_path_leads_to_the_deepest_module_on_its_way() {
        let modules = ["", "a", "a::b", "a::c"].map(path).into();
        let lead = |from: &str, to: &str| resolve(&path(to), &path(from), &modules);
        assert_eq!(lead("a::b", "super::c::Item"), Some(path("a::c")));
        assert_eq!(lead("a::b", "super::ITEM"), Some(path("a")));
        assert_eq!(lead("a::b", "super::super::ITEM"), Some(path("")));
        assert_eq!(lead("a", "b::Item"), Some(path("a::b")));
        assert_eq!(lead("a", "crate::a::c"), Some(path("a::c")));
        assert_eq!(lead("a", "self::ITEM"), None);
        assert_eq!(lead("a", "b"), None, "a variable of that name");
        assert_eq!(lead("a", "std::fmt"), None);
    }
}
