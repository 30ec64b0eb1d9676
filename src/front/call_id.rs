//! A layer that gives every response an id by which it can be found in logs: [`CallId`].
//!
//! The id is the client's own if the client sends one, else a random UUID. tower-http's `request_id` does the same
//! through the request's extensions and the operating system's random numbers, which costs six allocations and a system
//! call per request. This id is a name and need not be secret.

use std::{
    cell::RefCell,
    hash::{BuildHasher, RandomState},
};

use fastrand::Rng;
use http::{HeaderValue, Request};

use super::headers::CALL_ID;
use crate::{
    body::{Body, Response},
    request::{AroundCall, BeginCall, EndCall},
};

/// The largest length of a client's id, in bytes. A longer id is replaced.
const LONGEST: usize = 256;

/// Writes the id of each request into its response. As the outermost layer it returns an `http::Response`.
pub(crate) type CallId<S> = AroundCall<S, WriteId>;

/// Chooses the id of each request for [`CallId`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteId;

impl<B> BeginCall<Request<B>> for WriteId {
    type Call = HeaderValue;

    fn begin(&self, request: &Request<B>) -> HeaderValue {
        request.headers().get(CALL_ID).filter(|id| is_valid(id)).cloned().unwrap_or_else(random)
    }
}

impl<E> EndCall<Response, E> for HeaderValue {
    type Response = http::Response<Body>;
    type Error = E;

    fn end(self, result: Result<Response, E>) -> Result<http::Response<Body>, E> {
        let mut response = result?;
        response.headers_mut().insert(CALL_ID, self);
        Ok(*response)
    }
}

thread_local! {
    /// The generator of ids. It is not fastrand's global one: seeding that to repeat choices must not repeat ids.
    static IDS: RefCell<Rng> = RefCell::new(Rng::with_seed(RandomState::new().hash_one(())));
}

/// Returns true if a client's own id may be used. Ids are written to logs, so only visible ASCII is accepted.
fn is_valid(id: &HeaderValue) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// Returns a UUID of version 4 in its textual form.
fn random() -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // The version and the variant have fixed positions among the 122 random bits.
    let bits = IDS.with_borrow_mut(|ids| ids.u128(..)) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let mut text = [b'-'; 36];
    let mut left = bits;
    for part in [0..8, 9..13, 14..18, 19..23, 24..36] {
        for digit in &mut text[part] {
            left = left.rotate_left(4);
            *digit = DIGITS[left as usize & 0xf];
        }
    }
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, convert::Infallible};

    use tower::{Layer, ServiceExt, service_fn};

    use super::*;

    async fn id(sent: Option<&'static str>, returned: Option<&'static str>) -> String {
        let service = CallId::layer(WriteId).layer(service_fn(move |_: Request<()>| async move {
            let mut response = Response::new(http::Response::new(Body::empty()));
            response.headers_mut().extend(returned.map(|id| (CALL_ID, HeaderValue::from_static(id))));
            Ok::<_, Infallible>(response)
        }));
        let mut request = Request::new(());
        request.headers_mut().extend(sent.map(|id| (CALL_ID, HeaderValue::from_static(id))));
        let response = service.oneshot(request).await.unwrap();
        response.headers()[CALL_ID].to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_call_id_of_the_client_is_returned() {
        assert_eq!(id(Some("mine"), None).await, "mine");
    }

    #[tokio::test]
    async fn an_invalid_call_id_is_replaced() {
        let long: &'static str = "x".repeat(LONGEST + 1).leak();
        for invalid in ["", "two words", "a\ttab", long] {
            assert_eq!(id(Some(invalid), None).await.len(), 36, "{invalid}");
        }
        assert_eq!(id(Some(&long[1..]), None).await, long[1..]);
    }

    #[tokio::test]
    async fn a_call_id_in_the_response_is_overwritten() {
        assert_eq!(id(Some("mine"), Some("theirs")).await, "mine");
    }

    #[tokio::test]
    async fn generated_call_ids_are_distinct_uuids() {
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            let id = id(None, None).await;
            let parts: Vec<_> = id.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
            assert!(id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()), "{id}");
            assert_eq!((&id[14..15], "89ab".contains(&id[19..20])), ("4", true), "{id}");
            assert!(seen.insert(id));
        }
    }
}
