//! Resolves `general_settings.keys`: the keys of clients.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{budgets, fallbacks::KnownNames};
use crate::config::{
    ClientKey, Grade, KeyDigest,
    calendar::{days_of, days_since_1970},
    error::DiagnosticSink,
    keys,
    raw::RawConfig,
    read::{self, Section},
    yaml::{Node, Value},
};

/// LiteLLM's name for every group, which it reads in the `models` of a key.
const ALL_MODELS: &str = "all-proxy-models";

/// Resolves the keys. A name or a key that two entries share is an error.
pub(super) fn resolve(
    raw: &RawConfig<'_>,
    names: &KnownNames,
    sink: &mut DiagnosticSink<'_>,
) -> Vec<ClientKey> {
    let list = raw.general.get("keys").and_then(|node| read::list(node, sink));
    let mut resolved = Vec::<ClientKey>::new();
    for item in list.unwrap_or_default() {
        let Some(key) = client_key(item, names, sink) else { continue };
        if resolved.iter().any(|other| other.name == key.name) {
            let name = keys::redact(&key.name);
            sink.error(&item.at, format!("two keys have the name `{name}`"))
                .help("usage is kept by name: choose another");
        }
        if let Some(other) = resolved.iter().find(|other| other.digest == key.digest) {
            let name = keys::redact(&other.name);
            sink.error(&item.at, format!("this key is also that of `{name}`"))
                .help("give each entry its own key");
        }
        resolved.push(key);
    }
    resolved
}

/// Checks the keys of a file without a master key. A list without an entry would let every client call.
pub(super) fn check_without_master_key(
    raw: &RawConfig<'_>,
    resolved: &[ClientKey],
    sink: &mut DiagnosticSink<'_>,
) {
    let Some((key, node)) = raw.general.entry("keys") else { return };
    let is_empty = node.is_null() || matches!(&node.value, Value::List(items) if items.is_empty());
    if is_empty {
        sink.error(&key.at, "`keys` lists no key, and without a `master_key` every client may call")
            .help("list a key, set a `master_key`, or remove the line to let every client call");
    } else if !resolved.is_empty() {
        sink.harmless(&key.at, "without a `master_key` no request may read `/metrics`")
            .help("set a `master_key`: it may call every group and read what is for the operator");
    }
}

fn client_key(item: &Node, names: &KnownNames, sink: &mut DiagnosticSink<'_>) -> Option<ClientKey> {
    let entry = Section::of(item.clone(), "an entry of `keys`", sink);
    if !entry.is_map() {
        return None;
    }
    warn_unknown(&entry, sink);
    let digest = key_digest(item, &entry, sink);
    let expires = entry.get("expires").and_then(|node| expiry(node, sink));
    let mut limit = |name| entry.get(name).and_then(|node| read::whole(node, 1, sink));
    let (rpm_limit, tpm_limit) = (limit("rpm_limit"), limit("tpm_limit"));
    let parallel = entry.get("max_parallel_requests").and_then(|node| read::whole(node, 1, sink));
    Some(ClientKey {
        rpm_limit,
        tpm_limit,
        max_parallel_requests: parallel,
        expires,
        budget: budgets::of_key(&entry, sink),
        models: models(&entry, names, sink),
        // Last, so that a missing name hides no other error.
        name: name(item, &entry, sink)?,
        digest: digest?,
    })
}

fn name(item: &Node, entry: &Section, sink: &mut DiagnosticSink<'_>) -> Option<Arc<str>> {
    let Some(node) = entry.get("name") else {
        sink.error(&item.at, "the key has no `name`").help("logs and metrics show the name, never the key");
        return None;
    };
    read::text(node, sink).map(Into::into)
}

/// Returns the hash of the key, which an entry contains in one of two forms.
fn key_digest(item: &Node, entry: &Section, sink: &mut DiagnosticSink<'_>) -> Option<KeyDigest> {
    match (entry.get("key"), entry.get("key_sha256")) {
        (Some(key), None) => read::text(key, sink).map(|key| KeyDigest::of(key.as_bytes())),
        (None, Some(node)) => {
            const MUST: &str = "the SHA-256 of the key in 64 hexadecimal digits";
            let digest = KeyDigest::parse(read::text(node, sink)?.trim());
            digest.or_else(|| read::invalid(node, MUST, sink))
        }
        (Some(_), Some(hash)) => {
            sink.error(&hash.at, "the key has both `key` and `key_sha256`").help("remove one of the two");
            None
        }
        (None, None) => {
            sink.error(&item.at, "the entry has neither `key` nor `key_sha256`")
                .help("write `key: os.environ/NAME`, or the SHA-256 of the key below `key_sha256`");
            None
        }
    }
}

/// Returns the models that the key may call. A name that is not known draws a warning: the key cannot use it.
fn models(entry: &Section, names: &KnownNames, sink: &mut DiagnosticSink<'_>) -> Vec<Arc<str>> {
    let items = entry.get("models").and_then(|node| read::list(node, sink)).unwrap_or_default();
    let mut models = Vec::new();
    for node in items {
        let Some(name) = read::text(node, sink) else { continue };
        if name == ALL_MODELS {
            return Vec::new();
        }
        if !names.is_covered(&name) {
            let shown = keys::redact(&name);
            sink.warning(&node.at, format!("there is no group `{shown}`: the key cannot call it"));
        }
        models.push(name.into());
    }
    models
}

fn warn_unknown(entry: &Section, sink: &mut DiagnosticSink<'_>) {
    for (key, _) in entry.entries() {
        let name = key.at.last();
        if keys::CLIENT_KEY.contains(&name) {
            continue;
        }
        let near = match name {
            "key_alias" => Some("name"),
            "duration" => Some("expires"),
            "token" => Some("key_sha256"),
            "rpm" => Some("rpm_limit"),
            "tpm" => Some("tpm_limit"),
            _ => keys::nearest(name, keys::CLIENT_KEY.iter().copied(), 6),
        };
        // A limit that is misspelled is not applied.
        let grade = if near.is_some() { Grade::Unsafe } else { Grade::Lost };
        let help = near.map(|near| format!("did you mean `{near}`?"));
        sink.graded(grade, &key.at, format!("unknown key `{name}` in an entry of `keys`")).help = help;
    }
}

/// Reads a date (its midnight in UTC), or a time with its offset from UTC.
fn expiry(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<SystemTime> {
    let time = parse_time(read::text(node, sink)?.trim());
    time.or_else(|| read::invalid(node, "a date such as 2027-01-31 or 2027-01-31T18:00:00Z", sink))
}

/// Parses `YYYY-MM-DD`, or a time in the form of RFC 3339, which may lack its seconds.
fn parse_time(text: &str) -> Option<SystemTime> {
    let (date, time) = match text.split_at_checked(10)? {
        (date, "") => (date, "T00:00Z"),
        both => both,
    };
    let [year, month, day] = numbers(date, '-')?;
    let (clock, offset) = time.strip_prefix(['T', 't', ' '])?.split_at_checked(5)?;
    let [hour, minute] = numbers(clock, ':')?;
    let (second, offset) = match offset.strip_prefix(':') {
        Some(rest) => (number(rest.get(..2)?)?, rest.get(2..)?),
        None => (0, offset),
    };
    let fraction = |text: &str| text.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
    let offset = offset.strip_prefix('.').map_or_else(|| offset.to_owned(), fraction);
    let is_valid = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && (hour <= 23 && minute <= 59 && second <= 60);
    let local = (days_since_1970(year, month, day)? * 24 + hour) * 60 + minute;
    let seconds = local.checked_sub(offset_minutes(&offset)?)? * 60 + second;
    let since = Duration::from_secs(u64::try_from(seconds).ok()?);
    if is_valid { SystemTime::UNIX_EPOCH.checked_add(since) } else { None }
}

/// Returns the minutes by which a local time is ahead of UTC.
fn offset_minutes(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = text.split_at_checked(1)?;
    let [hours, minutes] = numbers(rest, ':')?;
    match sign {
        "+" => Some(hours * 60 + minutes),
        "-" => Some(-(hours * 60 + minutes)),
        _ => None,
    }
}

/// Returns exactly `N` numbers of digits alone.
fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let parts: Option<Vec<_>> = text.split(separator).map(number).collect();
    parts?.try_into().ok()
}

fn number(text: &str) -> Option<i64> {
    let is_number = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_expiry_is_a_date_or_a_time_with_its_offset() {
        let seconds = |text| {
            let time: Option<SystemTime> = parse_time(text);
            time.map(|time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
        };
        for (text, expected) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400),
            ("2027-01-31", 1_801_353_600),
            ("2027-01-31T18:00:00Z", 1_801_418_400),
            ("2027-01-31 18:00:00+00:00", 1_801_418_400),
            ("2027-01-31T18:00:00.25Z", 1_801_418_400),
            ("2027-01-31T18:00Z", 1_801_418_400),
            ("2027-01-31T23:30:00+05:30", 1_801_418_400),
            ("2027-01-31T10:00:00-08:00", 1_801_418_400),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "2027",
            "2027-02-29",
            "2027-13-01",
            "2027-00-01",
            "2027-01-00",
            "1969-01-01",
            "31.01.2027",
            "2027-01-31T18:00:00",
            "2027-01-31T24:00:00Z",
            "2027-01-31T18:60:00Z",
            "2027-01-31T18:00:00+1",
            "2027-01-31T18:00:00 UTC",
            "tomorrow, sir",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
