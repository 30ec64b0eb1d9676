//! Test support that unit tests and test programs share: [`Script`], a body that follows a script, [`compressed`], bodies
//! in a content coding, [`memory`], that of a process, and [`tls`], a server's certificate.
//!
//! It depends on no crate of this workspace: a unit test of the gateway could not use types of a second copy of it.

mod compress;
pub mod memory;
mod script;
pub mod tls;

pub use compress::compressed;
pub use script::{Script, Scripted, Step};
