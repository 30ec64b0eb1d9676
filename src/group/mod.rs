//! What belongs to one model group.

pub mod overrides;
