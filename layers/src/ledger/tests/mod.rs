//! Tests of the ledger.

mod member;
mod properties;
mod rules;
mod service;
mod windows;
mod world;
