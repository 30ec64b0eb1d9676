//! A [`Ledger`](tollgate_layers::ledger) of [`tollgate_layers`] in Redis or Valkey: limits that several processes share,
//! without a request that waits for it.
//!
//! Each process has a lease for a part of each limit, which its meters enforce alone. The server records the parts of all
//! processes; [`RedisLedger`] is the connection to it, as a tower service. A server that cannot be reached changes
//! nothing: leases stay valid.
//!
//! The server is Redis 6.2 or later, Valkey, or a service that speaks their protocol and has Lua scripts and streams: one
//! server, a cluster, or one that sentinels name ([`Servers`]). TLS (`rediss://`) is rustls with the provider that the
//! program has compiled in or installed.
//!
//! # Example
//! A client of an API with a limit of 600 calls a minute, which all processes of a service share. A call beyond it waits for
//! up to two seconds.
//!
//! ```no_run
//! use std::time::Duration;
//! use tollgate_layers::{
//!     BoxError, Class, Outcome,
//!     ledger::{LimitKey, Member, MemberConfig, ReplicaId},
//!     quota::{Limits, Meters, QuotaLayer},
//! };
//! use tollgate_redis::{RedisLedger, RedisLedgerConfig, Servers};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # async fn example(shutdown: tokio::sync::oneshot::Receiver<()>) -> Result<(), BoxError> {
//! let meters = Meters::new(Limits { requests: Some(600), ..Limits::default() });
//! let member = Member::new(ReplicaId::random(), MemberConfig::default());
//! member.share(&LimitKey::from("api.example.com"), &meters);
//! let ledger = RedisLedger::new(Servers::single("redis://127.0.0.1/")?, RedisLedgerConfig::new("my-service"));
//! tokio::spawn(async move { member.run(ledger, async { drop(shutdown.await) }).await });
//!
//! let classify = |result: Result<&reqwest::Response, &BoxError>| match result.map(|response| response.status().as_u16()) {
//!     Ok(429) => Outcome::new(Class::RateLimited),
//!     Ok(..500) => Outcome::new(Class::Success),
//!     Ok(_) | Err(_) => Outcome::new(Class::Unavailable),
//! };
//! let client = ServiceBuilder::new()
//!     .layer(QuotaLayer::new(meters, classify).waiting(Duration::from_secs(2)))
//!     .map_err(BoxError::from)
//!     .service(reqwest::Client::new());
//! let response = client.oneshot(reqwest::Request::new(reqwest::Method::GET, "https://api.example.com/".parse()?)).await?;
//! # drop(response);
//! # Ok(())
//! # }
//! ```
//!
//! # In the server
//! All keys have one hash tag, `tollgate:{namespace}:...`, and each script declares them all. A sync is one `EVALSHA`, or
//! `EVAL` if the server does not know the script; `SCRIPT LOAD`, which some proxies refuse, is never sent. Events are a
//! stream, read by a second connection.
//!
//! | key | type | content | expires |
//! |---|---|---|---|
//! | `meta` | hash | the generation of the data, the time of the last sync | never |
//! | `replicas` | hash | the time of the last sync of each replica, for ten minutes | never |
//! | `events` | stream | the last 10,000 events | never |
//! | `limit:KEY` | string | the window in force, and the last report of each replica | ten minutes after the last report |
//! | `total:KEY` | hash | the amount of each replica, which [`TotalsRequest`] adds up | at the end of its period, if it has one |
//!
//! A loss of the data, by a restart or an eviction, is noticed and repaired: replicas declare what they hold.

mod connection;
mod event;
mod ledger;
mod script;
mod sync;
#[cfg(test)]
mod tests;
mod totals;

pub use redis;

pub use self::{
    connection::{ServerInfo, Servers},
    ledger::{LedgerFuture, RedisLedger, RedisLedgerConfig, RedisLedgerError},
    totals::{Amount, Total, TotalsRequest},
};
