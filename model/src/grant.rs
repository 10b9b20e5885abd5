//! What a token allows.

use serde::{Deserialize, Serialize};

use crate::{ClaimId, EndpointName, Kind, Region};

/// Everything a token allows its bearer to do at an edge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub endpoints: Vec<GrantedEndpoint>,
    /// Regions the bearer may connect in; empty means all.
    #[serde(default)]
    pub regions: Vec<Region>,
    #[serde(default)]
    pub limits: GrantLimits,
}

/// One endpoint of a grant, tied to the claim it was made under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedEndpoint {
    pub claim: ClaimId,
    pub name: EndpointName,
    pub kind: Kind,
}

/// Limits below those of the edge; absent means the edge's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantLimits {
    /// Streams open at once in one session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<u32>,
    /// Sessions at once at one edge for the token's subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u32>,
}

impl Grant {
    /// The granted endpoint that allows binding `name` as `kind`; an exact grant is preferred to a wildcard.
    pub fn allows(&self, name: &EndpointName, kind: Kind) -> Option<&GrantedEndpoint> {
        let mut allowing = self
            .endpoints
            .iter()
            .filter(|e| e.kind == kind && e.name.covers(name));
        let first = allowing.next()?;
        if first.name == *name {
            Some(first)
        } else {
            Some(allowing.find(|e| e.name == *name).unwrap_or(first))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(name: &str, kind: Kind) -> GrantedEndpoint {
        let claim = format!("clm_{}", name.replace(['*', '.', ':'], "-"))
            .parse()
            .unwrap();
        GrantedEndpoint {
            claim,
            name: name.parse().unwrap(),
            kind,
        }
    }

    #[test]
    fn exact_is_preferred_and_kind_must_agree() {
        let grant = Grant {
            endpoints: vec![
                granted("*.a.example", Kind::Http),
                granted("x.a.example", Kind::Http),
            ],
            ..Grant::default()
        };
        let wanted: EndpointName = "x.a.example".parse().unwrap();
        assert_eq!(grant.allows(&wanted, Kind::Http), Some(&grant.endpoints[1]));
        assert_eq!(
            grant.allows(&"y.a.example".parse().unwrap(), Kind::Http),
            Some(&grant.endpoints[0])
        );
        assert_eq!(grant.allows(&wanted, Kind::Tls), None);
    }
}
