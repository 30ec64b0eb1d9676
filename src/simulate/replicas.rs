//! The replicas of a simulated gateway: [`Replicas`], [`SimulatedReplicas`].

use std::{future::pending, str::FromStr, sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::time::{Instant, timeout_at};
use tollgate_layers::{
    BoxError,
    ledger::{Member, MemberConfig, ReplicaId},
    quota::Meters,
};

use super::{
    InvalidArgument, Scenario,
    clients::{ClientResult, CompletedCall},
    ledger::SimulatedLedger,
    report::{ReplicaReport, ReplicasReport},
    upstreams::{SimulatedUpstreams, read_period, read_seconds},
};
use crate::{
    Gateway,
    config::{Config, Deployment},
    stack::{self, Options},
    state::State,
};

/// The most replicas of a run.
const MOST: usize = 1_000;

/// The replicas of the gateway, which share the limits through a ledger, and their faults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replicas {
    /// The part of the load that each replica receives, relative to the others.
    pub loads: ReplicaLoads,
    /// The replicas that end without notice.
    pub kills: Vec<Kill>,
    /// The outages of the ledger.
    pub ledger_outages: Vec<LedgerOutage>,
}

/// The relative loads of replicas: `4` is as many with equal loads, `70,10,10,10` four with these.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaLoads(Vec<f64>);

impl ReplicaLoads {
    /// Returns the loads of this many replicas with equal loads.
    #[must_use]
    pub fn equal(replicas: usize) -> Self {
        Self(vec![1.0; replicas])
    }
}

impl Default for ReplicaLoads {
    /// Returns the load of a single replica.
    fn default() -> Self {
        Self::equal(1)
    }
}

impl FromStr for ReplicaLoads {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let load = |text: &str| text.trim().parse().ok().filter(|load| (0.001..=1e6).contains(load));
        let loads: Option<Vec<f64>> = text.split(',').map(load).collect();
        let equal = || text.trim().parse().ok().filter(|count| (1..=MOST).contains(count)).map(Self::equal);
        let several = || loads.filter(|loads| (2..=MOST).contains(&loads.len())).map(Self);
        let wrong = InvalidArgument("a number of replicas, or the relative load of each: 70,10,10,10");
        several().or_else(equal).ok_or(wrong)
    }
}

/// A replica that ends without notice, as by SIGKILL: `2@60`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// The position of the replica, from 1.
    pub replica: usize,
    /// The time, counted from the start of the run.
    pub at: Duration,
}

impl FromStr for Kill {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let read = || {
            let (replica, at) = text.split_once('@')?;
            Some(Self {
                replica: replica.parse().ok().filter(|replica| *replica > 0)?,
                at: read_seconds(at)?,
            })
        };
        read().ok_or(InvalidArgument("REPLICA@TIME, a position from 1 and seconds: 2@60"))
    }
}

/// An outage of the ledger, which has lost its data afterwards: `30-90`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerOutage {
    /// The beginning, counted from the start of the run.
    pub from: Duration,
    /// The end, counted from the start of the run.
    pub until: Duration,
}

impl FromStr for LedgerOutage {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let period = read_period(text).map(|(from, until)| Self { from, until });
        period.ok_or(InvalidArgument("a period in seconds: 30-90"))
    }
}

impl Replicas {
    /// Returns the time at which a replica is killed.
    fn killed_at(&self, position: usize) -> Option<Duration> {
        let kills = self.kills.iter().filter(|kill| kill.replica == position + 1);
        kills.map(|kill| kill.at).min()
    }

    fn check(&self) -> Result<(), String> {
        let count = self.loads.0.len();
        if let Some(kill) = self.kills.iter().find(|kill| kill.replica > count) {
            return Err(format!("there is no replica {}: the replicas are 1 to {count}", kill.replica));
        }
        if (0..count).all(|position| self.killed_at(position).is_some()) {
            return Err("all replicas are killed: at least one must remain".to_owned());
        }
        Ok(())
    }
}

/// The gateways of a run: one alone, or several that share their limits.
pub(super) struct SimulatedReplicas {
    replicas: Vec<SimulatedReplica>,
    /// None for a gateway alone.
    ledger: Option<SimulatedLedger>,
    /// Chooses the replica of each request.
    rng: Rng,
}

/// A gateway of a run.
pub(super) struct SimulatedReplica {
    pub(super) gateway: Gateway,
    pub(super) killed_at: Option<Instant>,
    /// The meters of all deployments, in file order.
    meters: Vec<Meters>,
    report: ReplicaReport,
    // Has the rest of what outlives a tree.
    _state: State,
}

impl SimulatedReplicas {
    /// Builds the gateways, and connects them if there are several.
    ///
    /// # Errors
    /// Returns an error if a gateway cannot be built, or if the scenario kills a replica that does not exist, or all.
    pub(super) fn new(
        config: &Config,
        scenario: &Scenario,
        upstreams: &Arc<SimulatedUpstreams>,
    ) -> Result<Self, BoxError> {
        let rng = Rng::with_seed(!scenario.seed);
        let Some(faults) = &scenario.replicas else {
            let alone = SimulatedReplica::new(config, state(upstreams), ReplicaReport::default())?;
            return Ok(Self { replicas: vec![alone], ledger: None, rng });
        };
        faults.check()?;
        let ledger = SimulatedLedger::new(&faults.ledger_outages);
        tokio::spawn(ledger.clone().lose_data());
        let replica = |(position, load): (usize, &f64)| -> Result<_, BoxError> {
            let report =
                ReplicaReport { load: *load, killed: faults.killed_at(position), ..ReplicaReport::default() };
            let member = member(position, faults.loads.0.len());
            let replica =
                SimulatedReplica::new(config, state(upstreams).with_member(member.clone()), report)?;
            join(&member, ledger.clone(), replica.killed_at);
            Ok(replica)
        };
        let replicas = faults.loads.0.iter().enumerate().map(replica).collect::<Result<_, BoxError>>()?;
        Ok(Self { replicas, ledger: Some(ledger), rng })
    }

    /// Chooses the live replica that a request reaches, by their loads. Returns its position.
    pub(super) fn choose(&mut self) -> usize {
        let now = Instant::now();
        let is_live = |replica: &SimulatedReplica| replica.killed_at.is_none_or(|at| now < at);
        let live = || self.replicas.iter().enumerate().filter(|(_, replica)| is_live(replica));
        let mut point = self.rng.f64() * live().map(|(_, replica)| replica.report.load).sum::<f64>();
        let reached = |(_, replica): &(usize, &SimulatedReplica)| {
            point -= replica.report.load;
            point < 0.0
        };
        // Rounding may leave the point behind the last.
        live().find(reached).or_else(|| live().next_back()).map_or(0, |(position, _)| position)
    }

    pub(super) fn get(&self, position: usize) -> &SimulatedReplica {
        &self.replicas[position]
    }

    /// Counts a call.
    pub(super) fn count(&mut self, call: &CompletedCall) {
        let report = &mut self.replicas[call.replica].report;
        report.requests += 1;
        match call.result {
            ClientResult::Served(_) => report.served += 1,
            ClientResult::Refused(_) => report.refused += 1,
            ClientResult::Failed => report.failed += 1,
        }
    }

    /// Returns the meters of a deployment, given by its position in the file: those of the first replica.
    pub(super) fn meters(&self, deployment: usize) -> &Meters {
        &self.replicas[0].meters[deployment]
    }

    /// Returns the number of refusals that made a meter of a deployment widen a window.
    pub(super) fn learned_refusals(&self, deployment: usize) -> u64 {
        self.replicas.iter().map(|replica| replica.meters[deployment].learned_refusals()).sum()
    }

    /// Returns the report on the replicas; `None` for a gateway alone.
    pub(super) fn report(self) -> Option<ReplicasReport> {
        let ledger_requests = self.ledger?.requests();
        let each = self.replicas.into_iter().map(|replica| replica.report).collect();
        Some(ReplicasReport { each, ledger_requests, clock_windows: None })
    }
}

impl SimulatedReplica {
    fn new(config: &Config, state: State, report: ReplicaReport) -> Result<Self, BoxError> {
        let gateway = stack::gateway(config, &state, Options::default())?;
        let killed_at = report.killed.map(|at| Instant::now() + at);
        let meters = |deployment: &Deployment| state.meters(deployment, &config.settings);
        let meters = config.groups.iter().flat_map(|group| &group.deployments).map(meters).collect();
        Ok(Self { gateway, killed_at, meters, report, _state: state })
    }
}

fn state(upstreams: &Arc<SimulatedUpstreams>) -> State {
    let upstreams = Arc::clone(upstreams);
    State::with_upstreams(move |deployment| upstreams.upstream(deployment)).at_midnight()
}

/// Returns the member of one of several replicas. Its id is not random: a scenario always gives the same report.
fn member(position: usize, replicas: usize) -> Member {
    let config = MemberConfig { replicas: replicas as u64, ..MemberConfig::default() };
    Member::new(ReplicaId::new(position as u64), config)
}

/// Keeps a member in step with the ledger until its replica is killed.
fn join(member: &Member, ledger: SimulatedLedger, killed_at: Option<Instant>) {
    let run = member.run(ledger, pending::<()>());
    tokio::spawn(async move {
        match killed_at {
            // The replica is killed: it does not give its permits back.
            Some(at) => {
                let _killed = timeout_at(at, run).await;
            }
            None => run.await,
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_of_replicas_are_parsed() {
        assert_eq!("4".parse(), Ok(ReplicaLoads::equal(4)));
        assert_eq!("70, 10,10".parse(), Ok(ReplicaLoads(vec![70.0, 10.0, 10.0])));
        for wrong in ["", "0", "1001", "2.5", "70,", "1,-1", "x"] {
            assert!(wrong.parse::<ReplicaLoads>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn faults_of_replicas_are_parsed() {
        let (from, until) = (Duration::from_secs(30), Duration::from_millis(90_500));
        assert_eq!("30-90.5".parse(), Ok(LedgerOutage { from, until }));
        assert_eq!("2@30s".parse(), Ok(Kill { replica: 2, at: from }));
        for wrong in ["", "2", "0@3", "x@3", "2@x", "2@-1"] {
            assert!(wrong.parse::<Kill>().is_err(), "{wrong}");
        }
        for wrong in ["", "30", "90-30", "30-30", "x-1"] {
            assert!(wrong.parse::<LedgerOutage>().is_err(), "{wrong}");
        }
    }
}
