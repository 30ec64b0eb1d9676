//! What belongs to one model group: the border where its types are erased, and the settings of its layers.

mod erased;
pub(crate) mod settings;

pub(crate) use erased::ArcService;
