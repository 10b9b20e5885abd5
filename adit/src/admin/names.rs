//! Names as they are typed, and the endpoints that they mean: those that the account does not have yet are claimed.

use model::{EndpointName, HostPattern, Kind};
use proto::v1;

use crate::{
    cli::NamesArgs,
    failure::{Exit, Failure, OrFail},
    share::Provider,
};

/// The whole names of what was typed.
pub(super) async fn resolve(
    provider: &Provider,
    names: &NamesArgs,
) -> Result<Vec<EndpointName>, Failure> {
    let mut resolved: Vec<_> = names
        .ports
        .iter()
        .copied()
        .map(EndpointName::Port)
        .collect();
    if names.hosts.is_empty() {
        return Ok(resolved);
    }
    let zone = provider.discover().await?.zone;
    for host in &names.hosts {
        resolved.push(whole(host, &zone)?);
    }
    Ok(resolved)
}

/// A label stands under the zone; a name and `port:N` stand for themselves.
pub(super) fn whole(typed: &str, zone: &str) -> Result<EndpointName, Failure> {
    let is_whole = typed.contains(['.', ':']);
    let text = if is_whole {
        typed.to_owned()
    } else {
        format!("{typed}.{zone}")
    };
    text.parse().or_fail(Exit::Usage, typed)
}

/// The account's endpoint of this name, which is claimed if need be.
pub(super) async fn ensure(
    provider: &Provider,
    own: &[v1::Endpoint],
    name: &EndpointName,
    kind: Option<Kind>,
) -> Result<v1::Endpoint, Failure> {
    let found = own
        .iter()
        .find(|endpoint| endpoint.name == name.to_string());
    match (found, kind) {
        (Some(endpoint), None) => Ok(endpoint.clone()),
        // The provider says what is wrong if it is of another kind.
        _ => provider.claim(wish(name, kind)).await,
    }
}

fn wish(name: &EndpointName, kind: Option<Kind>) -> v1::ClaimRequest {
    let (host, port, kind) = match name {
        EndpointName::Host(pattern) => (pattern.to_string(), 0, kind.unwrap_or(Kind::Http)),
        EndpointName::Port(port) => {
            let kind = kind.filter(|kind| *kind == Kind::Udp).unwrap_or(Kind::Tcp);
            (String::new(), u32::from(*port), kind)
        }
    };
    v1::ClaimRequest {
        kind: proto::kind_to_proto(kind).into(),
        host,
        port,
        ..v1::ClaimRequest::default()
    }
}

pub(super) const fn is_pattern(name: &EndpointName) -> bool {
    matches!(name, EndpointName::Host(HostPattern::Wildcard(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_under_the_zone_and_the_rest_for_itself() {
        for (typed, name) in [
            ("shop", "shop.t.example"),
            ("shop.elsewhere.org", "shop.elsewhere.org"),
            ("*.t.example", "*.t.example"),
            ("port:44001", "port:44001"),
        ] {
            assert_eq!(whole(typed, "t.example").unwrap().to_string(), name);
        }
        for bad in ["", "a b", "port:0", "-"] {
            assert!(whole(bad, "t.example").is_err(), "{bad}");
        }
    }
}
