//! Writes a response, as a stream of events or complete: [`Writer`].

use super::{
    Echo, REDACTED, SIGNATURE,
    events::{Event, Events},
    kind::Kind,
    object::{Annotation, Item, Object, Part, Status},
};
use crate::dialect::{
    delta::{Citation, Delta, Finish, Usage},
    write::json,
};

/// The writer of one response. The last event of a stream contains the whole response, so that both forms need it.
#[derive(Debug)]
pub(in crate::dialect) struct Writer {
    events: Events,
    id: String,
    model: String,
    /// The time of the response, in seconds since 1970.
    created: u64,
    echo: Echo,
    output: Vec<Item>,
    open: Open,
    finish: Option<Finish>,
    usage: Option<Usage>,
    has_ended: bool,
}

/// The end of the output that is still written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    /// The last item, without an open part.
    Item,
    /// The last item, and its last part.
    Part(Kind),
}

impl Writer {
    /// Returns the writer of a response that begins at `created` in seconds since 1970.
    pub(in crate::dialect) const fn new(is_stream: bool, created: u64, echo: Echo) -> Self {
        Self {
            events: Events { is_stream, count: 0 },
            id: String::new(),
            model: String::new(),
            created,
            echo,
            output: Vec::new(),
            open: Open::Nothing,
            finish: None,
            usage: None,
            has_ended: false,
        }
    }

    /// Returns true if the response is written as a stream.
    pub(in crate::dialect) const fn is_stream(&self) -> bool {
        self.events.is_stream
    }

    /// Adds a piece. Appends its events, or the whole response at its end.
    pub(in crate::dialect) fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, model } => self.start(id, model, out),
            Delta::Text(text) => self.piece(Kind::Text, text, out),
            Delta::Refusal(text) => self.piece(Kind::Refusal, text, out),
            Delta::Thinking(text) => self.piece(Kind::Summary, text, out),
            Delta::Signature(signature) => self.sign(signature, out),
            Delta::RedactedThinking(data) => {
                self.open_item(|id| Item::reasoning(id, Some(format!("{REDACTED}:{}", &**data))), out);
            }
            Delta::ToolCall { id, name } => self.open_item(|item| call(item, id, name), out),
            Delta::Arguments(piece) => self.arguments(piece, out),
            Delta::Citation(citation) => self.cite(citation, out),
            // The dialect has no member for it.
            Delta::StopSequence(_) => {}
            Delta::Finish(finish) => self.finish = Some(*finish),
            Delta::Usage(usage) => {
                self.usage = Some(*usage);
                // Some servers keep the connection open behind it.
                if self.finish.is_some() {
                    self.end(out);
                }
            }
            Delta::Alive if self.is_stream() => out.extend_from_slice(b": ping\n\n"),
            Delta::Alive => {}
            Delta::End => self.end(out),
        }
    }

    fn start(&mut self, id: &str, model: &str, out: &mut Vec<u8>) {
        (self.id, self.model) = (format!("resp_{id}"), model.to_owned());
        self.whole("response.created", Status::InProgress, out);
        self.whole("response.in_progress", Status::InProgress, out);
    }

    /// Appends the end, once.
    fn end(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let status = self.status();
        self.close_item(status, out);
        match (self.is_stream(), status) {
            (true, Status::Incomplete) => self.whole("response.incomplete", status, out),
            (true, _) => self.whole("response.completed", status, out),
            (false, _) => json(&self.object(status), out),
        }
    }

    /// Returns the state at the end. A refusal is a part of the output: the response is complete.
    fn status(&self) -> Status {
        let last = self.output.last().and_then(|item| item.parts().last());
        let has_refused = matches!(last, Some(Part::Refusal { .. }));
        if has_refused { Status::Completed } else { Status::of(self.finish) }
    }

    /// Appends an event with the whole response.
    fn whole(&mut self, r#type: &'static str, status: Status, out: &mut Vec<u8>) {
        if self.is_stream() {
            let sequence_number = self.events.next();
            let response = Some(&self.object(status));
            Event { r#type, sequence_number, response, ..Event::default() }.write(out);
        }
    }

    fn object(&self, status: Status) -> Object<'_> {
        let Self { id, model, created, finish, output, usage, echo, .. } = self;
        let (created, finish, usage) = (*created, *finish, *usage);
        Object { id, model, created, status, finish, error: None, output, usage, echo }
    }

    /// Adds an item, to which `item` gives its content for the last characters of its id.
    fn open_item(&mut self, item: impl FnOnce(&str) -> Item, out: &mut Vec<u8>) {
        self.close_item(Status::Completed, out);
        let output_index = Some(self.output.len());
        let item = item(&format!("{}_{}", self.id.trim_start_matches("resp_"), self.output.len()));
        let r#type = "response.output_item.added";
        self.events.write(Event { r#type, output_index, item: Some(&item), ..Event::default() }, out);
        self.output.push(item);
        self.open = Open::Item;
    }

    fn close_item(&mut self, status: Status, out: &mut Vec<u8>) {
        self.close_part(out);
        let output_index = self.output.len().checked_sub(1);
        let Some(item) = self.output.last_mut().filter(|_| self.open != Open::Nothing) else { return };
        self.open = Open::Nothing;
        item.set_status(status);
        if let Item::FunctionCall { id, name, arguments, .. } = item {
            let (item_id, name, arguments) = (Some(&**id), Some(&**name), Some(&**arguments));
            let r#type = "response.function_call_arguments.done";
            let event = Event { r#type, output_index, item_id, name, arguments, ..Event::default() };
            self.events.write(event, out);
        }
        let r#type = "response.output_item.done";
        self.events.write(Event { r#type, output_index, item: Some(item), ..Event::default() }, out);
    }

    /// Adds a part to the last item.
    fn open_part(&mut self, kind: Kind, out: &mut Vec<u8>) {
        self.close_part(out);
        if let Some(parts) = self.output.last_mut().and_then(Item::parts_mut) {
            parts.push(kind.part());
            self.open = Open::Part(kind);
            self.events.write(Event { r#type: kind.added(), ..last_part(&self.output, kind) }, out);
        }
    }

    fn close_part(&mut self, out: &mut Vec<u8>) {
        let Open::Part(kind) = self.open else { return };
        self.open = Open::Item;
        let event = last_part(&self.output, kind);
        let text = event.part.map(Part::text);
        let (text, refusal) = if kind == Kind::Refusal { (None, text) } else { (text, None) };
        let done =
            Event { r#type: kind.done(), part: None, text, refusal, logprobs: kind.logprobs(), ..event };
        self.events.write(done, out);
        self.events.write(Event { r#type: kind.part_done(), ..last_part(&self.output, kind) }, out);
    }

    /// Adds a piece of text.
    fn piece(&mut self, kind: Kind, text: &str, out: &mut Vec<u8>) {
        let is_taken = self.open != Open::Nothing && self.output.last().is_some_and(|item| kind.fits(item));
        if !is_taken {
            self.open_item(|id| kind.item(id), out);
        }
        if self.open != Open::Part(kind) {
            self.open_part(kind, out);
        }
        let parts = self.output.last_mut().and_then(Item::parts_mut);
        if let Some(part) = parts.and_then(|parts| parts.last_mut()) {
            part.text_mut().push_str(text);
        }
        let event = last_part(&self.output, kind);
        let logprobs = kind.logprobs();
        let event = Event { r#type: kind.delta(), part: None, delta: Some(text), logprobs, ..event };
        self.events.write(event, out);
    }

    /// Adds a signature to the reasoning before it.
    fn sign(&mut self, signature: &str, out: &mut Vec<u8>) {
        let is_signed = |item: &Item| match item {
            Item::Reasoning { encrypted_content: Some(kind), .. } => kind.starts_with(SIGNATURE),
            Item::Reasoning { .. } => true,
            Item::Message { .. } | Item::FunctionCall { .. } => false,
        };
        if self.open == Open::Nothing || !self.output.last().is_some_and(is_signed) {
            self.open_item(|id| Item::reasoning(id, None), out);
        }
        if let Some(Item::Reasoning { encrypted_content, .. }) = self.output.last_mut() {
            encrypted_content.get_or_insert_with(|| format!("{SIGNATURE}:")).push_str(signature);
        }
    }

    fn arguments(&mut self, piece: &str, out: &mut Vec<u8>) {
        let output_index = self.output.len().checked_sub(1);
        let item = self.output.last_mut().filter(|_| self.open != Open::Nothing);
        if let Some(Item::FunctionCall { id, arguments, .. }) = item {
            arguments.push_str(piece);
            let (item_id, delta) = (Some(&**id), Some(piece));
            let r#type = "response.function_call_arguments.delta";
            self.events.write(Event { r#type, output_index, item_id, delta, ..Event::default() }, out);
        }
    }

    /// Adds a web page to the text before it. Clients know no other citations of a vendor.
    fn cite(&mut self, citation: &Citation<'_>, out: &mut Vec<u8>) {
        let parts = self.output.last_mut().and_then(Item::parts_mut);
        let part = parts.and_then(|parts| parts.last_mut()).filter(|_| self.open != Open::Nothing);
        let (Citation::Page { url, title }, Some(Part::OutputText { text, annotations, .. })) =
            (citation, part)
        else {
            return;
        };
        let annotation = Annotation::new((url, title), text.chars().count());
        annotations.push(annotation.clone());
        let annotation_index = annotations.len().checked_sub(1);
        let r#type = "response.output_text.annotation.added";
        let event = last_part(&self.output, Kind::Text);
        let event = Event { r#type, part: None, annotation_index, annotation: Some(&annotation), ..event };
        self.events.write(event, out);
    }
}

/// Returns an event about the last part.
fn last_part(output: &[Item], kind: Kind) -> Event<'_> {
    let item = output.last();
    let parts = item.map_or(&[][..], Item::parts);
    let index = parts.len().checked_sub(1);
    let is_summary = kind == Kind::Summary;
    Event {
        output_index: output.len().checked_sub(1),
        item_id: item.map(Item::id),
        content_index: index.filter(|_| !is_summary),
        summary_index: index.filter(|_| is_summary),
        part: parts.last(),
        ..Event::default()
    }
}

fn call(id: &str, call_id: &str, name: &str) -> Item {
    Item::FunctionCall {
        id: format!("fc_{id}"),
        status: Status::InProgress,
        call_id: call_id.to_owned(),
        name: name.to_owned(),
        arguments: String::new(),
    }
}
