//! Both ledgers with one clock, and replicas that keep the contract over a faulty network: [`Both`], [`Replica`].

use std::{
    future::Future,
    task::{Context, Poll, Waker},
    time::Duration,
};

use redis::{Connection, RedisResult, cmd};
use tokio::{runtime::Runtime, time::advance};
use tollgate_layers::ledger::{
    Event, EventId, LedgerConfig, ListenRequest, LocalLedger, ReplicaId, Report, SyncRequest, SyncResponse,
};
use tollgate_test_support::redis::RedisServer;
use tower::Service;

use crate::{
    event,
    script::{self, Arguments, Script},
    sync::{self, Keys},
};

/// The clock of the tests: the last argument.
const CLOCK: &str = "local now = tonumber(ARGV[#ARGV])\n";

/// The local ledger and the scripts on a server, which receive the same requests at the same time.
pub(super) struct Both {
    runtime: Runtime,
    local: LocalLedger,
    connection: Connection,
    script: Script,
    keys: Keys,
    pub(super) now: u64,
    /// The positions in the events of each.
    local_seen: EventId,
    seen: EventId,
}

impl Both {
    pub(super) fn new(server: &RedisServer) -> Self {
        let client = redis::Client::open(server.url()).expect("a valid URL");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let local = runtime.block_on(async { LocalLedger::default() });
        let mut both = Self {
            runtime,
            local,
            connection: client.get_connection().expect("a connection"),
            script: Script::new(CLOCK, include_str!("../sync.lua")),
            keys: Keys::new("tests"),
            now: 1,
            local_seen: EventId::default(),
            seen: EventId::default(),
        };
        both.clear_server();
        both
    }

    pub(super) fn advance(&mut self, millis: u64) {
        self.now += millis;
        self.runtime.block_on(advance(Duration::from_millis(millis)));
    }

    /// Loses all data.
    pub(super) fn clear(&mut self) {
        self.advance(1);
        self.local.clear();
        self.clear_server();
        self.seen = EventId::default();
    }

    fn clear_server(&mut self) {
        cmd("FLUSHALL").exec(&mut self.connection).expect("an empty server");
    }

    /// Syncs with both, and compares their responses and events.
    pub(super) fn sync(&mut self, request: &SyncRequest, replicas: &[ReplicaId]) -> SyncResponse {
        let local = self.runtime.block_on(async { self.local.call(request.clone()).await });
        let mut arguments = self.keys.arguments(request, &request.reports, &LedgerConfig::default());
        arguments.values.push(self.now.to_string());
        let numbers: RedisResult<Vec<u64>> = self.script.by_text(&arguments).query(&mut self.connection);
        let numbers = numbers.expect("a response of the script");
        let response = sync::response(&numbers, request.reports.len()).expect("all leases");
        assert_eq!(Ok(&response), local.as_ref(), "to {request:?}");
        self.compare_events(replicas);
        response
    }

    fn compare_events(&mut self, replicas: &[ReplicaId]) {
        let script = Script::new(CLOCK, include_str!("../events.lua"));
        let after = format!("{}-{}", self.seen.millis(), self.seen.number());
        let values = vec![after, self.now.to_string()];
        let command = script.by_text(&Arguments { keys: vec![self.keys.events()], values });
        let (now, entries): (u64, Vec<event::Entry>) =
            command.query(&mut self.connection).expect("the events of the server");
        let (mut seen, mut local_seen) = (self.seen, self.local_seen);
        for replica in replicas {
            let (events, last) = self.local_events(*replica);
            let request = ListenRequest { replica: *replica, after: self.seen, wait: Duration::ZERO };
            let response = event::read(&request, now, entries.clone());
            assert_eq!(response.events, events, "for replica {replica}");
            (seen, local_seen) = (response.last, local_seen.max(last));
        }
        (self.seen, self.local_seen) = (seen, local_seen);
    }

    /// Returns the events of the local ledger, without a wait for some.
    fn local_events(&mut self, replica: ReplicaId) -> (Vec<Event>, EventId) {
        let _guard = self.runtime.enter();
        let wait = Duration::from_secs(3600);
        let listening = self.local.call(ListenRequest { replica, after: self.local_seen, wait });
        let mut listening = std::pin::pin!(listening);
        match listening.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(response)) => (response.events, response.last),
            Poll::Pending => (Vec::new(), self.local_seen),
        }
    }
}

/// A replica that admits waiting calls of cost 1 while its lease allows it, and is configured to stop when it is isolated.
pub(super) struct Replica {
    pub(super) id: ReplicaId,
    pub(super) waiting: u64,
    pub(super) lease: u64,
    pub(super) gone: bool,
    generation: u64,
    /// The times at which used permits come free.
    frees: Vec<u64>,
    seq: u64,
    /// The number and the time of the request without a response.
    sent: Option<(u64, u64)>,
    synced: Option<u64>,
}

impl Replica {
    pub(super) const fn new(id: u64) -> Self {
        Self {
            id: ReplicaId::new(id),
            waiting: 0,
            lease: 0,
            gone: false,
            generation: 0,
            frees: Vec::new(),
            seq: 0,
            sent: None,
            synced: None,
        }
    }

    pub(super) fn used(&self) -> u64 {
        self.frees.len() as u64
    }

    /// Returns the number of permits that count.
    pub(super) fn held(&self) -> u64 {
        self.lease.max(self.used())
    }

    /// Frees what is due, drops the lease if the last request with a response is older than it, and admits what the lease
    /// allows.
    pub(super) fn run(&mut self, now: u64, window: u64) {
        self.frees.retain(|free| *free > now);
        let lease_time = script::millis(LedgerConfig::default().lease_time);
        if self.synced.is_some_and(|synced| now > synced + lease_time) {
            (self.lease, self.sent, self.synced) = (0, None, None);
        }
        let calls = self.waiting.min(self.lease.saturating_sub(self.used()));
        self.waiting -= calls;
        self.frees.extend((0..calls).map(|_| now + window));
    }

    /// Returns the next request, with this report.
    pub(super) fn request(&mut self, now: u64, report: Report) -> SyncRequest {
        let window = script::millis(report.window);
        let mut ages = [0; 12];
        for free in &self.frees {
            let twelfth = ((free - now) * 12).div_ceil(window).clamp(1, 12);
            ages[usize::try_from(twelfth - 1).expect("below twelve")] += 1;
        }
        self.seq += 1;
        self.sent = Some((self.seq, now));
        let (used, want) = (self.used(), self.used() + self.waiting);
        let report = Report { held: self.held(), used, ages, want, need: want.max(report.need), ..report };
        let request = SyncRequest::new(self.id);
        SyncRequest { seq: self.seq, generation: self.generation, reports: vec![report], ..request }
    }

    /// Applies a response, unless a later request was sent.
    pub(super) fn respond(&mut self, seq: u64, response: &SyncResponse) {
        let Some((_, sent)) = self.sent.filter(|(latest, _)| *latest == seq && !self.gone) else {
            return;
        };
        (self.sent, self.synced, self.generation) = (None, Some(sent), response.generation);
        self.lease = response.leases[0].permits;
    }
}
