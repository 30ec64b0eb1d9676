//! Tests of the fallback layer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use proptest::prelude::*;
use tokio::time::sleep;
use tokio_test::{assert_pending, task};
use tower::{ServiceExt as _, service_fn};

use super::*;
use crate::{Class, testing::Strict};

/// A request: its group, and the groups that were called before.
#[derive(Clone, Debug)]
struct Request {
    group: u8,
    called: Arc<Mutex<Vec<u8>>>,
}

impl Request {
    fn to(group: u8) -> Self {
        Self { group, called: Arc::default() }
    }

    fn called_groups(&self) -> Vec<u8> {
        self.called.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

type Failure = (Class, u8);

fn classify(result: Result<&u8, &Failure>) -> Outcome {
    Outcome::new(result.err().map_or(Class::Success, |(class, _)| *class))
}

/// A service that responds with the number of the group, or fails with it.
fn groups(
    script: HashMap<u8, Option<Class>>,
) -> impl Service<Request, Response = u8, Error = Failure, Future: Send> + Clone {
    let script = Arc::new(script);
    Strict::new(service_fn(move |req: Request| {
        let script = Arc::clone(&script);
        async move {
            req.called.lock().unwrap_or_else(PoisonError::into_inner).push(req.group);
            sleep(Duration::from_secs(1)).await;
            script[&req.group].map_or(Ok(req.group), |class| Err((class, req.group)))
        }
    }))
}

/// Returns the next number up to 9 that was not called yet.
fn next(req: &Request, _: &Outcome) -> Option<Request> {
    let group = (req.group + 1..=9).find(|group| !req.called_groups().contains(group))?;
    Some(Request { group, ..req.clone() })
}

#[tokio::test(start_paused = true)]
async fn a_success_calls_no_fallback() {
    let req = Request::to(1);
    let service = FallbackLayer::new(next, classify).layer(groups([(1, None)].into()));
    assert_eq!(service.oneshot(req.clone()).await, Ok(1));
    assert_eq!(req.called_groups(), [1]);
}

/// A policy that replaces each success of kind 1.
#[derive(Clone)]
struct Replaces<F>(F);

impl<F: Fn(&Request, &Outcome) -> Option<Request>> Next<Request> for Replaces<F> {
    fn next(&self, req: &Request, outcome: &Outcome) -> Option<Request> {
        (self.0)(req, outcome)
    }

    fn replaces(&self, outcome: &Outcome) -> bool {
        outcome.kind() == 1
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_that_the_policy_replaces_gives_way_to_another_success_only() {
    let failed = Some(Class::Unavailable);
    for (script, called, expected) in [
        // Group 2 is final, group 1 is not.
        (vec![(1, None), (2, None)], vec![1, 2], Ok(2)),
        (vec![(1, None), (2, failed), (3, None)], vec![1, 2, 3], Ok(3)),
        (vec![(1, None), (2, failed), (3, failed), (4, failed), (5, failed)], vec![1, 2, 3, 4, 5], Ok(1)),
        // A success that no request may replace is better than an earlier failure.
        (vec![(2, failed), (3, failed), (9, None)], vec![2, 3, 9], Ok(9)),
    ] {
        let kind =
            |result: Result<&u8, &Failure>| classify(result).with_kind(u8::from(matches!(result, Ok(1 | 9))));
        let req = Request::to(script[0].0);
        let last = called.len();
        let policy = |req: &Request, _: &Outcome| -> Option<Request> {
            let group =
                *called.get(req.called_groups().len()).filter(|_| req.called_groups().len() < last)?;
            Some(Request { group, ..req.clone() })
        };
        let service = FallbackLayer::new(Replaces(policy), kind).layer(groups(script.into_iter().collect()));
        assert_eq!(service.oneshot(req.clone()).await, expected);
        assert_eq!(req.called_groups(), called);
    }
}

#[tokio::test(start_paused = true)]
async fn every_class_of_failure_may_fall_back() {
    for class in Class::ALL.into_iter().filter(|class| *class != Class::Success) {
        let service = FallbackLayer::new(next, classify).layer(groups([(1, Some(class)), (2, None)].into()));
        assert_eq!(service.oneshot(Request::to(1)).await, Ok(2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_layer_falls_back_too() {
    let refused = |result: Result<&u8, &Failure>| match result {
        Ok(_) => Outcome::new(Class::Success),
        Err(_) => Outcome::new(Class::RateLimited).refused(),
    };
    let script = [(1, Some(Class::RateLimited)), (2, None)].into();
    let service = FallbackLayer::new(next, refused).layer(groups(script));
    assert_eq!(service.oneshot(Request::to(1)).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_failed_fallback_returns_the_first_response() {
    let req = Request::to(7);
    let script = [(7, Some(Class::Timeout)), (8, Some(Class::Unavailable)), (9, Some(Class::Caller))].into();
    let service = FallbackLayer::new(next, classify).layer(groups(script));
    assert_eq!(service.oneshot(req.clone()).await, Err((Class::Timeout, 7)));
    assert_eq!(req.called_groups(), [7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn the_fallback_policy_receives_the_outcome_and_may_return_none() {
    let only_down = |req: &Request, outcome: &Outcome| {
        (outcome.class() == Class::Unavailable).then(|| next(req, outcome))?
    };
    let script = [(1, Some(Class::Unavailable)), (2, Some(Class::Caller)), (3, None)].into();
    let service = FallbackLayer::new(only_down, classify).layer(groups(script));
    assert_eq!(service.oneshot(Request::to(1)).await, Err((Class::Unavailable, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_makes_no_call_after_the_deadline() {
    // Each call takes a second.
    let deadline = Instant::now() + Duration::from_millis(1_500);
    let req = Request::to(1);
    let script = [(1, Some(Class::Timeout)), (2, Some(Class::Timeout)), (3, None)].into();
    let service =
        FallbackLayer::new(next, classify).with_deadline(Constant(Some(deadline))).layer(groups(script));
    assert_eq!(service.oneshot(req.clone()).await, Err((Class::Timeout, 1)));
    assert_eq!(req.called_groups(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_ends_its_fallbacks() {
    let req = Request::to(1);
    let script = [(1, Some(Class::Timeout)), (2, None)].into();
    let mut service = FallbackLayer::new(next, classify).layer(groups(script));
    let mut call = task::spawn(service.ready().await.unwrap().call(req.clone()));
    assert_pending!(call.poll());
    drop(call);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(req.called_groups(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_service_can_be_called_again_during_a_call() {
    let script = [(1, Some(Class::Timeout)), (2, None)].into();
    let mut service = FallbackLayer::new(next, classify).layer(groups(script));
    let first = service.ready().await.unwrap().call(Request::to(1));
    let second = service.ready().await.unwrap().call(Request::to(1));
    assert_eq!((first.await, second.await), (Ok(2), Ok(2)));
}

proptest! {
    #[test]
    fn a_fallback_returns_the_first_success_or_the_first_response(
        script in prop::collection::vec(prop::option::of(0usize..7), 10),
        start in 0u8..10,
    ) {
        let script: HashMap<u8, Option<Class>> =
            (0..).zip(script).map(|(group, class)| (group, class.map(|at| Class::ALL[at + 1]))).collect();
        let expected = (start..=9)
            .find(|group| script[group].is_none())
            .map_or_else(|| Err((script[&start].unwrap(), start)), Ok);
        let service = FallbackLayer::new(next, classify).layer(groups(script));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        assert_eq!(runtime.block_on(service.oneshot(Request::to(start))), expected);
    }
}
