//! [`connection`]: how one request and its answer pass a proxy, byte by byte, with the fault that its rule asks for.
//!
//! **Invariants.** One buffer of bounded size each way. What is counted was counted before it was passed on.
//!
//! *Not here:* which fault (`proxy` asks its rule).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::fault::Fault;
use super::proxy::Shared;

const MAX_HEAD_BYTES: usize = 64 << 10;
const BUFFER_BYTES: u64 = 64 << 10;
/// How long a client may go on sending a body that nobody wants.
const DRAIN: Duration = Duration::from_secs(5);

/// What a registry without TLS says at once to a client that tries it.
const NOT_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n";

/// The first lines of a message, and the bytes of its body that came along.
struct Head {
    start_line: String,
    headers: Vec<String>,
    rest: Vec<u8>,
}

/// One way through the proxy.
struct Way<'a> {
    counter: &'a AtomicU64,
    cut_at: Option<u64>,
    flip_at: Option<u64>,
    bytes_per_second: Option<u64>,
}

/// Serves the one request of a connection. Errors end it, as they would end it without a proxy.
pub(super) async fn connection(client: TcpStream, shared: Arc<Shared>) {
    let _ = passed(client, &shared).await;
}

async fn passed(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    if speaks_tls(&client).await? {
        return client.write_all(NOT_TLS).await;
    }
    let head = read_head(&mut client).await?;
    let (seen, fault) = shared.meet(&head.start_line, &head.headers);
    sleep(fault.delay).await;
    if fault.refused {
        return Ok(());
    }
    if let Some(status) = fault.answer {
        return answered(client, status, &fault).await;
    }
    let (up, down) = (
        Way { counter: &seen.up_bytes, cut_at: fault.cut_upload_at, flip_at: None, bytes_per_second: fault.bytes_per_second },
        Way { counter: &seen.down_bytes, cut_at: fault.cut_response_at, flip_at: fault.flip_at, bytes_per_second: fault.bytes_per_second },
    );
    let mut server = TcpStream::connect(&shared.upstream).await?;
    server.write_all(head.text(&[("Connection", "close")]).as_bytes()).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let upload = async {
        let cut = up.pass(head.rest, &mut from_client, &mut to_server).await;
        // Without a cut the answer is what ends the request.
        if matches!(cut, Ok(true)) { cut } else { std::future::pending().await }
    };
    let download = async {
        let rest = relay_answer_head(&mut from_server, &mut to_client, &fault).await?;
        down.pass(rest, &mut from_server, &mut to_client).await
    };
    tokio::select! { ended = upload => ended, ended = download => ended }.map(drop)
}

impl Way<'_> {
    /// Passes `first` and all that follows, until the end (`false`) or the cut (`true`).
    async fn pass(&self, first: Vec<u8>, from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<bool> {
        let size = self.bytes_per_second.map_or(BUFFER_BYTES, |rate| (rate / 20).clamp(1, BUFFER_BYTES));
        let (mut part, mut offset) = (first, 0u64);
        loop {
            let left = self.cut_at.map_or(u64::MAX, |cut| cut - offset);
            part.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            self.flip(&mut part, offset);
            offset += part.len() as u64;
            self.counter.fetch_add(part.len() as u64, Ordering::SeqCst);
            to.write_all(&part).await?;
            to.flush().await?;
            if self.cut_at == Some(offset) {
                return Ok(true);
            }
            if let Some(rate) = self.bytes_per_second {
                sleep(Duration::from_secs_f64(part.len() as f64 / rate as f64)).await;
            }
            part.resize(size as usize, 0);
            let read = from.read(&mut part).await?;
            part.truncate(read);
            if read == 0 {
                return Ok(false);
            }
        }
    }

    fn flip(&self, part: &mut [u8], offset: u64) {
        let place = self.flip_at.and_then(|at| at.checked_sub(offset)).and_then(|at| usize::try_from(at).ok());
        if let Some(byte) = place.and_then(|at| part.get_mut(at)) {
            *byte ^= 1;
        }
    }
}

/// Passes the head of the answer, with the headers that the fault changes, and any `100 Continue` before it.
async fn relay_answer_head(
    server: &mut (impl AsyncRead + Unpin),
    client: &mut (impl AsyncWrite + Unpin),
    fault: &Fault,
) -> io::Result<Vec<u8>> {
    let mut head = read_head(server).await?;
    while head.start_line.split(' ').nth(1).is_some_and(|status| status.starts_with('1')) {
        client.write_all(head.text(&[]).as_bytes()).await?;
        head = read_head_after(std::mem::take(&mut head.rest), server).await?;
    }
    let changed: Vec<(&str, &str)> = fault.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    client.write_all(head.text(&changed).as_bytes()).await?;
    Ok(head.rest)
}

/// Answers in place of the registry, and lets the client finish its sentence.
async fn answered(mut client: TcpStream, status: u16, fault: &Fault) -> io::Result<()> {
    let told = || format!(r#"{{"errors":[{{"code":"PROXY","message":"status {status} on request"}}]}}"#);
    let body = fault.body.clone().unwrap_or_else(told);
    let own = Head { start_line: format!("HTTP/1.1 {status} Fault"), headers: Vec::new(), rest: Vec::new() };
    let length = body.len().to_string();
    let mut headers = vec![("Content-Type", "application/json"), ("Content-Length", &length), ("Connection", "close")];
    headers.extend(fault.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    client.write_all((own.text(&headers) + &body).as_bytes()).await?;
    client.shutdown().await?;
    let mut nowhere = tokio::io::sink();
    let drain = tokio::io::copy(&mut client, &mut nowhere);
    timeout(DRAIN, drain).await.map_or(Ok(()), |drained| drained.map(drop))
}

impl Head {
    /// The head as text, with these headers in place of any of the same name.
    fn text(&self, changed: &[(&str, &str)]) -> String {
        let is_changed = |line: &&String| {
            let name = line.split(':').next().unwrap_or_default();
            !changed.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
        };
        let kept = self.headers.iter().filter(is_changed).map(|line| format!("{line}\r\n"));
        let new = changed.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        format!("{}\r\n{}\r\n", self.start_line, kept.chain(new).collect::<String>())
    }
}

/// Whether the client begins with a TLS handshake.
async fn speaks_tls(client: &TcpStream) -> io::Result<bool> {
    let mut first = [0; 1];
    Ok(client.peek(&mut first).await? == 1 && first[0] == 0x16)
}

async fn read_head(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Head> {
    read_head_after(Vec::new(), from).await
}

async fn read_head_after(mut bytes: Vec<u8>, from: &mut (impl AsyncRead + Unpin)) -> io::Result<Head> {
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let mut lines = text.split("\r\n").map(str::to_owned);
            return Ok(Head { start_line: lines.next().unwrap_or_default(), headers: lines.collect(), rest });
        }
        if bytes.len() > MAX_HEAD_BYTES || from.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
