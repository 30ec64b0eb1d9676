//! Reads a response of `/api/chat`: lines of JSON, one for each piece. A complete response is the last of them alone.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::{
    delta::{Delta, Finish, Usage, call_id, send},
    json::Text,
    sent::NotTranslated,
};

/// The reader of one response.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Reader {
    /// The time of the first line, from which the ids are made: Ollama gives none.
    id: Option<String>,
    /// The number of calls so far.
    calls: usize,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    created_at: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(default)]
    done: bool,
    #[serde(borrow)]
    done_reason: Option<Text<'a>>,
    #[serde(default)]
    prompt_eval_count: u64,
    #[serde(default)]
    eval_count: u64,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl Reader {
    /// Reads a line, and gives its pieces to `sink`.
    ///
    /// # Errors
    /// Returns an error for an error, and for data that is no line of a response.
    pub(in crate::dialect) fn line(
        &mut self,
        data: &[u8],
        sink: &mut impl FnMut(&Delta<'_>),
    ) -> Result<(), NotTranslated> {
        let line: Line<'_> = serde_json::from_slice(data).map_err(|_| NotTranslated)?;
        if self.id.is_none() {
            let digits = line.created_at.as_deref().unwrap_or_default().chars().filter(char::is_ascii_digit);
            let id = format!("chatcmpl-{}", digits.collect::<String>());
            sink(&Delta::Start { id: id.as_str().into(), model: line.model });
            self.id = Some(id);
        }
        if let Some(message) = line.message {
            self.message(message, sink);
        }
        if line.done {
            sink(&Delta::Finish(self.reason(line.done_reason.as_deref())));
            let (input, output) = (line.prompt_eval_count, line.eval_count);
            sink(&Delta::Usage(Usage { input, output, ..Usage::default() }));
            sink(&Delta::End);
        }
        Ok(())
    }

    fn message(&mut self, message: Message<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
        send(message.thinking.unwrap_or_default(), Delta::Thinking, sink);
        send(message.content.unwrap_or_default(), Delta::Text, sink);
        for call in message.tool_calls.into_iter().flatten() {
            self.calls += 1;
            let id = call_id(call.id, self.id.as_deref(), self.calls);
            sink(&Delta::ToolCall { id, name: call.function.name });
            sink(&Delta::Arguments(call.function.arguments.map_or("{}", |json| json.get()).into()));
        }
    }

    fn reason(&self, reason: Option<&str>) -> Finish {
        match reason {
            Some("length") => Finish::Length,
            _ if self.calls > 0 => Finish::ToolCalls,
            _ => Finish::Stop,
        }
    }
}
