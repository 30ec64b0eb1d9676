//! The search for trailing commas, the only mistake in JSON that is accepted.

use super::scan::after_string;

/// The largest number of trailing commas in a body. Any further one is a syntax error.
const MAX_COMMAS: usize = 1024;

/// Returns the offsets of the commas between a value and a closing bracket.
///
/// The text need not be valid: the strict parser validates what remains without these commas.
pub(super) fn trailing_commas(bytes: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    // The last byte that is not white space, and its offset if it is a comma after a value.
    let (mut last, mut comma) = (b'[', None);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let next = if byte == b'"' { after_string(bytes, at) } else { at + 1 };
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b',' => {
                comma = (!matches!(last, b'[' | b'{' | b',' | b':')).then_some(at);
                last = byte;
            }
            b']' | b'}' => {
                if found.len() < MAX_COMMAS {
                    found.extend(comma);
                }
                (last, comma) = (byte, None);
            }
            _ => (last, comma) = (byte, None),
        }
        at = next;
    }
    found
}

/// Returns a copy with a space in place of each comma. It has the original's length, so offsets are valid in both.
pub(super) fn blanked(text: &str, commas: &[usize]) -> String {
    let mut copy = String::with_capacity(text.len());
    let mut from = 0;
    for &comma in commas {
        copy.push_str(&text[from..comma]);
        copy.push(' ');
        from = comma + 1;
    }
    copy.push_str(&text[from..]);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_commas_are_those_between_a_value_and_a_closing_bracket() {
        let cases: [(&str, &[usize]); 12] = [
            ("{}", &[]),
            ("[1,]", &[2]),
            ("[1 , ]", &[3]),
            ("{\"a\":[{},],}", &[8, 10]),
            ("[,]", &[]),
            ("{,}", &[]),
            ("[1,,]", &[]),
            ("[1,2]", &[]),
            ("[\",]\"]", &[]),
            ("[\"\\\",]\",]", &[7]),
            ("{\"a\":,}", &[]),
            ("[1,", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(trailing_commas(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_copy_without_trailing_commas_keeps_its_length() {
        assert_eq!(blanked("[\"ü\",]", &[5]), "[\"ü\" ]");
    }
}
