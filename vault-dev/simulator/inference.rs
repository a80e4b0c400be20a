//! Just enough inference to find out whether a key works: one fixed completion, one list of models.

use serde_json::{Value, json};

use crate::book::random;
use crate::clock::{Moment, unix};
use crate::fields::{self, Kind, NAME, Unknown, Wrong, required};
use crate::request::{Body, Call};

/// What a completion costs at every vendor, in US dollars: a round figure that tests can count with.
pub const COST: f64 = 0.01;

/// The model that a chat request asks for, once the request has the two fields all vendors demand.
pub fn asked_model<'a>(call: &Call<'a>) -> Result<&'a str, Wrong> {
    let nothing = serde_json::Map::new();
    let given = match &call.request.body {
        Body::Json(Value::Object(given)) => given,
        _ => &nothing,
    };
    fields::check(given, &[required("model", NAME), required("messages", Kind::List)], Unknown::Ignore)?;
    let model = match &call.request.body {
        Body::Json(body) => body["model"].as_str(),
        Body::None | Body::Malformed | Body::Form(_) => None,
    };
    Ok(model.unwrap_or_default())
}

pub fn completion(model: &str, at: Moment) -> Value {
    json!({
        "id": random("chatcmpl-"), "object": "chat.completion", "created": unix(at.ms), "model": model,
        "choices": [{
            "index": 0, "finish_reason": "stop", "logprobs": null,
            "message": {"role": "assistant", "content": "This is the vendor simulator.", "refusal": null},
        }],
        "usage": {"prompt_tokens": 8, "completion_tokens": 6, "total_tokens": 14},
    })
}

pub fn models(ids: &[&str], owner: &str, at: Moment) -> Value {
    let model = |id: &&str| json!({"id": id, "object": "model", "created": unix(at.ms), "owned_by": owner});
    json!({"object": "list", "data": ids.iter().map(model).collect::<Vec<_>>()})
}
