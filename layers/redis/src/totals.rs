//! Amounts that replicas add up: [`TotalsRequest`].

use std::time::Duration;

use redis::{ErrorKind, RedisError, RedisResult};
use tollgate_layers::ledger::{LimitKey, ReplicaId};

use crate::{
    script::{Arguments, millis},
    sync::{Keys, text},
};

/// A request for the totals of amounts that all replicas report: spent dollars, for example.
///
/// Only the sum is shared: a replica that acts on it does so as late as it asks. An amount that is reported twice counts
/// once, so that a request without a response may be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotalsRequest {
    /// The replica that reports.
    pub replica: ReplicaId,
    /// The amounts of that replica.
    pub amounts: Vec<Amount>,
}

/// The amount of one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount {
    /// The key of the total, equal in all replicas.
    pub key: LimitKey,
    /// The amount of this replica in the present period, below 2^53. It does not decrease within a period.
    pub own: u64,
    /// The rest of the period as this replica knows it, or none if the amount counts for ever. The period of the first
    /// amount is that of the total.
    pub period: Option<Duration>,
}

/// The sum of the amounts of all replicas, also of those that have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// The sum.
    pub sum: u64,
    /// The rest of the period, after which the total is zero. None if it has no period, or nothing was reported yet.
    pub period: Option<Duration>,
}

impl Keys {
    /// Returns the arguments of a request for these totals.
    pub(crate) fn totals(&self, replica: ReplicaId, amounts: &[Amount]) -> Arguments {
        // A period of less than a millisecond is not none.
        let rest = |amount: &Amount| amount.period.map_or(0, |period| millis(period).max(1));
        let numbers = amounts.iter().flat_map(|amount| [amount.own, rest(amount)]);
        Arguments {
            keys: amounts.iter().map(|amount| self.total(&amount.key)).collect(),
            values: [replica.get()].into_iter().chain(numbers).map(text).collect(),
        }
    }
}

/// Returns the response of the script for so many amounts.
///
/// # Errors
/// If a number is missing.
pub(crate) fn response(numbers: &[u64], amounts: usize) -> RedisResult<Vec<Total>> {
    let (totals, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() || totals.len() != amounts {
        return Err(RedisError::from((ErrorKind::UnexpectedReturnType, "not all totals")));
    }
    let total = |[sum, rest]: &[u64; 2]| Total {
        sum: *sum,
        period: (*rest > 0).then(|| Duration::from_millis(*rest)),
    };
    Ok(totals.iter().map(total).collect())
}
