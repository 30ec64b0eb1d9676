//! An answer that is no stream of events: [`Plain`].

use bytes::Bytes;
use tollgate_layers::Outcome;

use super::{active::Decoder, byte_queue::ByteQueue, watch::Usage};
use crate::error::{BodyError, StreamBreak};

/// How much of the end is kept to find the usage in: that object and what commonly follows it.
const TAIL: usize = 2048;

/// A plain answer.
#[derive(Debug)]
pub(crate) struct Plain {
    ready: ByteQueue,
    total: u64,
    given: u64,
    expected: Option<u64>,
    /// It is compressed, so that nothing can be read in it.
    opaque: bool,
    /// The last bytes, once the answer is committed and passes by.
    tail: Option<Vec<u8>>,
}

impl Plain {
    /// An answer that announced so many bytes; `opaque` when it is compressed.
    pub(crate) fn new(expected: Option<u64>, opaque: bool) -> Self {
        Self { ready: ByteQueue::default(), total: 0, given: 0, expected, opaque, tail: None }
    }

    /// How many bytes came.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// How many bytes are still to be given, if that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        self.expected.map(|expected| expected.saturating_sub(self.given))
    }

    /// Whether what came so far looks like JSON, or cannot be looked at.
    pub(crate) fn opens_like_json(&self) -> bool {
        let first = self.ready.iter().flatten().find(|byte| !byte.is_ascii_whitespace());
        self.opaque || matches!(first, Some(b'{' | b'['))
    }

    /// From now on the bytes pass by.
    pub(crate) fn commit(&mut self) {
        let mut tail = Vec::with_capacity(2 * TAIL);
        self.ready.iter().for_each(|piece| keep(&mut tail, piece));
        self.tail = Some(tail);
    }

    /// All that came and was not given away yet.
    pub(crate) fn drain(&mut self) -> Bytes {
        self.ready.gather()
    }

    /// How it all ended. `so_far` is what the head said.
    pub(crate) fn conclude(&self, over: &Result<(), StreamBreak>, so_far: Outcome) -> Outcome {
        match over {
            Err(broken) => broken.outcome(),
            Ok(()) => so_far.with_used(self.tail.as_deref().and_then(usage_in).map(|usage| usage.total())),
        }
    }
}

impl Decoder for Plain {
    fn take(&mut self, piece: Bytes) -> Result<(), StreamBreak> {
        self.total += piece.len() as u64;
        if let Some(tail) = &mut self.tail {
            keep(tail, &piece);
        }
        self.ready.push(piece);
        Ok(())
    }

    fn close(&mut self) -> Result<(), StreamBreak> {
        let whole = self.expected.is_none_or(|expected| expected == self.total);
        // JSON without an announced length may stop anywhere and look clean to the connection.
        let last = self.tail.as_ref().map(|tail| tail.trim_ascii_end().last());
        let closed = self.opaque || last.is_none_or(|last| matches!(last, Some(b'}' | b']')));
        if whole && closed { Ok(()) } else { Err(BodyError::Truncated.into()) }
    }

    fn pop(&mut self) -> Option<Bytes> {
        let piece = self.ready.pop()?;
        self.given += piece.len() as u64;
        Some(piece)
    }
}

fn keep(tail: &mut Vec<u8>, piece: &[u8]) {
    tail.extend_from_slice(&piece[piece.len().saturating_sub(TAIL)..]);
    if tail.len() > TAIL {
        tail.drain(..tail.len() - TAIL);
    }
}

/// The last usage object in these bytes. Inside a string the name's quotes would be escaped, so it is not mistaken.
fn usage_in(tail: &[u8]) -> Option<Usage> {
    const NAME: &[u8] = b"\"usage\"";
    let after = memchr::memmem::rfind(tail, NAME)? + NAME.len();
    let value = tail[after..].trim_ascii_start().strip_prefix(b":")?;
    Usage::read_first(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_found_at_the_end_and_not_in_what_the_model_says() {
        let json = br#"{"choices":[{"message":{"content":"\"usage\": {\"total_tokens\": 9}"}}],"usage" : {"total_tokens":7},"id":"x"}"#;
        assert_eq!(usage_in(json).map(|usage| usage.total()), Some(7));
        assert_eq!(usage_in(&json[..75]), None);
    }

    #[test]
    fn only_the_end_is_kept() {
        let mut tail = Vec::new();
        for _ in 0..100 {
            keep(&mut tail, &[b'x'; 1000]);
        }
        keep(&mut tail, b"end");
        assert_eq!(tail.len(), TAIL);
        assert!(tail.ends_with(b"xend"));
    }
}
