//! One line for the access log, and one for the agent, for every request: written when the last byte has gone, or when
//! whoever waited for it has.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{Method, StatusCode, Version};
use model::{AccountId, ClaimId, Hostname, UnixTime};
use serde::Serialize;

use super::{Endpoint, Shared, meter::Meter, serve::InFlight};
use crate::{metrics::Hit, trace::Visiting};

/// Where visits are written down.
pub trait AccessLog: std::fmt::Debug + Send + Sync + 'static {
    /// Never waits.
    fn visit(&self, visit: &Visit);
}

/// One HTTP request, as it is written down. The query is left out: it may hold secrets.
#[derive(Clone, Debug, Serialize)]
pub struct Visit {
    /// When it began.
    pub time: UnixTime,
    pub request: String,
    /// The trace that it belongs to (W3C Trace Context), and the edge's own step of it.
    pub trace: String,
    pub span: String,
    pub visitor: IpAddr,
    pub tls: bool,
    pub version: &'static str,
    pub method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Hostname>,
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// 499 when the visitor left before the answer began.
    pub status: u16,
    pub end: End,
    /// The edge's own error, where it answered by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    pub ms: u64,
    /// Bytes of the bodies.
    pub up: u64,
    pub down: u64,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    Complete,
    /// The visitor left before the end.
    VisitorLeft,
    /// The origin's answer broke off.
    OriginBroke,
}

impl End {
    pub(super) const ALL: [Self; 3] = [Self::Complete, Self::VisitorLeft, Self::OriginBroke];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::VisitorLeft => "visitor-left",
            Self::OriginBroke => "origin-broke",
        }
    }
}

/// The status in the log for a visitor who left before the answer began; nginx's number for the same.
const VISITOR_LEFT: u16 = 499;
/// The longest path in the log. The rest of a longer one says nothing that the visitor could not make up.
const MAX_PATH: usize = 1024;

/// A request on its way; written down when dropped.
#[derive(Debug)]
pub(super) struct Recorder {
    visit: Visit,
    pub(super) meter: Arc<Meter>,
    endpoint: Option<Arc<dyn Endpoint>>,
    shared: Arc<Shared>,
    visiting: Visiting,
    _in_flight: InFlight,
}

impl Recorder {
    pub(super) fn start(
        shared: Arc<Shared>,
        in_flight: InFlight,
        visitor: &super::VisitorConnection,
        request: &http::request::Parts,
    ) -> Self {
        let visiting = Visiting::of(&request.headers);
        let visit = Visit {
            time: SystemTime::now().into(),
            request: visiting.id(),
            trace: visiting.context.trace.to_string(),
            span: visiting.context.span.to_string(),
            visitor: visitor.peer.ip().to_canonical(),
            tls: visitor.tls.is_some(),
            version: version_name(request.version),
            method: method_name(&request.method),
            host: None,
            path: request.uri.path().chars().take(MAX_PATH).collect(),
            claim: None,
            account: None,
            status: VISITOR_LEFT,
            end: End::VisitorLeft,
            error: None,
            ms: 0,
            up: 0,
            down: 0,
        };
        Self {
            visit,
            meter: Arc::new(Meter::start()),
            endpoint: None,
            shared,
            visiting,
            _in_flight: in_flight,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.visit.request
    }

    pub(super) const fn visiting(&self) -> &Visiting {
        &self.visiting
    }

    pub(super) fn asked_for(&mut self, host: &Hostname) {
        self.visit.host = Some(host.clone());
    }

    pub(super) fn leads_to(&mut self, endpoint: &Arc<dyn Endpoint>) {
        let terms = endpoint.terms();
        self.visit.claim.clone_from(&terms.claim);
        self.visit.account.clone_from(&terms.account);
        self.endpoint = Some(endpoint.clone());
    }

    pub(super) fn answered(&mut self, status: StatusCode) {
        self.visit.status = status.as_u16();
        self.shared.metrics.answered(self.meter.elapsed());
    }

    pub(super) fn failed(&mut self, code: &'static str) {
        self.visit.error = Some(code);
    }

    /// A half that never ended was cut.
    pub(super) fn timed_out(&self) {
        self.shared.metrics.hit(Hit::HalfClosed);
    }

    /// However whole the answer is: a request that broke off is one that the visitor left.
    pub(super) fn ended(&mut self, end: End) {
        let left = end == End::Complete && self.meter.upload_broke();
        self.visit.end = if left { End::VisitorLeft } else { end };
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.visit.ms = millis(self.meter.elapsed());
        self.visit.up = self.meter.up();
        self.visit.down = self.meter.down();
        let visit = &self.visit;
        self.visiting
            .finish(self.meter.elapsed(), visit.failure(), || visit.attributes());
        tracing::debug!(
            request = %visit.request, claim = ?visit.claim, status = visit.status, end = visit.end.as_str(),
            ms = visit.ms, "a request is over",
        );
        self.shared.metrics.visited(&self.visit);
        self.shared.access.visit(&self.visit);
        if let Some(endpoint) = &self.endpoint {
            endpoint.visited(for_agent(&self.visit, endpoint.terms().bind));
        }
    }
}

impl Visit {
    /// What makes it a failed step of its trace: a fault of the edge or beyond, not one of the visitor.
    fn failure(&self) -> Option<&'static str> {
        let broke = (self.end == End::OriginBroke).then_some("origin-broke");
        let answered = (self.status >= 500).then_some("5xx");
        self.error
            .filter(|_| self.status >= 500)
            .or(broke)
            .or(answered)
    }

    /// By OpenTelemetry's conventions for HTTP servers. The query is left out here too.
    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![
            ("http.request.method", self.method.clone()),
            (
                "url.scheme",
                if self.tls { "https" } else { "http" }.to_owned(),
            ),
            ("url.path", self.path.clone()),
            ("http.response.status_code", self.status.to_string()),
            ("network.protocol.version", self.version.to_owned()),
            ("client.address", self.visitor.to_string()),
            ("adit.end", self.end.as_str().to_owned()),
        ];
        let known = [
            (
                "server.address",
                self.host.as_ref().map(ToString::to_string),
            ),
            ("adit.claim", self.claim.as_ref().map(ToString::to_string)),
            ("error.type", self.error.map(ToOwned::to_owned)),
        ];
        let known = known.into_iter();
        attributes.extend(known.filter_map(|(name, value)| value.map(|value| (name, value))));
        attributes
    }
}

fn for_agent(visit: &Visit, bind: u32) -> tunnel::message::Visit {
    tunnel::message::Visit {
        id: bind,
        method: visit.method.clone(),
        path: visit.path.clone(),
        status: visit.status,
        ms: visit.ms,
        up: visit.up,
        down: visit.down,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

/// A method is a token of any length; logs want a short one.
fn method_name(method: &Method) -> String {
    method.as_str().chars().take(32).collect()
}
