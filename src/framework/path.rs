use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::pattern::Pattern;
use crate::base::bounded;
use crate::logical::{Object, Operation, Request, Response, Result};
use crate::schema::{Field, Form, Invalid, Values};

/// What a handler gets beside its typed arguments.
pub struct Call {
    pub request: Request,
    /// Every field of the handler's arguments that was sent.
    pub values: Values,
    /// What else was sent, as it came, where the path has fields that are known at run time only (`Path::fields`): the
    /// handler knows them, and says what it ignores (`unrecognized`).
    pub more: Object,
}

/// The warning about parameters that nobody knows; none where there are none.
pub fn unrecognized(names: &[String]) -> Option<String> {
    let names: Vec<_> = names.iter().map(|name| bounded(name, 64)).collect();
    (!names.is_empty()).then(|| format!("Endpoint ignored these unrecognized parameters: [{}]", names.join(" ")))
}

type Future_<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;
type Run<M> = Box<dyn Fn(Arc<M>, Call) -> Future_<Response> + Send + Sync>;
type Exists<M> = Box<dyn Fn(Arc<M>, Values) -> Future_<bool> + Send + Sync>;

/// One path of the table, for a mount of type `M`.
pub struct Path<M> {
    pub(super) pattern: Pattern,
    /// A line for the list of paths.
    pub(super) synopsis: &'static str,
    pub(super) description: &'static str,
    /// Fields known at run time only, taken by every operation that writes: for help and OpenAPI, which alone ask for them.
    more_fields: Option<fn() -> Vec<Field>>,
    pub(super) operations: BTreeMap<Operation, Handler<M>>,
    pub(super) exists: Option<Exists<M>>,
}

pub(super) struct Handler<M> {
    pub summary: &'static str,
    pub fields: Vec<Field>,
    pub run: Run<M>,
}

impl<M: Send + Sync + 'static> Path<M> {
    pub fn new(pattern: &'static str, synopsis: &'static str) -> Self {
        Self {
            pattern: Pattern::new(pattern),
            synopsis,
            description: "",
            more_fields: None,
            operations: BTreeMap::new(),
            exists: None,
        }
    }

    /// Paragraphs for `path-help`.
    pub fn describe(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// Fields that are known at run time only; the handler finds them in `Call::more`.
    pub fn fields(mut self, fields: fn() -> Vec<Field>) -> Self {
        self.more_fields = Some(fields);
        self
    }

    /// Declares an operation. An operation that is not declared has no side effect.
    pub fn on<A, F, R>(mut self, operation: Operation, summary: &'static str, handler: F) -> Self
    where
        A: Form + 'static,
        F: Fn(Arc<M>, A, Call) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Response>> + Send + 'static,
    {
        let run: Run<M> = Box::new(move |mount, call| match A::parse(&call.values) {
            Ok(arguments) => Box::pin(handler(mount, arguments, call)),
            Err(invalid) => Box::pin(async move { Err(invalid.into()) }),
        });
        self.operations.insert(operation, Handler { summary, fields: A::fields(), run });
        self
    }

    /// Declares one handler for create and update; `exists` tells the host which of them it is.
    pub fn write<A, F, R, E, S>(self, summary: &'static str, exists: E, handler: F) -> Self
    where
        A: Form + 'static,
        F: Fn(Arc<M>, A, Call) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Response>> + Send + 'static,
        E: Fn(Arc<M>, Values) -> S + Send + Sync + 'static,
        S: Future<Output = Result<bool>> + Send + 'static,
    {
        let mut path = self.on(Operation::Create, summary, handler.clone()).on(Operation::Update, summary, handler);
        path.exists = Some(Box::new(move |mount, values| Box::pin(exists(mount, values))));
        path
    }

    /// The fields of an operation, the path's parameters and its run-time fields included.
    pub(super) fn all_fields(&self, operation: &Operation) -> Vec<Field> {
        let writes = matches!(operation, Operation::Create | Operation::Update | Operation::Patch);
        let own = self.own_fields(operation);
        let more = self.more_fields.filter(|_| writes).map(|fields| fields()).unwrap_or_default();
        own.iter().cloned().chain(more).collect()
    }

    fn own_fields(&self, operation: &Operation) -> &[Field] {
        self.operations.get(operation).map(|handler| handler.fields.as_slice()).unwrap_or_default()
    }

    /// The body's known fields with the path's parameters over them, what the handler may know beside them, and warnings
    /// about the rest.
    pub(super) fn arguments(
        &self,
        operation: &Operation,
        request: &Request,
        captures: &BTreeMap<&'static str, String>,
    ) -> Result<(Values, Object, Vec<String>)> {
        let mut body = request.data.clone();
        let mut replaced = Vec::new();
        for (name, text) in captures {
            let value = serde_json::Value::from(text.as_str());
            if body.insert((*name).to_owned(), value.clone()).is_some_and(|sent| sent != value) {
                replaced.push(*name);
            }
        }
        let (values, unknown) = Values::parse(self.own_fields(operation), &body)?;
        let mut warnings = Vec::new();
        let mut more = Object::new();
        if self.more_fields.is_none() {
            warnings.extend(unrecognized(&unknown));
        } else {
            more.extend(unknown.into_iter().filter_map(|name| body.remove_entry(&name)));
        }
        if !replaced.is_empty() {
            warnings.push(format!(
                "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{}]",
                replaced.join(" ")
            ));
        }
        Ok((values, more, warnings))
    }

    /// What the list of paths calls it.
    pub(super) fn title(&self) -> Cow<'static, str> {
        if self.pattern.as_str().is_empty() { "/".into() } else { self.pattern.as_str().into() }
    }
}

impl From<Invalid> for crate::logical::Error {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid.to_string())
    }
}
