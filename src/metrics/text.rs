//! The writer of metrics in the text formats of Prometheus: [`Writer`].

use std::fmt::{self, Write};

use super::histogram::HistogramSnapshot;

/// A text format of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' text format 0.0.4, which every scraper reads.
    #[default]
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// Returns the media type.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Returns the format that an `Accept` header prefers. Prometheus sends a list with the preferred format first.
    pub(crate) fn accepted(accept: &str) -> Self {
        let types = accept.split(',').filter(|entry| !entry.ends_with("q=0"));
        let mut known = types.filter_map(|entry| match entry.split(';').next().unwrap_or_default().trim() {
            "application/openmetrics-text" => Some(Self::OpenMetrics),
            "text/plain" | "text/*" | "*/*" => Some(Self::Prometheus),
            _ => None,
        });
        known.next().unwrap_or_default()
    }
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A counter. Its family's name has no `_total`.
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A label: its name and its value.
pub(super) type Label<'a> = (&'a str, &'a str);

/// A text of metrics in progress.
#[derive(Debug)]
pub(super) struct Writer {
    text: String,
    format: Format,
}

impl Writer {
    pub(super) fn new(format: Format) -> Self {
        Self { text: String::new(), format }
    }

    /// Begins a family, of which the samples follow.
    pub(super) fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &str) -> Family<'a> {
        // In the older format the name of a counter has its suffix in the description, too.
        let suffix = if kind == Kind::Counter && self.format == Format::Prometheus { "_total" } else { "" };
        // Writing to a string does not fail.
        let _written =
            write!(self.text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {}\n", kind.as_str());
        Family { text: &mut self.text, name, kind }
    }

    /// Returns the text.
    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// A family of samples.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'a str,
    kind: Kind,
}

impl Family<'_> {
    /// Writes a sample of a counter or a gauge.
    pub(super) fn sample(&mut self, labels: &[Label<'_>], value: impl fmt::Display) {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        self.line(suffix, labels, value);
    }

    /// Writes a histogram.
    pub(super) fn histogram(&mut self, labels: &[Label<'_>], histogram: &HistogramSnapshot) {
        let mut below = 0;
        for (bound, count) in &histogram.buckets {
            below += count;
            let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
            let labels: Vec<_> = labels.iter().copied().chain([("le", &*bound)]).collect();
            self.line("_bucket", &labels, below);
        }
        self.line("_sum", labels, histogram.sum);
        self.line("_count", labels, histogram.count);
    }

    fn line(&mut self, suffix: &str, labels: &[Label<'_>], value: impl fmt::Display) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let mut separator = '{';
        for (name, value) in labels {
            self.text.push(separator);
            self.text.push_str(name);
            self.text.push_str("=\"");
            value.chars().for_each(|char| escape(self.text, char));
            self.text.push('"');
            separator = ',';
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _written = writeln!(self.text, " {value}");
    }
}

fn escape(text: &mut String, char: char) {
    match char {
        '\\' => text.push_str("\\\\"),
        '"' => text.push_str("\\\""),
        '\n' => text.push_str("\\n"),
        char => text.push(char),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format) -> String {
        let mut writer = Writer::new(format);
        let mut family = writer.family("a_b", Kind::Counter, "Help.");
        family.sample(&[], 1);
        family.sample(&[("x", "\"\\\n")], 2.5);
        writer.family("c", Kind::Gauge, "More.").sample(&[("x", "y"), ("z", "")], f64::NAN);
        writer.finish()
    }

    #[test]
    fn the_metrics_text_is_written_in_both_formats() {
        let samples = "a_b_total 1\na_b_total{x=\"\\\"\\\\\\n\"} 2.5\n# HELP c More.\n# TYPE c gauge\nc{x=\"y\",z=\"\"} NaN\n";
        assert_eq!(
            written(Format::Prometheus),
            format!("# HELP a_b_total Help.\n# TYPE a_b_total counter\n{samples}")
        );
        assert_eq!(
            written(Format::OpenMetrics),
            format!("# HELP a_b Help.\n# TYPE a_b counter\n{samples}# EOF\n")
        );
    }

    #[test]
    fn the_format_of_metrics_is_the_accepted_one() {
        for (accept, format) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/plain", Format::Prometheus),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Prometheus),
            ("application/openmetrics-text", Format::OpenMetrics),
            (
                "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5",
                Format::Prometheus,
            ),
            ("application/openmetrics-text;q=0,text/plain", Format::Prometheus),
            (
                "application/vnd.google.protobuf;encoding=delimited;q=0.7,application/openmetrics-text;q=0.6",
                Format::OpenMetrics,
            ),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }
}
