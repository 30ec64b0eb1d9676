//! A model gateway made of composable tower layers.
//!
//! A YAML file that LiteLLM's proxy understands becomes a tree of Services: every name that clients ask for is a
//! *group*, every group balances over its *deployments*, every deployment is a hyper client with its own guards.
//! Read [`stack`] first: it is the table of contents.

pub mod admin;
pub mod body;
pub mod call_id;
pub mod classify;
pub mod config;
pub mod error;
pub mod fallbacks;
pub mod front;
pub mod gateway;
pub mod headers;
pub mod instrument;
pub mod intake;
mod json;
pub mod known;
pub mod metrics;
pub mod midstream;
pub mod mock;
pub mod overrides;
pub mod paths;
pub mod pool;
pub mod provider;
pub mod recover;
pub mod request;
pub mod respond;
pub mod router;
pub mod server;
pub mod simulate;
pub mod stack;
pub mod state;
pub mod upstream;

pub use error::Error;
pub use gateway::Gateway;
