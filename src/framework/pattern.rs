use std::collections::BTreeMap;

/// The shape of a path: literal segments and `{parameters}` of one segment each. One that ends with `/` is a
/// folder, matched with and without the slash.
#[derive(Clone, Debug)]
pub struct Pattern(&'static str);

impl Pattern {
    pub const fn new(text: &'static str) -> Self {
        Self(text)
    }

    pub const fn as_str(&self) -> &'static str {
        self.0
    }

    /// The names in braces, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.0.split('/').filter_map(parameter)
    }

    /// What the parameters are in `path`; none where it does not match.
    pub fn captures(&self, path: &str) -> Option<BTreeMap<&'static str, String>> {
        let pattern = self.0.strip_suffix('/').unwrap_or(self.0);
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut captures = BTreeMap::new();
        let mut segments = path.split('/');
        for part in pattern.split('/') {
            let segment = segments.next()?;
            match parameter(part) {
                Some(_) if segment.is_empty() => return None,
                Some(name) => {
                    captures.insert(name, segment.to_owned());
                }
                None if part == segment => {}
                None => return None,
            }
        }
        segments.next().is_none().then_some(captures)
    }
}

fn parameter(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_segment_a_parameter() {
        let pattern = Pattern::new("config/{name}/check");
        assert_eq!(pattern.captures("config/a/check").expect("matches")["name"], "a");
        for path in ["config/a", "config//check", "config/a/b/check", "config/a/check/x", "Config/a/check"] {
            assert!(pattern.captures(path).is_none(), "{path}");
        }
    }

    #[test]
    fn a_folder_matches_with_and_without_its_slash() {
        let pattern = Pattern::new("roles/");
        assert!(pattern.captures("roles/").is_some() && pattern.captures("roles").is_some());
        assert!(pattern.captures("roles/x").is_none());
    }
}
