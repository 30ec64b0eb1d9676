//! Requests in `multipart/form-data`.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;

use super::client::request;

/// The boundary of all forms.
pub(crate) const BOUNDARY: &str = "----formdata-7MA4YWxkTrZu0gW";

/// Returns a field.
pub(crate) fn field(name: &str, value: &str) -> Bytes {
    format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into()
}

/// Returns a file.
pub(crate) fn file(name: &str, bytes: &[u8]) -> Bytes {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.bin\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    [head.as_bytes(), bytes, b"\r\n"].concat().into()
}

/// Returns the body of a form.
pub(crate) fn form(parts: &[Bytes]) -> Bytes {
    let end = format!("--{BOUNDARY}--\r\n");
    [&parts.concat()[..], end.as_bytes()].concat().into()
}

/// Returns a request with a form.
pub(crate) fn post(path: &str, form: Bytes, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = request(Method::POST, path, form, headers);
    let content_type = HeaderValue::try_from(format!("multipart/form-data; boundary={BOUNDARY}")).unwrap();
    request.headers_mut().insert(header::CONTENT_TYPE, content_type);
    request
}
