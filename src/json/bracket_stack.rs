//! Stack of open brackets: [`BracketStack`].

/// The open brackets, one bit each: set for an object, innermost in the lowest bit.
#[derive(Clone, Copy, Debug)]
pub(super) struct BracketStack {
    kinds: u128,
    count: usize,
    room: usize,
}

impl BracketStack {
    /// Returns an empty stack with a maximum depth of `room`.
    pub(super) const fn new(room: usize) -> Self {
        Self { kinds: 0, count: 0, room }
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) fn push(&mut self, object: bool) -> Option<()> {
        self.count += 1;
        self.kinds = self.kinds << 1 | u128::from(object);
        (self.count <= self.room).then_some(())
    }

    pub(super) const fn pop(&mut self) {
        self.count -= 1;
        self.kinds >>= 1;
    }

    /// Returns true if the innermost bracket is that of an object.
    pub(super) const fn is_object(&self) -> bool {
        self.kinds & 1 == 1
    }
}
