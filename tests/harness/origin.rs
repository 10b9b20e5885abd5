//! Small origins in threads of the test: what they do to their connection is exactly what the test says.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A TCP server that hands each connection to a closure, in a thread of its own.
pub struct Origin {
    pub addr: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Origin {
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (serve, count) = (Arc::new(serve), connections.clone());
        // The listener lives as long as the test's process: nothing outlives it.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let serve = serve.clone();
                thread::spawn(move || serve(stream));
            }
        });
        Self { addr, connections }
    }

    pub fn port(&self) -> String {
        self.addr.port().to_string()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Sends back what it gets and ends when the other side has ended.
pub fn echo() -> Origin {
    Origin::start(|mut stream| {
        let mut reader = stream.try_clone().unwrap();
        let _ = std::io::copy(&mut reader, &mut stream);
        let _ = stream.shutdown(std::net::Shutdown::Write);
    })
}

/// Takes connections and never says a word.
pub fn silent() -> Origin {
    Origin::start(|mut stream| {
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    })
}

/// Says a line before it hears anything, as SMTP and SSH do, and then echoes.
pub fn speaks_first(line: &'static str) -> Origin {
    Origin::start(move |mut stream| {
        let _ = stream.write_all(line.as_bytes());
        let mut reader = stream.try_clone().unwrap();
        let _ = std::io::copy(&mut reader, &mut stream);
        let _ = stream.shutdown(std::net::Shutdown::Write);
    })
}

/// HTTP/1.1, one request a connection: `answer` gets the head and the connection, and writes the whole response.
pub fn http_files(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Origin {
    Origin::start(move |mut stream| {
        if let Some(head) = read_head(&mut stream) {
            answer(&head, &mut stream);
        }
    })
}

fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 || head.len() > 64 * 1024 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}
