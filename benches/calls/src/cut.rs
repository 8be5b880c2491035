//! JSON bodies made shorter: what the row does not read goes first.

use shared::json;
use shared::provider::{Event, Field, Split, Time};

/// A JSON object of at most so many bytes, without members that nothing of the event is read from. `None` where that is
/// not possible.
pub fn to(body: &str, bytes: usize, event: &Event<'_>) -> Option<String> {
    if !body.starts_with('{') {
        return None;
    }
    let read = pointers(event);
    let mut body = body.to_owned();
    while let Some(over) = body.len().checked_sub(bytes).filter(|over| *over > 0) {
        let mut members = Vec::new();
        removable(&body, "", &read, &mut members);
        // The largest that does not cut too much, else the smallest.
        let fitting = members.iter().filter(|(_, length)| *length <= over).max_by_key(|(_, length)| *length);
        let (pointer, _) = fitting.or_else(|| members.iter().min_by_key(|(_, length)| *length))?;
        body = json::with(&body, pointer, None).ok()?;
    }
    Some(body)
}

/// Members by their pointers, with how many bytes they take, that hold nothing of what is read.
fn removable(object: &str, above: &str, read: &[String], found: &mut Vec<(String, usize)>) {
    for (name, value) in json::members(object).unwrap_or_default() {
        let pointer = format!("{above}/{}", name.replace('~', "~0").replace('/', "~1"));
        let below = format!("{pointer}/");
        if !read.iter().any(|read| *read == pointer || read.starts_with(&below)) {
            found.push((pointer.clone(), name.len() + value.len() + "\"\":,".len()));
        }
        if value.starts_with('{') {
            removable(value, &pointer, read, found);
        }
    }
}

/// Where in the body something of the event is read from.
fn pointers(event: &Event<'_>) -> Vec<String> {
    let ways = [event.kind, event.id, event.subject, event.account, event.partition];
    let fields = ways.into_iter().flatten().copied().flatten();
    let times = event.time.iter().filter_map(Time::field);
    let pointer = |field: &Field<'_>| match *field.bare() {
        Field::Body(pointer) | Field::Item(pointer) => Some(pointer.to_owned()),
        _ => None,
    };
    let mut pointers: Vec<String> = fields.chain(times).filter_map(pointer).collect();
    match event.split {
        Split::Entries { entries, .. } | Split::Nested { entries, .. } => {
            pointers.push(format!("/{entries}"))
        }
        Split::Elements(pointer) => pointers.push(pointer.to_owned()),
        Split::One | Split::Array | Split::Suffixed(_) => {}
    }
    pointers
}
