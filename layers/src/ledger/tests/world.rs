//! Replicas that keep the contract, over a network that loses, doubles and reorders: [`World`].

use std::time::Duration;

use crate::ledger::{
    LedgerConfig, LimitKey, ReplicaId, Report, SyncRequest, SyncResponse, local::state::LedgerState,
};

pub(super) const LEASE_TIME: u64 = 5_000;

pub(super) struct World {
    pub(super) ledger: LedgerState,
    pub(super) replicas: Vec<Replica>,
    pub(super) now: u64,
    pub(super) window: u64,
    pub(super) requests: Vec<(usize, SyncRequest)>,
    pub(super) responses: Vec<(usize, u64, SyncResponse)>,
}

/// A replica that admits waiting calls while its lease allows it.
pub(super) struct Replica {
    pub(super) id: ReplicaId,
    pub(super) limit: u64,
    pub(super) lease: u64,
    pub(super) waiting: u64,
    /// The number of calls that were admitted.
    pub(super) admitted: u64,
    pub(super) gone: bool,
    pub(super) generation: u64,
    /// The times at which used permits come free, and those of arrivals.
    frees: Vec<u64>,
    arrivals: Vec<u64>,
    seq: u64,
    /// The number and the time of the request without a response.
    sent: Option<(u64, u64)>,
    /// The time at which the last request with a response was sent.
    synced: Option<u64>,
}

impl World {
    pub(super) fn new(count: usize, limit: u64, window: u64) -> Self {
        let ledger = LedgerState::new(LedgerConfig::default());
        let mut world = Self {
            ledger,
            replicas: Vec::new(),
            now: 1,
            window,
            requests: Vec::new(),
            responses: Vec::new(),
        };
        (0..count).for_each(|_| world.join(limit));
        world
    }

    pub(super) fn join(&mut self, limit: u64) {
        let id = ReplicaId::new(self.replicas.len() as u64 + 1);
        self.replicas.push(Replica {
            id,
            limit,
            lease: 0,
            waiting: 0,
            admitted: 0,
            gone: false,
            generation: 0,
            frees: Vec::new(),
            arrivals: Vec::new(),
            seq: 0,
            sent: None,
            synced: None,
        });
    }

    pub(super) fn advance(&mut self, millis: u64) {
        self.now += millis;
        let now = self.now;
        for replica in &mut self.replicas {
            replica.frees.retain(|free| *free > now);
            replica.arrivals.retain(|at| at + self.window > now);
            // Isolated for longer than the lease, and configured to stop: what it declared in a request on the way is void.
            if replica.synced.is_some_and(|synced| now > synced + LEASE_TIME) {
                (replica.lease, replica.sent, replica.synced) = (0, None, None);
            }
            replica.admit(now, self.window);
        }
    }

    pub(super) fn arrive(&mut self, i: usize, calls: u64) {
        let (now, window) = (self.now, self.window);
        let replica = &mut self.replicas[i];
        if replica.gone {
            return;
        }
        replica.waiting += calls;
        replica.arrivals.extend((0..calls).map(|_| now));
        replica.admit(now, window);
    }

    /// Sends a request, which is delivered later.
    pub(super) fn send(&mut self, i: usize) {
        let (now, window) = (self.now, self.window);
        let replica = &mut self.replicas[i];
        if replica.gone {
            return;
        }
        replica.seq += 1;
        replica.sent = Some((replica.seq, now));
        let request = SyncRequest {
            seq: replica.seq,
            generation: replica.generation,
            reports: vec![replica.report(now, window)],
            ..SyncRequest::new(replica.id)
        };
        self.requests.push((i, request));
    }

    /// Shuts a replica down; its last request may be lost.
    pub(super) fn leave(&mut self, i: usize) {
        if self.replicas[i].gone {
            return;
        }
        self.send(i);
        self.requests.last_mut().expect("just sent").1.leaving = true;
        self.kill(i);
    }

    /// Ends a replica. Its calls stay in the upstream's window.
    pub(super) fn kill(&mut self, i: usize) {
        let replica = &mut self.replicas[i];
        (replica.gone, replica.lease, replica.waiting) = (true, 0, 0);
    }

    /// Delivers a request to the ledger. It stays on the network if it is `doubled`.
    pub(super) fn deliver(&mut self, at: usize, doubled: bool) {
        let (i, request) = if doubled { self.requests[at].clone() } else { self.requests.remove(at) };
        let (response, _) = self.ledger.sync(&request, self.now);
        self.responses.push((i, request.seq, response));
    }

    /// Delivers a response to its replica, which applies it if it has sent no later request.
    pub(super) fn respond(&mut self, at: usize) {
        let (i, seq, response) = self.responses.remove(at);
        let (now, window) = (self.now, self.window);
        let replica = &mut self.replicas[i];
        let Some((_, sent)) = replica.sent.filter(|(latest, _)| *latest == seq && !replica.gone) else {
            return;
        };
        replica.sent = None;
        replica.synced = Some(sent);
        replica.generation = response.generation;
        replica.lease = if now > sent + LEASE_TIME { 0 } else { response.leases[0].permits };
        replica.admit(now, window);
    }

    /// Syncs a replica over a network without faults. Returns the response.
    pub(super) fn sync(&mut self, i: usize) -> Option<SyncResponse> {
        self.send(i);
        let at = self.requests.iter().rposition(|(sender, _)| *sender == i)?;
        if self.replicas[i].gone {
            return None;
        }
        self.deliver(at, false);
        let response = self.responses.last().map(|(_, _, response)| response.clone());
        self.respond(self.responses.len() - 1);
        response
    }

    /// Gives back what is free at a replica without waiting calls.
    pub(super) fn give_back(&mut self, i: usize) {
        let used = self.replicas[i].used();
        let replica = &mut self.replicas[i];
        if replica.waiting == 0 {
            replica.lease = replica.lease.min(used);
        }
    }

    /// Returns the sum of what replicas may use or have used.
    pub(super) fn sum(&self) -> u64 {
        self.replicas.iter().map(|replica| replica.lease.max(replica.used())).sum()
    }
}

impl Replica {
    pub(super) fn used(&self) -> u64 {
        self.frees.len() as u64
    }

    fn admit(&mut self, now: u64, window: u64) {
        let calls = self.waiting.min(self.lease.saturating_sub(self.used()));
        self.waiting -= calls;
        self.admitted += calls;
        self.frees.extend((0..calls).map(|_| now + window));
    }

    fn report(&self, now: u64, window: u64) -> Report {
        let mut ages = [0; 12];
        for free in &self.frees {
            let twelfth = ((free - now) * 12).div_ceil(window).clamp(1, 12);
            ages[usize::try_from(twelfth - 1).expect("a small number")] += 1;
        }
        let want = self.used() + self.waiting;
        Report {
            limit: self.limit,
            window: Duration::from_millis(window),
            held: self.lease.max(self.used()),
            used: self.used(),
            ages,
            want,
            need: want.max(self.arrivals.len() as u64),
            cost: self.waiting.min(1),
            ..Report::new(LimitKey::from("limit"))
        }
    }
}
