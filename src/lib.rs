//! A model gateway made of composable tower layers.
//!
//! A YAML file that LiteLLM's proxy understands becomes a tree of Services: every name that clients ask for is a
//! *group*, every group balances over its *deployments*, every deployment is a hyper client with its own guards.
//! Read [`stack`] first: it is the table of contents.

mod body;
mod classify;
pub mod cli;
pub mod config;
mod deployment;
mod error;
mod front;
mod gateway;
mod group;
mod json;
mod metrics;
mod provider;
mod request;
pub mod server;
pub mod simulate;
pub mod stack;
pub mod state;
mod tree;

pub use body::Body;
pub use error::BodyError;
pub use gateway::Gateway;

pub(crate) use error::Error;

/// A transport of one's own, in place of the gateway's client: see
/// [`State::with_upstreams`](state::State::with_upstreams).
pub mod upstream {
    pub use crate::{
        body::{ScriptStep, UpstreamBody},
        deployment::upstream::{Call, Calling, Upstream},
        error::TransportError,
        request::{Operation, SplicedBody},
    };
}
