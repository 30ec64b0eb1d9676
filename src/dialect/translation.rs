//! The translation of one deployment's calls: [`Translator`], [`Translation`].

use super::{
    anthropic, chat,
    conversation::Refusal,
    delta::{Answer, Delta},
    gemini, ollama,
    sent::{Limits, NotTranslated, Sent},
};

/// The translation between chat completions and the dialect of a deployment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Translator {
    upstream: Upstream,
    limits: Limits,
}

/// The dialect of an upstream.
#[derive(Clone, Copy, Debug)]
enum Upstream {
    Anthropic,
    Gemini,
    Ollama,
}

impl Translator {
    /// Returns the translator of a deployment that speaks Anthropic's Messages.
    pub(crate) const fn anthropic(limits: Limits) -> Self {
        Self { upstream: Upstream::Anthropic, limits }
    }

    /// Returns the translator of a deployment that speaks Google's `generateContent`.
    pub(crate) const fn gemini(limits: Limits) -> Self {
        Self { upstream: Upstream::Gemini, limits }
    }

    /// Returns the translator of a deployment that speaks Ollama's `/api/chat`.
    pub(crate) const fn ollama(limits: Limits) -> Self {
        Self { upstream: Upstream::Ollama, limits }
    }

    /// Returns the upstream's request for a client's, and the translation of the response, which begins at `created` in
    /// seconds since 1970.
    ///
    /// # Errors
    /// Returns the parameter that cannot be translated.
    pub(crate) fn request(&self, body: &[u8], created: u64) -> Result<(Sent, Translation), Refusal> {
        let body = std::str::from_utf8(body).map_err(|error| Refusal::invalid("body", error))?;
        let conversation = chat::read(body)?;
        let (sent, reader) = match self.upstream {
            Upstream::Anthropic => {
                let (sent, hints) = anthropic::write(&conversation, self.limits)?;
                (sent, Reader::Anthropic(anthropic::Reader::new(hints)))
            }
            Upstream::Gemini => {
                (gemini::write(&conversation, self.limits)?, Reader::Gemini(gemini::Reader::default()))
            }
            Upstream::Ollama => {
                (ollama::write(&conversation, self.limits)?, Reader::Ollama(ollama::Reader::default()))
            }
        };
        let form = match conversation.stream {
            true => Form::Stream(chat::Chunks::new(created)),
            false => Form::Complete(Box::default(), created),
        };
        Ok((sent, Translation { reader, form }))
    }
}

/// The reader of a response in the dialect of an upstream.
#[derive(Debug)]
enum Reader {
    Anthropic(anthropic::Reader),
    Gemini(gemini::Reader),
    Ollama(ollama::Reader),
}

impl Reader {
    fn event(&mut self, data: &[u8], sink: &mut impl FnMut(&Delta<'_>)) -> Result<(), NotTranslated> {
        match self {
            Self::Anthropic(reader) => reader.event(data, sink),
            Self::Gemini(reader) => reader.event(data, sink),
            Self::Ollama(reader) => reader.line(data, sink),
        }
    }

    fn complete(&mut self, json: &[u8], sink: &mut impl FnMut(&Delta<'_>)) -> Result<(), NotTranslated> {
        match self {
            Self::Anthropic(reader) => reader.message(json, sink),
            Self::Gemini(reader) => {
                reader.event(json, sink)?;
                reader.end(sink);
                Ok(())
            }
            Self::Ollama(reader) => reader.line(json, sink),
        }
    }

    /// Reads the end of a stream that has no event for it.
    fn end(&mut self, sink: &mut impl FnMut(&Delta<'_>)) {
        match self {
            Self::Anthropic(_) | Self::Ollama(_) => {}
            Self::Gemini(reader) => reader.end(sink),
        }
    }
}

/// The translation of one response.
#[derive(Debug)]
pub(crate) struct Translation {
    reader: Reader,
    form: Form,
}

/// The form of the response for the client.
#[derive(Debug)]
enum Form {
    Stream(chat::Chunks),
    /// The response so far, and the time of its beginning.
    Complete(Box<Answer>, u64),
}

impl Translation {
    /// Translates the data of an event, and appends it for the client. Returns false for an error, and for data that is
    /// no event: both are for the client as they are.
    #[must_use]
    pub(crate) fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> bool {
        let Self { reader, form } = self;
        reader.event(data, &mut |delta| form.write(delta, out)).is_ok()
    }

    /// Appends a sign that the upstream still works.
    pub(crate) fn alive(&mut self, out: &mut Vec<u8>) {
        self.form.write(&Delta::Alive, out);
    }

    /// Translates a complete response, and appends it for the client. Returns false for an error, and for JSON that is
    /// no response: both are for the client as they are.
    #[must_use]
    pub(crate) fn complete(&mut self, json: &[u8], out: &mut Vec<u8>) -> bool {
        let Self { reader, form } = self;
        reader.complete(json, &mut |delta| form.write(delta, out)).is_ok()
    }

    /// Translates the end of a stream of events, and appends it for the client.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        let Self { reader, form } = self;
        reader.end(&mut |delta| form.write(delta, out));
    }

    /// Returns true if the upstream's response is lines of JSON: each is translated as an event.
    pub(crate) const fn has_lines(&self) -> bool {
        matches!(self.reader, Reader::Ollama(_))
    }

    /// Returns true if the client requested a stream.
    pub(crate) const fn is_stream(&self) -> bool {
        matches!(self.form, Form::Stream(_))
    }
}

impl Form {
    fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Stream(chunks) => chunks.write(delta, out),
            Self::Complete(answer, created) => {
                answer.add(delta);
                if matches!(delta, Delta::End) {
                    chat::write_answer(answer, *created, out);
                }
            }
        }
    }
}
