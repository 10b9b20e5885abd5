//! How long somebody waits who starts an agent: from its start to the first answer that a visitor gets.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use super::Bench;
use crate::{
    problem::{Doing, Outcome, Problem},
    rows::{Public, Row},
    sample::Measured,
};

/// Starts of the agent in one visit. The very first also claims the name and is left out.
const STARTS: usize = 3;
const WITHIN: Duration = Duration::from_secs(20);
/// Between tries that fail at once.
const PAUSE: Duration = Duration::from_micros(500);

/// Milliseconds, one for each start.
pub(super) fn measure(bench: &Bench, row: &Row) -> Outcome<Vec<(String, Measured)>> {
    let public = row.public(bench.address, &bench.programs)?;
    start(&public)?;
    (0..STARTS)
        .map(|_| {
            let milliseconds = start(&public)?.as_secs_f64() * 1000.0;
            Ok(("first".into(), Measured::plain(milliseconds, 1)))
        })
        .collect()
}

fn start(public: &Public) -> Outcome<Duration> {
    let begun = Instant::now();
    let agent = public.dial()?;
    while !answers(public) {
        if begun.elapsed() > WITHIN {
            return Err(Problem::new("no answer after the start of the agent"));
        }
        thread::sleep(PAUSE);
    }
    let took = begun.elapsed();
    drop(agent);
    while answers(public) {
        thread::sleep(PAUSE);
    }
    Ok(took)
}

fn answers(public: &Public) -> bool {
    ask(public).is_ok_and(|begin| begin.starts_with(b"HTTP/1.1 200"))
}

/// The first bytes of an answer.
fn ask(public: &Public) -> Outcome<[u8; 12]> {
    let mut stream = TcpStream::connect(public.target).doing("connect")?;
    stream.set_read_timeout(Some(WITHIN)).doing("timeout")?;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        public.host
    );
    stream.write_all(request.as_bytes()).doing("request")?;
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).doing("answer")?;
    Ok(begin)
}
