//! What an upstream's answer means: the one place where an attempt is judged.
//!
//! [`answer`] reads a complete answer (status, headers, small error body), [`event`] finds an error that hides in a
//! 200, [`success`] reads what a good answer tells about limits. All three make the
//! [`Ending`] that Retry, Cooldown, Fallback, metrics and logs read; none of them judges
//! again. tower-http's `classify` tells 5xx from the rest for a trace; here the class decides what is done next.
//!
//! The order of evidence is fixed: the HTTP status first, then the codes and types that the body names, then the
//! words of its message, and those only under the statuses where a provider is known to use them. Providers echo the
//! prompt in their errors, so a 400 that speaks of a "rate limit" is still a 400. All of it is one table: `table.rs`.
//!
//! Hazards: messages are matched up to their first 4 KB; an absolute time is measured against the answer's own
//! `date` header, and against our clock only where there is none.

mod fault;
mod kind;
mod limits;
mod moment;
mod phrases;
mod policy;
mod table;
mod wait;

use http::{HeaderMap, StatusCode};
use tollgate_layers::{Class, Ending};

pub(crate) use self::fault::message_of;
use self::{fault::Fault, limits::Limits};
pub(crate) use self::{
    kind::{Kind, kind_of, openai_type, status_of},
    policy::counted,
};

/// How an attempt ended whose whole answer is here. A 2xx is looked at as [`event`] would.
pub(crate) fn answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Ending {
    if status.is_success() {
        return event(body, headers).unwrap_or_else(|| success(headers));
    }
    let fault = Fault::of_answer(headers, body);
    ending(table::judge(status.as_u16(), &fault), headers, &fault)
}

/// The ending that an error inside a 200 makes: `data` is a whole JSON body, or the data of one event. None when it
/// is no error, which costs one search for a key when it is an ordinary chunk.
pub(crate) fn event(data: &[u8], headers: &HeaderMap) -> Option<Ending> {
    let fault = Fault::of_event(data)?;
    let status = fault.status().or_else(|| table::implied(&fault)).unwrap_or(500);
    Some(ending(table::judge(status, &fault), headers, &fault))
}

/// The ending of an answer that is well so far, with what its headers tell about the limits.
pub(crate) fn success(headers: &HeaderMap) -> Ending {
    let limits = Limits::of(headers);
    Kind::Success.ending().with_seen(limits.requests, limits.tokens)
}

fn ending(kind: Kind, headers: &HeaderMap, fault: &Fault) -> Ending {
    let limits = Limits::of(headers);
    let asked = match kind.class() {
        Class::RateLimited => wait::asked(headers, fault).or_else(|| wait::hinted(headers, fault)),
        Class::Unavailable | Class::Timeout => wait::asked(headers, fault),
        // Waiting does not mend these, whatever the headers say.
        Class::Success
        | Class::Caller
        | Class::ContextWindow
        | Class::ContentPolicy
        | Class::Unauthorized => None,
    };
    kind.ending().with_retry_after(asked).with_seen(limits.requests, limits.tokens)
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
