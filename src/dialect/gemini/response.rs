//! Reads a response of `generateContent`: each event of a stream has the form of a complete response.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::SIGNATURE;
use crate::dialect::{
    delta::{Citation, Delta, Finish, Usage, call_id},
    json::Text,
    sent::NotTranslated,
};

/// The reader of one response.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Reader {
    /// The id of the response, after the first event.
    id: Option<String>,
    /// The number of calls so far.
    calls: usize,
    /// True after the reason of the end.
    has_finished: bool,
    usage: Usage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    prompt_feedback: Option<PromptFeedback<'a>>,
    usage_metadata: Option<Counts>,
    #[serde(borrow)]
    response_id: Option<Text<'a>>,
    #[serde(borrow)]
    model_version: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
    #[serde(borrow)]
    grounding_metadata: Option<Grounding<'a>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Vec<Part<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    /// True for text of the model's thinking.
    thought: Option<bool>,
    #[serde(borrow)]
    thought_signature: Option<Text<'a>>,
    #[serde(borrow)]
    function_call: Option<FunctionCall<'a>>,
}

#[derive(Deserialize)]
struct FunctionCall<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback<'a> {
    #[serde(borrow)]
    block_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Grounding<'a> {
    #[serde(borrow)]
    grounding_chunks: Option<Vec<GroundingChunk<'a>>>,
}

#[derive(Deserialize)]
struct GroundingChunk<'a> {
    #[serde(borrow)]
    web: Option<Page<'a>>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    uri: Text<'a>,
    #[serde(borrow)]
    title: Option<Text<'a>>,
}

/// The token counts so far.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Counts {
    prompt_token_count: u64,
    tool_use_prompt_token_count: u64,
    cached_content_token_count: u64,
    candidates_token_count: u64,
    thoughts_token_count: Option<u64>,
}

impl From<Counts> for Usage {
    /// Google counts thinking apart from the output.
    fn from(counts: Counts) -> Self {
        let reasoning = counts.thoughts_token_count;
        Self {
            input: counts.prompt_token_count.saturating_add(counts.tool_use_prompt_token_count),
            cached: counts.cached_content_token_count,
            cache_written: 0,
            output: counts.candidates_token_count.saturating_add(reasoning.unwrap_or_default()),
            reasoning,
        }
    }
}

impl Reader {
    /// Reads the data of an event, and gives its pieces to `sink`.
    ///
    /// # Errors
    /// Returns an error for an error, and for data that is no event.
    pub(in crate::dialect) fn event(
        &mut self,
        data: &[u8],
        sink: &mut impl FnMut(&Delta<'_>),
    ) -> Result<(), NotTranslated> {
        let event: Event<'_> = serde_json::from_slice(data).map_err(|_| NotTranslated)?;
        let is_blocked = event.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some());
        if event.candidates.is_none() && !is_blocked && event.usage_metadata.is_none() {
            return Err(NotTranslated);
        }
        if self.id.is_none() {
            let (id, model) =
                (event.response_id.unwrap_or_default(), event.model_version.unwrap_or_default());
            self.id = Some(id.to_string());
            sink(&Delta::Start { id, model });
        }
        self.usage = event.usage_metadata.map_or(self.usage, Usage::from);
        // One candidate is requested.
        match event.candidates.into_iter().flatten().next() {
            Some(candidate) => self.candidate(candidate, sink),
            None if is_blocked => self.finish(Finish::Filter, sink),
            None => sink(&Delta::Alive),
        }
        Ok(())
    }

    /// Reads the end of a stream, or of a complete response. It is regular after the reason of the end.
    pub(in crate::dialect) fn end(&mut self, sink: &mut impl FnMut(&Delta<'_>)) {
        if self.has_finished {
            sink(&Delta::Usage(self.usage));
            sink(&Delta::End);
        }
    }

    fn candidate(&mut self, candidate: Candidate<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
        for part in candidate.content.and_then(|content| content.parts).into_iter().flatten() {
            self.part(part, sink);
        }
        let pages = candidate.grounding_metadata.and_then(|grounding| grounding.grounding_chunks);
        for Page { uri: url, title } in pages.into_iter().flatten().filter_map(|chunk| chunk.web) {
            sink(&Delta::Citation(Citation::Page { url, title: title.unwrap_or_default() }));
        }
        if let Some(reason) = candidate.finish_reason {
            self.finish(self.reason(&reason), sink);
        }
    }

    fn part(&mut self, part: Part<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
        match part {
            Part { function_call: Some(call), thought_signature, .. } => {
                self.call(call, thought_signature, sink);
            }
            Part { text: Some(text), .. } if text.is_empty() => sink(&Delta::Alive),
            Part { text: Some(text), thought: Some(true), .. } => sink(&Delta::Thinking(text)),
            Part { text: Some(text), .. } => sink(&Delta::Text(text)),
            // Code that Google ran, and its result: the text is about them.
            Part { .. } => sink(&Delta::Alive),
        }
    }

    /// Reads a call, which arrives whole. Its id is made where Google has given none.
    fn call(
        &mut self,
        call: FunctionCall<'_>,
        signature: Option<Text<'_>>,
        sink: &mut impl FnMut(&Delta<'_>),
    ) {
        self.calls += 1;
        let id = call_id(call.id, self.id.as_deref(), self.calls);
        let id = match signature {
            Some(signature) => format!("{}{SIGNATURE}{}", &*id, &*signature).into(),
            None => id,
        };
        sink(&Delta::ToolCall { id, name: call.name });
        sink(&Delta::Arguments(call.args.map_or("{}", |args| args.get()).into()));
    }

    fn finish(&mut self, finish: Finish, sink: &mut impl FnMut(&Delta<'_>)) {
        self.has_finished = true;
        sink(&Delta::Finish(finish));
    }

    fn reason(&self, reason: &str) -> Finish {
        match reason {
            "MAX_TOKENS" => Finish::Length,
            "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE" | "OTHER" => {
                Finish::Filter
            }
            reason if reason.starts_with("IMAGE_") => Finish::Filter,
            // Google names no reason of its own for a call.
            _ if self.calls > 0 => Finish::ToolCalls,
            _ => Finish::Stop,
        }
    }
}
