//! Test support that unit tests and test programs share: [`Script`], a body that follows a script, [`compressed`], bodies
//! in a content coding, [`memory`], that of a process, [`redis`], servers for replicas, and [`tls`], a certificate.
//!
//! It depends on no crate of this workspace: a unit test of the gateway could not use types of a second copy of it.

mod compress;
pub mod memory;
pub mod redis;
mod script;
pub mod tls;

pub use compress::compressed;
pub use script::{Script, Scripted, Step};
