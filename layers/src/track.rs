//! Hearing how an answer really ends: [`OnComplete`], [`TrackOutcome`], and [`AtResponse`] for those who need no more than the head.
//!
//! A streamed answer is well at its head and may break a minute later. A layer that counts, meters or judges fastens
//! a handle to the answer, and the handle hears the end. tower's `load::TrackCompletion` does the same for its load
//! measure, but its handle can only be dropped: it never learns *how* the answer ended.
//!
//! An answer in pieces that owns what hears its end, as a body does:
//!
//! ```
//! use tollgate_layers::{BoxError, Class, Outcome, OnComplete, TrackOutcome, quota::{Limits, Meters, QuotaLayer}};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! struct Pieces {
//!     left: Vec<&'static str>,
//!     hear: Vec<Box<dyn FnOnce(&Outcome) + Send>>,
//! }
//!
//! impl Iterator for Pieces {
//!     type Item = &'static str;
//!
//!     fn next(&mut self) -> Option<&'static str> {
//!         let piece = self.left.pop();
//!         if piece.is_none() {
//!             self.hear.drain(..).for_each(|hear| hear(&Outcome::new(Class::Success)));
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
//!         pieces.hear.push(Box::new(move |outcome| handle.complete(outcome)));
//!         Ok(pieces)
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let meters = Meters::new(Limits { in_flight: Some(1), ..Limits::default() });
//! let backend = QuotaLayer::new(meters.clone(), AtEnd)
//!     .layer(service_fn(|()| async { Ok::<_, BoxError>(Pieces { left: vec!["world", "hello"], hear: vec![] }) }));
//! let pieces = backend.oneshot(()).await?;
//! assert_eq!(meters.snapshot().in_flight, 1, "the head is there, and the slot in flight is still taken");
//! assert_eq!(pieces.collect::<Vec<_>>(), ["hello", "world"]);
//! assert_eq!(meters.snapshot().in_flight, 0);
//! # Ok::<(), BoxError>(()) }).map_err(|error| error.to_string())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{Classify, Outcome};

/// A handle that hears the end of one attempt.
///
/// It is told at most once. Dropped unheard means that the attempt was cancelled: the caller has left.
pub trait OnComplete {
    /// The attempt has ended like this.
    fn complete(self, outcome: &Outcome);
}

/// Fastens a handle `H` to an outcome, so that it hears [`OnComplete::complete`] exactly once: at the end of the answer's body,
/// or at its break, or at once where there is nothing more to come (an error, an answer held whole).
pub trait TrackOutcome<H, Res, Err> {
    /// The outcome, with the handle fastened to it.
    ///
    /// # Errors
    /// None of its own: an error passes through, and `handle` has heard it.
    fn track(&self, handle: H, result: Result<Res, Err>) -> Result<Res, Err>;
}

/// Takes the head of an answer for its end: right for answers that are complete when they arrive.
///
/// Hazard: for a streamed answer the handle is gone while the stream runs on, so a limit of calls in flight is not
/// held for its length, and a break is not heard.
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
