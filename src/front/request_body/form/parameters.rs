//! The parser of the parameters of a header: [`parameters`].

/// Returns the parameters behind the first value of a header, with their names in lower case: `a=b; c="d"`. Returns none if
/// the text has another form.
pub(super) fn parameters(text: &str) -> Option<Vec<(String, String)>> {
    let (mut found, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=')?;
        let name = name.trim_end();
        if name.is_empty() || !name.chars().all(is_token) {
            return None;
        }
        let (value, behind) = match value.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => token(value.trim_start())?,
        };
        found.push((name.to_ascii_lowercase(), value));
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(';') {
            Some(next) => next.trim_start(),
            None if behind.is_empty() => behind,
            None => return None,
        };
    }
    Some(found)
}

fn is_token(char: char) -> bool {
    char.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(char)
}

/// Returns the value that is not quoted, and the text behind it. Marks that should be quoted are accepted: clients forget
/// that in boundaries.
fn token(text: &str) -> Option<(String, &str)> {
    let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
    let (value, rest) = text.split_at(end);
    (!value.is_empty() && !value.contains('"')).then(|| (value.to_owned(), rest))
}

/// Returns the text up to the closing quote, without escapes, and the text behind it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            other => value.push(other),
        }
    }
    None
}
