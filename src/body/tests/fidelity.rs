//! A stream is passed on byte for byte, and no truncated stream looks complete.

use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures_util::StreamExt;
use proptest::prelude::*;
use tollgate_layers::{Class, setting::Constant};

use crate::{
    body::{
        AttemptTimeouts, Body, OutcomeCallback, ScriptStep,
        sse::Framer,
        testing::{
            CLASSIFIER, DONE, ROLE, RecordedOutcomes, STOP, USAGE, data, peek, peek_with, read, says, sse,
        },
    },
    deployment::peek::PeekLayer,
    error::BodyError,
};

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Returns the data of all events, read by an independent parser.
fn reference_events(stream: &str) -> Vec<String> {
    let whole = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(stream.to_owned())]);
    let events = run(whole.eventsource().collect::<Vec<_>>());
    events.into_iter().map(|event| event.expect("a valid stream").data).collect()
}

/// Returns the data of all events as read by [`Framer`] from these pieces, and the bytes that it returned.
fn framed(pieces: &[Bytes]) -> (Vec<String>, Vec<u8>) {
    let (mut framer, mut events, mut bytes) = (Framer::new(1 << 20), Vec::new(), Vec::new());
    for piece in pieces {
        framer.push(piece.clone());
        loop {
            let from = framer.start();
            let Some(block) = framer.next_block().expect("short") else { break };
            if let Some(data) = block.data {
                events.push(String::from_utf8(data.into_owned()).expect("utf-8"));
            }
            let end = block.end;
            bytes.extend_from_slice(&framer.slice(from..end));
        }
    }
    framer.unfinished().for_each(|piece| bytes.extend_from_slice(piece));
    (events, bytes)
}

/// Cuts a stream at these offsets, in thousandths of its length.
fn split(stream: &str, at: &[usize]) -> Vec<Bytes> {
    let mut cuts: Vec<_> = at.iter().map(|cut| cut * stream.len() / 1000).collect();
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| Bytes::copy_from_slice(&stream.as_bytes()[pair[0]..pair[1]])).collect()
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => "data: ?[a-zé☃: ]{0,12}",
        1 => "data",
        1 => "event: ?[a-z]{0,5}",
        1 => "(id|retry|other): [0-9]{1,3}",
        1 => ": ?[a-z]{0,6}",
        4 => Just(String::new()),
    ]
}

fn line_end() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("\n"), Just("\r\n"), Just("\r")]
}

/// An event of a model, or other lines that an upstream may send between two events.
fn event() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-zé☃]{0,8}".prop_map(|text| says(&text)),
        1 => Just(ROLE.to_owned()),
        1 => Just(": ping\n\n".to_owned()),
        1 => Just("\n".to_owned()),
        1 => Just("event: ping\ndata: {}\n\n".to_owned()),
        1 => Just("data: {\ndata: \"choices\":[]}\n\n".to_owned()),
    ]
}

fn model_stream() -> impl Strategy<Value = (String, bool)> {
    let end = prop_oneof![
        Just((format!("{STOP}{USAGE}{DONE}"), true)),
        Just((format!("{STOP}{USAGE}"), true)),
        Just((DONE.to_owned(), true)),
        Just((String::new(), false)),
    ];
    let body = (proptest::collection::vec(event(), 0..12), end, line_end());
    body.prop_map(|(events, (last, ends), line_end)| {
        let stream = format!("{}{}{last}", says("first"), events.concat());
        (stream.replace('\n', line_end), ends)
    })
}

proptest! {
    #[test]
    fn sse_framer_agrees_with_an_independent_parser(
        lines in proptest::collection::vec((line(), line_end()), 0..40),
        bom in any::<bool>(),
        cuts in proptest::collection::vec(0..=1000_usize, 0..12),
    ) {
        let mut stream: String = lines.iter().flat_map(|(line, end)| [line.as_str(), end]).collect();
        // The last line end is LF: after a CR the reference parser waits for an LF.
        stream.push('\n');
        let expected = reference_events(&stream); // which cannot stand a byte order mark
        if bom {
            stream.insert(0, '\u{feff}');
        }
        let (events, bytes) = framed(&split(&stream, &cuts));
        prop_assert_eq!(bytes, stream.as_bytes());
        prop_assert_eq!(events, expected);
    }

    #[test]
    fn stream_of_any_lines_is_passed_on_with_at_most_one_added_event(
        lines in proptest::collection::vec((line(), line_end()), 0..40),
        last in "(data: )?[a-z]{0,3}",
        finish in any::<bool>(),
        cuts in proptest::collection::vec(0..=1000_usize, 0..12),
    ) {
        let mut stream = says("first") + if finish { STOP } else { "" };
        stream.extend(lines.iter().flat_map(|(line, end)| [line.as_str(), end]));
        stream.push_str(&last);
        let steps = split(&stream, &cuts).into_iter().map(ScriptStep::Data);
        let layer = PeekLayer::new(Constant(AttemptTimeouts::default()), CLASSIFIER).with_broken_events(true);
        let (received, outcome) = run(received(layer, sse(steps)));
        let same = received.bytes().zip(stream.bytes()).take_while(|(received, sent)| received == sent).count();
        // The added event may begin with the same letters as the bytes that it replaces.
        let ours = received.rfind(if finish { DONE } else { "data: {\"error\":" });
        prop_assert!(ours.is_some_and(|ours| ours <= same || received[same..ours].trim().is_empty()), "{received:?}");
        prop_assert_eq!(outcome.0, if finish { Class::Success } else { Class::Unavailable });
        if finish {
            prop_assert!(received.starts_with(&stream));
        }
    }

    #[test]
    fn stream_of_a_model_is_passed_on_with_at_most_one_added_event(
        (stream, ends) in model_stream(),
        cuts in proptest::collection::vec(0..=1000_usize, 0..12),
    ) {
        let steps = split(&stream, &cuts).into_iter().map(ScriptStep::Data);
        let (received, outcome) = run(received(PeekLayer::new(Constant(AttemptTimeouts::default()), CLASSIFIER), sse(steps)));
        let tail = received.strip_prefix(&stream).expect("the stream comes first, byte for byte");
        if !ends {
            prop_assert!(tail.starts_with("data: {\"error\":") && tail.matches("data:").count() == 1, "{}", tail);
        } else if stream.contains("[DONE]") {
            prop_assert_eq!(tail, "");
        } else {
            prop_assert_eq!(tail, DONE);
        }
        let used = stream.contains("total_tokens").then_some(7);
        prop_assert_eq!(outcome, (if ends { Class::Success } else { Class::Unavailable }, used));
    }
}

/// Returns the client's bytes, and the class and the tokens of the outcome.
async fn received(
    layer: PeekLayer<Constant<AttemptTimeouts>>,
    upstream: http::Response<crate::body::UpstreamBody>,
) -> (String, (Class, Option<u64>)) {
    let mut body = peek_with(layer, true, upstream).await.expect("committed").into_body();
    let mut received = Vec::new();
    while let Some(frame) = http_body_util::BodyExt::frame(&mut body).await {
        received.extend_from_slice(&frame.expect("no fault").into_data().expect("data"));
    }
    let outcome = (body.outcome().class(), body.outcome().used());
    (String::from_utf8(received).expect("utf-8"), outcome)
}

/// Returns about 4 KB of a stream.
fn four_kilobytes() -> String {
    let words: String = (0..50).map(|i| says(&format!("wörd {i} {}", "x".repeat(12)))).collect();
    let stream = format!(": hello\n\n{ROLE}{words}{STOP}{USAGE}{DONE}");
    assert!((3800..4600).contains(&stream.len()), "{}", stream.len());
    stream
}

#[test]
fn stream_cut_at_any_byte_is_complete_or_ends_with_an_error() {
    let stream = four_kilobytes();
    let done = stream.find("data: [DONE]").expect("it has one");
    for cut in 0..stream.len() {
        // The connection breaks.
        let before = Bytes::copy_from_slice(&stream.as_bytes()[..cut]);
        let steps = [
            ScriptStep::Data(before.clone()),
            ScriptStep::Wait(std::time::Duration::from_millis(1)),
            ScriptStep::Cut,
        ];
        match run(peek(true, AttemptTimeouts::default(), sse(steps))) {
            Err(error) => assert_eq!(error, BodyError::Cut, "{cut}"),
            Ok(response) => assert_complete_or_error(
                response.into_body(),
                &stream,
                cut >= done + "data: [DONE]\n\n".len(),
            ),
        }
        // The connection ends cleanly.
        match run(peek(true, AttemptTimeouts::default(), sse([ScriptStep::Data(before)]))) {
            Err(error) => assert!(
                matches!(error, BodyError::Empty | BodyError::Unfinished | BodyError::NotAStream),
                "{cut}: {error}"
            ),
            Ok(response) => {
                let finished = stream.find("\"stop\"}]}").expect("it has one") + "\"stop\"}]}".len();
                assert_complete_or_error(response.into_body(), &stream, cut >= finished);
            }
        }
    }
}

fn assert_complete_or_error(mut body: Body, stream: &str, complete: bool) {
    let outcomes = RecordedOutcomes::default();
    body.attach(OutcomeCallback::new(outcomes.callback()));
    let (received, error) = run(read(body));
    assert_eq!(error, None);
    if complete {
        assert!(received.trim_end().ends_with("data: [DONE]") && !received.contains("error"), "{received}");
        assert_eq!(outcomes.all(), [Some(Class::Success)]);
        return;
    }
    let at = received.find("data: {\"error\":").unwrap_or_else(|| panic!("looks complete: {received}"));
    assert!(stream.starts_with(&received[..at]), "{received}");
    assert!(!received.contains("[DONE]"), "{received}");
    assert_eq!(outcomes.all(), [Some(Class::Unavailable)]);
}

#[test]
fn removing_the_injected_usage_chunk_changes_no_other_byte() {
    let stream = four_kilobytes();
    let layer = PeekLayer::new(Constant(AttemptTimeouts::default()), CLASSIFIER).with_injected_usage(true);
    for size in [1, 7, 100, 1000, 10_000] {
        let steps: Vec<_> = stream.as_bytes().chunks(size).map(|piece| data(piece.to_vec())).collect();
        let response = run(peek_with(layer.clone(), true, sse(steps))).expect("committed");
        assert_eq!(run(read(response.into_body())).0, stream.replace(USAGE, ""), "{size}");
    }
}
