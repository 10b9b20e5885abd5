//! What the credential allows, and until when.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use model::UnixTime;
use serde_json::Value;

use super::check::Check;
use crate::{admin::moment, credentials::Access, share::Provider};

/// Names that are written out; a long list says no more.
const NAMES_SHOWN: usize = 10;

pub(super) async fn check(provider: &Provider, access: &Access, now: UnixTime) -> Check {
    match access {
        Access::Token { token, .. } => of_token(token.expose(), now),
        Access::ApiKey(credentials) => {
            let whose = if credentials.is_agent() {
                "an agent's"
            } else {
                "an API key"
            };
            let names = async {
                let identity = provider.who_am_i().await?;
                Ok((identity, provider.endpoints(String::new()).await?))
            };
            match names.await {
                Ok((identity, endpoints)) => {
                    let names = endpoints.into_iter().map(|endpoint| endpoint.name);
                    let seen = format!(
                        "{whose} of {} ({}), endpoints: {}",
                        identity.account,
                        identity.name,
                        listed(names.collect())
                    );
                    Check::ok("credential", seen)
                }
                Err(failure) => Check::failed("credential", &failure),
            }
        }
    }
}

/// Read, not verified: the edges do that.
fn of_token(token: &str, now: UnixTime) -> Check {
    let Some(claims) = claims(token) else {
        return Check::fail("token", "this is not a token of a provider")
            .advise("adit admin token issue prints one");
    };
    let details = claims["authorization_details"].as_array();
    let names = details.into_iter().flatten();
    let names = names.filter_map(|detail| detail["identifier"].as_str().map(str::to_owned));
    let (expires, session) = (claims["exp"].as_u64(), claims["session_exp"].as_u64());
    let bound = if claims["cnf"].is_null() {
        "bearer"
    } else {
        "bound to a key"
    };
    let seen = format!(
        "for {}, {bound}, opens sessions until {}, which live until {}",
        listed(names.collect()),
        expires.map_or_else(|| "-".into(), moment),
        session.map_or_else(|| "-".into(), moment),
    );
    match expires {
        Some(end) if end > now.as_secs() => Check::ok("token", seen),
        _ => Check::fail("token", seen).advise("it has expired: ask for a new one"),
    }
}

fn claims(token: &str) -> Option<Value> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

fn listed(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMES_SHOWN);
    names.truncate(NAMES_SHOWN);
    match (names.is_empty(), more) {
        (true, _) => "none".into(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Verdict;

    fn token(claims: &Value) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn a_token_is_told_with_its_names_and_times_and_without_itself() {
        let text = token(&serde_json::json!({
            "exp": 200, "session_exp": 3800, "cnf": {"jkt": "x"},
            "authorization_details": [{"identifier": "a.example"}],
        }));
        let check = of_token(&text, UnixTime::from_secs(100));
        let shown = format!("{check:?}");
        assert_eq!(check.verdict(), Verdict::Ok);
        for part in [
            "a.example",
            "bound to a key",
            "1970-01-01 00:03:20",
            "01:03:20",
        ] {
            assert!(shown.contains(part), "{shown}");
        }
        assert!(!shown.contains(&text));
        let late = of_token(&text, UnixTime::from_secs(200));
        assert_eq!(late.verdict(), Verdict::Fail);
    }

    #[test]
    fn what_is_no_token_is_told_so() {
        for text in ["", "adit_key_x", "a.b.c", "e30.!.e30"] {
            assert_eq!(
                of_token(text, UnixTime::from_secs(1)).verdict(),
                Verdict::Fail,
                "{text}"
            );
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let names = (0..12).map(|n| n.to_string()).collect();
        assert!(listed(names).ends_with("9 and 2 more"));
        assert_eq!(listed(Vec::new()), "none");
    }
}
