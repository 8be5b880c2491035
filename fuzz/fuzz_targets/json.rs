//! `shared::json` against a reader of our own and, where a value is one that every parser reads alike, `serde_json`.
//!
//! Input: a JSON pointer, a line end, JSON.
#![no_main]

use fuzz::tree::{self, Node, Tree};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use shared::json;

/// The most values of one text that are looked up by their pointers.
const MAX_LOOKUPS: usize = 64;

fuzz_target!(|data: &[u8]| {
    let Ok(input) = std::str::from_utf8(data) else {
        assert!(json::body(data).is_err(), "JSON is UTF-8");
        return;
    };
    let (pointer, text) = input.split_once('\n').unwrap_or(("", input));

    assert_eq!(serde_json::from_str::<String>(&json::string(input)).unwrap(), input);
    let tree = tree::parse(text).filter(|tree| tree.depth() <= json::MAX_DEPTH);
    assert_eq!(json::check(text).is_ok(), tree.is_some(), "what is JSON");
    if !text.starts_with('\u{feff}') {
        let marked = format!("\u{feff}{text}");
        assert_eq!(json::body(marked.as_bytes()), json::body(text.as_bytes()), "a byte order mark");
    }
    let Some(tree) = tree else { return };
    assert_eq!(json::body(text.as_bytes()).unwrap(), tree.raw);

    // How many U+FFFD stand for half of a surrogate pair in a name is nobody's business.
    if !pointer.contains('\u{fffd}') {
        assert_eq!(json::at(tree.raw, pointer).map_err(drop), walk(&tree, pointer), "at {pointer:?}");
    }
    let node = json::Node::new(tree.raw);
    for _ in 0..2 {
        assert_eq!(node.at(pointer), json::at(tree.raw, pointer), "a node that is read once");
    }
    let mut lookups = 0;
    each(&tree, "", &mut lookups);

    if tree.is_interoperable() && !tree.has_twins() {
        let value: Value = serde_json::from_str(text).unwrap();
        let found = json::at(tree.raw, pointer).unwrap().map(|raw| serde_json::from_str(raw).unwrap());
        assert_eq!(found.as_ref(), value.pointer(pointer), "serde_json at {pointer:?}");
    }
});

/// Looks up every value by its pointer, and compares what is found with what was read.
fn each(tree: &Tree<'_>, place: &str, lookups: &mut usize) {
    *lookups += 1;
    if *lookups > MAX_LOOKUPS {
        return;
    }
    match &tree.node {
        Node::Null => assert_eq!(json::scalar(tree.raw), None),
        Node::Plain => assert_eq!(json::scalar(tree.raw).unwrap(), tree.raw),
        Node::Text(text) => {
            let scalar = json::scalar(tree.raw).unwrap();
            assert!(scalar == text.text || !text.whole, "{scalar:?}");
        }
        Node::Array(elements) => {
            assert_eq!(json::scalar(tree.raw), None);
            let raws: Vec<&str> = elements.iter().map(|element| element.raw).collect();
            assert_eq!(json::elements(tree.raw).unwrap(), raws);
            assert!(json::members(tree.raw).is_err());
            for (i, element) in elements.iter().enumerate().take(MAX_LOOKUPS) {
                let pointer = format!("/{i}");
                assert_eq!(json::at(tree.raw, &pointer).unwrap(), Some(element.raw));
                each(element, &format!("{place}{pointer}"), lookups);
            }
        }
        Node::Object(members) => {
            assert_eq!(json::scalar(tree.raw), None);
            assert!(json::elements(tree.raw).is_err());
            let read = json::members(tree.raw).unwrap();
            assert_eq!(read.len(), members.len());
            for ((name, raw), (wanted, value)) in read.iter().zip(members) {
                assert!(*name == wanted.text || !wanted.whole, "{name:?}");
                assert_eq!(*raw, value.raw);
            }
            for (name, value) in members.iter().take(MAX_LOOKUPS).filter(|(name, _)| name.whole) {
                let pointer = format!("/{}", name.text.replace('~', "~0").replace('/', "~1"));
                // A name with half of a surrogate pair is no other name's twin, whatever stands for that half.
                let named = members.iter().filter(|(other, _)| other.whole && other.text == name.text);
                let twins = named.count() > 1;
                match json::at(tree.raw, &pointer) {
                    Ok(found) => assert!(found == Some(value.raw) && !twins, "{place}{pointer}"),
                    Err(_) => assert!(twins || members.iter().any(|(other, _)| !other.whole)),
                }
                each(value, &format!("{place}{pointer}"), lookups);
            }
        }
    }
}

/// RFC 6901. A name on the way that stands there twice has no value that all readers agree on.
fn walk<'t>(tree: &Tree<'t>, pointer: &str) -> Result<Option<&'t str>, ()> {
    if pointer.is_empty() {
        return Ok(Some(tree.raw));
    }
    let Some(path) = pointer.strip_prefix('/') else { return Ok(None) };
    let mut tree = tree;
    for token in path.split('/') {
        let token = token.replace("~1", "/").replace("~0", "~");
        let next = match &tree.node {
            Node::Object(members) => {
                let named: Vec<_> = members.iter().filter(|(name, _)| name.text == token).collect();
                match named.as_slice() {
                    [] => None,
                    [(_, value)] => Some(value),
                    _ => return Err(()),
                }
            }
            Node::Array(elements) => {
                // `0`, or digits that do not start with one.
                let index = token.parse::<usize>().ok().filter(|index| index.to_string() == token);
                index.and_then(|index| elements.get(index))
            }
            _ => None,
        };
        match next {
            Some(next) => tree = next,
            None => return Ok(None),
        }
    }
    Ok(Some(tree.raw))
}
