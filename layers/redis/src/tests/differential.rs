//! The scripts beside `LocalLedger`: equal leases and events, whatever is lost, doubled or reordered.

use std::time::Duration;

use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use tollgate_layers::ledger::{Event, LimitKey, ReplicaId, Report, SyncRequest, SyncResponse};
use tollgate_test_support::redis::{RedisServer, programs};

use super::world::{Both, Replica};

/// A step: its kind, a replica or message, an amount.
type Step = (u8, Index, u64);

/// Replicas of one limit, and the messages on the network.
struct World {
    both: Both,
    replicas: Vec<Replica>,
    limit: u64,
    window: u64,
    requests: Vec<(usize, SyncRequest)>,
    responses: Vec<(usize, u64, SyncResponse)>,
}

impl World {
    fn new(server: &RedisServer, count: u64, limit: u64, window: u64) -> Self {
        let replicas = (1..=count).map(|n| Replica::new(n * 0x000f_ffff_ffff_ffff)).collect();
        let (requests, responses) = (Vec::new(), Vec::new());
        Self { both: Both::new(server), replicas, limit, window, requests, responses }
    }

    fn run(&mut self) {
        let (now, window) = (self.both.now, self.window);
        self.replicas.iter_mut().for_each(|replica| replica.run(now, window));
    }

    /// Sends a request, which is delivered later.
    fn send(&mut self, i: usize, amount: u64, leaving: bool) {
        let replica = &mut self.replicas[i];
        if replica.gone {
            return;
        }
        let report = Report {
            limit: self.limit,
            window: Duration::from_millis(self.window),
            need: amount % 20,
            cost: replica.waiting.min(1),
            ..Report::new(LimitKey::from("a limit"))
        };
        let mut request = replica.request(self.both.now, report);
        request.leaving = leaving;
        if leaving {
            (replica.gone, replica.lease, replica.waiting) = (true, 0, 0);
        }
        self.requests.push((i, request));
    }

    fn deliver(&mut self, at: usize, doubled: bool) {
        let (i, request) = if doubled { self.requests[at].clone() } else { self.requests.remove(at) };
        let ids: Vec<ReplicaId> = self.replicas.iter().map(|replica| replica.id).collect();
        let response = self.both.sync(&request, &ids);
        self.responses.push((i, request.seq, response));
    }

    fn respond(&mut self, at: usize) {
        let (i, seq, response) = self.responses.remove(at);
        self.replicas[i].respond(seq, &response);
        self.run();
    }

    /// Syncs a replica over a network without faults.
    fn sync(&mut self, i: usize, amount: u64) {
        self.send(i, amount, false);
        if !self.replicas[i].gone {
            self.deliver(self.requests.len() - 1, false);
            self.respond(self.responses.len() - 1);
        }
    }

    fn step(&mut self, (kind, index, amount): &Step) {
        let i = index.index(self.replicas.len());
        match kind {
            0..=24 if !self.replicas[i].gone => self.replicas[i].waiting += amount % (self.limit + 2),
            25..=39 => self.both.advance(amount * 2),
            40..=59 => self.sync(i, *amount),
            60..=69 => self.send(i, *amount, false),
            70..=79 if !self.requests.is_empty() => {
                let at = index.index(self.requests.len());
                if amount % 8 == 0 {
                    drop(self.requests.remove(at))
                } else {
                    self.deliver(at, amount % 8 == 1)
                }
            }
            80..=89 if !self.responses.is_empty() => {
                let at = index.index(self.responses.len());
                if amount % 8 == 0 { drop(self.responses.remove(at)) } else { self.respond(at) }
            }
            90..=93 if self.replicas[i].waiting == 0 => {
                self.replicas[i].lease = self.replicas[i].lease.min(self.replicas[i].used());
            }
            94 if amount % 4 == 0 => self.send(i, 0, true),
            95 if amount % 4 == 0 => self.replicas[i].gone = true,
            96 => self.both.advance(2_500 + amount),
            _ => {}
        }
        self.run();
    }

    fn sum(&self) -> u64 {
        let held = |replica: &Replica| if replica.gone { replica.used() } else { replica.held() };
        self.replicas.iter().map(held).sum()
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..100_u8, any::<Index>(), 0..1_000_u64), 30..150)
}

/// Runs a property against each program.
fn against_all<S: Strategy>(strategy: &S, property: impl Fn(&RedisServer, S::Value)) {
    for program in programs() {
        let server = RedisServer::start(program).expect("the server starts");
        let mut runner = TestRunner::new(ProptestConfig::with_cases(24));
        let result = runner.run(strategy, |value| {
            property(&server, value);
            Ok(())
        });
        result.unwrap_or_else(|failure| panic!("{program}: {failure}"));
    }
}

#[test]
fn scripts_and_local_ledger_give_equal_leases_that_never_exceed_the_limit() {
    let windows = prop::sample::select(vec![1_000_u64, 10_000, 60_000]);
    against_all(&(1..8_u64, 1..60_u64, windows, steps()), |server, (count, limit, window, steps)| {
        let mut world = World::new(server, count, limit, window);
        for (n, step) in steps.iter().enumerate() {
            world.step(step);
            assert!(world.sum() <= limit, "{} of {limit} after step {n}, {step:?}", world.sum());
        }
    });
}

#[test]
fn scripts_and_local_ledger_recover_alike_from_a_loss_of_their_data() {
    against_all(&(2..6_u64, 1..60_u64, steps(), steps()), |server, (count, limit, before, after)| {
        let mut world = World::new(server, count, limit, 10_000);
        let all_live = |step: &&Step| !matches!(step.0, 94..=96);
        before.iter().filter(all_live).for_each(|step| world.step(step));
        (0..world.replicas.len()).for_each(|i| world.sync(i, 0));
        world.both.clear();
        world.run();
        // Within the grace all declare; then the run goes on.
        (0..world.replicas.len()).for_each(|i| world.sync(i, 0));
        for step in after.iter().filter(all_live) {
            world.step(step);
            assert!(world.sum() <= limit, "{} of {limit} after {step:?}", world.sum());
        }
    });
}

/// A report of any content, also one that no replica makes.
fn report() -> impl Strategy<Value = Report> {
    let windows = || prop::sample::select(vec![0_u64, 1_000, 7_001, 60_000]);
    let amounts = prop::array::uniform5(0..2_000_u64);
    let ages = prop::array::uniform12(0..5_u64);
    let rule = (windows(), prop::option::of(1..70_000_u64), any::<bool>(), 0..3_u64);
    (0..3_u8, 1..100_000_u64, amounts, ages, rule).prop_map(
        |(key, limit, [held, used, want, need, cost], ages, (window, wider, learned, epoch))| Report {
            key: LimitKey::from(["a", "b with spaces", "c}"][usize::from(key)]),
            limit,
            window: Duration::from_millis(window),
            wider: wider.map(Duration::from_millis),
            learned: learned && epoch == 2,
            epoch,
            held,
            used,
            ages,
            want,
            need,
            cost,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let key = LimitKey::from("an endpoint");
    (0..4_u8, 1..9_000_u64, 0..9_u32, 0..9_u32).prop_map(move |(kind, millis, a, b)| {
        let (key, remaining) = (key.clone(), Duration::from_millis(millis));
        match kind {
            0 => Event::ServerHold { key, remaining },
            1 => Event::CoolingDown { key, remaining, doublings: a },
            2 => Event::Recovered { key },
            _ => Event::Outcomes { key, successes: a, failures: b },
        }
    })
}

#[test]
fn scripts_and_local_ledger_agree_on_any_reports_and_events() {
    let request = (
        (1..6_u64, 0..40_u64, prop::option::weighted(0.1, 0..3_u64), prop::bool::weighted(0.05)),
        prop::collection::vec(report(), 0..4),
        prop::collection::vec(event(), 0..3),
        prop_oneof![8 => 0..1_500_u64, 1 => 0..120_000_u64, 1 => 500_000..700_000_u64],
    );
    against_all(&prop::collection::vec(request, 1..60), |server, requests| {
        let mut both = Both::new(server);
        let ids: Vec<ReplicaId> = (1..6).map(ReplicaId::new).collect();
        let mut generation = 0;
        for ((replica, seq, other_generation, leaving), reports, events, pause) in requests {
            both.advance(pause);
            let request = SyncRequest {
                seq,
                generation: other_generation.unwrap_or(generation),
                leaving,
                reports,
                events,
                ..SyncRequest::new(ReplicaId::new(replica))
            };
            generation = both.sync(&request, &ids).generation;
        }
    });
}
