//! HTTP for [`tollgate_layers`], as tower-http is for tower.
//!
//! The layers know nothing of HTTP: they learn about a response from a classifier, which returns an [`Outcome`] of plain
//! numbers. This crate has the classifiers of HTTP and gRPC responses, the parsers of the header fields in which servers
//! state their limits, and a body that reports its end, so that a slot stays taken until the last byte.
//!
//! | I want to ... | use |
//! |---|---|
//! | classify responses by their status | [`StatusClassifier`] |
//! | classify gRPC responses by `grpc-status`, and obey `grpc-retry-pushback-ms` | [`GrpcClassifier`], [`TrackBodyLayer::grpc`] |
//! | know when a streamed response ends or breaks | [`TrackBodyLayer`], [`BodyOutcome`] |
//! | classify the errors of an error type of my own | [`ErrorOutcome`] |
//! | read `Retry-After` | [`retry_after()`] |
//! | read `RateLimit`, `x-ratelimit-*`, `anthropic-ratelimit-*` | [`RateLimits`], [`rate_limit::exhausted_until`] |
//! | read a duration such as `6m0s` | [`times`] |
//!
//! # Example
//! A client of an API with a rate limit. The server refuses the first call for two seconds; the layers keep the time, and
//! the caller sees only the response of the second.
//!
//! ```
//! use std::{sync::{Arc, atomic::{AtomicU32, Ordering}}, time::Duration};
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use tokio::time::Instant;
//! use tollgate_http::{BodyOutcome, StatusClassifier, TrackBodyLayer};
//! use tollgate_layers::{
//!     BoxError,
//!     balance::{RateLimitBalanceLayer, Strategy},
//!     cooldown::{CooldownConfig, CooldownLayer, EndpointHealth},
//!     quota::{Limits, Meters, QuotaLayer},
//!     retry::RetryLayer,
//! };
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! // In a program this is hyper's client, with `map_err(BoxError::from)`.
//! let calls = Arc::new(AtomicU32::new(0));
//! let client = service_fn(move |_: Request<()>| {
//!     let response = match calls.fetch_add(1, Ordering::Relaxed) {
//!         0 => Response::builder().status(429).header("retry-after", "2").body(Full::default()),
//!         _ => Response::builder().header("ratelimit", r#""default";r=49;t=58"#).body(Full::new(Bytes::from("hello"))),
//!     };
//!     async { Ok::<_, BoxError>(response?) }
//! });
//!
//! let health = EndpointHealth::new(CooldownConfig::default());
//! let meters = Meters::new(Limits { requests: Some(50), ..Limits::default() });
//! let endpoint = ServiceBuilder::new()
//!     // `with_tracking`: until the end of the body, not only until the head.
//!     .layer(CooldownLayer::new(health, BodyOutcome).with_tracking(BodyOutcome))
//!     .layer(QuotaLayer::new(meters, BodyOutcome).with_tracking(BodyOutcome))
//!     // The innermost layer: it classifies each response once, for all the others.
//!     .layer(TrackBodyLayer::new(StatusClassifier::new()))
//!     .service(client);
//! let service = ServiceBuilder::new()
//!     .layer(RetryLayer::new(2u32, BodyOutcome))
//!     .layer(RateLimitBalanceLayer::new(Strategy::default(), BodyOutcome).with_tracking(BodyOutcome))
//!     .service(vec![endpoint]);
//!
//! let start = Instant::now();
//! let response = service.oneshot(Request::new(())).await?;
//! assert!(start.elapsed() >= Duration::from_secs(2));
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "hello");
//! # Ok::<(), BoxError>(()) }).map_err(|error| error.to_string())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a server may send
//! A header field is input that is not trusted. No value makes a function of this crate panic. A time is never zero and at most
//! [one hour](times::LONGEST); a value that is negative, past, infinite or not a number is ignored, and so is a malformed
//! field.
//!
//! [`Outcome`]: tollgate_layers::Outcome

pub mod body;
pub mod error;
pub mod grpc;
pub mod rate_limit;
mod retry_after;
pub mod status;
#[cfg(test)]
mod testing;
pub mod times;
pub mod trailers;

pub use self::{
    body::{BodyOutcome, TrackBody, TrackBodyLayer},
    error::ErrorOutcome,
    grpc::GrpcClassifier,
    rate_limit::RateLimits,
    retry_after::retry_after,
    status::StatusClassifier,
    trailers::{ClassifyTrailers, IgnoreTrailers},
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
