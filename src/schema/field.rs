use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::Kind;

/// One field of a request: what it is called, what it takes and what it means.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: Cow<'static, str>,
    pub kind: Kind,
    /// One or more sentences for `path-help` and OpenAPI.
    pub help: Cow<'static, str>,
    /// Must be there when the thing is made.
    pub required: bool,
    /// Says what holds where the field is absent; for the reader only.
    pub default: Option<Cow<'static, str>>,
}

impl Field {
    /// An optional field.
    pub fn new(name: impl Into<Cow<'static, str>>, kind: Kind, help: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), kind, help: help.into(), required: false, default: None }
    }

    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub fn default(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.default = Some(text.into());
        self
    }

    /// Its line in `path-help`.
    pub fn help_line(&self) -> String {
        let mut notes = vec![match &self.kind {
            Kind::Choice(choices) => format!("one of {}", choices.join(" | ")),
            kind => kind.label().to_owned(),
        }];
        if self.required {
            notes.push("required".to_owned());
        }
        if let Some(default) = &self.default {
            notes.push(format!("default: {default}"));
        }
        format!("    {} ({})\n        {}\n", self.name, notes.join(", "), self.help)
    }

    /// Its OpenAPI schema.
    pub fn schema(&self) -> Map<String, Value> {
        let mut schema = self.kind.schema();
        let mut help = self.help.to_string();
        if let Some(default) = &self.default {
            help.push_str(&format!(" Default: {default}."));
        }
        schema.insert("description".into(), help.into());
        if self.kind == Kind::Secret {
            schema.insert("x-vault-displayAttrs".into(), json!({"sensitive": true}));
        }
        schema
    }
}
