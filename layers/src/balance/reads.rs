//! What the balancer reads in a request: [`Reads`].

use tokio::time::Instant;

use crate::{Attempts, Setting, attempts::Alone, setting::Constant};

/// The settings by which the balancer reads a request.
#[derive(Clone, Copy, Debug)]
pub struct Settings<A = Alone, D = Constant<Option<Instant>>, K = Constant<u8>> {
    pub(super) attempts: A,
    pub(super) deadline: D,
    pub(super) kind: K,
}

impl Settings {
    pub(super) const NONE: Self = Self { attempts: Alone, deadline: Constant(None), kind: Constant(0) };
}

/// What [`Settings`] of the right kinds say about a request. Implemented for those alone.
pub trait Reads<Req> {
    /// What it has tried so far.
    fn attempts<'a>(&self, req: &'a Req) -> Option<&'a Attempts>;

    /// After which it need not be answered.
    fn deadline(&self, req: &Req) -> Option<Instant>;

    /// 0 or 1: of which kind it is, where speed is compared.
    fn kind(&self, req: &Req) -> usize;
}

impl<Req, A, D, K> Reads<Req> for Settings<A, D, K>
where
    A: for<'a> Setting<&'a Req, Value = Option<&'a Attempts>>,
    D: for<'a> Setting<&'a Req, Value = Option<Instant>>,
    K: for<'a> Setting<&'a Req, Value = u8>,
{
    fn attempts<'a>(&self, req: &'a Req) -> Option<&'a Attempts> {
        self.attempts.get(req)
    }

    fn deadline(&self, req: &Req) -> Option<Instant> {
        self.deadline.get(req)
    }

    fn kind(&self, req: &Req) -> usize {
        usize::from(self.kind.get(req) != 0)
    }
}
