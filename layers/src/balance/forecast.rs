//! The forecast of the time at which there is capacity for more calls: [`next_slot`], [`has_slots`].

use std::time::Duration;

use tokio::time::Instant;

use super::picker::QUERY_ALL;
use crate::{Endpoint, endpoint::Horizon};

const MILLISECOND: Duration = Duration::from_millis(1);
/// The longest time for which a server can close an endpoint.
const HOUR: Duration = Duration::from_secs(3_600);

/// Returns true if the endpoints are likely to accept `count` calls like this one by `by`.
pub(super) fn has_slots<'a, S, Req>(
    endpoints: impl Iterator<Item = &'a S>,
    req: &Req,
    count: usize,
    (now, by): (Instant, Instant),
) -> bool
where
    S: Endpoint<Req> + 'a,
{
    reaches(endpoints, req, count, Horizon::likely(now, by))
}

/// Returns the time from which there is capacity for one more than `waiting` calls; `None` if there is no endpoint. There
/// is no capacity before `earliest`.
///
/// A binary search between the times at which the endpoints have their first slots. Each step queries all endpoints that
/// have a slot by then, so the precision is limited: 1/256 of the wait among a few endpoints, 1/16 among very many.
pub(super) fn next_slot<'a, S, Req>(
    endpoints: impl Iterator<Item = &'a S>,
    req: &Req,
    waiting: usize,
    earliest: Option<Instant>,
) -> Option<Instant>
where
    S: Endpoint<Req> + 'a,
{
    let now = Instant::now();
    let soonest = earliest.unwrap_or(now).max(now + MILLISECOND);
    if waiting == 0 && earliest.is_some() {
        return Some(soonest);
    }
    let count = waiting + 1;
    let first = |endpoint: &S| endpoint.score(req, now).map_or_else(|full| full.until, |_| now);
    let mut slots: Vec<_> = endpoints.map(|endpoint| (first(endpoint), endpoint)).collect();
    // Each endpoint has at least one slot at its own time, so `count` endpoints are enough, unless such a time is only an
    // estimate.
    let nth = count.min(slots.len()).checked_sub(1)?;
    let (mut long, _) = *slots.select_nth_unstable_by_key(nth, |(at, _)| *at).1;
    let mut short = slots[..nth].iter().map(|(at, _)| *at).fold(long, Instant::min);
    (short, long) = (short.max(soonest) - MILLISECOND, long.max(soonest));
    let reaches = |slots: &[(Instant, &S)], by| {
        let due = slots.iter().filter(|(at, _)| *at <= by).map(|(_, endpoint)| *endpoint);
        reaches(due, req, count, Horizon::certain(now, by))
    };
    while !reaches(&slots, long) && long < soonest + HOUR {
        (short, long) = (long, long + (long - now));
    }
    loop {
        slots.retain(|(at, _)| *at <= long);
        let part = if slots.len() <= QUERY_ALL { 256 } else { 16 };
        if long - short <= ((long - now) / part).max(MILLISECOND) {
            return Some(long);
        }
        let middle = short + (long - short) / 2;
        if reaches(&slots, middle) { long = middle } else { short = middle }
    }
}

/// Returns true if these endpoints have at least `count` slots. Queries only as many of them as that takes.
fn reaches<'a, S, Req>(
    endpoints: impl Iterator<Item = &'a S>,
    req: &Req,
    count: usize,
    horizon: Horizon,
) -> bool
where
    S: Endpoint<Req> + 'a,
{
    let mut missing = count as u64;
    for endpoint in endpoints {
        missing = missing.saturating_sub(endpoint.slots(req, horizon));
        if missing == 0 {
            return true;
        }
    }
    false
}
