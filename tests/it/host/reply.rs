//! A plugin's answer as the host's client would see it.

use serde_json::Value;
use tonic::Status;
use vault_plugin_secrets_ai::vault::proto::pb;

/// A status of HTTP, data or the text of an error, and the lease before the host has stored it.
#[derive(Clone)]
pub struct Reply {
    /// As measured on OpenBao 2.7.2. 0 where the host would do something else: see `forwards` and `breaks`.
    pub status: u16,
    /// `Null` where there is none.
    pub data: Value,
    pub warnings: Vec<String>,
    /// The text of an error.
    pub error: Option<String>,
    /// Whether the host would send the request to the active node.
    pub forwards: bool,
    /// How the host would stumble over this answer.
    pub breaks: Option<String>,
    pub secret: Option<pb::Secret>,
}

impl Reply {
    /// The data of an answer with this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.breaks, None, "the host stumbles");
        assert_eq!(self.status, status, "{:?} {}", self.error, self.data);
        self.data
    }

    /// The text of an error with this status.
    #[track_caller]
    pub fn expect_error(self, status: u16) -> String {
        assert_eq!(self.breaks, None, "the host stumbles");
        assert_eq!(self.status, status, "{:?} {}", self.error, self.data);
        self.error.expect("an error")
    }

    pub(super) fn new(operation: &str, answer: Result<pb::HandleRequestReply, Status>) -> Self {
        match answer {
            // Any status of gRPC is shown as an internal error.
            Err(status) => {
                Self::failed(500, format!("rpc error: code = {:?} desc = {}", status.code(), status.message()))
            }
            Ok(pb::HandleRequestReply { err: Some(error), .. }) if error.err_type <= 10 => Self::from_error(&error),
            Ok(pb::HandleRequestReply { err: Some(error), .. }) => {
                Self::broken(format!("err_type {} is taken for success", error.err_type))
            }
            Ok(pb::HandleRequestReply { response: Some(response), err: None }) => {
                Self::from_response(operation, response)
            }
            Ok(pb::HandleRequestReply { response: None, err: None }) => {
                Self { status: if matches!(operation, "read" | "list" | "help") { 404 } else { 204 }, ..Self::empty() }
            }
        }
    }

    fn from_error(error: &pb::ProtoError) -> Self {
        let text = error.err_msg.clone();
        match (error.err_type, error.err_code) {
            (3, status @ 100..=999) => Self::failed(u16::try_from(status).unwrap(), text),
            (3, status) => Self::broken(format!("the host's handler panics at status {status}")),
            (4, _) => Self::failed(400, text),
            (5, _) => Self::failed(405, "unsupported operation".to_owned()),
            (6, _) => Self::failed(404, "unsupported path".to_owned()),
            (7, _) => Self::failed(400, "invalid request".to_owned()),
            (8, _) => Self::failed(403, "permission denied".to_owned()),
            (0, _) if text == "cannot write to readonly storage" => {
                Self { status: 0, forwards: true, ..Self::failed(0, text) }
            }
            (0, _) if text == "permission denied" => Self::failed(403, text),
            (0, _) if text == "upstream rate limited" => Self::failed(502, text),
            _ => Self::failed(500, text),
        }
    }

    fn from_response(operation: &str, response: pb::Response) -> Self {
        let Ok(data) = serde_json::from_str::<Value>(&response.data) else {
            return Self::broken(format!("data is no JSON: {:?}", response.data));
        };
        if let Some(secret) = &response.secret {
            if serde_json::from_str::<Value>(&secret.internal_data).is_err() {
                return Self::broken("internal_data is no JSON".to_owned());
            }
            if secret.lease_options.as_ref().is_some_and(|options| options.issue_time.is_none()) {
                return Self::broken("issue_time is absent".to_owned());
            }
        }
        if let Some(error) = data["error"].as_str() {
            return Self::failed(400, error.to_owned());
        }
        let status = match &data {
            // An empty listing is as good as none.
            data if operation == "list" && data["keys"].as_array().is_none_or(Vec::is_empty) => 404,
            Value::Object(object) => object.get("http_status_code").and_then(Value::as_u64).unwrap_or(200),
            _ if response.warnings.is_empty() && response.secret.is_none() => 204,
            _ => 200,
        };
        let status = u16::try_from(status).unwrap();
        Self { status, data, warnings: response.warnings, secret: response.secret, ..Self::empty() }
    }

    fn failed(status: u16, error: String) -> Self {
        Self { status, error: Some(error), ..Self::empty() }
    }

    fn broken(how: String) -> Self {
        Self { status: 0, breaks: Some(how), ..Self::empty() }
    }

    const fn empty() -> Self {
        Self {
            status: 0,
            data: Value::Null,
            warnings: Vec::new(),
            error: None,
            forwards: false,
            breaks: None,
            secret: None,
        }
    }
}
