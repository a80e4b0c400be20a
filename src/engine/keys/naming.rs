//! Names of keys at the vendor: `<tag>-<middle>-<id>`. The tag is the mount's, so that one mount's keys can be
//! told from another's; the id is the ledger row's; a role's template fills only the middle.

use std::collections::BTreeMap;

use crate::base::{Rng, random_base32};
use crate::providers::KeyName;
use crate::schema::Invalid;

/// The middle where a role has no template.
pub const DEFAULT_TEMPLATE: &str = "{{role}}";
/// What a template may name.
const PLACEHOLDERS: [&str; 4] = ["role", "display_name", "entity_name", "entity_id"];
/// Characters of an id, five bits of randomness each: 80 bits, so that no two rows meet.
const ID_LENGTH: usize = 16;
/// Hex digits of the mount's UUID in the tag.
const TAG_DIGITS: usize = 8;

/// The mount's tag.
pub fn tag(mount_uuid: &str) -> String {
    let digits: String = mount_uuid.chars().filter(char::is_ascii_hexdigit).take(TAG_DIGITS).collect();
    format!("vault-{}", digits.to_ascii_lowercase())
}

/// A new id of a row.
pub fn new_id(rng: &dyn Rng) -> String {
    random_base32(rng, ID_LENGTH)
}

/// Whether text has the form of an id: it becomes part of a storage key.
pub fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH && text.bytes().all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte))
}

/// The name of a key, at most `limit` characters: what does not fit is cut from the middle.
pub fn name(tag: &str, middle: &str, id: &str, limit: usize) -> KeyName {
    let room = limit.saturating_sub(tag.len() + id.len() + 2);
    let middle = slug(middle);
    let middle = middle.get(..middle.len().min(room)).unwrap_or_default().trim_end_matches('-');
    KeyName(if middle.is_empty() { format!("{tag}-{id}") } else { format!("{tag}-{middle}-{id}") })
}

/// The row's id in a name that carries the mount's tag. A name with anything that ours never have, such as a
/// control character, is none of ours.
pub fn id_of<'a>(name: &'a str, tag: &str) -> Option<&'a str> {
    let clean = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let rest = name.strip_prefix(tag)?.strip_prefix('-').filter(|rest| rest.len() <= 256 && rest.chars().all(clean))?;
    let id = rest.get(rest.len().checked_sub(ID_LENGTH)?..)?;
    is_id(id).then_some(id)
}

/// Fails where a template names what is not known.
pub fn check_template(template: &str) -> Result<(), Invalid> {
    let mut rest = template;
    while let Some((_, after)) = rest.split_once("{{") {
        let named = after.split_once("}}").filter(|(name, _)| PLACEHOLDERS.contains(&name.trim()));
        let Some((_, after)) = named else {
            let known = PLACEHOLDERS.map(|name| format!("{{{{{name}}}}}")).join(", ");
            return Err(Invalid::new("name_template", format!("only {known} can stand in it")));
        };
        rest = after;
    }
    Ok(())
}

/// A checked template with its placeholders filled; unknown ones stay empty.
pub fn fill(template: &str, values: &BTreeMap<&str, &str>) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        filled.push_str(before);
        filled.push_str(values.get(name.trim()).unwrap_or(&""));
        rest = after;
    }
    filled + rest
}

/// Lower-case letters, digits and single hyphens.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "abcdefghijklmnop";

    #[test]
    fn only_the_middle_is_cut() {
        let tag = tag("0A1b2c3d-4e5f-0000-0000-000000000000");
        assert_eq!(tag, "vault-0a1b2c3d");
        assert_eq!(name(&tag, "Team A/β prod", ID, 200).0, format!("vault-0a1b2c3d-team-a-prod-{ID}"));
        assert_eq!(name(&tag, &"x".repeat(300), ID, 40).0.len(), 40);
        assert_eq!(name(&tag, "///", ID, 200).0, format!("vault-0a1b2c3d-{ID}"));
    }

    #[test]
    fn a_name_tells_its_row() {
        let tag = tag("0a1b2c3d");
        assert_eq!(id_of(&name(&tag, "role", ID, 100).0, &tag), Some(ID));
        assert_eq!(id_of(&name(&tag, "", ID, 100).0, &tag), Some(ID));
        for foreign in [
            "vault-0a1b2c3d-\u{1b}x-abcdefghijklmnop",
            "vault-ffffffff-role-abcdefghijklmnop",
            "vault-0a1b2c3d-short",
            "vault-0a1b2c3d",
            "x",
        ] {
            assert_eq!(id_of(foreign, &tag), None, "{foreign}");
        }
    }

    #[test]
    fn templates_are_a_closed_list() {
        assert!(check_template("{{role}}-{{ entity_name }}-x").is_ok());
        assert!(check_template("{{secret}}").is_err() && check_template("{{role").is_err());
        let values = BTreeMap::from([("role", "r"), ("entity_name", "e")]);
        assert_eq!(fill("{{role}}-{{ entity_name }}-x", &values), "r-e-x");
    }
}
