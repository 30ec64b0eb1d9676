//! The pass over one event's JSON: [`read`].

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Meaning, Usage};

/// What a JSON text means, whatever it is; `None` when it is none.
pub(super) fn read(json: &[u8]) -> Option<Meaning> {
    let mut chunk = Chunk::default();
    let mut text = serde_json::Deserializer::from_slice(json);
    Loose(&mut chunk).deserialize(&mut text).ok()?;
    text.end().ok()?;
    Some(chunk.meaning())
}

/// Whether this is a JSON text, though it may hold what is no value, such as half a surrogate pair.
pub(super) fn is_json(json: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(json).is_ok()
}

/// The usage object at the start of `json`, whatever follows it.
pub(super) fn read_usage(json: &[u8]) -> Option<Usage> {
    let mut usage = None;
    Loose(&mut usage).deserialize(&mut serde_json::Deserializer::from_slice(json)).ok()?;
    usage
}

/// Something that is told about a value of any type.
trait Sink {
    /// One field of an object. `name` is empty for those not in [`NAMES`].
    fn field<'de, A: MapAccess<'de>>(&mut self, _name: &str, map: &mut A) -> Result<(), A::Error> {
        map.next_value::<IgnoredAny>().map(drop)
    }

    /// One item of a list, if there is one more.
    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        seq.next_element::<IgnoredAny>().map(|item| item.is_some())
    }

    fn number(&mut self, _number: u64) {}

    fn text(&mut self, _text: &str) {}

    /// It was neither null, false nor empty.
    fn filled(&mut self) {}

    /// It was a list, and had no item.
    fn empty_list(&mut self) {}
}

/// Reads a value of any type into a sink.
struct Loose<'a, T>(&'a mut T);

impl<'de, T: Sink> DeserializeSeed<'de> for Loose<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Sink> Visitor<'de> for Loose<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        if value {
            self.0.filled();
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.0.number(value);
        self.0.filled();
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.0.filled();
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        // Some count in floats; the cast saturates, and a negative count is nothing.
        self.visit_u64(value as u64)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        if !value.is_empty() {
            self.0.text(value);
            self.0.filled();
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if !self.0.item(&mut seq)? {
            self.0.empty_list();
            return Ok(());
        }
        self.0.filled();
        while self.0.item(&mut seq)? {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut any = false;
        while let Some(name) = map.next_key_seed(Name)? {
            any = true;
            self.0.field(name, &mut map)?;
        }
        if any {
            self.0.filled();
        }
        Ok(())
    }
}

/// The names that anything depends on.
const NAMES: [&str; 27] = [
    "choices",
    "delta",
    "content",
    "index",
    "finish_reason",
    "text",
    "role",
    "usage",
    "error",
    "errors",
    "object",
    "type",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "thinking_blocks",
    "tool_calls",
    "function_call",
    "refusal",
    "audio",
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
    "input_tokens",
    "output_tokens",
    "x_groq",
    "images",
];

/// A name of [`NAMES`], or an empty one.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = &'static str;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<&'static str, E> {
        Ok(NAMES.iter().find(|name| **name == value).copied().unwrap_or_default())
    }
}

#[derive(Default)]
struct Chunk {
    choices: Choices,
    no_choice: NoItem,
    usage: Option<Usage>,
    error: Filled,
    object: Word,
    kind: Word,
}

impl Chunk {
    fn meaning(self) -> Meaning {
        Meaning {
            content: self.choices.content || matches!(self.kind, Word::Delta),
            error: self.error.0
                || self.choices.error
                || matches!(self.object, Word::Error)
                || matches!(self.kind, Word::Error),
            terminal: matches!(self.kind, Word::Terminal),
            only_usage: self.no_choice.0 && self.usage.is_some(),
            usage: self.usage,
            begun: self.choices.begun,
            finished: self.choices.finished,
        }
    }
}

impl Sink for Chunk {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "choices" => map.next_value_seed(Loose(&mut (&mut self.choices, &mut self.no_choice))),
            "usage" => map.next_value_seed(Loose(&mut self.usage)),
            "x_groq" => map.next_value_seed(Loose(&mut Wrapped(&mut self.usage))),
            "error" | "errors" => map.next_value_seed(Loose(&mut self.error)),
            "object" => map.next_value_seed(Loose(&mut self.object)),
            "type" => map.next_value_seed(Loose(&mut self.kind)),
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }

    /// Some wrap an error in a list of one. Nothing else comes in a list.
    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let mut chunk = Self::default();
        let any = seq.next_element_seed(Loose(&mut chunk))?.is_some();
        self.error.0 |= chunk.meaning().error;
        Ok(any)
    }
}

#[derive(Default)]
struct Filled(bool);

impl Sink for Filled {
    fn filled(&mut self) {
        self.0 = true;
    }
}

#[derive(Default)]
struct NoItem(bool);

#[derive(Default)]
struct Choices {
    content: bool,
    error: bool,
    begun: u128,
    finished: u128,
}

impl Sink for (&mut Choices, &mut NoItem) {
    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let mut choice = Choice::default();
        if seq.next_element_seed(Loose(&mut choice))?.is_none() {
            return Ok(false);
        }
        let bit = 1_u128 << choice.index.0.unwrap_or(0).min(127);
        self.0.begun |= bit;
        self.0.content |= choice.said.0;
        self.0.error |= choice.error.0 || choice.reason.failed;
        if choice.reason.given {
            self.0.finished |= bit;
        }
        Ok(true)
    }

    fn empty_list(&mut self) {
        self.1.0 = true;
    }
}

#[derive(Default)]
struct Choice {
    index: Number,
    said: Filled,
    reason: Reason,
    error: Filled,
}

impl Sink for Choice {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "index" => map.next_value_seed(Loose(&mut self.index)),
            "text" => map.next_value_seed(Loose(&mut self.said)),
            "delta" => map.next_value_seed(Loose(&mut Delta(&mut self.said))),
            "finish_reason" => map.next_value_seed(Loose(&mut self.reason)),
            "error" => map.next_value_seed(Loose(&mut self.error)),
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

struct Delta<'a>(&'a mut Filled);

impl Sink for Delta<'_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "content" | "reasoning" | "reasoning_content" | "reasoning_details" | "thinking_blocks"
            | "tool_calls" | "function_call" | "refusal" | "audio" | "images" => {
                map.next_value_seed(Loose(self.0))
            }
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

#[derive(Default)]
struct Number(Option<u64>);

impl Sink for Number {
    fn number(&mut self, number: u64) {
        self.0 = Some(number);
    }
}

/// A finish reason: whether it is one, and whether it is that something failed.
#[derive(Default)]
struct Reason {
    given: bool,
    failed: bool,
}

impl Sink for Reason {
    fn text(&mut self, text: &str) {
        self.failed |= text == "error";
    }

    fn filled(&mut self) {
        self.given = true;
    }
}

/// Some wrap the usage in an object of their own.
struct Wrapped<'a>(&'a mut Option<Usage>);

impl Sink for Wrapped<'_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "usage" => map.next_value_seed(Loose(self.0)),
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

impl Sink for Option<Usage> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let mut number = Number::default();
        map.next_value_seed(Loose(&mut number))?;
        if let Some(tokens) = number.0.filter(|_| Usage::NAMES.contains(&name)) {
            self.get_or_insert_default().set(name, tokens);
        }
        Ok(())
    }
}

/// What a `type` or an `object` says, where it says anything.
#[derive(Default)]
enum Word {
    #[default]
    Other,
    Error,
    Delta,
    Terminal,
}

impl Sink for Word {
    fn text(&mut self, text: &str) {
        *self = match text {
            "error" => Self::Error,
            "message_stop" | "response.completed" | "response.incomplete" => Self::Terminal,
            delta if delta.ends_with("delta") => Self::Delta,
            _ => Self::Other,
        };
    }
}
