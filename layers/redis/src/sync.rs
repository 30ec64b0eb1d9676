//! Syncs as the arguments and the response of the script: [`Keys`].

use std::time::Duration;

use redis::{ErrorKind, RedisError, RedisResult};
use tollgate_layers::ledger::{AGES, Lease, LedgerConfig, LimitKey, Report, SyncRequest, SyncResponse};

use crate::{
    event,
    script::{Arguments, millis},
};

/// The largest integer up to which all are exact in Lua.
const MAX: u64 = (1 << 53) - 1;
/// The numbers of a lease in the response.
const LEASE_SIZE: usize = 6;

/// The keys of one namespace.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(namespace: &str) -> Self {
        Self { prefix: format!("tollgate:{{{namespace}}}:") }
    }

    pub(crate) fn events(&self) -> String {
        self.key("events")
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn limit(&self, key: &LimitKey) -> String {
        format!("{}limit:{key}", self.prefix)
    }

    pub(crate) fn total(&self, key: &LimitKey) -> String {
        format!("{}total:{key}", self.prefix)
    }

    /// Returns the arguments of a sync with these reports.
    pub(crate) fn arguments(
        &self,
        request: &SyncRequest,
        reports: &[Report],
        config: &LedgerConfig,
    ) -> Arguments {
        let mut keys = vec![self.key("meta"), self.key("replicas"), self.events()];
        keys.extend(reports.iter().map(|report| self.limit(&report.key)));
        let numbers = [
            request.replica.get(),
            request.seq,
            request.generation,
            u64::from(request.leaving),
            millis(config.lease_time),
            millis(config.grace),
            request.events.len() as u64,
        ];
        let mut values: Vec<String> = numbers.map(text).into();
        values.extend(request.events.iter().map(event::encode));
        reports.iter().for_each(|report| push_report(&mut values, report));
        Arguments { keys, values }
    }
}

fn push_report(values: &mut Vec<String>, report: &Report) {
    values.push(report.key.to_string());
    let numbers = [
        report.limit,
        millis(report.window),
        report.wider.map_or(0, millis),
        u64::from(report.learned),
        report.epoch,
        report.held,
        report.used,
        report.want,
        report.need,
        report.cost,
    ];
    values.extend(numbers.map(text));
    values.push(ages(&report.ages));
}

/// Returns the ages that are not zero: `TWELFTH:AMOUNT`, separated by spaces.
fn ages(ages: &[u64; AGES]) -> String {
    let aged = (1..).zip(ages).filter(|(_, amount)| **amount > 0);
    aged.map(|(twelfth, amount): (u8, _)| format!("{twelfth}:{}", text(*amount)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns the response of the script for so many reports.
///
/// # Errors
/// If a number is missing.
pub(crate) fn response(numbers: &[u64], reports: usize) -> RedisResult<SyncResponse> {
    let (leases, rest) = numbers.get(3..).unwrap_or_default().as_chunks::<LEASE_SIZE>();
    if numbers.len() < 3 || !rest.is_empty() || leases.len() != reports {
        return Err(RedisError::from((ErrorKind::UnexpectedReturnType, "a sync without all leases")));
    }
    Ok(SyncResponse {
        generation: numbers[0],
        replicas: numbers[1],
        rank: numbers[2],
        leases: leases.iter().map(lease).collect(),
    })
}

fn lease([permits, limit, window, epoch, wanted, spare]: &[u64; LEASE_SIZE]) -> Lease {
    Lease {
        permits: *permits,
        limit: *limit,
        window: Duration::from_millis(*window),
        epoch: *epoch,
        wanted: *wanted == 1,
        spare: *spare == 1,
    }
}

/// Returns a number as an argument of a script.
pub(crate) fn text(number: u64) -> String {
    number.min(MAX).to_string()
}
