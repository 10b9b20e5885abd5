//! Device codes and refresh tokens, from consent to end.

use std::sync::Arc;

use model::{Kind, Revocation, Role, Sharing};
use prometheus_client::registry::Registry;
use store::{Embedded, Envelope, KeyEncryptionKey, SharedStore};
use token::Expect;

use super::*;
use crate::{
    Caller, ClaimWish, Config,
    core::{DEVICE_LIVES, INTERVAL, WaitingDevice},
    metrics::Metrics,
    oauth::{OAuthCode, Parameters, UserCode, What},
};

const APP: &str = "https://app.example";
const ADDRESS: [u8; 4] = [192, 0, 2, 1];

struct Bed {
    core: Arc<Core>,
    account: AccountId,
    caller: Caller,
    claim: ClaimId,
}

const fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(1_800_000_000 + secs)
}

impl Bed {
    async fn new() -> Self {
        let store: SharedStore = Arc::new(Embedded::in_memory().unwrap());
        let kek =
            KeyEncryptionKey::from_env("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        let envelope = Arc::new(Envelope::new(kek, Vec::new()));
        let config = Config {
            listen: Vec::new(),
            issuer: None,
            zone: "t.example".parse().unwrap(),
            reserved: Vec::new(),
            forward: Vec::new(),
            tcp_ports: 44000..=44009,
            own_ports: Vec::new(),
            clear_http_port: None,
            token_ttl: Config::TOKEN_TTL,
            session_ttl: Config::SESSION_TTL,
        };
        let metrics = Metrics::register(&mut Registry::default());
        let core = Core::new(
            config,
            "https://adit.t.example".into(),
            store,
            envelope,
            metrics,
        );
        core.begin(at(0)).await.unwrap();
        let account = core.create_account("someone", at(0)).await.unwrap();
        let caller = Caller {
            account: account.clone(),
            key: "key_1".parse().unwrap(),
            role: Role::Member,
            agent: None,
            from: None,
        };
        let wish = ClaimWish::parse(Kind::Http, "shop", 0, Sharing::Exclusive, &core.config.zone);
        let endpoint = core.claim(&caller, &wish.unwrap(), at(0)).await.unwrap();
        Self {
            core,
            account,
            caller,
            claim: endpoint.claim,
        }
    }

    /// The first tokens of a program.
    async fn tokens(&self) -> Tokens {
        let (device, code) = self.waiting(APP).await;
        self.agree(&code).await;
        self.core.poll_device(&device, APP, at(1)).await.unwrap()
    }

    async fn refresh(&self, token: &str, now: UnixTime) -> Result<Tokens, OAuthError> {
        self.core.refresh_consent(token, APP, now).await
    }

    async fn waiting(&self, client: &str) -> (String, UserCode) {
        let what = What::read(&Parameters::default(), &self.core.issuer).unwrap();
        let client = Client::device(client).unwrap();
        let codes = self
            .core
            .begin_device(client, what, ADDRESS.into(), at(0))
            .await;
        let codes = codes.unwrap();
        (codes.device.expose().to_owned(), codes.user)
    }

    async fn device(&self, code: &UserCode) -> WaitingDevice {
        let found = self.core.waiting_device(code, at(1)).await.unwrap();
        found.expect("a device that waits")
    }

    async fn agree(&self, code: &UserCode) {
        let (device, claims) = (self.device(code).await, vec![self.claim.clone()]);
        let agreed = self.core.agree_device(&self.caller, device, claims, at(1));
        agreed.await.unwrap();
    }

    async fn is_revoked(&self, grant: &GrantId) -> bool {
        let (facts, _) = store::list::<RevocationFact>(&*self.core.store, &layout::revocations())
            .await
            .unwrap();
        let wanted = Revocation::Grant(grant.clone());
        facts.iter().any(|(_, fact)| fact.revoked == wanted)
    }
}

fn code_of<T>(result: Result<T, OAuthError>) -> OAuthCode {
    result.err().expect("a refusal").code
}

fn grant_of(bed: &Bed, tokens: &Tokens, now: UnixTime) -> GrantId {
    bed.core.own_grant(tokens.access.expose(), now).unwrap()
}

#[tokio::test]
async fn a_device_gets_a_token_for_what_was_agreed() {
    let bed = Bed::new().await;
    let tokens = bed.tokens().await;
    let expect = Expect {
        issuer: bed.core.issuer.clone(),
        audience: bed.core.audience(),
    };
    let keys = bed.core.keys.load().public();
    let claims = token::verify(tokens.access.expose(), &keys, &expect, at(1)).unwrap();
    assert_eq!(
        (claims.client.as_str(), &claims.account),
        (APP, &bed.account)
    );
    assert_eq!(claims.grant.endpoints.len(), 1);
    assert_eq!(claims.grant.endpoints[0].claim, bed.claim);
    assert_eq!(tokens.endpoints, claims.grant.endpoints);
    assert_eq!(tokens.lives, Config::TOKEN_TTL);
}

#[tokio::test]
async fn refreshing_goes_on_under_one_grant() {
    let bed = Bed::new().await;
    let first = bed.tokens().await;
    let second = bed.refresh(&first.refresh, at(2)).await.unwrap();
    let third = bed.refresh(&second.refresh, at(3)).await.unwrap();
    let grants = [&first, &second, &third].map(|tokens| grant_of(&bed, tokens, at(3)));
    assert!(grants.iter().all(|grant| *grant == grants[0]));
    // A lost answer is given again.
    assert!(bed.refresh(&second.refresh, at(4)).await.is_ok());
}

#[tokio::test]
async fn a_refresh_token_from_two_places_ends_the_consent() {
    let bed = Bed::new().await;
    let first = bed.tokens().await;
    let grant = grant_of(&bed, &first, at(1));
    let thief = bed.refresh(&first.refresh, at(2)).await.unwrap();
    let owner = bed.refresh(&first.refresh, at(3)).await.unwrap();
    let noticed = bed.refresh(&thief.refresh, at(4)).await;
    assert_eq!(code_of(noticed), OAuthCode::InvalidGrant);
    assert!(bed.is_revoked(&grant).await);
    assert!(bed.refresh(&owner.refresh, at(5)).await.is_err());
}

#[tokio::test]
async fn a_refresh_token_is_its_clients() {
    let bed = Bed::new().await;
    let tokens = bed.tokens().await;
    let other = bed
        .core
        .refresh_consent(&tokens.refresh, "https://evil.example", at(2))
        .await;
    assert_eq!(code_of(other), OAuthCode::InvalidGrant);
    for nonsense in ["", "aditr.", "aditr.grt_1.0.AAAA", "aditr.x/y.0.AAAA"] {
        assert_eq!(
            code_of(bed.refresh(nonsense, at(2)).await),
            OAuthCode::InvalidGrant
        );
    }
    assert!(bed.refresh(&tokens.refresh, at(3)).await.is_ok());
}

#[tokio::test]
async fn a_consent_that_nobody_uses_is_over() {
    let bed = Bed::new().await;
    let tokens = bed.tokens().await;
    let late = at(2).plus(UNUSED);
    assert_eq!(
        code_of(bed.refresh(&tokens.refresh, late).await),
        OAuthCode::InvalidGrant
    );
}

#[tokio::test]
async fn a_name_that_was_released_is_not_refreshed() {
    let bed = Bed::new().await;
    let tokens = bed.tokens().await;
    let name = "shop.t.example".parse().unwrap();
    bed.core.release(&bed.caller, &name, at(2)).await.unwrap();
    let refused = bed.refresh(&tokens.refresh, at(3)).await;
    assert_eq!(code_of(refused), OAuthCode::InvalidGrant);
}

#[tokio::test]
async fn a_program_gives_back_what_it_has() {
    let bed = Bed::new().await;
    for by_access in [false, true] {
        let tokens = bed.tokens().await;
        let grant = grant_of(&bed, &tokens, at(1));
        let token = match by_access {
            true => tokens.access.expose().to_owned(),
            false => tokens.refresh.to_string(),
        };
        bed.core
            .revoke_consent(&token, "https://evil.example", at(2))
            .await
            .unwrap();
        assert!(!bed.is_revoked(&grant).await);
        bed.core.revoke_consent(&token, APP, at(2)).await.unwrap();
        assert!(bed.is_revoked(&grant).await);
        assert!(bed.refresh(&tokens.refresh, at(3)).await.is_err());
    }
    bed.core
        .revoke_consent("nonsense", APP, at(2))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_device_waits_for_a_person() {
    let bed = Bed::new().await;
    let (device, code) = bed.waiting("Camera").await;
    let poll = |now| bed.core.poll_device(&device, "Camera", now);
    assert_eq!(code_of(poll(at(1)).await), OAuthCode::AuthorizationPending);
    assert_eq!(code_of(poll(at(2)).await), OAuthCode::SlowDown);
    bed.agree(&code).await;
    let tokens = poll(at(1).plus(INTERVAL)).await.unwrap();
    assert_eq!(tokens.endpoints.len(), 1);
    // Both codes are used up.
    assert_eq!(code_of(poll(at(20)).await), OAuthCode::InvalidGrant);
    assert!(
        bed.core
            .waiting_device(&code, at(20))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        bed.core
            .refresh_consent(&tokens.refresh, "Camera", at(21))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_device_hears_no() {
    let bed = Bed::new().await;
    let (device, code) = bed.waiting("adit").await;
    bed.core.deny_device(bed.device(&code).await).await.unwrap();
    let poll = |now| bed.core.poll_device(&device, "adit", now);
    assert_eq!(code_of(poll(at(1)).await), OAuthCode::AccessDenied);
    assert_eq!(code_of(poll(at(10)).await), OAuthCode::InvalidGrant);
}

#[tokio::test]
async fn device_codes_expire_and_are_their_clients() {
    let bed = Bed::new().await;
    let (device, code) = bed.waiting("Camera").await;
    let other = bed.core.poll_device(&device, "Doorbell", at(1)).await;
    assert_eq!(code_of(other), OAuthCode::InvalidGrant);
    let end = at(0).plus(DEVICE_LIVES);
    assert!(bed.core.waiting_device(&code, end).await.unwrap().is_none());
    let late = bed.core.poll_device(&device, "Camera", end).await;
    assert_eq!(code_of(late), OAuthCode::ExpiredToken);
}

#[tokio::test]
async fn an_address_gets_so_many_device_codes() {
    let bed = Bed::new().await;
    let what = What::read(&Parameters::default(), &bed.core.issuer).unwrap();
    let mut refused = 0;
    for _ in 0..30 {
        let begun = bed
            .core
            .begin_device(
                Client::device("adit").unwrap(),
                what.clone(),
                ADDRESS.into(),
                at(0),
            )
            .await;
        refused += usize::from(begun.is_err());
    }
    assert_eq!(refused, 10);
}

#[tokio::test]
async fn device_codes_are_forgotten_when_they_have_expired() {
    let bed = Bed::new().await;
    bed.waiting("Camera").await;
    assert_eq!(bed.core.prune_devices(at(30)).await.unwrap(), 0);
    let end = at(0).plus(DEVICE_LIVES);
    assert_eq!(bed.core.prune_devices(end).await.unwrap(), 1);
    let (left, _) = store::entries(&*bed.core.store, &"secret/".parse().unwrap())
        .await
        .unwrap();
    let is_code = |key: &str| key.contains("/device/") || key.contains("/user-code/");
    assert!(!left.iter().any(|entry| is_code(entry.key.as_str())));
}

#[tokio::test]
async fn nothing_in_the_store_is_a_code_or_a_token() {
    let bed = Bed::new().await;
    let (device, user_code) = bed.waiting("Camera").await;
    let tokens = bed.tokens().await;
    let secrets = [device, user_code.to_string(), tokens.refresh.to_string()];
    for prefix in ["secret/", "account/", "audit/", "public/"] {
        let (entries, _) = store::entries(&*bed.core.store, &prefix.parse().unwrap())
            .await
            .unwrap();
        for entry in entries {
            let value = String::from_utf8_lossy(entry.value.as_ref()).into_owned();
            for secret in &secrets {
                assert!(!entry.key.as_str().contains(secret) && !value.contains(secret.as_str()));
            }
        }
    }
}

#[tokio::test]
async fn one_agrees_to_what_one_owns_and_to_as_much_as_was_asked_for() {
    let bed = Bed::new().await;
    let (device, code) = bed.waiting("Camera").await;
    for claims in [
        vec![],
        vec![bed.claim.clone(); 2],
        vec!["clm_1".parse().unwrap()],
    ] {
        let waiting = bed.device(&code).await;
        let agreed = bed.core.agree_device(&bed.caller, waiting, claims, at(1));
        assert!(agreed.await.is_err());
    }
    let poll = bed.core.poll_device(&device, "Camera", at(1)).await;
    assert_eq!(code_of(poll), OAuthCode::AuthorizationPending);
}

#[tokio::test]
async fn a_consent_is_listed_until_it_is_ended_and_then_its_tokens_are_revoked() {
    let bed = Bed::new().await;
    let tokens = bed.tokens().await;
    let (grant, listed) = bed.core.consents_of(&bed.account).await.unwrap().remove(0);
    assert_eq!(grant, grant_of(&bed, &tokens, at(1)));
    assert_eq!(listed.client, APP);
    let stranger = Caller {
        account: "acc_2".parse().unwrap(),
        ..bed.caller.clone()
    };
    assert!(
        bed.core
            .end_consent_of(&stranger, &grant, at(2))
            .await
            .is_err()
    );
    bed.core
        .end_consent_of(&bed.caller, &grant, at(2))
        .await
        .unwrap();
    assert!(bed.is_revoked(&grant).await);
    assert!(bed.core.consents_of(&bed.account).await.unwrap().is_empty());
    assert!(
        bed.core
            .end_consent_of(&bed.caller, &grant, at(3))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn consents_that_nobody_uses_are_ended() {
    let bed = Bed::new().await;
    let tokens = bed.tokens().await;
    assert_eq!(
        bed.core.prune_consents(at(1).plus(UNUSED)).await.unwrap(),
        0
    );
    assert_eq!(
        bed.core.prune_consents(at(2).plus(UNUSED)).await.unwrap(),
        1
    );
    assert!(bed.refresh(&tokens.refresh, at(3)).await.is_err());
}
