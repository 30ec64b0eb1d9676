//! Strict scanners over JSON text that build no tree: [`Cursor`], [`PushScanner`].
//!
//! A request is scanned once when it arrives, and every event of a stream as it passes. The gateway needs a few
//! values of each, and skips the rest, at one instruction per byte of plain text or less. An event is complete in
//! memory, and its reader requests values from a [`Cursor`]; a request arrives in frames, which are pushed through a
//! [`PushScanner`] that may stop at any byte. Both accept exactly the grammar that `serde_json` accepts, but they are not
//! full parsers: for rare text (an escape in a name, brackets nested beyond [`MAX_DEPTH`]) or invalid text they
//! return `None`, and the caller uses `serde_json`, which decides and reports errors. A `None` therefore only costs
//! time; property tests verify that each `Some` is right.
//!
//! No function here recurses, for any text: the nesting of brackets is a stack of bits.

mod blocks;
mod bracket_stack;
mod cursor;
mod number;
mod push_scanner;
mod structure;
mod text;
mod text_stats;

#[cfg(test)]
mod tests;

pub(crate) use cursor::{Cursor, Key};
pub(crate) use push_scanner::{Part, PushScanner};
pub(crate) use text::string;
pub(crate) use text_stats::TextStats;

/// The maximum nesting of brackets, including the outermost.
pub(crate) const MAX_DEPTH: usize = 128;
