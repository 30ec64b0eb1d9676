//! The translation of one deployment's calls: [`Translator`], [`Translation`].

use super::{
    anthropic, bedrock,
    client::{ClientDialect, Writer},
    conversation::{Conversation, Refusal},
    delta::Delta,
    gemini, ollama, openai, openai_responses,
    sent::{Limits, NotTranslated, Sent},
};

/// The translation between the dialects of clients and that of a deployment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Translator {
    upstream: Upstream,
    limits: Limits,
}

/// The dialect of an upstream.
#[derive(Clone, Copy, Debug)]
enum Upstream {
    OpenAi,
    Responses,
    Anthropic(anthropic::Host),
    Gemini,
    Ollama,
    Bedrock,
}

impl Translator {
    /// Returns the translator of a deployment that speaks OpenAI's chat completions.
    pub(crate) const fn openai(limits: Limits) -> Self {
        Self { upstream: Upstream::OpenAi, limits }
    }

    /// Returns the translator of a deployment that speaks OpenAI's Responses.
    pub(crate) const fn responses(limits: Limits) -> Self {
        Self { upstream: Upstream::Responses, limits }
    }

    /// Returns the translator of a deployment that speaks Anthropic's Messages.
    pub(crate) const fn anthropic(limits: Limits) -> Self {
        Self { upstream: Upstream::Anthropic(anthropic::Host::Own), limits }
    }

    /// Returns the translator of a deployment that speaks Anthropic's Messages at Vertex AI.
    pub(crate) const fn anthropic_at_vertex(limits: Limits) -> Self {
        Self { upstream: Upstream::Anthropic(anthropic::Host::Vertex), limits }
    }

    /// Returns the translator of a deployment that speaks Google's `generateContent`.
    pub(crate) const fn gemini(limits: Limits) -> Self {
        Self { upstream: Upstream::Gemini, limits }
    }

    /// Returns the translator of a deployment that speaks Ollama's `/api/chat`.
    pub(crate) const fn ollama(limits: Limits) -> Self {
        Self { upstream: Upstream::Ollama, limits }
    }

    /// Returns the translator of a deployment that speaks Bedrock's Converse.
    pub(crate) const fn bedrock(limits: Limits) -> Self {
        Self { upstream: Upstream::Bedrock, limits }
    }

    /// Returns the upstream's request for a client's, and the translation of the response, which begins at `created` in
    /// seconds since 1970.
    ///
    /// # Errors
    /// Returns the parameter that cannot be translated.
    pub(crate) fn request(
        &self,
        client: ClientDialect,
        body: &[u8],
        created: u64,
    ) -> Result<(Sent, Translation), Refusal> {
        let body = std::str::from_utf8(body).map_err(|error| Refusal::invalid("body", error))?;
        let conversation = client.read(body, self.limits.drop)?;
        let (sent, reader) = self.write(&conversation).map_err(|refusal| client.worded(refusal))?;
        let writer = Writer::new(client, body, conversation.stream, created);
        Ok((sent, Translation { reader, writer }))
    }

    /// Returns the upstream's request, and the reader of its response.
    fn write(&self, conversation: &Conversation<'_>) -> Result<(Sent, Reader), Refusal> {
        let limits = self.limits;
        Ok(match self.upstream {
            Upstream::OpenAi => {
                (openai::write(conversation, limits)?, Reader::OpenAi(openai::Reader::default()))
            }
            Upstream::Responses => {
                let sent = openai_responses::write(conversation, limits)?;
                (sent, Reader::Responses(openai_responses::Reader::default()))
            }
            Upstream::Anthropic(host) => {
                let (sent, hints) = anthropic::write(conversation, limits, host)?;
                (sent, Reader::Anthropic(anthropic::Reader::new(hints)))
            }
            Upstream::Gemini => {
                (gemini::write(conversation, limits)?, Reader::Gemini(gemini::Reader::default()))
            }
            Upstream::Ollama => {
                (ollama::write(conversation, limits)?, Reader::Ollama(ollama::Reader::default()))
            }
            Upstream::Bedrock => {
                let (sent, hints) = bedrock::write(conversation, limits)?;
                (sent, Reader::Bedrock(bedrock::Reader::new(hints)))
            }
        })
    }
}

/// The reader of a response in the dialect of an upstream.
#[derive(Debug)]
enum Reader {
    OpenAi(openai::Reader),
    Responses(openai_responses::Reader),
    Anthropic(anthropic::Reader),
    Gemini(gemini::Reader),
    Ollama(ollama::Reader),
    Bedrock(bedrock::Reader),
}

impl Reader {
    fn event(&mut self, data: &[u8], sink: &mut impl FnMut(&Delta<'_>)) -> Result<(), NotTranslated> {
        match self {
            Self::OpenAi(reader) => reader.event(data, sink),
            Self::Responses(reader) => reader.event(data, sink),
            Self::Anthropic(reader) => reader.event(data, sink),
            Self::Gemini(reader) => reader.event(data, sink),
            Self::Ollama(reader) => reader.line(data, sink),
            Self::Bedrock(reader) => reader.event(data, sink),
        }
    }

    fn complete(&mut self, json: &[u8], sink: &mut impl FnMut(&Delta<'_>)) -> Result<(), NotTranslated> {
        match self {
            Self::OpenAi(reader) => reader.completion(json, sink),
            Self::Responses(reader) => reader.response(json, sink),
            Self::Anthropic(reader) => reader.message(json, sink),
            Self::Gemini(reader) => {
                reader.event(json, sink)?;
                reader.end(sink);
                Ok(())
            }
            Self::Ollama(reader) => reader.line(json, sink),
            Self::Bedrock(reader) => reader.response(json, sink),
        }
    }

    /// Reads the end of a stream that has no event for it.
    fn end(&mut self, sink: &mut impl FnMut(&Delta<'_>)) {
        match self {
            Self::Responses(_) | Self::Anthropic(_) | Self::Ollama(_) => {}
            Self::OpenAi(reader) => reader.end(sink),
            Self::Gemini(reader) => reader.end(sink),
            Self::Bedrock(reader) => reader.end(sink),
        }
    }
}

/// The translation of one response.
#[derive(Debug)]
pub(crate) struct Translation {
    reader: Reader,
    writer: Writer,
}

impl Translation {
    /// Translates the data of an event, and appends it for the client. Returns false for an error, and for data that is
    /// no event: both are for the client as they are.
    #[must_use]
    pub(crate) fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> bool {
        let Self { reader, writer } = self;
        reader.event(data, &mut |delta| writer.write(delta, out)).is_ok()
    }

    /// Appends a sign that the upstream still works.
    pub(crate) fn alive(&mut self, out: &mut Vec<u8>) {
        self.writer.write(&Delta::Alive, out);
    }

    /// Translates a complete response, and appends it for the client. Returns false for an error, and for JSON that is
    /// no response: both are for the client as they are.
    #[must_use]
    pub(crate) fn complete(&mut self, json: &[u8], out: &mut Vec<u8>) -> bool {
        let Self { reader, writer } = self;
        reader.complete(json, &mut |delta| writer.write(delta, out)).is_ok()
    }

    /// Translates the end of a stream of events, and appends it for the client.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        let Self { reader, writer } = self;
        reader.end(&mut |delta| writer.write(delta, out));
    }

    /// Returns true if the upstream's response is lines of JSON: each is translated as an event.
    pub(crate) const fn has_lines(&self) -> bool {
        matches!(self.reader, Reader::Ollama(_))
    }

    /// Returns true if the upstream's streams are frames of AWS: the payload of each is translated as an event.
    pub(crate) const fn has_frames(&self) -> bool {
        matches!(self.reader, Reader::Bedrock(_))
    }

    /// Returns the header with the id of a response; `None` if its body has one.
    pub(crate) const fn id_header(&self) -> Option<&'static str> {
        match self.reader {
            Reader::Bedrock(_) => Some(bedrock::ID_HEADER),
            _ => None,
        }
    }

    /// Sets the id of a response to the one in its headers.
    pub(crate) fn identify(&mut self, request_id: &str) {
        if let Reader::Bedrock(reader) = &mut self.reader {
            reader.identify(request_id);
        }
    }

    /// Returns true if the client requested a stream.
    pub(crate) const fn is_stream(&self) -> bool {
        self.writer.is_stream()
    }
}
