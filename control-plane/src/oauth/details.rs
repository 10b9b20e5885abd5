//! What a program wants to serve (RFC 9396): `{"type":"tunnel","actions":["bind"],"identifier":"shop","kinds":["http"]}`.

use model::{EndpointName, Kind};
use serde::{Deserialize, Serialize};

use super::{
    error::{OAuthCode, OAuthError},
    parameters::Parameters,
};

const TYPE: &str = "tunnel";
const ACTION: &str = "bind";
/// Endpoints that one consent page can ask for and a person still reads.
pub(crate) const MAX_DETAILS: usize = 10;
/// A host name, or a label of one.
const MAX_IDENTIFIER: usize = 255;

/// One endpoint that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wish {
    pub(crate) kind: Kind,
    /// A name under the provider's zone, or a whole one; none is left to the person.
    pub(crate) identifier: Option<String>,
}

/// Unknown members are refused (RFC 9396, section 5).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    actions: Option<Vec<String>>,
    #[serde(default)]
    identifier: Option<String>,
    /// Those that would do, the best first.
    #[serde(default)]
    kinds: Option<Vec<String>>,
}

/// One endpoint that was given, in the answer to the token request (RFC 9396, section 7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Detail<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    actions: [&'static str; 1],
    identifier: String,
    kinds: [Kind; 1],
    /// Edges, the best first.
    locations: &'a [String],
}

impl Wish {
    /// Of the parameter `authorization_details`; left out, it is one HTTP name.
    pub(crate) fn read(parameters: &Parameters) -> Result<Vec<Self>, OAuthError> {
        let Some(text) = parameters.get("authorization_details")? else {
            return Ok(vec![Self {
                kind: Kind::Http,
                identifier: None,
            }]);
        };
        let asked: Vec<Asked> = serde_json::from_str(text)
            .map_err(|error| refused(format_args!("authorization_details: {error}")))?;
        if asked.is_empty() || asked.len() > MAX_DETAILS {
            return Err(refused(format_args!(
                "authorization_details has 1 to {MAX_DETAILS} members"
            )));
        }
        asked.into_iter().map(Self::of).collect()
    }

    fn of(asked: Asked) -> Result<Self, OAuthError> {
        if asked.kind != TYPE {
            return Err(refused("the type of authorization_details is tunnel here"));
        }
        if asked.actions.is_some_and(|actions| actions != [ACTION]) {
            return Err(refused("the actions of a tunnel are [\"bind\"]"));
        }
        let kinds = asked.kinds.unwrap_or_else(|| vec![Kind::Http.to_string()]);
        let known = kinds.iter().find_map(|kind| kind.parse().ok());
        let kind = known.ok_or_else(|| refused("kinds are http, tls, tcp and udp"))?;
        let identifier = asked.identifier.filter(|name| !name.is_empty());
        if let Some(name) = &identifier {
            // Which names there are, and for whom, is decided when a person has chosen one.
            let is_plain =
                name.len() <= MAX_IDENTIFIER && name.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_plain {
                return Err(refused(
                    "identifier is a name of at most 255 visible ASCII characters",
                ));
            }
        }
        Ok(Self { kind, identifier })
    }
}

impl<'a> Detail<'a> {
    pub(crate) fn new(name: &EndpointName, kind: Kind, locations: &'a [String]) -> Self {
        Self {
            type_: TYPE,
            actions: [ACTION],
            identifier: name.to_string(),
            kinds: [kind],
            locations,
        }
    }
}

fn refused(why: impl std::fmt::Display) -> OAuthError {
    OAuthError::new(OAuthCode::InvalidAuthorizationDetails, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Vec<Wish>, OAuthError> {
        let query: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("authorization_details", json)
            .finish();
        Wish::read(&Parameters::read(&query).unwrap())
    }

    #[test]
    fn left_out_it_is_a_name_for_http() {
        let wish = Wish {
            kind: Kind::Http,
            identifier: None,
        };
        assert_eq!(Wish::read(&Parameters::default()), Ok(vec![wish.clone()]));
        assert_eq!(read(r#"[{"type":"tunnel"}]"#), Ok(vec![wish]));
    }

    #[test]
    fn the_first_kind_that_is_known_is_taken() {
        let json = r#"[{"type":"tunnel","actions":["bind"],"identifier":"shop","kinds":["quic","tls","http"]},
                       {"type":"tunnel","kinds":["udp"]}]"#;
        let wishes = read(json).unwrap();
        assert_eq!(wishes[0].kind, Kind::Tls);
        assert_eq!(wishes[0].identifier.as_deref(), Some("shop"));
        assert_eq!(wishes[1].kind, Kind::Udp);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let many = format!("[{}]", [r#"{"type":"tunnel"}"#; MAX_DETAILS + 1].join(","));
        let long = format!(
            r#"[{{"type":"tunnel","identifier":"{}"}}]"#,
            "x".repeat(256)
        );
        for json in [
            "",
            "{}",
            "[]",
            "[1]",
            "null",
            r#"[{"type":"payment"}]"#,
            r#"[{"actions":["bind"]}]"#,
            r#"[{"type":"tunnel","actions":["bind","admin"]}]"#,
            r#"[{"type":"tunnel","actions":[]}]"#,
            r#"[{"type":"tunnel","kinds":[]}]"#,
            r#"[{"type":"tunnel","kinds":["quic"]}]"#,
            r#"[{"type":"tunnel","identifier":"a b"}]"#,
            r#"[{"type":"tunnel","identifier":"é"}]"#,
            r#"[{"type":"tunnel","role":"admin"}]"#,
            &many,
            &long,
        ] {
            let refused = read(json).err().map(|error| error.code);
            let expected = (!json.is_empty()).then_some(OAuthCode::InvalidAuthorizationDetails);
            assert_eq!(refused, expected, "{json}");
        }
    }
}
