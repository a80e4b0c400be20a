//! Alibaba Cloud Model Studio's temporary keys, after help.aliyun.com of 2026-10.

use serde_json::{Value, json};

use crate::book::{Book, Record, random};
use crate::clock::unix;
use crate::fields::{Kind, optional};
use crate::plain::{Attempt, Example, Plain, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const KEY: &str = "sk-dashscope-simulator-0001";

const ROUTES: &[Route<Dashscope>] = &[
    admin("POST", "/api/v1/tokens", Dashscope::create),
    key("POST", "/compatible-mode/v1/chat/completions", Dashscope::complete),
];

#[derive(Default)]
pub struct Dashscope {
    tokens: Book<()>,
}

impl Dashscope {
    fn create(&mut self, call: &Call) -> Outcome {
        let query = call
            .checked_query(&[optional("expire_in_seconds", Kind::Whole(1, 1800))])
            .map_err(|_| Self::error(400, "expire_in_seconds must be from 1 to 1800"))?;
        let seconds = query.get("expire_in_seconds").and_then(Value::as_i64).unwrap_or(60);
        let token = random("st-");
        let mut record = Record::new(&random(""), "", &token, call.at, ());
        // The answer tells whole seconds.
        let expires = unix(call.at.after_seconds(seconds));
        record.expires = Some(expires * 1000);
        self.tokens.add(record);
        Ok(Answer::ok(json!({"token": token, "expires_at": expires})))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        self.caller(call.request.bearer.as_deref(), call.at)?;
        works()
    }
}

impl Plain for Dashscope {
    type Key = ();

    const PAGED: bool = false;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.bearer.as_deref() == Some(KEY)
    }

    fn error(status: u16, message: &str) -> Answer {
        let code = match status {
            400 => "InvalidParameter",
            401 => "InvalidApiKey",
            429 => "Throttling",
            _ => "InternalError",
        };
        Answer::new(status, json!({"code": code, "message": message, "request_id": "simulator"}))
    }

    fn keys(&mut self) -> &mut Book<()> {
        &mut self.tokens
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({
                "api_key": KEY, "api_url": format!("{url}/dashscope"),
                "base_url": format!("{url}/dashscope/compatible-mode/v1"),
            }),
            role: json!({}),
            attempt: Attempt::chat("/dashscope/compatible-mode/v1/chat/completions", "qwen-plus", None),
        }
    }
}
