//! The stack of open brackets: [`BracketStack`].

/// A stack with one bit per open bracket: set for an object, the innermost in the lowest bit.
#[derive(Clone, Copy, Debug)]
pub(super) struct BracketStack {
    kinds: u128,
    count: usize,
    max_depth: usize,
}

impl BracketStack {
    /// Returns an empty stack with a maximum depth of `max_depth`.
    pub(super) const fn new(max_depth: usize) -> Self {
        Self { kinds: 0, count: 0, max_depth }
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) fn push(&mut self, object: bool) -> Option<()> {
        self.count += 1;
        self.kinds = self.kinds << 1 | u128::from(object);
        (self.count <= self.max_depth).then_some(())
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
