//! A buffer of segments that are never reallocated: [`Segments`].

use bytes::{Bytes, BytesMut};

/// The size of a segment in bytes.
pub(super) const SEGMENT: usize = 32 * 1024;

/// Bytes in segments. A buffer that grows as one is copied again and again, and leaves holes of every size in the heap.
#[derive(Debug, Default)]
pub(super) struct Segments {
    /// All are full but the last.
    segments: Vec<BytesMut>,
    len: usize,
}

impl Segments {
    /// Returns the number of bytes.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds a copy of these bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        self.len += bytes.len();
        while !bytes.is_empty() {
            let room = self.segments.last().map_or(0, |last| SEGMENT - last.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            match self.segments.last_mut() {
                Some(last) if room > 0 => last.extend_from_slice(now),
                Some(_) | None => self.segments.push(BytesMut::with_capacity(SEGMENT)),
            }
            bytes = later;
        }
    }

    /// Returns the last byte.
    pub(super) fn last(&self) -> Option<&u8> {
        self.segments.last().and_then(|segment| segment.last())
    }

    /// Returns the segments in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.segments.iter().map(|segment| &segment[..])
    }
}

impl IntoIterator for Segments {
    type Item = Bytes;
    type IntoIter = std::iter::Map<std::vec::IntoIter<BytesMut>, fn(BytesMut) -> Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.segments.into_iter().map(BytesMut::freeze)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_return_the_bytes_in_order_and_none_is_larger_than_its_size() {
        let mut segments = Segments::default();
        let mut whole = Vec::new();
        for size in [0, 1, SEGMENT - 1, 1, SEGMENT, 3 * SEGMENT + 7, 5] {
            let piece = vec![u8::try_from(size % 251).unwrap(); size];
            segments.push(&piece);
            whole.extend_from_slice(&piece);
        }
        assert_eq!(
            (segments.len(), segments.iter().collect::<Vec<_>>().concat()),
            (whole.len(), whole.clone())
        );
        let pieces: Vec<_> = segments.into_iter().collect();
        assert!(pieces.iter().rev().skip(1).all(|piece| piece.len() == SEGMENT));
        assert_eq!(pieces.concat(), whole);
    }
}
