//! SIMD scanning of long strings in blocks, without a branch for each escape.
//!
//! Source code, and prompts that contain source code, have an escape every ten characters or so, and each would cost
//! a mispredicted branch. A block is therefore not searched: each property of its bytes is a mask with one bit per
//! byte, and a few operations on masks give the first byte that needs attention. Rare escapes (`\u0000`, `\b`, `\f`)
//! count as such, and are scanned byte by byte.

use fearless_simd::{Level, Simd, SimdBase, SimdInt, SimdMask, dispatch, u8x16, u8x64};

/// The number of bytes in a block.
pub(super) const SIZE: usize = 64;

/// Bytes that are scanned without a call: nearly every name ends within them.
pub(super) const STEP: usize = 16;

/// Returns the first quote, backslash or control character, using the baseline instructions of the target.
#[inline(always)]
pub(super) fn first_special(bytes: &[u8; STEP]) -> Option<usize> {
    dispatch!(Level::baseline(), simd => in_step(simd, bytes))
}

#[inline(always)]
fn in_step<S: Simd>(simd: S, bytes: &[u8; STEP]) -> Option<usize> {
    let step = u8x16::from_slice(simd, bytes);
    let found = (step.simd_eq(b'\\') | specials(step)).to_bitmask();
    (found != 0).then(|| found.trailing_zeros() as usize)
}

/// Returns the first position from `at` on at which scanning in blocks stops, and true if an escape was seen. The
/// position is the end of the string, a rare escape, or the start of an incomplete block. The byte at `at` must not
/// belong to an escape that began before it; the byte at the returned position does not.
pub(super) fn behind_blocks(bytes: &[u8], at: usize) -> (usize, bool) {
    dispatch!(Level::new(), simd => simd.vectorize(
        #[inline(always)]
        || in_blocks(simd, bytes, at)
    ))
}

// Always inlined, here and below: a function that is not inlined is compiled for the baseline target.
#[inline(always)]
fn in_blocks<S: Simd>(simd: S, bytes: &[u8], mut at: usize) -> (usize, bool) {
    // One if the byte at `at` is the second of an escape. Stepping back to the first byte would make each load wait
    // for the results of the block before.
    let mut cut = 0;
    let mut any = false;
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<SIZE>) {
        let block = u8x64::from_slice(simd, block);
        let (backslashes, specials) = (block.simd_eq(b'\\'), specials(block));
        if cut == 0 && !(backslashes | specials).any_true() {
            at += SIZE;
            continue;
        }
        let (backslashes, specials) = (backslashes.to_bitmask(), specials.to_bitmask());
        let escaped = escaped(backslashes, cut);
        let bad = (escaped & !common(block)) | (specials & !escaped);
        if bad != 0 {
            let first = bad.trailing_zeros() as usize;
            any |= escaped & !(u64::MAX << first) != 0;
            // A rare escape is flagged at its letter, one byte after its backslash.
            return (at + first - (escaped >> first & 1) as usize, any);
        }
        any |= escaped != 0;
        cut = (backslashes & !escaped) >> (SIZE - 1);
        at += SIZE;
    }
    (at - cut as usize, any)
}

/// Returns the mask of quotes and control characters. A quote differs from a space in one bit: with that bit flipped,
/// it is the first byte above the control characters.
#[inline(always)]
pub(super) fn specials<S: Simd, V: SimdInt<S, Element = u8>>(block: V) -> V::Mask {
    (block ^ 2).simd_le(b' ')
}

/// Returns the mask of the letters of common escapes.
#[inline(always)]
fn common<S: Simd>(block: u8x64<S>) -> u64 {
    let is = |letter: u8| block.simd_eq(letter);
    (is(b'n') | is(b'"') | is(b't') | is(b'r') | is(b'/') | is(b'\\')).to_bitmask()
}

/// Returns the mask of escaped bytes: in each run of backslashes, the bytes after the first, the third and so on; and
/// the first byte of the block, if the block before was `cut`.
///
/// As in simdjson, the borrow of a subtraction runs through a run of ones, so that no backslash is handled
/// individually.
#[inline(always)]
pub(super) const fn escaped(backslashes: u64, cut: u64) -> u64 {
    const ODD: u64 = u64::from_ne_bytes([0b1010_1010; 8]);
    let open = backslashes & !cut;
    let ends = ((open << 1) | ODD).wrapping_sub(open) ^ ODD;
    ends ^ (backslashes | cut)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The reference implementation, byte by byte.
    fn model(bytes: &[u8], from: usize) -> (usize, bool) {
        let until = from + (bytes.len() - from) / SIZE * SIZE;
        let (mut at, mut any) = (from, false);
        while at < until {
            let step = match bytes[at] {
                b'\\' if at + 1 == until => break,
                b'\\' if b"nrt/\"\\".contains(&bytes[at + 1]) => 2,
                b'"' | b'\\' | 0..0x20 => break,
                _ => 1,
            };
            any |= step == 2;
            at += step;
        }
        (at, any)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn a_step_finds_the_first_special_byte(
            ordinary in prop::array::uniform16(0x20_u8..),
            odd in prop::collection::vec((0..STEP, any::<u8>()), 0..3),
        ) {
            let mut bytes = ordinary;
            for (place, byte) in odd {
                bytes[place] = byte;
            }
            let wanted = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(first_special(&bytes), wanted);
        }

        #[test]
        fn a_block_scan_ends_where_a_byte_scan_ends_on_any_processor(
            ordinary in prop::collection::vec(prop::sample::select(b"a\\\\\\n\"".as_slice()), 0..300),
            odd in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            spread in 1_usize..40,
            from in 0_usize..3,
        ) {
            let mut bytes: Vec<u8> = ordinary.iter().flat_map(|&byte| {
                std::iter::repeat_n(b' ', if byte == b'a' { spread } else { 0 }).chain([byte])
            }).collect();
            for (place, byte) in odd.into_iter().filter(|_| !ordinary.is_empty()) {
                let at = place.index(bytes.len());
                bytes[at] = byte;
            }
            let from = from.min(bytes.len());
            let wanted = model(&bytes, from);
            prop_assert_eq!(behind_blocks(&bytes, from), wanted);
            let oldest = dispatch!(Level::baseline(), simd => in_blocks(simd, &bytes, from));
            prop_assert_eq!(oldest, wanted);
        }
    }
}
