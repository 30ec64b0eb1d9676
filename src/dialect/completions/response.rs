//! Writes a text completion, as a stream of chunks or complete: [`Writer`].

use serde::{Deserialize, Serialize};

use crate::dialect::{
    chat::{ChatUsage, Completion, finish_reason},
    delta::{Delta, Finish, Usage},
    write::{data, json},
};

/// The writer of one response.
#[derive(Debug)]
pub(in crate::dialect) struct Writer {
    is_stream: bool,
    /// True until the usage of a stream that has one is written.
    lacks_usage: bool,
    id: String,
    model: String,
    /// The time of the response, in seconds since 1970.
    created: u64,
    /// The text of a complete response so far.
    text: String,
    finish: Finish,
    usage: Usage,
}

#[derive(Serialize)]
struct Choice<'a> {
    text: &'a str,
    index: u32,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

impl Writer {
    /// Returns the writer of the response to a request, which begins at `created` in seconds since 1970.
    pub(in crate::dialect) fn new(is_stream: bool, created: u64, body: &str) -> Self {
        Self {
            is_stream,
            lacks_usage: requests_usage(body),
            id: String::new(),
            model: String::new(),
            created,
            text: String::new(),
            finish: Finish::Stop,
            usage: Usage::default(),
        }
    }

    /// Returns true if the response is written as a stream.
    pub(in crate::dialect) const fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Adds a piece. Appends its chunk, or the whole response at its end.
    pub(in crate::dialect) fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, model } => (self.id, self.model) = (id.to_string(), model.to_string()),
            Delta::Text(text) | Delta::Refusal(text) => self.piece(text, out),
            Delta::Finish(finish) => self.finish(*finish, out),
            Delta::Usage(usage) => self.usage(*usage, out),
            Delta::End if self.is_stream => out.extend_from_slice(b"data: [DONE]\n\n"),
            Delta::End => self.completion(&[choice(&self.text, Some(self.finish))], Some(self.usage), out),
            // The rest has no place in a text completion: it only shows that the upstream works.
            _ if self.is_stream => out.extend_from_slice(b": ping\n\n"),
            _ => {}
        }
    }

    fn piece(&mut self, text: &str, out: &mut Vec<u8>) {
        match self.is_stream {
            true => self.completion(&[choice(text, None)], None, out),
            false => self.text.push_str(text),
        }
    }

    fn finish(&mut self, finish: Finish, out: &mut Vec<u8>) {
        self.finish = finish;
        if self.is_stream {
            self.completion(&[choice("", Some(finish))], None, out);
        }
    }

    /// Adds the usage. Some upstreams report it twice.
    fn usage(&mut self, usage: Usage, out: &mut Vec<u8>) {
        self.usage = usage;
        if self.is_stream && std::mem::take(&mut self.lacks_usage) {
            self.completion(&[], Some(usage), out);
        }
    }

    fn completion(&self, choices: &[Choice<'_>], usage: Option<Usage>, out: &mut Vec<u8>) {
        let Self { id, model, created, .. } = self;
        let usage = usage.map(ChatUsage::from);
        let completion =
            Completion { id, object: "text_completion", created: *created, model, choices, usage };
        match self.is_stream {
            true => data(&completion, out),
            false => json(&completion, out),
        }
    }
}

fn choice(text: &str, finish: Option<Finish>) -> Choice<'_> {
    let finish_reason = finish.map(|finish| match finish {
        // There are no tools: a model that called one has written its text.
        Finish::ToolCalls => finish_reason(Finish::Stop),
        finish => finish_reason(finish),
    });
    Choice { text, index: 0, logprobs: None, finish_reason }
}

/// Returns true if a request asks for the usage of its stream.
fn requests_usage(body: &str) -> bool {
    #[derive(Deserialize)]
    struct Request {
        stream_options: Option<StreamOptions>,
    }
    #[derive(Deserialize)]
    struct StreamOptions {
        include_usage: Option<bool>,
    }
    let request = serde_json::from_str(body);
    let options = request.ok().and_then(|request: Request| request.stream_options);
    options.and_then(|options| options.include_usage).unwrap_or(false)
}
