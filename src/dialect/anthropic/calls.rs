//! Reads the calls of tools in the blocks of a response, at Anthropic and at Bedrock: [`Calls`].

use super::{format::JSON_TOOL, names::Names};
use crate::dialect::{delta::Delta, json::Text};

/// The parts of a request that the calls in its response must be read with.
#[derive(Debug, Default)]
pub(in crate::dialect) struct CallHints {
    pub(in crate::dialect) names: Names,
    /// True if the arguments of the tool for JSON are the text of the response.
    pub(in crate::dialect) json_tool: bool,
}

/// The reader of the calls in one response.
#[derive(Debug)]
pub(in crate::dialect) struct Calls {
    hints: CallHints,
    block: OpenBlock,
    any: bool,
}

/// The block that the events continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenBlock {
    /// Text, reasoning, or a block that is not translated.
    Other,
    /// A tool call. True after the first byte of its arguments.
    Call(bool),
    /// A call of the tool for JSON. True after its first byte.
    Json(bool),
}

impl Calls {
    pub(in crate::dialect) const fn new(hints: CallHints) -> Self {
        Self { hints, block: OpenBlock::Other, any: false }
    }

    /// Returns true if a tool other than that for JSON was called.
    pub(in crate::dialect) const fn any(&self) -> bool {
        self.any
    }

    /// Reads the beginning of a block that is no call.
    pub(in crate::dialect) const fn open_other(&mut self) {
        self.block = OpenBlock::Other;
    }

    /// Reads the beginning of a call. Its arguments follow in pieces.
    pub(in crate::dialect) fn open(&mut self, id: Text<'_>, name: &str, sink: &mut impl FnMut(&Delta<'_>)) {
        if self.hints.json_tool && name == JSON_TOOL {
            self.block = OpenBlock::Json(false);
            return sink(&Delta::Alive);
        }
        (self.block, self.any) = (OpenBlock::Call(false), true);
        sink(&Delta::ToolCall { id, name: self.hints.names.original(name).into() });
    }

    /// Reads a piece of arguments, of a call or of a tool that runs at the vendor.
    pub(in crate::dialect) fn arguments(&mut self, piece: Text<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
        match &mut self.block {
            OpenBlock::Other => sink(&Delta::Alive),
            OpenBlock::Call(_) | OpenBlock::Json(_) if piece.is_empty() => sink(&Delta::Alive),
            OpenBlock::Call(began) => {
                *began = true;
                sink(&Delta::Arguments(piece));
            }
            OpenBlock::Json(began) => {
                *began = true;
                sink(&Delta::Text(piece));
            }
        }
    }

    /// Reads the end of a block. A call without arguments has an empty object of them.
    pub(in crate::dialect) fn close(&mut self, sink: &mut impl FnMut(&Delta<'_>)) {
        match self.block {
            OpenBlock::Call(false) => sink(&Delta::Arguments("{}".into())),
            OpenBlock::Json(false) => sink(&Delta::Text("{}".into())),
            OpenBlock::Call(true) | OpenBlock::Json(true) | OpenBlock::Other => {}
        }
        self.block = OpenBlock::Other;
    }
}
