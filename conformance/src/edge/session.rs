//! The kit as an agent: control lines by hand, streams of the binding.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf},
    net::TcpStream,
    sync::OwnedMutexGuard,
    time::{Instant, sleep},
};
use tunnel::{Code, Stream, Transport, TransportError};
use zeroize::Zeroizing;

use super::{Peer, connect::Connected};
use crate::{
    case::{Finding, Outcome, ensure, failed, within},
    head::Head,
};

/// How long an endpoint may stay in the hands of a session of the kit: those of single requests end after a minute.
pub(super) const LET_GO: Duration = Duration::from_secs(65);
const CONFLICT: u64 = 6;

pub(super) struct Session {
    pub(super) transport: Arc<dyn Transport>,
    lines: BufReader<ReadHalf<Stream>>,
    writer: WriteHalf<Stream>,
    _connected: Connected,
    /// Held while the token's endpoints are this session's.
    endpoints: Option<OwnedMutexGuard<()>>,
}

impl Session {
    /// A control stream on which nothing was said yet.
    pub(super) async fn connect(peer: &Peer) -> Outcome<Self> {
        let connected = peer.connect().await?;
        let transport = Arc::clone(&connected.transport);
        let (read, writer) = tokio::io::split(within("control stream", transport.open()).await??);
        Ok(Self {
            transport,
            lines: BufReader::new(read),
            writer,
            _connected: connected,
            endpoints: None,
        })
    }

    /// A session that binds nothing.
    pub(super) async fn open(peer: &Peer) -> Outcome<(Self, Value)> {
        let mut session = Self::connect(peer).await?;
        session.say(&peer.hello()).await?;
        let welcome = session.welcome().await?;
        Ok((session, welcome))
    }

    /// A session with all the endpoints of the token. No two are there at a time.
    pub(super) async fn serve(peer: &Peer) -> Outcome<(Self, Value)> {
        let guard = Arc::clone(&peer.endpoints).lock_owned().await;
        let began = Instant::now();
        loop {
            let mut session = Self::connect(peer).await?;
            session.say(&peer.hello_for_all()).await?;
            // Where nothing is bound the hello itself is refused. What else is refused is told behind the welcome, and the
            // answer to a ping is behind that.
            let answered = match session.hear().await? {
                answer if answer["t"] == "error" => Err(answer),
                first => {
                    let welcome = session.welcome_from(first).await?;
                    session.barrier().await.map(|()| welcome)
                }
            };
            match answered {
                Ok(welcome) => {
                    session.endpoints = Some(guard);
                    return Ok((session, welcome));
                }
                // The edge has not noticed yet that the last session is gone.
                Err(told) if told["code"] == CONFLICT && began.elapsed() < LET_GO => {
                    drop(session);
                    sleep(Duration::from_millis(50)).await;
                }
                Err(told) => return failed(format!("the token's endpoints are refused: {told}")),
            }
        }
    }

    /// Ends the session; the endpoints stay the caller's.
    pub(super) async fn leave(mut self) -> Outcome<OwnedMutexGuard<()>> {
        self.transport.close(Code::Ok, "");
        self.transport.closed().await;
        let held = self.endpoints.take();
        held.ok_or_else(|| Finding::Failed("a session that holds nothing is left".into()))
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Outcome {
        self.writer.write_all(bytes).await?;
        Ok(self.writer.flush().await?)
    }

    pub(super) async fn say(&mut self, message: &Value) -> Outcome {
        // It may hold the token.
        let mut line = Zeroizing::new(message.to_string().into_bytes());
        line.push(b'\n');
        self.send(&line).await
    }

    /// The edge's next message that is no ping.
    pub(super) async fn hear(&mut self) -> Outcome<Value> {
        loop {
            let mut line = String::new();
            let read = within("line of the edge", self.lines.read_line(&mut line)).await??;
            ensure!(read > 0, "the edge ended the control stream");
            ensure!(read <= 16_384, "a control line of {read} bytes");
            if line.trim().is_empty() {
                continue;
            }
            let message: Value = serde_json::from_str(&line)
                .map_err(|error| Finding::Failed(format!("a line that is not JSON: {error}")))?;
            ensure!(message["t"].is_string(), "a message without t: {message}");
            if message["t"] != "ping" {
                return Ok(message);
            }
            self.say(&json!({"t": "pong", "n": message["n"]})).await?;
        }
    }

    /// The message `t`; any other is a failure.
    pub(super) async fn expect(&mut self, t: &str) -> Outcome<Value> {
        let message = self.hear().await?;
        ensure!(message["t"] == t, "{message} where {t} was expected");
        Ok(message)
    }

    /// The first line of welcome with the bounds of all of them.
    pub(super) async fn welcome(&mut self) -> Outcome<Value> {
        let first = self.hear().await?;
        self.welcome_from(first).await
    }

    async fn welcome_from(&mut self, first: Value) -> Outcome<Value> {
        ensure!(
            first["t"] == "welcome",
            "{first} where welcome was expected"
        );
        let mut welcome = first;
        let mut more = welcome["more"] == true;
        while more {
            let next = self.expect("welcome").await?;
            more = next["more"] == true;
            let (Some(all), Some(others)) =
                (welcome["bound"].as_array_mut(), next["bound"].as_array())
            else {
                return failed("bound is not a list");
            };
            all.extend(others.iter().cloned());
        }
        Ok(welcome)
    }

    /// Waits until all that was said is answered; an error that came before is the answer.
    pub(super) async fn barrier(&mut self) -> Result<(), Value> {
        let answered = async {
            self.say(&json!({"t": "ping", "n": 77})).await?;
            self.hear().await
        };
        match answered.await {
            Ok(message) if message["t"] == "pong" => Ok(()),
            Ok(message) => Err(message),
            Err(Finding::Failed(why) | Finding::NotTested(why)) => Err(json!(why)),
        }
    }

    /// The session still answers.
    pub(super) async fn lives(&mut self) -> Outcome {
        self.barrier().await.map_err(|other| {
            Finding::Failed(format!(
                "the session should have gone on, but the edge says {other}"
            ))
        })
    }

    /// How the edge ends the session: the code of its error, or that of its close. The two agree.
    pub(super) async fn ends_with(&mut self, code: u64) -> Outcome {
        let told = loop {
            match self.hear().await {
                Ok(message) if message["t"] == "error" && message["id"].is_null() => {
                    break Some(message["code"].as_u64());
                }
                Ok(message) if message["t"] == "welcome" => return failed("the edge welcomes it"),
                Ok(_) => {}
                Err(_) => break None,
            }
        };
        if let Some(told) = told {
            ensure!(told == Some(code), "error {told:?} instead of {code}");
        }
        let closed = within("end of the session", self.transport.closed()).await?;
        let TransportError::Closed { code: closed, .. } = closed else {
            return failed(format!("the edge does not close: {closed}"));
        };
        let closed = u64::from(u8::from(closed));
        ensure!(
            closed == code,
            "the session is closed with {closed} instead of {code}"
        );
        Ok(())
    }

    /// The next stream of the edge and its head. No status was sent.
    pub(super) async fn stream(&mut self) -> Outcome<(Head, Stream)> {
        let mut stream = within("stream of the edge", self.transport.accept()).await??;
        let head = within("head", Head::read(&mut stream)).await??;
        Ok((head, stream))
    }

    /// The stream of this visitor. One of another is an earlier case's, whose visitor waited for a session.
    pub(super) async fn stream_of(&mut self, visitor: SocketAddr) -> Outcome<(Head, Stream)> {
        loop {
            let (head, stream) = self.stream().await?;
            if head.may_be_of(visitor) {
                return Ok((head, stream));
            }
        }
    }

    /// The same, accepted.
    pub(super) async fn accepted(&mut self, visitor: &TcpStream) -> Outcome<Stream> {
        let (_, mut stream) = self.stream_of(visitor.local_addr()?).await?;
        stream.write_all(&[0]).await?;
        stream.flush().await?;
        Ok(stream)
    }

    /// No stream is opened for a while.
    pub(super) async fn stays_quiet(&mut self) -> Outcome {
        const WHILE: Duration = Duration::from_millis(500);
        match tokio::time::timeout(WHILE, self.transport.accept()).await {
            Ok(Ok(_)) => failed("the edge opens a stream"),
            _ => Ok(()),
        }
    }
}

impl Peer {
    /// A hello that binds nothing.
    pub(super) fn hello(&self) -> Value {
        let mut hello = self.hello_for_all();
        hello["bind"] = json!([]);
        hello
    }

    pub(super) fn hello_for_all(&self) -> Value {
        let token = self.edge.token.expose();
        json!({"t": "hello", "v": [1], "token": token, "agent": "adit-conformance"})
    }
}
