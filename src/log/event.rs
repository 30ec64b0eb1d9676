//! The form of the lines of events: [`EventFormat`].

use std::{fmt, time::SystemTime};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Writer},
    },
    registry::LookupSpan,
};

use super::line::{Line, LogFormat};

/// Formats events: for reading as tracing-subscriber does, else by the fields of the access log.
#[derive(Debug)]
pub(crate) struct EventFormat {
    format: LogFormat,
    text: Format<Full>,
}

impl EventFormat {
    /// Returns the form of this format.
    pub(crate) fn new(format: LogFormat) -> Self {
        Self { format, text: Format::default() }
    }
}

impl<S, N> FormatEvent<S, N> for EventFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.format == LogFormat::Text {
            return self.text.format_event(context, writer, event);
        }
        let mut text = String::new();
        let mut line = Line::begin(&mut text, self.format, SystemTime::now());
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        line.text("level", &level);
        line.text("target", event.metadata().target());
        event.record(&mut FieldsOf(&mut line));
        line.end();
        writer.write_str(&text)
    }
}

/// Writes the fields of an event into a line.
struct FieldsOf<'a, 'b>(&'a mut Line<'b>);

impl Visit for FieldsOf<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.text(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.number(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.number(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.number(field.name(), value);
    }
}
