//! The server behind every path: HTTP/1.1 with as little work as possible, so that what is measured is the path.
//!
//! `GET /` answers 1 KiB, `GET /down` bytes without end, `POST /up` takes bytes without end and counts them, and
//! `GET /received` (asked directly, beside the path) tells how many came and how many reads held something else.

use std::{cell::Cell, net::SocketAddr, rc::Rc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::LocalSet,
};

use crate::{
    pattern,
    problem::{Doing, Outcome},
};

/// More than any sample can move, below what any proxy refuses to count.
pub(crate) const ENDLESS: u64 = 1 << 40;
const SMALL_BODY: usize = 1024;
/// A request's head; ours are a few lines, and a proxy adds some.
const HEAD: usize = 16 * 1024;

#[derive(Debug, Default)]
struct Received {
    bytes: Cell<u64>,
    wrong: Cell<u64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OriginArgs {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// Serves until the process is killed; the first line on standard output is the address.
pub(crate) fn run(args: &OriginArgs) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("runtime")?;
    LocalSet::new().block_on(&runtime, serve(args.listen))
}

async fn serve(address: SocketAddr) -> Outcome<()> {
    let listener = TcpListener::bind(address).await.doing("listen")?;
    println!("{}", listener.local_addr().doing("address")?);
    let small = Rc::new(small_answer());
    let received = Rc::new(Received::default());
    loop {
        let (stream, _) = listener.accept().await.doing("accept")?;
        stream.set_nodelay(true).doing("nodelay")?;
        let (small, received) = (small.clone(), received.clone());
        // A connection that breaks is the load's business: it sees that itself.
        tokio::task::spawn_local(async move {
            let _ = connection(stream, &small, &received).await;
        });
    }
}

fn small_answer() -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {SMALL_BODY}\r\n\r\n"
    );
    [head.as_bytes(), &pattern::from(0)[..SMALL_BODY]].concat()
}

async fn connection(
    mut stream: TcpStream,
    small: &[u8],
    received: &Received,
) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(1024);
    loop {
        let Some(end) = head(&mut stream, &mut buffer).await? else {
            return Ok(());
        };
        if buffer.starts_with(b"GET /down") {
            return send_without_end(stream).await;
        } else if buffer.starts_with(b"POST /up") {
            return take_without_end(stream, &buffer[end..], received).await;
        } else if buffer.starts_with(b"GET /received") {
            let text = format!("{} {}", received.bytes.get(), received.wrong.get());
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}",
                text.len()
            );
            stream.write_all(answer.as_bytes()).await?;
        } else {
            stream.write_all(small).await?;
        }
        buffer.drain(..end);
    }
}

/// Reads until a whole head is there and says where it ends; none when the visitor has left.
async fn head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<usize>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(end + 4));
        }
        if buffer.len() > HEAD || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

async fn send_without_end(mut stream: TcpStream) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {ENDLESS}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut position = 0;
    loop {
        position += stream.write(pattern::from(position)).await? as u64;
    }
}

async fn take_without_end(
    mut stream: TcpStream,
    first: &[u8],
    received: &Received,
) -> std::io::Result<()> {
    let mut position = 0;
    let mut take = |read: &[u8]| {
        if !pattern::holds(position, read) {
            received.wrong.set(received.wrong.get() + 1);
        }
        position += read.len() as u64;
        received.bytes.set(received.bytes.get() + read.len() as u64);
    };
    take(first);
    let mut buffer = vec![0; pattern::PIECE];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => take(&buffer[..count]),
        }
    }
}
