//! A DNS resolver that shares concurrent lookups of a name: [`Resolver`].

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    vec,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Map, Shared},
};
use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

/// A resolver that looks up a name with `inner`; concurrent callers share the lookup.
///
/// The system's resolver blocks a thread while it waits, up to half a minute without a DNS server, and a cancelled call does
/// not free that thread. If each call to a name that does not resolve started a lookup, they would soon occupy all blocking
/// threads, and no other name could be resolved. Results are not cached: the system does that.
#[derive(Clone, Debug)]
pub(super) struct Resolver<R> {
    inner: R,
    pending: PendingLookups,
}

/// The lookups that have not ended, by name.
#[derive(Clone, Default)]
struct PendingLookups(Arc<Mutex<HashMap<Name, Lookup>>>);

type Lookup = Shared<BoxFuture<'static, ResolveResult>>;
type ResolveResult = Result<Vec<SocketAddr>, ResolveError>;

impl fmt::Debug for PendingLookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names().keys()).finish()
    }
}

impl PendingLookups {
    fn names(&self) -> MutexGuard<'_, HashMap<Name, Lookup>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a name without an address.
#[derive(Clone, Debug)]
pub(super) struct ResolveError(Arc<dyn Error + Send + Sync>);

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no address is known")
    }
}

impl Error for ResolveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

impl<R> Resolver<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, pending: PendingLookups::default() }
    }
}

impl<R> Service<Name> for Resolver<R>
where
    R: Service<
            Name,
            Response: Iterator<Item = SocketAddr>,
            Error: Error + Send + Sync + 'static,
            Future: Send + 'static,
        >,
{
    type Response = vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Map<Lookup, fn(ResolveResult) -> Result<vec::IntoIter<SocketAddr>, ResolveError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        self.inner.poll_ready(cx).map_err(|error| ResolveError(Arc::new(error)))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let mut names = self.pending.names();
        let lookup = match names.get(&name) {
            Some(lookup) => lookup.clone(),
            None => {
                let guard = RemoveOnDrop { name: name.clone(), pending: self.pending.clone() };
                let lookup = look_up(self.inner.call(name.clone()), guard);
                names.insert(name, lookup.clone());
                lookup
            }
        };
        drop(names);
        lookup.map(|found| found.map(Vec::into_iter))
    }
}

/// Starts a lookup in its own task, so that it continues when its callers are cancelled.
fn look_up<I, E>(
    looked_up: impl Future<Output = Result<I, E>> + Send + 'static,
    guard: RemoveOnDrop,
) -> Lookup
where
    I: Iterator<Item = SocketAddr>,
    E: Error + Send + Sync + 'static,
{
    let task = tokio::spawn(async move {
        let _guard = guard;
        looked_up.await.map(Iterator::collect).map_err(|error| ResolveError(Arc::new(error)))
    });
    task.map(|ended| ended.unwrap_or_else(|panicked| Err(ResolveError(Arc::new(panicked))))).boxed().shared()
}

/// Removes a lookup from the map when it ends, even by a panic, so that the next call starts another.
struct RemoveOnDrop {
    name: Name,
    pending: PendingLookups,
}

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        self.pending.names().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use futures_util::future::join_all;
    use tokio::sync::Notify;
    use tower::{ServiceExt, service_fn};

    use super::*;

    const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80);

    /// A mock of the system's resolver: `gone` has no address, and each lookup waits for a permit.
    #[derive(Default)]
    struct SystemResolver {
        lookups: AtomicUsize,
        permits: Notify,
    }

    impl SystemResolver {
        async fn look_up(self: Arc<Self>, name: Name) -> io::Result<vec::IntoIter<SocketAddr>> {
            self.lookups.fetch_add(1, SeqCst);
            self.permits.notified().await;
            match name.as_str() {
                "gone" => Err(io::Error::other("no such name")),
                "panic" => panic!("of the test"),
                _ => Ok(vec![ADDRESS].into_iter()),
            }
        }
    }

    type LookupFuture = BoxFuture<'static, Result<vec::IntoIter<SocketAddr>, ResolveError>>;

    impl SystemResolver {
        /// Returns a function that looks up names through one shared [`Resolver`].
        fn shared(self: &Arc<Self>) -> impl Fn(&str) -> LookupFuture {
            let system = Arc::clone(self);
            let resolver = Resolver::new(service_fn(move |name| Arc::clone(&system).look_up(name)));
            move |name| resolver.clone().oneshot(name.parse().unwrap()).boxed()
        }

        fn lookups(&self) -> usize {
            self.lookups.load(SeqCst)
        }
    }

    #[tokio::test]
    async fn concurrent_lookups_of_a_name_are_one_lookup() {
        let system = Arc::new(SystemResolver::default());
        let look_up = system.shared();
        for round in 1..3 {
            system.permits.notify_one();
            let found = join_all((0..100).map(|_| look_up("here"))).await;
            assert!(found.into_iter().all(|found| found.unwrap().eq([ADDRESS])));
            assert_eq!(system.lookups(), round, "results are not cached");
        }
    }

    #[tokio::test]
    async fn a_lookup_continues_after_its_callers_are_cancelled() {
        let system = Arc::new(SystemResolver::default());
        let look_up = system.shared();
        let mut first = tokio_test::task::spawn(look_up("here"));
        assert!(first.poll().is_pending());
        drop(first);
        system.permits.notify_one();
        assert!(look_up("here").await.unwrap().eq([ADDRESS]));
        assert_eq!(system.lookups(), 1);
    }

    #[tokio::test]
    async fn a_lookup_that_fails_or_panics_is_removed() {
        let system = Arc::new(SystemResolver::default());
        let look_up = system.shared();
        for (name, message) in [("gone", "no such name"), ("panic", "panicked"), ("gone", "no such name")] {
            system.permits.notify_one();
            for result in join_all([look_up(name), look_up(name)]).await {
                let cause = result.unwrap_err().source().unwrap().to_string();
                assert!(cause.contains(message), "{cause}");
            }
        }
        assert_eq!(system.lookups(), 3);
    }
}
