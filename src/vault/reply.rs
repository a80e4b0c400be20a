use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::json;
use super::proto::pb;
use crate::logical::{Lease, Object, Raw, Response, Result, Wire};

/// The highest `err_type` of the wire. A host takes one that it does not know for success.
const LAST_ERROR_TYPE: u32 = 10;

/// `err_type` of an error that nothing special is known about: 500 with its text.
const UNKNOWN_ERROR: u32 = 0;

/// `err_type` of an error that is the user's: an existence check that ends so is answered with 400.
const USER_ERROR: u32 = 1;

/// `err_type` of an error with an HTTP status. Outside of 100 to 999 the host's handler panics.
const CODED_ERROR: u32 = 3;

/// A backend's answer on the wire.
pub(super) fn reply(result: Result<Response>) -> pb::HandleRequestReply {
    match result.map_err(|error| error.wire()) {
        Ok(response) => pb::HandleRequestReply { response: response_reply(response), err: None },
        Err(Wire::ErrorResponse(text)) => {
            let data = json::text(&Object::from_iter([("error".to_owned(), Value::String(text))]));
            let response = pb::Response { data, ..pb::Response::default() };
            pb::HandleRequestReply { response: Some(response), err: None }
        }
        Err(wire) => pb::HandleRequestReply { response: None, err: Some(error(wire)) },
    }
}

/// The answer to an existence check: whether the path tells create from update, and which it is.
pub(super) fn existence_reply(result: Result<Option<bool>>) -> pb::HandleExistenceCheckReply {
    match result {
        Ok(exists) => pb::HandleExistenceCheckReply {
            check_found: exists.is_some(),
            exists: exists.unwrap_or_default(),
            err: None,
        },
        Err(failed) => {
            let wire = match failed.wire() {
                Wire::Coded { status: 400..=499, text } => Wire::ErrorResponse(text),
                other => other,
            };
            pb::HandleExistenceCheckReply { check_found: false, exists: false, err: Some(error(wire)) }
        }
    }
}

/// The answer to Initialize.
pub(super) fn initialize_reply(result: Result<()>) -> pb::InitializeReply {
    pb::InitializeReply { err: result.err().map(|failed| error(failed.wire())) }
}

/// A failure, with whatever a host would stumble over replaced by "unknown".
fn error(wire: Wire) -> pb::ProtoError {
    match wire {
        Wire::ErrorResponse(err_msg) => pb::ProtoError { err_type: USER_ERROR, err_msg, err_code: 0 },
        Wire::Coded { status: status @ 100..=999, text } => {
            pb::ProtoError { err_type: CODED_ERROR, err_msg: text, err_code: status.into() }
        }
        Wire::Coded { text, .. } => pb::ProtoError { err_type: UNKNOWN_ERROR, err_msg: text, err_code: 0 },
        Wire::Kind { err_type, text } => {
            let err_type = if err_type <= LAST_ERROR_TYPE { err_type } else { UNKNOWN_ERROR };
            pb::ProtoError { err_type, err_msg: text, err_code: 0 }
        }
    }
}

/// None is 404 on a read or list, and 204 on a write or delete.
fn response_reply(response: Response) -> Option<pb::Response> {
    let Response { data, lease, warnings, raw } = response;
    let data = match raw {
        Some(raw) => Some(raw_data(&raw)),
        None => data,
    };
    if data.is_none() && lease.is_none() && warnings.is_empty() {
        return None;
    }
    Some(pb::Response {
        secret: lease.map(secret),
        // An empty text, protobuf's default, would be an error of 500.
        data: data.as_ref().map_or_else(|| "null".to_owned(), json::text),
        warnings,
        ..pb::Response::default()
    })
}

/// The keys by which a host recognises a body that it passes on as it is.
fn raw_data(raw: &Raw) -> Object {
    let mut data = Object::new();
    data.insert("http_status_code".into(), raw.status.into());
    data.insert("http_content_type".into(), raw.content_type.as_str().into());
    if let Some(cache_control) = &raw.cache_control {
        data.insert("http_raw_cache_control".into(), cache_control.as_str().into());
    }
    // The host decodes what looks like base64, so that is what it always gets.
    data.insert("http_raw_body".into(), STANDARD.encode(&raw.body).into());
    data
}

fn secret(lease: Lease) -> pb::Secret {
    let issue_time = lease.issue_time.map(|time| prost_types::Timestamp {
        seconds: time.timestamp(),
        // A leap second counts to two thousand million; Timestamp does not know them.
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default().min(999_999_999),
    });
    let options = pb::LeaseOptions {
        ttl: nanoseconds(lease.ttl),
        renewable: lease.renewable,
        increment: nanoseconds(lease.increment),
        // The host fails where it is absent, and sets it where the lease is new.
        issue_time: Some(issue_time.unwrap_or_default()),
        max_ttl: nanoseconds(lease.max_ttl),
    };
    let internal_data = json::text(&lease.internal);
    pb::Secret { lease_options: Some(options), internal_data, lease_id: String::new() }
}

/// 292 years and more are as good as for ever.
fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};
    use serde_json::json;

    use super::*;
    use crate::logical::Error;

    fn object(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    fn answer(response: Response) -> pb::Response {
        reply(Ok(response)).response.unwrap()
    }

    fn failure(failed: Error) -> (u32, i64, String) {
        let reply = reply(Err(failed));
        assert!(reply.response.is_none());
        let error = reply.err.unwrap();
        (error.err_type, error.err_code, error.err_msg)
    }

    #[test]
    fn data_is_always_a_json_text() {
        assert_eq!(answer(Response::data(object(json!({"a": 1})))).data, r#"{"a":1}"#);
        assert_eq!(answer(Response::data(Object::new())).data, "{}");
        let warned = Response::default().with_warnings(["slow".to_owned()]);
        assert_eq!((answer(warned.clone()).data.as_str(), answer(warned).warnings.len()), ("null", 1));
        let leased = Response { lease: Some(Lease::default()), ..Response::default() };
        assert_eq!(answer(leased).data, "null");
        assert!(reply(Ok(Response::default())).response.is_none());
    }

    #[test]
    fn a_lease_always_has_internal_data_and_an_issue_time() {
        let response = Response { lease: Some(Lease::default()), ..Response::default() };
        let secret = answer(response).secret.unwrap();
        assert_eq!(secret.internal_data, "{}");
        assert_eq!(secret.lease_options.unwrap().issue_time, Some(prost_types::Timestamp::default()));
    }

    #[test]
    fn a_lease_is_carried_whole() {
        let lease = Lease {
            ttl: Duration::from_secs(60),
            max_ttl: Duration::MAX,
            renewable: true,
            increment: Duration::from_nanos(7),
            issue_time: Utc.timestamp_opt(1_700_000_000, 5).single(),
            internal: object(json!({"id": "k1"})),
        };
        let secret = answer(Response { lease: Some(lease), ..Response::default() }).secret.unwrap();
        assert_eq!((secret.internal_data.as_str(), secret.lease_id.as_str()), (r#"{"id":"k1"}"#, ""));
        let options = secret.lease_options.unwrap();
        assert_eq!((options.ttl, options.max_ttl, options.increment), (60_000_000_000, i64::MAX, 7));
        assert_eq!(options.issue_time, Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5 }));
        assert!(options.renewable);
    }

    #[test]
    fn the_callers_mistake_is_an_error_response() {
        let reply = reply(Err(Error::Invalid("no \"name\"".to_owned())));
        assert_eq!(reply.response.unwrap().data, r#"{"error":"no \"name\""}"#);
        assert!(reply.err.is_none());
    }

    #[test]
    fn the_text_that_forwards_to_the_active_node_is_alone_and_exact() {
        assert_eq!(failure(Error::ReadOnly), (0, 0, "cannot write to readonly storage".to_owned()));
    }

    #[test]
    fn an_unknown_operation_is_of_type_5() {
        assert_eq!(failure(Error::UnsupportedOperation).0, 5);
        assert_eq!(failure(Error::UnsupportedPath).0, 6);
    }

    #[test]
    fn no_number_reaches_the_host_that_it_stumbles_over() {
        assert_eq!(failure(Error::Busy("later".to_owned())), (3, 429, "later".to_owned()));
        for status in [0, 99, 1000, u16::MAX] {
            let coded = error(Wire::Coded { status, text: "x".to_owned() });
            assert_eq!((coded.err_type, coded.err_code), (0, 0), "a code of {status} closes the client's connection");
        }
        let unknown = error(Wire::Kind { err_type: 11, text: "x".to_owned() });
        assert_eq!(unknown.err_type, 0, "a type above 10 would be success");
    }

    #[test]
    fn an_existence_check_tells_the_callers_mistake_from_ours() {
        assert!(!existence_reply(Ok(None)).check_found);
        let found = existence_reply(Ok(Some(true)));
        assert!(found.check_found && found.exists);
        let mistake = existence_reply(Err(Error::Invalid("x".to_owned())));
        assert_eq!(mistake.err.unwrap().err_type, 1);
    }

    #[test]
    fn a_raw_body_is_base64_whatever_it_is() {
        let raw = |cache_control: Option<&str>| Raw {
            status: 200,
            content_type: "text/plain".to_owned(),
            cache_control: cache_control.map(str::to_owned),
            body: b"abcd".to_vec(),
        };
        let kept = answer(Response { raw: Some(raw(Some("max-age=60"))), ..Response::default() }).data;
        assert!(kept.contains(r#""http_raw_cache_control":"max-age=60""#), "{kept}");
        let data = answer(Response { raw: Some(raw(None)), ..Response::default() }).data;
        let data: Value = serde_json::from_str(&data).unwrap();
        let expected = json!({"http_status_code": 200, "http_content_type": "text/plain", "http_raw_body": "YWJjZA=="});
        assert_eq!(data, expected);
    }
}
