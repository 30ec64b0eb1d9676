//! Strict walks over JSON text that build nothing: [`Cursor`], [`Outline`].
//!
//! Requests are walked once at the front door, and every event of a stream on its way through: what a gateway must know
//! stands in a few places, and all else is passed over, plain text at an instruction for each byte or less. An event is there
//! as a whole, and its reader asks a [`Cursor`] for what it wants; a request comes in frames, and is pushed through an
//! [`Outline`], which may stop at any byte. Both are as strict as `serde_json` about the grammar. They are no parsers:
//! where a text is rare (an escape in a name, brackets nested beyond [`MAX_DEPTH`]) or broken they say `None`, and the
//! caller asks `serde_json`, which has the last word and words for what is wrong. So a `None` costs time, and nothing
//! else; that a `Some` is right is what the property tests are for.
//!
//! Nothing here recurses, whatever the text: how brackets nest is a stack of bits.

mod blocks;
mod cursor;
mod number;
mod open;
mod outline;
mod tally;
mod text;

#[cfg(test)]
mod tests;

pub(crate) use cursor::{Cursor, Key};
pub(crate) use outline::{Outline, Part};
pub(crate) use tally::Tally;
pub(crate) use text::string;

/// How deep brackets may nest, the outermost included.
pub(crate) const MAX_DEPTH: usize = 128;
