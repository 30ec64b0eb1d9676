//! The layer that gives responses a body that reports its end: [`TrackBodyLayer`].

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use tollgate_layers::Classify;
use tower_layer::Layer;
use tower_service::Service;

use super::track::TrackBody;
use crate::{
    grpc::GrpcClassifier,
    trailers::{ClassifyTrailers, IgnoreTrailers},
};

/// A layer that classifies the head of each response and gives the response a [`TrackBody`]. See the [module](super).
///
/// Its position is the innermost, around the client: all layers above it see `Response<TrackBody<B>>`.
#[derive(Clone, Copy, Debug)]
pub struct TrackBodyLayer<C, T = IgnoreTrailers> {
    classify: C,
    trailers: T,
}

impl<C> TrackBodyLayer<C> {
    /// Creates a layer for HTTP responses; `classify` ([`Classify`]) returns the outcome of a response by its head, as
    /// [`StatusClassifier`](crate::StatusClassifier) does. Errors of the client pass through.
    pub const fn new(classify: C) -> Self {
        Self { classify, trailers: IgnoreTrailers }
    }
}

impl TrackBodyLayer<GrpcClassifier, GrpcClassifier> {
    /// Creates a layer for gRPC responses, whose outcome is in the trailers.
    #[must_use]
    pub const fn grpc() -> Self {
        Self { classify: GrpcClassifier, trailers: GrpcClassifier }
    }
}

impl<C, T> TrackBodyLayer<C, T> {
    /// Sets the function that returns the outcome of a response when its body has ended.
    pub fn with_trailers<U: ClassifyTrailers>(self, trailers: U) -> TrackBodyLayer<C, U> {
        TrackBodyLayer { classify: self.classify, trailers }
    }
}

impl<S, C: Clone, T: Clone> Layer<S> for TrackBodyLayer<C, T> {
    type Service = TrackResponseBody<S, C, T>;

    fn layer(&self, inner: S) -> Self::Service {
        TrackResponseBody { inner, classify: self.classify.clone(), trailers: self.trailers.clone() }
    }
}

/// The service of [`TrackBodyLayer`].
#[derive(Clone, Copy, Debug)]
pub struct TrackResponseBody<S, C, T = IgnoreTrailers> {
    inner: S,
    classify: C,
    trailers: T,
}

impl<S, C> TrackResponseBody<S, C> {
    /// Wraps `inner`, as [`TrackBodyLayer::new`] does.
    pub const fn new(inner: S, classify: C) -> Self {
        Self { inner, classify, trailers: IgnoreTrailers }
    }
}

impl<S, C, T> TrackResponseBody<S, C, T> {
    /// Returns the inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Unwraps the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, C, T, B, Req> Service<Req> for TrackResponseBody<S, C, T>
where
    S: Service<Req, Response = Response<B>>,
    B: Body,
    C: Classify<Response<B>, S::Error> + Clone,
    T: ClassifyTrailers + Clone,
{
    type Response = Response<TrackBody<B, T>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, C, T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        ResponseFuture {
            inner: self.inner.call(req),
            classify: self.classify.clone(),
            trailers: self.trailers.clone(),
        }
    }
}

pin_project! {
    /// The response future of [`TrackResponseBody`].
    #[derive(Debug)]
    pub struct ResponseFuture<F, C, T> {
        #[pin]
        inner: F,
        classify: C,
        trailers: T,
    }
}

impl<F, C, T, B, E> Future for ResponseFuture<F, C, T>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    C: Classify<Response<B>, E>,
    T: ClassifyTrailers + Clone,
{
    type Output = Result<Response<TrackBody<B, T>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let head = this.classify.classify(Ok(&response));
        Poll::Ready(Ok(response.map(|body| TrackBody::with_trailers(body, head, this.trailers.clone()))))
    }
}
