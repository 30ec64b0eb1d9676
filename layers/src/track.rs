//! Notification of the outcome of a response: [`OnComplete`], [`TrackOutcome`], and [`AtResponse`] for whole responses.
//!
//! A streamed response may begin well and break a minute later. A layer that counts calls or records health attaches a
//! handle to the response, and the handle is notified of the end. tower's `load::TrackCompletion` does the same for its
//! load measure, but its handle is only dropped: it does not receive the outcome.
//!
//! A response in pieces that owns its handles, as a streamed body does:
//!
//! ```
//! use tollgate_layers::{BoxError, Class, Outcome, OnComplete, TrackOutcome, quota::{Limits, Meters, QuotaLayer}};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! struct Pieces {
//!     left: Vec<&'static str>,
//!     handles: Vec<Box<dyn FnOnce(&Outcome) + Send>>,
//! }
//!
//! impl Iterator for Pieces {
//!     type Item = &'static str;
//!
//!     fn next(&mut self) -> Option<&'static str> {
//!         let piece = self.left.pop();
//!         if piece.is_none() {
//!             self.handles.drain(..).for_each(|complete| complete(&Outcome::new(Class::Success)));
//!         }
//!         piece
//!     }
//! }
//!
//! #[derive(Clone)]
//! struct AtEnd;
//!
//! impl<H: OnComplete + Send + 'static> TrackOutcome<H, Pieces, BoxError> for AtEnd {
//!     fn track(&self, handle: H, result: Result<Pieces, BoxError>) -> Result<Pieces, BoxError> {
//!         let Ok(mut pieces) = result else {
//!             handle.complete(&Outcome::new(Class::Unavailable));
//!             return result;
//!         };
//!         pieces.handles.push(Box::new(move |outcome| handle.complete(outcome)));
//!         Ok(pieces)
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let meters = Meters::new(Limits { in_flight: Some(1), ..Limits::default() });
//! let backend = QuotaLayer::new(meters.clone(), |_: Result<&Pieces, &BoxError>| Outcome::new(Class::Success)).with_tracking(AtEnd)
//!     .layer(service_fn(|()| async { Ok::<_, BoxError>(Pieces { left: vec!["world", "hello"], handles: vec![] }) }));
//! let pieces = backend.oneshot(()).await?;
//! assert_eq!(meters.snapshot().in_flight, 1, "the response is there, and the slot in flight is still taken");
//! assert_eq!(pieces.collect::<Vec<_>>(), ["hello", "world"]);
//! assert_eq!(meters.snapshot().in_flight, 0);
//! # Ok::<(), BoxError>(()) }).map_err(|error| error.to_string())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{Classify, Outcome};

/// A handle that is notified when one attempt completes, at most once.
///
/// A handle that is dropped without notification means that the attempt was cancelled.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be notified of an outcome: it does not implement `OnComplete`",
    label = "not a handle of a call",
    note = "the handles of the layers are `HealthGuard`, `QuotaGuard` and `InFlight`; implement `OnComplete` for a handle of your own"
)]
pub trait OnComplete {
    /// Records that the attempt has completed with `outcome`.
    fn complete(self, outcome: &Outcome);
}

/// Attaches a handle `H` to a response, so that [`OnComplete::complete`] is called exactly once: when the body ends or
/// breaks, or at once if there is nothing more to come (an error, a response without a stream).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not track the responses of this service: it is not a `TrackOutcome<{H}, {Res}, {Err}>`",
    label = "cannot attach `{H}` to a response",
    note = "`with_tracking` takes a type that implements `TrackOutcome`; a classifier goes into the `new` of the layer, or into `AtResponse(..)`"
)]
pub trait TrackOutcome<H, Res, Err> {
    /// Returns `result` with the handle attached.
    ///
    /// # Errors
    /// Returns the error of `result`, after `handle` was notified of it.
    fn track(&self, handle: H, result: Result<Res, Err>) -> Result<Res, Err>;
}

/// Completes the handle as soon as the inner future resolves: right for responses that are whole by then.
///
/// Hazard: for a streamed response the handle is gone while the stream runs, so the call leaves the limit of calls in
/// flight too early, and a break of the stream is not recorded.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtResponse<C>(pub C);

impl<C, H, Res, Err> TrackOutcome<H, Res, Err> for AtResponse<C>
where
    C: Classify<Res, Err>,
    H: OnComplete,
{
    fn track(&self, handle: H, result: Result<Res, Err>) -> Result<Res, Err> {
        handle.complete(&self.0.classify(result.as_ref()));
        result
    }
}
