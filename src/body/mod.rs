//! Bodies: stub, to be written.

/// The one answer body.
#[derive(Debug)]
pub struct Body;
