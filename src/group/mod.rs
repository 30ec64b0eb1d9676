//! The parts of one model group: the type-erased service, and the settings of its layers.

mod erased;
pub(crate) mod settings;

pub(crate) use erased::ArcService;
