//! Files that a configuration includes, merged as in LiteLLM: lists are concatenated, any other section of an included file
//! replaces the section of the same name.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use super::{
    error::DiagnosticSink,
    keys, read,
    read::Section,
    yaml::{self, Key, Node, Value},
};

/// Returns the sections with those of the included files.
pub(super) fn merge(root: Section, sink: &mut DiagnosticSink<'_>) -> Section {
    let main = PathBuf::from(&*sink.name(0));
    let mut files = Files { chain: vec![main.clone()], loaded: vec![main] };
    files.merge(root, sink)
}

/// The files that are read.
struct Files {
    /// The file that is read, behind those that include it.
    chain: Vec<PathBuf>,
    /// All files. Each is included once.
    loaded: Vec<PathBuf>,
}

impl Files {
    fn merge(&mut self, mut base: Section, sink: &mut DiagnosticSink<'_>) -> Section {
        let Some((_, list)) = base.take("include") else { return base };
        let names = if list.is_null() { None } else { read::list(&list, sink) };
        for node in names.unwrap_or_default() {
            let Some(name) = read::text(node, sink) else { continue };
            if let Some(sections) = self.read((node, Path::new(&name)), sink) {
                base.merge(sections, sink);
            }
        }
        base
    }

    /// Returns the sections of an included file, or none if it is not used.
    fn read(&mut self, (node, name): (&Node, &Path), sink: &mut DiagnosticSink<'_>) -> Option<Section> {
        let path = resolve(self.chain.last().map_or(Path::new(""), |file| file), name);
        if self.chain.contains(&path) {
            let chain: Vec<_> =
                self.chain.iter().chain([&path]).map(|path| path.display().to_string()).collect();
            sink.error(&node.at, format!("the file includes itself: {}", chain.join(" -> ")))
                .help("remove one of the lines below `include`");
            return None;
        }
        if self.loaded.contains(&path) {
            return None;
        }
        let file = match sink.open(&path) {
            Ok(file) => file,
            Err(error) => {
                let path = path.display().to_string();
                sink.error(
                    &node.at,
                    format!("the included file `{}` cannot be read: {error}", keys::redact(&path)),
                )
                .help("a relative name starts at the folder of the file that includes it");
                return None;
            }
        };
        self.loaded.push(path.clone());
        self.chain.push(path);
        let root = yaml::parse(file, sink).map(|root| Section::of(root, "an included file", sink));
        let sections = root.map(|root| self.merge(root, sink));
        self.chain.pop();
        sections
    }
}

/// Returns the path of a file that another file names, relative to the folder of that file.
pub(super) fn resolve(file: &Path, name: &Path) -> PathBuf {
    normal(&file.parent().unwrap_or(Path::new("")).join(name))
}

/// Opens the file that a value names, relative to the folder of the file with the value. Returns its path, too.
pub(super) fn open_named<'a, T>(
    (node, name): (&Node, &Path),
    what: &str,
    sink: &mut DiagnosticSink<'a>,
    open: impl FnOnce(&mut DiagnosticSink<'a>, &Path) -> io::Result<T>,
) -> Option<(PathBuf, T)> {
    let path = resolve(Path::new(&*sink.name(node.at.file)), name);
    match open(sink, &path) {
        Ok(file) => Some((path, file)),
        Err(error) => {
            let path = path.display().to_string();
            let path = keys::redact(&path);
            sink.error(&node.at, format!("the {what} `{path}` cannot be read: {error}"))
                .help("a relative name starts at the folder of this file");
            None
        }
    }
}

/// Returns the path without `.` and `..`, so that a file has one path.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

impl Section {
    /// Adds the sections of an included file.
    fn merge(&mut self, included: Self, sink: &mut DiagnosticSink<'_>) {
        for (key, node) in included.into_entries() {
            match self.get_mut(&key.name) {
                None => self.push((key, node)),
                Some(own) => merge_value(own, (&key, node), sink),
            }
        }
    }
}

fn merge_value(own: &mut Node, (key, node): (&Key, Node), sink: &mut DiagnosticSink<'_>) {
    if let (Value::List(items), Value::List(more)) = (&mut own.value, &node.value) {
        items.extend(more.iter().cloned());
        return;
    }
    if !own.is_null() {
        let (name, place) = (key.at.last(), sink.place(&own.at));
        sink.warning(&key.at, format!("`{name}` of this file replaces the section in {place}"))
            .help("write the section in one of the two files");
    }
    *own = node;
}
