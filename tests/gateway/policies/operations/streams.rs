//! The policies of streams, for the operations that have them.

use std::future::Future;

use super::{
    NO_COOLDOWNS, each,
    row::{Row, Streams},
};
use crate::support::{
    answers as say,
    case::hangs_up,
    reply::{Part, Reply},
};

/// Holds a policy against each row that has streams. The others state why they have none.
async fn each_streamed<F>(policy: impl Fn(Row, Streams) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    each(|row| {
        let held = row.streams.ok().map(|streams| policy(row, streams()));
        async move {
            if let Some(held) = held {
                held.await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn each_stream_that_breaks_before_its_first_content_is_retried() {
    each_streamed(|row, streams| async move {
        let begun = || streams.begin.clone();
        let empty = Reply::bytes(200, "text/event-stream", "");
        let breaks = [empty, begun(), begun().then(Part::Cut), begun().then(Part::Reset)];
        let faults = [hangs_up(), row.refusals.unavailable.clone()].into_iter().chain(breaks);
        let world = row.stream_case("m: a b", &streams).first("a").router(NO_COOLDOWNS).start().await;
        for fault in faults {
            world.upstream("a").becomes(fault);
            let stream = row.stream(&world).await;
            assert_eq!((streams.said)(&stream), "b");
            assert_eq!(stream.headers["x-litellm-attempted-retries"], "1");
        }
        assert_eq!(world.each("a b"), [6, 6]);
    })
    .await;
}

#[tokio::test]
async fn each_stream_that_breaks_before_its_first_content_falls_back() {
    each_streamed(|row, streams| async move {
        let case = row.stream_case("m: a; n: b", &streams).always("a", streams.begin.clone().then(Part::Cut));
        let world = case.settings("num_retries: 0, fallbacks: [{m: [n]}]").start().await;
        let stream = row.stream(&world).await;
        assert_eq!((streams.said)(&stream), "b");
        assert_eq!(stream.headers["x-litellm-attempted-fallbacks"], "1");
    })
    .await;
}

#[tokio::test]
async fn each_stream_that_is_refused_uses_the_fallbacks_of_the_reason() {
    each_streamed(|row, streams| async move {
        let lists = "fallbacks: [{m: [n]}], context_window_fallbacks: [{m: [o]}], content_policy_fallbacks: [{m: [p]}]";
        let world = row.stream_case("m: a; n: b; o: c; p: d", &streams).settings(lists).start().await;
        for (refusal, served) in [(&row.refusals.context_window, "c"), (&row.refusals.content_policy, "d")] {
            world.upstream("a").becomes(refusal.clone());
            assert_eq!((streams.said)(&row.stream(&world).await), served);
        }
        assert_eq!(world.each("a b c d"), [2, 0, 1, 1]);
    })
    .await;
}

#[tokio::test]
async fn each_stream_that_breaks_after_its_first_content_ends_with_an_error() {
    each_streamed(|row, streams| async move {
        let half = || streams.begin.clone().and(streams.half.clone());
        let world = row.stream_case("m: a b", &streams).first("a").router(NO_COOLDOWNS).start().await;
        for fault in [half(), half().then(Part::Cut), half().then(Part::Reset)] {
            world.upstream("a").becomes(fault);
            let stream = row.stream(&world).await;
            assert!(stream.text().contains("half"), "{}", stream.text());
            (streams.broken)(&stream);
        }
        assert_eq!(world.each("a b"), [3, 0], "nothing is repeated");
    })
    .await;
}

#[tokio::test]
async fn each_stream_that_is_silent_before_its_first_content_is_left_at_stream_timeout() {
    each_streamed(|row, streams| async move {
        let case = row.stream_case("m: a b", &streams).first("a").patient("b");
        let world = case.router("stream_timeout: 0.3, disable_cooldowns: true").start().await;
        for (number, silent) in [(1, say::silence()), (2, streams.begin.clone().then(Part::Hang))] {
            world.upstream("a").becomes(silent);
            assert_eq!((streams.said)(&row.stream(&world).await), "b");
            world.upstream("a").call(number).await.left().await;
        }
    })
    .await;
}

#[tokio::test]
async fn each_stream_that_stalls_after_its_first_content_ends_at_stream_idle_timeout() {
    each_streamed(|row, streams| async move {
        let stalled = streams.begin.clone().and(streams.half.clone()).then(Part::Hang);
        let case = row.stream_case("m: a b", &streams).first("a").always("a", stalled);
        let world = case.router("stream_idle_timeout: 0.3").start().await;
        let stream = row.stream(&world).await;
        (streams.broken)(&stream);
        assert!(stream.text().contains("half"), "{}", stream.text());
        world.upstream("a").only().left().await;
    })
    .await;
}

#[tokio::test]
async fn each_stream_ends_upstream_when_its_client_disconnects() {
    each_streamed(|row, streams| async move {
        let speaking = streams.begin.clone().and(streams.half.clone()).then(Part::Hang);
        let world = row.stream_case("m: a b", &streams).first("a").always("a", speaking).start().await;
        let mut stream = row.open(&world, true).await;
        stream.until("half").await;
        drop(stream);
        world.upstream("a").only().left().await;
        assert_eq!(world.calls("b"), 0);
    })
    .await;
}
