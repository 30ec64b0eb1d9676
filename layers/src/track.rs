//! Hearing how an answer really ends: [`Hear`], [`Track`], and [`AtHead`] for those who need no more than the head.
//!
//! A streamed answer is well at its head and may break a minute later. A layer that counts, meters or judges fastens
//! a handle to the answer, and the handle hears the end. tower's `load::TrackCompletion` does the same for its load
//! measure, but its handle can only be dropped: it never learns *how* the answer ended.

use crate::{Classify, Ending};

/// A handle that hears the end of one attempt.
///
/// It is told at most once. Dropped unheard means that the attempt was cancelled: the caller has left.
pub trait Hear {
    /// The attempt has ended like this.
    fn end(self, ending: &Ending);
}

/// Fastens a handle `H` to an outcome, so that it hears [`Hear::end`] exactly once: at the end of the answer's body,
/// or at its break, or at once where there is nothing more to come (an error, an answer held whole).
pub trait Track<H, Res, Err> {
    /// The outcome, with the handle fastened to it.
    ///
    /// # Errors
    /// None of its own: an error passes through, and `handle` has heard it.
    fn track(&self, handle: H, outcome: Result<Res, Err>) -> Result<Res, Err>;
}

/// Takes the head of an answer for its end: right for answers that are complete when they arrive.
///
/// Hazard: for a streamed answer the handle is gone while the stream runs on, so a limit of calls in flight is not
/// held for its length, and a break is not heard.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtHead<C>(pub C);

impl<C, H, Res, Err> Track<H, Res, Err> for AtHead<C>
where
    C: Classify<Res, Err>,
    H: Hear,
{
    fn track(&self, handle: H, outcome: Result<Res, Err>) -> Result<Res, Err> {
        handle.end(&self.0.classify(outcome.as_ref()));
        outcome
    }
}
