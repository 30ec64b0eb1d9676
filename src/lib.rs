//! A model gateway made of composable tower layers.
//!
//! A configuration in the YAML format of LiteLLM's proxy becomes a tree of tower Services. Each model name is a
//! *group*, each group balances over its *deployments*, and each deployment is a hyper client below layers that protect
//! and measure it. Read [`stack`] first: it lists all layers in order.

mod body;
mod classify;
pub mod cli;
pub mod config;
mod deployment;
mod dialect;
mod error;
mod front;
mod gateway;
mod group;
mod issued_id;
mod json;
mod log;
mod metrics;
mod operation;
mod provider;
mod record;
mod registry;
#[cfg(feature = "redis")]
mod replicas;
mod request;
pub mod server;
mod shared_map;
mod signal;
pub mod simulate;
mod spend;
pub mod stack;
pub mod state;
mod status;
#[cfg(feature = "otlp")]
mod traces;
mod tree;

pub use body::Body;
pub use error::BodyError;
pub use gateway::Gateway;

pub(crate) use error::Error;

/// The Rust code on these pages is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../docs/embedding.md")]
struct Pages;

/// Types for upstreams of an embedder, in place of the gateway's HTTP client or around it: see
/// [`State::with_upstream`](state::State::with_upstream),
/// [`State::with_upstream_layer`](state::State::with_upstream_layer) and
/// [`State::with_upstreams`](state::State::with_upstreams).
pub mod upstream {
    pub use crate::{
        body::{ScriptStep, UpstreamBody},
        deployment::upstream::{Upstream, UpstreamCall, UpstreamFuture, UpstreamService},
        error::TransportError,
        request::{Operation, SplicedBody},
    };
}
