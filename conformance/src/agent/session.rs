//! A session of the agent, with lines and heads by hand.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tunnel::{Stream, TransportError};

use super::{
    Peer,
    host::{Host, Link, told},
};
use crate::case::{Finding, Outcome, ensure, failed, within};

pub(super) struct Session {
    pub(super) link: Link,
    pub(super) hello: Value,
    /// What the agent serves.
    pub(super) bind: u32,
    lines: BufReader<ReadHalf<Stream>>,
    writer: WriteHalf<Stream>,
}

impl Session {
    /// The agent's next session. It has said hello and is not welcomed yet.
    pub(super) async fn greeted(host: &Host) -> Outcome<Self> {
        let link = host.link().await?;
        let control = within("control stream", link.accept()).await??;
        let (read, writer) = tokio::io::split(control);
        let mut session = Self {
            link,
            hello: Value::Null,
            bind: 1,
            lines: BufReader::new(read),
            writer,
        };
        session.hello = session.hear().await?;
        ensure!(
            session.hello["t"] == "hello",
            "the agent begins with {}",
            session.hello["t"]
        );
        if let Some(id) = session.hello["bind"][0]["id"].as_u64() {
            session.bind = id.try_into().map_err(told)?;
        }
        Ok(session)
    }

    /// An agent that was started for this, and is welcomed.
    pub(super) async fn welcomed(peer: &Peer) -> Outcome<(Host, Self)> {
        let host = Host::start(peer).await?;
        let mut session = Self::greeted(&host).await?;
        let welcome = session.welcome();
        session.say(&welcome).await?;
        Ok((host, session))
    }

    /// A welcome for what the agent asked, or for a port.
    pub(super) fn welcome(&self) -> Value {
        let bound = match self.hello["bind"].as_array() {
            Some(binds) => binds.clone(),
            None => vec![json!({"id": 1, "kind": "tcp", "port": 1})],
        };
        let hour = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default() + Duration::from_secs(3600);
        json!({
            "t": "welcome", "v": 1, "session": "conformance", "edge": "kit", "bound": bound,
            "session_exp": hour.as_secs(),
        })
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Outcome {
        self.writer.write_all(bytes).await?;
        Ok(self.writer.flush().await?)
    }

    pub(super) async fn say(&mut self, message: &Value) -> Outcome {
        self.send(format!("{message}\n").as_bytes()).await
    }

    /// The agent's next message that is no ping.
    pub(super) async fn hear(&mut self) -> Outcome<Value> {
        loop {
            let mut line = String::new();
            let read = within("line of the agent", self.lines.read_line(&mut line)).await??;
            ensure!(read > 0, "the agent ended the control stream");
            ensure!(read <= 16_384, "a control line of {read} bytes");
            let message: Value = serde_json::from_str(&line).map_err(told)?;
            if message["t"] != "ping" {
                return Ok(message);
            }
            self.say(&json!({"t": "pong", "n": message["n"]})).await?;
        }
    }

    /// The agent has read all that was said, and goes on.
    pub(super) async fn lives(&mut self) -> Outcome {
        self.say(&json!({"t": "ping", "n": 77})).await?;
        let pong = self.hear().await?;
        ensure!(
            pong["t"] == "pong" && pong["n"] == 77,
            "{pong} where a pong was expected"
        );
        Ok(())
    }

    /// The agent ends the session. With a code, when it gives one.
    pub(super) async fn ends_with(&mut self, code: u64) -> Outcome {
        loop {
            match self.hear().await {
                Ok(told) if told["t"] == "error" => {
                    ensure!(told["code"] == code, "{told} instead of error {code}");
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        match within("end of the session", self.link.closed()).await? {
            TransportError::Closed { code: told, .. } if u64::from(u8::from(told)) != code => {
                failed(format!(
                    "the session is closed with {told} instead of {code}"
                ))
            }
            _ => Ok(()),
        }
    }

    /// A stream for a visitor who says `first`.
    pub(super) async fn visit(&mut self, first: &[u8]) -> Outcome<Stream> {
        self.visit_with(&head(self.bind), first).await
    }

    pub(super) async fn visit_with(&mut self, head: &[u8], first: &[u8]) -> Outcome<Stream> {
        let mut stream = self.link.open().await?;
        stream.write_all(&[head, first].concat()).await?;
        stream.flush().await?;
        Ok(stream)
    }
}

/// The example of section 7.4, for a bind.
pub(super) fn head(bind: u32) -> Vec<u8> {
    let addresses = [192, 0, 2, 7, 203, 0, 113, 1, 0xC3, 0x50, 0xAB, 0xE1];
    with_tlvs(0x21, 0x11, &addresses, &tlv(0xE0, &bind.to_be_bytes()))
}

/// A head of any command, family and TLVs.
pub(super) fn with_tlvs(command: u8, family: u8, addresses: &[u8], tlvs: &[u8]) -> Vec<u8> {
    let mut head = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    let length = u16::try_from(addresses.len() + tlvs.len()).unwrap_or(u16::MAX);
    head.extend([command, family]);
    head.extend(length.to_be_bytes());
    head.extend(addresses);
    head.extend(tlvs);
    head
}

pub(super) fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    [&[kind][..], &length.to_be_bytes(), value].concat()
}

pub(super) async fn status(stream: &mut Stream) -> Outcome<u8> {
    let status = within("status", stream.read_u8()).await?;
    status.map_err(|error| Finding::Failed(format!("no status: {error}")))
}
