//! The lines of a log, in any format: [`Line`].

use std::{
    fmt::{Display, Write},
    str::FromStr,
    time::SystemTime,
};

use super::time::Rfc3339;

/// The format of the lines of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For reading: the time, the message, and the fields.
    #[default]
    Text,
    /// A JSON object in each line.
    Json,
    /// `name=value` pairs.
    Logfmt,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "logfmt" => Ok(Self::Logfmt),
            _ => Err("expected text, json or logfmt"),
        }
    }
}

/// A line in progress.
#[derive(Debug)]
pub(super) struct Line<'a> {
    out: &'a mut String,
    format: LogFormat,
}

impl<'a> Line<'a> {
    /// Begins a line.
    pub(super) fn begin(out: &'a mut String, format: LogFormat, time: SystemTime) -> Self {
        let time = Rfc3339(time);
        // Writing to a string does not fail.
        let _written = match format {
            LogFormat::Text => write!(out, "{time}"),
            LogFormat::Json => write!(out, "{{\"time\":\"{time}\""),
            LogFormat::Logfmt => write!(out, "time={time}"),
        };
        Self { out, format }
    }

    /// Returns the format.
    pub(super) const fn format(&self) -> LogFormat {
        self.format
    }

    /// Adds a field that stands without its name in the format for reading.
    pub(super) fn headline(&mut self, name: &str, value: &str) {
        if self.format == LogFormat::Text {
            self.out.push(' ');
            self.out.extend(value.chars().map(|char| if char.is_control() { '?' } else { char }));
        } else {
            self.text(name, value);
        }
    }

    /// Adds a text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        if self.format == LogFormat::Json || !is_bare(value) {
            quote(value, self.out);
        } else {
            self.out.push_str(value);
        }
    }

    /// Adds a text, if there is one.
    pub(super) fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// Adds a number.
    pub(super) fn number(&mut self, name: &str, value: impl Display) {
        self.name(name);
        let _written = write!(self.out, "{value}");
    }

    /// Adds a value that `write` writes as JSON.
    pub(super) fn json(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        self.name(name);
        write(self.out);
    }

    /// Ends the line.
    pub(super) fn end(self) {
        self.out.push_str(if self.format == LogFormat::Json { "}\n" } else { "\n" });
    }

    fn name(&mut self, name: &str) {
        let (before, after) = match self.format {
            LogFormat::Json => (",\"", "\":"),
            LogFormat::Text | LogFormat::Logfmt => (" ", "="),
        };
        [before, name, after].iter().for_each(|part| self.out.push_str(part));
    }
}

/// Returns true if a reader of logfmt finds the end of the text without quotes.
fn is_bare(text: &str) -> bool {
    let is_bare = |char: char| !char.is_whitespace() && !char.is_control() && !"\"=\\".contains(char);
    !text.is_empty() && text.chars().all(is_bare)
}

/// Writes a text as a JSON string, which is also how logfmt quotes.
pub(super) fn quote(text: &str, out: &mut String) {
    out.push('"');
    // Without a branch for each byte: most text has nothing to escape.
    let is_special = |byte: u8| !matches!(byte, b' '..=b'~') | (byte == b'"') | (byte == b'\\');
    if text.bytes().fold(false, |found, byte| found | is_special(byte)) {
        text.chars().for_each(|char| escape(char, out));
    } else {
        out.push_str(text);
    }
    out.push('"');
}

fn escape(char: char, out: &mut String) {
    match char {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        // Writing to a string does not fail.
        char if char.is_control() => _ = write!(out, "\\u{:04x}", u32::from(char)),
        char => out.push(char),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn line(format: LogFormat) -> String {
        let mut out = String::new();
        let mut line = Line::begin(&mut out, format, UNIX_EPOCH);
        line.headline("message", "an event\u{1b}[31m");
        line.text("plain", "a/b");
        line.text("quoted", "say \"no\"\n");
        line.text("empty", "");
        line.optional("absent", None::<&str>);
        line.number("count", 1.5);
        line.end();
        out
    }

    #[test]
    fn a_log_line_has_its_fields_in_every_format() {
        assert_eq!(
            line(LogFormat::Text),
            "1970-01-01T00:00:00.000Z an event?[31m plain=a/b quoted=\"say \\\"no\\\"\\n\" empty=\"\" count=1.5\n"
        );
        assert_eq!(
            line(LogFormat::Logfmt),
            "time=1970-01-01T00:00:00.000Z message=\"an event\\u001b[31m\" plain=a/b quoted=\"say \\\"no\\\"\\n\" empty=\"\" count=1.5\n"
        );
        let json: serde_json::Value = serde_json::from_str(&line(LogFormat::Json)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "time": "1970-01-01T00:00:00.000Z", "message": "an event\u{1b}[31m", "plain": "a/b",
                "quoted": "say \"no\"\n", "empty": "", "count": 1.5,
            })
        );
    }
}
