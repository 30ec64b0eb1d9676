//! The parser of the parts of a form, by its delimiters: [`read`].

use std::ops::Range;

use super::parameters::parameters;
use crate::{error::InvalidRequest, request::BodyFrames};

/// The longest headers of a part, in bytes.
const LONGEST_HEADERS: usize = 8 * 1024;

/// The encodings that change nothing.
const PLAIN: [&str; 3] = ["7bit", "8bit", "binary"];

/// A part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The name of the field.
    pub(super) name: String,
    /// True if the part has the name of a file.
    pub(super) is_file: bool,
    /// The range of the value.
    pub(super) value: Range<usize>,
    /// The range from its delimiter to the next one.
    pub(super) whole: Range<usize>,
}

impl Part {
    /// Returns true if this is the name of the field.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name
    }
}

/// Returns the parts between `delimiters`, and the offset of the closing one. `boundary` is the length of the boundary.
///
/// # Errors
///
/// [`InvalidRequest`] if the form has another structure, or is cut off.
pub(super) fn read(
    frames: &BodyFrames,
    delimiters: &[usize],
    boundary: usize,
) -> Result<(Vec<Part>, usize), InvalidRequest> {
    let mut parts = Vec::with_capacity(delimiters.len());
    for (index, &at) in delimiters.iter().enumerate() {
        let behind = at + 2 + boundary;
        let next = delimiters.get(index + 1).copied().unwrap_or(frames.len());
        let line = frames.bytes(behind..next.min(behind + LONGEST_HEADERS));
        if line.starts_with(b"--") {
            return Ok((parts, at));
        }
        let padding = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let Some(headers) = line[padding..].strip_prefix(b"\r\n") else {
            return Err(InvalidRequest::form("a line begins with its boundary and goes on"));
        };
        if index + 1 == delimiters.len() {
            break;
        }
        // An empty value is followed by the end of the line before the next delimiter.
        let end = memchr::memmem::find(headers, b"\r\n\r\n")
            .map(|end| (end, behind + padding + 2 + end + 4))
            .filter(|(_, value)| value + 2 <= next);
        let Some((end, value)) = end else {
            return Err(InvalidRequest::form("a part has no end of its headers within 8 KB"));
        };
        let (name, is_file) = field(&headers[..end])?;
        parts.push(Part { name, is_file, value: value..next - 2, whole: at..next });
    }
    Err(InvalidRequest::form("its last delimiter is missing: it was cut off, or its boundary is another"))
}

/// Returns the name of a field, and true for a file.
fn field(headers: &[u8]) -> Result<(String, bool), InvalidRequest> {
    let headers = String::from_utf8_lossy(headers);
    let mut disposition = None;
    for line in headers.split("\r\n") {
        let Some((name, value)) = line.split_once(':').filter(|(name, _)| is_header(name)) else {
            return Err(InvalidRequest::form("a part has a header that is not of the form `name: value`"));
        };
        let is_plain = || PLAIN.iter().any(|plain| value.trim().eq_ignore_ascii_case(plain));
        if name.eq_ignore_ascii_case("content-transfer-encoding") && !is_plain() {
            return Err(InvalidRequest::form("a part has a content-transfer-encoding: send it as it is"));
        }
        if name.eq_ignore_ascii_case("content-disposition") && disposition.replace(value).is_some() {
            return Err(InvalidRequest::form("a part has two content-dispositions"));
        }
    }
    disposition
        .and_then(named)
        .ok_or_else(|| InvalidRequest::form("a part has no `content-disposition: form-data` with one name"))
}

fn is_header(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
}

/// Returns the name in a content disposition, and true if it has the name of a file.
fn named(disposition: &str) -> Option<(String, bool)> {
    let (kind, rest) = disposition.split_once(';')?;
    let parameters = parameters(rest).filter(|_| kind.trim().eq_ignore_ascii_case("form-data"))?;
    let is_file = parameters.iter().any(|(name, _)| name == "filename" || name == "filename*");
    // An upstream may take `name*`, or another of two names.
    let mut names = parameters.into_iter().filter(|(name, _)| name == "name" || name == "name*");
    match (names.next(), names.next()) {
        (Some((key, name)), None) if key == "name" => Some((name, is_file)),
        _ => None,
    }
}
