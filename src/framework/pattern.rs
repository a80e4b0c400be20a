use std::collections::BTreeMap;

/// The shape of a path: literal segments and `{parameters}` of one segment each. One that ends with `/` is a folder.
/// The match is exact, a final slash included: the host's policies compare the path as it was sent, so a second
/// spelling would go around a rule about the first (`creds/prod/` beside a denied `creds/prod`).
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
        let mut captures = BTreeMap::new();
        let mut segments = path.split('/');
        for part in self.0.split('/') {
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
        for path in
            ["config/a", "config//check", "config/a/b/check", "config/a/check/x", "Config/a/check", "config/a/check/"]
        {
            assert!(pattern.captures(path).is_none(), "{path}");
        }
    }

    #[test]
    fn a_final_slash_is_another_path() {
        let folder = Pattern::new("roles/");
        assert!(folder.captures("roles/").is_some() && folder.captures("roles").is_none());
        assert!(folder.captures("roles/x").is_none());
        assert!(Pattern::new("creds/{role}").captures("creds/prod/").is_none());
    }
}
