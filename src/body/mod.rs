//! Bodies: stub, to be written.

pub mod payload;

pub use payload::Payload;

/// The one answer body.
#[derive(Debug)]
pub struct Body;
