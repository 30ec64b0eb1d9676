//! Reads a response of `/chat/completions`: its chunks, or the complete response.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::{
    delta::{Citation, Delta, Finish, Usage, send},
    json::{self, Json, Text},
    sent::NotTranslated,
};

/// The reader of one response.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Reader {
    has_begun: bool,
    calls: Calls,
    /// True after a refusal.
    has_refused: bool,
    /// True after the reason of the end.
    has_finished: bool,
    has_ended: bool,
    usage: Usage,
}

/// The tool calls so far.
#[derive(Debug, Default)]
struct Calls {
    /// The index of the last call.
    last: Option<u64>,
    /// True while its arguments may go on: they end at any other output.
    is_open: bool,
    /// True if it has any arguments.
    has_arguments: bool,
}

impl Calls {
    /// Ends the open call. One without arguments has an empty object of them.
    fn close(&mut self, sink: &mut impl FnMut(&Delta<'_>)) {
        if std::mem::take(&mut self.is_open) && !self.has_arguments {
            sink(&Delta::Arguments("{}".into()));
        }
    }
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    usage: Option<Counts>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u64,
    /// The piece of a stream, or the complete message.
    #[serde(borrow, alias = "message")]
    delta: Option<Piece<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
    /// The stop sequence that was found, at vLLM; at some servers the number of a token.
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow)]
    annotations: Option<Vec<Annotation<'a>>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Annotation<'a> {
    #[serde(borrow)]
    url_citation: Option<Page<'a>>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    url: Text<'a>,
    #[serde(borrow)]
    title: Option<Text<'a>>,
}

/// A part of a content that is a list.
#[derive(Deserialize)]
struct ContentPart<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Counts {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
}

impl From<Counts> for Usage {
    fn from(counts: Counts) -> Self {
        usage(
            (counts.prompt_tokens, counts.prompt_tokens_details),
            (counts.completion_tokens, counts.completion_tokens_details),
        )
    }
}

/// The parts of the input's tokens.
#[derive(Deserialize)]
pub(in crate::dialect) struct InputDetails {
    cached_tokens: Option<u64>,
}

/// The parts of the output's tokens.
#[derive(Deserialize)]
pub(in crate::dialect) struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

/// Returns the usage of a response. OpenAI's dialects have the same counts by other names.
pub(in crate::dialect) fn usage(
    (input, input_details): (Option<u64>, Option<InputDetails>),
    (output, output_details): (Option<u64>, Option<OutputDetails>),
) -> Usage {
    Usage {
        input: input.unwrap_or_default(),
        cached: input_details.and_then(|details| details.cached_tokens).unwrap_or_default(),
        cache_written: 0,
        output: output.unwrap_or_default(),
        reasoning: output_details.and_then(|details| details.reasoning_tokens),
    }
}

impl Reader {
    /// Reads the data of an event, and gives its pieces to `sink`.
    ///
    /// # Errors
    /// Returns an error for an error, and for data that is no chunk.
    pub(in crate::dialect) fn event(
        &mut self,
        data: &[u8],
        sink: &mut impl FnMut(&Delta<'_>),
    ) -> Result<(), NotTranslated> {
        if data.trim_ascii() == b"[DONE]" {
            self.complete(sink);
            return Ok(());
        }
        let chunk: Chunk<'_> = serde_json::from_slice(data).map_err(|_| NotTranslated)?;
        self.chunk(chunk, sink)
    }

    /// Reads a complete response, and gives its pieces to `sink`.
    ///
    /// # Errors
    /// Returns an error for JSON that is no response.
    pub(in crate::dialect) fn completion(
        &mut self,
        json: &[u8],
        sink: &mut impl FnMut(&Delta<'_>),
    ) -> Result<(), NotTranslated> {
        let chunk: Chunk<'_> = serde_json::from_slice(json).map_err(|_| NotTranslated)?;
        if chunk.choices.is_empty() {
            return Err(NotTranslated);
        }
        self.chunk(chunk, sink)?;
        self.complete(sink);
        Ok(())
    }

    /// Reads the end of a response that is complete, also if it has no reason of its end.
    fn complete(&mut self, sink: &mut impl FnMut(&Delta<'_>)) {
        if !self.has_finished {
            self.finish("stop", sink);
        }
        self.end(sink);
    }

    /// Reads the end of a stream, once. It is regular after the reason of the end.
    pub(in crate::dialect) fn end(&mut self, sink: &mut impl FnMut(&Delta<'_>)) {
        if self.has_finished && !std::mem::replace(&mut self.has_ended, true) {
            sink(&Delta::Usage(self.usage));
            sink(&Delta::End);
        }
    }

    fn chunk(&mut self, chunk: Chunk<'_>, sink: &mut impl FnMut(&Delta<'_>)) -> Result<(), NotTranslated> {
        if chunk.error.is_some_and(|error| !json::is_null(error)) {
            return Err(NotTranslated);
        }
        // Azure's first chunk has the results of its filter, and no id yet.
        if !self.has_begun && !chunk.choices.is_empty() {
            self.has_begun = true;
            let (id, model) = (chunk.id.unwrap_or_default(), chunk.model.unwrap_or_default());
            sink(&Delta::Start { id, model });
        }
        // One choice is requested.
        match chunk.choices.into_iter().find(|choice| choice.index == 0) {
            Some(choice) => self.choice(choice, sink)?,
            None => sink(&Delta::Alive),
        }
        if let Some(usage) = chunk.usage {
            self.usage = usage.into();
            // Some servers keep the connection open behind it.
            if self.has_finished {
                sink(&Delta::Usage(self.usage));
            }
        }
        Ok(())
    }

    fn choice(&mut self, choice: Choice<'_>, sink: &mut impl FnMut(&Delta<'_>)) -> Result<(), NotTranslated> {
        if let Some(piece) = choice.delta {
            self.piece(piece, sink)?;
        }
        let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) else { return Ok(()) };
        if *reason == *"error" {
            return Err(NotTranslated);
        }
        let found = choice.stop_reason.filter(|found| json::is_text(found));
        if let Some(text) = found.and_then(|found| serde_json::from_str(found.get()).ok()) {
            sink(&Delta::StopSequence(text));
        }
        self.finish(&reason, sink);
        Ok(())
    }

    fn finish(&mut self, reason: &str, sink: &mut impl FnMut(&Delta<'_>)) {
        self.calls.close(sink);
        self.has_finished = true;
        sink(&Delta::Finish(self.reason(reason)));
    }

    fn piece(&mut self, piece: Piece<'_>, sink: &mut impl FnMut(&Delta<'_>)) -> Result<(), NotTranslated> {
        let calls = &mut self.calls;
        let mut outside = |delta: &Delta<'_>| {
            calls.close(sink);
            sink(delta);
        };
        let reasoning = piece.reasoning.filter(|reasoning| json::is_text(reasoning));
        let reasoning = reasoning.and_then(|reasoning| serde_json::from_str(reasoning.get()).ok());
        send(piece.reasoning_content.or(reasoning).unwrap_or_default(), Delta::Thinking, &mut outside);
        if let Some(content) = piece.content {
            text(content, &mut outside)?;
        }
        if let Some(refusal) = piece.refusal.filter(|refusal| !refusal.is_empty()) {
            self.has_refused = true;
            outside(&Delta::Refusal(refusal));
        }
        let pages = piece.annotations.into_iter().flatten().filter_map(|page| page.url_citation);
        for Page { url, title } in pages {
            outside(&Delta::Citation(Citation::Page { url, title: title.unwrap_or_default() }));
        }
        piece.tool_calls.into_iter().flatten().try_for_each(|call| self.call(call, sink))
    }

    /// Reads the beginning of a call, or a piece of its arguments. The pieces of a call follow each other.
    fn call(&mut self, call: ToolCall<'_>, sink: &mut impl FnMut(&Delta<'_>)) -> Result<(), NotTranslated> {
        let next = self.calls.last.map_or(0, |last| last + 1);
        let Function { name, arguments } = call.function.unwrap_or(Function { name: None, arguments: None });
        let name = name.filter(|name| !name.is_empty());
        // Some servers number no calls, and some repeat the name with each piece.
        let index = call.index.unwrap_or(if name.is_some() { next } else { next.saturating_sub(1) });
        if self.calls.last != Some(index) {
            let name = name.filter(|_| index >= next).ok_or(NotTranslated)?;
            self.calls.close(sink);
            self.calls = Calls { last: Some(index), is_open: true, has_arguments: false };
            let id = call.id.filter(|id| !id.is_empty());
            let id = id.unwrap_or_else(|| format!("call_{index}").into());
            sink(&Delta::ToolCall { id, name });
        }
        let arguments = arguments.unwrap_or_default();
        if !arguments.is_empty() && !self.calls.is_open {
            return Err(NotTranslated);
        }
        self.calls.has_arguments |= !arguments.is_empty();
        send(arguments, Delta::Arguments, sink);
        Ok(())
    }

    fn reason(&self, reason: &str) -> Finish {
        match reason {
            "length" => Finish::Length,
            "content_filter" => Finish::Filter,
            _ if self.has_refused => Finish::Filter,
            // Some servers name no reason of its own for a call.
            _ if self.calls.last.is_some() => Finish::ToolCalls,
            _ => Finish::Stop,
        }
    }
}

/// Reads the text of a content: a string, or a list of parts.
fn text(content: Json<'_>, sink: &mut impl FnMut(&Delta<'_>)) -> Result<(), NotTranslated> {
    if json::is_text(content) {
        send(serde_json::from_str(content.get()).map_err(|_| NotTranslated)?, Delta::Text, sink);
    } else if content.get().starts_with('[') {
        let parts: Vec<ContentPart<'_>> = serde_json::from_str(content.get()).map_err(|_| NotTranslated)?;
        parts.into_iter().filter_map(|part| part.text).for_each(|piece| send(piece, Delta::Text, sink));
    }
    Ok(())
}
