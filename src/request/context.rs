//! The state that all attempts of one request share: [`RequestContext`].
//!
//! The request carries it in an `Arc` through retries and fallbacks. The balancers record the endpoints that they pick,
//! the fallback policies the groups that they choose. `ReadRequest` writes the response headers from it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tollgate_layers::{Attempts, Class, timeout::Limit};

use super::{Client, Request};
use crate::{config::FallbackTarget, error::BodyError, record::Draft, spend::Spending};

/// The attempts, the fallbacks and the deadline of one request.
#[derive(Debug)]
pub(crate) struct RequestContext {
    /// Endpoints tried and attempts made.
    pub attempts: Attempts,
    /// The time at which the request arrived.
    pub arrival: Instant,
    /// The time at which the request fails: arrival + `max_request_duration`, if that is set.
    pub deadline: Option<Instant>,
    /// The number of retries in each group.
    pub retries: u32,
    /// The client, if it has a key of its own.
    pub client: Option<Arc<Client>>,
    /// The draft of the request's record, if records are read.
    pub draft: Option<Arc<Draft>>,
    /// The tokens and the cost of all attempts, where they are read.
    pub spending: Option<Arc<Spending>>,
    /// The permit of the body's memory, released with the last clone of the request.
    pub buffered: Option<OwnedSemaphorePermit>,
    upstream_nanos: AtomicU64,
    /// The class of the failure that the next attempt follows, as its index plus 1; 0 if there is none.
    cause: AtomicU8,
    /// `num_retries` of the deployment called last, or [`NONE`].
    deployment_retries: AtomicU32,
    /// The number of endpoints tried before the current group.
    tried_before: AtomicUsize,
    /// The number of groups in `walk.tried`.
    groups: AtomicUsize,
    walk: Mutex<FallbackWalk>,
}

/// The value of `deployment_retries` for "not set".
const NONE: u32 = u32::MAX;

/// The walk over the fallback groups of a request. It is locked only after a group has failed.
#[derive(Debug, Default)]
struct FallbackWalk {
    tried: Vec<(Arc<str>, u32)>,
    lists: Vec<TargetList>,
    /// The fallback chosen last.
    last: Option<Arc<FallbackTarget>>,
}

/// A fallback list with entries left, and the depth of its groups in the chain of fallbacks.
#[derive(Debug)]
struct TargetList {
    depth: u32,
    rest: std::vec::IntoIter<FallbackTarget>,
}

impl RequestContext {
    /// Returns the context of a request that arrived at `arrival` and may take `max_duration`.
    pub(crate) fn new(arrival: Instant, max_duration: Option<Duration>) -> Self {
        Self {
            attempts: Attempts::new(),
            arrival,
            deadline: max_duration.map(|max_duration| arrival + max_duration),
            retries: 0,
            client: None,
            draft: None,
            spending: None,
            buffered: None,
            upstream_nanos: AtomicU64::new(0),
            cause: AtomicU8::new(0),
            deployment_retries: AtomicU32::new(NONE),
            tried_before: AtomicUsize::new(0),
            groups: AtomicUsize::new(0),
            walk: Mutex::default(),
        }
    }

    /// Adds the time that an attempt has waited for its upstream.
    pub(crate) fn add_upstream(&self, spent: Duration) {
        self.upstream_nanos.fetch_add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns the time that all attempts have waited for an upstream.
    pub(crate) fn upstream(&self) -> Duration {
        Duration::from_nanos(self.upstream_nanos.load(Ordering::Relaxed))
    }

    /// Sets the class of the failure that the next attempt follows.
    pub(crate) fn set_cause(&self, class: Class) {
        self.cause.store(u8::try_from(class.index() + 1).unwrap_or(0), Ordering::Relaxed);
    }

    /// Takes the class of the failure that an attempt follows; `None` for the first one.
    pub(crate) fn take_cause(&self) -> Option<Class> {
        if self.cause.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let cause = self.cause.swap(0, Ordering::Relaxed);
        Class::ALL.get(usize::from(cause).checked_sub(1)?).copied()
    }

    /// Records `num_retries` of the deployment that is called now.
    pub(crate) fn called(&self, retries: Option<u32>) {
        self.deployment_retries.store(retries.unwrap_or(NONE), Ordering::Relaxed);
    }

    /// Returns `num_retries` of the deployment called last, if it has its own.
    pub(crate) fn deployment_retries(&self) -> Option<u32> {
        Some(self.deployment_retries.load(Ordering::Relaxed)).filter(|retries| *retries != NONE)
    }

    /// Returns the number of deployments tried in the current group.
    pub(crate) fn tried_here(&self) -> usize {
        self.attempts.endpoints().saturating_sub(self.tried_before.load(Ordering::Relaxed))
    }

    /// Returns the number of retries made, and the largest number of them in each group.
    pub(crate) fn repeats(&self) -> (usize, u32) {
        let made = usize::try_from(self.attempts.made()).unwrap_or(usize::MAX);
        (made.saturating_sub(1 + self.fallbacks()), self.retries)
    }

    /// Returns the groups tried after the first, in order.
    pub(crate) fn groups(&self) -> Vec<Arc<str>> {
        self.walk().tried.iter().skip(1).map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Returns the number of groups tried after the first.
    pub(crate) fn fallbacks(&self) -> usize {
        self.groups.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// Returns the next fallback after the group `failed`: from the group's `own` list first, then from the lists that
    /// led to it. No group is returned twice, and none deeper in the chain than `deepest`.
    pub(crate) fn next_group(
        &self,
        failed: &Arc<str>,
        own: Vec<FallbackTarget>,
        deepest: u32,
    ) -> Option<Arc<FallbackTarget>> {
        let mut walk = self.walk();
        let depth = walk.depth_of(failed);
        if depth < deepest && !own.is_empty() {
            walk.lists.push(TargetList { depth: depth + 1, rest: own.into_iter() });
        }
        while let Some(list) = walk.lists.last_mut() {
            let depth = list.depth;
            match list.rest.next() {
                None => drop(walk.lists.pop()),
                Some(target) if walk.tried(&target) => {}
                Some(target) => {
                    walk.tried.push((Arc::clone(&target.model), depth));
                    self.groups.store(walk.tried.len(), Ordering::Relaxed);
                    self.tried_before.store(self.attempts.endpoints(), Ordering::Relaxed);
                    if let Some(draft) = &self.draft {
                        draft.fallback(&target.model);
                    }
                    return Some(Arc::clone(walk.last.insert(Arc::new(target))));
                }
            }
        }
        None
    }

    /// Returns the fallback chosen last, or `None` in the first group.
    pub(crate) fn last_group(&self) -> Option<Arc<FallbackTarget>> {
        self.walk().last.clone()
    }

    fn walk(&self) -> MutexGuard<'_, FallbackWalk> {
        self.walk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FallbackWalk {
    /// Returns the depth of a group in the chain. The first group is recorded when it fails.
    fn depth_of(&mut self, group: &Arc<str>) -> u32 {
        if let Some((_, depth)) = self.tried.iter().find(|(name, _)| name == group) {
            return *depth;
        }
        self.tried.push((Arc::clone(group), 0));
        0
    }

    /// Returns true if the group of `target` was tried.
    fn tried(&self, target: &FallbackTarget) -> bool {
        self.tried.iter().any(|(name, _)| *name == target.model)
    }
}

/// Returns the attempts of a request.
pub(crate) fn attempts(request: &Request) -> Option<&Attempts> {
    Some(&request.context.attempts)
}

/// Returns the deadline of a request.
pub(crate) fn deadline(request: &Request) -> Option<Instant> {
    request.context.deadline
}

/// Returns the limit of a whole request: the time until its deadline.
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
    async fn fallbacks_of_a_failed_group_come_before_those_of_its_list() {
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
    async fn a_cycle_of_fallbacks_ends() {
        let context = context();
        assert!(context.next_group(&"a".into(), list(&["b"]), 5).is_some());
        assert!(context.next_group(&"b".into(), list(&["a", "b"]), 5).is_none());
    }

    #[tokio::test]
    async fn a_chain_of_fallbacks_is_limited_in_depth_but_not_in_siblings() {
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
