//! Tests of response bodies as a whole. The tests of one part are in its own file.

mod coalesce;
mod fidelity;
mod outcomes;
mod resume;
mod socket;
pub(crate) mod testing;
mod timeouts;
mod translated;

#[test]
fn active_stream_is_small() {
    use std::mem::size_of;

    use super::{Body, active::ActiveBody, events::Events, plain::Plain};

    // The size of a stream must be small compared to the 32 KB of its two connections.
    let stream = size_of::<ActiveBody<Events>>().max(size_of::<ActiveBody<Plain>>()) + size_of::<Body>();
    assert!(stream <= 2048, "{stream} bytes");
    // The body is moved at each level of the tree.
    assert!(size_of::<Body>() <= 112, "{} bytes", size_of::<Body>());
}
