//! Proxies that this process was told of.

use super::check::Check;

const VARIABLES: [&str; 3] = ["HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

/// One check that names what is set. A password in a proxy's URL stays out of it.
pub(super) fn proxies(read: impl Fn(&str) -> Option<String>) -> Option<Check> {
    let mut set = Vec::new();
    for upper in VARIABLES {
        for name in [upper.to_owned(), upper.to_lowercase()] {
            if let Some(value) = read(&name).filter(|value| !value.is_empty()) {
                set.push(format!("{name}={}", without_user(&value)));
            }
        }
    }
    (!set.is_empty()).then(|| Check::ok("proxy", set.join(", ")))
}

fn without_user(value: &str) -> String {
    let (scheme, rest) = value.split_once("://").map_or(("", value), |(s, r)| (s, r));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() {
        host.to_owned()
    } else {
        format!("{scheme}://{host}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_told_without_its_password() {
        let set =
            |name: &str| (name == "https_proxy").then(|| "http://me:secret@proxy:3128".into());
        let check = format!("{:?}", proxies(set).unwrap());
        assert!(
            check.contains("http://proxy:3128") && !check.contains("secret"),
            "{check}"
        );
        assert_eq!(proxies(|_| None), None);
        assert_eq!(without_user("me:secret@proxy"), "proxy");
    }
}
