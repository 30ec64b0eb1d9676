//! A scan of Rust sources for imports, words, documentation and the length of functions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A source file.
pub(crate) struct Source {
    /// The path from the root of the workspace.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text without comments and the contents of literals, with the same number of lines.
    pub(crate) code: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the text of a file of the workspace.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns all Rust sources under a folder; none if it does not exist.
pub(crate) fn under(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(path).unwrap();
        Source { path: name, code: code(&text), text }
    };
    found.iter().map(read).collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

impl Source {
    /// Returns the folder under the crate's `src/`, or the stem of a file there.
    pub(crate) fn folder(&self) -> &str {
        let inside = self.path.split_once("src/").map_or(&*self.path, |(_, inside)| inside);
        inside.split('/').next().unwrap().trim_end_matches(".rs")
    }

    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs") || self.path.starts_with("tests/")
    }

    /// Returns the code without the tests at its end.
    pub(crate) fn served(&self) -> &str {
        self.code.split("#[cfg(test)]\nmod ").next().unwrap_or(&self.code)
    }

    /// Returns the items that the root of the crate exports, each with its folder.
    pub(crate) fn exported(&self) -> BTreeMap<String, String> {
        let mut exported = BTreeMap::new();
        for keyword in ["pub use ", "pub(crate) use "] {
            for rest in self.served().split(keyword).skip(1) {
                let path = rest.split(';').next().unwrap_or_default();
                if let Some((folder, item)) = path.split_once("::") {
                    exported.insert(item.to_owned(), folder.to_owned());
                }
            }
        }
        exported
    }

    /// Returns the first line of the documentation of each item.
    pub(crate) fn item_docs(&self) -> impl Iterator<Item = &str> {
        let docs = |line: &'_ str| line.trim_start().starts_with("///");
        let pairs = self.text.lines().zip(std::iter::once("").chain(self.text.lines()));
        pairs
            .filter(move |(line, before)| docs(line) && !docs(before))
            .map(|(line, _)| line.trim()[3..].trim())
    }

    /// Returns the names after `crate::`, without those in tests: imports of tests are not dependencies.
    pub(crate) fn imports(&self) -> BTreeSet<String> {
        let after = self.served().split("crate::").skip(1).map(str::to_owned).collect::<Vec<_>>();
        after.iter().flat_map(|rest| first_names(rest)).collect()
    }

    /// Returns the first name of each path.
    pub(crate) fn crates(&self) -> BTreeSet<String> {
        let code = self.served();
        let mut found = BTreeSet::new();
        for (at, _) in code.match_indices("::") {
            let before = &code[..at];
            let start = before.rfind(|c: char| !is_word(c)).map_or(0, |i| i + 1);
            if !before[..start].ends_with("::") {
                found.insert(before[start..].to_owned());
            }
        }
        found
    }

    /// Returns all words of the code, split at underscores, in lower case.
    pub(crate) fn words(&self) -> BTreeSet<String> {
        let words = self.code.split(|c: char| !c.is_alphanumeric());
        words.map(str::to_lowercase).collect()
    }

    /// Returns the functions with their numbers of code lines, including signature and braces.
    pub(crate) fn functions(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("fn ") {
            let rest = &self.code[at + 3..];
            if self.code[..at].ends_with(is_word)
                || !rest.starts_with(|c: char| c.is_alphabetic() || c == '_')
            {
                continue;
            }
            let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
            if let Some(body) = body(rest) {
                found.push((name, body.lines().filter(|line| !line.trim().is_empty()).count()));
            }
        }
        found
    }
}

/// Returns a function from its name to its closing brace, or none if it has no body.
fn body(rest: &str) -> Option<&str> {
    let mut depth = 0_usize;
    let mut nested = 0_usize;
    for (i, c) in rest.char_indices() {
        match c {
            '(' | '[' => nested += 1,
            ')' | ']' => nested = nested.checked_sub(1)?,
            ';' if depth == 0 && nested == 0 => return None,
            '{' => depth += 1,
            '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(&rest[..=i]);
                }
            }
            _ => {}
        }
    }
    None
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns the first name of a path, or of each path in a group.
fn first_names(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return vec![rest.chars().take_while(|c| is_word(*c)).collect()];
    };
    let mut names = vec![String::new()];
    let mut depth = 0_usize;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(String::new()),
            c if depth == 0 && !c.is_whitespace() => names.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    let first = |name: String| name.split("::").next().unwrap_or_default().to_owned();
    names.into_iter().map(first).filter(|name| !name.is_empty()).collect()
}

/// Returns the text without comments and the contents of literals.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if c == '"' || !out.ends_with(is_word) || out.ends_with('b') {
            literal(rest)
        } else {
            0
        };
        if skipped == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        }
    }
    out
}

/// Returns the length of the literal at the start of `rest`, or 0.
fn literal(rest: &str) -> usize {
    let hashes = rest.strip_prefix('r').map(|raw| raw.len() - raw.trim_start_matches('#').len());
    if let Some(hashes) = hashes.filter(|n| rest[1 + n..].starts_with('"')) {
        let close = format!("\"{}", "#".repeat(hashes));
        let open = hashes + 2;
        return rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len());
    }
    if rest.starts_with('"') {
        return closing(rest, '"');
    }
    // A quote begins a character if an escape or the closing quote follows; otherwise it begins a lifetime.
    let mut chars = rest.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('\''), Some('\\'), _) => closing(rest, '\''),
        (Some('\''), Some(inside), Some('\'')) => 2 + inside.len_utf8(),
        _ => 0,
    }
}

/// Returns the end of a quoted text, with regard to escapes.
fn closing(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return i + 1,
            _ => {}
        }
    }
    rest.len()
}

#[test]
fn code_excludes_comments_and_strings() {
    let text = "let a = \"http // {\"; // hyper\nlet b = r#\"serde \" {\"#; /* tokio\n */ let c = '\"'; let d: &'static str = b\"x\";\n";
    let code = code(text);
    assert_eq!(code.lines().count(), text.lines().count());
    for word in ["http", "hyper", "serde", "tokio", "{"] {
        assert!(!code.contains(word), "{word} in {code}");
    }
    assert!(code.contains("&'static str") && code.contains("let c ="), "{code}");
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::{a, b::{c, d}, e::f as g, Error};\nfn x() { crate::h::i(); }\n#[cfg(test)]\nmod tests { use crate::z; }\n";
    let source = Source { path: "src/folder.rs".into(), text: text.into(), code: code(text) };
    let expected: BTreeSet<String> = ["a", "b", "e", "h", "Error"].map(str::to_owned).into();
    assert_eq!(source.imports(), expected);
    assert_eq!(source.functions(), [("x".to_owned(), 1)]);
}

#[test]
fn item_docs_are_the_first_lines_of_documentation() {
    let text = "//! Module.\n/// An item.\n/// More.\nfn x() {}\n    /// A field.\n// comment\n";
    let source = Source { path: "src/folder.rs".into(), text: text.into(), code: code(text) };
    assert_eq!(source.item_docs().collect::<Vec<_>>(), ["An item.", "A field."]);
}
