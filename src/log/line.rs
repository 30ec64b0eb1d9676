//! The lines of a log, in any format: [`Line`].

use std::{
    fmt::{self, Display, Write},
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
    pub(super) fn headline(&mut self, name: &str, value: impl Display) {
        if self.format == LogFormat::Text {
            let _written = write!(Printable(self.out), " {value}");
        } else {
            self.text(name, value);
        }
    }

    /// Adds a text.
    pub(super) fn text(&mut self, name: &str, value: impl Display) {
        self.name(name);
        if self.format == LogFormat::Json {
            self.out.push('"');
            let _written = write!(Escaped(self.out), "{value}");
            self.out.push('"');
            return;
        }
        let from = self.out.len();
        let _written = write!(self.out, "{value}");
        quote_from(self.out, from);
    }

    /// Adds a text, if there is one.
    pub(super) fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// Adds a number.
    pub(super) fn number(&mut self, name: &str, value: impl Display) {
        self.name(name);
        let _written = write!(self.out, "{value}");
    }

    /// Adds a value that is JSON.
    pub(super) fn json(&mut self, name: &str, json: &str) {
        self.name(name);
        self.out.push_str(json);
    }

    /// Ends the line.
    pub(super) fn end(self) {
        self.out.push_str(if self.format == LogFormat::Json { "}\n" } else { "\n" });
    }

    fn name(&mut self, name: &str) {
        let _written = match self.format {
            LogFormat::Json => write!(self.out, ",\"{name}\":"),
            LogFormat::Text | LogFormat::Logfmt => write!(self.out, " {name}="),
        };
    }
}

/// Quotes the text that begins at `from` if a reader of logfmt could not find its end.
fn quote_from(out: &mut String, from: usize) {
    let is_bare = |char: char| !char.is_whitespace() && !char.is_control() && !"\"=\\".contains(char);
    if out.len() > from && out[from..].chars().all(is_bare) {
        return;
    }
    let value = out.split_off(from);
    out.push('"');
    let _written = Escaped(out).write_str(&value);
    out.push('"');
}

/// Writes text as the inside of a JSON string, which is also how logfmt quotes.
pub(super) struct Escaped<'a>(pub(super) &'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            match char {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                '\t' => self.0.push_str("\\t"),
                char if char.is_control() => write!(self.0, "\\u{:04x}", u32::from(char))?,
                char => self.0.push(char),
            }
        }
        Ok(())
    }
}

/// Writes text without characters that would control a terminal.
struct Printable<'a>(&'a mut String);

impl Write for Printable<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend(text.chars().map(|char| if char.is_control() { '?' } else { char }));
        Ok(())
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
