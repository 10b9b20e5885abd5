//! Between the contracts and the vocabulary. What comes from a peer is checked here, once.

use model::{Endpoint, Kind, PlacementFact, Role, Sharing};

use crate::v1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not set or not known")]
pub struct ConversionError(pub &'static str);

pub fn kind_from_proto(kind: i32) -> Result<Kind, ConversionError> {
    match v1::Kind::try_from(kind) {
        Ok(v1::Kind::Http) => Ok(Kind::Http),
        Ok(v1::Kind::Tls) => Ok(Kind::Tls),
        Ok(v1::Kind::Tcp) => Ok(Kind::Tcp),
        Ok(v1::Kind::Udp) => Ok(Kind::Udp),
        Ok(v1::Kind::Unspecified) | Err(_) => Err(ConversionError("kind")),
    }
}

pub fn kind_to_proto(kind: Kind) -> v1::Kind {
    match kind {
        Kind::Http => v1::Kind::Http,
        Kind::Tls => v1::Kind::Tls,
        Kind::Tcp => v1::Kind::Tcp,
        Kind::Udp => v1::Kind::Udp,
    }
}

pub fn sharing_from_proto(sharing: i32) -> Result<Sharing, ConversionError> {
    match v1::Sharing::try_from(sharing) {
        Ok(v1::Sharing::Unspecified | v1::Sharing::Exclusive) => Ok(Sharing::Exclusive),
        Ok(v1::Sharing::Replicas) => Ok(Sharing::Replicas),
        Err(_) => Err(ConversionError("sharing")),
    }
}

pub fn role_from_proto(role: i32) -> Result<Role, ConversionError> {
    match v1::Role::try_from(role) {
        Ok(v1::Role::Unspecified | v1::Role::Member) => Ok(Role::Member),
        Ok(v1::Role::Admin) => Ok(Role::Admin),
        Ok(v1::Role::Edge) => Ok(Role::Edge),
        Ok(v1::Role::Agent) => Ok(Role::Agent),
        Err(_) => Err(ConversionError("role")),
    }
}

pub fn role_to_proto(role: Role) -> v1::Role {
    match role {
        Role::Member => v1::Role::Member,
        Role::Admin => v1::Role::Admin,
        Role::Edge => v1::Role::Edge,
        Role::Agent => v1::Role::Agent,
    }
}

/// An endpoint with where it is bound.
pub fn endpoint_to_proto(endpoint: &Endpoint, placements: &[PlacementFact]) -> v1::Endpoint {
    v1::Endpoint {
        claim: endpoint.claim.to_string(),
        account: endpoint.account.to_string(),
        name: endpoint.name.to_string(),
        kind: kind_to_proto(endpoint.kind).into(),
        sharing: match endpoint.sharing {
            Sharing::Exclusive => v1::Sharing::Exclusive,
            Sharing::Replicas => v1::Sharing::Replicas,
        }
        .into(),
        created: endpoint.created.as_secs(),
        placements: placements.iter().map(placement_to_proto).collect(),
    }
}

pub fn placement_to_proto(placement: &PlacementFact) -> v1::Placement {
    v1::Placement {
        edge: placement.edge.to_string(),
        session: placement.session.to_string(),
        agent: placement.agent.to_string(),
        transport: placement.transport.clone(),
        since: placement.since.as_secs(),
    }
}
