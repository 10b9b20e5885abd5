//! An agent of a few lines over either binding.

use std::{net::Ipv4Addr, sync::Arc};

use model::Congestion;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tunnel::{
    Code, ControlReader, ControlWriter, Stream, StreamHead, Transport, TransportError,
    TransportKind,
    message::{AgentMessage, EdgeMessage, ErrorMessage, Hello, Welcome},
    quic, upgrade, websocket,
};

use super::bed::{Bed, EDGE, within};

/// Bindings with a control stream.
pub(crate) const ALL: [TransportKind; 3] = [
    TransportKind::Quic,
    TransportKind::Tcp,
    TransportKind::WebSocket,
];

pub(crate) struct Agent {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) welcome: Welcome,
    reader: ControlReader<ReadHalf<Stream>>,
    writer: ControlWriter<WriteHalf<Stream>>,
    _endpoint: Option<quinn::Endpoint>,
}

pub(crate) struct Connected {
    pub(crate) transport: Arc<dyn Transport>,
    endpoint: Option<quinn::Endpoint>,
}

/// A connection that has said nothing yet.
pub(crate) async fn connect(bed: &Bed, kind: TransportKind) -> Connected {
    let address = bed.tls();
    match kind {
        TransportKind::Quic => {
            let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
            let config = quic::client_config(bed.ca.client(&[]), Congestion::System).unwrap();
            let transport = within(quic::connect(&endpoint, address, EDGE, config))
                .await
                .unwrap();
            Connected {
                transport: Arc::new(transport),
                endpoint: Some(endpoint),
            }
        }
        TransportKind::Single => panic!("no session of one connection"),
        TransportKind::Tcp | TransportKind::WebSocket => {
            let stream = TcpStream::connect(address).await.unwrap();
            let connector = TlsConnector::from(Arc::new(bed.ca.client(&[b"http/1.1"])));
            let name = ServerName::try_from(EDGE).unwrap();
            let tls = within(connector.connect(name, stream)).await.unwrap();
            let authority = format!("{EDGE}:{}", address.port());
            let transport = match kind {
                TransportKind::Tcp => within(upgrade::connect(tls, &authority, address)).await,
                _ => within(websocket::connect(tls, &authority, address)).await,
            };
            let transport = transport.unwrap();
            Connected {
                transport: Arc::new(transport),
                endpoint: None,
            }
        }
    }
}

impl Agent {
    pub(crate) async fn join(
        bed: &Bed,
        kind: TransportKind,
        hello: Hello,
    ) -> Result<Self, ErrorMessage> {
        let Connected {
            transport,
            endpoint,
        } = connect(bed, kind).await;
        let (read, write) = tokio::io::split(transport.open().await.unwrap());
        let (mut reader, mut writer) = (ControlReader::new(read), ControlWriter::new(write));
        writer.send(&AgentMessage::Hello(hello)).await.unwrap();
        let first = within(reader.next()).await.unwrap();
        match first {
            Some(EdgeMessage::Welcome(welcome)) => Ok(Self {
                transport,
                welcome,
                reader,
                writer,
                _endpoint: endpoint,
            }),
            Some(EdgeMessage::Error(error)) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn say(&mut self, message: AgentMessage) {
        self.writer.send(&message).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> EdgeMessage {
        within(self.reader.next())
            .await
            .unwrap()
            .expect("the control stream has ended")
    }

    /// The next stream of the edge, without an answer to it.
    pub(crate) async fn stream(&self) -> (StreamHead, Stream) {
        let mut stream = within(self.transport.accept()).await.unwrap();
        let head = within(StreamHead::read(&mut stream)).await.unwrap();
        (head, stream)
    }

    pub(crate) async fn accept(&self) -> (StreamHead, Stream) {
        let (head, mut stream) = self.stream().await;
        stream.write_all(&[0]).await.unwrap();
        stream.flush().await.unwrap();
        (head, stream)
    }

    /// How the edge ends the session.
    pub(crate) async fn ended(&self) -> Code {
        match within(self.transport.closed()).await {
            TransportError::Closed { code, .. } => code,
            other => panic!("{other:?}"),
        }
    }
}
