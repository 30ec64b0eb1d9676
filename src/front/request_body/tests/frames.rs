//! Wherever a body is cut into frames, what is read of it is the same, and so is what leaves.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use proptest::{collection::vec, prelude::*, sample::Index};
use tokio::time::Instant;

use super::{
    super::{read, reading::Reading},
    bodies::body,
    instead, sent,
};
use crate::{
    error::InvalidRequest,
    request::{BodyFrames, Operation, ParsedRequest, RequestContext, RequestInfo},
};

/// What is read of these frames, those of so many bytes kept as they are.
fn read_in(frames: &[Bytes], worth: usize) -> Result<(Arc<RequestInfo>, BodyFrames), InvalidRequest> {
    let mut reading = Reading::keeping(worth);
    frames.iter().cloned().for_each(|frame| reading.take(frame));
    reading.end(Operation::Chat, &HeaderMap::new())
}

fn cut(body: &Bytes, mut places: Vec<usize>) -> Vec<Bytes> {
    places.push(body.len());
    places.sort_unstable();
    let mut from = 0;
    let mut frame = |to| body.slice(std::mem::replace(&mut from, to)..to);
    places.into_iter().map(&mut frame).collect()
}

fn prompt((head, bytes): (Arc<RequestInfo>, BodyFrames)) -> ParsedRequest {
    let context = Arc::new(RequestContext::new(Instant::now(), None));
    ParsedRequest { instead: instead(&[("messages", "[3]")]), ..ParsedRequest::new(bytes, head, context) }
}

/// The same head and the same bytes upstream, or the same words about the same place.
fn same(body: &Bytes, frames: &[Bytes], worth: usize) -> Result<(), TestCaseError> {
    let whole = read(Operation::Chat, &HeaderMap::new(), body);
    match (whole, read_in(frames, worth)) {
        (Ok(head), Ok(read)) => {
            prop_assert_eq!(format!("{head:?}"), format!("{:?}", read.0));
            prop_assert_eq!(&read.1.flat(), body);
            let (whole, mut cut) = (prompt((head.into(), body.clone().into())), prompt(read));
            let defaults = [("temperature", "0.10")];
            prop_assert_eq!(sent(&cut, "n", &defaults), sent(&whole, "n", &defaults));
            let usage = whole.payload_with_usage("n", &[]).to_bytes();
            prop_assert_eq!(cut.payload_with_usage("n", &[]).to_bytes(), usage);
            (cut.instead, cut.prefix) = (None, Some("so far".into()));
            let whole = ParsedRequest { prefix: cut.prefix.clone(), instead: None, ..whole };
            prop_assert_eq!(sent(&cut, "n", &[]), sent(&whole, "n", &[]));
        }
        (whole, cut) => prop_assert_eq!(whole.err(), cut.err()),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_border_anywhere_changes_nothing(
        body in body(prop::bool::weighted(0.05), 0..=4),
        blows in vec((any::<Index>(), any::<u8>()), 0..2),
        cuts in vec(any::<Index>(), 0..9),
        worth in prop::sample::select(vec![0, 1, 7, 40]),
    ) {
        let mut bytes = body.text(true).into_bytes();
        for (place, byte) in blows {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        let body = Bytes::from(bytes);
        let places = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        same(&body, &cut(&body, places), worth)?;
    }

    #[test]
    fn text_is_text_and_bytes_are_none_wherever_they_are_cut(
        text in "[a-zé€😀\\x7f]{0,24}",
        blow in prop::option::of((any::<Index>(), any::<u8>())),
        cuts in vec(any::<Index>(), 1..9),
    ) {
        let mut bytes = format!(r#"{{"messages":"{text}","model":"m"}}"#).into_bytes();
        if let Some((place, byte)) = blow {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        let body = Bytes::from(bytes);
        let places = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        same(&body, &cut(&body, places), 0)?;
    }
}

#[test]
fn every_border_of_a_request_with_all_there_is_changes_nothing() {
    let body = Bytes::from_static(
        br#" {"num_retries": 2, "mod\u0065l":"\u006d/1","stream" : true,"stream_options":{"a":[1,2]},
            "messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO"}}]}],
            "fallbacks":[{"model":"b","temperature":0.10}],"max_tokens":100,"user":"caf\xc3\xa9" } "#,
    );
    for first in 0..=body.len() {
        same(&body, &cut(&body, vec![first]), 0).unwrap();
        same(&body, &cut(&body, vec![first, (first + 5).min(body.len())]), 0).unwrap();
    }
    let each = (0..=body.len()).collect();
    same(&body, &cut(&body, each), 0).unwrap();
}

/// A prompt of so many bytes.
fn long(bytes: usize) -> Bytes {
    Bytes::from(format!(r#"{{"model":"m","messages":"{}"}}"#, "a".repeat(bytes)))
}

#[test]
fn large_frames_stay_where_they_are() {
    let body = long(40_000);
    let mut reading = Reading::new();
    cut(&body, vec![3_000, 20_000]).into_iter().for_each(|frame| reading.take(frame));
    let (head, frames) = reading.end(Operation::Chat, &HeaderMap::new()).unwrap();
    let inside = |frame: &Bytes| body.as_ptr_range().contains(&frame.as_ptr());
    let kept =
        |frames: &BodyFrames| frames.slices(0..frames.len()).map(|frame| inside(&frame)).collect::<Vec<_>>();
    assert_eq!(kept(&frames), [false, true, true], "the first is too small to hold its buffer");
    let prompt = ParsedRequest { instead: None, ..prompt((head, frames)) };
    assert_eq!(sent(&prompt, "m", &[]).as_bytes(), body);
}

#[test]
fn small_frames_do_not_hold_the_buffers_that_they_came_in() {
    let body = long(200_000);
    let frames = cut(&body, (0..body.len()).step_by(100).collect());
    // As if each had come in a buffer of its own, of 8 KB.
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
    let (_, frames) = reading.end(Operation::Chat, &HeaderMap::new()).unwrap();
    assert!(held.iter().all(Bytes::is_unique), "a buffer is held");
    assert_eq!(frames.flat(), body);
    assert!(frames.slices(0..frames.len()).count() <= 4);
}
