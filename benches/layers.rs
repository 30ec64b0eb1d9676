//! Single layers, with their allocations: `cargo bench --bench layers`.
//!
//! Each layer stands alone over a leaf that answers at once, is cloned as in a tree, called, and polled to its end. What the leaf
//! itself costs is the line `leaf`: subtract it. The balancer's lines are one pick, reserved and given back, among as many
//! endpoints as the line says, alone and from two threads at a time. A line that names no allocation makes none; no pick should.

use std::{
    future::{Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use divan::{AllocProfiler, Bencher, Divan, black_box};
use tollgate_layers::{
    BoxError, Class, Ending,
    balance::{RateLimitBalanceLayer, Strategy},
    fallback::FallbackLayer,
    quota::{Limits, Meters, QuotaLayer},
    retry::RetryLayer,
    timeout::TimeoutLayer,
    track::AtHead,
};
use tower::{Layer, Service};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    // Long enough that what else the machine does evens out.
    Divan::default().min_time(Duration::from_millis(300)).config_with_args().main();
}

/// Below this number the leaf refuses; above, it answers with it.
const REFUSED: u32 = 10;

/// Answers at once.
#[derive(Clone, Copy, Debug)]
struct Leaf;

impl Service<u32> for Leaf {
    type Response = u32;
    type Error = BoxError;
    type Future = Ready<Result<u32, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        ready(Ok(request))
    }
}

fn classify(outcome: Result<&u32, &BoxError>) -> Ending {
    match outcome {
        Ok(answer) if *answer >= REFUSED => Ending::of(Class::Success),
        Ok(_) => Ending::of(Class::RateLimited),
        Err(_) => Ending::of(Class::Unavailable),
    }
}

/// Times `service` with one request again and again.
fn time<S>(bencher: Bencher<'_, '_>, service: &S, request: u32)
where
    S: Service<u32, Response = u32, Error = BoxError> + Clone + Sync,
{
    assert!(matches!(once(service, request), Poll::Ready(Ok(answer)) if answer >= REFUSED), "it must answer");
    bencher.bench(|| once(service, black_box(request)));
}

/// One call of a clone; nothing here has a reason to wait.
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
    time(bencher, &Leaf, REFUSED);
}

#[divan::bench]
fn timeout(bencher: Bencher<'_, '_>) {
    time(bencher, &TimeoutLayer::new(Duration::from_secs(60)).layer(Leaf), REFUSED);
}

#[divan::bench]
fn retry(bencher: Bencher<'_, '_>) {
    time(bencher, &RetryLayer::new(2_u32, classify).layer(Leaf), REFUSED);
}

#[divan::bench]
fn fallback(bencher: Bencher<'_, '_>) {
    time(bencher, &FallbackLayer::new(next, classify).layer(Leaf), REFUSED);
}

/// The first call is refused, the second answered.
#[divan::bench]
fn fallback_taken(bencher: Bencher<'_, '_>) {
    time(bencher, &FallbackLayer::new(next, classify).layer(Leaf), REFUSED - 1);
}

fn next(request: &u32, _: &Ending) -> Option<u32> {
    Some(request + 1)
}

/// Three layers of a group, around one another.
#[divan::bench]
fn fallback_retry_timeout(bencher: Bencher<'_, '_>) {
    let attempt = TimeoutLayer::new(Duration::from_secs(60)).layer(Leaf);
    let group = RetryLayer::new(2_u32, classify).layer(attempt);
    time(bencher, &FallbackLayer::new(next, classify).layer(group), REFUSED);
}

#[divan::bench(args = [3, 16, 100, 10_000], threads = [1, 2], sample_size = 256)]
fn balance(bencher: Bencher<'_, '_>, endpoints: usize) {
    let endpoint = |_| {
        // A limit that is counted but never met.
        let limits = Limits { requests: Some(1_000_000_000), ..Limits::default() };
        QuotaLayer::new(Meters::new(limits), AtHead(classify)).layer(Leaf)
    };
    let endpoints: Vec<_> = (0..endpoints).map(endpoint).collect();
    let balance = RateLimitBalanceLayer::new(Strategy::Adaptive, AtHead(classify)).layer(endpoints);
    time(bencher, &balance, REFUSED);
}
