use std::str::FromStr;

use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::source::{Scene, Source};

/// Text with `{source}` in it; `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Of(Source),
}

impl Template {
    /// The text; none where a source in it is absent.
    pub(super) fn fill(&self, scene: &Scene<'_>) -> Option<String> {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Of(source) => match scene.value(source)? {
                    Value::String(text) => filled.push_str(&text),
                    other => filled.push_str(&other.to_string()),
                },
            }
        }
        Some(filled)
    }

    /// With this in the place of every source.
    pub(super) fn filled_with(&self, text: &str) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Of(_) => text.to_owned(),
        };
        self.0.iter().map(piece).collect()
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Of(source) => Some(source),
        })
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' | '}' if rest.peek() == Some(&c) => {
                    rest.next();
                    plain.push(c);
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some(c) => name.push(c),
                            None => return Err(format!("{text:?} has a {{ without }}: write {{{{ for a brace")),
                        }
                    }
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Of(name.parse()?));
                }
                '}' => return Err(format!("{text:?} has a }} without {{: write }}}} for a brace")),
                c => plain.push(c),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// `METHOD /path/{source}`: a call below the account's URL. A source never fills more than its segment.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Target {
    pub(super) method: Method,
    segments: Vec<Template>,
}

impl Target {
    /// The segments of the path; none where a source in it is absent.
    pub(super) fn path(&self, scene: &Scene<'_>) -> Option<Vec<String>> {
        self.segments.iter().map(|segment| segment.fill(scene)).collect()
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.segments.iter().flat_map(Template::sources)
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (method, path) = text
            .split_once(' ')
            .filter(|(_, path)| path.starts_with('/') && !path.contains("//") && !path.contains(['?', '#']))
            .ok_or_else(|| format!("{text:?} is not METHOD /path: what follows ? goes into query"))?;
        let method = match method {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            _ => return Err(format!("{method:?} is not one of GET, POST, PUT, PATCH, DELETE")),
        };
        let path = path.trim_matches('/');
        let segments =
            path.split('/').filter(|segment| !segment.is_empty()).map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { method, segments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_doubled_and_sources_are_known() {
        let template: Template = "a{{b}}-{name}".parse().expect("valid");
        assert_eq!(template.0, [Piece::Text("a{b}-".into()), Piece::Of(Source::Name)]);
        for bad in ["{", "}", "{name", "{nobody}", "{account.}", "{env.HOME}"] {
            bad.parse::<Template>().expect_err(bad);
        }
    }

    #[test]
    fn a_target_is_a_method_and_a_path() {
        for good in ["GET /keys", "DELETE /keys/{id}", "POST /a/keys:delete", "GET /"] {
            Target::try_from(good.to_owned()).expect(good);
        }
        for bad in ["GET keys", "GET https://a.example/", "GET //a.example/x", "TRACE /x", "GET /a?b=c", "/a"] {
            Target::try_from(bad.to_owned()).expect_err(bad);
        }
    }
}
