use std::borrow::Cow;

use http::Method;
use reqwest::Url;
use serde_json::Value;

use super::Fault;
use crate::schema::Kind;

/// One request to a vendor, as its admin API knows it: no host, no credential. No `Debug`: a body may hold a key.
pub(super) struct Call {
    pub(super) method: Method,
    path: Vec<String>,
    query: Vec<(Cow<'static, str>, String)>,
    pub(super) body: Option<Content>,
    /// Sending it twice does no more than sending it once.
    pub(super) repeatable: bool,
    /// Its success is a status, whatever the body is.
    pub(super) bodiless: bool,
}

/// What a request carries.
pub(super) enum Content {
    Json(Value),
    Form(Vec<(String, String)>),
}

impl Content {
    /// A form of these fields.
    pub(super) fn form(fields: &[(&str, &str)]) -> Self {
        Self::Form(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }
}

impl Call {
    /// Reads; repeatable.
    pub(super) fn get(path: &[&str]) -> Self {
        Self::new(Method::GET, path, true)
    }

    /// Deletes; repeatable, since the second finds nothing.
    pub(super) fn delete(path: &[&str]) -> Self {
        Self::new(Method::DELETE, path, true)
    }

    /// Creates or changes; not repeatable unless said so.
    pub(super) fn post(path: &[&str], body: Value) -> Self {
        Self { body: Some(Content::Json(body)), ..Self::new(Method::POST, path, false) }
    }

    pub(super) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    pub(super) fn bodiless(mut self) -> Self {
        self.bodiless = true;
        self
    }

    pub(super) fn query(mut self, name: impl Into<Cow<'static, str>>, value: impl ToString) -> Self {
        self.query.push((name.into(), value.to_string()));
        self
    }

    /// Its URL under the endpoint. A segment that could leave the path is refused: a URL's writer drops `..`
    /// without a word, and `DELETE keys/..` would be another request.
    pub(super) fn url(&self, endpoint: &Url) -> Result<Url, Fault> {
        let mut url = endpoint.clone();
        // A URL with nothing below it is called as it was written, its last slash included.
        if !self.path.is_empty() {
            let mut segments =
                url.path_segments_mut().map_err(|()| Fault::invalid("was not called: api_url cannot have a path"))?;
            segments.pop_if_empty();
            for segment in &self.path {
                Kind::VendorId.parse(&Value::from(segment.as_str())).map_err(|problem| {
                    Fault::invalid(format!("was not called: an id cannot be part of a URL: {problem}"))
                })?;
                segments.push(segment);
            }
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }

    pub(super) fn content(mut self, content: Content) -> Self {
        self.body = Some(content);
        self
    }

    /// Its path, for the log.
    pub(super) fn path(&self) -> String {
        self.path.join("/")
    }

    /// Any request, with nothing in it yet.
    pub(super) fn new<T: AsRef<str>>(method: Method, path: &[T], repeatable: bool) -> Self {
        let path = path.iter().map(|segment| segment.as_ref().to_owned()).collect();
        Self { method, path, query: Vec::new(), body: None, repeatable, bodiless: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_put_under_the_endpoint_whatever_its_slash() {
        for base in ["https://api.example/v1", "https://api.example/v1/"] {
            let url = Call::get(&["keys", "k_1"]).query("after", "a b").url(&base.parse().expect("url"));
            assert_eq!(url.expect("valid").as_str(), "https://api.example/v1/keys/k_1?after=a+b");
        }
    }

    #[test]
    fn no_id_leaves_its_place_in_the_path() {
        let base: Url = "https://api.example/v1".parse().expect("url");
        for id in ["..", ".", "", "a/b", "%2e%2e", "a?x", "a#x"] {
            assert!(Call::delete(&["keys", id]).url(&base).is_err(), "{id}");
        }
    }
}
