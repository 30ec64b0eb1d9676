//! The bytes of a form in blocks of one size: [`Blocks`].

use bytes::Bytes;

use crate::request::BodyFrames;

/// The size of a block, in bytes. An allocator may add a page to each.
const SIZE: usize = 256 * 1024;

/// The bytes that have arrived, copied into full blocks: a frame keeps the whole buffer of its connection alive, which may be
/// many times larger.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    full: Vec<Bytes>,
    last: Vec<u8>,
}

impl Blocks {
    /// Appends bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.last.capacity() == 0 {
                self.last.reserve_exact(SIZE);
            }
            let (fits, rest) = bytes.split_at(bytes.len().min(SIZE - self.last.len()));
            self.last.extend_from_slice(fits);
            if self.last.len() == SIZE {
                self.full.push(std::mem::take(&mut self.last).into());
            }
            bytes = rest;
        }
    }

    /// Returns all bytes.
    pub(super) fn end(mut self) -> BodyFrames {
        self.full.push(self.last.into());
        self.full.into_iter().collect()
    }
}
