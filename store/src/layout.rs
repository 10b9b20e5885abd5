//! Every key there is. Nothing outside this file spells one out.
//!
//! ```text
//! public/edge/EDGE                      EdgeFact         leased by the edge
//! public/placement/EDGE/SESSION         PlacementFact    leased by the edge
//! public/endpoint/host/PATTERN          Endpoint
//! public/endpoint/port/N                Endpoint
//! public/jwks/KID                       a JWK
//! public/revocation/KIND/ID             RevocationFact   KIND: token, grant, claim, account
//! public/schema                         the version of all this
//! account/ACCOUNT/profile
//! account/ACCOUNT/endpoint-count        how many endpoints the account has
//! account/ACCOUNT/agent/NAME            what the credential of a machine without people is for
//! account/ACCOUNT/agent-use/NAME        when it last got a token
//! account/ACCOUNT/name/HASH             the random name last given to a machine and target
//! account/ACCOUNT/consent/GRANT         which program somebody has given rights to
//! account/administrator                 that the first account was made, and which it is
//! account/api-key/ID                    account, role and the hash of the secret
//! account/restore                       a backup is being restored
//! audit/TIME-RANDOM                     what was changed, in the order of time
//! account/usage/day/ACCOUNT/DAY/CLAIM   UsageDay
//! account/usage/mark/EDGE               the edge's last report
//! secret/signing-key/KID                sealed
//! secret/key-rotation                   sealed; put with every change of the signing keys, so that two never change them at once
//! secret/dev-ca                         sealed
//! secret/consent/GRANT                  sealed; what the program may do, and its refresh tokens
//! secret/device/TIME-HASH               sealed; a device code, in the order of the times at which they expire
//! secret/user-code/HASH                 sealed; which device is meant
//! ```

use std::fmt::Write;

use model::{
    AccountId, AgentName, ApiKeyId, ClaimId, EdgeId, EndpointName, GrantId, HostPattern, KeyId,
    Revocation, SessionId, UnixTime,
};

use crate::{Key, Prefix, Root};

/// These stand where an account id stands, so no account may be called that; and behind all of those that begin with `acc_`.
const API_KEY: &str = "api-key";
const USAGE: &str = "usage";

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

/// Which version of the layout and of its values the store is in.
pub fn schema() -> Key {
    key("public/schema".into())
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

pub fn agents_of(account: &AccountId) -> Prefix {
    Prefix::of_checked(format!("account/{account}/agent/"))
}

pub fn agent(account: &AccountId, name: &AgentName) -> Key {
    key(format!("account/{account}/agent/{name}"))
}

/// The account and name of the agent whose credential is at `key`.
pub fn agent_of(key: &Key) -> Option<(AccountId, AgentName)> {
    let parts: Vec<&str> = key.segments().collect();
    match parts.as_slice() {
        ["account", account, "agent", name] => Some((account.parse().ok()?, name.parse().ok()?)),
        _ => None,
    }
}

/// When an agent last got a token; apart from what it is for, which changes never.
pub fn agent_use(account: &AccountId, name: &AgentName) -> Key {
    key(format!("account/{account}/agent-use/{name}"))
}

/// There from the first write of a restore to its last.
pub fn restore() -> Key {
    key("account/restore".into())
}

pub fn audit() -> Prefix {
    Root::Audit.into()
}

/// The time has as many digits as it will ever need, so that the order of keys is that of time.
pub fn audit_record(time: UnixTime, random: &[u8; 8]) -> Key {
    key(format!("audit/{:012}-{}", time.as_secs(), hex(random)))
}

/// A key before every audit record of `time` and after all earlier ones.
pub fn audit_before(time: UnixTime) -> Key {
    key(format!("audit/{:012}", time.as_secs()))
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

/// What claims of all accounts carried.
pub fn usages() -> Prefix {
    Prefix::of_checked(format!("account/{USAGE}/day/"))
}

/// Whose a key of [`usage_day`] is.
pub fn usage_account_of(key: &Key) -> Option<AccountId> {
    key.segments().nth(3)?.parse().ok()
}

/// Behind every day of an account, and before the next account's.
pub fn usage_end(account: &AccountId) -> Key {
    key(format!("account/{USAGE}/day/{account}/:"))
}

/// What claims of an account carried, by day.
pub fn usage_of(account: &AccountId) -> Prefix {
    Prefix::of_checked(format!("account/{USAGE}/day/{account}/"))
}

pub fn usage_day(account: &AccountId, day: u64, claim: &ClaimId) -> Key {
    key(format!("account/{USAGE}/day/{account}/{day:06}/{claim}"))
}

/// Before everything of the account's `day`, and behind all that is older.
pub fn usage_before(account: &AccountId, day: u64) -> Key {
    key(format!("account/{USAGE}/day/{account}/{day:06}"))
}

/// Day and claim of a key of [`usage_day`].
pub fn usage_day_of(key: &Key) -> Option<(u64, ClaimId)> {
    let mut parts = key.segments().skip(4);
    let (day, claim) = (parts.next()?, parts.next()?);
    Some((day.parse().ok()?, claim.parse().ok()?))
}

/// Names a key of [`usage_day`] to those who page through an account's.
pub fn usage_token(key: &Key) -> String {
    key.segments().skip(4).collect::<Vec<_>>().join("/")
}

/// The key that [`usage_token`] was for; none for other texts.
pub fn usage_after(account: &AccountId, token: &str) -> Option<Key> {
    let (day, claim) = token.split_once('/')?;
    let day: u64 = day.parse().ok().filter(|day| *day < 1_000_000)?;
    Some(usage_day(account, day, &claim.parse().ok()?))
}

/// The last report of an edge that was counted.
pub fn usage_mark(edge: &EdgeId) -> Key {
    key(format!("account/{USAGE}/mark/{edge}"))
}

/// Usage comes behind every account, so whoever lists accounts stops here.
pub fn is_usage(key: &Key) -> bool {
    key.segments().nth(1) == Some(USAGE)
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

pub fn consents_of(account: &AccountId) -> Prefix {
    Prefix::of_checked(format!("account/{account}/consent/"))
}

pub fn consent_of(account: &AccountId, grant: &GrantId) -> Key {
    key(format!("account/{account}/consent/{grant}"))
}

/// The grant of a key of [`consent_of`].
pub fn consent_grant(key: &Key) -> Option<GrantId> {
    key.segments().nth(3)?.parse().ok()
}

pub fn consents() -> Prefix {
    folder("secret/consent/")
}

pub fn consent(grant: &GrantId) -> Key {
    key(format!("secret/consent/{grant}"))
}

pub fn devices() -> Prefix {
    folder("secret/device/")
}

pub fn device(expires: UnixTime, hash: &[u8; 32]) -> Key {
    key(format!(
        "secret/device/{:012}-{}",
        expires.as_secs(),
        hex(hash)
    ))
}

/// When the code at a key of [`device`] expires.
pub fn device_expires(key: &Key) -> Option<UnixTime> {
    let (time, _) = key.segments().nth(2)?.split_once('-')?;
    time.parse().ok().map(UnixTime::from_secs)
}

pub fn user_code(hash: &[u8; 32]) -> Key {
    key(format!("secret/user-code/{}", hex(hash)))
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
            usage_day(&account_id, 20_000, &"clm_1".parse().unwrap()),
            usage_before(&account_id, 20_000),
            usage_mark(&"ams1".parse().unwrap()),
            dev_ca(),
            consent_of(&account_id, &"grt_1".parse().unwrap()),
            consent(&"grt_1".parse().unwrap()),
            device(UnixTime::from_secs(1), &[255; 32]),
            user_code(&[255; 32]),
            schema(),
            restore(),
            agent(&account_id, &"a".repeat(64).parse().unwrap()),
            agent_use(&account_id, &"a".repeat(64).parse().unwrap()),
            audit_record(UnixTime::from_secs(1), &[255; 8]),
            audit_before(UnixTime::from_secs(1)),
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
            agents_of(&account_id),
            audit(),
            usage_of(&account_id),
            signing_keys(),
            consents_of(&account_id),
            consents(),
            devices(),
        ] {
            assert_eq!(folder.as_str().parse(), Ok(folder));
        }
    }

    #[test]
    fn audit_records_stand_in_the_order_of_time() {
        let record = |secs| audit_record(UnixTime::from_secs(secs), &[7; 8]);
        assert!(record(9) < record(10) && record(10) < record(2_000_000_000));
        assert!(record(9) < audit_before(UnixTime::from_secs(10)));
        assert!(audit_before(UnixTime::from_secs(10)) < record(10));
    }

    #[test]
    fn device_codes_stand_in_the_order_in_which_they_expire() {
        let at = |secs| device(UnixTime::from_secs(secs), &[0; 32]);
        assert!(at(9) < at(10) && at(10) < at(2_000_000_000));
        assert_eq!(device_expires(&at(10)), Some(UnixTime::from_secs(10)));
        assert_eq!(device_expires(&user_code(&[0; 32])), None);
        let (account, grant): (AccountId, GrantId) =
            ("acc_1".parse().unwrap(), "grt_1".parse().unwrap());
        assert_eq!(consent_grant(&consent_of(&account, &grant)), Some(grant));
    }

    #[test]
    fn an_agent_is_told_from_the_rest() {
        let (account, name): (AccountId, AgentName) =
            ("acc_1".parse().unwrap(), "cam-1".parse().unwrap());
        let found = agent_of(&agent(&account, &name));
        assert_eq!(found, Some((account.clone(), name.clone())));
        assert_eq!(agent_of(&agent_use(&account, &name)), None);
        assert_eq!(agent_of(&api_key(&"agent".parse().unwrap())), None);
    }

    #[test]
    fn days_of_usage_are_in_order_and_tell_what_they_are_of() {
        let (account, claim): (AccountId, _) = (
            "acc_1".parse().unwrap(),
            "clm_1".parse::<ClaimId>().unwrap(),
        );
        let key = usage_day(&account, 9, &claim);
        assert!(usage_before(&account, 9) < key && key < usage_before(&account, 10));
        assert_eq!(usage_day_of(&key), Some((9, claim)));
        assert_eq!(usage_account_of(&key).as_ref(), Some(&account));
        assert!(
            key < usage_end(&account)
                && usage_end(&account)
                    < usage_day(&"acc_2".parse().unwrap(), 0, &"c".parse().unwrap())
        );
        assert_eq!(usage_after(&account, &usage_token(&key)), Some(key.clone()));
        assert!(is_usage(&key) && !is_usage(&super::account(&account)));
        assert!(super::account(&account) < key);
        for other in ["", "9", "x/clm_1", "1/../x", "1/", "99999999/clm_1"] {
            assert_eq!(usage_after(&account, other), None, "{other}");
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
