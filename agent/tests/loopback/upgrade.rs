//! The HTTPS binding of the edge of these tests.

use std::{convert::Infallible, pin::Pin, sync::Arc};

use http_body_util::Empty;
use hyper::{body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::mpsc, task::JoinSet};
use tokio_rustls::server::TlsStream;
use tunnel::upgrade::{MuxTransport, UpgradeError};

use crate::edge::{Session, hello};

type Upgrading = Pin<Box<dyn Future<Output = Result<MuxTransport, UpgradeError>> + Send>>;

pub(crate) async fn serve(tls: TlsStream<TcpStream>, out: mpsc::Sender<Session>) {
    let Ok(peer) = tls.get_ref().0.peer_addr() else {
        return;
    };
    let (sessions, mut session) = mpsc::channel(1);
    let service = service_fn(move |request| {
        let (response, upgrading): (_, Upgrading) = if tunnel::websocket::asks(&request) {
            let (response, upgrading) = tunnel::websocket::accept(request, peer).unwrap();
            (response, Box::pin(upgrading))
        } else {
            assert!(tunnel::upgrade::is_tunnel_request(&request));
            let (response, upgrading) = tunnel::upgrade::accept(request, peer);
            (response, Box::pin(upgrading))
        };
        sessions.try_send(upgrading).unwrap();
        async { Ok::<_, Infallible>(response.map(|()| Empty::<Bytes>::new())) }
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        if let Some(upgrading) = session.recv().await
            && let Ok(transport) = upgrading.await
        {
            hello(Arc::new(transport), out).await;
        }
    });
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(tls), service)
        .with_upgrades();
    let _ = connection.await;
    while tasks.join_next().await.is_some() {}
}
