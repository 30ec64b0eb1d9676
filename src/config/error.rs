//! What was wrong with a configuration: every error and every warning, each with its place.

use std::{fmt, sync::Arc};

use super::{
    snippet::{Snippet, Source},
    yaml::At,
};

/// Everything that was found in one file, in the order of the file.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    file: Arc<str>,
    entries: Vec<Diagnostic>,
}

/// One thing that is wrong, or looks wrong.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Whether the configuration can be used all the same.
    pub severity: Severity,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// Where it stands in the structure: `model_list[0].litellm_params.rpm`.
    pub path: Arc<str>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    snippet: Option<Snippet>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but probably does not mean what it says.
    Warning,
}

impl Diagnostics {
    /// Whether the configuration cannot be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What makes the configuration unusable.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.entries.iter().filter(|d| d.severity == Severity::Error)
    }

    /// What should be looked at.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.entries.iter().filter(|d| d.severity == Severity::Warning)
    }
}

impl std::error::Error for Diagnostics {}

/// All of them, each with its line of the file, as rustc shows its own.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, entry) in self.entries.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            entry.render(&self.file, f)?;
        }
        Ok(())
    }
}

impl Diagnostic {
    /// Adds what to do about it.
    pub(super) fn help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }

    fn render(&self, file: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{word}: {}", self.message)?;
        let gutter = " ".repeat(self.line.to_string().len());
        writeln!(f, "{gutter}--> {file}:{}:{}", self.line, self.column)?;
        if let Some(snippet) = &self.snippet {
            writeln!(f, "{gutter} |")?;
            writeln!(f, "{} | {}", self.line, snippet.line)?;
            writeln!(f, "{gutter} | {}{}", " ".repeat(snippet.indent), "^".repeat(snippet.width))?;
        }
        if !self.path.is_empty() {
            writeln!(f, "{gutter} = at: {}", self.path)?;
        }
        if let Some(help) = &self.help {
            writeln!(f, "{gutter} = help: {help}")?;
        }
        Ok(())
    }
}

/// Where the steps put what they find.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    pub(super) source: Source<'a>,
    entries: Vec<Diagnostic>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { source: Source::new(text), entries: Vec::new() }
    }

    /// An error at `at`. The result takes a [`Diagnostic::help`].
    pub(super) fn error(&mut self, at: &At, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Error, at, message.into())
    }

    /// A warning at `at`.
    pub(super) fn warning(&mut self, at: &At, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Warning, at, message.into())
    }

    fn push(&mut self, severity: Severity, at: &At, message: String) -> &mut Diagnostic {
        let snippet = self.source.snippet(at);
        let (line, column) = (at.line.max(1), at.column.max(1));
        let entry =
            Diagnostic { severity, line, column, path: at.path.clone(), message, help: None, snippet };
        let last = self.entries.len();
        self.entries.push(entry);
        &mut self.entries[last]
    }

    pub(super) fn finish(mut self, file: &str) -> Diagnostics {
        self.entries.sort_by_key(|d| (d.line, d.column));
        // What came through an alias is read wherever the alias stands, but was written once.
        self.entries.dedup_by(|b, a| (a.line, a.column, &a.message) == (b.line, b.column, &b.message));
        Diagnostics { file: file.into(), entries: self.entries }
    }
}
