//! The frames of AWS (`application/vnd.amazon.eventstream`): [`Frames`] splits a body into them.
//!
//! Source: the specification "Amazon Event Stream" of Smithy. A frame is: its length and that of its headers (four bytes
//! each, the highest first), the CRC-32 of these, the headers, the payload, the CRC-32 of all before it.

use bytes::{Buf, Bytes, BytesMut};
use serde_json::{Value, json};

use crate::error::BodyError;

/// The two lengths and their checksum.
const PRELUDE: usize = 12;
/// The checksum at the end.
const CHECKSUM: usize = 4;

/// Splits a body into frames.
#[derive(Debug)]
pub(super) struct Frames {
    held: BytesMut,
    /// The longest frame, in bytes.
    limit: usize,
}

/// A frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The payload of an event.
    Event(Bytes),
    /// An exception, as an error object with its type.
    Error(Bytes),
}

impl Frames {
    pub(super) const fn new(held: BytesMut, limit: usize) -> Self {
        Self { held, limit }
    }

    /// Adds the next bytes.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
    }

    /// Returns the next frame, or none if it is incomplete.
    ///
    /// # Errors
    /// Returns an error for a frame that is damaged or longer than the limit.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, BodyError> {
        let Some((prelude, checksum)) = self.held.get(..PRELUDE).map(|prelude| prelude.split_at(8)) else {
            return Ok(None);
        };
        check(prelude, checksum)?;
        let length = number(prelude)?;
        let headers = number(&prelude[4..])?;
        if length > self.limit {
            return Err(BodyError::TooLarge { limit: self.limit });
        }
        let payload = length.checked_sub(PRELUDE + CHECKSUM + headers).ok_or(BodyError::Undecodable)?;
        if self.held.len() < length {
            return Ok(None);
        }
        let mut frame = self.held.split_to(length).freeze();
        let (checked, checksum) = frame.split_at(length - CHECKSUM);
        check(checked, checksum)?;
        frame.advance(PRELUDE);
        let headers = Headers::read(&frame.split_to(headers))?;
        frame.truncate(payload);
        Ok(Some(headers.frame(frame)))
    }
}

/// Checks the CRC-32 of bytes.
fn check(bytes: &[u8], checksum: &[u8]) -> Result<(), BodyError> {
    match crc32fast::hash(bytes).to_be_bytes() == *checksum {
        true => Ok(()),
        false => Err(BodyError::Undecodable),
    }
}

/// Reads a number of four bytes.
fn number(bytes: &[u8]) -> Result<usize, BodyError> {
    let number = bytes.first_chunk().map(|chunk| u32::from_be_bytes(*chunk));
    number.and_then(|number| usize::try_from(number).ok()).ok_or(BodyError::Undecodable)
}

/// The headers that tell an event from an exception.
#[derive(Debug, Default)]
struct Headers {
    message_type: String,
    exception_type: String,
    error_code: String,
    error_message: String,
}

impl Headers {
    fn read(mut bytes: &[u8]) -> Result<Self, BodyError> {
        let mut headers = Self::default();
        while !bytes.is_empty() {
            let length = take(&mut bytes, 1)?[0];
            let name = take(&mut bytes, length.into())?;
            let value = value(&mut bytes)?;
            let text = || String::from_utf8_lossy(value).into_owned();
            match name {
                b":message-type" => headers.message_type = text(),
                b":exception-type" => headers.exception_type = text(),
                b":error-code" => headers.error_code = text(),
                b":error-message" => headers.error_message = text(),
                _ => {}
            }
        }
        Ok(headers)
    }

    /// Returns the frame with this payload.
    fn frame(self, payload: Bytes) -> Frame {
        match &*self.message_type {
            "exception" => {
                let said: Value = serde_json::from_slice(&payload).unwrap_or_default();
                let message = said.get("message").or(said.get("Message")).and_then(Value::as_str);
                error(&self.exception_type, message.unwrap_or_default())
            }
            "error" => error(&self.error_code, &self.error_message),
            _ => Frame::Event(payload),
        }
    }
}

fn error(kind: &str, message: &str) -> Frame {
    Frame::Error(json!({"error": {"type": kind, "message": message}}).to_string().into())
}

/// Takes the value of a header: its type, and its bytes.
fn value<'b>(bytes: &mut &'b [u8]) -> Result<&'b [u8], BodyError> {
    let length = match take(bytes, 1)?[0] {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        6 | 7 => {
            let length = take(bytes, 2)?;
            usize::from(u16::from_be_bytes([length[0], length[1]]))
        }
        9 => 16,
        _ => return Err(BodyError::Undecodable),
    };
    take(bytes, length)
}

/// Takes bytes from the front.
fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Result<&'b [u8], BodyError> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(BodyError::Undecodable)?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns a frame with headers of type text.
    fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut written = Vec::new();
        for (name, value) in headers {
            written.push(u8::try_from(name.len()).unwrap());
            written.extend_from_slice(name.as_bytes());
            written.push(7);
            written.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            written.extend_from_slice(value.as_bytes());
        }
        let length = u32::try_from(PRELUDE + CHECKSUM + written.len() + payload.len()).unwrap();
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend_from_slice(&u32::try_from(written.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
        frame.extend_from_slice(&written);
        frame.extend_from_slice(payload);
        frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
        frame
    }

    fn event(payload: &[u8]) -> Vec<u8> {
        frame(&[(":event-type", "contentBlockDelta"), (":message-type", "event")], payload)
    }

    fn all(pieces: &[&[u8]], limit: usize) -> Result<Vec<Frame>, BodyError> {
        let mut frames = Frames::new(BytesMut::new(), limit);
        let mut found = Vec::new();
        for piece in pieces {
            frames.push(piece);
            while let Some(frame) = frames.next()? {
                found.push(frame);
            }
        }
        Ok(found)
    }

    proptest! {
        #[test]
        fn frames_are_the_same_for_any_split_of_their_bytes(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..5),
            piece in 1..50_usize,
        ) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|payload| event(payload)).collect();
            let pieces: Vec<_> = bytes.chunks(piece).collect();
            let wanted: Vec<_> = payloads.into_iter().map(|payload| Frame::Event(payload.into())).collect();
            prop_assert_eq!(all(&pieces, 1000).unwrap(), wanted);
        }

        #[test]
        fn bytes_that_are_no_frames_are_refused_or_incomplete(bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            prop_assert!(all(&[&bytes], 1000).is_err() || bytes.len() < PRELUDE);
        }
    }

    /// Source: the test vectors of aws-c-event-stream, `positive/encoded/payload_no_headers` and `empty_message`.
    #[test]
    fn frames_of_the_specification_are_read() {
        let empty = [0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        assert_eq!(all(&[&empty], 1000).unwrap(), [Frame::Event(Bytes::new())]);
        let mut payload = vec![0, 0, 0, 0x1d, 0, 0, 0, 0, 0xfd, 0x52, 0x8c, 0x5a];
        payload.extend_from_slice(b"{'foo':'bar'}");
        payload.extend_from_slice(&[0xc3, 0x65, 0x39, 0x36]);
        assert_eq!(all(&[&payload], 1000).unwrap(), [Frame::Event("{'foo':'bar'}".into())]);
    }

    #[test]
    fn a_frame_that_is_damaged_or_too_long_is_an_error() {
        let whole = event(b"{}");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(all(&[&damaged], 1000).is_err(), "{at}");
        }
        assert_eq!(all(&[&whole], whole.len() - 1), Err(BodyError::TooLarge { limit: whole.len() - 1 }));
        assert_eq!(all(&[&whole[..whole.len() - 1]], 1000), Ok(Vec::new()), "incomplete");
    }

    #[test]
    fn an_exception_in_a_frame_is_an_error_object() {
        let headers = [(":exception-type", "throttlingException"), (":message-type", "exception")];
        let error = [(":error-code", "InternalError"), (":message-type", "error"), (":error-message", "m")];
        for (bytes, wanted) in [
            (
                frame(&headers, br#"{"message":"slow down"}"#),
                r#"{"error":{"message":"slow down","type":"throttlingException"}}"#,
            ),
            (frame(&error, b""), r#"{"error":{"message":"m","type":"InternalError"}}"#),
        ] {
            let found = all(&[&bytes], 1000).unwrap();
            let [Frame::Error(json)] = &found[..] else { panic!("{found:?}") };
            let [json, wanted]: [Value; 2] =
                [&json[..], wanted.as_bytes()].map(|json| serde_json::from_slice(json).unwrap());
            assert_eq!(json, wanted);
        }
    }
}
