//! Writes the JSON and the events of a response: [`json`], [`data`], [`event`].

use serde::Serialize;

/// Appends a value as JSON.
pub(super) fn json(value: &impl Serialize, out: &mut Vec<u8>) {
    // Writing these to memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

/// The room for an event in bytes: most are shorter. A buffer that grows as it is written costs a fifth of a translated event.
const EVENT: usize = 512;

/// Appends a server-sent event without a name.
pub(super) fn data(value: &impl Serialize, out: &mut Vec<u8>) {
    out.reserve(EVENT);
    out.extend_from_slice(b"data: ");
    json(value, out);
    out.extend_from_slice(b"\n\n");
}

/// Appends a server-sent event.
pub(super) fn event(name: &str, value: &impl Serialize, out: &mut Vec<u8>) {
    out.reserve(EVENT);
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    data(value, out);
}
