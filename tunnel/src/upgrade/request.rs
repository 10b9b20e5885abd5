//! Telling a tunnel's request from a visitor's.

use http::{HeaderMap, HeaderName, Method, Request, Version, header};

use super::{PATH, TOKEN};

/// True for a request that [`super::accept`] may answer. Whether the name is the edge's own is for the caller to say.
pub fn is_tunnel_request<B>(request: &Request<B>) -> bool {
    asks_for(request, TOKEN)
}

/// The same for a binding that calls itself `token`.
pub fn asks_for<B>(request: &Request<B>, token: &str) -> bool {
    request.method() == Method::GET
        && request.uri().path() == PATH
        && request.version() == Version::HTTP_11
        && names(request.headers(), &header::CONNECTION, "upgrade")
        && names(request.headers(), &header::UPGRADE, token)
}

/// Whether a list header holds `token`, in any case (RFC 9110, section 5.6.1).
pub(crate) fn names(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}
