//! Tests of the reader of forms.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::request::{Operation, Overrides, ParsedRequest, RequestContext};

const BOUNDARY: &str = "b0undary";

fn headers(content_type: &str) -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap())])
}

/// Returns a part as clients write it.
fn part(disposition: &str, value: &str) -> String {
    format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
}

/// Returns a field.
fn field(name: &str, value: &str) -> String {
    part(&format!("name=\"{name}\""), value)
}

fn file(value: &str) -> String {
    part("name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav", value)
}

/// Returns a form of these parts.
fn form(parts: &[String]) -> String {
    format!("{}--{BOUNDARY}--\r\n", parts.concat())
}

/// Reads a form that arrives in these pieces.
fn read_pieces<'p>(
    target: &CallTarget,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> Result<ReadBody, InvalidRequest> {
    let headers = headers(&format!("multipart/form-data; boundary={BOUNDARY}"));
    let mut reading = FormReading::of(target.operation, &headers)?.unwrap();
    pieces.into_iter().for_each(|piece| reading.take(Bytes::copy_from_slice(piece)));
    reading.end(target, &headers)
}

fn read(body: &str) -> Result<ReadBody, InvalidRequest> {
    read_pieces(&Operation::Transcriptions.into(), [body.as_bytes()])
}

/// Returns the body for an upstream whose name of the model is `upstream`, with these parameters.
fn sent((info, frames): ReadBody, defaults: &[(&str, &str)]) -> String {
    let defaults: Vec<_> = defaults.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let context = RequestContext::new(tokio::time::Instant::now(), None);
    let request = ParsedRequest::new(frames, Arc::clone(&info), Arc::new(context));
    let body = request.form_payload(info.form.as_deref().unwrap(), "upstream", &defaults);
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

fn message(body: &str) -> String {
    read(body).expect_err(body).to_string()
}

#[test]
fn the_model_of_a_form_is_replaced_in_any_order_of_its_parts() {
    let parts =
        |model: &str| [file("RIFF\r\n--b0undar\r\n\r\n"), field("model", model), field("language", "de")];
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [0, 2, 1]] {
        let ordered = |model| form(&order.map(|index| parts(model)[index].clone()));
        let body = read(&ordered("whisper")).expect("valid");
        assert_eq!((&*body.0.model, body.0.prompt_tokens, body.0.output_tokens), ("whisper", 0, Some(0)));
        assert_eq!(sent(body, &[]), ordered("upstream"));
    }
}

#[test]
fn a_form_without_a_model_gets_that_of_its_path() {
    let target = CallTarget { operation: Operation::Transcriptions, model: Some("m".into()) };
    let body = read_pieces(&target, [form(&[file("a")]).as_bytes()]).expect("valid");
    assert_eq!(&*body.0.model, "m");
    assert_eq!(sent(body, &[]), form(&[file("a"), field("model", "upstream")]));
    let body = read_pieces(&target, [form(&[field("model", ""), file("a")]).as_bytes()]).expect("valid");
    assert_eq!(sent(body, &[]), form(&[field("model", "upstream"), file("a")]));
}

#[test]
fn a_form_gets_the_parameters_of_the_deployment_that_it_lacks() {
    let body = read(&form(&[field("model", "m"), field("language", "en"), file("a")])).expect("valid");
    let defaults = [
        ("language", "\"de\""),
        ("temperature", "0.5"),
        ("timestamp_granularities", r#"["word","segment"]"#),
    ];
    let added = [
        field("temperature", "0.5"),
        field("timestamp_granularities[]", "word"),
        field("timestamp_granularities[]", "segment"),
    ];
    let parts = [&[field("model", "upstream"), field("language", "en"), file("a")][..], &added].concat();
    assert_eq!(sent(body, &defaults), form(&parts));
}

#[test]
fn settings_in_a_form_are_read_and_cut() {
    let settings = [
        field("num_retries", "3"),
        field("timeout", "1.5"),
        field("fallbacks", r#"["other"]"#),
        field("metadata", r#"{"tags":["a"]}"#),
        field("litellm_call_id", "x"),
    ];
    let body = read(&form(&[&settings[..], &[field("model", "m"), file("a")]].concat())).expect("valid");
    let Overrides { num_retries, timeout, fallbacks, tags, .. } = &body.0.overrides;
    assert_eq!((*num_retries, timeout.map(|timeout| timeout.as_millis())), (Some(3), Some(1500)));
    assert!(fallbacks.is_some() && tags.is_some());
    assert_eq!(sent(body, &[]), form(&[field("model", "upstream"), file("a")]));
}

#[test]
fn a_parameter_of_a_fallback_adds_no_part_to_a_form() {
    let part = format!(r#"a\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nlarge"#);
    let escaped = part.replace(BOUNDARY, r"b0un\u0064ary");
    for value in [format!(r#""{part}""#), format!(r#"["b", "{part}"]"#), format!(r#""{escaped}""#)] {
        let fallbacks = format!(r#"[{{"model": "other", "prompt": {value}}}]"#);
        let body = form(&[field("model", "m"), field("fallbacks", &fallbacks), file("a")]);
        // The boundary of the form stands in the setting itself, unless it is escaped.
        let message = message(&body);
        assert!(message.contains("boundary"), "{message}");
    }
}

#[test]
fn a_form_with_an_invalid_setting_is_refused_by_its_name() {
    for (parts, text) in [
        (vec![field("model", "m")], "'file'"),
        (vec![file("a")], "'model'"),
        (vec![field("model", ""), file("a")], "'model'"),
        (vec![field("model", "a\nb"), file("a")], "'model'"),
        (vec![part("name=\"model\"; filename=\"m\"", "m"), file("a")], "'model'"),
        (vec![field("model", "m"), field("model", "n"), file("a")], "'model'"),
        (vec![field("model", "m"), field("num_retries", "many"), file("a")], "'num_retries'"),
        (vec![field("model", "m"), field("api_base", "http://x"), file("a")], "'api_base'"),
        (vec![field("model", "m"), field("stream", "maybe"), file("a")], "'stream'"),
        (vec![field("model", &"m".repeat(70_000)), file("a")], "'model'"),
    ] {
        let message = message(&form(&parts));
        assert!(message.contains(text), "{message}");
    }
}

#[test]
fn a_form_that_another_reader_could_read_otherwise_is_refused() {
    let model = field("model", "m");
    for (body, text) in [
        (form(&[]).replace("--b0undary--", "--other--"), "last delimiter"),
        (model.clone() + &file("a"), "last delimiter"),
        (form(&[model.clone(), file("--")]).replace("--\r\n", "\r\n"), "last delimiter"),
        (form(&[model.replace("\r\n", "\n"), file("a")]), "goes on"),
        (form(&[field("model", "m\r\n--b0undaryX"), file("a")]), "goes on"),
        (form(&[part("name=\"model\"\r\nX", "m"), file("a")]), "`name: value`"),
        (form(&[part("name=\"model\"\r\n X: folded", "m"), file("a")]), "`name: value`"),
        (form(&[part("name=\"model\"\r\nContent-Disposition: x", "m"), file("a")]), "two content"),
        (form(&[part("name=\"model\"\r\nContent-Transfer-Encoding: base64", "m"), file("a")]), "transfer"),
        (form(&[part("name=\"model\"; name=\"file\"", "m"), file("a")]), "one name"),
        (form(&[part("name=\"a\"; name*=utf-8''model", "m"), file("a")]), "one name"),
        (form(&[part("filename=\"a\"", "m"), file("a")]), "one name"),
        (form(&[part("name=\"model", "m"), file("a")]), "one name"),
        (form(&[model.clone(), format!("--{BOUNDARY}\r\n\r\nx\r\n")]), "headers"),
        (form(&[part(&format!("name=\"model\"; x={}", "x".repeat(9000)), "m"), file("a")]), "8 KB"),
        (form(&[&vec![field("a", ""); 257][..], std::slice::from_ref(&model)].concat()), "256 parts"),
    ] {
        let message = message(&body);
        assert!(message.contains(text), "{message}");
    }
}

#[test]
fn a_form_may_have_a_preamble_an_epilogue_and_padded_delimiters() {
    let whole = form(&[field("model", "m"), file("a")]).replacen("b0undary\r\n", "b0undary \t\r\n", 1);
    let body = format!("preamble --b0undary\r\n{whole}epilogue\r\n--b0undary\r\n");
    let read = read(&body).expect("valid");
    assert_eq!(sent(read, &[]), body.replace("\r\nm\r\n", "\r\nupstream\r\n"));
}

#[test]
fn the_boundary_of_a_form_may_be_quoted() {
    let of = |content_type: &str| FormReading::of(Operation::ImageEdits, &headers(content_type));
    for (content_type, boundary) in [
        ("multipart/form-data; boundary=abc", "abc"),
        ("Multipart/Form-Data;charset=utf-8;  Boundary=\"a b:c\"", "a b:c"),
        ("multipart/form-data; boundary=----WebKitFormBoundary/7=", "----WebKitFormBoundary/7="),
        (r#"multipart/form-data; boundary="a\"#, ""),
    ] {
        match of(content_type) {
            Ok(Some(reading)) => assert_eq!(&*reading.form.boundary, boundary),
            other => assert!(other.is_err() && boundary.is_empty(), "{content_type}: {other:?}"),
        }
    }
    for invalid in ["", "; boundary=", "; boundary=\"a \"", "; boundary=a; boundary=b", "; boundary=ä"] {
        assert!(of(&format!("multipart/form-data{invalid}")).is_err(), "{invalid}");
    }
    assert!(of("application/json").unwrap().is_none());
    let chat = FormReading::of(Operation::Chat, &headers("multipart/form-data; boundary=a"));
    assert!(chat.unwrap().is_none());
}

proptest! {
    /// A form in any pieces is read as the whole, and comes out with another model and nothing else changed.
    #[test]
    fn forms_in_any_pieces_are_read_as_a_whole(
        values in proptest::collection::vec("[ab\r\n-]{0,20}", 0..5),
        place in 0..5_usize,
        cuts in proptest::collection::vec(0..600_usize, 0..40),
    ) {
        let others = values.iter().enumerate().map(|(n, value)| field(&format!("field{n}"), value));
        let parts = |model: &str| {
            let mut parts: Vec<_> = others.clone().collect();
            parts.insert(place.min(parts.len()), field("model", model));
            parts.insert(place.min(parts.len()), file("RIFF"));
            form(&parts)
        };
        let body = parts("m");
        let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < body.len()).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|two| &body.as_bytes()[two[0]..two[1]]);
        let read = read_pieces(&Operation::Transcriptions.into(), pieces).expect("valid");
        prop_assert_eq!(sent(read, &[]), parts("upstream"));
    }

    /// No bytes make the reader fail otherwise than by an error.
    #[test]
    fn forms_of_any_bytes_are_read_or_refused(pieces in proptest::collection::vec(
        prop_oneof![
            Just(format!("--{BOUNDARY}")), Just("\r\n".to_owned()), Just("--".to_owned()),
            Just("Content-Disposition: form-data; name=\"model\"".to_owned()), "\\PC{0,8}".boxed(),
        ], 0..30,
    )) {
        let _ = read_pieces(&Operation::Transcriptions.into(), pieces.iter().map(String::as_bytes));
    }
}
