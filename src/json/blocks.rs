//! Long stretches of a string, a block at a time, without a branch for each escape.
//!
//! Programs and prompts that hold programs have an escape every ten characters or so, and each costs a branch that no
//! processor foresees. So a block is not searched: it is asked as a whole whether each of its bytes is well where it
//! stands, by loops without an early end, of which the compiler makes vector instructions. What is rare (the end of the
//! string, `\u0000`, `\b`, `\f`) makes the answer no, and is looked at byte by byte.

const SIZE: usize = 64;

type Block = [u8; SIZE];

const EVERY: u64 = u64::from_ne_bytes([1; 8]);

/// The first place from `at` on from which a string is not to be passed over in blocks, and whether an escape was met;
/// `at` is not zero. No byte at `at` may belong to an escape that began before it, and none does at the place that is
/// told.
pub(super) fn behind_blocks(bytes: &[u8], mut at: usize) -> (usize, bool) {
    let (mut escaped, mut escapes) = (false, false);
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        // Behind a block with escapes there mostly is another.
        if !escapes && is_plain(block) {
            at += SIZE;
            continue;
        }
        escapes = has_escapes(block);
        let passed = if !escapes {
            (!has_specials(block)).then_some(SIZE)
        } else if bytes[at - 1] == b'\\' {
            with_runs(block)
        } else {
            // The same block, from the byte before it.
            bytes[at - 1..].first_chunk().and_then(|before| with_escapes(before, block))
        };
        let Some(passed) = passed else { break };
        escaped |= escapes;
        at += passed;
    }
    (at, escaped)
}

/// Neither a backslash nor a special byte nor one beyond ASCII: as signed numbers those come before all others, and one
/// comparison finds them with the specials.
fn is_plain(block: &Block) -> bool {
    let special = |byte: u8| (byte ^ 2).cast_signed() <= b' '.cast_signed();
    !block.iter().fold(false, |any, &byte| any | special(byte) | (byte == b'\\'))
}

fn has_escapes(block: &Block) -> bool {
    block.iter().fold(false, |any, &byte| any | (byte == b'\\'))
}

fn has_specials(block: &Block) -> bool {
    block.iter().fold(false, |any, &byte| any | is_special(byte))
}

/// A quote or a control character. A quote differs from a space in one bit: with that bit changed it is the first byte
/// beyond the control characters.
const fn is_special(byte: u8) -> bool {
    (byte ^ 2) <= b' '
}

/// How much of a block is passed: all of it, but for a backslash at the end. None: not all is well.
#[inline]
fn with_escapes(before: &Block, block: &Block) -> Option<usize> {
    let bad = before.iter().zip(block).fold(false, |any, (&before, &byte)| {
        let may_be = (byte == b'n') | (byte == b'"') | (byte == b't') | (byte == b'r') | (byte == b'/');
        let escaped = before == b'\\';
        any | (escaped & !may_be) | (!escaped & is_special(byte))
    });
    if bad { with_runs(block) } else { Some(SIZE - usize::from(block[SIZE - 1] == b'\\')) }
}

/// The same where backslashes stand side by side, as in JSON that is a string in JSON: every second one is escaped.
#[inline(never)]
fn with_runs(block: &Block) -> Option<usize> {
    let backslashes = backslashes(block);
    let escaped = escaped(backslashes);
    let bad = spread(escaped).iter().zip(block).fold(false, |any, (&escaped, &byte)| {
        let may_be = (byte == b'n')
            | (byte == b'"')
            | (byte == b't')
            | (byte == b'r')
            | (byte == b'/')
            | (byte == b'\\');
        let escaped = escaped != 0;
        any | (escaped & !may_be) | (!escaped & is_special(byte))
    });
    let cut = (backslashes & !escaped) >> (SIZE - 1) == 1;
    (!bad).then(|| SIZE - usize::from(cut))
}

/// A bit for each backslash, that of the first byte lowest.
fn backslashes(block: &Block) -> u64 {
    let flags = block.map(|byte| u8::from(byte == b'\\'));
    let (words, _) = flags.as_chunks::<8>();
    // The product moves the lowest bit of each byte to its place in the highest byte.
    let byte = |word: &[u8; 8]| u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    words.iter().enumerate().fold(0, |mask, (place, word)| mask | (byte(word) << (8 * place)))
}

/// A bit for each byte behind a backslash that is not escaped itself: in each run the first, the third and so on.
///
/// As in simdjson: the borrow of a subtraction runs through a run of ones, so that none is looked at by itself.
const fn escaped(backslashes: u64) -> u64 {
    const ODD: u64 = u64::from_ne_bytes([0b1010_1010; 8]);
    let behind = backslashes << 1;
    ((behind | ODD).wrapping_sub(backslashes)) ^ ODD ^ backslashes
}

/// A byte that is not zero for each bit that is set.
fn spread(mask: u64) -> Block {
    const BITS: u64 = 0x8040_2010_0804_0201;
    let mut flags = [0; SIZE];
    let (words, _) = flags.as_chunks_mut::<8>();
    for (word, byte) in words.iter_mut().zip(mask.to_le_bytes()) {
        *word = (u64::from(byte).wrapping_mul(EVERY) & BITS).to_le_bytes();
    }
    flags
}
