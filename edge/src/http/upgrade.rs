//! WebSocket and every other change of protocol (RFC 9110, section 7.8): a stream to the origin of its own, and then bytes.

use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, Version, header::UPGRADE};
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use tunnel::{StreamHead, StreamReset, message::OriginProtocol};

use super::{
    OriginError,
    access::{End, Recorder},
    body::ResponseBody,
    fault::Fault,
    headers,
    pool::{Errand, Lease},
    proxy::{Proxy, Routed, relay},
    splice::splice,
};

/// Both sides of a connection that is not HTTP any more. The visitor's connection runs it when hyper has let go of it.
#[derive(Debug)]
pub(super) struct Switch {
    visitor: OnUpgrade,
    origin: Upgraded,
    recorder: Recorder,
}

/// An origin that does not want to change answers as to any other request.
pub(super) async fn forward(
    proxy: &Arc<Proxy>,
    mut routed: Routed,
    protocol: HeaderValue,
    recorder: Recorder,
) -> Result<Response<ResponseBody>, (Fault, Recorder)> {
    let Some(visitor) = routed.parts.extensions.remove::<OnUpgrade>() else {
        return proxy.exchange(routed, recorder).await;
    };
    let endpoint = routed.endpoint.clone();
    let head = head(proxy, &routed);
    let wanted = Some(protocol.clone());
    let (request, key) = match proxy.outgoing(routed, &recorder, OriginProtocol::H1, wanted) {
        Ok(outgoing) => outgoing,
        Err(fault) => return Err((fault, recorder)),
    };
    let errand = Errand {
        endpoint: &*endpoint,
        metrics: &proxy.shared.metrics,
        meter: &recorder.meter,
        visiting: recorder.visiting(),
    };
    let sending = endpoint.pool().send_single(&errand, head, request);
    match proxy.settle(sending, &recorder).await {
        Ok((response, lease)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            switch(proxy, response, lease, visitor, protocol, recorder).await
        }
        Ok(answered) => Ok(relay(answered, key, recorder)),
        Err(fault) => Err((fault, recorder)),
    }
}

async fn switch(
    proxy: &Proxy,
    mut response: Response<Incoming>,
    lease: Lease,
    visitor: OnUpgrade,
    protocol: HeaderValue,
    mut recorder: Recorder,
) -> Result<Response<ResponseBody>, (Fault, Recorder)> {
    let Ok(origin) = hyper::upgrade::on(&mut response).await else {
        return Err((Fault::OriginInvalid, recorder));
    };
    lease.finish();
    let mut parts = response.into_parts().0;
    let protocol = parts.headers.remove(UPGRADE).unwrap_or(protocol);
    headers::to_visitor(&mut parts.headers);
    headers::for_upgrade(&mut parts.headers, protocol);
    parts.version = Version::HTTP_11;
    recorder.answered(parts.status);
    proxy.set_switch(Switch {
        visitor,
        origin,
        recorder,
    });
    Ok(Response::from_parts(parts, ResponseBody::switching()))
}

/// This stream has one visitor, so its head names him.
fn head(proxy: &Proxy, routed: &Routed) -> StreamHead {
    let visitor = &proxy.visitor;
    let bind = routed.endpoint.terms().bind;
    let mut head = StreamHead::new(visitor.peer, visitor.local, bind);
    head.authority = Some(routed.authority.text.to_string());
    head.tls = visitor.tls.is_some();
    head
}

impl Switch {
    pub(super) async fn run(mut self) {
        let Ok(visitor) = self.visitor.await else {
            return;
        };
        let (mut visitor, mut origin) = (TokioIo::new(visitor), TokioIo::new(self.origin));
        let (copied, result) = splice(&mut visitor, &mut origin).await;
        self.recorder.meter.add_up(copied.from_left);
        self.recorder.meter.add_down(copied.from_right);
        self.recorder.ended(match result {
            Ok(()) => End::Complete,
            Err(error)
                if error.kind() == std::io::ErrorKind::TimedOut && error.get_ref().is_none() =>
            {
                self.recorder.timed_out();
                End::VisitorLeft
            }
            Err(error) if is_origins(&error) => End::OriginBroke,
            Err(_) => End::VisitorLeft,
        });
    }
}

fn is_origins(error: &std::io::Error) -> bool {
    let typed = error
        .get_ref()
        .is_some_and(|inner| inner.is::<OriginError>());
    typed || StreamReset::of(error).is_some()
}
