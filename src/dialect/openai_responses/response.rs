//! Reads a response of `/responses`: its events, or the complete response.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::{
    delta::{Citation, Delta, Finish, Usage, send},
    json::{self, Json, Text},
    openai::{InputDetails, OutputDetails, usage},
    sent::NotTranslated,
};

/// The reader of one response.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Reader {
    has_begun: bool,
    has_ended: bool,
    has_refused: bool,
    has_called: bool,
    /// True while the arguments of the last call are not known.
    lacks_arguments: bool,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    response: Option<Response<'a>>,
    #[serde(borrow)]
    item: Option<Item<'a>>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    annotation: Option<Annotation<'a>>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow, default)]
    output: Vec<Item<'a>>,
    usage: Option<Counts>,
    #[serde(borrow)]
    incomplete_details: Option<Incomplete<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

/// An item of the output. Which members it has depends on its type.
#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    call_id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<Text<'a>>,
    #[serde(borrow)]
    content: Option<Vec<Part<'a>>>,
    #[serde(borrow)]
    summary: Option<Vec<Part<'a>>>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    #[serde(borrow)]
    annotations: Option<Vec<Annotation<'a>>>,
}

#[derive(Deserialize)]
struct Annotation<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    url: Option<Text<'a>>,
    #[serde(borrow)]
    title: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

impl From<Counts> for Usage {
    fn from(counts: Counts) -> Self {
        usage(
            (counts.input_tokens, counts.input_tokens_details),
            (counts.output_tokens, counts.output_tokens_details),
        )
    }
}

impl Reader {
    /// Reads the data of an event, and gives its pieces to `sink`.
    ///
    /// # Errors
    /// Returns an error for an error, a failed response, and data that is no event.
    pub(in crate::dialect) fn event(
        &mut self,
        data: &[u8],
        sink: &mut impl FnMut(&Delta<'_>),
    ) -> Result<(), NotTranslated> {
        let Event { r#type, response, item, delta, annotation } =
            serde_json::from_slice(data).map_err(|_| NotTranslated)?;
        match &*r#type {
            "error" | "response.failed" => return Err(NotTranslated),
            "response.completed" | "response.incomplete" => self.end(response.ok_or(NotTranslated)?, sink),
            "response.output_item.added" => self.begin(item, sink),
            "response.output_item.done" => self.close(item, sink),
            "response.output_text.delta" => piece(delta, Delta::Text, sink),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                piece(delta, Delta::Thinking, sink);
            }
            "response.refusal.delta" => {
                self.has_refused = true;
                piece(delta, Delta::Refusal, sink);
            }
            "response.function_call_arguments.delta" => {
                self.lacks_arguments = false;
                piece(delta, Delta::Arguments, sink);
            }
            "response.output_text.annotation.added" => cite(annotation, sink),
            _ => match response {
                Some(response) if !self.has_begun => self.start(&response, sink),
                _ => sink(&Delta::Alive),
            },
        }
        Ok(())
    }

    /// Reads a complete response, and gives its pieces to `sink`.
    ///
    /// # Errors
    /// Returns an error for a failed response, and for JSON that is no response.
    pub(in crate::dialect) fn response(
        &mut self,
        json: &[u8],
        sink: &mut impl FnMut(&Delta<'_>),
    ) -> Result<(), NotTranslated> {
        let mut response: Response<'_> = serde_json::from_slice(json).map_err(|_| NotTranslated)?;
        let has_failed = response.error.is_some_and(|error| !json::is_null(error));
        if has_failed || !matches!(response.status.as_deref(), Some("completed" | "incomplete")) {
            return Err(NotTranslated);
        }
        self.start(&response, sink);
        std::mem::take(&mut response.output).into_iter().for_each(|item| self.item(item, sink));
        self.end(response, sink);
        Ok(())
    }

    fn start(&mut self, response: &Response<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
        self.has_begun = true;
        let text = |text: &Option<Text<'_>>| text.as_deref().unwrap_or_default().to_owned().into();
        sink(&Delta::Start { id: text(&response.id), model: text(&response.model) });
    }

    /// Reads a complete item. Those of tools that run at the vendor are in the text behind them.
    fn item(&mut self, item: Item<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
        match &*item.r#type {
            "function_call" => {
                let arguments = item.arguments.clone();
                self.begin(Some(item), sink);
                self.arguments(arguments, sink);
            }
            "reasoning" => {
                let parts = item.summary.into_iter().chain(item.content).flatten();
                parts.filter_map(|part| part.text).for_each(|text| send(text, Delta::Thinking, sink));
            }
            "message" => item.content.into_iter().flatten().for_each(|part| self.part(part, sink)),
            _ => {}
        }
    }

    fn part(&mut self, part: Part<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
        send(part.text.unwrap_or_default(), Delta::Text, sink);
        if let Some(refusal) = part.refusal.filter(|refusal| !refusal.is_empty()) {
            self.has_refused = true;
            sink(&Delta::Refusal(refusal));
        }
        part.annotations.into_iter().flatten().for_each(|annotation| cite(Some(annotation), sink));
    }

    /// Begins a call, if the item is one.
    fn begin(&mut self, item: Option<Item<'_>>, sink: &mut impl FnMut(&Delta<'_>)) {
        match item.filter(|item| *item.r#type == *"function_call") {
            Some(Item { call_id: Some(id), name: Some(name), .. }) => {
                (self.has_called, self.lacks_arguments) = (true, true);
                sink(&Delta::ToolCall { id, name });
            }
            _ => sink(&Delta::Alive),
        }
    }

    /// Ends a call, whose arguments may be in its end only.
    fn close(&mut self, item: Option<Item<'_>>, sink: &mut impl FnMut(&Delta<'_>)) {
        if let Some(call) = item.filter(|item| *item.r#type == *"function_call") {
            self.arguments(call.arguments, sink);
        }
    }

    /// Gives the arguments of the last call, unless they came in pieces. A call without any has an empty object of them.
    fn arguments(&mut self, arguments: Option<Text<'_>>, sink: &mut impl FnMut(&Delta<'_>)) {
        if std::mem::take(&mut self.lacks_arguments) {
            let arguments = arguments.filter(|arguments| !arguments.is_empty());
            sink(&Delta::Arguments(arguments.unwrap_or_else(|| "{}".into())));
        }
    }

    /// Reads the end, once.
    fn end(&mut self, response: Response<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        if !self.has_begun {
            self.start(&response, sink);
        }
        let reason = response.incomplete_details.and_then(|details| details.reason);
        sink(&Delta::Finish(match reason.as_deref() {
            Some("content_filter") => Finish::Filter,
            Some(_) => Finish::Length,
            None if self.has_refused => Finish::Filter,
            None if self.has_called => Finish::ToolCalls,
            None => Finish::Stop,
        }));
        sink(&Delta::Usage(response.usage.map(Usage::from).unwrap_or_default()));
        sink(&Delta::End);
    }
}

/// Gives a piece of text.
fn piece<'a>(text: Option<Json<'a>>, kind: fn(Text<'a>) -> Delta<'a>, sink: &mut impl FnMut(&Delta<'_>)) {
    let text = text.and_then(|text| serde_json::from_str::<Text<'a>>(text.get()).ok());
    send(text.unwrap_or_default(), kind, sink);
}

/// Gives the web page that an annotation cites.
fn cite(annotation: Option<Annotation<'_>>, sink: &mut impl FnMut(&Delta<'_>)) {
    let page = annotation.filter(|annotation| *annotation.r#type == *"url_citation");
    if let Some(Annotation { url: Some(url), title, .. }) = page {
        sink(&Delta::Citation(Citation::Page { url, title: title.unwrap_or_default() }));
    }
}
