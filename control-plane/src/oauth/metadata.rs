//! What a client reads first: where the provider's endpoints are and what they can do.

use serde_json::{Value, json};

use super::what::{API, TUNNEL};

/// RFC 8628, section 3.4.
pub(crate) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// RFC 8414, section 2, with RFC 8628, section 4, and RFC 9396, section 10. No grant of ours has a response type.
pub(crate) fn server(issuer: &str) -> Value {
    let at = |path: &str| format!("{}{path}", issuer.trim_end_matches('/'));
    json!({
        "issuer": issuer,
        "token_endpoint": at("/oauth/token"),
        "device_authorization_endpoint": at("/oauth/device"),
        "revocation_endpoint": at("/oauth/revoke"),
        "jwks_uri": at("/.well-known/jwks.json"),
        "response_types_supported": [],
        "grant_types_supported": [DEVICE_GRANT, "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": [TUNNEL, API],
        "authorization_details_types_supported": [TUNNEL],
    })
}
