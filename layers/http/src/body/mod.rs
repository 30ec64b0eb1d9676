//! A body that reports its end, and the layer that wraps it around responses: [`TrackBody`], [`TrackBodyLayer`].
//!
//! A response begins long before it ends. A slot of a limit in flight must stay taken until the last byte, and a stream that
//! breaks is not a success. [`TrackBodyLayer`] is the innermost layer of an endpoint: it classifies the head of a response,
//! once, and gives the response a [`TrackBody`]. All layers above read the outcome from that body, through [`BodyOutcome`];
//! those that hold something until the end attach their handles to it (`with_tracking(BodyOutcome)`).
//!
//! ```text
//! Retry -> RateLimitBalance -> Cooldown -> Quota -> Timeout -> TrackBody -> client
//!   └── with BodyOutcome, which reads the body ──┘          classifies the head
//! ```
//!
//! A body *settles* once:
//!
//! | event | outcome that the handles receive |
//! |---|---|
//! | the head is not a success | the outcome of the head, at once |
//! | the body ends | the outcome of the head, or that of its trailers ([`ClassifyTrailers`](crate::ClassifyTrailers)) |
//! | the body fails | [`Class::Unavailable`](tollgate_layers::Class::Unavailable) |
//! | the body is dropped before its end | none: the handles are dropped, which means a cancelled call |
//!
//! tower-http's `on_early_drop` and `trace` observe the same events for logs. tower's `load::CompleteOnResponse` ends at the
//! head; its `TrackCompletion` can follow a body, but learns only that it was dropped.
//!
//! Any client whose responses are [`http::Response`] fits below the layer, with `map_err(BoxError::from)` between them:
//! hyper's, and tonic's `Channel` with [`TrackBodyLayer::grpc`]. For reqwest add
//! `map_response(http::Response::<reqwest::Body>::from)`.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use tollgate_http::{BodyOutcome, StatusClassifier, TrackBodyLayer};
//! use tollgate_layers::{BoxError, quota::{Limits, Meters, QuotaLayer}};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let meters = Meters::new(Limits { in_flight: Some(1), ..Limits::default() });
//! let client = service_fn(|_: Request<()>| async { Ok::<_, BoxError>(Response::new(Full::new(Bytes::from("hello")))) });
//! let service = ServiceBuilder::new()
//!     .layer(QuotaLayer::new(meters.clone(), BodyOutcome).with_tracking(BodyOutcome))
//!     .layer(TrackBodyLayer::new(StatusClassifier::new()))
//!     .service(client);
//! let response = service.oneshot(Request::new(())).await?;
//! assert_eq!(meters.snapshot().in_flight, 1, "the head is there, and the slot is still taken");
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "hello");
//! assert_eq!(meters.snapshot().in_flight, 0);
//! # Ok::<(), BoxError>(()) }).map_err(|error| error.to_string())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Hazards: without `with_tracking` a layer ends the accounting of a call at its head, and its slot is free while the body
//! runs. A caller that keeps a response without reading it keeps its slot. A response that is dropped before its end
//! counts as cancelled, also if only its head was of interest: read the body, however short it is. A failed response that
//! Retry holds keeps its connection until the next response arrives. Each handle that is attached to a pending body
//! allocates.

mod completion;
mod layer;
mod outcome;
#[cfg(test)]
mod tests;
mod track;

pub use self::{
    layer::{ResponseFuture, TrackBodyLayer, TrackResponseBody},
    outcome::BodyOutcome,
    track::TrackBody,
};
