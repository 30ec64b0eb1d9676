//! Checks of the documents: links and named files exist, README has a maximum length.

use std::path::{Path, PathBuf};

use crate::{none, scan};

/// The folders of files that a document names in backticks, from the root of the workspace.
const ROOTED: &[&str] = &["src/", "layers/", "tests/", "benches/", "examples/", "docs/"];

struct Document {
    path: PathBuf,
    /// The path from the root of the workspace.
    name: String,
    /// The text without fenced code.
    prose: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<Document> {
    let mut found = Vec::new();
    for folder in ["", "docs", "layers", "layers/http", "layers/redis"] {
        for entry in root().join(folder).read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push(Document { prose: prose(&read(&path)), path, name });
            }
        }
    }
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn prose(text: &str) -> String {
    let mut fenced = false;
    let outside = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    });
    outside.collect::<Vec<_>>().join("\n")
}

/// Returns the targets of `[text](target)`.
fn links(prose: &str) -> impl Iterator<Item = &str> {
    prose.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// Returns the text between backticks.
fn code(prose: &str) -> impl Iterator<Item = &str> {
    prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Returns the anchors of a document's headings, as repository hosts generate them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_of_a_document_leads_to_a_file_and_a_heading() {
    let mut found = Vec::new();
    for Document { path, name, prose } in documents() {
        for link in links(&prose).filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let exists = target.exists();
            let headed = || heading.is_empty() || anchors(&read(&target)).iter().any(|a| a == heading);
            if !exists || !headed() {
                found.push(format!("{name}: {link}"));
            }
        }
    }
    none("a link leads nowhere", found);
}

#[test]
fn every_file_that_a_document_names_exists() {
    let mut found = Vec::new();
    for Document { name, prose, .. } in documents() {
        let files = code(&prose).filter(|file| ROOTED.iter().any(|folder| file.starts_with(folder)));
        for file in files.filter(|file| !file.contains(['*', ' ', '<'])) {
            if !root().join(file).exists() {
                found.push(format!("{name}: {file}"));
            }
        }
    }
    none("a file is named that does not exist", found);
}

#[test]
fn readme_has_at_most_150_lines() {
    let lines = scan::text("README.md").lines().count();
    assert!(lines <= 150, "{lines} lines");
}

#[test]
fn links_headings_and_code_are_found() {
    let text = "# A `b` c-d\n[x](y.md#z), `src/a.rs`\n```\n[no](no)\n```\n";
    let prose = prose(text);
    assert_eq!(links(&prose).collect::<Vec<_>>(), ["y.md#z"]);
    assert_eq!(code(&prose).collect::<Vec<_>>(), ["b", "src/a.rs"]);
    assert_eq!(anchors(text), ["a-b-c-d"]);
}
