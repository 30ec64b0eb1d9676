//! Benchmarks of single layers, with their allocations: `cargo bench -p tollgate-layers`.
//!
//! Each layer wraps a leaf service that responds at once; it is cloned as in a tree, called, and polled to its end.
//! The first line is the cost of the leaf itself: subtract it.
//!
//! `pick` is only the choice of the balancer: from the call to the reservation at an endpoint, in a group where all
//! endpoints have capacity, and in a group where nineteen of twenty are full. `balance` is the same call to its end,
//! accounting included. `stack_of_all_layers` is a call through every layer. `filled` uses every slot of a group, and reports the time of one call; `saturated` is the cost of a
//! refusal, and `saturated_queue` its cost while the queue is full. A pick allocates once: the list of candidates.

use std::{
    future::{Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use divan::{AllocProfiler, Bencher, black_box, counter::ItemsCount};
use tollgate_layers::{
    BoxError, Class, Outcome,
    balance::{RateLimitBalance, RateLimitBalanceLayer, Strategy},
    context_window::ContextWindowFallbackLayer,
    cooldown::{Cooldown, CooldownConfig, CooldownLayer, EndpointHealth},
    endpoint::Endpoint,
    fallback::FallbackLayer,
    quota::{Limits, Meters, Quota, QuotaLayer, RateWindow},
    retry::RetryLayer,
    timeout::TimeoutLayer,
    track::AtResponse,
};
use tower::{Layer, Service, ServiceBuilder, service_fn};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The least number that counts as a success; smaller responses are classified as rate limited.
const REFUSED: u32 = 10;
/// A wait longer than any in these benchmarks.
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// The numbers of endpoints of a group.
const ALL: [usize; 4] = [3, 16, 64, 1_000];

/// A service that responds at once, or is never ready.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    ready: bool,
}

const LEAF: Leaf = Leaf { ready: true };

impl Service<u32> for Leaf {
    type Response = u32;
    type Error = BoxError;
    type Future = Ready<Result<u32, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.ready { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, request: u32) -> Self::Future {
        ready(Ok(request))
    }
}

type Classifier = fn(Result<&u32, &BoxError>) -> Outcome;
const CLASSIFY: Classifier = classify;

fn classify(result: Result<&u32, &BoxError>) -> Outcome {
    match result {
        Ok(answer) if *answer >= REFUSED => Outcome::new(Class::Success),
        Ok(_) => Outcome::new(Class::RateLimited),
        Err(_) => Outcome::new(Class::Unavailable),
    }
}

/// Measures repeated calls of `service` with one request.
fn time<S>(bencher: Bencher<'_, '_>, service: &S, request: u32)
where
    S: Service<u32, Response = u32, Error = BoxError> + Clone + Sync,
{
    assert!(matches!(once(service, request), Poll::Ready(Ok(answer)) if answer >= REFUSED), "it must answer");
    bencher.bench(|| once(service, black_box(request)));
}

/// Calls a clone and polls it once, since nothing here has to wait.
fn once<S>(service: &S, request: u32) -> Poll<Result<u32, BoxError>>
where
    S: Service<u32, Response = u32, Error = BoxError> + Clone,
{
    let mut cx = Context::from_waker(Waker::noop());
    let mut clone = service.clone();
    match clone.poll_ready(&mut cx) {
        Poll::Ready(Ok(())) => pin!(clone.call(request)).poll(&mut cx),
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => Poll::Pending,
    }
}

#[divan::bench]
fn leaf(bencher: Bencher<'_, '_>) {
    time(bencher, &LEAF, REFUSED);
}

#[divan::bench]
fn timeout(bencher: Bencher<'_, '_>) {
    time(bencher, &TimeoutLayer::new(Duration::from_secs(60)).layer(LEAF), REFUSED);
}

#[divan::bench]
fn retry(bencher: Bencher<'_, '_>) {
    time(bencher, &RetryLayer::new(2_u32, classify).layer(LEAF), REFUSED);
}

#[divan::bench]
fn cooldown(bencher: Bencher<'_, '_>) {
    time(
        bencher,
        &CooldownLayer::new(EndpointHealth::new(CooldownConfig::default()), CLASSIFY).layer(LEAF),
        REFUSED,
    );
}

/// A reservation and its accounting.
#[divan::bench]
fn quota(bencher: Bencher<'_, '_>) {
    time(bencher, &QuotaLayer::new(roomy(), CLASSIFY).layer(LEAF), REFUSED);
}

#[divan::bench]
fn fallback(bencher: Bencher<'_, '_>) {
    time(bencher, &FallbackLayer::new(next, classify).layer(LEAF), REFUSED);
}

/// The first call is refused, the second succeeds.
#[divan::bench]
fn fallback_taken(bencher: Bencher<'_, '_>) {
    time(bencher, &FallbackLayer::new(next, classify).layer(LEAF), REFUSED - 1);
}

fn next(request: &u32, _: &Outcome) -> Option<u32> {
    Some(request + 1)
}

/// Three nested layers of a group.
#[divan::bench]
fn fallback_retry_timeout(bencher: Bencher<'_, '_>) {
    let attempt = TimeoutLayer::new(Duration::from_secs(60)).layer(LEAF);
    let group = RetryLayer::new(2_u32, classify).layer(attempt);
    time(bencher, &FallbackLayer::new(next, classify).layer(group), REFUSED);
}

type Deployment = Cooldown<Quota<Leaf, AtResponse<Classifier>>, AtResponse<Classifier>>;
type Group = RateLimitBalance<Deployment, AtResponse<Classifier>>;

/// Limits that are counted but never reached.
fn roomy() -> Meters {
    Meters::new(Limits { requests: Some(1_000_000_000), ..Limits::default() })
}

fn deployment(meters: Meters, leaf: Leaf) -> Deployment {
    let quota = QuotaLayer::new(meters, CLASSIFY).layer(leaf);
    CooldownLayer::new(EndpointHealth::new(CooldownConfig::default()), CLASSIFY).layer(quota)
}

fn group(deployments: Vec<Deployment>) -> Group {
    RateLimitBalanceLayer::new(Strategy::Adaptive, CLASSIFY).with_queue(Duration::ZERO, 0).layer(deployments)
}

/// Measures only the choice, in a group whose endpoints reserve and are then never ready.
fn choice(bencher: Bencher<'_, '_>, group: &Group) {
    // The growth of the group's own buffers does not belong to a pick.
    let warm = || {
        let mut call = Box::pin(group.clone().call(REFUSED));
        assert!(
            call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(),
            "it must be picked"
        );
        call
    };
    drop((0..1_000).map(|_| warm()).collect::<Vec<_>>());
    bencher
        .with_inputs(|| Box::pin(group.clone().call(REFUSED)))
        .bench_refs(|call| call.as_mut().poll(&mut Context::from_waker(Waker::noop())));
}

#[divan::bench(args = ALL, threads = [1, 2], sample_size = 64, sample_count = 2_000)]
fn pick(bencher: Bencher<'_, '_>, endpoints: usize) {
    let all = (0..endpoints).map(|_| deployment(roomy(), Leaf { ready: false }));
    choice(bencher, &group(all.collect()));
}

/// Nineteen of twenty endpoints have no capacity.
#[divan::bench(args = ALL, threads = [1, 2], sample_size = 64, sample_count = 2_000)]
fn pick_nearly_full(bencher: Bencher<'_, '_>, endpoints: usize) {
    let (mut held, now) = (Vec::new(), tokio::time::Instant::now());
    let all = (0..endpoints).map(|which| {
        if which % 20 == 0 {
            return deployment(roomy(), Leaf { ready: false });
        }
        let full = Meters::new(Limits { in_flight: Some(1), ..Limits::default() });
        let deployment = deployment(full, Leaf { ready: false });
        let mut holds = deployment.clone();
        let score = holds.score(&REFUSED, now);
        assert!(
            score.is_ok_and(|score| holds.reserve(&REFUSED, &score, now).is_ok()),
            "there is room for one"
        );
        held.push(holds);
        deployment
    });
    let group = group(all.collect());
    choice(bencher, &group);
}

#[divan::bench(args = ALL, threads = [1, 2])]
fn balance(bencher: Bencher<'_, '_>, endpoints: usize) {
    let all = (0..endpoints).map(|_| deployment(roomy(), LEAF));
    time(bencher, &group(all.collect()), REFUSED);
}

/// All layers, as in the table of the crate's documentation, over three closures.
#[divan::bench]
fn stack_of_all_layers(bencher: Bencher<'_, '_>) {
    let backends = (0..3).map(|_| {
        ServiceBuilder::new()
            .layer(CooldownLayer::new(EndpointHealth::new(CooldownConfig::default()), CLASSIFY))
            .layer(QuotaLayer::new(roomy(), CLASSIFY))
            .layer(TimeoutLayer::new(Duration::from_secs(60)))
            .service(service_fn(|request: u32| ready(Ok::<_, BoxError>(request))))
    });
    let stack = ServiceBuilder::new()
        .layer(FallbackLayer::to(LEAF, CLASSIFY))
        .layer(ContextWindowFallbackLayer::new(next, CLASSIFY))
        .layer(RetryLayer::new(2_u32, CLASSIFY))
        .layer(RateLimitBalanceLayer::new(Strategy::Adaptive, CLASSIFY))
        .service(backends.collect());
    time(bencher, &stack, REFUSED);
}

/// Endpoints with a limit of three calls per minute.
fn small(endpoints: usize) -> Group {
    let three = || Limits { requests: Some(3), window: Some(RateWindow::S60), ..Limits::default() };
    group((0..endpoints).map(|_| deployment(Meters::new(three()), LEAF)).collect())
}

fn fill(group: &Group, endpoints: usize) {
    for _ in 0..3 * endpoints {
        assert!(matches!(once(group, REFUSED), Poll::Ready(Ok(_))), "there is room for it");
    }
}

#[divan::bench(args = ALL, sample_size = 1, sample_count = 20)]
fn filled(bencher: Bencher<'_, '_>, endpoints: usize) {
    bencher
        .counter(ItemsCount::new(3 * endpoints))
        .with_inputs(|| small(endpoints))
        .bench_refs(|group| fill(group, endpoints));
}

#[divan::bench(args = ALL)]
fn saturated(bencher: Bencher<'_, '_>, endpoints: usize) {
    let group = small(endpoints);
    fill(&group, endpoints);
    bencher.bench(|| {
        let refused = once(&group, REFUSED);
        assert!(matches!(refused, Poll::Ready(Err(_))), "all are full");
    });
}

/// A thousand requests wait, and a new request is refused with the time of the slot after theirs.
#[divan::bench(args = ALL)]
fn saturated_queue(bencher: Bencher<'_, '_>, endpoints: usize) {
    // Waiting requests need a timer.
    let clock = tokio::runtime::Builder::new_current_thread().enable_time().build();
    assert!(clock.is_ok(), "no runtime");
    let _entered = clock.as_ref().map(tokio::runtime::Runtime::enter);
    let three = || Limits { requests: Some(3), window: Some(RateWindow::S60), ..Limits::default() };
    let all = (0..endpoints).map(|_| deployment(Meters::new(three()), LEAF));
    let queued = RateLimitBalanceLayer::new(Strategy::Adaptive, CLASSIFY).with_queue(WEEK, 1_000);
    let group = queued.layer(all.collect::<Vec<_>>());
    fill(&group, endpoints);
    let mut waiting: Vec<_> = (0..1_000).map(|_| Box::pin(group.clone().call(REFUSED))).collect();
    for call in &mut waiting {
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "it waits");
    }
    bencher.bench_local(|| {
        let refused = once(&group, REFUSED);
        assert!(matches!(refused, Poll::Ready(Err(_))), "the queue is full");
    });
}
