//! A queue of byte slices: [`ByteQueue`].

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// A queue that allocates only for a second piece. Most streams arrive one event at a time.
#[derive(Debug, Default)]
pub(super) struct ByteQueue {
    first: Option<Bytes>,
    /// Empty if there is no first piece.
    more: VecDeque<Bytes>,
}

impl ByteQueue {
    pub(super) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn push(&mut self, piece: Bytes) {
        if self.is_empty() {
            self.first = Some(piece);
        } else {
            self.more.push_back(piece);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let first = self.first.take();
        if first.is_some() {
            self.first = self.more.pop_front();
        }
        first
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.first.iter().chain(&self.more)
    }

    /// Returns the total number of bytes.
    pub(super) fn len(&self) -> usize {
        self.iter().map(Bytes::len).sum()
    }

    /// Removes all pieces and returns them as one. A single piece is not copied.
    pub(super) fn gather(&mut self) -> Bytes {
        if self.more.is_empty() {
            return self.first.take().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.len());
        self.iter().for_each(|piece| whole.extend_from_slice(piece));
        *self = Self::default();
        whole.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(all: &[&'static str]) -> ByteQueue {
        let mut pieces = ByteQueue::default();
        all.iter().for_each(|piece| pieces.push(Bytes::from_static(piece.as_bytes())));
        pieces
    }

    #[test]
    fn byte_queue_is_first_in_first_out() {
        let mut pieces = pieces(&["a", "b", "c"]);
        assert_eq!(pieces.pop().unwrap(), "a");
        pieces.push(Bytes::from_static(b"d"));
        assert_eq!((pieces.len(), pieces.is_empty()), (3, false));
        for left in ["b", "c", "d"] {
            assert_eq!(pieces.pop().unwrap(), left);
        }
        assert!(pieces.pop().is_none() && pieces.is_empty());
    }

    #[test]
    fn byte_queue_gathers_all_pieces_and_is_empty_then() {
        for all in [&[][..], &["a"], &["a", "b", "c"]] {
            let mut pieces = pieces(all);
            assert_eq!(pieces.gather(), all.concat());
            assert!(pieces.is_empty());
        }
    }

    #[test]
    fn byte_queue_does_not_copy_a_single_piece() {
        let piece = Bytes::from(vec![b'a'; 3]);
        let mut pieces = ByteQueue::default();
        pieces.push(piece.clone());
        assert_eq!(pieces.gather().as_ptr(), piece.as_ptr());
    }
}
