//! Each layer alone, in a plain `ServiceBuilder` over a `service_fn`, on a paused clock.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{Instant, advance, sleep};
use tollgate_layers::{
    BoxError, Class, OnComplete, Outcome, Score, TrackOutcome,
    balance::{Exhausted, RateLimitBalance, RateLimitBalanceLayer, Strategy},
    context_window::{ContextWindowFallback, ContextWindowFallbackLayer},
    cooldown::{Cooldown, CooldownConfig, CooldownLayer, CoolingDown, EndpointHealth},
    endpoint::{EndpointWeight, MapScore, Unlimited},
    fallback::{Fallback, FallbackLayer},
    quota::{Limits, Meters, Quota, QuotaGuard, QuotaLayer},
    retry::{Retry, RetryLayer},
    timeout::{Elapsed, Timeout, TimeoutLayer},
};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncService};

const SECOND: Duration = Duration::from_secs(1);

fn classify<T>(result: Result<&T, &BoxError>) -> Outcome {
    match result {
        Ok(_) => Outcome::new(Class::Success),
        Err(error) if error.is::<Exhausted>() => Outcome::new(Class::RateLimited).refused(),
        Err(error) if error.is::<CoolingDown>() => Outcome::new(Class::Unavailable).refused(),
        Err(error) if error.to_string() == "too long" => Outcome::new(Class::ContextWindow),
        Err(_) => Outcome::new(Class::Unavailable),
    }
}

/// Returns a service that returns `name`, or fails while `is_down` is set, and counts its calls.
fn backend(
    name: &'static str,
    is_down: &Arc<AtomicBool>,
    calls: &Arc<AtomicUsize>,
) -> impl Service<(), Response = &'static str, Error = BoxError, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static
+ use<> {
    let (is_down, calls) = (Arc::clone(is_down), Arc::clone(calls));
    service_fn(move |()| {
        calls.fetch_add(1, Relaxed);
        let result = if is_down.load(Relaxed) { Err("down".into()) } else { Ok(name) };
        std::future::ready(result)
    })
}

#[tokio::test(start_paused = true)]
async fn cooldown_alone_is_a_breaker_that_opens_probes_and_closes() {
    let (is_down, calls) = (Arc::new(AtomicBool::new(true)), Arc::default());
    let health = EndpointHealth::new(CooldownConfig::new(5 * SECOND).with_allowed_fails(Some(2)));
    let mut service = ServiceBuilder::new()
        .layer(CooldownLayer::new(health, classify::<&str>))
        .service(backend("up", &is_down, &calls));
    for _ in 0..3 {
        assert_eq!(service.ready().await.unwrap().call(()).await.unwrap_err().to_string(), "down");
    }
    let until = Instant::now() + 5 * SECOND;
    for _ in 0..10 {
        let refused = service.ready().await.unwrap().call(()).await.unwrap_err();
        assert_eq!(refused.downcast::<CoolingDown>().unwrap().until(), until);
    }
    assert_eq!(calls.load(Relaxed), 3, "it is open");

    advance(5 * SECOND).await;
    // The first call after it is the probe. While it runs, there is no other.
    let probe = service.ready().await.unwrap().call(());
    assert!(service.ready().await.unwrap().call(()).await.unwrap_err().is::<CoolingDown>());
    probe.await.unwrap_err();
    advance(5 * SECOND).await;
    assert!(
        service.ready().await.unwrap().call(()).await.unwrap_err().is::<CoolingDown>(),
        "for twice as long"
    );
    advance(5 * SECOND).await;
    is_down.store(false, Relaxed);
    for _ in 0..10 {
        assert_eq!(service.ready().await.unwrap().call(()).await.unwrap(), "up");
    }
    assert_eq!(calls.load(Relaxed), 14, "it is closed");
}

#[tokio::test(start_paused = true)]
async fn quota_alone_refuses_and_names_the_time() {
    let (is_down, calls) = (Arc::default(), Arc::default());
    let limits = Limits { requests: Some(2), ..Limits::default() };
    let mut service = ServiceBuilder::new()
        .layer(QuotaLayer::new(Meters::new(limits), classify::<&str>))
        .service(backend("up", &is_down, &calls));
    for _ in 0..2 {
        service.ready().await.unwrap().call(()).await.unwrap();
    }
    let refused = service.ready().await.unwrap().call(()).await.unwrap_err();
    let after = refused.downcast::<Exhausted>().unwrap().retry_after().unwrap();
    assert!((60 * SECOND..61 * SECOND).contains(&after), "{after:?}");
    advance(after).await;
    service.ready().await.unwrap().call(()).await.unwrap();
    assert_eq!(calls.load(Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn quota_alone_waits_in_order_for_as_long_as_it_is_told() {
    let (is_down, calls) = (Arc::default(), Arc::default());
    let limits = Limits { requests: Some(2), ..Limits::default() };
    let service = ServiceBuilder::new()
        .layer(QuotaLayer::new(Meters::new(limits), classify::<&str>).waiting(70 * SECOND))
        .service(backend("up", &is_down, &calls));
    let start = Instant::now();
    let waiting = (0..4).map(|_| service.clone().oneshot(()));
    let waiting: Vec<_> = waiting.map(tokio::spawn).collect();
    sleep(SECOND).await;
    let refused = service.oneshot(()).await.unwrap_err();
    assert!(refused.is::<Exhausted>(), "there is no slot for it within 70 s: {refused}");
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    assert!((60 * SECOND..62 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(calls.load(Relaxed), 4);
}

#[tokio::test(start_paused = true)]
async fn quota_alone_is_freed_at_the_end_of_a_body() {
    /// Keeps the guard in the response, as a body does.
    #[derive(Clone)]
    struct InBody;
    impl TrackOutcome<QuotaGuard, Option<QuotaGuard>, BoxError> for InBody {
        fn track(
            &self,
            guard: QuotaGuard,
            result: Result<Option<QuotaGuard>, BoxError>,
        ) -> Result<Option<QuotaGuard>, BoxError> {
            result.map(|_| Some(guard))
        }
    }
    let limits = Limits { in_flight: Some(1), ..Limits::default() };
    let mut service = ServiceBuilder::new()
        .layer(QuotaLayer::new(Meters::new(limits), classify::<Option<QuotaGuard>>).with_tracking(InBody))
        .service(service_fn(|()| async { Ok::<Option<QuotaGuard>, BoxError>(None) }));
    let body = service.ready().await.unwrap().call(()).await.unwrap().unwrap();
    assert!(service.ready().await.unwrap().call(()).await.unwrap_err().is::<Exhausted>());
    body.complete(&Outcome::new(Class::Success));
    assert!(service.ready().await.unwrap().call(()).await.is_ok());
}

/// Counts the responses of each backend to `calls` calls.
async fn counts<S>(service: &S, calls: usize) -> Result<HashMap<&'static str, usize>, BoxError>
where
    S: Service<(), Response = &'static str, Error = BoxError> + Clone,
{
    let mut counts = HashMap::new();
    for _ in 0..calls {
        *counts.entry(service.clone().oneshot(()).await?).or_insert(0) += 1;
    }
    Ok(counts)
}

#[tokio::test(start_paused = true)]
async fn balance_alone_spreads_over_plain_services() {
    let (is_down, calls) = (Arc::default(), Arc::default());
    let services = ["a", "b", "c"].map(|name| backend(name, &is_down, &calls));
    let balance = RateLimitBalanceLayer::new(Strategy::Adaptive, classify::<&str>).services(services);
    assert_eq!(counts(&balance, 30).await.unwrap(), HashMap::from([("a", 10), ("b", 10), ("c", 10)]));
}

#[tokio::test(start_paused = true)]
async fn balance_alone_takes_members_in_and_out_under_load() {
    let (is_down, calls) = (Arc::default(), Arc::default());
    let member = |name| Unlimited::new(backend(name, &is_down, &calls));
    let balance = RateLimitBalanceLayer::new(Strategy::LeastBusy, classify::<&str>).services([]);
    let members = balance.members();
    assert!(balance.clone().oneshot(()).await.unwrap_err().is::<Exhausted>(), "there is none");
    for name in ["a", "b"] {
        assert!(members.insert(name, member(name)).is_none());
    }
    assert_eq!(counts(&balance, 20).await.unwrap(), HashMap::from([("a", 10), ("b", 10)]));

    let load = tokio::spawn({
        let balance = BoxCloneSyncService::new(balance.clone());
        async move {
            for _ in 0..1_000 {
                balance.clone().oneshot(()).await.expect("there always is one");
                tokio::task::yield_now().await;
            }
        }
    });
    for _ in 0..100 {
        assert!(members.insert("c", member("c")).is_none());
        assert!(members.insert("c", member("c")).is_some(), "the former one");
        tokio::task::yield_now().await;
        assert!(members.remove("c").is_some());
        tokio::task::yield_now().await;
    }
    load.await.unwrap();
    assert!(members.remove("a").is_some() && members.remove("a").is_none());
    assert_eq!(counts(&balance, 10).await.unwrap(), HashMap::from([("b", 10)]));
    assert_eq!(members.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_removed_member_finishes_its_calls_and_a_new_one_serves_those_that_wait() {
    let slow = |name: &'static str| {
        service_fn(move |()| async move {
            sleep(SECOND).await;
            Ok::<_, BoxError>(name)
        })
    };
    let quota = |name| {
        let limits = Limits { in_flight: Some(1), ..Limits::default() };
        ServiceBuilder::new()
            .layer(QuotaLayer::new(Meters::new(limits), classify::<&str>))
            .service(slow(name))
    };
    let balance = ServiceBuilder::new()
        .layer(RateLimitBalanceLayer::new(Strategy::Adaptive, classify::<&str>))
        .service(Vec::new());
    let members = balance.members();
    members.insert(1, quota("first"));
    let start = Instant::now();
    let calling = tokio::spawn(balance.clone().oneshot(()));
    sleep(SECOND / 10).await;
    let waiting = tokio::spawn(balance.clone().oneshot(()));
    sleep(SECOND / 10).await;
    members.insert(2, quota("second"));
    members.remove(&1);
    assert_eq!(waiting.await.unwrap().unwrap(), "second");
    assert_eq!(start.elapsed(), SECOND * 12 / 10);
    assert_eq!(calling.await.unwrap().unwrap(), "first");
}

#[tokio::test(start_paused = true)]
async fn retry_over_a_balancer_goes_elsewhere_at_once() {
    let (up, down) = (Arc::default(), Arc::new(AtomicBool::new(true)));
    let (good, bad) = (Arc::default(), Arc::default());
    let services = [backend("bad", &down, &bad), backend("good", &up, &good)];
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(1u32, classify::<&str>))
        .service(RateLimitBalanceLayer::new(Strategy::SimpleShuffle, classify::<&str>).services(services));
    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(service.clone().oneshot(()).await.unwrap(), "good");
    }
    assert_eq!((start.elapsed(), good.load(Relaxed)), (Duration::ZERO, 100));
    assert!(bad.load(Relaxed) > 20, "the draw often met the bad one first");
}

#[tokio::test(start_paused = true)]
async fn retry_over_a_balancer_goes_elsewhere_through_layers_between_the_two() {
    let (up, down) = (Arc::default(), Arc::new(AtomicBool::new(true)));
    let services = [backend("bad", &down, &Arc::default()), backend("good", &up, &Arc::default())];
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(1u32, classify::<&str>))
        .map_request(|()| ())
        .layer(TimeoutLayer::new(SECOND))
        .service(BoxCloneSyncService::new(
            RateLimitBalanceLayer::new(Strategy::SimpleShuffle, classify::<&str>).services(services),
        ));
    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(service.clone().oneshot(()).await.unwrap(), "good");
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn retry_over_a_plain_service_repeats_there_after_a_backoff() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let (seen, start) = (Arc::clone(&calls), Instant::now());
    let flaky = service_fn(move |()| {
        let mut seen = seen.lock().unwrap();
        seen.push(start.elapsed());
        let result = if seen.len() < 3 { Err(BoxError::from("down")) } else { Ok("up") };
        std::future::ready(result)
    });
    let service = ServiceBuilder::new().layer(RetryLayer::new(2u32, classify::<&str>)).service(flaky);
    assert_eq!(service.oneshot(()).await.unwrap(), "up");
    let calls = calls.lock().unwrap();
    assert!(calls.len() == 3 && calls[1] > calls[0] && calls[2] > calls[1], "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn timeout_alone_ends_a_call_that_takes_too_long() {
    let service = ServiceBuilder::new().layer(TimeoutLayer::new(SECOND)).service(service_fn(|()| async {
        sleep(2 * SECOND).await;
        Ok::<_, BoxError>(())
    }));
    let start = Instant::now();
    assert!(service.oneshot(()).await.unwrap_err().is::<Elapsed>());
    assert!(start.elapsed() < SECOND * 11 / 10);
}

#[tokio::test(start_paused = true)]
async fn fallback_alone_calls_a_second_service_after_a_failure() {
    let (is_down, calls, second) = (Arc::new(AtomicBool::new(true)), Arc::default(), Arc::default());
    let service = ServiceBuilder::new()
        .layer(FallbackLayer::to(backend("second", &Arc::default(), &second), classify::<&str>))
        .service(backend("first", &is_down, &calls));
    assert_eq!(service.clone().oneshot(()).await.unwrap(), "second");
    is_down.store(false, Relaxed);
    assert_eq!(service.oneshot(()).await.unwrap(), "first");
    assert_eq!((calls.load(Relaxed), second.load(Relaxed)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn fallback_alone_returns_the_first_response_when_the_second_service_fails() {
    let fails = |text: &'static str| service_fn(move |()| async move { Err::<(), _>(BoxError::from(text)) });
    let service = ServiceBuilder::new()
        .layer(FallbackLayer::to(fails("second"), classify::<()>))
        .service(fails("first"));
    assert_eq!(service.oneshot(()).await.unwrap_err().to_string(), "first");
}

#[tokio::test(start_paused = true)]
async fn fallback_alone_calls_no_second_service_for_an_error_of_the_caller() {
    let classify = |result: Result<&&str, &BoxError>| match result {
        Ok(_) => Outcome::new(Class::Success),
        Err(_) => Outcome::new(Class::Caller),
    };
    let (down, second) = (Arc::new(AtomicBool::new(true)), Arc::default());
    let service = ServiceBuilder::new()
        .layer(FallbackLayer::to(backend("second", &Arc::default(), &second), classify))
        .service(backend("first", &down, &Arc::default()));
    assert_eq!(service.oneshot(()).await.unwrap_err().to_string(), "down");
    assert_eq!(second.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn context_window_fallback_alone_calls_a_second_service_for_what_is_too_long_and_nothing_else() {
    let limited = |text: &'static str| async move {
        match text {
            "down" => Err(BoxError::from("down")),
            text if text.len() > 8 => Err("too long".into()),
            text => Ok(text.len()),
        }
    };
    let large = service_fn(|text: &'static str| async move { Ok::<_, BoxError>(text.len() + 1_000) });
    let service = ServiceBuilder::new()
        .layer(ContextWindowFallbackLayer::to(large, classify::<usize>))
        .service(service_fn(limited));
    assert_eq!(service.clone().oneshot("short").await.unwrap(), 5);
    assert_eq!(service.clone().oneshot("longer than that").await.unwrap(), 1_016);
    assert_eq!(service.oneshot("down").await.unwrap_err().to_string(), "down");
}

#[tokio::test(start_paused = true)]
async fn balance_alone_picks_by_a_strategy_of_its_own() {
    let (is_down, calls) = (Arc::default(), Arc::default());
    let weight = EndpointWeight { rpm: Some(600.0), ..EndpointWeight::default() };
    let member = |(number, name)| {
        let inner = Unlimited::new(backend(name, &is_down, &calls)).with_weight(weight);
        MapScore::new(inner, move |(): &(), score| Score { used: f64::from((number + 1) % 3), ..score })
    };
    let members = (0..3).zip(["a", "b", "c"]).map(member).collect::<Vec<_>>();
    let service = RateLimitBalance::new(members, Strategy::UsageBased, classify::<&str>);
    for _ in 0..10 {
        assert_eq!(service.clone().oneshot(()).await.unwrap(), "c");
    }
}

#[tokio::test(start_paused = true)]
async fn every_service_is_made_without_its_layer() {
    let (is_down, calls) = (Arc::default(), Arc::default());
    let attempt = Timeout::new(backend("up", &is_down, &calls), SECOND);
    let quota = Quota::new(attempt, Meters::new(Limits::default()), classify::<&str>);
    let cooldown = Cooldown::new(quota, EndpointHealth::new(CooldownConfig::default()), classify::<&str>);
    let balance = RateLimitBalance::new(vec![cooldown], Strategy::Adaptive, classify::<&str>);
    let retry = Retry::new(balance, 2u32, classify::<&str>);
    let larger = ContextWindowFallback::new(retry, |(): &(), _: &Outcome| None, classify::<&str>);
    let fallback = Fallback::new(larger, |(): &(), _: &Outcome| None, classify::<&str>);
    assert_eq!(fallback.clone().oneshot(()).await.unwrap(), "up");
    is_down.store(true, Relaxed);
    assert_eq!(fallback.oneshot(()).await.unwrap_err().to_string(), "down");
    assert_eq!(calls.load(Relaxed), 4, "one call, and one with two retries");
}
