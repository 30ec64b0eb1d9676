//! Tests of frames: the parsed request and the upstream's body do not depend on where a body is cut into frames.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use proptest::{collection::vec, prelude::*, sample::Index};
use tokio::time::Instant;

use super::{
    super::{
        read,
        reading::{Ended, ReadBody, Reading, read_again},
        upload::Pieces,
    },
    bodies::body,
    fallback, sent,
};
use crate::{
    error::InvalidRequest,
    request::{BodyFrames, Operation, ParsedRequest, RequestContext, RequestInfo},
};

/// Reads frames; those of `min_frame` bytes and more are not copied.
fn read_in(frames: &[Bytes], min_frame: usize) -> Result<ReadBody, InvalidRequest> {
    let mut reading = Reading::keeping(min_frame);
    frames.iter().cloned().for_each(|frame| reading.take(frame));
    end(reading)
}

fn end(reading: Reading) -> Result<ReadBody, InvalidRequest> {
    let (target, headers) = (Operation::Chat.into(), HeaderMap::new());
    match reading.end(&target, &headers)? {
        Ended::Accepted(body) => Ok(body),
        Ended::Rejected(frames) => read_again(frames, &target, &headers),
    }
}

fn cut(body: &Bytes, mut places: Vec<usize>) -> Vec<Bytes> {
    places.push(body.len());
    places.sort_unstable();
    let mut from = 0;
    let mut frame = |to| body.slice(std::mem::replace(&mut from, to)..to);
    places.into_iter().map(&mut frame).collect()
}

fn parsed_request((info, bytes): (Arc<RequestInfo>, BodyFrames)) -> ParsedRequest {
    let context = Arc::new(RequestContext::new(Instant::now(), None));
    ParsedRequest { fallback: fallback(&[("messages", "[3]")]), ..ParsedRequest::new(bytes, info, context) }
}

/// Asserts that the frames give the same info and upstream body as the whole, or the same error.
fn assert_same(body: &Bytes, frames: &[Bytes], min_frame: usize) -> Result<(), TestCaseError> {
    let whole = read(&Operation::Chat.into(), &HeaderMap::new(), body);
    match (whole, read_in(frames, min_frame)) {
        (Ok(info), Ok(read)) => {
            prop_assert_eq!(format!("{info:?}"), format!("{:?}", read.0));
            prop_assert_eq!(&read.1.flat(), body);
            let (whole, mut cut) = (parsed_request((info.into(), body.clone().into())), parsed_request(read));
            let defaults = [("temperature", "0.10")];
            prop_assert_eq!(sent(&cut, "n", &defaults), sent(&whole, "n", &defaults));
            let usage = whole.payload_with_usage("n", &[]).to_bytes();
            prop_assert_eq!(cut.payload_with_usage("n", &[]).to_bytes(), usage);
            (cut.fallback, cut.prefix) = (None, Some("so far".into()));
            let whole = ParsedRequest { prefix: cut.prefix.clone(), fallback: None, ..whole };
            prop_assert_eq!(sent(&cut, "n", &[]), sent(&whole, "n", &[]));
        }
        (whole, cut) => prop_assert_eq!(whole.err(), cut.err()),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn frame_boundaries_anywhere_change_nothing(
        body in body(prop::bool::weighted(0.05), 0..=4),
        damage in vec((any::<Index>(), any::<u8>()), 0..2),
        cuts in vec(any::<Index>(), 0..9),
        min_frame in prop::sample::select(vec![0, 1, 7, 40]),
    ) {
        let mut bytes = body.text(true).into_bytes();
        for (index, byte) in damage {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let body = Bytes::from(bytes);
        let places = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        assert_same(&body, &cut(&body, places), min_frame)?;
    }

    #[test]
    fn frame_boundaries_do_not_change_the_check_of_utf8(
        text in "[a-zé€😀\\x7f]{0,24}",
        damage in prop::option::of((any::<Index>(), any::<u8>())),
        cuts in vec(any::<Index>(), 1..9),
    ) {
        let mut bytes = format!(r#"{{"messages":"{text}","model":"m"}}"#).into_bytes();
        if let Some((index, byte)) = damage {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let body = Bytes::from(bytes);
        let places = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        assert_same(&body, &cut(&body, places), 0)?;
    }
}

#[test]
fn frame_boundaries_at_every_offset_of_a_full_request_change_nothing() {
    let body = Bytes::from_static(
        br#" {"num_retries": 2, "mod\u0065l":"\u006d/1","stream" : true,"stream_options":{"a":[1,2]},
            "messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO"}}]}],
            "fallbacks":[{"model":"b","temperature":0.10}],"max_tokens":100,"user":"caf\xc3\xa9" } "#,
    );
    for first in 0..=body.len() {
        assert_same(&body, &cut(&body, vec![first]), 0).unwrap();
        assert_same(&body, &cut(&body, vec![first, (first + 5).min(body.len())]), 0).unwrap();
    }
    let each = (0..=body.len()).collect();
    assert_same(&body, &cut(&body, each), 0).unwrap();
}

/// Returns a request body with a message of this length.
fn long(bytes: usize) -> Bytes {
    Bytes::from(format!(r#"{{"model":"m","messages":"{}"}}"#, "a".repeat(bytes)))
}

#[test]
fn large_frames_are_not_copied() {
    let body = long(40_000);
    let mut reading = Reading::new();
    cut(&body, vec![3_000, 20_000]).into_iter().for_each(|frame| reading.take(frame));
    let (info, frames) = end(reading).unwrap();
    let inside = |frame: &Bytes| body.as_ptr_range().contains(&frame.as_ptr());
    let kept =
        |frames: &BodyFrames| frames.slices(0..frames.len()).map(|frame| inside(&frame)).collect::<Vec<_>>();
    assert_eq!(kept(&frames), [false, true, true], "the first is too small to hold its buffer");
    let parsed = ParsedRequest { fallback: None, ..parsed_request((info, frames)) };
    assert_eq!(sent(&parsed, "m", &[]).as_bytes(), body);
}

#[test]
fn small_frames_do_not_keep_their_buffers_alive() {
    let body = long(200_000);
    let frames = cut(&body, (0..body.len()).step_by(100).collect());
    // Each frame is a part of a buffer of its own of 8 KB.
    let (held, frames): (Vec<_>, Vec<_>) = frames
        .into_iter()
        .map(|frame| {
            let buffer = Bytes::from([&*frame, &[0; 8192]].concat());
            let part = buffer.slice(..frame.len());
            (buffer, part)
        })
        .unzip();
    let mut reading = Reading::new();
    frames.into_iter().for_each(|frame| reading.take(frame));
    let (_, frames) = end(reading).unwrap();
    assert!(held.iter().all(Bytes::is_unique), "a buffer is kept alive");
    assert_eq!(frames.flat(), body);
    assert!(frames.slices(0..frames.len()).count() <= 4);
}
