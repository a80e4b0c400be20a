//! A vendor that says what it is told to: for answers that no vendor should give.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Gives one answer after the other and keeps the requests.
pub struct Script {
    pub url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Script {
    pub async fn of<const N: usize>(answers: [(u16, Value); N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = seen.clone();
        tokio::spawn(async move {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let request = read(&mut stream).await;
                requests.lock().expect("no panic").push(request);
                // A text is a page and not JSON.
                let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close", body.len());
                let _ = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await;
            }
        });
        Self { url, seen }
    }

    /// Method and path of each request so far.
    pub fn seen(&self) -> Vec<String> {
        let line = |request: &String| request.split(" HTTP/").next().unwrap_or_default().to_owned();
        self.seen.lock().expect("no panic").iter().map(line).collect()
    }

    /// A request as it came, counted from 0.
    pub fn text(&self, index: usize) -> String {
        self.seen.lock().expect("no panic")[index].clone()
    }

    /// The body of a request, counted from 0.
    pub fn body(&self, index: usize) -> Value {
        let seen = self.seen.lock().expect("no panic");
        let (_, body) = seen[index].split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }
}

/// A refusal as OpenAI and LiteLLM write it.
pub fn refusal(message: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}})
}

async fn read(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        let mut more = [0; 4096];
        match stream.read(&mut more).await {
            Ok(count) if count > 0 => request.extend_from_slice(&more[..count]),
            _ => return text,
        }
    }
}
