//! hello and welcome on a fresh transport.

use std::sync::Arc;

use tokio::io::{ReadHalf, WriteHalf};
use tunnel::{
    ControlReader, ControlWriter, Transport, limits,
    message::{AgentMessage, EdgeMessage, Hello, Welcome},
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

pub(super) async fn greet(transport: Arc<dyn Transport>, hello: Hello) -> Result<Greeted, Ended> {
    match tokio::time::timeout(limits::WELCOME_WITHIN, talk(&transport, hello)).await {
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

async fn talk(
    transport: &Arc<dyn Transport>,
    hello: Hello,
) -> Result<(Reader, Writer, Welcome), Ended> {
    // The edge has proved its name, and may open streams the moment it has said welcome.
    transport.admit(limits::PEER_STREAMS);
    let stream = transport.open().await?;
    let (read, write) = tokio::io::split(stream);
    let (mut reader, mut writer) = (ControlReader::new(read), ControlWriter::new(write));
    writer.send(&AgentMessage::Hello(hello)).await?;
    let mut welcome = first_line(&mut reader).await?;
    while welcome.more {
        let next = first_line(&mut reader).await?;
        welcome.bound.extend(next.bound);
        welcome.more = next.more;
    }
    Ok((reader, writer, welcome))
}

async fn first_line(reader: &mut Reader) -> Result<Welcome, Ended> {
    loop {
        match reader.next::<EdgeMessage>().await? {
            Some(EdgeMessage::Welcome(welcome)) => return Ok(welcome),
            Some(EdgeMessage::Error(error)) => return Err(Ended::Refused(error)),
            // Nothing else has a meaning before welcome; what is unknown is ignored.
            Some(_) => {}
            None => return Err(Ended::Lost("the edge hung up before its welcome".into())),
        }
    }
}
