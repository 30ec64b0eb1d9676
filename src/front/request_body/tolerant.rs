//! Finding the one mistake that is forgiven: a comma before a closing bracket.

use super::scan::after_string;

/// How many are forgiven in one body. What is left over stays an error.
const MOST: usize = 1024;

/// Where commas stand that follow a value and are followed by a closing bracket.
///
/// The text need not be valid: this finds candidates, and the strict pass judges what is left when they are gone.
pub(super) fn trailing_commas(bytes: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    // The last byte that means something, and the comma that it is when a value stands before it.
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
                if found.len() < MOST {
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

/// A copy with a space in place of each comma: as long as the original, so that every offset holds in both.
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
    fn only_a_comma_between_a_value_and_a_closing_bracket_is_found() {
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
    fn a_copy_keeps_its_length() {
        assert_eq!(blanked("[\"ü\",]", &[5]), "[\"ü\" ]");
    }
}
