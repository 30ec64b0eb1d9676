//! The design, held: who may import whom, how large things may grow, and what has no place here at all.
#![cfg(test)]

mod documents;
mod scan;

use std::collections::{BTreeMap, BTreeSet};

use scan::Source;

/// Crates that have no place in a room.
const NEVER: &[(&str, &[&str])] = &[
    ("config", &["tower", "tower_service", "tower_layer", "tower_http", "hyper", "hyper_util", "tokio"]),
    ("provider", &["tower", "tower_service", "tower_http", "hyper", "hyper_util", "tokio", "futures_util"]),
    ("classify", &["tower_http", "hyper_util", "hyper_rustls"]),
    ("body", &["tower_http", "hyper_util", "hyper_rustls"]),
];

/// All that the layers are made of.
const LAYERS: &[&str] = &[
    "std",
    "core",
    "tower",
    "tower_layer",
    "tower_service",
    "tokio",
    "pin_project_lite",
    "fastrand",
    "arc_swap",
];

/// Words of worlds that the layers do not live in.
const FOREIGN: &[&str] =
    &["http", "hyper", "serde", "json", "yaml", "axum", "tonic", "tracing", "prometheus", "openai"];

fn gateway() -> Vec<Source> {
    scan::under("src")
}

fn layers() -> Vec<Source> {
    scan::under("layers/src")
}

fn everything() -> Vec<Source> {
    ["src", "layers", "tests", "examples", "benches"].iter().flat_map(|folder| scan::under(folder)).collect()
}

/// Everything found wrong, told at once.
fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn the_scan_sees_the_sources() {
    assert!(gateway().iter().any(|source| source.path == "src/lib.rs"));
    assert!(layers().iter().any(|source| source.path == "layers/src/lib.rs"));
    assert!(everything().iter().any(|source| source.path == "tests/architecture/main.rs"));
}

/// The folders that each folder's production code imports, for one crate.
fn graph(sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let root = sources.iter().find(|source| source.path.ends_with("src/lib.rs"));
    let exported = root.map(Source::exported).unwrap_or_default();
    let mut graph = BTreeMap::<String, BTreeSet<String>>::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let imports = source.imports().into_iter();
        let imports = imports.map(|name| exported.get(&name).cloned().unwrap_or(name));
        let here = graph.entry(source.room().to_owned()).or_default();
        here.extend(imports.filter(|name| *name != source.room()));
    }
    graph
}

/// A way from a folder back to itself, if there is one.
fn cycle(graph: &BTreeMap<String, BTreeSet<String>>, way: &mut Vec<String>) -> Option<String> {
    let here = way.last().cloned().unwrap_or_default();
    for next in graph.get(&here).into_iter().flatten() {
        if way.first() == Some(next) {
            return Some(format!("{} -> {next}", way.join(" -> ")));
        }
        if graph.contains_key(next) && !way.contains(next) {
            way.push(next.clone());
            if let Some(found) = cycle(graph, way) {
                return Some(found);
            }
            way.pop();
        }
    }
    None
}

#[test]
fn no_folder_imports_another_that_leads_back_to_it() {
    let graph = graph(&gateway());
    assert!(graph.len() > 10, "{graph:?}");
    let cycles = graph.keys().filter_map(|folder| cycle(&graph, &mut vec![folder.clone()]));
    none("folders import each other in a circle", cycles.collect());
}

#[test]
fn the_tree_does_not_know_what_outlives_it_or_who_serves_it() {
    let graph = graph(&gateway());
    let known = |folder: &str| graph.get(folder).cloned().unwrap_or_default();
    // Whatever imports `stack` stands above it; since there is no cycle, all else that it imports stands below.
    let above: BTreeSet<_> = graph.keys().filter(|folder| known(folder).contains("stack")).cloned().collect();
    let below = known("stack").into_iter().filter(|folder| folder != "state");
    let wrong = below.flat_map(|folder| {
        let upwards = known(&folder).into_iter().filter(|other| other == "state" || above.contains(other));
        upwards.map(|other| format!("{folder} imports {other}")).collect::<Vec<_>>()
    });
    none("a folder below the stack knows what stands above", wrong.collect());
    none("config imports another folder", known("config").into_iter().collect());
}

#[test]
fn folders_do_not_import_the_crates_that_are_banned_there() {
    let mut found = Vec::new();
    for (room, never) in NEVER {
        for source in gateway().iter().filter(|source| source.room() == *room && !source.is_test()) {
            let used = source.crates().into_iter().filter(|name| never.contains(&name.as_str()));
            found.extend(used.map(|name| format!("{} uses {name}", source.path)));
        }
    }
    none("a room uses a crate it may not", found);
}

#[test]
fn the_layers_know_nothing_of_http_or_any_format() {
    let mut found = Vec::new();
    for source in layers() {
        let words = source.words();
        found.extend(
            FOREIGN.iter().filter(|word| words.contains(**word)).map(|w| format!("{}: {w}", source.path)),
        );
    }
    none("a word from another world", found);
}

#[test]
fn the_layers_depend_on_a_few_small_crates() {
    let manifest = scan::text("layers/Cargo.toml");
    let (_, rest) = manifest.split_once("[dependencies]\n").unwrap();
    let table = rest.split("\n[").next().unwrap();
    let names = table.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|n| !n.is_empty());
    let strangers = names.map(|name| name.replace('-', "_")).filter(|name| !LAYERS.contains(&name.as_str()));
    none("a dependency of the layers", strangers.collect());
}

#[test]
fn no_future_of_the_layers_is_boxed() {
    let mut found = Vec::new();
    for source in layers().iter().filter(|source| !source.is_test() && !source.path.ends_with("testing.rs")) {
        let code = source.served();
        for boxed in ["Pin<Box", "BoxFuture", "Box::pin", "async fn", "async move"] {
            if code.contains(boxed) {
                found.push(format!("{}: {boxed}", source.path));
            }
        }
    }
    none("a future that is no state machine", found);
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let long = everything().into_iter().filter(|source| source.text.lines().count() > 600);
    none("too long", long.map(|s| format!("{}: {} lines", s.path, s.text.lines().count())).collect());
}

#[test]
fn no_function_is_longer_than_50_lines() {
    let long = everything().into_iter().flat_map(|source| {
        let functions = source.functions().into_iter().filter(|(_, lines)| *lines > 50);
        functions.map(|(name, lines)| format!("{}: {name}, {lines} lines", source.path)).collect::<Vec<_>>()
    });
    none("too long", long.collect());
}

#[test]
fn stack_rs_is_shorter_than_200_lines() {
    if let Some(stack) = gateway().into_iter().find(|source| source.path == "src/stack.rs") {
        let lines = stack.text.lines().count();
        assert!(lines < 200, "src/stack.rs has {lines} lines");
    }
}

#[test]
fn banned_words_are_nowhere_in_the_sources() {
    let banned = [
        ("async_trait", "a boxed future per call"),
        ("thread::sleep", "a thread that sleeps"),
        ("#[ignore", "a test that does not run"),
        ("unsafe ", "unsafe code"),
        ("todo!(", "what is not written"),
        ("unimplemented!(", "what is not written"),
        ("dbg!(", "what was meant for one afternoon"),
        ("#[allow(", "a lint switched off without a reason that is checked"),
    ];
    let mut found = Vec::new();
    for source in everything() {
        let wrong = banned.iter().filter(|(word, _)| source.code.contains(word));
        found.extend(wrong.map(|(word, why)| format!("{}: `{word}`, {why}", source.path)));
    }
    none("banned", found);
}

#[test]
fn nothing_rides_in_extensions_on_its_way_through_the_tree() {
    let sources = gateway();
    let riders =
        sources.iter().filter(|source| !source.is_test() && source.served().contains("extensions_mut"));
    none("an allocation per clone", riders.map(|source| source.path.clone()).collect());
}

#[test]
fn every_file_says_what_it_is_for() {
    let served = everything().into_iter().filter(|source| !source.is_test());
    let silent = served.filter(|source| !source.text.starts_with("//!"));
    none("no module documentation", silent.map(|source| source.path).collect());
}

#[test]
fn the_workspace_states_its_edition_its_rust_and_its_licence() {
    let manifest = scan::text("Cargo.toml");
    for stated in [
        "edition = \"2024\"",
        "rust-version = ",
        "license = \"MIT OR Apache-2.0\"",
        "unsafe_code = \"forbid\"",
    ] {
        assert!(manifest.contains(stated), "{stated} is missing");
    }
    for file in ["LICENSE-MIT", "LICENSE-APACHE", "Cargo.lock", "README.md"] {
        assert!(!scan::text(file).is_empty(), "{file}");
    }
}
