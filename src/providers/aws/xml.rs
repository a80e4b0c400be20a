use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use serde_json::{Map, Value};

/// Deepest nesting that is read. AWS's answers to what is asked here have six levels.
const DEPTH: usize = 16;

/// Most elements that are read: a page of 500 entries has some 5000.
const ELEMENTS: usize = 100_000;

/// A document of AWS's Query protocol as JSON: an element is an object of its children, or text where it has none; one
/// whose children are all called `member` is a list, and so is an empty one to `members`. Namespaces and attributes are
/// dropped. None where it is not such a document: no XML, not closed, with a DTD or another entity than XML's own five.
pub(super) fn parse(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader::from_str(std::str::from_utf8(bytes).ok()?);
    reader.config_mut().expand_empty_elements = true;
    let mut open = vec![Element::default()];
    let mut elements = 0;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let name = start.local_name();
                open.push(Element { name: name.into_inner().to_owned(), ..Element::default() });
                elements += 1;
                if open.len() > DEPTH || elements > ELEMENTS {
                    return None;
                }
            }
            Event::End(_) => {
                let element = open.pop()?;
                let name = element.name.clone();
                open.last_mut()?.children.push((name, element.value()));
            }
            Event::Text(text) => open.last_mut()?.text.push_str(&text),
            Event::CData(text) => open.last_mut()?.text.push_str(&text),
            Event::GeneralRef(entity) => {
                let last = open.last_mut()?;
                match entity.resolve_char_ref().ok()? {
                    Some(character) => last.text.push(character),
                    None => last.text.push_str(resolve_predefined_entity(&entity)?),
                }
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            // The reader expands empty elements.
            Event::DocType(_) | Event::Empty(_) => return None,
            Event::Eof => break,
        }
    }
    let document = open.pop().filter(|_| open.is_empty())?;
    let is_one = document.children.len() == 1 && document.text.trim().is_empty();
    is_one.then(|| document.value())
}

/// The entries of a list that `parse` made.
pub(super) fn members(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(members) => Some(members),
        // `<Users/>`
        Value::String(text) if text.trim().is_empty() => Some(&[]),
        _ => None,
    }
}

#[derive(Default)]
struct Element {
    name: String,
    text: String,
    children: Vec<(String, Value)>,
}

impl Element {
    fn value(self) -> Value {
        if self.children.is_empty() {
            return self.text.into();
        }
        if self.children.iter().all(|(name, _)| name == "member") {
            return self.children.into_iter().map(|(_, value)| value).collect();
        }
        Map::from_iter(self.children).into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_becomes_json() {
        let text = r#"<?xml version="1.0"?>
            <ListUsersResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListUsersResult><Users>
              <member><UserName>a&amp;&#98;</UserName><Path>/</Path></member></Users>
              <IsTruncated>false</IsTruncated><x:Empty/></ListUsersResult></ListUsersResponse>"#;
        let parsed = parse(text.as_bytes()).expect("a document");
        let result = &parsed["ListUsersResponse"]["ListUsersResult"];
        assert_eq!(result["Users"], json!([{"UserName": "a&b", "Path": "/"}]));
        assert_eq!(result["IsTruncated"], "false");
        assert_eq!(members(&result["Empty"]), Some(&[][..]));
        assert_eq!(members(&result["IsTruncated"]), None);
        assert_eq!(members(&result["Absent"]), None);
    }

    #[test]
    fn what_is_no_such_document_is_refused() {
        let deep = "<a>".repeat(40) + &"</a>".repeat(40);
        for bad in [
            "",
            "busy",
            "{}",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "x<a/>",
            "<html><br></html>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
            "<a>&b;</a>",
            "<a>&#0;&#xffffffff;</a>",
            &deep,
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(b"<a>\xff</a>"), None);
    }
}
