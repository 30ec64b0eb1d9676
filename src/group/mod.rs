//! The parts of one model group: the type-erased service, its metrics, and the settings of its layers.

mod erased;
pub(crate) mod instrument;
pub(crate) mod settings;
pub(crate) mod tags;

pub(crate) use erased::ArcService;
