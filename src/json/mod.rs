//! A strict walk over JSON text that builds nothing: [`Cursor`].
//!
//! Requests are walked once at the front door, and every event of a stream on its way through: what a gateway must know
//! stands in a few places, and all else is passed over, plain text at an instruction for each byte or less. It is as strict as
//! `serde_json` about the grammar. It is no parser: where a text is rare (an escape in a name, brackets nested beyond
//! [`MAX_DEPTH`]) or broken it says `None`, and the caller asks `serde_json`, which has the last word and words for
//! what is wrong. So a `None` costs time, and nothing else; that a `Some` is right is what the property tests are for.
//!
//! Nothing here recurses, whatever the text: how brackets nest is a stack of bits.

mod blocks;
mod cursor;
mod open;
mod tally;
mod text;

#[cfg(test)]
mod tests;

pub(crate) use cursor::{Cursor, Key};
pub(crate) use tally::Tally;

/// How deep brackets may nest, the outermost included.
pub(crate) const MAX_DEPTH: usize = 128;
