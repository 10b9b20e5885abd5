//! The fields in which an agent without a mux asks for visitors (`tunnel`), as a stranger may write them.

use bolero::check;
use http::{HeaderMap, HeaderValue, header};
use tunnel::single::{Ask, BIND};

use crate::{ITERATIONS, recipe::Recipe};

const TOKENS: [&str; 3] = [
    "Bearer eyJhbGciOiJFZERTQSJ9.e30.AA",
    "bearer t",
    "Basic dTpw",
];
const BINDS: [&str; 3] = [
    r#"{"id":1,"host":"api.alice.example","kind":"http"}"#,
    r#"{"id":7,"port":20001,"kind":"tcp"}"#,
    r#"{"id":1,"host":"a.example","kind":"http","proto":"h2c","host_header":"x"}"#,
];

#[test]
fn single_request() {
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<(Recipe, Recipe)>()
        .for_each(|(token, bind)| {
            let mut headers = HeaderMap::new();
            let (token, bind) = (token.bytes(&TOKENS), bind.bytes(&BINDS));
            for (name, value) in [(header::AUTHORIZATION, token), (BIND, bind)] {
                // What is no value of a field does not come through HTTP.
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    headers.append(name, value);
                }
            }
            if let Ok(ask) = Ask::read(&headers) {
                assert!(!ask.token.expose().is_empty());
                assert!(headers.contains_key(BIND) || ask.bind.is_none());
            }
        });
}
