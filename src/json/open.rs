//! The brackets that are open: [`Open`].

/// One bit for each bracket, set for an object, the innermost lowest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    kinds: u128,
    count: usize,
    room: usize,
}

impl Open {
    /// None; so many may open.
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

    /// Whether the innermost is one of an object.
    pub(super) const fn is_object(&self) -> bool {
        self.kinds & 1 == 1
    }
}
