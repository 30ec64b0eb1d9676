//! A model gateway made of composable tower layers.
//!
//! A YAML file that LiteLLM's proxy understands becomes a tree of Services: every name that clients ask for is a
//! *group*, every group balances over its *deployments*, every deployment is a hyper client with its own guards.
//! Read [`stack`] first: it is the table of contents.

pub mod body;
pub mod classify;
pub mod config;
pub mod deployment;
pub mod error;
pub mod front;
pub mod gateway;
pub mod group;
mod json;
pub mod metrics;
pub mod provider;
pub mod request;
pub mod server;
pub mod simulate;
pub mod stack;
pub mod state;
pub mod tree;

pub use error::Error;
pub use gateway::Gateway;
