//! Tests of the answer bodies as a whole. Those of one part stand in its own file.

mod coalesce;
mod fidelity;
mod outcomes;
mod resume;
mod socket;
pub(crate) mod testing;
mod timeouts;

#[test]
fn an_open_stream_is_small() {
    use std::mem::size_of;

    use super::{Body, active::ActiveBody, events::Events, plain::Plain};

    // Beside the 32 KB of its two connections, what we add to a stream must not show.
    let stream = size_of::<ActiveBody<Events>>().max(size_of::<ActiveBody<Plain>>()) + size_of::<Body>();
    assert!(stream <= 2048, "{stream} bytes");
    // It is moved at each level of the tree.
    assert!(size_of::<Body>() <= 112, "{} bytes", size_of::<Body>());
}
