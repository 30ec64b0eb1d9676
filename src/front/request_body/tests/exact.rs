//! Tests of the upstream's body: it equals the client's byte for byte, except for the changes of the gateway.

use std::collections::BTreeMap;

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{
    super::scan,
    bodies::{Body, Spaced, Tree, body, tree},
    chat, prompt, sent,
};

const NEW: &str = "azure/\"gpt\"\\4\n\u{1}ü";
const NEW_JSON: &str = r#""azure/\"gpt\"\\4\n\u0001ü""#;

fn is_strict(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Returns the values by key, or `None` if `serde_json` cannot represent one (1e400, an unpaired surrogate).
fn values(text: &str) -> Option<BTreeMap<String, Value>> {
    serde_json::from_str(text).ok()
}

proptest! {
    #![proptest_config(Config::with_cases(400))]

    #[test]
    fn a_body_without_overrides_changes_only_in_its_model(body in body(Just(false), 0..=0)) {
        let text = body.text(false);
        let prompt = prompt(text.clone());
        prop_assert!(prompt.info.layout.cuts.is_empty());
        prop_assert_eq!(sent(&prompt, NEW, &[]), body.clone().with_model(NEW_JSON).text(false));
        let same = &text[prompt.info.layout.model.clone()];
        let unchanged = sent(&prompt, &serde_json::from_str::<String>(same).unwrap(), &[]);
        prop_assert!(same.contains('\\') || unchanged == text);
    }

    #[test]
    fn overrides_are_cut_and_every_other_byte_stays(body in body(Just(false), 1..=9)) {
        let prompt = prompt(body.text(false));
        let sent = sent(&prompt, NEW, &[]);
        prop_assert_eq!(&sent, &body.clone().with_model(NEW_JSON).without_gateway_keys().text(false));
        prop_assert!(is_strict(&sent));
        if let (Some(sent), Some(mut expected)) = (values(&sent), values(&body.text(false))) {
            expected.retain(|key, _| !body.members.iter().any(|member| member.own && member.name == key));
            expected.insert("model".to_owned(), NEW.into());
            prop_assert_eq!(sent, expected);
        }
        let layout = &prompt.info.layout;
        prop_assert!(layout.cuts.is_sorted_by(|a, b| a.end <= b.start) && layout.cuts.iter().all(|cut| !cut.is_empty()));
        prop_assert_eq!(layout.keys.iter().count(), body.members.iter().filter(|member| !member.own).count());
    }

    #[test]
    fn trailing_commas_are_cut_at_any_depth(body in body(any::<bool>(), 0..=3)) {
        let prompt = prompt(body.text(true));
        let sent = sent(&prompt, NEW, &[]);
        prop_assert!(prompt.info.layout.cuts.is_sorted_by(|a, b| a.end <= b.start));
        prop_assert_eq!(&sent, &body.with_model(NEW_JSON).without_gateway_keys().text(false));
        prop_assert!(is_strict(&sent));
    }

    #[test]
    fn defaults_are_added_to_the_keys_of_the_body(body in body(any::<bool>(), 0..=9)) {
        let sent = sent(&prompt(body.text(true)), NEW, &[("messages", "7"), ("new", "[0.10]")]);
        let plain = body.with_model(NEW_JSON).without_gateway_keys().text(false);
        let close = plain.rfind('}').unwrap();
        prop_assert_eq!(&sent, &format!("{},\"new\":[0.10]{}", &plain[..close], &plain[close..]));
        prop_assert!(is_strict(&sent));
    }

    #[test]
    fn parameters_of_a_fallback_replace_those_of_the_body(body in body(any::<bool>(), 0..=9)) {
        let mut prompt = prompt(body.text(true));
        prompt.fallback = super::fallback(&[("messages", "[ 0.10 ]"), ("new", "1")]);
        let sent = sent(&prompt, NEW, &[("new", "2")]);
        prop_assert!(is_strict(&sent), "{}", sent);
        let mut changed = body.with_model(NEW_JSON).without_gateway_keys();
        let messages = changed.members.iter_mut().find(|member| member.name == "messages").unwrap();
        messages.value = Tree::Leaf("[ 0.10 ]".to_owned());
        let plain = changed.text(false);
        let close = plain.rfind('}').unwrap();
        prop_assert_eq!(&sent, &format!("{},\"new\":1{}", &plain[..close], &plain[close..]));
    }

    #[test]
    fn the_scanner_finds_the_same_members_as_serde_json(
        body in body(any::<bool>(), 0..=3),
        trailing in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), damage()), 0..3),
    ) {
        let mut bytes = body.text(trailing).into_bytes();
        for (index, byte) in damage {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let found = |object: scan::Object<'_>| (format!("{:?}", object.members), object.close);
            prop_assert_eq!(scan::scanned(text).map(found), scan::parsed(text).ok().map(found));
        }
    }

    #[test]
    fn damaged_bodies_never_panic_and_are_never_sent_as_invalid_json(
        body in body(any::<bool>(), 0..=3),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, damage()), 1..4),
    ) {
        let mut bytes = body.text(true).into_bytes();
        for (index, kind, byte) in damage {
            let at = index.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        if chat(bytes.clone()).is_ok() {
            let prompt = prompt(bytes);
            let sent = sent(&prompt, NEW, &[("new", "1")]);
            prop_assert!(is_strict(&sent), "{}", sent);
            let usage = prompt.payload_with_usage(NEW, &[]).to_bytes();
            prop_assert!(is_strict(std::str::from_utf8(&usage).unwrap()));
        }
    }
}

fn damage() -> impl Strategy<Value = u8> {
    prop_oneof![prop::sample::select(b",,,:[]{}\"\\ \n0n-eu/".to_vec()), any::<u8>()]
}

#[test]
fn a_body_of_five_megabytes_is_sent_unchanged() {
    for trailing in [false, true] {
        let mut runner = TestRunner::deterministic();
        let flags = if trailing { prop::bool::weighted(0.01).boxed() } else { Just(false).boxed() };
        let trees = tree(flags.clone());
        let mut entries = Vec::new();
        let mut size = 0;
        while size < 5_000_000 {
            // A picture now and then, as large bodies have.
            let picture = Tree::Leaf(format!("\"data:image/png;base64,{}\"", "Ab+/".repeat(10_000)));
            let entry = if entries.len() % 100 == 0 {
                picture
            } else {
                trees.new_tree(&mut runner).unwrap().current()
            };
            size += entry.text().len() + 1;
            entries.push(Spaced::plain(entry));
        }
        let mut body: Body = body(flags, 2..=5).new_tree(&mut runner).unwrap().current();
        let messages = body.members.iter_mut().find(|member| member.name == "messages").unwrap();
        messages.value = Tree::List(entries, trailing);
        let text = body.text(true);
        assert!(text.len() > 5_000_000, "{}", text.len());
        let sent = sent(&prompt(text), NEW, &[]);
        assert!(is_strict(&sent));
        assert!(sent == body.with_model(NEW_JSON).without_gateway_keys().text(false));
    }
}

#[test]
fn the_large_parts_of_a_body_are_not_copied() {
    let text = format!(r#"{{"num_retries":1,"messages":"{}","model":"m","timeout":3}}"#, "a".repeat(1 << 20));
    let prompt = prompt(text);
    let original = prompt.bytes.only().unwrap().as_ptr_range();
    let payload = prompt.payload("n", &[]);
    let slices = payload.clone();
    let mut frame =
        futures_util::FutureExt::now_or_never(http_body_util::BodyExt::frame(&mut { slices })).unwrap();
    let data = frame.take().unwrap().unwrap().into_data().unwrap();
    let mut parts = [std::io::IoSlice::new(&[]); 16];
    let count = bytes::Buf::chunks_vectored(&data, &mut parts);
    let foreign = parts[..count].iter().filter(|part| !original.contains(&part.as_ptr()));
    assert_eq!(foreign.map(|part| part.len()).sum::<usize>(), "\"n\"".len());
}
