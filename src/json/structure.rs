//! SIMD scanning of JSON structure in blocks: [`Structure`].
//!
//! Lists of tools and of messages are many short tokens. Searching each for its end costs more than everything else that
//! happens to such a request. As in simdjson, each property of a block's bytes is a mask with one bit per byte, and the
//! tokens of the block are the set bits of one mask. Unlike there, nothing is carried from block to block: a block begins
//! outside of strings, and a token that does not end in it begins the next one.

use fearless_simd::{Simd, SimdBase, SimdMask, u8x16, u8x64};

use super::blocks::{SIZE, escaped, specials};

/// The tokens of a block that begins outside of a string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Structure {
    /// The first bytes of the tokens before `stop`: brackets, commas, colons, strings, numbers, literals, and other bytes that
    /// are not white space.
    pub(super) tokens: u64,
    /// The position of the first token that does not end in the block, or is a string that is invalid or contains an
    /// escape such as `\u0000`; otherwise the end of the block.
    pub(super) stop: usize,
    /// The quotes of strings.
    quotes: u64,
    /// The bytes of numbers, literals and invalid tokens.
    scalars: u64,
}

impl Structure {
    /// Reads a block.
    // Always inlined: a function that is not inlined is compiled for the baseline target. Masks are combined as vectors
    // before they become integers: combined later, they are taken apart into bytes by the compiler.
    #[inline(always)]
    pub(super) fn of<S: Simd>(simd: S, bytes: &[u8; SIZE]) -> Self {
        let block = u8x64::from_slice(simd, bytes);
        let is = |byte: u8| block.simd_eq(byte);
        let low = block & 0x0f;
        let of = |table: &[u8; 16]| {
            u8x64::block_splat(u8x16::from_slice(simd, table)).swizzle_dyn_within_blocks(low)
        };
        let spaces = block.simd_eq(of(SPACES));
        // A brace differs from its square bracket in one bit.
        let operators = (block | 0x20).simd_eq(of(OPERATORS));
        let quotes = is(b'"');
        let others = (!(operators | spaces | quotes)).to_bitmask();
        let escaped = escaped(is(b'\\').to_bitmask(), 0);
        let quotes = quotes.to_bitmask() & !escaped;
        let inside = parity(quotes);
        let scalars = others & !inside;
        let controls = specials(block).to_bitmask() & inside & !quotes & !escaped;
        let tokens = operators.to_bitmask() & !inside | quotes & inside | scalars & !(scalars << 1);
        let left = Self::left(bytes, quotes & inside, controls, escaped & inside);
        let unfinished = if (inside | scalars) >> (SIZE - 1) == 0 { 0 } else { last(tokens) };
        let stop = left | unfinished;
        // All ones if nothing is left.
        let before = (stop & stop.wrapping_neg()).wrapping_sub(1);
        Self { tokens: tokens & before, stop: stop.trailing_zeros() as usize, quotes, scalars }
    }

    /// Returns the opening quote of the first string that is left.
    #[inline(always)]
    fn left(bytes: &[u8; SIZE], opening: u64, controls: u64, mut escaped: u64) -> u64 {
        let mut rare = controls;
        while escaped != 0 {
            let at = escaped.trailing_zeros() as usize;
            escaped &= escaped - 1;
            if !matches!(bytes[at], b'n' | b'"' | b't' | b'r' | b'/' | b'\\') {
                rare |= 1 << at;
            }
        }
        if rare == 0 {
            return 0;
        }
        let before = rare ^ (rare - 1);
        last(opening & before)
    }

    /// Returns the position of the closing quote of the string that opens at `open`.
    #[inline(always)]
    pub(super) const fn string_end(&self, open: usize) -> usize {
        (self.quotes & (u64::MAX << open << 1)).trailing_zeros() as usize
    }

    /// Returns the end of the number or literal that begins at `at`.
    #[inline(always)]
    pub(super) const fn scalar_end(&self, at: usize) -> usize {
        (!self.scalars & (u64::MAX << at)).trailing_zeros() as usize
    }
}

/// White space, by its four low bits.
const SPACES: &[u8; 16] = b" zzzzzzzz\t\nzz\rzz";

/// Brackets, the comma and the colon, by their four low bits.
const OPERATORS: &[u8; 16] = b"zzzzzzzzzz:{,}zz";

/// Returns the last of the set bits.
#[inline(always)]
const fn last(mask: u64) -> u64 {
    if mask == 0 { 0 } else { 1 << (63 - mask.leading_zeros()) }
}

/// Returns the mask of the bytes with an odd number of set bits at and before them: the bytes of strings with their opening
/// quotes.
#[inline(always)]
const fn parity(mut mask: u64) -> u64 {
    mask ^= mask << 1;
    mask ^= mask << 2;
    mask ^= mask << 4;
    mask ^= mask << 8;
    mask ^= mask << 16;
    mask ^ mask << 32
}

#[cfg(test)]
mod tests {
    use fearless_simd::{Level, dispatch};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn a_structure_is_the_same_on_any_processor(
            bytes in prop::collection::vec(prop::sample::select(b"a\"\"\\{}[]:, \n\t\r1z\x0c\x1a\x00\xff\xac".as_slice()), SIZE),
        ) {
            let bytes: &[u8; SIZE] = bytes.first_chunk().unwrap();
            let best = dispatch!(Level::new(), simd => Structure::of(simd, bytes));
            let oldest = dispatch!(Level::baseline(), simd => Structure::of(simd, bytes));
            prop_assert_eq!(format!("{best:?}"), format!("{oldest:?}"));
            prop_assert!(best.stop == SIZE || best.tokens >> best.stop == 0);
        }
    }
}
