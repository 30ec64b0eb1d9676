//! The messages of failed attempts, without the words of the request: [`scrubbed`].

use std::fmt::Write as _;

/// The shortest word that is looked for in the request, in characters. A shorter one says nothing about a prompt.
const WORD: usize = 6;

/// The smallest number of consecutive words that are looked for together, however short they are.
const PHRASE: usize = 3;

/// The longest message, in characters.
const LONGEST: usize = 300;

/// Returns the message of an upstream in one line and without the words and the phrases that the request contains too: an
/// error may repeat the prompt. Upstreams word their errors themselves, so that little is lost.
pub(crate) fn scrubbed(message: &str, request: &[u8]) -> String {
    // The request is searched for each word, and a message may repeat a request of megabytes.
    let end = message.char_indices().nth(2 * LONGEST).map_or(message.len(), |(end, _)| end);
    let words: Vec<_> = message[..end].split_whitespace().collect();
    let mut text = String::new();
    let mut rest = &words[..];
    while let [word, others @ ..] = rest {
        let space = if text.is_empty() { "" } else { " " };
        let repeated = repeated_words(rest, request);
        if repeated >= PHRASE {
            text.push_str(space);
            text.push_str(REPLACEMENT);
            rest = &rest[repeated..];
            continue;
        }
        let core = core_of(word);
        let is_repeated = core.chars().count() >= WORD && contains(request, core);
        let shown = if is_repeated { word.replace(core, REPLACEMENT) } else { (*word).to_owned() };
        text.push_str(space);
        text.push_str(&shown);
        rest = others;
    }
    text.chars().filter(|char| !char.is_control()).take(LONGEST).collect()
}

/// The replacement of words of the request.
const REPLACEMENT: &str = "[...]";

/// Returns the number of words, from the first on, that the request contains together.
fn repeated_words(words: &[&str], request: &[u8]) -> usize {
    let mut phrase = String::new();
    let is_repeated = |word: &&&str| {
        phrase.push_str(if phrase.is_empty() { "" } else { " " });
        phrase.push_str(word);
        let core = core_of(&phrase);
        !core.is_empty() && finds(request, core)
    };
    words.iter().take_while(is_repeated).count()
}

/// Returns a text without the punctuation around it.
fn core_of(text: &str) -> &str {
    text.trim_matches(|char: char| !char.is_alphanumeric())
}

/// Returns true if the request contains the word, or a part of it that is as long as a word and stands between two
/// characters that JSON escapes.
fn contains(request: &[u8], word: &str) -> bool {
    let parts = word.split(|char: char| !char.is_alphanumeric()).filter(|part| part.chars().count() >= WORD);
    std::iter::once(word).chain(parts).any(|part| finds(request, part))
}

/// Returns true if the request contains the text, as it is or in JSON's escapes for other characters than ASCII.
fn finds(request: &[u8], text: &str) -> bool {
    let found = |text: &str| memchr::memmem::find(request, text.as_bytes()).is_some();
    found(text) || (!text.is_ascii() && found(&escaped(text)))
}

/// Returns a text with JSON's escapes for all characters that are not ASCII, as many clients write it.
fn escaped(text: &str) -> String {
    let mut units = [0; 2];
    text.chars().fold(String::new(), |mut escaped, char| {
        if char.is_ascii() {
            escaped.push(char);
        } else {
            let units = char.encode_utf16(&mut units).iter();
            // Writing to a string does not fail.
            units.for_each(|unit| _ = write!(escaped, "\\u{unit:04x}"));
        }
        escaped
    })
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
            ("Not allowed: 'my password is hunter2'.", "Not allowed: [...]"),
            ("two\nlines\u{1b}[31m", "two lines[31m"),
        ] {
            assert_eq!(scrubbed(message, request), expected, "{message}");
        }
    }

    #[test]
    fn phrases_of_short_words_of_the_request_are_removed_from_messages() {
        let request = br#"{"messages":[{"content":"what llm are you"}]}"#;
        for (message, expected) in [
            ("Bad input (what llm are you)!", "Bad input [...]"),
            ("what llm is it", "what llm is it"),
            ("You are: what llm are you", "You are: [...]"),
        ] {
            assert_eq!(scrubbed(message, request), expected, "{message}");
        }
    }

    #[test]
    fn words_that_the_request_escapes_are_removed_from_messages() {
        let request = br#"{"content":"\u4f60\u597d\u8bf7\u544a\u8bc9\u6211 \ud83d\ude00 gr\u00fc\u00dfen"}"#;
        for (message, expected) in
            [("no: 你好请告诉我", "no: [...]"), ("no: grüßen.", "no: [...]."), ("你好", "你好")]
        {
            assert_eq!(scrubbed(message, request), expected, "{message}");
        }
    }

    #[test]
    fn messages_are_shortened() {
        assert_eq!(scrubbed(&"long ".repeat(1000), b"").chars().count(), LONGEST);
        assert_eq!(scrubbed(&"ä".repeat(1000), b"").chars().count(), LONGEST);
    }
}
