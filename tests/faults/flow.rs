//! A steady flow of visits, counted by how they ended.
//!
//! A visitor knows both edges, as from DNS: it begins with the one that served it last and tries the other when that one does not. A
//! visit fails when neither serves it.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tests::WAIT;

use crate::site::BODY;

/// A visitor that gets no answer gives up after that; it is longer than an edge lets a visitor wait for a session.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two visits to one name.
const PACE: Duration = Duration::from_millis(25);

pub(crate) struct Flow {
    counts: Arc<Mutex<Vec<Counts>>>,
    stop: Arc<AtomicBool>,
    visitors: Vec<JoinHandle<()>>,
}

/// Of one name, since they were taken last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) served: u64,
    /// Of these, by the other edge than before.
    pub(crate) moved: u64,
    pub(crate) failed: BTreeMap<String, u64>,
    /// The longest time without a served visit.
    pub(crate) gap: Duration,
}

impl Flow {
    pub(crate) fn start(hosts: Vec<String>, edges: Vec<u16>) -> Self {
        let counts = Arc::new(Mutex::new(vec![Counts::default(); hosts.len()]));
        let stop = Arc::<AtomicBool>::default();
        let visitors = hosts.into_iter().enumerate().map(|(at, host)| {
            let (counts, stop, edges) = (counts.clone(), stop.clone(), edges.clone());
            thread::spawn(move || {
                let (mut first, mut last) = (0, Instant::now());
                while !stop.load(Relaxed) {
                    let visited = visit(&host, &edges, &mut first);
                    let mut counts = counts.lock().unwrap();
                    counts[at].note(visited, last.elapsed());
                    drop(counts);
                    last = Instant::now();
                    thread::sleep(PACE);
                }
            })
        });
        Self {
            visitors: visitors.collect(),
            counts,
            stop,
        }
    }

    /// Begins to count anew, and gives what was counted so far, of all names together.
    pub(crate) fn take(&self) -> Counts {
        let mut all = Counts::default();
        for counts in self.counts.lock().unwrap().iter_mut() {
            let one = std::mem::take(counts);
            all.served += one.served;
            all.moved += one.moved;
            all.gap = all.gap.max(one.gap);
            for (cause, count) in one.failed {
                *all.failed.entry(cause).or_default() += count;
            }
        }
        all
    }

    /// Waits until each name was served so often more, without a failure in between.
    pub(crate) fn is_served(&self, often: u64) {
        let now = self.counts.lock().unwrap().clone();
        let deadline = Instant::now() + WAIT * 2;
        let mut begun: Vec<_> = now.iter().map(|one| (one.served, one.failures())).collect();
        loop {
            let now = self.counts.lock().unwrap().clone();
            for (one, begun) in now.iter().zip(&mut begun) {
                if one.failures() != begun.1 {
                    *begun = (one.served, one.failures());
                }
            }
            if now
                .iter()
                .zip(&begun)
                .all(|(one, begun)| one.served >= begun.0 + often)
            {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "visits are not served again: {now:?}"
            );
            thread::sleep(PACE);
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for visitor in self.visitors.drain(..) {
            let _ = visitor.join();
        }
    }
}

impl Counts {
    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    fn note(&mut self, visited: Result<bool, String>, since: Duration) {
        match visited {
            Ok(moved) => {
                self.served += 1;
                self.moved += u64::from(moved);
                self.gap = self.gap.max(since);
            }
            Err(cause) => {
                *self.failed.entry(cause).or_default() += 1;
                self.gap = self.gap.max(since);
            }
        }
    }
}

/// Whether the other edge served it, or why the first one did not.
fn visit(host: &str, edges: &[u16], first: &mut usize) -> Result<bool, String> {
    let begun = *first;
    let mut cause = None;
    for after in 0..edges.len() {
        let at = (begun + after) % edges.len();
        match get(edges[at], host) {
            Ok(()) => {
                *first = at;
                return Ok(at != begun);
            }
            Err(why) => drop(cause.get_or_insert(why)),
        }
    }
    Err(cause.unwrap_or_default())
}

/// One visit through one edge.
fn get(port: u16, host: &str) -> Result<(), String> {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)
        .map_err(|error| format!("connecting: {:?}", error.kind()))?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let broken = |error: std::io::Error| format!("waiting: {:?}", error.kind());
    stream.write_all(request.as_bytes()).map_err(broken)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(broken)?;
    let status = answer.split(' ').nth(1).unwrap_or("nothing");
    if status == "200" && answer.ends_with(BODY) {
        Ok(())
    } else {
        Err(format!("answered {status}"))
    }
}
