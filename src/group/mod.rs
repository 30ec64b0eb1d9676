//! The parts of one model group: the type-erased service, its metrics, and the settings of its layers.

pub(crate) mod eligible;
mod erased;
pub(crate) mod instrument;
pub(crate) mod settings;

pub(crate) use erased::ArcService;
