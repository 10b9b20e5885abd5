//! Every key there is. Nothing outside this file spells one out.
//!
//! ```text
//! public/edge/EDGE                      EdgeFact         leased by the edge
//! public/placement/EDGE/SESSION         PlacementFact    leased by the edge
//! public/endpoint/host/PATTERN          Endpoint
//! public/endpoint/port/N                Endpoint
//! public/jwks/KID                       a JWK
//! public/revocation/KIND/ID             RevocationFact   KIND: token, grant, claim, account
//! account/ACCOUNT/profile
//! account/ACCOUNT/endpoint-count        how many endpoints the account has
//! account/ACCOUNT/name/HASH             the random name last given to a machine and target
//! account/administrator                 that the first account was made, and which it is
//! account/api-key/ID                    account, role and the hash of the secret
//! secret/signing-key/KID                sealed
//! secret/key-rotation                   sealed; put with every change of the signing keys, so that two never change them at once
//! secret/dev-ca                         sealed
//! ```

use std::fmt::Write;

use model::{AccountId, ApiKeyId, EdgeId, EndpointName, HostPattern, KeyId, Revocation, SessionId};

use crate::{Key, Prefix, Root};

/// Stands where an account id stands, so no account may be called that.
const API_KEY: &str = "api-key";

/// What edges and DNS watch.
pub fn public() -> Prefix {
    Root::Public.into()
}

pub fn edges() -> Prefix {
    folder("public/edge/")
}

pub fn edge(id: &EdgeId) -> Key {
    key(format!("public/edge/{id}"))
}

pub fn placements() -> Prefix {
    folder("public/placement/")
}

pub fn placements_of(edge: &EdgeId) -> Prefix {
    Prefix::of_checked(format!("public/placement/{edge}/"))
}

pub fn placement(edge: &EdgeId, session: &SessionId) -> Key {
    key(format!("public/placement/{edge}/{session}"))
}

pub fn endpoints() -> Prefix {
    folder("public/endpoint/")
}

pub fn endpoint(name: &EndpointName) -> Key {
    match name {
        EndpointName::Host(pattern) => endpoint_host(pattern),
        EndpointName::Port(port) => endpoint_port(*port),
    }
}

pub fn endpoint_host(pattern: &HostPattern) -> Key {
    key(format!("public/endpoint/host/{pattern}"))
}

pub fn endpoint_port(port: u16) -> Key {
    key(format!("public/endpoint/port/{port}"))
}

pub fn jwks() -> Prefix {
    folder("public/jwks/")
}

pub fn jwk(id: &KeyId) -> Key {
    key(format!("public/jwks/{id}"))
}

pub fn revocations() -> Prefix {
    folder("public/revocation/")
}

pub fn revocation(revoked: &Revocation) -> Key {
    key(match revoked {
        Revocation::Token(id) => format!("public/revocation/token/{id}"),
        Revocation::Grant(id) => format!("public/revocation/grant/{id}"),
        Revocation::Claim(id) => format!("public/revocation/claim/{id}"),
        Revocation::Account(id) => format!("public/revocation/account/{id}"),
    })
}

/// Accounts and API keys; [`account_of`] tells which of them are profiles.
pub fn accounts() -> Prefix {
    Root::Account.into()
}

/// Everything of one account.
pub fn account_folder(id: &AccountId) -> Prefix {
    Prefix::of_checked(format!("account/{id}/"))
}

pub fn account(id: &AccountId) -> Key {
    key(format!("account/{id}/profile"))
}

/// Changed by every commit that claims or releases an endpoint of the account.
pub fn endpoint_count(id: &AccountId) -> Key {
    key(format!("account/{id}/endpoint-count"))
}

/// The account whose profile is at `key`.
pub fn account_of(key: &Key) -> Option<AccountId> {
    let mut parts = key.segments();
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("account"), Some(id), Some("profile"), None) if id != API_KEY => id.parse().ok(),
        _ => None,
    }
}

/// Written once, with the provider's first account.
pub fn administrator() -> Key {
    key("account/administrator".into())
}

pub fn api_keys() -> Prefix {
    Prefix::of_checked(format!("account/{API_KEY}/"))
}

/// Found by the half of an API key that is no secret; the value holds the hash of the other half.
pub fn api_key(id: &ApiKeyId) -> Key {
    key(format!("account/{API_KEY}/{id}"))
}

/// The random name that was given to an account for `seed`, a hash of machine and target.
pub fn remembered_name(account: &AccountId, seed: &[u8; 32]) -> Key {
    key(format!("account/{account}/name/{}", hex(seed)))
}

pub fn signing_keys() -> Prefix {
    folder("secret/signing-key/")
}

pub fn signing_key(id: &KeyId) -> Key {
    key(format!("secret/signing-key/{id}"))
}

pub fn key_rotation() -> Key {
    key("secret/key-rotation".into())
}

pub fn dev_ca() -> Key {
    key("secret/dev-ca".into())
}

fn key(path: String) -> Key {
    Key::of_checked(path)
}

fn folder(path: &str) -> Prefix {
    Prefix::of_checked(path.into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_folder_parses() {
        let long: EndpointName = format!("*.{}", ["a".repeat(62).as_str(); 4].join("."))
            .parse()
            .unwrap();
        let account_id: AccountId = "a".repeat(64).parse().unwrap();
        let keys = [
            edge(&"ams1".parse().unwrap()),
            placement(&"ams1".parse().unwrap(), &"ses_1".parse().unwrap()),
            endpoint(&"*.a.example".parse().unwrap()),
            endpoint(&"port:44001".parse().unwrap()),
            endpoint(&long),
            jwk(&"kid_1".parse().unwrap()),
            revocation(&Revocation::Token("t".parse().unwrap())),
            revocation(&Revocation::Grant("t".parse().unwrap())),
            revocation(&Revocation::Claim("t".parse().unwrap())),
            revocation(&Revocation::Account("t".parse().unwrap())),
            account(&account_id),
            endpoint_count(&account_id),
            administrator(),
            api_key(&"key_1".parse().unwrap()),
            remembered_name(&account_id, &[255; 32]),
            signing_key(&"kid_1".parse().unwrap()),
            key_rotation(),
            dev_ca(),
        ];
        let mut distinct = std::collections::BTreeSet::new();
        for key in keys {
            assert_eq!(key.as_str().parse(), Ok(key.clone()));
            assert!(distinct.insert(key));
        }
        for folder in [
            public(),
            edges(),
            placements(),
            placements_of(&"ams1".parse().unwrap()),
            endpoints(),
            jwks(),
            revocations(),
            accounts(),
            account_folder(&account_id),
            api_keys(),
            signing_keys(),
        ] {
            assert_eq!(folder.as_str().parse(), Ok(folder));
        }
    }

    #[test]
    fn a_profile_is_told_from_the_rest() {
        let id: AccountId = "acc_1".parse().unwrap();
        assert_eq!(account_of(&account(&id)), Some(id.clone()));
        assert_eq!(account_of(&administrator()), None);
        assert_eq!(account_of(&remembered_name(&id, &[0; 32])), None);
        assert_eq!(account_of(&api_key(&"profile".parse().unwrap())), None);
    }
}
