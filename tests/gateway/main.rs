//! The binary from outside: started as a process, called over sockets, in front of upstreams that follow a script.
//!
//! One test program, so that it is linked once. Each test starts its own gateway and its own upstreams on ports of
//! their own, and waits for what it needs to happen, never for time to pass.
#![cfg(test)]

mod support;

mod anthropic;
mod bad_requests;
mod bedrock;
mod canaries;
mod checks;
mod client_keys;
mod command;
mod completions;
#[cfg(feature = "compression")]
mod compressed_requests;
mod corpus;
mod deploy;
mod early_heartbeat;
mod edge;
mod failover_scenarios;
mod failures;
mod gateway_budget;
mod gemini;
mod harness;
mod health_checks;
mod held_events;
mod http;
mod kept_connections;
mod leaks;
mod left_out;
mod litellm_names;
mod logs;
mod messages;
mod models;
mod ollama;
mod operations;
mod owner;
mod parameters;
mod patterns;
mod policies;
mod pre_call_checks;
mod reload;
mod responses;
mod served_tls;
mod status;
mod stream_default;
mod stream_usage;
mod streams;
mod tags;
mod tls;
#[cfg(feature = "otlp")]
mod traces;
mod truth;
mod unsafe_keys;
mod vertex;
mod voyage;
mod watched;
