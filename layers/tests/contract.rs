//! The contract of `tower::Service` for each layer: in success, error, cancellation and panic.
//!
//! Each layer stands over [`Strict`], which panics if it is called without having been polled ready, and over a limit of
//! one call in flight if it has one. A call that ended in any way leaves the layer able to serve the next.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio_test::{assert_pending, task};
use tollgate_layers::{
    AtResponse, BoxError, Class, Outcome,
    balance::{RateLimitBalanceLayer, Strategy},
    context_window::ContextWindowFallbackLayer,
    cooldown::{CooldownConfig, CooldownLayer, EndpointHealth},
    fallback::FallbackLayer,
    quota::{Limits, Meters, QuotaLayer},
    retry::RetryLayer,
    testing::Strict,
    timeout::TimeoutLayer,
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncService};

const SECOND: Duration = Duration::from_secs(1);

/// A request: the end of its call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Success,
    Error,
    Never,
    PanicInCall,
    PanicInFuture,
}

type Boxed = BoxCloneSyncService<End, (), BoxError>;
type Backend = Strict<Boxed>;

/// Counts the calls that were made, and those that have not ended.
#[derive(Clone, Default)]
struct Calls(Arc<[AtomicUsize; 2]>);

impl Calls {
    fn begin(&self) -> Running {
        for count in &*self.0 {
            count.fetch_add(1, Relaxed);
        }
        Running(self.clone())
    }

    fn made(&self) -> usize {
        self.0[0].load(Relaxed)
    }

    fn running(&self) -> usize {
        self.0[1].load(Relaxed)
    }
}

struct Running(Calls);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0[1].fetch_sub(1, Relaxed);
    }
}

fn backend(calls: &Calls) -> Backend {
    let calls = calls.clone();
    Strict::new(Boxed::new(service_fn(move |end| {
        let running = calls.begin();
        assert!(end != End::PanicInCall, "in the call");
        async move {
            let _running = running;
            assert!(end != End::PanicInFuture, "in the future");
            match end {
                End::Error => Err("an error".into()),
                End::Never => std::future::pending().await,
                End::Success | End::PanicInCall | End::PanicInFuture => Ok(()),
            }
        }
    })))
}

fn second() -> Backend {
    Strict::new(Boxed::new(service_fn(|_| std::future::ready(Ok(())))))
}

fn classify(result: Result<&(), &BoxError>) -> Outcome {
    Outcome::new(if result.is_ok() { Class::Success } else { Class::Unavailable })
}

fn too_long(result: Result<&(), &BoxError>) -> Outcome {
    Outcome::new(if result.is_ok() { Class::Success } else { Class::ContextWindow })
}

fn next(_: &End, _: &Outcome) -> Option<End> {
    Some(End::Success)
}

type Classifier = fn(Result<&(), &BoxError>) -> Outcome;

fn cooldown() -> CooldownLayer<AtResponse<Classifier>> {
    let config = CooldownConfig::new(SECOND).with_allowed_fails(Some(100));
    CooldownLayer::new(EndpointHealth::new(config), classify)
}

fn quota() -> QuotaLayer<AtResponse<Classifier>> {
    QuotaLayer::new(Meters::new(Limits { in_flight: Some(1), ..Limits::default() }), classify)
}

fn balance() -> RateLimitBalanceLayer<AtResponse<Classifier>> {
    RateLimitBalanceLayer::new(Strategy::Adaptive, classify)
}

/// A layer, and its handling of an error.
struct Row {
    name: &'static str,
    over: fn(Backend) -> Boxed,
    /// The number of calls of the backend that it makes.
    calls: usize,
    /// True if the caller receives the response to another request, or of another service.
    recovers: bool,
}

const fn row(name: &'static str, over: fn(Backend) -> Boxed, calls: usize, recovers: bool) -> Row {
    Row { name, over, calls, recovers }
}

fn all_layers(backend: Backend) -> Boxed {
    let endpoint = ServiceBuilder::new()
        .layer(cooldown())
        .layer(quota())
        .layer(TimeoutLayer::new(60 * SECOND))
        .service(backend);
    let stack = ServiceBuilder::new()
        .layer(FallbackLayer::to(second(), classify))
        .layer(ContextWindowFallbackLayer::to(second(), classify))
        .layer(RetryLayer::new(1u32, classify))
        .layer(balance())
        .service(vec![Strict::new(endpoint)]);
    Boxed::new(stack)
}

const ROWS: [Row; 12] = [
    row("timeout", |backend| Boxed::new(TimeoutLayer::new(60 * SECOND).layer(backend)), 1, false),
    row("retry", |backend| Boxed::new(RetryLayer::new(1u32, classify).layer(backend)), 2, false),
    row("fallback", |backend| Boxed::new(FallbackLayer::new(next, classify).layer(backend)), 2, true),
    row("fallback to", |backend| Boxed::new(FallbackLayer::to(second(), classify).layer(backend)), 1, true),
    row(
        "context window",
        |backend| Boxed::new(ContextWindowFallbackLayer::new(next, too_long).layer(backend)),
        2,
        true,
    ),
    row(
        "context window to",
        |backend| Boxed::new(ContextWindowFallbackLayer::to(second(), too_long).layer(backend)),
        1,
        true,
    ),
    row("cooldown", |backend| Boxed::new(cooldown().layer(backend)), 1, false),
    row("quota", |backend| Boxed::new(quota().layer(backend)), 1, false),
    row("quota, waiting", |backend| Boxed::new(quota().waiting(SECOND).layer(backend)), 1, false),
    row("balance of services", |backend| Boxed::new(balance().services([backend])), 1, false),
    row(
        "balance of endpoints",
        |backend| Boxed::new(balance().layer(vec![Strict::new(quota().layer(backend))])),
        1,
        false,
    ),
    row("all layers", all_layers, 2, true),
];

async fn call(service: &mut Boxed, end: End) -> Result<(), BoxError> {
    service.ready().await?.call(end).await
}

impl Row {
    fn service(&self) -> (Boxed, Calls) {
        let calls = Calls::default();
        ((self.over)(backend(&calls)), calls)
    }

    /// Asserts that no call runs, and that the service, and a clone of it, serve the next.
    async fn assert_serves(&self, mut service: Boxed, calls: &Calls) {
        assert_eq!(calls.running(), 0, "{}", self.name);
        let made = calls.made();
        for _ in 0..2 {
            let mut clone = service.clone();
            assert!(call(&mut clone, End::Success).await.is_ok(), "{}", self.name);
            assert!(call(&mut service, End::Success).await.is_ok(), "{}", self.name);
        }
        assert_eq!(calls.made(), made + 4, "{}", self.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_returns_a_success() {
    for row in ROWS {
        let (service, calls) = row.service();
        row.assert_serves(service, &calls).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_returns_an_error_or_its_own_repeat_of_the_call() {
    for row in ROWS {
        let (mut service, calls) = row.service();
        let result = call(&mut service, End::Error).await;
        assert_eq!((result.is_ok(), calls.made()), (row.recovers, row.calls), "{}", row.name);
        row.assert_serves(service, &calls).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_ends_the_call_when_its_future_is_dropped() {
    for row in ROWS {
        let (mut service, calls) = row.service();
        // Not polled at all.
        drop(service.ready().await.unwrap().call(End::Never));
        assert_eq!(calls.running(), 0, "{}", row.name);
        let mut call = task::spawn(service.ready().await.unwrap().call(End::Never));
        assert_pending!(call.poll());
        assert_eq!(calls.running(), 1, "{}", row.name);
        drop(call);
        row.assert_serves(service, &calls).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_serves_other_calls_after_one_that_panicked() {
    for row in ROWS {
        for end in [End::PanicInCall, End::PanicInFuture] {
            let (service, calls) = row.service();
            let panicked = tokio::spawn(service.clone().oneshot(end)).await.unwrap_err();
            assert!(panicked.is_panic(), "{}", row.name);
            row.assert_serves(service, &calls).await;
        }
    }
}
