//! Tests of compressed request bodies: what is read is the decompressed body, within the limits.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use proptest::{collection::vec, prelude::*, sample::Index};
use tokio::time::Instant;
use tollgate_test_support::{Script, Step, compressed};

use super::super::{
    memory::BodyMemory,
    read,
    reading::{Ended, ReadBody, Reading, read_again},
    upload::upload,
};
use crate::{Error, error::InvalidRequest, request::Operation};

const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

/// The number of bytes for which one permit of the memory stands.
const UNIT: usize = 1024;

type Read = Result<ReadBody, InvalidRequest>;

fn headers(coding: &str) -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap())])
}

/// Uploads and reads a body. Returns the result and the memory that the body takes.
async fn read_from(script: Script, coding: &str, max_body: usize) -> (Read, usize) {
    let (headers, memory) = (headers(coding), BodyMemory::new(1 << 30));
    let (mut share, mut reading) = (memory.share(), Reading::new());
    let uploaded = upload(&headers, script.into_body(), (max_body, &mut share), &mut reading).await;
    let taken = share.finish().map_or(0, |permit| permit.num_permits());
    let read = match uploaded {
        Ok(()) => end(reading, &headers),
        Err(Error::InvalidRequest(invalid)) => Err(invalid),
        Err(other) => panic!("{other:?}"),
    };
    (read, taken * UNIT)
}

fn end(reading: Reading, headers: &HeaderMap) -> Read {
    let target = Operation::Chat.into();
    match reading.end(&target, headers)? {
        Ended::Accepted(body) => Ok(body),
        Ended::Rejected(frames) => read_again(frames, &target, headers),
    }
}

/// Returns the parts of a body.
fn parts(bytes: &Bytes, cuts: &[Index]) -> Vec<Bytes> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|ends| bytes.slice(ends[0]..ends[1])).collect()
}

fn cut(bytes: impl Into<Bytes>, cuts: &[Index]) -> Script {
    parts(&bytes.into(), cuts).into_iter().flat_map(|part| [Step::Data(part), Step::Yield]).collect()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_compressed_body_is_read_like_the_body_itself(
        body in super::bodies::body(prop::bool::weighted(0.05), 0..=4),
        long in 0_usize..100_000,
        coding in prop::sample::select(CODINGS.to_vec()),
        pieces in vec(any::<Index>(), 0..3),
        cuts in vec(any::<Index>(), 0..9),
    ) {
        let body = Bytes::from(body.text(true) + &" ".repeat(long));
        let (read_compressed, memory) = run(async {
            let whole = compressed(coding, &parts(&body, &pieces)).await.unwrap().concat();
            read_from(cut(whole, &cuts), coding, body.len()).await
        });
        prop_assert!(read_compressed.is_err() || memory / UNIT == body.len() / UNIT);
        match (read(&Operation::Chat.into(), &HeaderMap::new(), &body), read_compressed) {
            (Ok(info), Ok((read, frames))) => {
                prop_assert_eq!(format!("{info:?}"), format!("{read:?}"));
                prop_assert_eq!(frames.flat(), body);
            }
            (plain, compressed) => prop_assert_eq!(plain.err(), compressed.err()),
        }
    }

    #[test]
    fn a_compressed_body_with_any_damage_is_within_the_limit_or_refused(
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
        end in any::<Index>(),
        coding in prop::sample::select(CODINGS.to_vec()),
        cuts in vec(any::<Index>(), 0..4),
    ) {
        let text = format!(r#"{{"model":"m","messages":["{}"]}}"#, "some text ".repeat(300));
        let (read, _) = run(async {
            let mut bytes = compressed(coding, &[text.as_bytes()]).await.unwrap().concat();
            for (index, byte) in damage {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(end.index(bytes.len()) + 1);
            read_from(cut(bytes, &cuts), coding, 4000).await
        });
        match read {
            Ok((_, frames)) => prop_assert!(frames.len() <= 4000),
            Err(invalid) => prop_assert!([400, 413].contains(&invalid.status().as_u16()), "{}", invalid),
        }
    }
}

#[tokio::test]
async fn a_compressed_body_that_is_cut_off_anywhere_is_refused() {
    let text = r#"{"model":"m","messages":["what llm are you"]}"#;
    for coding in CODINGS {
        let whole = compressed(coding, &[text]).await.unwrap().concat();
        for end in 0..whole.len() {
            let (read, _) = read_from(cut(whole[..end].to_vec(), &[]), coding, 1000).await;
            let refused = read.expect_err(coding);
            let codes = ["invalid_content_encoding", if end == 0 { "invalid_json" } else { "" }];
            assert!(codes.contains(&refused.code()), "{coding}, {end} of {}: {refused}", whole.len());
            assert_eq!(refused.status().as_u16(), 400);
        }
        assert!(read_from(cut(whole.clone(), &[]), coding, 1000).await.0.is_ok(), "{coding}");
        let followed = [&*whole, b"and more"].concat();
        let refused = read_from(cut(followed, &[]), coding, 1000).await.0.expect_err(coding);
        assert_eq!(refused.code(), "invalid_content_encoding", "{coding}");
    }
}

#[tokio::test]
async fn the_limits_of_a_compressed_body_count_decompressed_bytes() {
    for coding in CODINGS {
        let text = format!(r#"{{"model":"m","messages":[]{}}}"#, " ".repeat(200_000));
        let whole = compressed(coding, &[&text]).await.unwrap().concat();
        assert!(whole.len() < 2_000, "{coding}");
        let (read, memory) = read_from(cut(whole.clone(), &[]), coding, text.len()).await;
        assert!(read.is_ok() && memory > 195_000, "{coding}: {read:?} {memory}");
        let refused = read_from(cut(whole.clone(), &[]), coding, text.len() - 1).await.0.expect_err(coding);
        assert_eq!(refused.code(), "request_too_large", "{coding}");
        // Less memory than the body takes is left for it.
        let (headers, memory) = (headers(coding), BodyMemory::new(100_000));
        let body = cut(whole, &[]).into_body();
        let busy = upload(&headers, body, (1 << 20, &mut memory.share()), &mut Reading::new()).await;
        assert!(matches!(busy, Err(Error::Busy)), "{coding}: {busy:?}");
    }
}

#[tokio::test]
async fn a_compressed_body_that_decompresses_to_nothing_has_the_limit_of_what_is_sent() {
    let member = compressed("gzip", &[""]).await.unwrap().concat();
    let endless = std::iter::repeat_n(Step::Data(member.into()), 1000).collect::<Script>().then(Step::Hang);
    let refused = read_from(endless, "gzip", 10_000).await.0.expect_err("refused");
    assert_eq!(refused.code(), "request_too_large");
}

#[tokio::test(start_paused = true)]
async fn a_compressed_upload_of_a_byte_now_and_then_is_refused() {
    // Each byte stands for thousands.
    let text = format!(r#"{{"model":"m","messages":[]{}}}"#, " ".repeat(10 << 20));
    for coding in CODINGS {
        let whole = compressed(coding, &[&text]).await.unwrap().concat();
        let frames = whole.chunks(1).map(Bytes::copy_from_slice);
        let start = Instant::now();
        let (read, _) = read_from(Script::paced(Duration::from_secs(1), frames), coding, 11 << 20).await;
        if whole.len() > 1024 {
            assert_eq!(read.expect_err(coding).status().as_u16(), 408, "{coding}");
            assert_eq!(start.elapsed().as_secs(), 30, "{coding}");
        }
    }
}

#[tokio::test]
async fn a_compressed_upload_leaves_other_tasks_their_turn() {
    let text = format!(r#"{{"model":"m","messages":[]{}}}"#, " ".repeat(16 << 20));
    let whole = compressed("gzip", &[&text]).await.unwrap().concat();
    let upload = tokio::spawn(async move { read_from(cut(whole, &[]), "gzip", 17 << 20).await.0.is_ok() });
    let mut others = 0;
    while !upload.is_finished() {
        tokio::task::yield_now().await;
        others += 1;
    }
    assert!(upload.await.unwrap());
    assert!(others >= 8, "{others}");
}
