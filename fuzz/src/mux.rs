//! The mux (`tunnel`): a peer that sends any frames, honest or not, to a session whose streams are used in any order.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bolero::{TypeGenerator, check};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::timeout,
};
use tunnel::{
    Code,
    mux::{Budget, Config, Connection, Role, Stream},
};

use crate::SLOW_ITERATIONS;

/// Few, so that the limits are met often.
const STREAMS: u32 = 4;
const BUDGET: usize = 1 << 20;
/// What a stream may have under way before anything grows.
const FIRST_WINDOW: usize = 256 * 1024;
/// Streams opened here.
const OWN_STREAMS: usize = 4;
/// Virtual time: longer than every time limit of a session.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, TypeGenerator)]
enum Act {
    Frame(Frame),
    /// Data with a body that is as long as it says.
    Data {
        flags: u8,
        stream: u8,
        len: u16,
    },
    /// Rare: it breaks the framing, and that is the end.
    Noise {
        bytes: Vec<u8>,
        chance: u8,
    },
    ReadAnswers,
    Wait {
        millis: u16,
    },
    Accept,
    Open,
    Read {
        stream: u8,
        len: u16,
    },
    Write {
        stream: u8,
        len: u16,
    },
    Shutdown {
        stream: u8,
    },
    Reset {
        stream: u8,
        code: u8,
    },
    Drop {
        stream: u8,
    },
}

#[derive(Clone, Debug, TypeGenerator)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u8,
    length: u32,
    /// Makes short lengths as likely as long ones.
    shift: u8,
}

struct Bed {
    connection: Connection,
    budget: Arc<Budget>,
    peer: DuplexStream,
    streams: Vec<Stream>,
    opened: usize,
    /// The first stream id of the peer.
    first_id: u8,
    /// Streams that the peer has opened.
    begun: BTreeSet<u8>,
}

#[test]
fn any_peer_as_edge() {
    check!()
        .with_iterations(SLOW_ITERATIONS)
        .with_type::<Vec<Act>>()
        .for_each(|acts| run(Role::Client, acts));
}

#[test]
fn any_peer_as_agent() {
    check!()
        .with_iterations(SLOW_ITERATIONS)
        .with_type::<Vec<Act>>()
        .for_each(|acts| run(Role::Server, acts));
}

fn run(role: Role, acts: &[Act]) {
    let mut paused = tokio::runtime::Builder::new_current_thread();
    let runtime = paused.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut bed = Bed::new(role);
        for act in acts {
            bed.act(act).await;
            bed.check();
        }
        bed.end().await;
    });
}

impl Bed {
    fn new(role: Role) -> Self {
        let (near, peer) = tokio::io::duplex(16 * 1024);
        let budget = Arc::new(Budget::new(BUDGET));
        let config = Config {
            max_peer_streams: STREAMS,
            session_budget: BUDGET,
            ..Config::new(Arc::clone(&budget))
        };
        Self {
            connection: Connection::new(near, role, config),
            budget,
            peer,
            streams: Vec::new(),
            opened: 0,
            first_id: if role == Role::Server { 1 } else { 2 },
            begun: BTreeSet::new(),
        }
    }

    async fn act(&mut self, act: &Act) {
        match act {
            Act::Frame(frame) => {
                let frame = self.encode(frame);
                self.send(&frame).await;
            }
            Act::Data { flags, stream, len } => {
                let head = self.encode(&Frame {
                    kind: 0,
                    flags: *flags,
                    stream: *stream,
                    length: (*len).into(),
                    shift: 0,
                });
                self.send(&[head.to_vec(), vec![7; (*len).into()]].concat())
                    .await;
            }
            Act::Noise {
                bytes,
                chance: 0..8,
            } => self.send(bytes).await,
            Act::Noise { .. } => {}
            Act::ReadAnswers => {
                let mut answers = vec![0; 64 * 1024];
                let _ = soon(self.peer.read(&mut answers)).await;
            }
            Act::Wait { millis } => {
                tokio::time::sleep(Duration::from_millis((*millis / 8).into())).await
            }
            Act::Accept => {
                if let Some(Ok(stream)) = soon(self.connection.accept()).await {
                    self.streams.push(stream);
                }
            }
            Act::Open => self.open(),
            other => self.use_stream(other).await,
        }
    }

    async fn use_stream(&mut self, act: &Act) {
        let Some(at) = act
            .stream()
            .map(usize::from)
            .filter(|_| !self.streams.is_empty())
        else {
            return;
        };
        let at = at % self.streams.len();
        let stream = &mut self.streams[at];
        match act {
            Act::Read { len, .. } => drop(soon(stream.read(&mut vec![0; (*len).into()])).await),
            Act::Write { len, .. } => drop(soon(stream.write(&vec![1; (*len).into()])).await),
            Act::Shutdown { .. } => drop(soon(stream.shutdown()).await),
            Act::Reset { code, .. } => stream.reset(Code::of_stream((*code).into())),
            _ => drop(self.streams.swap_remove(at)),
        }
    }

    fn open(&mut self) {
        if self.opened < OWN_STREAMS
            && let Ok(stream) = self.connection.open()
        {
            self.opened += 1;
            self.streams.push(stream);
        }
    }

    /// The peer writes; a session that does not read is a session that is not attacked, so this does not wait long.
    async fn send(&mut self, bytes: &[u8]) {
        let _ = soon(self.peer.write_all(bytes)).await;
    }

    fn check(&self) {
        let stats = self.connection.stats();
        // Streams that the peer has done with and we have not count half.
        let most = 2 * STREAMS as usize + self.opened;
        assert!(stats.streams <= most, "{stats:?}");
        let used = self.budget.used();
        assert!(used <= BUDGET + most * FIRST_WINDOW, "{used} bytes in use");
    }

    /// Whatever has happened, the session ends with its connection, streams end with their session, and nothing is kept.
    async fn end(self) {
        let Self {
            connection,
            budget,
            peer,
            streams,
            ..
        } = self;
        drop(peer);
        timeout(PATIENCE, connection.closed())
            .await
            .expect("the session ends");
        for mut stream in streams {
            let rest = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
            let _ = rest.expect("a stream ends with its session");
        }
        timeout(PATIENCE, connection.finished())
            .await
            .expect("the driver ends");
        assert_eq!(connection.stats().streams, 0);
        drop(connection);
        assert_eq!(budget.used(), 0);
    }
}

impl Act {
    const fn stream(&self) -> Option<u8> {
        match self {
            Self::Read { stream, .. }
            | Self::Write { stream, .. }
            | Self::Shutdown { stream }
            | Self::Reset { stream, .. }
            | Self::Drop { stream } => Some(*stream),
            _ => None,
        }
    }
}

/// Types of frames, the one that ends it all (GoAway) least often.
const KINDS: [u8; 16] = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3];

/// Flags besides SYN.
const FLAGS: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 4, 8, 8];
const SYN: u8 = 1;

impl Bed {
    /// Nearly always on one of a few streams of the peer, which its first frame opens; else on any, with any flags.
    fn encode(&mut self, frame: &Frame) -> [u8; 12] {
        let (kind, stream, flags) = match frame.stream {
            0..250 => self.orderly(frame),
            any => (frame.kind % 5, any % 20, frame.flags & 15),
        };
        let [a, b, c, d] = (frame.length >> (frame.shift % 32)).to_be_bytes();
        [0, kind, 0, flags, 0, 0, 0, stream, a, b, c, d]
    }

    fn orderly(&mut self, frame: &Frame) -> (u8, u8, u8) {
        let kind = KINDS[usize::from(frame.kind) % KINDS.len()];
        let stream = self.first_id + 2 * (frame.stream % 24);
        let flags = FLAGS[usize::from(frame.flags) % FLAGS.len()];
        let first = self.begun.insert(stream);
        (kind, stream, if first { flags | SYN } else { flags })
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> Option<T> {
    timeout(Duration::from_millis(1), what).await.ok()
}
