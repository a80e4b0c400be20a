use super::{Cursor, Fault, Found, Page};

/// A listing that goes through several collections of a vendor, one after the other: where it stands.
#[derive(Debug)]
pub(super) struct Place<'a> {
    collection: usize,
    /// How the vendor finds the next page of that collection; empty at its start.
    pub(super) at: &'a str,
}

impl<'a> Place<'a> {
    /// The place that a cursor marks, or the start; with the name of its collection.
    pub(super) fn of(cursor: Option<&'a Cursor>, collections: &[&'static str]) -> Result<(&'static str, Self), Fault> {
        let unreadable = || Fault::invalid("was not asked: the cursor is of another listing");
        let (name, at) = match cursor {
            None => (*collections.first().ok_or_else(unreadable)?, ""),
            Some(Cursor(text)) => text.split_once(' ').ok_or_else(unreadable)?,
        };
        let collection = collections.iter().position(|known| *known == name).ok_or_else(unreadable)?;
        Ok((collections[collection], Self { collection, at }))
    }

    /// The number that `at` is, 0 at the start.
    pub(super) fn offset(&self) -> usize {
        self.at.parse().unwrap_or(0)
    }

    /// A page: `next` is how this collection goes on; where it does not, the next collection follows.
    pub(super) fn page(&self, found: Vec<Found>, next: Option<String>, collections: &[&'static str]) -> Page {
        let next = match next {
            Some(at) => Some(format!("{} {at}", collections[self.collection])),
            None => collections.get(self.collection + 1).map(|name| format!("{name} ")),
        };
        Page { found, next: next.map(Cursor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[&str] = &["keys", "accounts"];

    #[test]
    fn one_collection_follows_the_other() {
        let (name, place) = Place::of(None, TWO).expect("start");
        assert_eq!((name, place.at), ("keys", ""));
        let more = place.page(Vec::new(), Some("k_9".into()), TWO).next.expect("more");
        let (name, place) = Place::of(Some(&more), TWO).expect("place");
        assert_eq!((name, place.at), ("keys", "k_9"));
        let more = place.page(Vec::new(), None, TWO).next.expect("more");
        let (name, place) = Place::of(Some(&more), TWO).expect("place");
        assert_eq!((name, place.at, place.offset()), ("accounts", "", 0));
        assert_eq!(place.page(Vec::new(), None, TWO).next, None);
    }

    #[test]
    fn a_foreign_cursor_is_refused() {
        for text in ["", "keys", "other 1"] {
            assert!(Place::of(Some(&Cursor(text.into())), TWO).is_err(), "{text}");
        }
    }
}
