//! Every named bound of the source stands in docs/bounds.md, and every one that is counted there is counted in the program.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use tests::{Dev, root_of_repository};

/// The crates whose bounds an operator meets.
const CRATES: [&str; 5] = ["edge", "tunnel", "agent", "control-plane", "store"];

/// `crate NAME` of each constant that is a time or a count.
fn constants() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in CRATES {
        collect(
            &root_of_repository().join(name).join("src"),
            name,
            &mut found,
        );
    }
    assert!(found.len() > 100, "the search has gone blind: {found:?}");
    found
}

fn collect(directory: &Path, name: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        let of_tests = file.starts_with("tests") || file == "contract" || file == "suite.rs";
        if of_tests {
            continue;
        }
        if path.is_dir() {
            collect(&path, name, found);
        } else if file.ends_with(".rs") {
            let source = fs::read_to_string(&path).unwrap();
            let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let constants = source.lines().filter_map(constant);
            found.extend(constants.map(|constant| format!("{name} {constant}")));
        }
    }
}

fn constant(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("const ")?;
    let visibility = before.trim();
    if !(visibility.is_empty() || visibility.starts_with("pub")) || before.contains("//") {
        return None;
    }
    let (name, kind) = rest.split_once(':')?;
    let kinds = ["Duration", "(Duration, Duration)", "usize", "u32", "u64"];
    let kind = kind.split('=').next()?.trim();
    let is_constant = name
        .chars()
        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    (is_constant && kinds.contains(&kind)).then_some(name)
}

/// The rows of docs/bounds.md: `crate NAME` to the label under which it is counted, empty for what is not.
fn documented() -> BTreeMap<String, String> {
    let text = fs::read_to_string(root_of_repository().join("docs/bounds.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, constants, label, ..] = cells[..] else {
            continue;
        };
        if !CRATES.contains(&name) {
            continue;
        }
        for constant in constants.split(',').map(|c| c.trim().trim_matches('`')) {
            let known = rows.insert(
                format!("{name} {constant}"),
                label.trim_matches('`').to_owned(),
            );
            assert_eq!(known, None, "{name} {constant} stands there twice");
        }
    }
    rows
}

#[test]
fn every_bound_of_the_source_is_documented() {
    let (source, documented) = (constants(), documented());
    let missing: Vec<_> = source
        .iter()
        .filter(|c| !documented.contains_key(*c))
        .collect();
    assert!(
        missing.is_empty(),
        "not in docs/bounds.md: {missing:#?}. Count each where it is hit, or say there why it is not counted"
    );
    let settings = |name: &str| name.contains("Limits::") || name.contains("Options::");
    let gone: Vec<_> = documented
        .keys()
        .filter(|c| !source.contains(*c) && !settings(c))
        .collect();
    assert!(
        gone.is_empty(),
        "in docs/bounds.md, but not in the source: {gone:#?}"
    );
}

#[test]
fn every_documented_counter_is_exposed_and_the_other_way_round() {
    let dev = Dev::start(&[]);
    let mut exposed = BTreeSet::new();
    for line in dev.metrics().lines() {
        let Some((name, rest)) = line.split_once("_bounds_hit_total{bound=\"") else {
            continue;
        };
        let part = name
            .strip_prefix("adit_")
            .unwrap()
            .replace("control", "control-plane");
        exposed.insert(format!("{part} {}", rest.split('"').next().unwrap()));
    }
    let documented: BTreeSet<String> = documented()
        .into_iter()
        .filter(|(_, label)| !label.is_empty())
        .map(|(constant, label)| {
            let (part, _) = constant.split_once(' ').unwrap();
            match label.split_once(':') {
                Some((other, label)) => format!("{other} {label}"),
                None => format!("{part} {label}"),
            }
        })
        .collect();
    assert_eq!(documented, exposed);
}

/// A counter that nothing counts would stand at zero for ever.
#[test]
fn every_counter_is_counted_somewhere() {
    for (name, file, kind) in [
        ("edge", "edge/src/metrics/hit.rs", "Hit"),
        ("tunnel", "tunnel/src/bounds.rs", "Bound"),
        ("agent", "agent/src/bounds.rs", "Bound"),
        ("control-plane", "control-plane/src/metrics.rs", "Hit"),
    ] {
        let root = root_of_repository();
        let definition = fs::read_to_string(root.join(file)).unwrap();
        let mut sources = String::new();
        read_all(&root.join(name).join("src"), &root.join(file), &mut sources);
        let variants = definition.lines().filter_map(|line| {
            let (variant, label) = line.trim().split_once(" = \"")?;
            label.ends_with("\",").then_some(variant)
        });
        let mut seen = 0;
        for variant in variants {
            seen += 1;
            assert!(
                sources.contains(&format!("{kind}::{variant}")),
                "{name}: {kind}::{variant} is never counted"
            );
        }
        assert!(seen > 5, "{file} defines no bounds");
    }
}

fn read_all(directory: &Path, except: &Path, sources: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && file != "tests" {
            read_all(&path, except, sources);
        } else if file.ends_with(".rs") && path != except && file != "tests.rs" {
            sources.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
