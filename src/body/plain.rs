//! The decoder of a response that is not an event stream: [`Plain`].

use std::sync::Arc;

use bytes::Bytes;
use tollgate_layers::Outcome;

use super::{active::Decoder, byte_queue::ByteQueue, opening::Opening, watch::Usage};
use crate::{
    error::{BodyError, StreamBreak},
    metrics::BodyStats,
    spend::AttemptCharge,
};

/// The size of the kept end of a response, in bytes: enough for the usage object and the members that commonly follow
/// it.
const TAIL: usize = 2048;

/// The decoder of a plain response.
#[derive(Debug)]
pub(crate) struct Plain {
    ready: ByteQueue,
    total: u64,
    given: u64,
    expected: Option<u64>,
    /// True for a response that is not read: compressed, or of any form.
    opaque: bool,
    /// The last bytes, once the response is committed.
    tail: Option<Vec<u8>>,
    /// The charge of the attempt, once the response is committed.
    charge: Option<Arc<AttemptCharge>>,
}

impl Plain {
    /// Makes a decoder for a response of `expected` bytes; `opaque` if it is not read: compressed, or
    /// of any form.
    pub(crate) fn new(expected: Option<u64>, opaque: bool) -> Self {
        Self { ready: ByteQueue::default(), total: 0, given: 0, expected, opaque, tail: None, charge: None }
    }

    /// Returns the number of received bytes.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// Returns the number of bytes that are still to be sent, if it is known.
    pub(crate) fn left(&self) -> Option<u64> {
        self.expected.map(|expected| expected.saturating_sub(self.given))
    }

    /// Returns the form of the received bytes, if none was passed on. A compressed body has none.
    pub(crate) fn opening(&self) -> Option<Opening> {
        (!self.opaque).then(|| Opening::of(self.ready.iter().flatten()))
    }

    /// Marks the response as committed: only its end is kept, and `charge` is made at the end.
    pub(crate) fn commit(&mut self, charge: Option<Arc<AttemptCharge>>) {
        self.charge = charge;
        let mut tail = Vec::with_capacity(2 * TAIL);
        self.ready.iter().for_each(|piece| keep(&mut tail, piece));
        self.tail = Some(tail);
    }

    /// Removes and returns all bytes that were not sent yet.
    pub(crate) fn drain(&mut self) -> Bytes {
        self.ready.gather()
    }

    /// Returns the facts for the metrics.
    pub(crate) fn stats(&self) -> BodyStats {
        BodyStats { tokens: self.usage().map(|usage| usage.tokens()).unwrap_or_default(), events: 0 }
    }

    fn usage(&self) -> Option<Usage> {
        self.tail.as_deref().and_then(usage_in)
    }

    /// Returns the outcome. `so_far` is the outcome by the response's head.
    pub(crate) fn conclude(&self, over: &Result<(), StreamBreak>, so_far: Outcome) -> Outcome {
        match over {
            Err(broken) => broken.outcome(),
            Ok(()) => {
                let usage = self.usage();
                if let Some(charge) = &self.charge {
                    charge.end(usage.map(|usage| usage.counts()));
                }
                Usage::on(usage, so_far)
            }
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
        // JSON without a content length may be cut anywhere while the connection ends cleanly.
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

/// Returns the last usage object in these bytes. The quotes of the name would be escaped inside of a string, so text of
/// the model is never mistaken for it.
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
    fn usage_is_found_at_the_end_and_not_in_text_of_the_model() {
        let json = br#"{"choices":[{"message":{"content":"\"usage\": {\"total_tokens\": 9}"}}],"usage" : {"total_tokens":7},"id":"x"}"#;
        assert_eq!(usage_in(json).map(|usage| usage.total()), Some(7));
        assert_eq!(usage_in(&json[..75]), None);
    }

    #[test]
    fn plain_decoder_keeps_only_the_end() {
        let mut tail = Vec::new();
        for _ in 0..100 {
            keep(&mut tail, &[b'x'; 1000]);
        }
        keep(&mut tail, b"end");
        assert_eq!(tail.len(), TAIL);
        assert!(tail.ends_with(b"xend"));
    }
}
