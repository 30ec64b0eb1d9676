//! Checks of the architecture: imports between folders, sizes of files and functions, words of code and documentation.
#![cfg(test)]

mod documents;
mod scan;

use std::collections::{BTreeMap, BTreeSet};

use scan::Source;

/// The crates that a folder may not use.
const BANNED_CRATES: &[(&str, &[&str])] = &[
    ("config", &["tower", "tower_service", "tower_layer", "tower_http", "hyper", "hyper_util", "tokio"]),
    ("provider", &["tower", "tower_service", "tower_http", "hyper", "hyper_util", "tokio", "futures_util"]),
    (
        "dialect",
        &["tower", "tower_service", "tower_http", "hyper", "hyper_util", "tokio", "futures_util", "http"],
    ),
    ("classify", &["tower_http", "hyper_util", "hyper_rustls"]),
    ("body", &["tower_http", "hyper_util", "hyper_rustls"]),
];

/// The crates that the layers may depend on.
const LAYER_CRATES: &[&str] = &[
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

/// The crates that the layers' crate for HTTP may depend on besides: none that serves or calls.
const HTTP_CRATES: &[&str] = &["tollgate_layers", "http", "http_body", "httpdate"];

/// The crates that the ledger in Redis may depend on besides.
const REDIS_CRATES: &[&str] = &["tollgate_layers", "redis"];

/// The words of protocols, formats and frameworks that the layers must not depend on.
const BANNED_WORDS: &[&str] =
    &["http", "hyper", "serde", "json", "yaml", "axum", "tonic", "tracing", "prometheus", "openai"];

fn gateway() -> Vec<Source> {
    scan::under("src")
}

fn layers() -> Vec<Source> {
    scan::under("layers/src")
}

fn http() -> Vec<Source> {
    scan::under("layers/http/src")
}

fn redis() -> Vec<Source> {
    scan::under("layers/redis/src")
}

fn everything() -> Vec<Source> {
    ["src", "layers", "tests", "examples", "benches"].iter().flat_map(|folder| scan::under(folder)).collect()
}

/// The openings of documentation that is not a plain description: "Whether ..." instead of "Returns true if ...".
const BANNED_OPENINGS: &[&str] = &[
    "What", "Whatever", "Whether", "Whoever", "Whose", "Whom", "Who", "Its", "It", "One", "Those", "These",
    "This", "How", "So", "The same", "From now",
];

/// Fails with all violations at once.
fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn the_scan_finds_the_sources() {
    assert!(gateway().iter().any(|source| source.path == "src/lib.rs"));
    assert!(layers().iter().any(|source| source.path == "layers/src/lib.rs"));
    assert!(http().iter().any(|source| source.path == "layers/http/src/lib.rs"));
    assert!(redis().iter().any(|source| source.path == "layers/redis/src/lib.rs"));
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
        let here = graph.entry(source.folder().to_owned()).or_default();
        here.extend(imports.filter(|name| *name != source.folder()));
    }
    graph
}

/// Returns a cycle of imports that begins with `path`, if there is one.
fn cycle(graph: &BTreeMap<String, BTreeSet<String>>, path: &mut Vec<String>) -> Option<String> {
    let here = path.last().cloned().unwrap_or_default();
    for next in graph.get(&here).into_iter().flatten() {
        if path.first() == Some(next) {
            return Some(format!("{} -> {next}", path.join(" -> ")));
        }
        if graph.contains_key(next) && !path.contains(next) {
            path.push(next.clone());
            if let Some(found) = cycle(graph, path) {
                return Some(found);
            }
            path.pop();
        }
    }
    None
}

#[test]
fn the_imports_of_folders_have_no_cycle() {
    for (sources, least) in [(gateway(), 10), (http(), 5), (redis(), 3)] {
        let graph = graph(&sources);
        assert!(graph.len() > least, "{graph:?}");
        let cycles = graph.keys().filter_map(|folder| cycle(&graph, &mut vec![folder.clone()]));
        none("folders import each other in a circle", cycles.collect());
    }
}

#[test]
fn the_folders_below_the_stack_import_none_above_it() {
    let graph = graph(&gateway());
    let known = |folder: &str| graph.get(folder).cloned().unwrap_or_default();
    // A folder that imports `stack` is above it. As there is no cycle, all folders that `stack` imports are below.
    let above: BTreeSet<_> = graph.keys().filter(|folder| known(folder).contains("stack")).cloned().collect();
    let below = known("stack").into_iter().filter(|folder| folder != "state");
    let wrong = below.flat_map(|folder| {
        let upwards = known(&folder).into_iter().filter(|other| other == "state" || above.contains(other));
        upwards.map(|other| format!("{folder} imports {other}")).collect::<Vec<_>>()
    });
    none("a folder below the stack imports one above it", wrong.collect());
    none("config imports another folder", known("config").into_iter().collect());
    none("dialect imports another folder", known("dialect").into_iter().collect());
}

#[test]
fn folders_do_not_import_the_crates_that_are_banned_there() {
    let mut found = Vec::new();
    for (folder, banned) in BANNED_CRATES {
        for source in gateway().iter().filter(|source| source.folder() == *folder && !source.is_test()) {
            let used = source.crates().into_iter().filter(|name| banned.contains(&name.as_str()));
            found.extend(used.map(|name| format!("{} uses {name}", source.path)));
        }
    }
    none("a folder uses a banned crate", found);
}

#[test]
fn the_layers_contain_no_word_of_http_or_a_format() {
    let mut found = Vec::new();
    for source in layers() {
        let words = source.words();
        found.extend(
            BANNED_WORDS
                .iter()
                .filter(|word| words.contains(**word))
                .map(|w| format!("{}: {w}", source.path)),
        );
    }
    none("a layer contains a banned word", found);
}

#[test]
fn the_layers_depend_on_a_few_small_crates() {
    let manifests = [
        ("layers/Cargo.toml", &[][..]),
        ("layers/http/Cargo.toml", HTTP_CRATES),
        ("layers/redis/Cargo.toml", REDIS_CRATES),
    ];
    for (manifest, more) in manifests {
        let text = scan::text(manifest);
        let (_, rest) = text.split_once("[dependencies]\n").unwrap();
        let table = rest.split("\n[").next().unwrap();
        let lines = table.lines().filter(|line| !line.starts_with('#'));
        let names = lines.filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|n| !n.is_empty());
        let allowed = |name: &String| LAYER_CRATES.iter().chain(more).any(|allowed| allowed == name);
        let others = names.map(|name| name.replace('-', "_")).filter(|name| !allowed(name));
        none("a dependency of the layers that is not allowed", others.collect());
    }
}

#[test]
fn no_future_of_the_layers_is_boxed() {
    let mut found = Vec::new();
    let sources = layers().into_iter().chain(http());
    for source in sources.filter(|source| !source.is_test() && !source.path.ends_with("testing.rs")) {
        let code = source.served();
        for boxed in ["Pin<Box", "BoxFuture", "Box::pin", "async fn", "async move"] {
            if code.contains(boxed) {
                found.push(format!("{}: {boxed}", source.path));
            }
        }
    }
    none("a future that is not a state machine", found);
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let long = everything().into_iter().filter(|source| source.text.lines().count() > 600);
    none(
        "a file is too long",
        long.map(|s| format!("{}: {} lines", s.path, s.text.lines().count())).collect(),
    );
}

#[test]
fn no_function_is_longer_than_50_lines() {
    let long = everything().into_iter().flat_map(|source| {
        let functions = source.functions().into_iter().filter(|(_, lines)| *lines > 50);
        functions.map(|(name, lines)| format!("{}: {name}, {lines} lines", source.path)).collect::<Vec<_>>()
    });
    none("a function is too long", long.collect());
}

#[test]
fn stack_rs_is_shorter_than_200_lines() {
    if let Some(stack) = gateway().into_iter().find(|source| source.path == "src/stack.rs") {
        let lines = stack.text.lines().count();
        assert!(lines < 200, "src/stack.rs has {lines} lines");
    }
}

#[test]
fn banned_code_is_nowhere_in_the_sources() {
    let banned = [
        ("async_trait", "a boxed future per call"),
        ("thread::sleep", "a thread that sleeps"),
        ("#[ignore", "a test that does not run"),
        ("unsafe ", "unsafe code"),
        ("todo!(", "unfinished code"),
        ("unimplemented!(", "unfinished code"),
        ("dbg!(", "debugging output"),
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
fn the_layers_have_no_let_chain() {
    let chained = |head: &str| {
        let mut depth = 0;
        let outside_of_brackets = head.chars().filter(|char| {
            depth += i32::from("([".contains(*char)) - i32::from(")]".contains(*char));
            depth == 0
        });
        let text: String = outside_of_brackets.collect();
        let is_let = ["if let ", "while let ", "&& let "].iter().any(|start| text.contains(start));
        is_let && text.contains("&& ")
    };
    let sources = layers().into_iter().chain(http());
    let found = sources.filter(|source| source.code.split(['{', ';', '}']).any(chained));
    none("Rust 1.85 has no let chains", found.map(|source| source.path).collect());
}

#[test]
fn the_tree_passes_nothing_in_extensions() {
    let sources = gateway();
    let users =
        sources.iter().filter(|source| !source.is_test() && source.served().contains("extensions_mut"));
    none("an allocation per clone", users.map(|source| source.path.clone()).collect());
}

#[test]
fn every_file_has_module_documentation() {
    let served = everything().into_iter().filter(|source| !source.is_test());
    let silent = served.filter(|source| !source.text.starts_with("//!"));
    none("no module documentation", silent.map(|source| source.path).collect());
}

#[test]
fn no_documentation_of_an_item_has_a_banned_opening() {
    let banned = |line: &str| {
        let rest = BANNED_OPENINGS.iter().find_map(|opening| line.strip_prefix(opening));
        rest.is_some_and(|rest| !rest.starts_with(scan::is_word))
    };
    let found = everything().into_iter().flat_map(|source| {
        let wrong = source.item_docs().filter(|line| banned(line));
        wrong.map(|line| format!("{}: {line}", source.path)).collect::<Vec<_>>()
    });
    none("documentation begins with a pronoun or a relative", found.collect());
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
