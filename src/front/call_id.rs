//! An id for every request, so that every answer can be asked about: [`CallIdLayer`].
//!
//! The client's own where it sends one, else a random UUID. tower-http's `request_id` does the same by way of the
//! request's extensions and the operating system's random numbers, which costs six allocations and a system call each
//! time; this id need not be a secret, only a name.

use std::{
    cell::RefCell,
    hash::{BuildHasher, RandomState},
};

use fastrand::Rng;
use http::{HeaderValue, Request};
use tower::Layer;

use super::headers::CALL_ID;
use crate::{
    body::{Body, Response},
    request::{AroundCall, BeginCall, EndCall},
};

/// A longer id of a client, in bytes, is none.
const LONGEST: usize = 256;

/// Writes each request's id on its answer; the outermost layer, from which on that is an `http::Response`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallIdLayer;

/// See [`CallIdLayer`].
pub(crate) type CallId<S> = AroundCall<S, CallIdLayer>;

impl<S> Layer<S> for CallIdLayer {
    type Service = CallId<S>;

    fn layer(&self, inner: S) -> CallId<S> {
        AroundCall::new(inner, *self)
    }
}

impl<B> BeginCall<Request<B>> for CallIdLayer {
    type Call = HeaderValue;

    fn begin(&self, request: &Request<B>) -> HeaderValue {
        request.headers().get(CALL_ID).filter(|id| is_fit(id)).cloned().unwrap_or_else(random)
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
    /// Not fastrand's own: whoever seeds that, to have the same choices again, means the choices and not the ids.
    static IDS: RefCell<Rng> = RefCell::new(Rng::with_seed(RandomState::new().hash_one(())));
}

/// Whether a client's own id may stand for its request: it ends in logs, of ours or of others.
fn is_fit(id: &HeaderValue) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// A UUID of version 4, in its usual form.
fn random() -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // The version and the variant stand at fixed places among the 122 random bits.
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

    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn id(sent: Option<&'static str>, answered: Option<&'static str>) -> String {
        let service = CallIdLayer.layer(service_fn(move |_: Request<()>| async move {
            let mut response = Response::new(http::Response::new(Body::empty()));
            response.headers_mut().extend(answered.map(|id| (CALL_ID, HeaderValue::from_static(id))));
            Ok::<_, Infallible>(response)
        }));
        let mut request = Request::new(());
        request.headers_mut().extend(sent.map(|id| (CALL_ID, HeaderValue::from_static(id))));
        let response = service.oneshot(request).await.unwrap();
        response.headers()[CALL_ID].to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_client_hears_its_own_id_again() {
        assert_eq!(id(Some("mine"), None).await, "mine");
    }

    #[tokio::test]
    async fn a_client_whose_id_is_no_name_gets_another() {
        let long: &'static str = "x".repeat(LONGEST + 1).leak();
        for unfit in ["", "two words", "a\ttab", long] {
            assert_eq!(id(Some(unfit), None).await.len(), 36, "{unfit}");
        }
        assert_eq!(id(Some(&long[1..]), None).await, long[1..]);
    }

    #[tokio::test]
    async fn an_answer_has_no_say_in_it() {
        assert_eq!(id(Some("mine"), Some("theirs")).await, "mine");
    }

    #[tokio::test]
    async fn others_are_uuids_and_no_two_are_the_same() {
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
