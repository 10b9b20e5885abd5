//! The TLS port: who is asked for decides who ends TLS, and what is spoken behind it.

use std::{io, sync::Arc};

use model::{HostPattern, Hostname, Kind};
use rustls::ServerConfig;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tunnel::{congestion, tls};

use super::{
    Arrival, Front,
    client_hello::{self, PeekError, Peeked},
    own,
    replay::Replay,
};
use crate::{
    bounds::HANDSHAKE_WITHIN,
    certificate::{Speaks, Wanted},
    connection::{Carried, Visitor},
    http::{self, TlsInfo, VisitorConnection},
    metrics::Hit,
    quiet::Quiet,
    route::{Claimed, Place},
};

/// Alerts (RFC 8446, section 6.2).
const INTERNAL_ERROR: u8 = 80;
const UNRECOGNIZED_NAME: u8 = 112;

/// Visitors ask as often as they like for a name that has none.
static NO_CERTIFICATE: Quiet = Quiet::new();

/// For people who typed `http://` with the port of `https://`.
const NOT_PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    This port speaks HTTPS: write https:// instead of http://\n";

/// A connection whose ClientHello was seen.
struct Greeted {
    arrival: Arrival,
    hello: Vec<u8>,
    name: Hostname,
    deadline: Instant,
}

pub(super) async fn serve(front: Arc<Front>, mut arrival: Arrival) {
    let deadline = Instant::now() + HANDSHAKE_WITHIN;
    // What is needed only for a while is boxed: the task lives as long as the visitor stays.
    let peek = Box::pin(client_hello::peek(&mut arrival.stream));
    let peeking = timeout_at(deadline, peek).await;
    let (hello, name) = match peeking {
        Ok(Ok(Peeked {
            bytes,
            name: Some(name),
        })) => (bytes, name),
        Ok(Ok(Peeked { name: None, .. })) => return unknown(&front, arrival.stream).await,
        Ok(Err(error)) => return malformed(&front, arrival.stream, error).await,
        Err(_) => return front.metrics.hit(Hit::HandshakeTime),
    };
    let place = front.router.place(&name);
    let greeted = Greeted {
        arrival,
        hello,
        name,
        deadline,
    };
    match place {
        Place::Own => Box::pin(greeted.own(front)).await,
        Place::Reserved => {
            let wanted = Wanted {
                name: HostPattern::Exact(greeted.name.clone()),
                claim: None,
                speaks: Speaks::Http,
            };
            Box::pin(greeted.http(front, wanted)).await;
        }
        Place::Claimed(claimed) => greeted.claimed(front, claimed).await,
        Place::Unknown => unknown(&front, greeted.arrival.stream).await,
    }
}

impl Greeted {
    async fn claimed(self, front: Arc<Front>, claimed: Claimed) {
        match (claimed.kind, claimed.name.host()) {
            (Kind::Http, Some(pattern)) => {
                let wanted = Wanted {
                    name: pattern.clone(),
                    claim: Some(claimed.claim.clone()),
                    speaks: Speaks::Http,
                };
                Box::pin(self.http(front, wanted)).await;
            }
            (Kind::Tls, _) => self.pass_through(front, &claimed).await,
            _ => unknown(&front, self.arrival.stream).await,
        }
    }

    /// The edge speaks HTTP with the visitor.
    async fn http(self, front: Arc<Front>, wanted: Wanted) {
        let (peer, local, sni) = (self.arrival.peer, self.arrival.local, self.name.clone());
        let covers = vec![wanted.name.clone()];
        let Some((stream, _slot)) = self.terminate(&front, wanted).await else {
            return;
        };
        let alpn = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        let tls = Some(TlsInfo {
            sni: Some(sni),
            alpn,
            covers,
        });
        let visitor = VisitorConnection { peer, local, tls };
        http::serve(
            stream,
            visitor,
            front.http.clone(),
            front.stages.leaving.clone(),
        )
        .await;
    }

    /// An agent, or someone curious.
    async fn own(self, front: Arc<Front>) {
        let peer = self.arrival.peer;
        let Some(stranger) = front.strangers.take(peer.ip()) else {
            return alert(self.arrival.stream, INTERNAL_ERROR).await;
        };
        // The socket was a visitor's until its name was read.
        if let Err(error) = congestion::set(&self.arrival.stream, front.congestion) {
            tracing::debug!(%peer, %error, "a connection keeps the system's congestion control");
        }
        let wanted = Wanted {
            name: HostPattern::Exact(self.name.clone()),
            claim: None,
            speaks: Speaks::Upgrade,
        };
        if !client_hello::offers_tls13(&self.hello) {
            if let Some((stream, slot)) = self.terminate(&front, wanted).await {
                own::serve(front, stream, peer, (slot, stranger)).await;
            }
        } else if let Some((stream, slot)) = self.terminate_in_place(&front, wanted).await {
            own::serve(front, stream, peer, (slot, stranger)).await;
        }
    }

    /// TLS ends at the agent's side; the edge only carries.
    async fn pass_through(self, front: Arc<Front>, claimed: &Claimed) {
        let Self {
            arrival,
            hello,
            name,
            ..
        } = self;
        let started = Instant::now();
        let holding = Box::pin(front.router.host(&name, claimed)).await;
        let Arrival {
            stream,
            peer,
            local,
            port,
            slot: _slot,
        } = arrival;
        let visitor = Visitor {
            peer,
            local,
            port,
            kind: Kind::Tls,
            host: Some(name),
        };
        let mut carried = Carried {
            stream,
            visitor,
            first: hello,
        };
        match holding {
            Ok(holding) => front.carrier.carry(&mut carried, &holding).await,
            Err(_) => {
                front.carrier.offline(&carried.visitor, started.elapsed());
                alert(carried.stream, INTERNAL_ERROR).await;
            }
        }
    }

    /// Ends TLS here.
    async fn terminate(
        self,
        front: &Front,
        wanted: Wanted,
    ) -> Option<(TlsStream<Replay<TcpStream>>, super::VisitorSlot)> {
        let begin =
            |config, hello, stream| TlsAcceptor::from(config).accept(Replay::new(hello, stream));
        self.handshake(front, wanted, begin).await
    }

    /// The same for TLS 1.3, in the buffers of the tunnel.
    async fn terminate_in_place(
        self,
        front: &Front,
        wanted: Wanted,
    ) -> Option<(tls::TlsStream<TcpStream>, super::VisitorSlot)> {
        let begin = async |config: Arc<ServerConfig>, hello: Vec<u8>, stream| {
            tls::accept(&config, &hello, stream).await
        };
        self.handshake(front, wanted, begin).await
    }

    /// A handshake in what is left of its time.
    async fn handshake<T, F>(
        self,
        front: &Front,
        wanted: Wanted,
        begin: impl FnOnce(Arc<ServerConfig>, Vec<u8>, TcpStream) -> F,
    ) -> Option<(T, super::VisitorSlot)>
    where
        F: Future<Output = io::Result<T>>,
    {
        let Arrival {
            stream, slot, peer, ..
        } = self.arrival;
        let config = match front.certificates.config(wanted).await {
            Ok(config) => config,
            Err(error) => {
                if let Some(left_out) = NO_CERTIFICATE.admits(Instant::now()) {
                    tracing::warn!(%error, left_out, "a visitor gets no certificate");
                }
                alert(stream, INTERNAL_ERROR).await;
                return None;
            }
        };
        match timeout_at(self.deadline, begin(config, self.hello, stream)).await {
            Ok(Ok(stream)) => return Some((stream, slot)),
            Ok(Err(error)) => {
                tracing::debug!(%peer, name = %self.name, %error, "a handshake fails")
            }
            Err(_) => front.metrics.hit(Hit::HandshakeTime),
        }
        None
    }
}

/// No certificate is shown for a name that is nobody's, and none is made.
async fn unknown(front: &Front, stream: TcpStream) {
    front.metrics.unknown_names.inc();
    alert(stream, UNRECOGNIZED_NAME).await;
}

async fn malformed(front: &Front, stream: TcpStream, error: PeekError) {
    tracing::debug!(%error, "a connection to the TLS port is refused");
    match error {
        PeekError::Left | PeekError::Io(_) => {}
        PeekError::TooLong => {
            front.metrics.hit(Hit::ClientHello);
            alert(stream, INTERNAL_ERROR).await;
        }
        PeekError::Plain => say(stream, NOT_PLAIN).await,
        PeekError::NotTls { alert, .. } => say(stream, &alert).await,
    }
}

async fn alert(stream: TcpStream, description: u8) {
    // A fatal alert in a record of its own, in the clear (RFC 8446, section 5.1).
    say(stream, &[21, 3, 3, 0, 2, 2, description]).await;
}

/// The last words on a connection. A few bytes always fit the socket's buffer, so nobody can hold this up.
async fn say(mut stream: TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
}
