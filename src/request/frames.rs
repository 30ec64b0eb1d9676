//! The frames of a request body: [`BodyFrames`].

use std::{borrow::Cow, ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};

/// The frames of a body, in order, without a copy into one buffer.
///
/// A body of one frame costs no more than a [`Bytes`]. A clone increments a reference count.
#[derive(Clone, Debug)]
pub(crate) enum BodyFrames {
    One(Bytes),
    /// Two or more frames, none of them empty, each with the offset of its end.
    Many(Arc<[(usize, Bytes)]>),
}

impl BodyFrames {
    /// Returns the number of bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(bytes) => bytes.len(),
            Self::Many(frames) => frames.last().map_or(0, |(end, _)| *end),
        }
    }

    /// Returns the frame of a body that has only one.
    pub(crate) const fn only(&self) -> Option<&Bytes> {
        match self {
            Self::One(bytes) => Some(bytes),
            Self::Many(_) => None,
        }
    }

    /// Returns the bytes of `range` as slices of the frames.
    ///
    /// # Panics
    ///
    /// Panics if `range` is not within the body.
    pub(crate) fn slices(&self, range: Range<usize>) -> impl Iterator<Item = Bytes> {
        let (one, many) = match self {
            Self::One(bytes) => (Some(bytes.slice(range.clone())), None),
            Self::Many(frames) => (None, Some(within(frames, range))),
        };
        one.into_iter().chain(many.into_iter().flatten().map(|(frame, part)| frame.slice(part)))
    }

    /// Returns the bytes of `range`; they are copied only if `range` spans more than one frame.
    ///
    /// # Panics
    ///
    /// Panics if `range` is not within the body.
    pub(crate) fn bytes(&self, range: Range<usize>) -> Cow<'_, [u8]> {
        let frames = match self {
            Self::One(bytes) => return Cow::Borrowed(&bytes[range]),
            Self::Many(frames) => frames,
        };
        let mut parts = within(frames, range.clone()).map(|(frame, part)| &frame[part]);
        let first = parts.next().unwrap_or_default();
        if first.len() == range.len() {
            return Cow::Borrowed(first);
        }
        let mut copy = Vec::with_capacity(range.len());
        copy.extend_from_slice(first);
        parts.for_each(|part| copy.extend_from_slice(part));
        Cow::Owned(copy)
    }

    /// Returns the text of `range`; it is copied only if `range` spans more than one frame. Invalid UTF-8, which no parsed
    /// body contains, is replaced.
    ///
    /// # Panics
    ///
    /// Panics if `range` is not within the body.
    pub(crate) fn text(&self, range: Range<usize>) -> Cow<'_, str> {
        match self.bytes(range) {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Returns the body in one buffer. A body of more than one frame is copied.
    pub(crate) fn flat(&self) -> Bytes {
        let frames = match self {
            Self::One(bytes) => return bytes.clone(),
            Self::Many(frames) => frames,
        };
        let mut copy = BytesMut::with_capacity(self.len());
        frames.iter().for_each(|(_, frame)| copy.extend_from_slice(frame));
        copy.freeze()
    }
}

/// Returns the frames that overlap with `range`, each with the overlapping part.
fn within(frames: &[(usize, Bytes)], range: Range<usize>) -> impl Iterator<Item = (&Bytes, Range<usize>)> {
    let all = frames.last().map_or(0, |(end, _)| *end);
    assert!(range.end <= all, "nothing stands at {range:?}: {all} bytes are all");
    let first = frames.partition_point(|(end, _)| *end <= range.start);
    let touched = frames[first..].iter().take_while({
        let stop = range.end;
        move |(end, frame)| end - frame.len() < stop
    });
    touched.map(move |(end, frame)| {
        let start = end - frame.len();
        (frame, range.start.max(start) - start..range.end.min(*end) - start)
    })
}

impl From<Bytes> for BodyFrames {
    fn from(bytes: Bytes) -> Self {
        Self::One(bytes)
    }
}

impl FromIterator<Bytes> for BodyFrames {
    fn from_iter<I: IntoIterator<Item = Bytes>>(frames: I) -> Self {
        let mut frames = frames.into_iter().filter(|frame| !frame.is_empty());
        let first = frames.next().unwrap_or_default();
        let Some(second) = frames.next() else { return first.into() };
        let mut all = 0;
        let ends = [first, second].into_iter().chain(frames).map(|frame| {
            all += frame.len();
            (all, frame)
        });
        Self::Many(ends.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "abcdéfghijkl";

    /// Returns the bytes of [`WHOLE`] in frames, cut at `places`.
    fn cut(places: &[usize]) -> BodyFrames {
        let whole = Bytes::from_static(WHOLE.as_bytes());
        let ends = places.iter().copied().chain([whole.len()]);
        let starts = [0].into_iter().chain(places.iter().copied());
        starts.zip(ends).map(|(from, to)| whole.slice(from..to)).collect()
    }

    #[test]
    fn frames_return_any_range_for_any_boundaries() {
        for places in [&[][..], &[3], &[5], &[0, 2, 2, 9], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]] {
            let frames = cut(places);
            assert_eq!((frames.len(), &*frames.flat()), (WHOLE.len(), WHOLE.as_bytes()));
            for (from, to) in (0..=WHOLE.len()).flat_map(|to| (0..=to).map(move |from| (from, to))) {
                let slices: Vec<Bytes> = frames.slices(from..to).filter(|slice| !slice.is_empty()).collect();
                assert_eq!(slices.concat(), &WHOLE.as_bytes()[from..to], "{from}..{to} of {places:?}");
                if let Some(text) = WHOLE.get(from..to) {
                    assert_eq!(frames.text(from..to), text);
                }
            }
        }
    }

    #[test]
    fn frames_copy_only_a_range_that_spans_two() {
        let frames = cut(&[6]);
        assert!(matches!(frames.text(0..6), Cow::Borrowed(_)));
        assert!(matches!(frames.text(6..9), Cow::Borrowed(_)));
        assert!(matches!(frames.text(5..9), Cow::Owned(_)));
        let slice = frames.slices(7..9).next().unwrap();
        assert_eq!(slice.as_ptr().addr() - WHOLE.as_ptr().addr(), 7);
    }

    #[test]
    fn frames_that_are_empty_are_dropped() {
        let frames: BodyFrames =
            ["", "a", "", ""].map(|text| Bytes::from_static(text.as_bytes())).into_iter().collect();
        assert_eq!(frames.only().map(|bytes| &**bytes), Some(&b"a"[..]));
        assert_eq!(BodyFrames::from_iter([]).len(), 0);
    }

    #[test]
    #[should_panic(expected = "nothing stands at")]
    fn frames_panic_beyond_the_end() {
        assert_eq!(cut(&[4]).slices(3..100).count(), 0);
    }
}
