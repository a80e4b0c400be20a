//! A proxy in front of a real vendor that loses answers after the effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::simulator::plain_client;

pub struct FaultProxy {
    pub url: String,
    lose: Arc<AtomicU32>,
}

impl FaultProxy {
    /// In front of `target`, a base URL without a trailing slash.
    pub async fn before(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let lose = Arc::new(AtomicU32::new(0));
        tokio::spawn(serve(listener, target.to_owned(), lose.clone()));
        Self { url, lose }
    }

    /// The answers to the next so many POSTs are lost.
    pub fn lose_answers(&self, count: u32) {
        self.lose.store(count, Ordering::SeqCst);
    }
}

async fn serve(listener: TcpListener, target: String, lose: Arc<AtomicU32>) {
    let client = plain_client();
    while let Ok((stream, _)) = listener.accept().await {
        let (target, lose, client) = (target.clone(), lose.clone(), client.clone());
        let service = service_fn(move |request| forward(client.clone(), target.clone(), lose.clone(), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// An error closes the connection without an answer.
async fn forward(
    client: reqwest::Client,
    target: String,
    lose: Arc<AtomicU32>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let (parts, body) = request.into_parts();
    let mut headers = parts.headers;
    headers.remove(http::header::HOST);
    let body = body.collect().await?.to_bytes();
    let posts = parts.method == http::Method::POST;
    let answer =
        client.request(parts.method, format!("{target}{}", parts.uri)).headers(headers).body(body).send().await?;
    let mut response = Response::builder().status(answer.status());
    if let Some(kind) = answer.headers().get(http::header::CONTENT_TYPE) {
        response = response.header(http::header::CONTENT_TYPE, kind);
    }
    let body = answer.bytes().await?;
    if posts && lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        return Err("lost on purpose".into());
    }
    Ok(response.body(Full::new(body))?)
}
