//! JSON as RFC 8259 writes it, read into a tree that keeps every spelling.

use std::collections::HashSet;

/// Deeper texts are not read: the reader calls itself once for each level.
const MAX_DEPTH: usize = 500;

/// A value and where it stands.
#[derive(Debug)]
pub struct Tree<'t> {
    /// Its text, without white space around it.
    pub raw: &'t str,
    /// What it is.
    pub node: Node<'t>,
}

/// What a value is.
#[derive(Debug)]
pub enum Node<'t> {
    /// `null`
    Null,
    /// `true`, `false` or a number.
    Plain,
    /// A string.
    Text(Text),
    /// An array.
    Array(Vec<Tree<'t>>),
    /// An object, in the order written, a repeated name as often as it stands there.
    Object(Vec<(Text, Tree<'t>)>),
}

/// What a string says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The text; U+FFFD for half of a surrogate pair.
    pub text: String,
    /// Whether it is without such halves.
    pub whole: bool,
}

/// The one value of a text; `None` where it is not JSON or nested over 500 levels.
pub fn parse(text: &str) -> Option<Tree<'_>> {
    let mut reader = Reader { text, at: 0, room: MAX_DEPTH };
    reader.space();
    let tree = reader.value()?;
    reader.space();
    (reader.at == text.len()).then_some(tree)
}

impl<'t> Tree<'t> {
    /// How deep arrays and objects are nested.
    pub fn depth(&self) -> usize {
        let inner = self.children().map(Tree::depth).max().unwrap_or(0);
        inner + usize::from(matches!(self.node, Node::Array(_) | Node::Object(_)))
    }

    /// Whether some object has a name twice.
    pub fn has_twins(&self) -> bool {
        let mut names = HashSet::new();
        self.members().iter().any(|(name, _)| !names.insert(&name.text))
            || self.children().any(Tree::has_twins)
    }

    /// Whether every parser reads it alike (RFC 7493): no half of a surrogate pair, no number out of a double's range.
    pub fn is_interoperable(&self) -> bool {
        let whole = match &self.node {
            Node::Text(text) => text.whole,
            Node::Plain => self.raw.parse::<f64>().map_or(true, f64::is_finite),
            _ => true,
        };
        whole
            && self.members().iter().all(|(name, _)| name.whole)
            && self.children().all(Tree::is_interoperable)
    }

    /// The members of an object, nothing for anything else.
    pub fn members(&self) -> &[(Text, Tree<'t>)] {
        match &self.node {
            Node::Object(members) => members,
            _ => &[],
        }
    }

    /// The elements of an array, nothing for anything else.
    pub fn elements(&self) -> &[Tree<'t>] {
        match &self.node {
            Node::Array(elements) => elements,
            _ => &[],
        }
    }

    /// The only member of that name.
    pub fn member(&self, name: &str) -> Option<&Tree<'t>> {
        let mut found = self.members().iter().filter(|(n, _)| n.text == name).map(|(_, value)| value);
        found.next().filter(|_| found.next().is_none())
    }

    /// A string's text; `None` for anything else.
    pub fn text(&self) -> Option<&str> {
        match &self.node {
            Node::Text(text) => Some(&text.text),
            _ => None,
        }
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        matches!(self.node, Node::Object(_))
    }

    fn children(&self) -> impl Iterator<Item = &Tree<'t>> {
        self.elements().iter().chain(self.members().iter().map(|(_, value)| value))
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    room: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Option<Tree<'t>> {
        let start = self.at;
        let node = match self.peek()? {
            b'{' => self
                .nested(b'}', |reader| {
                    let name = reader.string()?;
                    reader.space();
                    reader.eat(b':')?;
                    reader.space();
                    Some((name, reader.value()?))
                })
                .map(Node::Object)?,
            b'[' => self.nested(b']', Reader::value).map(Node::Array)?,
            b'"' => Node::Text(self.string()?),
            b'n' => self.word("null").map(|()| Node::Null)?,
            b't' => self.word("true").map(|()| Node::Plain)?,
            b'f' => self.word("false").map(|()| Node::Plain)?,
            _ => self.number().map(|()| Node::Plain)?,
        };
        Some(Tree { raw: &self.text[start..self.at], node })
    }

    fn nested<T>(&mut self, end: u8, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.at += 1;
        self.room = self.room.checked_sub(1)?;
        let mut all = Vec::new();
        self.space();
        while self.eat(end).is_none() {
            if !all.is_empty() {
                self.eat(b',')?;
                self.space();
            }
            all.push(one(self)?);
            self.space();
        }
        self.room += 1;
        Some(all)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.eat(b'-');
        if self.eat(b'0').is_none() {
            self.digits()?;
        }
        if self.eat(b'.').is_some() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn string(&mut self) -> Option<Text> {
        self.eat(b'"')?;
        let mut units: Vec<u16> = Vec::new();
        loop {
            let c = self.text[self.at..].chars().next()?;
            self.at += c.len_utf8();
            match c {
                '"' => break,
                '\0'..='\u{1f}' => return None,
                '\\' => units.push(self.escape()?),
                c => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
            }
        }
        let whole = String::from_utf16(&units).is_ok();
        Some(Text { text: String::from_utf16_lossy(&units), whole })
    }

    fn escape(&mut self) -> Option<u16> {
        let letter = self.peek()?;
        self.at += 1;
        Some(match letter {
            b'"' | b'\\' | b'/' => letter.into(),
            b'b' => 8,
            b'f' => 12,
            b'n' => 10,
            b'r' => 13,
            b't' => 9,
            b'u' => {
                let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                self.at += 4;
                let mut unit = 0;
                for digit in digits {
                    unit = unit * 16 + char::from(*digit).to_digit(16)? as u16;
                }
                unit
            }
            _ => return None,
        })
    }
}
