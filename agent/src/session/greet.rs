//! hello and welcome on a fresh transport.

use std::sync::Arc;

use token::{Binding, ProofKey};
use tokio::io::{ReadHalf, WriteHalf};
use tunnel::{
    Code, ControlReader, ControlWriter, Secret, Transport,
    control::ControlError,
    limits,
    message::{AgentMessage, EdgeMessage, ErrorMessage, Hello, Welcome},
};

use super::Ended;

pub(super) type Reader = ControlReader<ReadHalf<tunnel::Stream>>;
pub(super) type Writer = ControlWriter<WriteHalf<tunnel::Stream>>;

#[derive(Debug)]
pub(super) struct Greeted {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) welcome: Welcome,
}

/// `edge` is the name that the edge was reached by.
pub(super) async fn greet(
    transport: Arc<dyn Transport>,
    hello: Hello,
    key: Option<Arc<ProofKey>>,
    edge: &str,
) -> Result<Greeted, Ended> {
    let holder = Holder {
        key,
        token: hello.token.clone(),
        edge,
    };
    match tokio::time::timeout(limits::WELCOME_WITHIN, talk(&transport, hello, &holder)).await {
        Ok(Ok((reader, writer, welcome))) => Ok(Greeted {
            transport,
            reader,
            writer,
            welcome,
        }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Ended::Lost(
            "the edge took the connection but gives no welcome".into(),
        )),
    }
}

/// What proves that this agent may use its token.
struct Holder<'a> {
    key: Option<Arc<ProofKey>>,
    token: Secret,
    edge: &'a str,
}

impl Holder<'_> {
    fn prove(&self, binding: Binding<'_>) -> Result<Option<Secret>, Ended> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let proof = key.prove(self.token.expose(), binding);
        let proof = proof.map_err(|error| Ended::Lost(error.to_string()))?;
        Ok(Some(proof.into()))
    }

    fn answer(&self, nonce: &str) -> Result<Secret, Ended> {
        let edge = self.edge;
        self.prove(Binding::Nonce { nonce, edge })?.ok_or_else(|| {
            let message = "the token is bound to a key that this agent does not have";
            Ended::Refused(ErrorMessage::new(Code::Auth, message))
        })
    }
}

async fn talk(
    transport: &Arc<dyn Transport>,
    mut hello: Hello,
    holder: &Holder<'_>,
) -> Result<(Reader, Writer, Welcome), Ended> {
    // The edge has proved its name, and may open streams the moment it has said welcome.
    transport.admit(limits::PEER_STREAMS);
    let stream = transport.open().await?;
    let (read, write) = tokio::io::split(stream);
    let (mut reader, mut writer) = (ControlReader::new(read), ControlWriter::new(write));
    if let Some(exporter) = transport.exporter() {
        hello.proof = holder.prove(Binding::Exporter(&exporter))?;
    }
    writer.send(&AgentMessage::Hello(hello)).await?;
    let mut welcome = match first_line(&**transport, &mut reader).await? {
        First::Welcome(welcome) => welcome,
        First::Challenge(nonce) => {
            let proof = holder.answer(&nonce)?;
            writer.send(&AgentMessage::Proof { proof }).await?;
            first_welcome(&**transport, &mut reader).await?
        }
    };
    while welcome.more {
        let next = first_welcome(&**transport, &mut reader).await?;
        welcome.bound.extend(next.bound);
        welcome.more = next.more;
    }
    if welcome.datagrams {
        transport.agree_on_datagrams();
    }
    Ok((reader, writer, welcome))
}

enum First {
    Welcome(Welcome),
    Challenge(String),
}

async fn first_welcome(transport: &dyn Transport, reader: &mut Reader) -> Result<Welcome, Ended> {
    match first_line(transport, reader).await? {
        First::Welcome(welcome) => Ok(welcome),
        First::Challenge(_) => Err(Ended::Lost("the edge asks for one proof too many".into())),
    }
}

/// The edge's next line. One that the protocol does not allow ends the session, and the edge is told by the code.
pub(super) async fn next_line(
    transport: &dyn Transport,
    reader: &mut Reader,
) -> Result<Option<EdgeMessage>, Ended> {
    let line = reader.next::<EdgeMessage>().await;
    if let Err(error @ ControlError::Line(_)) = &line {
        transport.close(Code::Protocol, &error.to_string());
    }
    Ok(line?)
}

async fn first_line(transport: &dyn Transport, reader: &mut Reader) -> Result<First, Ended> {
    loop {
        match next_line(transport, reader).await? {
            Some(EdgeMessage::Welcome(welcome)) => return Ok(First::Welcome(welcome)),
            Some(EdgeMessage::Challenge { nonce }) => return Ok(First::Challenge(nonce)),
            Some(EdgeMessage::Error(error)) => return Err(Ended::Refused(error)),
            // Nothing else has a meaning before welcome; what is unknown is ignored.
            Some(_) => {}
            None => return Err(Ended::Lost("the edge hung up before its welcome".into())),
        }
    }
}
