//! One request: from the visitor's head to the origin's, and back.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    request::Parts,
    uri::{Authority as UriAuthority, PathAndQuery, Scheme},
};
use hyper::body::{Body, Incoming};
use model::Kind;
use tunnel::{message::OriginProtocol, trace::SpanKind};

use super::{
    Endpoint, Shared, VisitorConnection,
    access::Recorder,
    authority::Authority,
    body::{RequestBody, ResponseBody},
    fault::{Fault, Wishes},
    gate::{self, Key},
    headers::{self, Forwarding},
    pool::{Errand, Lease, SendError},
    serve::Activity,
    upgrade::{self, Switch},
};
use crate::metrics::Hit;

/// One visitor's connection, as its requests see it.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) visitor: VisitorConnection,
    pub(super) shared: Arc<Shared>,
    pub(super) activity: Arc<Activity>,
    /// Set by the request that changed the protocol; then there are no further requests on this connection.
    switch: Mutex<Option<Switch>>,
}

/// A request whose way is known.
pub(super) struct Routed {
    pub(super) parts: Parts,
    pub(super) incoming: Incoming,
    pub(super) authority: Authority,
    pub(super) endpoint: Arc<dyn Endpoint>,
}

/// The origin's answer, and what holds its connection.
pub(super) type Answered = (Response<Incoming>, Lease);

impl Proxy {
    pub(super) fn new(
        visitor: VisitorConnection,
        shared: Arc<Shared>,
        activity: Arc<Activity>,
    ) -> Self {
        Self {
            visitor,
            shared,
            activity,
            switch: Mutex::new(None),
        }
    }

    pub(super) fn take_switch(&self) -> Option<Switch> {
        self.switch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub(super) fn set_switch(&self, switch: Switch) {
        *self.switch.lock().unwrap_or_else(PoisonError::into_inner) = Some(switch);
    }

    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Infallible> {
        let (parts, incoming) = request.into_parts();
        let wishes = Wishes::of(&parts.method, &parts.headers);
        let in_flight = self.activity.begin(&self.shared.metrics);
        let mut recorder = Recorder::start(self.shared.clone(), in_flight, &self.visitor, &parts);
        let answer = match self.route(parts, incoming, &mut recorder).await {
            Ok(routed) => self.forward(routed, recorder).await,
            Err(fault) => Err((fault, recorder)),
        };
        Ok(answer.unwrap_or_else(|(fault, recorder)| fault.answer(&wishes, recorder)))
    }

    async fn route(
        &self,
        parts: Parts,
        incoming: Incoming,
        recorder: &mut Recorder,
    ) -> Result<Routed, Fault> {
        let authority = Authority::of(
            parts.version,
            &parts.method,
            &parts.uri,
            &parts.headers,
            self.visitor.default_port(),
        )?;
        recorder.asked_for(&authority.name);
        if matches!(parts.method, Method::CONNECT | Method::TRACE) {
            return Err(Fault::Method);
        }
        if headers::has_unknown_coding(&parts.headers) {
            return Err(Fault::Coding);
        }
        if !self.visitor.may_ask_for(&authority.name) {
            return Err(Fault::Misdirected);
        }
        let step = recorder.visiting().step("route", SpanKind::Internal);
        let routed = self.shared.routes.route(&authority.name).await;
        step.finish(routed.as_ref().err().map(|error| error.as_str()));
        let endpoint = routed?;
        if endpoint.terms().kind != Kind::Http {
            return Err(Fault::Misdirected);
        }
        recorder.leads_to(&endpoint);
        Ok(Routed {
            parts,
            incoming,
            authority,
            endpoint,
        })
    }

    async fn forward(
        self: &Arc<Self>,
        routed: Routed,
        recorder: Recorder,
    ) -> Result<Response<ResponseBody>, (Fault, Recorder)> {
        match headers::wanted_upgrade(routed.parts.version, &routed.parts.headers) {
            Some(protocol) => upgrade::forward(self, routed, protocol, recorder).await,
            None => self.exchange(routed, recorder).await,
        }
    }

    pub(super) async fn exchange(
        &self,
        routed: Routed,
        recorder: Recorder,
    ) -> Result<Response<ResponseBody>, (Fault, Recorder)> {
        let endpoint = routed.endpoint.clone();
        let protocol = endpoint.terms().protocol;
        let (request, key) = match self.outgoing(routed, &recorder, protocol, None) {
            Ok(outgoing) => outgoing,
            Err(fault) => return Err((fault, recorder)),
        };
        let errand = Errand {
            endpoint: &*endpoint,
            metrics: &self.shared.metrics,
            meter: &recorder.meter,
            visiting: recorder.visiting(),
        };
        let sending = endpoint.pool().send(&errand, request);
        match self.settle(sending, &recorder).await {
            // Nobody had asked for another protocol.
            Ok((response, _)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                Err((Fault::OriginInvalid, recorder))
            }
            Ok(answered) => Ok(relay(answered, key, recorder)),
            Err(fault) => Err((fault, recorder)),
        }
    }

    /// Waits for the head of the answer.
    pub(super) async fn settle(
        &self,
        sending: impl Future<Output = Result<Answered, SendError>>,
        recorder: &Recorder,
    ) -> Result<Answered, Fault> {
        match recorder
            .meter
            .within(self.shared.limits.answer, sending)
            .await
        {
            Ok(Ok(answered)) => Ok(answered),
            Ok(Err(_)) if recorder.meter.upload_broke() => Err(Fault::Body),
            Ok(Err(error)) => Err(error.into()),
            Err(late) => {
                self.shared.metrics.hit(Hit::AnswerTime);
                Err(late.into())
            }
        }
    }

    /// The request as the origin gets it, and the key to its body if that has to wait.
    pub(super) fn outgoing(
        &self,
        routed: Routed,
        recorder: &Recorder,
        protocol: OriginProtocol,
        upgrade: Option<HeaderValue>,
    ) -> Result<(Request<RequestBody>, Option<Key>), Fault> {
        let Routed {
            mut parts,
            incoming,
            authority,
            endpoint,
        } = routed;
        let waits = protocol == OriginProtocol::H1
            && !incoming.is_end_stream()
            && headers::expects_continue(parts.version, &parts.headers);
        headers::to_origin(
            &mut parts.headers,
            parts.version,
            &self.forwarding(&authority, recorder),
        );
        let host = endpoint
            .terms()
            .host_header
            .clone()
            .unwrap_or(authority.text);
        recorder.visiting().tell_origin(&mut parts.headers);
        match protocol {
            OriginProtocol::H1 => {
                headers::for_h1(&mut parts.headers, &host);
                if endpoint.terms().one_request && upgrade.is_none() {
                    headers::for_one_request(&mut parts.headers);
                }
            }
            OriginProtocol::H2c => headers::for_h2(&mut parts.headers),
        }
        if let Some(upgrade) = upgrade {
            headers::for_upgrade(&mut parts.headers, upgrade);
        }
        parts.uri = target(
            &parts.uri,
            (protocol == OriginProtocol::H2c).then_some(host),
        )?;
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        let gate = || gate::gate(self.shared.metrics.bounds().clone());
        let (key, gate) = waits.then(gate).unzip();
        let body = RequestBody::new(incoming, gate, recorder.meter.clone());
        let mut request = Request::from_parts(parts, body);
        if let Some(key) = key.clone() {
            open_on_100(&mut request, key);
        }
        Ok((request, key))
    }

    fn forwarding<'a>(
        &'a self,
        authority: &'a Authority,
        recorder: &'a Recorder,
    ) -> Forwarding<'a> {
        Forwarding {
            peer: self.visitor.peer,
            scheme: self.visitor.scheme(),
            host: &authority.text,
            default_port: self.visitor.default_port(),
            request_id: recorder.id(),
        }
    }
}

/// The origin's answer as the visitor gets it.
pub(super) fn relay(
    (response, lease): Answered,
    key: Option<Key>,
    mut recorder: Recorder,
) -> Response<ResponseBody> {
    let (mut parts, incoming) = response.into_parts();
    if let Some(key) = &key {
        key.answered(parts.status);
    }
    headers::to_visitor(&mut parts.headers);
    parts.version = Version::HTTP_11;
    recorder.answered(parts.status);
    Response::from_parts(parts, ResponseBody::origin(incoming, lease, key, recorder))
}

fn open_on_100(request: &mut Request<RequestBody>, key: Key) {
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            key.go_on();
        }
    });
}

/// The request target: a path alone, or with scheme and host where HTTP/2 wants pseudo-fields.
fn target(uri: &Uri, host: Option<UriAuthority>) -> Result<Uri, Fault> {
    let mut parts = http::uri::Parts::default();
    let path = uri.path_and_query().cloned();
    parts.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    if let Some(host) = host {
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(host);
    }
    Uri::from_parts(parts).map_err(|_| Fault::Authority)
}
