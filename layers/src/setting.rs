//! A setting that may depend on the request: [`Setting`].
//!
//! This is how a per-request override reaches a layer that has never heard of overrides: a layer asks its setting,
//! and whoever built the layer decides whether that is a constant or a look into the request.

use std::time::Duration;

/// A constant, or a function of what is at hand: the request, or the request and an ending.
///
/// ```
/// use std::time::Duration;
/// use tollgate_layers::Setting;
///
/// struct Request { patience: Option<Duration> }
///
/// fn limit<'a, S: Setting<&'a Request, Value = Duration>>(setting: &S, request: &'a Request) -> Duration {
///     setting.get(request)
/// }
///
/// let request = Request { patience: Some(Duration::from_secs(1)) };
/// assert_eq!(limit(&Duration::from_secs(60), &request), Duration::from_secs(60));
///
/// let per_request = |request: &Request| request.patience.unwrap_or(Duration::from_secs(60));
/// assert_eq!(limit(&per_request, &request), Duration::from_secs(1));
/// ```
pub trait Setting<In> {
    /// What is set.
    type Value;

    /// The value that applies here.
    fn get(&self, input: In) -> Self::Value;
}

impl<F, In, V> Setting<In> for F
where
    F: Fn(In) -> V,
{
    type Value = V;

    fn get(&self, input: In) -> V {
        self(input)
    }
}

/// A constant of any type. Those that are most often wanted (numbers, a `Duration`, an `Option` of one) need no such wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Constant<T>(pub T);

impl<In, T: Clone> Setting<In> for Constant<T> {
    type Value = T;

    fn get(&self, _: In) -> T {
        self.0.clone()
    }
}

macro_rules! constants {
    ($($ty:ty),*) => {$(
        impl<In> Setting<In> for $ty {
            type Value = $ty;

            fn get(&self, _: In) -> $ty {
                *self
            }
        }
    )*};
}

constants!(u8, u32, u64, Duration, Option<u32>, Option<Duration>);
