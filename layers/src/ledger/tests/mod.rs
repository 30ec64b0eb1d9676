//! Tests of the ledger.

mod properties;
mod rules;
mod service;
mod windows;
mod world;
