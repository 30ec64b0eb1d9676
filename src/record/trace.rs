//! The trace that a request belongs to, by W3C Trace Context: [`Trace`] and the [`Sampler`] that begins it.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries the trace and the span of the caller.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;

/// The trace of a request, and the span of the request in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) id: u128,
    /// The span of the caller; zero if the trace begins here.
    pub(crate) parent: u64,
    pub(crate) span: u64,
    /// True if the spans are exported.
    pub(crate) is_sampled: bool,
}

impl Trace {
    /// Returns the span of an attempt: the number of attempts that ended before it identifies it.
    pub(crate) const fn attempt(&self, ended_before: usize) -> u64 {
        // An odd factor permutes the numbers, so spans of one request differ.
        let span = self.span.wrapping_add((ended_before as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if span == 0 { 1 } else { span }
    }

    /// Returns the header for the upstream of an attempt.
    pub(crate) fn traceparent(&self, ended_before: usize) -> Option<HeaderValue> {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(self.id, &mut text[3..35]);
        write_hex(self.attempt(ended_before).into(), &mut text[36..52]);
        write_hex(u128::from(self.is_sampled), &mut text[53..]);
        HeaderValue::from_bytes(&text).ok()
    }
}

/// Writes the last hexadecimal digits of a number.
fn write_hex(mut number: u128, text: &mut [u8]) {
    for digit in text.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

/// The choice of the traces that are recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampler {
    /// The share of the traces that begin here, 0.0 to 1.0.
    pub(crate) share: f64,
    /// True if a caller that states its choice decides for its traces.
    pub(crate) follows_parent: bool,
}

impl Sampler {
    /// Continues the trace of the request's headers, or begins one.
    pub(crate) fn trace(&self, headers: &HeaderMap) -> Trace {
        let parent = headers.get(TRACEPARENT).and_then(|header| parse(header.as_bytes()));
        let (id, parent, flags) = match parent {
            Some((id, span, flags)) => (id, span, Some(flags)),
            // An id of zero is invalid.
            None => (fastrand::u128(1..), 0, None),
        };
        let is_sampled = match flags {
            Some(flags) if self.follows_parent => flags & SAMPLED != 0,
            // The lower half of an id is random: all services that sample by it choose the same traces.
            _ => self.share >= 1.0 || ((id as u64) as f64) < self.share * u64::MAX as f64,
        };
        Trace { id, parent, span: fastrand::u64(1..), is_sampled }
    }
}

/// Returns the trace, the span and the flags of a header, or none if it is invalid. Later versions may be longer.
fn parse(header: &[u8]) -> Option<(u128, u64, u8)> {
    let text = std::str::from_utf8(header).ok()?;
    let mut parts = text.split('-');
    let [version, id, span, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let has_form = is_hex(version, 2) && is_hex(id, 32) && is_hex(span, 16) && is_hex(flags, 2);
    if !has_form || version == "ff" || version == "00" && parts.next().is_some() {
        return None;
    }
    let (id, span) = (u128::from_str_radix(id, 16).ok()?, u64::from_str_radix(span, 16).ok()?);
    (id != 0 && span != 0).then_some((id, span, u8::from_str_radix(flags, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn headers(traceparent: &str) -> HeaderMap {
        HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_str(traceparent).unwrap())])
    }

    #[test]
    fn a_trace_is_continued_with_a_span_of_its_own() {
        let sampler = Sampler { share: 0.0, follows_parent: true };
        let trace = sampler.trace(&headers(&format!("00-{ID}-00f067aa0ba902b7-01")));
        assert_eq!((trace.id, trace.parent), (u128::from_str_radix(ID, 16).unwrap(), 0x00f0_67aa_0ba9_02b7));
        assert!(trace.is_sampled && trace.span != trace.parent);
        let next = trace.traceparent(0).unwrap();
        assert_eq!(next, format!("00-{ID}-{:016x}-01", trace.attempt(0)));
        assert_eq!(parse(next.as_bytes()), Some((trace.id, trace.attempt(0), 1)));
        assert_ne!(trace.attempt(0), trace.attempt(1));
        assert!(!sampler.trace(&headers(&format!("00-{ID}-00f067aa0ba902b7-00"))).is_sampled);
        // A caller does not decide for a sampler that does not follow it.
        let all = Sampler { share: 1.0, follows_parent: false };
        assert!(all.trace(&headers(&format!("00-{ID}-00f067aa0ba902b7-00"))).is_sampled);
    }

    #[test]
    fn an_invalid_traceparent_begins_a_new_trace() {
        for invalid in [
            "",
            "00",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            let trace = Sampler { share: 1.0, follows_parent: true }.trace(&headers(invalid));
            assert!(trace.parent == 0 && trace.id != 0 && trace.span != 0 && trace.is_sampled, "{invalid}");
        }
        assert!(parse(format!("01-{ID}-00f067aa0ba902b7-01-more").as_bytes()).is_some());
    }

    #[test]
    fn a_share_of_the_traces_is_sampled() {
        let count = |share| {
            let sampler = Sampler { share, follows_parent: true };
            (0..10_000).filter(|_| sampler.trace(&HeaderMap::new()).is_sampled).count()
        };
        assert_eq!((count(0.0), count(1.0)), (0, 10_000));
        assert!((800..1200).contains(&count(0.1)));
    }
}
