//! A method of tower's [`ServiceBuilder`] for each layer: [`ServiceBuilderExt`].

use tower::ServiceBuilder;
use tower_layer::Stack;

use crate::{
    AtResponse,
    balance::{RateLimitBalanceLayer, Strategy},
    context_window::ContextWindowFallbackLayer,
    cooldown::{CooldownLayer, EndpointHealth},
    fallback::{FallbackLayer, FallbackToLayer},
    quota::{Meters, QuotaLayer},
    retry::RetryLayer,
    timeout::TimeoutLayer,
};

/// An extension of [`ServiceBuilder`]. Each method adds the layer that it names, with the layer's defaults; for other
/// settings use [`ServiceBuilder::layer`].
///
/// ```
/// use std::time::Duration;
/// use tollgate_layers::{BoxError, Class, Outcome, ServiceBuilderExt as _, balance::Strategy,
///     cooldown::{CooldownConfig, EndpointHealth}, quota::{Limits, Meters}};
/// use tower::{ServiceBuilder, ServiceExt as _, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
/// let classify = |result: Result<&&str, &BoxError>| match result {
///     Ok(_) => Outcome::new(Class::Success),
///     Err(_) => Outcome::new(Class::Unavailable),
/// };
/// let backends = ["a", "b"].map(|name| {
///     ServiceBuilder::new()
///         .cooldown(EndpointHealth::new(CooldownConfig::default()), classify)
///         .quota(Meters::new(Limits { requests: Some(60), ..Limits::default() }), classify)
///         .attempt_timeout(Duration::from_secs(10))
///         .service(service_fn(move |()| async move { Ok(name) }))
/// });
/// let service = ServiceBuilder::new()
///     .fallback_to(service_fn(|()| async { Ok("a spare") }), classify)
///     .context_window_fallback_to(service_fn(|()| async { Ok("a larger one") }), classify)
///     .retries(2u32, classify)
///     .rate_limit_balance(Strategy::Adaptive, classify)
///     .service(Vec::from(backends));
/// assert!(["a", "b"].contains(&service.oneshot(()).await?));
/// # Ok::<(), BoxError>(()) }).map_err(|error| error.to_string())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ServiceBuilderExt<L>: Sized {
    /// Adds [`FallbackLayer::new`]: after a failure `policy` returns the next request.
    fn fallback<P, C>(self, policy: P, classify: C) -> ServiceBuilder<Stack<FallbackLayer<P, C>, L>>;

    /// Adds [`FallbackLayer::to`]: after a failure the `second` service is called.
    fn fallback_to<F, C>(self, second: F, classify: C) -> ServiceBuilder<Stack<FallbackToLayer<F, C>, L>>;

    /// Adds [`ContextWindowFallbackLayer::new`]: if a request did not fit, `policy` returns the larger one.
    fn context_window_fallback<P, C>(
        self,
        policy: P,
        classify: C,
    ) -> ServiceBuilder<Stack<ContextWindowFallbackLayer<P, C>, L>>;

    /// Adds [`ContextWindowFallbackLayer::to`]: if a request did not fit, the `larger` service is called.
    fn context_window_fallback_to<F, C>(
        self,
        larger: F,
        classify: C,
    ) -> ServiceBuilder<Stack<FallbackToLayer<F, C>, L>>;

    /// Adds [`RetryLayer::new`]. [`ServiceBuilder`] has a method `retry` of its own, for tower's `Retry`.
    fn retries<R, C>(self, retries: R, classify: C) -> ServiceBuilder<Stack<RetryLayer<R, C>, L>>;

    /// Adds [`RateLimitBalanceLayer::new`]. The next method is [`ServiceBuilder::service`] with a vector of endpoints.
    fn rate_limit_balance<C>(
        self,
        strategy: Strategy,
        classify: C,
    ) -> ServiceBuilder<Stack<RateLimitBalanceLayer<AtResponse<C>>, L>>;

    /// Adds [`CooldownLayer::new`].
    fn cooldown<C>(
        self,
        health: EndpointHealth,
        classify: C,
    ) -> ServiceBuilder<Stack<CooldownLayer<AtResponse<C>>, L>>;

    /// Adds [`QuotaLayer::new`].
    fn quota<C>(self, meters: Meters, classify: C) -> ServiceBuilder<Stack<QuotaLayer<AtResponse<C>>, L>>;

    /// Adds [`TimeoutLayer::new`]. [`ServiceBuilder`] has a method `timeout` of its own, for tower's `Timeout`.
    fn attempt_timeout<T>(self, limit: T) -> ServiceBuilder<Stack<TimeoutLayer<T>, L>>;
}

impl<L> ServiceBuilderExt<L> for ServiceBuilder<L> {
    fn fallback<P, C>(self, policy: P, classify: C) -> ServiceBuilder<Stack<FallbackLayer<P, C>, L>> {
        self.layer(FallbackLayer::new(policy, classify))
    }

    fn fallback_to<F, C>(self, second: F, classify: C) -> ServiceBuilder<Stack<FallbackToLayer<F, C>, L>> {
        self.layer(FallbackLayer::to(second, classify))
    }

    fn context_window_fallback<P, C>(
        self,
        policy: P,
        classify: C,
    ) -> ServiceBuilder<Stack<ContextWindowFallbackLayer<P, C>, L>> {
        self.layer(ContextWindowFallbackLayer::new(policy, classify))
    }

    fn context_window_fallback_to<F, C>(
        self,
        larger: F,
        classify: C,
    ) -> ServiceBuilder<Stack<FallbackToLayer<F, C>, L>> {
        self.layer(ContextWindowFallbackLayer::to(larger, classify))
    }

    fn retries<R, C>(self, retries: R, classify: C) -> ServiceBuilder<Stack<RetryLayer<R, C>, L>> {
        self.layer(RetryLayer::new(retries, classify))
    }

    fn rate_limit_balance<C>(
        self,
        strategy: Strategy,
        classify: C,
    ) -> ServiceBuilder<Stack<RateLimitBalanceLayer<AtResponse<C>>, L>> {
        self.layer(RateLimitBalanceLayer::new(strategy, classify))
    }

    fn cooldown<C>(
        self,
        health: EndpointHealth,
        classify: C,
    ) -> ServiceBuilder<Stack<CooldownLayer<AtResponse<C>>, L>> {
        self.layer(CooldownLayer::new(health, classify))
    }

    fn quota<C>(self, meters: Meters, classify: C) -> ServiceBuilder<Stack<QuotaLayer<AtResponse<C>>, L>> {
        self.layer(QuotaLayer::new(meters, classify))
    }

    fn attempt_timeout<T>(self, limit: T) -> ServiceBuilder<Stack<TimeoutLayer<T>, L>> {
        self.layer(TimeoutLayer::new(limit))
    }
}
