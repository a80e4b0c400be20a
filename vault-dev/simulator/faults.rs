//! Faults on order: an ordered list, each entry hitting the requests it matches as often as it was told to.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::request::Request;
use crate::router::Format;

#[derive(Default)]
pub struct Faults(Vec<Fault>);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    pub vendor: Option<String>,
    pub method: Option<String>,
    pub path_contains: Option<String>,
    /// Where a vendor has one path for everything.
    pub body_contains: Option<String>,
    /// How many more requests it hits; -1 is for ever.
    #[serde(default = "once")]
    pub times: i64,
    /// Hits only every so many-th of the requests that it matches.
    #[serde(default = "each")]
    pub every: u64,
    /// How many it has matched.
    #[serde(skip)]
    matched: u64,
    #[serde(flatten)]
    pub kind: Kind,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// A wait before anything else; the search for a fault goes on behind it.
    Latency {
        ms: u64,
    },
    RateLimit {
        retry_after_seconds: u64,
    },
    ErrorBefore {
        status: u16,
    },
    /// The effect happens, and then the vendor says it failed.
    ErrorAfter {
        status: u16,
    },
    DropBefore,
    DropAfter,
    /// The headers at once, the body in pieces over this time.
    SlowBody {
        ms: u64,
    },
    Html {
        status: u16,
    },
    /// The effect happens, and a proxy in between puts its own page in the answer's place.
    HtmlAfter {
        status: u16,
    },
    /// An error body made to hurt whoever logs it.
    Hostile {
        #[serde(default = "bad_request")]
        status: u16,
    },
    Oversized {
        #[serde(default = "fine")]
        status: u16,
    },
    Redirect {
        to: String,
        #[serde(default = "same_method")]
        status: u16,
    },
    /// A content-length larger than the body, after the effect.
    Truncated,
}

/// What is to happen to one request.
#[derive(Debug, Default)]
pub struct Plan {
    pub delay: Duration,
    pub kind: Option<Kind>,
}

impl Faults {
    pub fn parse(given: &Value) -> Result<Self, String> {
        let one = std::slice::from_ref(given);
        let list = given.as_array().map_or(one, Vec::as_slice);
        list.iter().map(Fault::parse).collect::<Result<_, _>>().map(Self)
    }

    pub fn plan(&mut self, vendor: &str, request: &Request) -> Plan {
        let mut plan = Plan::default();
        for fault in self.0.iter_mut().filter(|fault| fault.times != 0 && fault.hits(vendor, request)) {
            fault.matched += 1;
            if fault.matched % fault.every.max(1) != 0 {
                continue;
            }
            fault.times -= i64::from(fault.times > 0);
            match &fault.kind {
                Kind::Latency { ms } => plan.delay += Duration::from_millis(*ms),
                kind => {
                    plan.kind = Some(kind.clone());
                    break;
                }
            }
        }
        plan
    }

    pub fn list(&self) -> &[Fault] {
        &self.0
    }
}

impl Fault {
    /// A misspelt field would make a fault that hits everything, so that every given field must come back when it is shown.
    fn parse(given: &Value) -> Result<Self, String> {
        let fault: Self = serde_json::from_value(given.clone()).map_err(|error| error.to_string())?;
        let known = serde_json::to_value(&fault).map_err(|error| error.to_string())?;
        let stranger =
            given.as_object().and_then(|fields| fields.keys().find(|name| known.get(name.as_str()).is_none()));
        stranger.map_or(Ok(fault), |name| Err(format!("unknown field {name:?}")))
    }

    fn hits(&self, vendor: &str, request: &Request) -> bool {
        let in_body = |wanted: &str| String::from_utf8_lossy(&request.bytes).contains(wanted);
        self.vendor.as_deref().is_none_or(|wanted| wanted == vendor)
            && self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(&request.method))
            && self.path_contains.as_deref().is_none_or(|wanted| request.path.contains(wanted))
            && self.body_contains.as_deref().is_none_or(in_body)
    }
}

impl Kind {
    pub fn lets_the_effect_happen(&self) -> bool {
        matches!(
            self,
            Self::ErrorAfter { .. }
                | Self::HtmlAfter { .. }
                | Self::DropAfter
                | Self::SlowBody { .. }
                | Self::Truncated
        )
    }
}

/// A valid text that, raw and decoded, has a line which a log reader could take for a log entry, and that gives back the
/// secret.
pub fn hostile_body(format: Format, secret: &str) -> String {
    if format == Format::Xml {
        let message = format!("line one\n{{\"@level\":5}}\n&#27;[31mred&#7;\u{202e} key was: {secret}\r\nlast line");
        return format!(
            "<ErrorResponse><Error><Code>Hostile\n{{\"@level\":5}}\n</Code><Message>{message}</Message></Error></ErrorResponse>"
        );
    }
    let message = format!("line one\n{{\"@level\":5}}\n\u{1b}[31mred\u{7}\0\u{202e} key was: {secret}\r\nlast line");
    let error = serde_json::json!({"message": message, "type": "server_error", "param": null, "code": "hostile"});
    format!("{{\"error\":{error},\n\"extra\":\n{{\"@level\":5}}\n}}")
}

pub const HTML_BODY: &str = "<!DOCTYPE html>\n<html><head><title>Bad gateway</title></head>\n\
<body><center><h1>Bad gateway</h1></center><hr><center>simulated proxy</center></body></html>\n";

/// What stands around the padding of an oversized body, so that only its size is wrong.
pub const fn oversized_ends(format: Format) -> (&'static [u8], &'static [u8]) {
    match format {
        Format::Json => (b"{\"padding\":\"", b"\"}"),
        Format::Xml => (b"<padding>", b"</padding>"),
    }
}

pub const OVERSIZED_BYTES: usize = 50 * 1024 * 1024;

fn each() -> u64 {
    1
}

fn once() -> i64 {
    1
}

fn bad_request() -> u16 {
    400
}

fn fine() -> u16 {
    200
}

fn same_method() -> u16 {
    307
}
