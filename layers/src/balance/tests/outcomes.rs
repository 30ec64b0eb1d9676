//! Tests that no outcome of a call leaks a reservation or load.

use std::{
    future::pending,
    sync::atomic::AtomicBool,
    task::{Context, Poll},
};

use tokio_test::{assert_pending, task::spawn};

use super::*;
use crate::{
    Classify,
    cooldown::{CooldownConfig, CooldownLayer, EndpointHealth, HealthGuard, HealthState},
};

/// A streamed response, which owns the handles that receive its outcome.
#[derive(Debug, Default)]
struct Stream {
    held: Option<QuotaGuard>,
    watch: Option<HealthGuard>,
    flight: Option<InFlight>,
}

impl Stream {
    fn end(self, outcome: Outcome) {
        self.held.into_iter().for_each(|held| held.complete(&outcome));
        self.watch.into_iter().for_each(|watch| watch.complete(&outcome));
        self.flight.into_iter().for_each(|flight| flight.complete(&outcome));
    }
}

#[derive(Debug)]
struct Broken;

impl From<CoolingDown> for Broken {
    fn from(error: CoolingDown) -> Self {
        unreachable!("each call is reserved: {error}")
    }
}

impl From<Exhausted> for Broken {
    fn from(exhausted: Exhausted) -> Self {
        unreachable!("there is always room: {exhausted}")
    }
}

/// Attaches handles to streams. An error completes at once.
#[derive(Clone, Copy, Debug)]
struct Attach;

impl Classify<Stream, Broken> for Attach {
    fn classify(&self, result: Result<&Stream, &Broken>) -> Outcome {
        Outcome::new(if result.is_ok() { Class::Success } else { Class::Unavailable })
    }
}

macro_rules! attach_handles {
    ($($handle:ty => $field:ident),*) => {$(
        impl TrackOutcome<$handle, Stream, Broken> for Attach {
            fn track(&self, handle: $handle, result: Result<Stream, Broken>) -> Result<Stream, Broken> {
                match result {
                    Ok(stream) => Ok(Stream { $field: Some(handle), ..stream }),
                    Err(broken) => {
                        handle.complete(&Outcome::new(Class::Unavailable));
                        Err(broken)
                    }
                }
            }
        }
    )*};
}

attach_handles!(QuotaGuard => held, HealthGuard => watch, InFlight => flight);

/// The course of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Ends,
    Fails,
    Breaks,
    NeverPolled,
    NeverSent,
    CancelledUnready,
    CancelledWaiting,
    CancelledStreaming,
    TimesOut,
    PanicsWhenCalled,
    PanicsLater,
}

const FATES: [Fate; 11] = [
    Fate::Ends,
    Fate::Fails,
    Fate::Breaks,
    Fate::NeverPolled,
    Fate::NeverSent,
    Fate::CancelledUnready,
    Fate::CancelledWaiting,
    Fate::CancelledStreaming,
    Fate::TimesOut,
    Fate::PanicsWhenCalled,
    Fate::PanicsLater,
];

/// A service that is ready unless the call is cancelled before.
#[derive(Clone, Debug)]
struct Unready<S> {
    inner: S,
    stuck: Arc<AtomicBool>,
}

impl<S: Service<Fate>> Service<Fate> for Unready<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if self.stuck.load(Ordering::Relaxed) { Poll::Pending } else { self.inner.poll_ready(cx) }
    }

    fn call(&mut self, fate: Fate) -> S::Future {
        self.inner.call(fate)
    }
}

async fn server(fate: Fate) -> Result<Stream, Broken> {
    match fate {
        Fate::Fails => Err(Broken),
        Fate::CancelledWaiting | Fate::TimesOut => pending().await,
        Fate::PanicsLater => panic!("on purpose, later"),
        _ => Ok(Stream::default()),
    }
}

/// Makes one call to its end. The slots are free when this returns.
async fn suffer<S>(balance: &S, fate: Fate)
where
    S: Service<Fate, Response = Stream, Error = Broken, Future: Send> + Clone + Send + 'static,
{
    let mut call = spawn(Box::pin(balance.clone().oneshot(fate)));
    match fate {
        Fate::NeverPolled => {}
        Fate::CancelledUnready | Fate::CancelledWaiting => assert_pending!(call.poll()),
        Fate::TimesOut => {
            tokio::time::timeout(ms(5), call.into_inner()).await.expect_err("it never answers");
        }
        Fate::PanicsWhenCalled | Fate::PanicsLater => {
            let panicked = tokio::spawn(call.into_inner()).await;
            assert!(panicked.expect_err("it panics").is_panic());
        }
        Fate::Ends | Fate::Fails | Fate::Breaks | Fate::NeverSent | Fate::CancelledStreaming => {
            match call.poll() {
                Poll::Ready(Ok(stream)) if fate == Fate::Ends => stream.end(Outcome::new(Class::Success)),
                Poll::Ready(Ok(stream)) if fate == Fate::Breaks => {
                    stream.end(Outcome::new(Class::Unavailable))
                }
                Poll::Ready(Ok(stream)) if fate == Fate::NeverSent => {
                    stream.end(Outcome::new(Class::Unavailable).never_sent());
                }
                Poll::Ready(Ok(stream)) => drop(stream),
                Poll::Ready(Err(Broken)) => assert_eq!(fate, Fate::Fails),
                Poll::Pending => panic!("it answers at once"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_in_flight_after_ten_thousand_calls_with_all_kinds_of_outcomes() {
    // Panics on purpose would fill the screen.
    std::panic::set_hook(Box::new(|info| {
        if !info.to_string().contains("on purpose") {
            eprintln!("{info}");
        }
    }));
    let limits = Limits { in_flight: Some(2), tokens: Some(u64::from(u32::MAX)), ..Limits::default() };
    let all: Vec<_> = (0..3).map(|_| Meters::new(limits.clone())).collect();
    let healths: Vec<_> =
        (0..3).map(|_| EndpointHealth::new(CooldownConfig::default().with_allowed_fails(Some(0)))).collect();
    let stuck = Arc::new(AtomicBool::new(false));
    let made = all.iter().zip(&healths).map(|(meters, health)| {
        let inner = service_fn(|fate: Fate| {
            assert_ne!(fate, Fate::PanicsWhenCalled, "on purpose");
            server(fate)
        });
        let inner = Unready { inner, stuck: Arc::clone(&stuck) };
        let quota = QuotaLayer::new(meters.clone(), Attach)
            .with_tracking(Attach)
            .with_cost(|_: &Fate| 7_u64)
            .layer(inner);
        CooldownLayer::new(health.clone(), Attach).with_tracking(Attach).with_head(Attach).layer(quota)
    });
    let balance = RateLimitBalanceLayer::new(Strategy::LeastBusy, Attach)
        .with_tracking(Attach)
        .with_seed(7)
        .layer(made.collect());
    let mut rng = fastrand::Rng::with_seed(7);
    for n in 0..10_000_usize {
        let fate = FATES[n % FATES.len()];
        stuck.store(fate == Fate::CancelledUnready, Ordering::Relaxed);
        suffer(&balance, fate).await;
        if rng.u8(..) < 10 {
            sleep(ms(rng.u64(..20_000))).await;
        }
        for meters in &all {
            let reading = meters.snapshot();
            assert_eq!((reading.in_flight, reading.reserved), (0, 0), "seed 7, call {n}");
        }
        assert!(
            healths.iter().all(|health| health.snapshot().state != HealthState::Probing),
            "seed 7, call {n}"
        );
    }
    let _ = std::panic::take_hook();
}
