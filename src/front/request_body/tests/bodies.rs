//! Random request bodies as trees, so that the expected upstream body can be computed without a parser.

use proptest::{collection::vec, prelude::*, sample::select};

/// The text of a JSON value. The flag adds a comma before the closing bracket.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    Leaf(String),
    List(Vec<Spaced>, bool),
    Map(Vec<(String, Spaced)>, bool),
}

#[derive(Clone, Debug)]
pub(super) struct Spaced(&'static str, pub(super) Tree, &'static str);

impl Tree {
    /// Returns the text without trailing commas.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, false);
        out
    }

    fn write(&self, out: &mut String, commas: bool) {
        let close = |count: usize, trailing: bool, bracket, out: &mut String| {
            if commas && trailing && count > 0 {
                out.push(',');
            }
            out.push(bracket);
        };
        match self {
            Self::Leaf(text) => out.push_str(text),
            Self::List(entries, trailing) => {
                out.push('[');
                for (index, entry) in entries.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    entry.write(out, commas);
                }
                close(entries.len(), *trailing, ']', out);
            }
            Self::Map(entries, trailing) => {
                out.push('{');
                for (index, (key, entry)) in entries.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    out.push_str(key);
                    out.push(':');
                    entry.write(out, commas);
                }
                close(entries.len(), *trailing, '}', out);
            }
        }
    }
}

impl Spaced {
    pub(super) fn plain(tree: Tree) -> Self {
        Self("", tree, "")
    }

    fn write(&self, out: &mut String, commas: bool) {
        out.push_str(self.0);
        self.1.write(out, commas);
        out.push_str(self.2);
    }
}

/// A member of the top level, with the white space before and after its key and its value.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) key: String,
    pub(super) value: Tree,
    spaces: [&'static str; 4],
    pub(super) own: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Body {
    lead: &'static str,
    pub(super) members: Vec<Member>,
    trailing: bool,
    tail: &'static str,
}

impl Body {
    pub(super) fn text(&self, commas: bool) -> String {
        let mut out = format!("{}{{", self.lead);
        for (index, member) in self.members.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { "," });
            let [before, behind, between, after] = member.spaces;
            out.extend([before, &member.key, behind, ":", between]);
            member.value.write(&mut out, commas);
            out.push_str(after);
        }
        out.push_str(if commas && self.trailing { ",}" } else { "}" });
        out + self.tail
    }

    pub(super) fn with_model(mut self, json: &str) -> Self {
        let model = self.members.iter_mut().find(|member| member.name == "model").unwrap();
        model.value = Tree::Leaf(json.to_owned());
        self
    }

    /// Returns the body without the gateway's keys. Of the white space around them only the outermost stays.
    pub(super) fn without_gateway_keys(self) -> Self {
        let mut kept: Vec<Member> = Vec::new();
        let (mut before, mut after) = (None, None);
        for mut member in self.members {
            if member.own {
                before = before.or(Some(member.spaces[0]));
                after = Some(member.spaces[3]);
            } else {
                member.spaces[0] = before.take().unwrap_or(member.spaces[0]);
                after = None;
                kept.push(member);
            }
        }
        if let Some(after) = after {
            kept.last_mut().unwrap().spaces[3] = after;
        }
        Self { members: kept, ..self }
    }
}

fn space() -> impl Strategy<Value = &'static str> + Clone {
    select(vec!["", "", "", " ", "\n", "\t", "\r\n", "\n      "])
}

fn string() -> impl Strategy<Value = String> + Clone {
    let plain = ["", "a", "word ", "é", "日本語", "😀", "\u{7f}", "\u{2028}"];
    let escapes =
        ["\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u00e9", "\\ud83d\\ude00", "\\ud800"];
    let traps = [",]", ", }", "{[", "]}", ":", "model", "\\\"model\\\":", "\\\\\\\"", "//"];
    let parts = plain.into_iter().chain(escapes).chain(traps).collect::<Vec<_>>();
    vec(select(parts), 0..8).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn leaf() -> impl Strategy<Value = Tree> {
    let numbers =
        ["0.10", "1e400", "12345678901234567890", "-0", "0", "1E+2", "-0.0e-10", "3.14159265358979323846"];
    let words = ["true", "false", "null"];
    let fixed = select(numbers.into_iter().chain(words).collect::<Vec<_>>()).prop_map(str::to_owned);
    prop_oneof![string(), fixed].prop_map(Tree::Leaf)
}

/// Returns any value, with trailing commas where `trailing` is true.
pub(super) fn tree(trailing: impl Strategy<Value = bool> + Clone + 'static) -> BoxedStrategy<Tree> {
    let grow = move |inner: BoxedStrategy<Tree>| {
        let spaced = (space(), inner, space()).prop_map(|(before, tree, after)| Spaced(before, tree, after));
        let list =
            (vec(spaced.clone(), 0..5), trailing.clone()).prop_map(|(list, comma)| Tree::List(list, comma));
        let map =
            (vec((string(), spaced), 0..5), trailing.clone()).prop_map(|(map, comma)| Tree::Map(map, comma));
        prop_oneof![list, map].boxed()
    };
    leaf().prop_recursive(4, 40, 5, move |inner| grow(inner.boxed())).boxed()
}

fn list(entries: &[&str], trailing: bool) -> Tree {
    Tree::List(entries.iter().map(|entry| Spaced::plain(Tree::Leaf((*entry).to_owned()))).collect(), trailing)
}

fn overrides() -> Vec<(&'static str, &'static str, Tree)> {
    let leaf = |text: &str| Tree::Leaf(text.to_owned());
    vec![
        ("num_retries", "\"num_retries\"", leaf("2")),
        ("request_timeout", "\"request_timeout\"", leaf("\"10\"")),
        ("timeout", "\"time\\u006fut\"", leaf("0.5e1")),
        ("stream_timeout", "\"stream_timeout\"", leaf("null")),
        ("fallbacks", "\"fallbacks\"", list(&["\"a,]\"", "{\"model\":\"b\",\"temperature\":0.10}"], true)),
        ("context_window_fallbacks", "\"context_window_fallbacks\"", list(&["{\"a\":[\"b\",\"c\"]}"], false)),
        ("content_policy_fallbacks", "\"content\\u005fpolicy_fallbacks\"", leaf("null")),
        ("disable_fallbacks", "\"disable_fallbacks\"", leaf("false")),
        ("max_fallbacks", "\"max_fallbacks\"", leaf("3")),
    ]
}

/// Returns a chat request: `model`, `messages`, any other keys and a number of the gateway's own (`own`), in any order.
pub(super) fn body(
    trailing: impl Strategy<Value = bool> + Clone + 'static,
    own: std::ops::RangeInclusive<usize>,
) -> impl Strategy<Value = Body> {
    let others = vec(string().prop_map(|text| text.replacen('"', "\"x-", 1)), 0..5);
    let others = others.prop_flat_map({
        let trailing = trailing.clone();
        move |keys| {
            keys.into_iter().map(|key| (Just("other"), Just(key), tree(trailing.clone()))).collect::<Vec<_>>()
        }
    });
    let model =
        (Just("model"), select(vec!["\"model\"", "\"mod\\u0065l\""]), select(vec!["\"m\"", "\"\\u006d/1\""]));
    let model = model.prop_map(|(name, key, value)| (name, key.to_owned(), Tree::Leaf(value.to_owned())));
    let messages = (Just("messages"), Just("\"messages\"".to_owned()), tree(trailing.clone()));
    let own = proptest::sample::subsequence(overrides(), own);
    let members = (others, model, messages, own).prop_map(|(mut members, model, messages, own)| {
        members.extend([model, messages]);
        let foreign = members.into_iter().map(|member| (member, false));
        let own = own.into_iter().map(|(name, key, value)| ((name, key.to_owned(), value), true));
        foreign.chain(own).collect::<Vec<_>>()
    });
    let members = members.prop_shuffle().prop_flat_map(|members| {
        let count = members.len();
        (Just(members), vec([space(), space(), space(), space()], count))
    });
    (space(), members, trailing, space()).prop_map(|(lead, (members, spaces), trailing, tail)| {
        let members = members.into_iter().zip(spaces);
        let member = |(((name, key, value), own), spaces)| Member { name, key, value, spaces, own };
        Body { lead, members: members.map(member).collect(), trailing, tail }
    })
}
