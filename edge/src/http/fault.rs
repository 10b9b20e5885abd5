//! What can go wrong with a request at the edge, and what the visitor is told: one status, one stable code, one sentence.

mod grpc;
mod page;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};

use super::{
    OriginError, RouteError, access::Recorder, authority::AuthorityError, body::ResponseBody,
    headers::REQUEST_ID, meter::Late, pool::SendError,
};

/// Says that the answer is the edge's own, and why.
const ERROR_CODE: HeaderName = HeaderName::from_static("adit-error");
/// Seconds after which a visitor may try again; about what an agent takes to come back.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("2");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Authority,
    Body,
    Method,
    Coding,
    Unknown,
    Misdirected,
    Offline,
    SlowVisitor,
    OriginRefused,
    OriginAborted,
    OriginInvalid,
    OriginTimeout,
    Busy,
}

impl Fault {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Authority | Self::Body => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Coding => StatusCode::NOT_IMPLEMENTED,
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::SlowVisitor => StatusCode::REQUEST_TIMEOUT,
            Self::OriginRefused | Self::OriginAborted | Self::OriginInvalid => {
                StatusCode::BAD_GATEWAY
            }
            Self::Offline | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::OriginTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Stable: programs and docs/errors.md go by it.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Authority => "bad-authority",
            Self::Body => "bad-body",
            Self::Method => "method-not-allowed",
            Self::Coding => "unknown-transfer-coding",
            Self::Unknown => "unknown-name",
            Self::Misdirected => "misdirected",
            Self::Offline => "offline",
            Self::SlowVisitor => "request-timeout",
            Self::OriginRefused => "origin-refused",
            Self::OriginAborted => "origin-aborted",
            Self::OriginInvalid => "origin-invalid",
            Self::OriginTimeout => "origin-timeout",
            Self::Busy => "busy",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Authority | Self::Body => "This request makes no sense",
            Self::Method => "This method is not for tunnels",
            Self::Coding => "This transfer coding is unknown",
            Self::Unknown => "Nothing is shared under this name",
            Self::Misdirected => "Wrong connection for this name",
            Self::Offline => "Nobody is at home",
            Self::SlowVisitor => "The request took too long",
            Self::OriginRefused => "The server behind this name is not running",
            Self::OriginAborted => "The server behind this name hung up",
            Self::OriginInvalid => "The server behind this name does not speak HTTP",
            Self::OriginTimeout => "The server behind this name does not answer",
            Self::Busy => "Too many visits at once",
        }
    }

    /// What to do.
    const fn advice(self) -> &'static str {
        match self {
            Self::Authority => "Name exactly one host, in the same way everywhere in the request.",
            Self::Body => "The body of the request broke off or was malformed.",
            Self::Method => "CONNECT and TRACE end at the edge. Use another method.",
            Self::Coding => "Send the body chunked, or with its length.",
            Self::Unknown => "Check the spelling. If the name is yours, claim and share it first.",
            Self::Misdirected => {
                "Open a new connection for this name: this one was made for another."
            }
            Self::Offline => {
                "The name is taken, but its agent is not connected. If it is yours, start the agent."
            }
            Self::SlowVisitor => "The body of the request did not go on. Send it again.",
            Self::OriginRefused => {
                "The agent is connected, but what it shares takes no connections. If it is yours, start it and check the port."
            }
            Self::OriginAborted => {
                "The connection was cut before the answer began. Try again; if it is yours, look at its log."
            }
            Self::OriginInvalid => {
                "Its answer could not be read as HTTP. If it is yours, check the port and the protocol (h1, h2c or TLS)."
            }
            Self::OriginTimeout => {
                "It took the connection and then stayed silent. Try again later."
            }
            Self::Busy => "The tunnel carries as many requests as it may. Try again in a moment.",
        }
    }

    const fn retry_after(self) -> Option<HeaderValue> {
        match self {
            Self::Offline | Self::Busy => Some(RETRY_SECONDS),
            _ => None,
        }
    }

    /// The answer that tells the visitor, in the form that he prefers.
    pub(super) fn answer(self, wishes: &Wishes, mut recorder: Recorder) -> Response<ResponseBody> {
        recorder.failed(self.code());
        let id = HeaderValue::from_str(recorder.id());
        let (mut parts, page) = match wishes.form {
            Form::Grpc => grpc::trailers_only(self),
            form => self.page(form, recorder.id()),
        };
        recorder.answered(parts.status);
        self.add_fields(&mut parts.headers, id.ok());
        let page = if wishes.head { String::new() } else { page };
        Response::from_parts(parts, ResponseBody::page(page.into(), recorder))
    }

    fn page(self, form: Form, id: &str) -> (http::response::Parts, String) {
        let (kind, text) = match form {
            Form::Json => ("application/json", page::json(self, id)),
            _ => ("text/html; charset=utf-8", page::html(self, id)),
        };
        let mut parts = Response::new(()).into_parts().0;
        parts.status = self.status();
        parts
            .headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        for (name, value) in page::PROTECTION {
            parts.headers.insert(name, HeaderValue::from_static(value));
        }
        if self == Self::Method {
            let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            parts.headers.insert(http::header::ALLOW, allowed);
        }
        (parts, text)
    }

    fn add_fields(self, headers: &mut HeaderMap, id: Option<HeaderValue>) {
        headers.insert(ERROR_CODE, HeaderValue::from_static(self.code()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(id) = id {
            headers.insert(REQUEST_ID, id);
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, seconds);
        }
    }
}

/// How the visitor wants to be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes {
    form: Form,
    head: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Html,
    Json,
    Grpc,
}

impl Wishes {
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Self {
        let form = if grpc::is_grpc(headers) {
            Form::Grpc
        } else if page::prefers_json(headers) {
            Form::Json
        } else {
            Form::Html
        };
        Self {
            form,
            head: method == Method::HEAD,
        }
    }
}

impl From<AuthorityError> for Fault {
    fn from(error: AuthorityError) -> Self {
        match error {
            AuthorityError::Address => Self::Unknown,
            _ => Self::Authority,
        }
    }
}

impl From<RouteError> for Fault {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::Unknown => Self::Unknown,
            RouteError::Offline => Self::Offline,
            RouteError::NotHttp => Self::Misdirected,
        }
    }
}

impl From<OriginError> for Fault {
    fn from(error: OriginError) -> Self {
        match error {
            OriginError::Refused => Self::OriginRefused,
            OriginError::Aborted => Self::OriginAborted,
            OriginError::Limit => Self::Busy,
            OriginError::Timeout => Self::OriginTimeout,
            OriginError::Gone => Self::Offline,
        }
    }
}

impl From<SendError> for Fault {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Origin(error) => error.into(),
            SendError::Invalid(error) => {
                tracing::debug!(%error, "an origin's answer is not HTTP");
                Self::OriginInvalid
            }
        }
    }
}

impl From<Late> for Fault {
    fn from(late: Late) -> Self {
        match late {
            Late::Visitor => Self::SlowVisitor,
            Late::Origin => Self::OriginTimeout,
        }
    }
}
