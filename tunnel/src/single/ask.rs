//! What an agent without a mux asks for: the token and the bind in the fields of its request.

use http::{HeaderMap, header};

use super::BIND;
use crate::{
    Code, Secret,
    message::{Bind, OriginProtocol},
};

/// What a request says.
#[derive(Clone, Debug)]
pub struct Ask {
    pub token: Secret,
    /// Left out: all that the token grants.
    pub bind: Option<Bind>,
}

#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("a token is shown as Authorization: Bearer")]
    NoToken,
    #[error("one request has one adit-bind")]
    SeveralBinds,
    #[error("adit-bind is not a bind: {0}")]
    NoBind(#[from] serde_json::Error),
    #[error("one request a connection is HTTP/1.1: there is no h2c in adit-single")]
    H2c,
}

impl Ask {
    pub fn read(headers: &HeaderMap) -> Result<Self, AskError> {
        let token = bearer(headers).ok_or(AskError::NoToken)?;
        let mut binds = headers.get_all(BIND).iter();
        let bind: Option<Bind> = binds
            .next()
            .map(|bind| serde_json::from_slice(bind.as_bytes()))
            .transpose()?;
        if binds.next().is_some() {
            return Err(AskError::SeveralBinds);
        }
        if bind.as_ref().and_then(|bind| bind.proto) == Some(OriginProtocol::H2c) {
            return Err(AskError::H2c);
        }
        Ok(Self {
            token: token.to_owned().into(),
            bind,
        })
    }
}

impl AskError {
    pub const fn code(&self) -> Code {
        match self {
            Self::NoToken => Code::Auth,
            Self::SeveralBinds | Self::NoBind(_) | Self::H2c => Code::Protocol,
        }
    }
}

/// RFC 6750, section 2.1; the scheme is not case-sensitive (RFC 9110, section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn headers(fields: &[(&HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_request_says_a_token_and_a_bind() {
        let bind = r#"{"id":1,"host":"a.example","kind":"http"}"#;
        let fields = [(&header::AUTHORIZATION, "bEARER  t"), (&BIND, bind)];
        let ask = Ask::read(&headers(&fields)).unwrap();
        assert_eq!(ask.token, Secret::from("t".to_owned()));
        assert_eq!(ask.bind.unwrap().host, Some("a.example".parse().unwrap()));
        assert!(Ask::read(&headers(&fields[..1])).unwrap().bind.is_none());
    }

    #[test]
    fn what_is_no_request_is_refused_with_its_code() {
        let bind = r#"{"id":1,"host":"a.example","kind":"http"}"#;
        let h2c = r#"{"id":1,"host":"a.example","kind":"http","proto":"h2c"}"#;
        let (token, name) = ((&header::AUTHORIZATION, "Bearer t"), &BIND);
        let cases: [(&[(&HeaderName, &str)], Code); 7] = [
            (&[], Code::Auth),
            (&[(&header::AUTHORIZATION, "Basic t")], Code::Auth),
            (&[(&header::AUTHORIZATION, "Bearer  ")], Code::Auth),
            (&[token, token], Code::Auth),
            (&[token, (name, bind), (name, bind)], Code::Protocol),
            (&[token, (name, "{}")], Code::Protocol),
            (&[token, (name, h2c)], Code::Protocol),
        ];
        for (fields, code) in cases {
            let error = Ask::read(&headers(fields)).unwrap_err();
            assert_eq!(error.code(), code, "{fields:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_field_breaks_it(token in vec(32_u8..255, 0..40), bind in vec(32_u8..255, 0..80)) {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::AUTHORIZATION, token), (BIND, bind)] {
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    headers.append(name, value);
                }
            }
            let _ = Ask::read(&headers);
        }
    }
}
