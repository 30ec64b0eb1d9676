//! Property tests: random sequences of events over a group, checked against the calls that its servers received.

use std::{pin::Pin, task::Poll};

use proptest::{prelude::*, strategy::Strategy as Generate, test_runner::TestCaseError};
use tokio::{sync::oneshot, time::advance};
use tokio_test::task::{Spawn, spawn};

use super::{Strategy, *};
use crate::{
    cooldown::{CooldownConfig, CooldownLayer, EndpointHealth},
    endpoint::Health,
    quota::Accounting,
};

#[derive(Clone, Debug)]
enum Event {
    /// The arrival of calls of one cost, at one instant.
    Arrive {
        calls: usize,
        cost: u64,
    },
    End {
        which: usize,
        how: usize,
    },
    Cancel {
        which: usize,
    },
    Pass {
        millis: u64,
    },
}

/// Returns the outcome of a call.
fn outcome(how: usize) -> Outcome {
    let late = Some(ms(1_500));
    match how {
        0..4 => Outcome::new(Class::Success),
        4 => Outcome::new(Class::Unavailable),
        5 => Outcome::new(Class::Unavailable).never_sent(),
        6 => Outcome::new(Class::RateLimited).with_retry_after(late),
        7 => Outcome::new(Class::RateLimited),
        8 => Outcome::new(Class::Unauthorized),
        _ => Outcome::new(Class::Caller),
    }
}

fn event(most: usize) -> impl Generate<Value = Event> {
    prop_oneof![
        4 => (1..=most, 1_u64..40).prop_map(|(calls, cost)| Event::Arrive { calls, cost }),
        3 => (any::<usize>(), 0_usize..10).prop_map(|(which, how)| Event::End { which, how }),
        1 => any::<usize>().prop_map(|which| Event::Cancel { which }),
        2 => prop_oneof![0_u64..50, 0_u64..5_000, 0_u64..30_000].prop_map(|millis| Event::Pass { millis }),
    ]
}

/// A call that a server received.
#[derive(Debug)]
struct ReceivedCall {
    by: usize,
    at: Instant,
    cost: u64,
    answer: Option<oneshot::Sender<Outcome>>,
    refunded: bool,
}

type Log = Arc<Mutex<Vec<ReceivedCall>>>;
type Call = Pin<Box<dyn Future<Output = Result<Answer, Failed>>>>;

/// A request under way, and its number in the log once a server has it.
struct Live {
    task: Spawn<Call>,
    ask: Ask,
    tries: Vec<usize>,
    call: Option<usize>,
}

struct World<E> {
    limits: Vec<Limits>,
    meters: Vec<Meters>,
    endpoints: Vec<E>,
    /// Makes a call; used again for each retry.
    begin: Box<dyn Fn(Ask) -> Call>,
    log: Log,
    live: Vec<Live>,
    trace: Vec<(u64, usize)>,
    began: Instant,
}

fn endpoint(
    by: usize,
    meters: &Meters,
    log: &Log,
) -> impl Endpoint<Ask, Response = Answer, Error = Failed, Future: Send> + Send + Sync + 'static + use<> {
    let log = Arc::clone(log);
    let inner = service_fn(move |ask: Ask| {
        let (answer, answered) = oneshot::channel();
        let seen =
            ReceivedCall { by, at: Instant::now(), cost: ask.cost, answer: Some(answer), refunded: false };
        log.lock().unwrap().push(seen);
        async move { Ok::<_, Failed>(Answer { by, outcome: answered.await.expect("an ending") }) }
    });
    let quota = QuotaLayer::new(meters.clone(), CLASSIFY)
        .with_cost(|ask: &Ask| ask.cost)
        .with_weight(rpm(meters.limits().requests.unwrap_or(60)))
        .layer(Strict::new(inner));
    CooldownLayer::new(EndpointHealth::new(CooldownConfig::default().with_allowed_fails(Some(1))), CLASSIFY)
        .layer(quota)
}

impl<E> World<E>
where
    E: Endpoint<Ask>,
{
    /// Returns the endpoints that should receive the request now.
    fn eligible(&self, ask: &Ask, tries: &[usize]) -> Vec<usize> {
        let fit = |by: &usize| {
            let score = self.endpoints[*by].score(ask, Instant::now());
            !tries.contains(by)
                && score.is_ok_and(|score| matches!(score.health, Health::Healthy(_) | Health::HalfOpen))
        };
        (0..self.endpoints.len()).filter(fit).collect()
    }

    /// Polls one of the requests, and checks the endpoint that it went to.
    fn poll(&mut self, which: usize) -> Result<(), TestCaseError> {
        let live = &self.live[which];
        let eligible = if live.call.is_none() { self.eligible(&live.ask, &live.tries) } else { Vec::new() };
        let before = self.log.lock().unwrap().len();
        let live = &mut self.live[which];
        let poll = live.task.poll();
        let log = self.log.lock().unwrap();
        if log.len() > before {
            let (seen, cost) = (&log[before], live.ask.cost);
            prop_assert!(
                eligible.is_empty() || eligible.contains(&seen.by),
                "{} was called, not one of {eligible:?}",
                seen.by
            );
            live.call = Some(before);
            live.tries.push(seen.by);
            self.trace.push((u64::try_from(self.began.elapsed().as_millis()).unwrap(), seen.by));
            within(&self.limits[seen.by], &log, seen.by, cost)?;
        }
        drop(log);
        let alone = self.live.iter().filter(|live| live.call.is_none()).count() == 1;
        prop_assert!(
            self.live[which].call.is_some() || eligible.is_empty() || !alone,
            "it was not called, and no request waits, though there are {eligible:?}"
        );
        let Poll::Ready(result) = poll else { return Ok(()) };
        let live = self.live.remove(which);
        match result {
            // As a retry would, to another.
            Ok(answer) if !answer.outcome.is_success() && live.tries.len() < 3 => {
                let task = spawn((self.begin)(live.ask.clone()));
                self.live.push(Live { task, call: None, ..live });
                self.poll(self.live.len() - 1)
            }
            Ok(_) => Ok(()),
            Err(refused) => {
                self.trace.push((u64::try_from(refused.retry_after().as_millis()).unwrap(), usize::MAX));
                Ok(())
            }
        }
    }

    fn poll_woken(&mut self) -> Result<(), TestCaseError> {
        while let Some(which) = self.live.iter().position(|live| live.task.is_woken()) {
            self.poll(which)?;
        }
        Ok(())
    }

    /// Returns the nth of the requests that a server has received.
    fn called(&self, nth: usize) -> Option<usize> {
        let called: Vec<_> = (0..self.live.len()).filter(|which| self.live[*which].call.is_some()).collect();
        (!called.is_empty()).then(|| called[nth % called.len()])
    }

    fn end(&mut self, which: usize, outcome: Outcome) -> Result<(), TestCaseError> {
        if let Some(call) = self.live[which].call {
            let mut log = self.log.lock().unwrap();
            log[call].refunded = !outcome.was_sent();
            let answer = log[call].answer.take();
            drop(log);
            if let Some(answer) = answer {
                answer.send(outcome).expect("a request waits");
            }
        }
        self.poll_woken()
    }

    fn cancel(&mut self, which: usize) {
        let live = self.live.remove(which);
        drop(live.task);
        if let Some(call) = live.call {
            self.log.lock().unwrap()[call].answer = None;
        }
    }

    async fn happens(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match *event {
            Event::Arrive { calls, cost } => {
                for _ in 0..calls {
                    let ask = Ask { cost, ..Ask::default() };
                    let task = spawn((self.begin)(ask.clone()));
                    self.live.push(Live { task, ask, tries: Vec::new(), call: None });
                    self.poll(self.live.len() - 1)?;
                }
            }
            Event::End { which, how } => {
                if let Some(which) = self.called(which) {
                    self.end(which, outcome(how))?;
                }
            }
            Event::Cancel { which } if !self.live.is_empty() => self.cancel(which % self.live.len()),
            Event::Cancel { .. } => {}
            Event::Pass { millis } => advance(ms(millis)).await,
        }
        self.poll_woken()
    }
}

/// Checks that the newest call exceeds no limit of its endpoint.
fn within(limits: &Limits, log: &[ReceivedCall], by: usize, cost: u64) -> Result<(), TestCaseError> {
    let mine = || log.iter().filter(|seen| seen.by == by && !seen.refunded);
    let minute = || mine().filter(|seen| seen.at.elapsed() < secs(60));
    let in_flight = mine().filter(|seen| seen.answer.is_some()).count();
    let (requests, tokens) = (minute().count() as u64, minute().map(|seen| seen.cost).sum::<u64>());
    prop_assert!(limits.requests.is_none_or(|limit| requests <= limit), "{requests} of {limits:?}");
    prop_assert!(limits.tokens.is_none_or(|limit| tokens <= limit || cost > limit), "{tokens} of {limits:?}");
    prop_assert!(
        limits.in_flight.is_none_or(|limit| in_flight <= limit as usize),
        "{in_flight} of {limits:?}"
    );
    Ok(())
}

fn run(
    limits: &[Limits],
    strategy: Strategy,
    seed: u64,
    events: &[Event],
) -> Result<Vec<(u64, usize)>, TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let (log, meters) = (Log::default(), limits.iter().cloned().map(Meters::new).collect::<Vec<_>>());
        let endpoints: Vec<_> = meters.iter().enumerate().map(|(by, one)| endpoint(by, one, &log)).collect();
        let balance = layer(strategy).with_seed(seed).with_queue(secs(5), 8).with_attempts(Ask::attempts);
        let balance = balance.layer(endpoints.clone());
        let begin = Box::new(move |ask| -> Call { Box::pin(balance.clone().oneshot(ask)) });
        let (limits, live, trace, began) = (limits.to_vec(), Vec::new(), Vec::new(), Instant::now());
        let mut world = World { limits, meters, endpoints, begin, log, live, trace, began };
        for event in events {
            world.happens(event).await?;
            for (limits, meters) in world.limits.iter().zip(&world.meters) {
                let most = limits.in_flight.unwrap_or(u32::MAX).min(u32::try_from(world.live.len()).unwrap());
                prop_assert!(meters.snapshot().in_flight <= most, "more in flight than there are calls");
            }
        }
        while !world.live.is_empty() {
            world.cancel(0);
        }
        for reading in world.meters.iter().map(Meters::snapshot) {
            prop_assert_eq!((reading.in_flight, reading.reserved), (0, 0));
        }
        Ok(world.trace)
    })
}

fn limits() -> impl Generate<Value = Limits> {
    let window =
        prop::sample::select(vec![None, Some(RateWindow::S1), Some(RateWindow::S10), Some(RateWindow::S60)]);
    let (requests, tokens) = (prop::option::of(1_u64..30), prop::option::of(20_u64..300));
    (requests, tokens, prop::option::of(1_u32..5), window).prop_map(
        |(requests, tokens, in_flight, window)| {
            // What the server counts on arrival is what the log can count.
            Limits { requests, tokens, in_flight, window, settle: Accounting::Estimated, ..Limits::default() }
        },
    )
}

/// Generates limits so small that a few hundred calls reach many of them.
fn small_limits() -> impl Generate<Value = Limits> {
    let window = prop::sample::select(vec![None, Some(RateWindow::S1), Some(RateWindow::S60)]);
    let (requests, tokens) = (prop::option::weighted(0.7, 1_u64..4), prop::option::of(20_u64..80));
    let limits = (requests, tokens, prop::option::weighted(0.7, 1_u32..3), window);
    limits.prop_map(|(requests, tokens, in_flight, window)| Limits {
        requests,
        tokens,
        in_flight,
        window,
        settle: Accounting::Estimated,
        ..Limits::default()
    })
}

fn strategies() -> impl Generate<Value = Strategy> {
    prop::sample::select(vec![
        Strategy::Adaptive,
        Strategy::SimpleShuffle,
        Strategy::LeastBusy,
        Strategy::UsageBased,
        Strategy::LatencyBased { buffer: 0.2 },
        Strategy::CostBased,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_limit_is_exceeded_the_best_endpoint_is_called_nothing_leaks_and_a_seed_is_reproducible(
        limits in prop::collection::vec(limits(), 1..17),
        strategy in strategies(),
        seed in any::<u64>(),
        events in prop::collection::vec(event(1), 1..250),
    ) {
        let trace = run(&limits, strategy, seed, &events)?;
        prop_assert_eq!(trace, run(&limits, strategy, seed, &events)?, "seed {}", seed);
    }

    #[test]
    fn limits_and_choices_hold_in_a_large_group_of_which_only_a_sample_is_queried(
        limits in prop::collection::vec(small_limits(), 65..=200),
        strategy in strategies(),
        seed in any::<u64>(),
        events in prop::collection::vec(event(30), 1..100),
    ) {
        let trace = run(&limits, strategy, seed, &events)?;
        prop_assert_eq!(trace, run(&limits, strategy, seed, &events)?, "seed {}", seed);
    }
}
