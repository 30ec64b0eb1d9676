//! The line of the file that a diagnostic points at, without its secrets.

use std::{ops::Range, sync::Arc};

use super::{keys, yaml::Location};

/// Characters of a line that are shown before the caret: a whole file may be one line.
const SHOWN: usize = 100;

/// Replacement of a hidden value.
const MASK: &str = "***";

/// A line up to the end of the marked value. The rest is not shown: it may contain a secret.
#[derive(Clone, Debug)]
pub(super) struct Snippet {
    pub(super) line: String,
    pub(super) indent: usize,
    pub(super) width: usize,
}

/// The text of the file, and the ranges of it that may not be shown.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) text: Arc<str>,
    /// The hidden ranges, in order. None while the text is not parsed: then only the names of settings are shown.
    hidden: Option<Vec<Range<usize>>>,
}

impl Source {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.into(), hidden: None }
    }

    /// Sets the ranges that may not be shown.
    pub(super) fn hide(&mut self, mut ranges: Vec<Range<usize>>) {
        ranges.sort_by_key(|r| (r.start, r.end));
        self.hidden = Some(ranges);
    }

    pub(super) fn snippet(&self, at: &Location) -> Option<Snippet> {
        let bytes = if at.bytes.end <= self.text.len() { at.bytes.clone() } else { self.find(at)? };
        let before = self.text.get(..bytes.start)?;
        let start = before.rfind('\n').map_or(0, |n| n + 1);
        let rest = self.text.get(bytes.clone())?.lines().next().unwrap_or("");
        let mut line = match &self.hidden {
            Some(hidden) => mask(&self.text, start..bytes.start, hidden),
            None => known_words(&before[start..]),
        };
        let is_blank = line.trim().is_empty();
        shorten(&mut line);
        let indent = line.chars().count();
        match &self.hidden {
            Some(hidden) => {
                let range = bytes.start..bytes.start + rest.len();
                line.push_str(&mask(&self.text, range, hidden));
            }
            // The words before the error tell where it is, unless there are none.
            None if is_blank => line.push_str(&known_words(self.text[start..].lines().next()?.trim_start())),
            None => line.push('…'),
        }
        let width = line.chars().count().saturating_sub(indent).max(1);
        Some(Snippet { line, indent, width })
    }

    /// Finds the position by line and column, for errors without a byte range.
    fn find(&self, at: &Location) -> Option<Range<usize>> {
        let line = self.text.split('\n').nth(at.line.checked_sub(1)?)?;
        let start = line.as_ptr().addr() - self.text.as_ptr().addr();
        let column = line.char_indices().nth(at.column.checked_sub(1)?).map_or(line.len(), |(byte, _)| byte);
        Some(start + column..start + column)
    }
}

fn mask(text: &str, range: Range<usize>, hidden: &[Range<usize>]) -> String {
    let mut out = String::new();
    let mut at = range.start;
    // Empty if `from` is behind `to`.
    let shown = |from: usize, to: usize| text.get(from..to).unwrap_or("").chars().filter_map(printable);
    // Values do not overlap, so their ends are in order too. The first may have begun on an earlier line.
    let first = hidden.partition_point(|r| r.end <= range.start);
    for secret in hidden[first..].iter().take_while(|r| r.start < range.end) {
        out.extend(shown(at, secret.start));
        if secret.end > at {
            out.push_str(MASK);
            at = secret.end;
        }
    }
    out.extend(shown(at, range.end));
    out
}

/// Masks every word that is not the name of a setting: in a line that is not valid YAML any other word may be a
/// secret.
fn known_words(line: &str) -> String {
    let punctuation = |c: char| c.is_whitespace() || ":{}[],\"'-#".contains(c);
    let mut out = String::new();
    for token in line.split_inclusive(punctuation) {
        let word = token.trim_end_matches(punctuation);
        let known = word.is_empty() || keys::is_known(word);
        if !known && !out.ends_with(MASK) {
            out.push_str(MASK);
        }
        let shown = if known { token } else { &token[word.len()..] };
        out.extend(shown.chars().filter_map(printable).filter(|c| known || *c != '-'));
    }
    out
}

/// Replaces tabs and control characters by a blank, and removes a byte order mark.
fn printable(c: char) -> Option<char> {
    const BYTE_ORDER_MARK: char = '\u{feff}';
    (c != BYTE_ORDER_MARK).then_some(if c.is_whitespace() || c.is_control() { ' ' } else { c })
}

fn shorten(line: &mut String) {
    let excess = line.chars().count().saturating_sub(SHOWN);
    if excess > 0 {
        *line = std::iter::once('…').chain(line.chars().skip(excess)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_hides_a_secret_on_the_same_line_and_ends_at_the_marked_value() {
        let text = "{api_key: sk-1, rpm: six, token: t}";
        let mut source = Source::new(text);
        source.hide(vec![10..14, 33..34]);
        let snippet = source.snippet(&Location::in_first_line(21..24)).unwrap();
        assert_eq!(snippet.line, "{api_key: ***, rpm: six");
        assert_eq!((snippet.indent, snippet.width), (20, 3));
    }

    #[test]
    fn a_snippet_of_invalid_yaml_shows_only_the_names_of_settings() {
        let source = Source::new("  - api_key: sk-canary-123456 rpm: [6");
        assert_eq!(source.snippet(&Location::in_first_line(35..36)).unwrap().line, "  - api_key: *** rpm: …");
    }
}
