//! Diagnostics of a configuration: every error and every warning, each with its location.

use std::{fmt, io, path::Path, sync::Arc};

use super::{
    repeats::Repeats,
    snippet::{Snippet, Source},
    yaml::Location,
};

/// The diagnostics of one file: errors first, then the warnings by grade; each kind in file order.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    entries: Vec<Diagnostic>,
    repeats: Repeats,
}

/// An error or a warning.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The severity: error or warning.
    pub severity: Severity,
    /// The name of the file.
    pub file: Arc<str>,
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
    /// The name of an unsafe key, by which `general_settings.accept_unsafe` accepts it.
    pub hazard: Option<Arc<str>>,
    /// True if the file accepts the unsafe key.
    pub accepted: bool,
    snippet: Option<Snippet>,
    /// True if the diagnostic is only counted in the output.
    omitted: bool,
}

/// The severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The deployment cannot be used and is left out. The rest of the configuration can be used.
    LeftOut,
    /// The configuration can be used, but probably has another effect than intended.
    Warning(Grade),
}

/// The grade of a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// A protection that the file expects is off. The command does not start unless that is accepted.
    Unsafe,
    /// A function that the file expects is not there.
    Lost,
    /// Nothing that clients notice is different.
    Harmless,
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

    /// Returns the errors that leave a deployment out.
    pub fn left_out(&self) -> impl Iterator<Item = &Diagnostic> {
        self.entries.iter().filter(|d| d.severity == Severity::LeftOut)
    }

    /// Returns the warnings of all grades.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.entries.iter().filter(|d| matches!(d.severity, Severity::Warning(_)))
    }

    /// Returns the number of warnings of a grade.
    #[must_use]
    pub fn count(&self, grade: Grade) -> usize {
        self.entries.iter().filter(|d| d.severity == Severity::Warning(grade)).count()
    }

    /// Returns the unsafe warnings that the file does not accept.
    pub fn unaccepted(&self) -> impl Iterator<Item = &Diagnostic> {
        self.entries.iter().filter(|d| d.hazard.is_some() && !d.accepted)
    }
}

impl std::error::Error for Diagnostics {}

/// Prints the diagnostics with their lines of the file, in the format of rustc. Of many of one kind the last are counted.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.render(&Style::default(), f)
    }
}

impl Diagnostics {
    /// Returns the diagnostics for display on a terminal, in colours.
    #[must_use]
    pub fn colored(&self) -> impl fmt::Display {
        Colored(self)
    }

    fn render(&self, style: &Style, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, entry) in self.entries.iter().filter(|entry| !entry.omitted).enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            entry.render(style, f)?;
        }
        self.repeats.rest().try_for_each(|(severity, kind, count)| {
            let kind = if kind.is_empty() { String::new() } else { format!(": {kind}") };
            writeln!(f, "\n{severity}: and {count} more{kind}")
        })
    }
}

struct Colored<'a>(&'a Diagnostics);

impl fmt::Display for Colored<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = Style { error: "\x1b[1;31m", warning: "\x1b[1;33m", quiet: "\x1b[36m", end: "\x1b[0m" };
        self.0.render(&style, f)
    }
}

/// The escape sequences of a terminal; without colours they are empty.
#[derive(Default)]
struct Style {
    error: &'static str,
    warning: &'static str,
    quiet: &'static str,
    end: &'static str,
}

impl Style {
    const fn of(&self, severity: Severity) -> &'static str {
        match severity {
            Severity::Error | Severity::Warning(Grade::Unsafe) => self.error,
            Severity::LeftOut | Severity::Warning(Grade::Lost) => self.warning,
            Severity::Warning(Grade::Harmless) => self.quiet,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error => f.write_str("error"),
            Self::LeftOut => f.write_str("warning"),
            Self::Warning(grade) => write!(f, "warning[{grade}]"),
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsafe => "unsafe",
            Self::Lost => "lost",
            Self::Harmless => "harmless",
        })
    }
}

impl Diagnostic {
    /// Adds advice for fixing the problem.
    pub(super) fn help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }

    fn render(&self, style: &Style, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (color, end) = (style.of(self.severity), style.end);
        writeln!(f, "{color}{}{end}: {}", self.severity, self.message)?;
        let gutter = " ".repeat(self.line.to_string().len());
        writeln!(f, "{gutter}--> {}:{}:{}", self.file, self.line, self.column)?;
        if let Some(snippet) = &self.snippet {
            writeln!(f, "{gutter} |")?;
            writeln!(f, "{} | {}", self.line, snippet.line)?;
            writeln!(
                f,
                "{gutter} | {}{color}{}{end}",
                " ".repeat(snippet.indent),
                "^".repeat(snippet.width)
            )?;
        }
        if !self.path.is_empty() {
            writeln!(f, "{gutter} = at: {}", self.path)?;
        }
        if let Some(help) = &self.help {
            writeln!(f, "{gutter} = help: {help}")?;
        }
        match &self.hazard {
            Some(name) if !self.accepted => {
                let list = format!("`general_settings: {{accept_unsafe: [{name}]}}`");
                writeln!(
                    f,
                    "{gutter} = help: remove it, or accept this with {list} or with `--accept-unsafe`"
                )?;
            }
            Some(_) => writeln!(f, "{gutter} = note: `accept_unsafe` accepts this")?,
            None => {}
        }
        if self.severity == Severity::LeftOut {
            writeln!(f, "{gutter} = note: the deployment is left out")?;
        }
        Ok(())
    }
}

/// Reads a file that the configuration names.
pub(super) type Open<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// Collects the diagnostics of all steps.
pub(super) struct DiagnosticSink<'a> {
    /// The file and those that it includes, each with its name.
    sources: Vec<(Arc<str>, Source)>,
    open: Open<'a>,
    entries: Vec<(Location, Diagnostic)>,
    searches: usize,
    /// The severity of an error: it depends on the part of the file that is read.
    error: Severity,
    /// The first error of the deployment that is read.
    first: Option<Arc<str>>,
}

/// The number of names for which a similar one is searched: the search compares a name with all others.
const MAX_SEARCHES: usize = 20;

impl<'a> DiagnosticSink<'a> {
    pub(super) fn new((file, text): (&str, &str), open: Open<'a>) -> Self {
        Self {
            sources: vec![(file.into(), Source::new(text))],
            open,
            entries: Vec::new(),
            searches: 0,
            error: Severity::Error,
            first: None,
        }
    }

    /// Returns the source of a file.
    pub(super) fn source(&mut self, file: usize) -> &mut Source {
        let file = file.min(self.sources.len() - 1);
        &mut self.sources[file].1
    }

    /// Returns the name of a file.
    pub(super) fn name(&self, file: usize) -> Arc<str> {
        self.sources.get(file).map_or_else(|| "".into(), |(name, _)| name.clone())
    }

    /// Reads a file and returns its index, which parts of the tree have in their location.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read.
    pub(super) fn open(&mut self, path: &Path) -> io::Result<usize> {
        let text = self.read(path)?;
        self.sources.push((path.display().to_string().into(), Source::new(&text)));
        Ok(self.sources.len() - 1)
    }

    /// Returns the text of a file that is not a part of the configuration.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read.
    pub(super) fn read(&self, path: &Path) -> io::Result<String> {
        (self.open)(path)
    }

    /// Returns the text of a value as the file has it.
    pub(super) fn written(&self, at: &Location) -> &str {
        let text = self.sources.get(at.file).and_then(|(_, source)| source.text.get(at.bytes.clone()));
        text.unwrap_or_default()
    }

    /// Describes a location in a help.
    pub(super) fn place(&self, at: &Location) -> String {
        if at.file == 0 { format!("line {}", at.line) } else { format!("{}:{}", self.name(at.file), at.line) }
    }

    /// Returns the result of a search for a similar name, or none if there were enough searches.
    pub(super) fn suggest<T>(&mut self, search: impl FnOnce() -> Option<T>) -> Option<T> {
        self.searches += 1;
        if self.searches > MAX_SEARCHES { None } else { search() }
    }

    /// Reads a part of one deployment: an error there leaves the deployment out and does not stop the start. Returns the
    /// first error with the result.
    pub(super) fn deployment<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> (T, Option<Arc<str>>) {
        self.error = Severity::LeftOut;
        let result = read(self);
        self.error = Severity::Error;
        (result, self.first.take())
    }

    /// Adds an error at `at`. The result takes a [`Diagnostic::help`].
    pub(super) fn error(&mut self, at: &Location, message: impl Into<String>) -> &mut Diagnostic {
        let message = message.into();
        if self.error == Severity::LeftOut {
            self.first.get_or_insert_with(|| message.as_str().into());
        }
        self.push(self.error, at, message)
    }

    /// Adds a warning at `at` of a function that is lost. The result takes a [`Diagnostic::help`].
    pub(super) fn warning(&mut self, at: &Location, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Warning(Grade::Lost), at, message.into())
    }

    /// Adds a harmless warning at `at`. The result takes a [`Diagnostic::help`].
    pub(super) fn harmless(&mut self, at: &Location, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Warning(Grade::Harmless), at, message.into())
    }

    /// Adds a warning of this grade at a key. The result takes a [`Diagnostic::help`].
    pub(super) fn graded(
        &mut self,
        grade: Grade,
        at: &Location,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let entry = self.push(Severity::Warning(grade), at, message.into());
        entry.hazard = (grade == Grade::Unsafe).then(|| at.last().into());
        entry
    }

    /// Accepts the unsafe keys of this name. Returns false if there are none.
    pub(super) fn accept(&mut self, name: &str) -> bool {
        let hazards = self.entries.iter_mut().filter(|(_, d)| d.hazard.as_deref() == Some(name));
        hazards.map(|(_, d)| d.accepted = true).count() > 0
    }

    fn push(&mut self, severity: Severity, at: &Location, message: String) -> &mut Diagnostic {
        let (line, column) = (at.line.max(1), at.column.max(1));
        let path = at.path.clone();
        let entry = Diagnostic {
            severity,
            file: self.name(at.file),
            line,
            column,
            path,
            message,
            help: None,
            hazard: None,
            accepted: false,
            snippet: None,
            omitted: false,
        };
        let last = self.entries.len();
        self.entries.push((at.clone(), entry));
        &mut self.entries[last].1
    }

    pub(super) fn finish(mut self) -> Diagnostics {
        self.entries.sort_by(|(at, a), (to, b)| {
            (at.file, a.line, a.column, &a.message).cmp(&(to.file, b.line, b.column, &b.message))
        });
        // A value behind an alias is read at each use of the alias, but is written once.
        self.entries.dedup_by(|(at, b), (to, a)| {
            (to.file, a.line, a.column, &a.message) == (at.file, b.line, b.column, &b.message)
        });
        self.entries.sort_by_key(|(_, d)| d.severity);
        let mut repeats = Repeats::default();
        let with_snippet = |(at, mut entry): (Location, Diagnostic)| {
            entry.omitted = repeats.exceeded(&entry);
            // A line may be as long as the file, so the snippets of all diagnostics would take long.
            entry.snippet = if entry.omitted { None } else { self.sources[at.file].1.snippet(&at) };
            entry
        };
        let entries = self.entries.into_iter().map(with_snippet).collect();
        Diagnostics { entries, repeats }
    }
}
