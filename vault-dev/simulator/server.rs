//! The listener: reads a request, looks for a fault, asks the vendor, and puts the answer on the wire.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::control;
use crate::faults::{self, Kind, Plan};
use crate::request::Request;
use crate::router::{Answer, Format};
use crate::world::World;

/// Far above any admin request; the simulator must not be made to hold more.
const BODY_MAX_BYTES: usize = 1024 * 1024;
/// Pieces of a slow body, and the size of a piece of an oversized one.
const SLOW_PIECES: usize = 10;
const PIECE_BYTES: usize = 64 * 1024;
const TRUNCATED_PAUSE: Duration = Duration::from_millis(50);

type Response = http::Response<UnsyncBoxBody<Bytes, Infallible>>;
type Shared = Arc<Mutex<World>>;

pub async fn serve(listener: TcpListener, world: Shared) -> std::io::Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        let world = world.clone();
        let service = service_fn(move |request| answer(world.clone(), request));
        tokio::spawn(async move {
            // An error here is a client that went away, or a connection that a fault was told to drop.
            let _ =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

/// An error makes hyper close the connection without an answer, which is what the two drop faults want.
async fn answer(world: Shared, request: http::Request<Incoming>) -> std::io::Result<Response> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_MAX_BYTES).collect().await else {
        return Ok(written(&Answer::new(413, serde_json::json!({"error": "the request is too large"}))));
    };
    let request = Request::new(&parts, &body.to_bytes());
    if request.path.starts_with(control::PREFIX) {
        return Ok(written(&control::respond(&mut lock(&world), &request)));
    }
    let Some((place, rest)) = lock(&world).mounted(&request.path) else {
        return Ok(written(&Answer::new(404, serde_json::json!({"error": "no vendor has this path"}))));
    };
    let plan = {
        let world = &mut *lock(&world);
        world.faults.plan(world.vendors[place].name, &request)
    };
    // No wait is no sleep: the timer rounds up, to more than a millisecond for each request.
    if !plan.delay.is_zero() {
        tokio::time::sleep(plan.delay).await;
    }
    act(&mut lock(&world), place, rest, &request, plan)
}

fn act(world: &mut World, place: usize, rest: &str, request: &Request, plan: Plan) -> std::io::Result<Response> {
    let at = world.now();
    let vendor = &mut world.vendors[place].vendor;
    let effect = plan.kind.as_ref().is_none_or(Kind::lets_the_effect_happen);
    let answer = effect.then(|| vendor.respond(request, rest, at));
    let refusal = |status, message| vendor.refusal(rest, status, message);
    let format = refusal(500, "").body.format();
    let secret = request.credentials();
    let response = match (plan.kind, &answer) {
        (Some(Kind::DropBefore | Kind::DropAfter), _) => None,
        (Some(Kind::RateLimit { retry_after_seconds }), _) => {
            let limited = refusal(429, "Rate limit reached. Please try again later.");
            Some(written(&limited.with("retry-after", retry_after_seconds.to_string())))
        }
        (Some(Kind::ErrorBefore { status } | Kind::ErrorAfter { status }), _) => {
            Some(written(&refusal(status, "The server had an error while processing your request.")))
        }
        (Some(Kind::Html { status } | Kind::HtmlAfter { status }), _) => {
            Some(whole(status, "text/html", faults::HTML_BODY.into()))
        }
        (Some(Kind::Hostile { status }), _) => {
            Some(whole(status, format.kind(), faults::hostile_body(format, &secret).into()))
        }
        (Some(Kind::Oversized { status }), _) => Some(oversized(format, status)),
        (Some(Kind::Redirect { to, status }), _) => Some(redirect(status, &to)),
        (Some(Kind::SlowBody { ms }), Some(answer)) => Some(slow(answer, Duration::from_millis(ms))),
        (Some(Kind::Truncated), Some(answer)) => Some(truncated(answer)),
        (_, answer) => answer.as_ref().map(written),
    };
    world.record(place, rest, request, response.as_ref().map(|response| response.status().as_u16()));
    response.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
}

/// A handler that panicked must not take the simulator with it.
fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn written(answer: &Answer) -> Response {
    let mut response = whole(answer.status, answer.body.format().kind(), answer.body.text().into());
    for (name, value) in &answer.headers {
        set(&mut response, name, value);
    }
    response
}

fn whole(status: u16, kind: &str, body: Bytes) -> Response {
    response(status, kind, Full::new(body).boxed_unsync())
}

fn slow(answer: &Answer, over: Duration) -> Response {
    let body = Bytes::from(answer.body.text());
    let piece = body.len().div_ceil(SLOW_PIECES).max(1);
    let wait = over / u32::try_from(SLOW_PIECES).unwrap_or(1);
    let pieces = stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(wait).await;
        let next = rest.split_to(piece.min(rest.len()));
        Some((Ok(Frame::data(next)), rest))
    });
    response(answer.status, answer.body.format().kind(), StreamBody::new(pieces).boxed_unsync())
}

fn oversized(format: Format, status: u16) -> Response {
    let (start, end) = faults::oversized_ends(format);
    let padding = std::iter::repeat_n(Bytes::from_static(&[b'x'; PIECE_BYTES]), faults::OVERSIZED_BYTES / PIECE_BYTES);
    let pieces = std::iter::once(Bytes::from_static(start)).chain(padding).chain([Bytes::from_static(end)]);
    let body = StreamBody::new(stream::iter(pieces.map(|piece| Ok(Frame::data(piece)))));
    response(status, format.kind(), body.boxed_unsync())
}

fn redirect(status: u16, to: &str) -> Response {
    let mut response = whole(status, "text/plain", Bytes::new());
    set(&mut response, LOCATION.as_str(), to);
    response
}

fn truncated(answer: &Answer) -> Response {
    let body = answer.body.text();
    let half = Bytes::copy_from_slice(&body.as_bytes()[..body.len() / 2]);
    // A stream, because hyper holds a known size against the header; the pause lets the half reach the wire before hyper
    // sees that the rest is missing and closes the connection.
    let pieces = stream::unfold(Some(half), |half| async {
        if half.is_none() {
            tokio::time::sleep(TRUNCATED_PAUSE).await;
        }
        half.map(|half| (Ok(Frame::data(half)), None))
    });
    let kind = answer.body.format().kind();
    let mut response = response(answer.status, kind, StreamBody::new(pieces).boxed_unsync());
    set(&mut response, CONTENT_LENGTH.as_str(), &body.len().to_string());
    response
}

fn response(status: u16, kind: &str, body: UnsyncBoxBody<Bytes, Infallible>) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    set(&mut response, CONTENT_TYPE.as_str(), kind);
    response
}

/// A value that HTTP does not allow in a header is left out.
fn set(response: &mut Response, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), http::HeaderValue::try_from(value)) {
        response.headers_mut().insert(name, value);
    }
}
