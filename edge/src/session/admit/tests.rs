use model::{Endpoint, KeyId, RevocationFact};
use store::Fact;
use token::SigningKey;

use super::*;

const NOW: u64 = 1_800_000_000;

fn at(offset: i64) -> UnixTime {
    UnixTime::from_secs(NOW.checked_add_signed(offset).unwrap())
}

struct World {
    key: SigningKey,
    facts: Facts,
    claims: Claims,
    region: Region,
    ports: RangeInclusive<u16>,
    fresh: bool,
}

fn endpoint(name: &str, kind: Kind, claim: &str) -> Endpoint {
    Endpoint {
        claim: claim.parse().unwrap(),
        account: "acc_a".parse().unwrap(),
        name: name.parse().unwrap(),
        kind,
        sharing: Sharing::Exclusive,
        regions: Vec::new(),
        created: at(-1000),
    }
}

fn granted(name: &str, kind: Kind, claim: &str) -> GrantedEndpoint {
    let (claim, name) = (claim.parse().unwrap(), name.parse().unwrap());
    GrantedEndpoint { claim, name, kind }
}

fn wanted(name: &str, kind: Kind) -> Bind {
    let name: EndpointName = name.parse().unwrap();
    Bind {
        id: 7,
        host: name.host().cloned(),
        port: name.port(),
        kind,
        proto: None,
        host_header: None,
    }
}

impl World {
    /// One token for a host, a wildcard and a port, all of them claimed.
    fn new() -> Self {
        let key = SigningKey::generate("kid_1".parse().unwrap()).unwrap();
        let mut facts = Facts::default();
        let id: KeyId = "kid_1".parse().unwrap();
        facts.take(Fact::Jwk(id, serde_json::to_value(key.public()).unwrap()));
        let all = [
            ("a.example", Kind::Http, "clm_a"),
            ("*.w.example", Kind::Http, "clm_w"),
            ("port:44001", Kind::Tcp, "clm_p"),
        ];
        for (name, kind, claim) in all {
            facts.take(Fact::Endpoint(endpoint(name, kind, claim)));
        }
        let endpoints = all
            .map(|(name, kind, claim)| granted(name, kind, claim))
            .to_vec();
        let claims = Claims {
            issuer: "https://p.example".into(),
            audience: "https://p.example/edge".into(),
            subject: "agt_1".parse().unwrap(),
            account: "acc_a".parse().unwrap(),
            client: "test".into(),
            id: "tok_1".parse().unwrap(),
            grant_id: "grt_1".parse().unwrap(),
            grant: Grant {
                endpoints,
                ..Grant::default()
            },
            issued: at(0),
            not_before: at(0),
            expires: at(600),
            session_expires: at(6000),
            revision: model::Revision::ZERO,
            confirmation: None,
        };
        let region = "eu".parse().unwrap();
        Self {
            key,
            facts,
            claims,
            region,
            ports: 44000..=44099,
            fresh: true,
        }
    }

    fn here(&self) -> Here<'_> {
        Here {
            facts: &self.facts,
            region: &self.region,
            ports: &self.ports,
            fresh: self.fresh,
        }
    }

    fn revoke(&mut self, revoked: Revocation) {
        let fact = RevocationFact {
            revoked,
            at: at(0),
            until: at(9000),
        };
        self.facts.take(Fact::Revocation(fact));
    }

    fn token(&self) -> String {
        self.key.sign(&self.claims).unwrap().expose().to_owned()
    }

    /// The whole way of a hello.
    fn decide(
        &self,
        text: &str,
        asked: Option<&[Bind]>,
        now: UnixTime,
    ) -> Result<Vec<Allowed>, Refusal> {
        let expect = Expect {
            issuer: "https://p.example".into(),
            audience: "https://p.example/edge".into(),
        };
        let claims = token(text, &self.facts.keys(), &expect, now)?;
        session(&claims, self.here())?;
        binds(&claims, asked, self.here())?.into_iter().collect()
    }

    fn refusal(&self, asked: Option<&[Bind]>) -> Code {
        self.decide(&self.token(), asked, at(1)).unwrap_err().code
    }

    fn bind(&self, name: &str, kind: Kind) -> Result<Allowed, Code> {
        bind(&self.claims, &wanted(name, kind), self.here()).map_err(|refusal| refusal.code)
    }
}

#[test]
fn all_that_is_granted_is_bound_when_nothing_is_asked_for() {
    let world = World::new();
    let all = world.decide(&world.token(), None, at(1)).unwrap();
    let names: Vec<_> = all
        .iter()
        .map(|allowed| (allowed.id, allowed.name.to_string()))
        .collect();
    let expected = [(1, "a.example"), (2, "*.w.example"), (3, "port:44001")];
    assert_eq!(names, expected.map(|(id, name)| (id, name.to_owned())));
}

type Tamper = fn(&mut World) -> (String, UnixTime);

#[test]
fn a_token_that_cannot_be_believed_is_refused_with_its_code() {
    let table: [(&str, Code, Tamper); 9] = [
        ("expired", Code::Expired, |w| (w.token(), at(600))),
        ("not yet valid", Code::Auth, |w| (w.token(), at(-61))),
        ("wrong audience", Code::Auth, |w| {
            w.claims.audience = "https://p.example/other".into();
            (w.token(), at(1))
        }),
        ("wrong issuer", Code::Auth, |w| {
            w.claims.issuer = "https://q.example".into();
            (w.token(), at(1))
        }),
        ("another algorithm", Code::Auth, |w| {
            (with_header(&w.token(), "HS256"), at(1))
        }),
        ("no algorithm", Code::Auth, |w| {
            (with_header(&w.token(), "none"), at(1))
        }),
        ("tampered", Code::Auth, |w| {
            let token = w.token();
            let (message, signature) = token.rsplit_once('.').unwrap();
            let flipped: String = signature.chars().rev().collect();
            (format!("{message}.{flipped}"), at(1))
        }),
        ("unknown key", Code::Auth, |w| {
            w.key = SigningKey::generate("kid_2".parse().unwrap()).unwrap();
            (w.token(), at(1))
        }),
        ("no token", Code::Auth, |_| ("hello".into(), at(1))),
    ];
    for (what, code, tamper) in table {
        let mut world = World::new();
        let (token, now) = tamper(&mut world);
        let refusal = world.decide(&token, None, now).unwrap_err();
        assert_eq!(refusal.code, code, "{what}: {}", refusal.message);
    }
}

fn with_header(token: &str, alg: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = serde_json::json!({"typ": "at+jwt", "alg": alg, "kid": "kid_1"}).to_string();
    let (_, rest) = token.split_once('.').unwrap();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
}

#[test]
fn each_kind_of_revocation_is_seen() {
    for revoked in [
        Revocation::Token("tok_1".parse().unwrap()),
        Revocation::Grant("grt_1".parse().unwrap()),
        Revocation::Account("acc_a".parse().unwrap()),
    ] {
        let mut world = World::new();
        world.revoke(revoked.clone());
        assert_eq!(world.refusal(None), Code::Revoked, "{revoked:?}");
        world.claims.issued = at(1);
        let later = world.decide(&world.token(), None, at(1)).is_ok();
        assert_eq!(
            later,
            matches!(revoked, Revocation::Account(_)),
            "issued after {revoked:?}"
        );
    }
}

#[test]
fn a_revoked_claim_takes_only_its_endpoint() {
    let mut world = World::new();
    world.revoke(Revocation::Claim("clm_a".parse().unwrap()));
    assert_eq!(
        world.bind("a.example", Kind::Http).unwrap_err(),
        Code::Revoked
    );
    assert!(world.bind("port:44001", Kind::Tcp).is_ok());
    assert!(session(&world.claims, world.here()).is_ok());
}

#[test]
fn what_is_not_granted_is_forbidden() {
    let world = World::new();
    for (name, kind) in [
        ("b.example", Kind::Http),
        ("a.example", Kind::Tls),
        ("sub.a.example", Kind::Http),
        ("aa.example", Kind::Http),
        ("*.a.example", Kind::Http),
        ("*.example", Kind::Http),
        ("w.example", Kind::Http),
        ("x.y.w.example", Kind::Http),
        ("xw.example", Kind::Http),
        ("*.x.w.example", Kind::Http),
        ("port:44002", Kind::Tcp),
        ("port:44001", Kind::Udp),
    ] {
        assert_eq!(
            world.bind(name, kind).unwrap_err(),
            Code::Forbidden,
            "{name} {kind}"
        );
    }
    assert!(world.bind("x.w.example", Kind::Http).is_ok());
}

#[test]
fn a_name_that_was_released_and_claimed_again_is_lost_to_its_old_token() {
    let mut world = World::new();
    world
        .facts
        .take(Fact::Endpoint(endpoint("a.example", Kind::Http, "clm_new")));
    assert_eq!(
        world.bind("a.example", Kind::Http).unwrap_err(),
        Code::Forbidden
    );
    world
        .facts
        .forget(&store::FactKey::Endpoint("port:44001".parse().unwrap()));
    assert_eq!(
        world.bind("port:44001", Kind::Tcp).unwrap_err(),
        Code::Forbidden
    );
}

#[test]
fn what_an_edge_has_not_heard_of_yet_may_be_tried_again() {
    let mut world = World::new();
    world
        .facts
        .forget(&store::FactKey::Endpoint("a.example".parse().unwrap()));
    world.fresh = false;
    let code = world.bind("a.example", Kind::Http).unwrap_err();
    assert_eq!(code, Code::Internal);
    assert_eq!(code.retry(), tunnel::code::Retry::Backoff);
    assert!(
        world.bind("port:44001", Kind::Tcp).is_ok(),
        "what is known stays so"
    );
}

#[test]
fn an_exact_claim_of_another_beats_the_wildcard() {
    let mut world = World::new();
    world.facts.take(Fact::Endpoint(endpoint(
        "x.w.example",
        Kind::Http,
        "clm_other",
    )));
    assert_eq!(
        world.bind("x.w.example", Kind::Http).unwrap_err(),
        Code::Forbidden
    );
    assert!(world.bind("y.w.example", Kind::Http).is_ok());
    assert!(world.bind("*.w.example", Kind::Http).is_ok());
}

#[test]
fn regions_of_token_and_endpoint_are_kept() {
    let mut world = World::new();
    world.claims.grant.regions = vec!["us".parse().unwrap()];
    assert_eq!(world.refusal(None), Code::Forbidden);
    world.claims.grant.regions = vec!["us".parse().unwrap(), "eu".parse().unwrap()];
    let mut elsewhere = endpoint("a.example", Kind::Http, "clm_a");
    elsewhere.regions = vec!["us".parse().unwrap()];
    world.facts.take(Fact::Endpoint(elsewhere));
    assert_eq!(
        world.bind("a.example", Kind::Http).unwrap_err(),
        Code::Forbidden
    );
}

#[test]
fn ports_outside_the_edges_range_are_not_served() {
    let mut world = World::new();
    world.ports = 45000..=45099;
    assert_eq!(
        world.bind("port:44001", Kind::Tcp).unwrap_err(),
        Code::Forbidden
    );
}

#[test]
fn malformed_wishes_are_protocol_errors() {
    let world = World::new();
    let host = wanted("a.example", Kind::Http);
    let port = wanted("port:44001", Kind::Tcp);
    for bad in [
        Bind {
            kind: Kind::Tcp,
            ..host.clone()
        },
        Bind {
            kind: Kind::Http,
            ..port.clone()
        },
        Bind {
            port: Some(44001),
            ..host.clone()
        },
        Bind {
            host: None,
            ..host.clone()
        },
        Bind {
            host_header: Some("u@a.example".into()),
            ..host.clone()
        },
        Bind {
            host_header: Some("a b".into()),
            ..host.clone()
        },
    ] {
        let refusal = bind(&world.claims, &bad, world.here()).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.bind),
            (Code::Protocol, Some(7)),
            "{bad:?}"
        );
    }
    assert_eq!(
        world.refusal(Some(&[host.clone(), port])),
        Code::Protocol,
        "one id twice"
    );
    let many: Vec<_> = (0..=BINDS).map(|id| Bind { id, ..host.clone() }).collect();
    assert_eq!(world.refusal(Some(&many)), Code::Limit);
    assert_eq!(version(&[2, 3]).unwrap_err().code, Code::Version);
    assert_eq!(version(&[2, 1]), Ok(()));
}

#[test]
fn a_token_that_grants_nothing_opens_nothing() {
    let mut world = World::new();
    world.claims.grant.endpoints = vec![granted("port:44001", Kind::Udp, "clm_u")];
    assert_eq!(world.refusal(None), Code::Forbidden);
}
