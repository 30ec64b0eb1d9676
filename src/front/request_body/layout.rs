//! The layout of a request's body: the keys that are sent upstream and the ranges that are cut.

use std::ops::Range;

use super::{
    metadata,
    scan::{Member, Object},
};
use crate::{
    config::{KeyAction, key_action},
    request::{Layout, TopLevelKeys},
};

/// Returns the layout of `object`. `model` is the range that the upstream's model replaces, `commas` are the trailing commas.
pub(super) fn layout(object: &Object<'_>, model: Range<usize>, commas: &[usize]) -> Layout {
    let Layout { mut cuts, keys, .. } = partition(object);
    let inside = |cuts: &[Range<usize>], comma| cuts.iter().any(|cut| cut.contains(comma));
    let loose: Vec<_> = commas.iter().filter(|comma| !inside(&cuts, comma)).map(|&at| at..at + 1).collect();
    cuts.extend(loose);
    cuts.sort_unstable_by_key(|cut| cut.start);
    Layout { cuts, model, keys, close: object.close }
}

/// Returns the layout of `object` with every member in it.
pub(super) fn unchanged(object: &Object<'_>, model: Range<usize>, commas: &[usize]) -> Layout {
    let mut keys = TopLevelKeys::with_capacity(object.members.len());
    object.members.iter().for_each(|member| keys.push(&member.key, member.span.clone()));
    let cuts = commas.iter().map(|&at| at..at + 1).collect();
    Layout { cuts, model, keys, close: object.close }
}

/// Returns the keys that are sent, and one cut for each run of keys that are not. A cut ends at the key after the run; at
/// the end of the object it begins after the value before the run. Both forms include exactly the run's commas.
fn partition(object: &Object<'_>) -> Layout {
    let members = &*object.members;
    let (mut cuts, mut keys) = (Vec::new(), TopLevelKeys::with_capacity(members.len()));
    let mut first = None;
    for (index, member) in members.iter().enumerate() {
        if !is_sent(object, member) {
            first = first.or(Some(index));
            continue;
        }
        if let Some(first) = first.take() {
            cuts.push(members[first].start..member.start);
        }
        keys.push(&member.key, member.span.clone());
    }
    if let (Some(first), Some(last)) = (first, members.last()) {
        let from = first.checked_sub(1).map_or(members[first].start, |before| members[before].span.end);
        cuts.push(from..last.span.end);
    }
    Layout { cuts, keys, ..Layout::default() }
}

/// Returns true if the member is sent upstream.
fn is_sent(object: &Object<'_>, member: &Member<'_>) -> bool {
    match key_action(&member.key) {
        KeyAction::Pass => true,
        KeyAction::Metadata => metadata::is_accepted(&object.value(member)),
        KeyAction::Strip | KeyAction::Reject | KeyAction::Override => false,
    }
}
