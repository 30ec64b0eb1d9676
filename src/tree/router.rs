//! Group name to group, and the border where types are erased: [`Router`], [`Stack`].

use std::{
    collections::HashMap,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tower::{Layer, Service, ServiceExt};

use crate::{
    Error,
    config::Patterns,
    request::{Request, Response},
};

/// An answer on its way.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;

/// A whole stack behind one pointer: a group's, or the tree's above the router.
///
/// tower's `BoxCloneSyncService` allocates whenever it is cloned, and a fallback clones; here a clone is a count.
#[derive(Clone)]
pub struct Stack(Arc<dyn Ask>);

trait Ask: Send + Sync {
    fn ask(&self, request: Request) -> Answering;
}

impl<S> Ask for S
where
    S: Service<Request, Response = Response, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    fn ask(&self, request: Request) -> Answering {
        let mut stack = self.clone();
        // As a rule everything below the front door is ready; a future that asks costs a copy of all this.
        match stack.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Box::pin(stack.call(request)),
            Poll::Ready(Err(error)) => Box::pin(ready(Err(error))),
            Poll::Pending => Box::pin(stack.oneshot(request)),
        }
    }
}

impl Stack {
    /// The layer that makes a `Stack` of whatever is below it.
    #[must_use]
    pub const fn layer() -> StackLayer {
        StackLayer(())
    }

    /// Asks it. It is always ready, as everything below the front door.
    #[must_use]
    pub fn ask(&self, request: Request) -> Answering {
        self.0.ask(request)
    }
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stack")
    }
}

/// See [`Stack::layer`].
#[derive(Clone, Copy, Debug)]
pub struct StackLayer(());

impl<S> Layer<S> for StackLayer
where
    S: Service<Request, Response = Response, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Service = Stack;

    fn layer(&self, inner: S) -> Stack {
        Stack(Arc::new(inner))
    }
}

/// Finds the group that a request asks for.
///
/// A name is looked up as a group, then as an alias (one step), then as a deployment's id: such a call goes to that
/// deployment alone. What is none of these may fit a pattern.
#[derive(Clone, Debug)]
pub struct Router {
    names: Arc<Names>,
}

#[derive(Debug)]
struct Names {
    groups: HashMap<Arc<str>, Stack>,
    patterns: Patterns<Stack>,
}

impl Router {
    /// A router over these names, and over these patterns for what is none of them.
    #[must_use]
    pub fn new(groups: HashMap<Arc<str>, Stack>, patterns: Patterns<Stack>) -> Self {
        Self { names: Arc::new(Names { groups, patterns }) }
    }

    fn find(&self, name: &str) -> Option<&Stack> {
        let Names { groups, patterns } = &*self.names;
        groups.get(name).or_else(|| patterns.find(name))
    }

    /// Whether anything can be called by this name.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

impl Service<Request> for Router {
    type Response = Response;
    type Error = Error;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answering {
        match self.find(request.group()) {
            Some(group) => group.ask(request),
            None => {
                let unknown = Error::UnknownModel(Arc::clone(request.group()));
                Box::pin(ready(Err(unknown)))
            }
        }
    }
}
