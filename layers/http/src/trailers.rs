//! Classification of a response at the end of its body: [`ClassifyTrailers`].

use http::HeaderMap;
use tollgate_layers::Outcome;

/// Returns the outcome of a response whose body has ended, which for gRPC is known only then.
///
/// [`TrackBody`](crate::TrackBody) calls it once. tower-http's `ClassifyEos` is its equivalent for traces.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not return the outcome of a body that has ended: it is not a `ClassifyTrailers`",
    label = "not a `ClassifyTrailers`",
    note = "`IgnoreTrailers` is for HTTP, `GrpcClassifier` for gRPC"
)]
pub trait ClassifyTrailers {
    /// Returns the outcome of a response: `head` is its outcome by its head, `trailers` are those that the body ended with.
    fn classify_trailers(&self, head: &Outcome, trailers: Option<&HeaderMap>) -> Outcome;
}

/// Returns the outcome of the head: the body of an HTTP response that ends adds nothing to its status.
#[derive(Clone, Copy, Debug, Default)]
pub struct IgnoreTrailers;

impl ClassifyTrailers for IgnoreTrailers {
    fn classify_trailers(&self, head: &Outcome, _: Option<&HeaderMap>) -> Outcome {
        *head
    }
}
