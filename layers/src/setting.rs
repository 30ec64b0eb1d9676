//! Settings that may depend on the request: [`Setting`].
//!
//! A setting lets a request override a layer's configuration, although the layer knows nothing of overrides: the
//! layer calls its setting, and the code that builds the layer chooses a constant or a function of the request.

use std::time::Duration;

/// A constant, or a function of the request, or of the request and an outcome.
///
/// ```
/// use std::time::Duration;
/// use tollgate_layers::Setting;
///
/// struct Request { timeout: Option<Duration> }
///
/// fn limit<'a, S: Setting<&'a Request, Value = Duration>>(setting: &S, request: &'a Request) -> Duration {
///     setting.get(request)
/// }
///
/// let request = Request { timeout: Some(Duration::from_secs(1)) };
/// assert_eq!(limit(&Duration::from_secs(60), &request), Duration::from_secs(60));
///
/// let per_request = |request: &Request| request.timeout.unwrap_or(Duration::from_secs(60));
/// assert_eq!(limit(&per_request, &request), Duration::from_secs(1));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Setting` for `{In}`",
    label = "neither a constant of the right type nor a function of `{In}`",
    note = "write a number with its type, as in `2u32`, another constant as `Constant(..)`, or a function `fn({In}) -> ..`; for a result that borrows from the request, use a function in place of a closure"
)]
pub trait Setting<In> {
    /// The type of the value.
    type Value;

    /// Returns the value for this input.
    fn get(&self, input: In) -> Self::Value;
}

#[diagnostic::do_not_recommend]
impl<F, In, V> Setting<In> for F
where
    F: Fn(In) -> V,
{
    type Value = V;

    fn get(&self, input: In) -> V {
        self(input)
    }
}

/// A constant of any type. Numbers, `Duration` and `Option`s of them implement [`Setting`] themselves.
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
