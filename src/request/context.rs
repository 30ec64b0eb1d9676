//! What one request has tried so far: [`RequestContext`].
//!
//! It rides behind an `Arc` in the request, through retries and fallbacks. The balancers write the endpoints they
//! picked, the fallback policies the groups they went to; Intake reads it when the answer goes out.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tollgate_layers::{Attempts, timeout::Limit};

use super::Request;
use crate::{config::FallbackTarget, error::BodyError};

/// What one request has tried, and by when it must be done.
#[derive(Debug)]
pub(crate) struct RequestContext {
    /// Endpoints tried and attempts made.
    pub attempts: Attempts,
    /// When it came in.
    pub arrival: Instant,
    /// When it must be done, if anything says so: arrival + `max_request_duration`.
    pub deadline: Option<Instant>,
    /// How often a failed call is made again in each group.
    retries: u32,
    /// The room that its body takes at the front door, given back with the last clone of the request.
    buffered: Option<OwnedSemaphorePermit>,
    upstream_nanos: AtomicU64,
    /// `num_retries` of the deployment called last, or [`NONE`].
    deployment_retries: AtomicU32,
    /// How many endpoints had been tried when the present group was gone to.
    elsewhere: AtomicUsize,
    /// How many groups were tried, so far as is noted in the walk.
    groups: AtomicUsize,
    walk: Mutex<Walk>,
}

/// No number of retries.
const NONE: u32 = u32::MAX;

/// The walk over groups. Locked only where a group has failed.
#[derive(Debug, Default)]
struct Walk {
    tried: Vec<(Arc<str>, u32)>,
    lists: Vec<List>,
    /// The one gone to last.
    at: Option<Arc<FallbackTarget>>,
}

/// A list of alternatives that is not used up, and how deep in the chain its groups stand.
#[derive(Debug)]
struct List {
    depth: u32,
    rest: std::vec::IntoIter<FallbackTarget>,
}

impl RequestContext {
    /// The trail of a request that came in at `arrival`.
    pub(crate) fn new(arrival: Instant, longest: Option<Duration>) -> Self {
        Self {
            attempts: Attempts::new(),
            arrival,
            deadline: longest.map(|longest| arrival + longest),
            retries: 0,
            buffered: None,
            upstream_nanos: AtomicU64::new(0),
            deployment_retries: AtomicU32::new(NONE),
            elsewhere: AtomicUsize::new(0),
            groups: AtomicUsize::new(0),
            walk: Mutex::default(),
        }
    }

    /// With the number of retries that each group may make.
    pub(crate) const fn with_retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// With the room that the request's body takes.
    pub(crate) fn with_buffered(mut self, permit: Option<OwnedSemaphorePermit>) -> Self {
        self.buffered = permit;
        self
    }

    /// Adds the time that an attempt spent waiting for its upstream.
    pub(crate) fn add_upstream(&self, spent: Duration) {
        self.upstream_nanos.fetch_add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The time that all attempts spent waiting for an upstream.
    pub(crate) fn upstream(&self) -> Duration {
        Duration::from_nanos(self.upstream_nanos.load(Ordering::Relaxed))
    }

    /// Notes that a deployment with this `num_retries` of its own is called now.
    pub(crate) fn called(&self, retries: Option<u32>) {
        self.deployment_retries.store(retries.unwrap_or(NONE), Ordering::Relaxed);
    }

    /// `num_retries` of the deployment called last, where it has its own.
    pub(crate) fn deployment_retries(&self) -> Option<u32> {
        Some(self.deployment_retries.load(Ordering::Relaxed)).filter(|retries| *retries != NONE)
    }

    /// How many deployments of the present group were tried.
    pub(crate) fn tried_here(&self) -> usize {
        self.attempts.endpoints().saturating_sub(self.elsewhere.load(Ordering::Relaxed))
    }

    /// How many attempts were repeats within a group, and how many there might have been in each.
    pub(crate) fn repeats(&self) -> (usize, u32) {
        let made = usize::try_from(self.attempts.made()).unwrap_or(usize::MAX);
        (made.saturating_sub(1 + self.fallbacks()), self.retries)
    }

    /// The groups gone to after the first, in order.
    pub(crate) fn groups(&self) -> Vec<Arc<str>> {
        self.walk().tried.iter().skip(1).map(|(name, _)| Arc::clone(name)).collect()
    }

    /// How many groups were gone to after the first.
    pub(crate) fn fallbacks(&self) -> usize {
        self.groups.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// Where to go now that `failed` has: into its own list first, then on in the lists it was reached from. No
    /// group twice, and no deeper than `deepest`.
    pub(crate) fn next_group(
        &self,
        failed: &Arc<str>,
        own: Vec<FallbackTarget>,
        deepest: u32,
    ) -> Option<Arc<FallbackTarget>> {
        let mut walk = self.walk();
        let depth = walk.depth_of(failed);
        if depth < deepest && !own.is_empty() {
            walk.lists.push(List { depth: depth + 1, rest: own.into_iter() });
        }
        while let Some(list) = walk.lists.last_mut() {
            let depth = list.depth;
            match list.rest.next() {
                None => drop(walk.lists.pop()),
                Some(alternative) if walk.tried(&alternative) => {}
                Some(alternative) => {
                    walk.tried.push((Arc::clone(&alternative.model), depth));
                    self.groups.store(walk.tried.len(), Ordering::Relaxed);
                    self.elsewhere.store(self.attempts.endpoints(), Ordering::Relaxed);
                    return Some(Arc::clone(walk.at.insert(Arc::new(alternative))));
                }
            }
        }
        None
    }

    /// The group gone to last and what was replaced for it, where it is not the first one.
    pub(crate) fn last_group(&self) -> Option<Arc<FallbackTarget>> {
        self.walk().at.clone()
    }

    fn walk(&self) -> MutexGuard<'_, Walk> {
        self.walk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Walk {
    /// How deep in the chain a group stands; the first one is noted when it first fails.
    fn depth_of(&mut self, group: &Arc<str>) -> u32 {
        if let Some((_, depth)) = self.tried.iter().find(|(name, _)| name == group) {
            return *depth;
        }
        self.tried.push((Arc::clone(group), 0));
        0
    }

    /// Whether it leads nowhere new.
    fn tried(&self, alternative: &FallbackTarget) -> bool {
        self.tried.iter().any(|(name, _)| *name == alternative.model)
    }
}

/// What the request has tried so far.
pub(crate) fn attempts(request: &Request) -> Option<&Attempts> {
    Some(&request.context.attempts)
}

/// When the request must be done.
pub(crate) fn deadline(request: &Request) -> Option<Instant> {
    request.context.deadline
}

/// How long the whole request may take: what is left until its deadline.
pub(crate) fn whole(request: &Request) -> Option<Limit> {
    deadline(request).map(|at| Limit::until(at).named(BodyError::Deadline.code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<FallbackTarget> {
        names.iter().map(|name| FallbackTarget { model: (*name).into(), parameters: Vec::new() }).collect()
    }

    fn context() -> RequestContext {
        RequestContext::new(Instant::now(), None)
    }

    #[tokio::test]
    async fn a_failed_groups_own_list_comes_first_then_the_list_it_was_reached_from() {
        let context = context();
        let mut seen = Vec::new();
        let mut failed: Arc<str> = "a".into();
        let own = |name: &str| match name {
            "a" => list(&["b", "d"]),
            "b" => list(&["c"]),
            _ => Vec::new(),
        };
        while let Some(next) = context.next_group(&failed, own(&failed), 5) {
            failed = Arc::clone(&next.model);
            seen.push(next.model.to_string());
        }
        assert_eq!(seen, ["b", "c", "d"]);
        assert_eq!(context.fallbacks(), 3);
    }

    #[tokio::test]
    async fn a_cycle_ends() {
        let context = context();
        assert!(context.next_group(&"a".into(), list(&["b"]), 5).is_some());
        assert!(context.next_group(&"b".into(), list(&["a", "b"]), 5).is_none());
    }

    #[tokio::test]
    async fn a_chain_goes_no_deeper_than_it_may_while_siblings_are_not_counted() {
        let context = context();
        assert!(context.next_group(&"a".into(), list(&["b", "x", "y"]), 1).is_some());
        assert_eq!(
            context.next_group(&"b".into(), list(&["c"]), 1).map(|next| next.model.clone()),
            Some("x".into())
        );
        assert_eq!(
            context.next_group(&"x".into(), list(&["c"]), 1).map(|next| next.model.clone()),
            Some("y".into())
        );
        assert!(context.next_group(&"y".into(), list(&["c"]), 1).is_none());
    }
}
