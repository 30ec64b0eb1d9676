//! The messages of failed attempts, without the words of the request: [`scrubbed`].

use std::borrow::Cow;

/// The shortest word that is looked for in the request, in characters. A shorter one says nothing about a prompt.
const WORD: usize = 6;

/// The longest message, in characters.
const LONGEST: usize = 300;

/// Returns the message of an upstream in one line and without the words that the request contains too: an error may
/// repeat the prompt. Upstreams word their errors themselves, so that little is lost.
pub(crate) fn scrubbed(message: &str, request: &[u8]) -> String {
    let words = message.split_whitespace().map(|word| {
        let core = word.trim_matches(|char: char| !char.is_alphanumeric());
        let repeats = core.chars().count() >= WORD && contains(request, core);
        if repeats { Cow::Owned(word.replace(core, "[...]")) } else { Cow::Borrowed(word) }
    });
    let text = words.collect::<Vec<_>>().join(" ");
    text.chars().filter(|char| !char.is_control()).take(LONGEST).collect()
}

/// Returns true if the request contains the word, or a part of it that is as long as a word and stands between two
/// characters that JSON escapes.
fn contains(request: &[u8], word: &str) -> bool {
    let parts = word.split(|char: char| !char.is_alphanumeric()).filter(|part| part.chars().count() >= WORD);
    std::iter::once(word).chain(parts).any(|part| memchr::memmem::find(request, part.as_bytes()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_request_are_removed_from_messages() {
        let request = br#"{"messages":[{"content":"my password is hunter2-and-more, \"quoted-secret\""}]}"#;
        for (message, expected) in [
            ("The engine is currently overloaded.", "The engine is currently overloaded."),
            ("Invalid value: 'password'.", "Invalid value: '[...]'."),
            ("No: hunter2-and-more", "No: [...]"),
            ("No: hunter2-and-more\\nno", "No: [...]"),
            ("is my", "is my"),
            ("two\nlines\u{1b}[31m", "two lines[31m"),
        ] {
            assert_eq!(scrubbed(message, request), expected, "{message}");
        }
    }

    #[test]
    fn messages_are_shortened() {
        assert_eq!(scrubbed(&"long ".repeat(1000), b"").chars().count(), LONGEST);
    }
}
