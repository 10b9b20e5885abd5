//! Parameters of a request, as a query or a form has them.

use super::error::OAuthError;

/// Parameters of one request: all that are registered, twice over.
const MAX_PARAMETERS: usize = 64;
/// Characters of a name and a value; `authorization_details` are the longest.
const MAX_VALUE: usize = 8 * 1024;

/// Each at most once (RFC 6749, section 3.1). Those with an empty value count as left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Of `application/x-www-form-urlencoded` text.
    pub(crate) fn read(text: &str) -> Result<Self, OAuthError> {
        let mut all = Vec::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if all.len() == MAX_PARAMETERS || name.len() + value.len() > MAX_VALUE {
                return Err(OAuthError::invalid_request(
                    "the request has too many parameters, or too long ones",
                ));
            }
            if value.is_empty() {
                continue;
            }
            all.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(all))
    }

    pub(crate) fn get(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        let mut found = self.0.iter().filter(|(own, _)| own == name);
        let first = found.next().map(|(_, value)| value.as_str());
        if found.next().is_some() {
            return Err(OAuthError::invalid_request(format_args!(
                "{name} is there more than once"
            )));
        }
        Ok(first)
    }

    pub(crate) fn need(&self, name: &str) -> Result<&str, OAuthError> {
        self.get(name)?
            .ok_or_else(|| OAuthError::invalid_request(format_args!("{name} is missing")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_there_once_or_not_at_all() {
        let all = Parameters::read("a=1&b=x%20y+z&c=&d=1&d=2").unwrap();
        assert_eq!(all.get("a"), Ok(Some("1")));
        assert_eq!(all.need("b"), Ok("x y z"));
        assert_eq!(all.get("c"), Ok(None));
        assert!(all.need("c").is_err());
        assert!(all.get("d").is_err());
    }

    #[test]
    fn a_request_is_bounded() {
        assert!(Parameters::read(&"a=1&".repeat(MAX_PARAMETERS + 1)).is_err());
        assert!(Parameters::read(&format!("a={}", "x".repeat(MAX_VALUE))).is_err());
    }
}
