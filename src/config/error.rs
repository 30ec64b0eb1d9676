//! Diagnostics of a configuration: every error and every warning, each with its location.

use std::{fmt, sync::Arc};

use super::{
    snippet::{Snippet, Source},
    yaml::Location,
};

/// The diagnostics of one file, in file order.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    file: Arc<str>,
    entries: Vec<Diagnostic>,
}

/// An error or a warning.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The severity: error or warning.
    pub severity: Severity,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The path in the structure, such as `model_list[0].litellm_params.rpm`.
    pub path: Arc<str>,
    /// The description of the problem.
    pub message: String,
    /// The advice for fixing it.
    pub help: Option<String>,
    snippet: Option<Snippet>,
}

/// The severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The configuration can be used, but probably has another effect than intended.
    Warning,
}

impl Diagnostics {
    /// Returns true if there is an error: the configuration cannot be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// Returns true if there is neither an error nor a warning.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.entries.iter().filter(|d| d.severity == Severity::Error)
    }

    /// Returns the warnings.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.entries.iter().filter(|d| d.severity == Severity::Warning)
    }
}

impl std::error::Error for Diagnostics {}

/// Prints every diagnostic with its line of the file, in the format of rustc.
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
    /// Adds advice for fixing the problem.
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

/// Collects the diagnostics of all steps.
#[derive(Debug)]
pub(super) struct DiagnosticSink<'a> {
    pub(super) source: Source<'a>,
    entries: Vec<Diagnostic>,
}

impl<'a> DiagnosticSink<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { source: Source::new(text), entries: Vec::new() }
    }

    /// Adds an error at `at`. The result takes a [`Diagnostic::help`].
    pub(super) fn error(&mut self, at: &Location, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Error, at, message.into())
    }

    /// Adds a warning at `at`. The result takes a [`Diagnostic::help`].
    pub(super) fn warning(&mut self, at: &Location, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Warning, at, message.into())
    }

    fn push(&mut self, severity: Severity, at: &Location, message: String) -> &mut Diagnostic {
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
        // A value behind an alias is read at each use of the alias, but is written once.
        self.entries.dedup_by(|b, a| (a.line, a.column, &a.message) == (b.line, b.column, &b.message));
        Diagnostics { file: file.into(), entries: self.entries }
    }
}
