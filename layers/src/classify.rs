//! What kind of ending an attempt had: [`Class`], and the one who says so, [`Classify`].
//!
//! An answer is judged once, by the layer nearest to the wire. Retry, Cooldown, Fallback and metrics read the same
//! [`Class`], so they can never disagree about whether something failed. tower-http's `classify` serves
//! observation only; here the class also decides.

use crate::Ending;

pub use crate::class::Class;

/// Says how an attempt ended, as soon as its head is there.
///
/// For an answer whose body is still to come, this is what is known at the head: [`Class::Success`] then means "well
/// so far", and what happens later reaches the layers through [`Track`](crate::Track).
///
/// A closure will do:
///
/// ```
/// use tollgate_layers::{Class, Classify, Ending};
///
/// let classify = |outcome: Result<&u16, &std::io::Error>| match outcome {
///     Ok(200..=399) => Ending::of(Class::Success),
///     Ok(429) => Ending::of(Class::RateLimited),
///     Ok(400..=499) => Ending::of(Class::Caller),
///     Ok(_) => Ending::of(Class::Unavailable),
///     Err(_) => Ending::of(Class::Unavailable).never_sent(),
/// };
/// assert_eq!(classify.classify(Ok(&503)).class(), Class::Unavailable);
/// ```
pub trait Classify<Res, Err> {
    /// How this ended.
    fn classify(&self, outcome: Result<&Res, &Err>) -> Ending;
}

impl<F, Res, Err> Classify<Res, Err> for F
where
    F: Fn(Result<&Res, &Err>) -> Ending,
{
    fn classify(&self, outcome: Result<&Res, &Err>) -> Ending {
        self(outcome)
    }
}
