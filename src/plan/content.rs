//! What a request body is declared to be: by the user, or by what it looks like.
//!
//! Pure: bytes in, a type out. Only what cannot be anything else is recognized, so that a body that is nearly JSON is not
//! sent as if it were.

/// The body of a request, and its declared type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestBody {
    /// Its length before any chunking, in bytes.
    pub length_bytes: usize,
    /// The value of Content-Type.
    pub content_type: String,
    /// Where that value comes from.
    pub source: TypeSource,
}

/// Where the value of Content-Type comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TypeSource {
    /// The body has the form of that type.
    Body,
    /// The body has no form that is known.
    Default,
    /// The user gave it with `-H`.
    Header,
}

impl TypeSource {
    /// The word in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Default => "default",
            Self::Header => "header",
        }
    }

    /// The words in text.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Body => "from the body",
            Self::Default => "the default, because the body is neither JSON nor a form",
            Self::Header => "from -H",
        }
    }
}

impl RequestBody {
    /// Of these bytes; `given` is the Content-Type that the user gave.
    pub(super) fn of(bytes: &[u8], given: Option<&str>) -> Self {
        let (content_type, source) = match given {
            Some(given) => (given, TypeSource::Header),
            None if is_json(bytes) => ("application/json", TypeSource::Body),
            None if is_form(bytes) => ("application/x-www-form-urlencoded", TypeSource::Body),
            None => ("application/octet-stream", TypeSource::Default),
        };
        Self { length_bytes: bytes.len(), content_type: content_type.to_owned(), source }
    }
}

/// Whether these are `key=value` pairs with `&` between them, without anything that would have to be percent-encoded.
fn is_form(bytes: &[u8]) -> bool {
    // A single name without a value may be base64 with its padding.
    if bytes.ends_with(b"=") && !bytes.contains(&b'&') && bytes.len().is_multiple_of(4) {
        return false;
    }
    bytes.split(|&byte| byte == b'&').all(|pair| {
        let mut parts = pair.splitn(2, |&byte| byte == b'=');
        match (parts.next(), parts.next()) {
            (Some(key), Some(value)) => !key.is_empty() && is_encoded(key) && is_encoded(value),
            _ => false,
        }
    })
}

/// Whether these bytes may stand in a form as they are. Some that a browser would encode are among them, because people type
/// `email=a@example.com`.
fn is_encoded(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    loop {
        rest = match rest {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [byte, rest @ ..]
                if byte.is_ascii_alphanumeric() || b"-._~*+!$'(),/:;?@[]".contains(byte) =>
            {
                rest
            }
            _ => return false,
        };
    }
}

/// Whether this is one JSON object or array (RFC 8259), with nothing but white space around it.
fn is_json(bytes: &[u8]) -> bool {
    let mut json = Json { rest: bytes };
    json.skip_space();
    matches!(json.rest, [b'{' | b'[', ..])
        && std::str::from_utf8(bytes).is_ok()
        && json.read_document()
}

/// Reads JSON without keeping any of it, however deep it is. What is read is passed; `false` says that it was not there.
struct Json<'a> {
    rest: &'a [u8],
}

impl Json<'_> {
    /// One value, and nothing after it.
    fn read_document(mut self) -> bool {
        // What closes the objects and arrays that are open.
        let mut open = Vec::new();
        loop {
            // A value is due. It is over at once, unless it is an object or an array that holds something.
            if self.read(b'{') {
                if !self.read(b'}') {
                    open.push(b'}');
                    if !self.read_key() {
                        return false;
                    }
                    continue;
                }
            } else if self.read(b'[') {
                if !self.read(b']') {
                    open.push(b']');
                    continue;
                }
            } else if !self.read_scalar() {
                return false;
            }
            // Another value follows, or what the last one is in is over.
            loop {
                let Some(&closer) = open.last() else {
                    self.skip_space();
                    return self.rest.is_empty();
                };
                if self.read(b',') {
                    if closer == b'}' && !self.read_key() {
                        return false;
                    }
                    break;
                }
                if !self.read(closer) {
                    return false;
                }
                open.pop();
            }
        }
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// This byte, with white space before it.
    fn read(&mut self, byte: u8) -> bool {
        self.skip_space();
        self.read_word(&[byte])
    }

    /// Exactly these bytes.
    fn read_word(&mut self, word: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn read_key(&mut self) -> bool {
        self.skip_space();
        self.read_string() && self.read(b':')
    }

    fn read_scalar(&mut self) -> bool {
        self.skip_space();
        match self.rest {
            [b'"', ..] => self.read_string(),
            [b'-' | b'0'..=b'9', ..] => self.read_number(),
            _ => self.read_word(b"true") || self.read_word(b"false") || self.read_word(b"null"),
        }
    }

    fn read_string(&mut self) -> bool {
        if !self.read_word(b"\"") {
            return false;
        }
        loop {
            self.rest = match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return true;
                }
                [b'\\', b'u', digits @ ..] if digits.len() >= 4 => {
                    let (digits, rest) = digits.split_at(4);
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return false;
                    }
                    rest
                }
                [b'\\', escaped, rest @ ..] if b"\"\\/bfnrt".contains(escaped) => rest,
                [byte, rest @ ..] if *byte >= b' ' && *byte != b'\\' => rest,
                _ => return false,
            };
        }
    }

    fn read_number(&mut self) -> bool {
        self.read_word(b"-");
        if !self.read_word(b"0") && !self.read_digits() {
            return false;
        }
        if self.read_word(b".") && !self.read_digits() {
            return false;
        }
        if self.read_word(b"e") || self.read_word(b"E") {
            let _ = self.read_word(b"+") || self.read_word(b"-");
            return self.read_digits();
        }
        true
    }

    /// At least one digit.
    fn read_digits(&mut self) -> bool {
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.rest = &self.rest[length..];
        length > 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::{RequestBody, TypeSource, is_form, is_json};

    #[test]
    fn a_body_that_is_json_or_a_form_is_declared_as_such_and_nothing_else_is() {
        for (body, content_type, source) in [
            (r#"{"a":1}"#, "application/json", TypeSource::Body),
            ("[1, 2]\n", "application/json", TypeSource::Body),
            ("a=b&c=d", "application/x-www-form-urlencoded", TypeSource::Body),
            ("hello", "application/octet-stream", TypeSource::Default),
            ("", "application/octet-stream", TypeSource::Default),
            ("42", "application/octet-stream", TypeSource::Default),
        ] {
            let found = RequestBody::of(body.as_bytes(), None);
            assert_eq!((&found.content_type[..], found.source), (content_type, source), "{body}");
            assert_eq!(found.length_bytes, body.len());
        }
        let given = RequestBody::of(b"{}", Some("application/vnd.api+json"));
        assert_eq!(given.content_type, "application/vnd.api+json");
        assert_eq!(given.source, TypeSource::Header);
    }

    #[test]
    fn json_is_an_object_or_an_array_and_strict() {
        for text in [
            "{}",
            "[]",
            " \t\r\n{ } ",
            r#"{"a":1}"#,
            r#"{ "a" : [ 1 , -0.5e+3 , 1E9 , true , false , null , "x\n\u00e9\"" , { } ] }"#,
            r#"[[],{"":{}}]"#,
            r#"{"a":1,"a":2}"#,
            "[\"\u{e9}\"]",
        ] {
            assert!(is_json(text.as_bytes()), "{text}");
            assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
        }
        for text in [
            "",
            " ",
            "1",
            "\"a\"",
            "null",
            "{",
            "}",
            "[1",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "[01]",
            "[1.]",
            "[.5]",
            "[+1]",
            "[-]",
            "[1e]",
            "[\"a]",
            "[\"\\x\"]",
            "[\"\\u12\"]",
            "[\"\n\"]",
            "[tru]",
            "[NaN]",
            "{}{}",
            "{}\n{}",
            "[1]x",
            "[1}",
            "{\"a\":1]",
            "// c\n{}",
            "\u{feff}{}",
            "[1 2]",
        ] {
            assert!(!is_json(text.as_bytes()), "{text}");
        }
        assert!(!is_json(b"[\"\xff\"]"), "JSON is UTF-8");
        let deep = [vec![b'['; 1 << 20], vec![b']'; 1 << 20]].concat();
        assert!(is_json(&deep) && !is_json(&deep[..deep.len() - 1]));
    }

    #[test]
    fn forms_are_encoded_pairs() {
        for text in [
            "a=b",
            "a=b&c=d",
            "a=",
            "name=desk+lamp&price=9.5",
            "q=%C3%A9%20x",
            "email=a@example.com&url=http://h/?x",
            "items[0]=1&items[1]=2",
        ] {
            assert!(is_form(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "a",
            "a&b=c",
            "SGVsbG8=",
            "=b",
            "a=b&",
            "a=b&&c=d",
            "a=b c",
            "a=b\n",
            "a=b\r\nc=d",
            "a=50%",
            "a=%G0",
            "a=b=c",
            "<a>x=y</a>",
            "{a=b}",
            "a=\u{e9}",
            "a=\"b\"",
        ] {
            assert!(!is_form(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn json_is_what_another_reader_of_json_takes(text in "[\\[\\]{}:,\" \n0-9.eE+\\-a\\\\tu]{0,24}") {
            let known = serde_json::from_str::<Value>(&text);
            // It refuses numbers that it cannot hold, and halves of a surrogate pair.
            let is_limit = known.as_ref().is_err_and(|error| {
                let why = error.to_string();
                why.contains("out of range") || why.contains("surrogate") || why.contains("unexpected end of hex")
            });
            prop_assume!(!is_limit);
            let is_compound = known.is_ok_and(|value| value.is_object() || value.is_array());
            prop_assert_eq!(is_json(text.as_bytes()), is_compound, "{}", text);
        }

        #[test]
        fn json_of_any_shape_is_recognized(
            value in any::<i64>().prop_map(Value::from).boxed().prop_recursive(4, 32, 4, |inner| prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]),
            pretty in any::<bool>(),
        ) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            prop_assert_eq!(is_json(text.as_bytes()), value.is_object() || value.is_array());
            let more = text + ",";
            prop_assert!(!is_json(more.as_bytes()));
        }
    }
}
