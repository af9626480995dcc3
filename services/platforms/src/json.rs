//! A JSON reader for answers that must not be lost: it never fails and never panics. It reads as far as the text makes
//! sense and keeps every value that was complete by then. Byte order marks, UTF-16, broken UTF-8, control characters in
//! strings, trailing commas and duplicate keys are tolerated; a string or number that the end of the text cut short
//! is dropped, because half a token is no token. Used by `reply` alone; ordinary answers are read by serde_json.

use std::borrow::Cow;

/// Deepest nesting that is read: as deep as serde_json goes.
const DEPTH: usize = 128;

/// A value as it was written. Numbers keep their text: ids above 2^53 must not pass through a float.
#[derive(Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool,
    Number(String),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    /// The last usable member called `name`: nulls, and texts that are empty, count as missing.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members
            .iter()
            .rev()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value)
            .find(|value| match value {
                Self::Null => false,
                Self::Text(text) => !text.trim().is_empty(),
                _ => true,
            })
    }

    /// The last text called `name` that is not empty, whatever else of that name comes after it.
    pub(crate) fn string(&self, name: &str) -> Option<&str> {
        let Self::Object(members) = self else { return None };
        members.iter().rev().find_map(|(key, value)| match value {
            Self::Text(text) if key == name && !text.trim().is_empty() => Some(text.as_str()),
            _ => None,
        })
    }

    /// Texts as they are, numbers as they were written.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads the first object of `bytes`; `None` when there is none.
pub(crate) fn read(bytes: &[u8]) -> Option<Json> {
    let bytes = utf8(bytes);
    let start = bytes.iter().position(|byte| *byte == b'{')?;
    let mut reader = Reader {
        bytes: &bytes,
        at: start,
        broken: false,
    };
    reader.value(0)
}

/// The rest of a string after its opening quote; none when its end is missing.
pub(crate) fn string(rest: &str) -> Option<String> {
    let mut reader = Reader {
        bytes: rest.as_bytes(),
        at: 0,
        broken: false,
    };
    reader.string()
}

/// The bytes as UTF-8 when they are UTF-16, else as they are.
pub(crate) fn utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    let wide: Option<fn([u8; 2]) -> u16> = match bytes {
        [0xFF, 0xFE, ..] | [b'{', 0, ..] => Some(u16::from_le_bytes),
        [0xFE, 0xFF, ..] | [0, b'{', ..] => Some(u16::from_be_bytes),
        _ => None,
    };
    let Some(wide) = wide else { return Cow::Borrowed(bytes) };
    let units = bytes.chunks_exact(2).map(|pair| wide([pair[0], pair[1]]));
    let text: String = char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    Cow::Owned(text.into_bytes())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Something made no sense: containers close with what they have.
    broken: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Skips white space and says what follows.
    fn next_mark(&mut self) -> Option<u8> {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
        self.peek()
    }

    fn take(&mut self, mark: u8) -> bool {
        let found = self.next_mark() == Some(mark);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        let value = match self.next_mark()? {
            _ if depth > DEPTH => None,
            b'{' => return Some(self.object(depth)),
            b'[' => return Some(self.list(depth)),
            b'"' => self.quoted().map(Json::Text),
            b't' => self.word(b"true").then_some(Json::Bool),
            b'f' => self.word(b"false").then_some(Json::Bool),
            b'n' => self.word(b"null").then_some(Json::Null),
            b'-' | b'+' | b'.' | b'0'..=b'9' => self.number(),
            _ => None,
        };
        self.broken |= value.is_none();
        value
    }

    fn object(&mut self, depth: usize) -> Json {
        self.at += 1;
        let mut members = Vec::new();
        while !self.broken && !self.take(b'}') {
            if self.take(b',') {
                continue;
            }
            let key = if self.next_mark() == Some(b'"') {
                self.quoted()
            } else {
                None
            };
            let Some(key) = key.filter(|_| self.take(b':')) else {
                self.broken = true;
                break;
            };
            if let Some(value) = self.value(depth + 1) {
                members.push((key, value));
            }
            self.broken |= self.next_mark().is_none();
        }
        Json::Object(members)
    }

    fn list(&mut self, depth: usize) -> Json {
        self.at += 1;
        let mut values = Vec::new();
        while !self.broken && !self.take(b']') {
            if self.take(b',') {
                continue;
            }
            match self.value(depth + 1) {
                Some(value) => values.push(value),
                None => self.broken = true,
            }
        }
        Json::List(values)
    }

    fn word(&mut self, word: &[u8]) -> bool {
        let found = self.bytes[self.at..].starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// A number that ends where the text ends may have been longer.
    fn number(&mut self) -> Option<Json> {
        let start = self.at;
        while self
            .peek()
            .is_some_and(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
        {
            self.at += 1;
        }
        self.peek()?;
        Some(Json::Number(
            String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned(),
        ))
    }

    fn quoted(&mut self) -> Option<String> {
        self.at += 1;
        self.string()
    }

    fn string(&mut self) -> Option<String> {
        let mut text = Vec::new();
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(String::from_utf8_lossy(&text).into_owned()),
                b'\\' => self.escape(&mut text)?,
                _ => text.push(byte),
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Option<()> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b'n' => text.push(b'\n'),
            b't' => text.push(b'\t'),
            b'r' => text.push(b'\r'),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'u' => {
                let mut buffer = [0; 4];
                text.extend_from_slice(self.unicode()?.encode_utf8(&mut buffer).as_bytes());
            }
            other => text.push(other),
        }
        Some(())
    }

    /// After `\u`: one unit, or two that belong together.
    fn unicode(&mut self) -> Option<char> {
        let first = self.unit()?;
        if !(0xD800..0xDC00).contains(&first) || !self.bytes[self.at..].starts_with(b"\\u") {
            return Some(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        self.at += 2;
        let second = self.unit()?;
        if !(0xDC00..0xE000).contains(&second) {
            return Some(char::REPLACEMENT_CHARACTER);
        }
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(body: &[u8], name: &str) -> Option<String> {
        read(body)?.member(name)?.text().map(str::to_owned)
    }

    #[test]
    fn h8_what_was_complete_before_the_cut_is_kept_and_half_a_string_is_not() {
        let body = br#"{"access_token":"SBXa","refresh_token":"SBXr","expires_in":72"#;
        assert_eq!(text_of(body, "refresh_token").as_deref(), Some("SBXr"));
        assert_eq!(text_of(body, "expires_in"), None);
        assert_eq!(text_of(&body[..40], "refresh_token"), None);
    }

    #[test]
    fn h20_strange_strings_come_out_exactly() {
        assert_eq!(
            text_of(r#"{"a":"\ud83d\u0041"}"#.as_bytes(), "a").as_deref(),
            Some("\u{fffd}")
        );
        assert_eq!(
            text_of("{\"a\":\"x\ny é \\u00e9\\ud83d\\ude00\\/\"}".as_bytes(), "a").as_deref(),
            Some("x\ny é é😀/")
        );
    }

    #[test]
    fn h10_byte_order_marks_and_utf_16_are_read() {
        assert_eq!(text_of(b"\xEF\xBB\xBF{\"a\":\"b\"}", "a").as_deref(), Some("b"));
        let wide: Vec<u8> = "{\"a\":\"b\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text_of(&wide, "a").as_deref(), Some("b"));
    }

    #[test]
    fn h11_the_last_usable_duplicate_wins_and_big_numbers_stay_exact() {
        assert_eq!(
            text_of(br#"{"a":"1","a":"2","a":"","a":null}"#, "a").as_deref(),
            Some("2")
        );
        assert_eq!(
            text_of(br#"{"user_id":25000000000000001}"#, "user_id").as_deref(),
            Some("25000000000000001")
        );
    }

    #[test]
    fn endless_nesting_ends() {
        assert!(read("{\"a\":[".repeat(5000).as_bytes()).is_some());
    }
}
