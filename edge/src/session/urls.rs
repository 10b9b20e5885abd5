//! What visitors type, told to agents in `welcome`.

use model::{EndpointName, HostPattern, Kind};
use tunnel::message;

use super::Bound;

#[derive(Clone, Debug)]
pub(crate) struct Urls {
    /// The port that visitors' HTTPS comes to.
    pub(crate) https_port: u16,
    /// The host at which `tcp` ports are reached: the edge's first own name.
    pub(crate) host: String,
}

impl Urls {
    pub(crate) fn bound(&self, bound: &Bound) -> message::Bound {
        message::Bound {
            id: bound.id,
            kind: bound.kind,
            url: self.url(bound.kind, &bound.name),
            host: bound.name.host().cloned(),
            port: bound.name.port(),
        }
    }

    /// None for a wildcard, which is many URLs.
    pub(crate) fn url(&self, kind: Kind, name: &EndpointName) -> Option<String> {
        match name {
            EndpointName::Host(HostPattern::Wildcard(_)) => None,
            EndpointName::Port(port) => Some(format!("{kind}://{}:{port}", self.host)),
            EndpointName::Host(HostPattern::Exact(host)) => {
                let scheme = if kind == Kind::Http { "https" } else { "tls" };
                let port = self.https_port;
                Some(match port {
                    443 if kind == Kind::Http => format!("{scheme}://{host}"),
                    _ => format!("{scheme}://{host}:{port}"),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_what_visitors_type() {
        let urls = |https_port| Urls {
            https_port,
            host: "edge.example".into(),
        };
        let url = |port, kind, name: &str| urls(port).url(kind, &name.parse().unwrap());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(url(443, Kind::Http, "a.example"), some("https://a.example"));
        assert_eq!(
            url(4443, Kind::Http, "a.example"),
            some("https://a.example:4443")
        );
        assert_eq!(
            url(443, Kind::Tls, "a.example"),
            some("tls://a.example:443")
        );
        assert_eq!(
            url(443, Kind::Tcp, "port:44001"),
            some("tcp://edge.example:44001")
        );
        assert_eq!(url(443, Kind::Http, "*.a.example"), None);
    }
}
