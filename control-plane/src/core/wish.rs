//! What a caller wants to claim, and which names may be had. Pure.

use model::{EndpointName, HostPattern, Hostname, Kind, Label, Sharing};

use super::Caller;
use crate::{
    config::Config,
    error::{ControlError, ErrorCode},
};

/// Longest machine and target text; both are only hashed.
const MAX_SEED_TEXT: usize = 4096;

#[derive(Clone, Debug)]
pub struct ClaimWish {
    pub kind: Kind,
    /// None is a random name or a free port.
    pub name: Option<EndpointName>,
    pub sharing: Sharing,
    /// A random name stays the same for one account, machine and target.
    pub machine: String,
    pub target: String,
}

impl ClaimWish {
    /// `host` is empty, one label, or a whole name.
    pub fn parse(
        kind: Kind,
        host: &str,
        port: u32,
        sharing: Sharing,
        zone: &Hostname,
    ) -> Result<Self, ControlError> {
        let name = match (kind, host, port) {
            (_, "", 0) => None,
            (Kind::Http | Kind::Tls, host, 0) => {
                Some(EndpointName::Host(host_pattern(host, zone)?))
            }
            (Kind::Tcp | Kind::Udp, "", port) => {
                let port = u16::try_from(port)
                    .map_err(|_| ControlError::invalid("a port is at most 65535"))?;
                Some(EndpointName::Port(port))
            }
            (Kind::Http | Kind::Tls, _, _) => {
                return Err(ControlError::invalid(
                    "http and tls endpoints have a name, not a port",
                ));
            }
            (Kind::Tcp | Kind::Udp, _, _) => {
                return Err(ControlError::invalid(
                    "tcp and udp endpoints have a port, not a name",
                ));
            }
        };
        Ok(Self {
            kind,
            name,
            sharing,
            machine: String::new(),
            target: String::new(),
        })
    }

    pub fn remembered_for(mut self, machine: &str, target: &str) -> Result<Self, ControlError> {
        if machine.len() > MAX_SEED_TEXT || target.len() > MAX_SEED_TEXT {
            return Err(ControlError::invalid(
                "machine and target have at most 4096 bytes",
            ));
        }
        (self.machine, self.target) = (machine.to_owned(), target.to_owned());
        Ok(self)
    }

    /// Refuses names that this caller may not have, whoever holds them.
    pub(crate) fn check(&self, caller: &Caller, config: &Config) -> Result<(), ControlError> {
        match &self.name {
            None => Ok(()),
            Some(EndpointName::Port(port)) if config.tcp_ports.contains(port) => Ok(()),
            Some(EndpointName::Port(port)) => Err(ControlError::new(
                ErrorCode::NotAllowed,
                format!(
                    "port {port} is not among those of this provider, {} to {}",
                    config.tcp_ports.start(),
                    config.tcp_ports.end()
                ),
            )),
            Some(EndpointName::Host(pattern)) => check_host(pattern, caller, config),
        }
    }
}

fn host_pattern(host: &str, zone: &Hostname) -> Result<HostPattern, ControlError> {
    let parsed = if host.contains('.') {
        host.parse()
    } else {
        host.parse::<Label>()
            .and_then(|label| zone.child(&label))
            .map(HostPattern::Exact)
    };
    parsed.map_err(|error| ControlError::invalid(format!("{host}: {error}")))
}

fn check_host(pattern: &HostPattern, caller: &Caller, config: &Config) -> Result<(), ControlError> {
    let touches_reserved = config
        .reserved
        .iter()
        .any(|name| pattern.matches(name) || pattern.base() == name);
    if touches_reserved || *pattern.base() == config.zone {
        return Err(ControlError::new(
            ErrorCode::NameReserved,
            format!("{pattern} is reserved for the provider"),
        ));
    }
    let one_label =
        matches!(pattern, HostPattern::Exact(name) if name.parent().as_ref() == Some(&config.zone));
    if one_label || caller.is_admin() {
        return Ok(());
    }
    Err(ControlError::new(
        ErrorCode::NameOutsideZone,
        format!(
            "{pattern} is not one label under {}; an administrator can claim other names",
            config.zone
        ),
    ))
}

#[cfg(test)]
mod tests {
    use model::Role;

    use super::*;

    fn config() -> Config {
        Config {
            listen: Vec::new(),
            issuer: None,
            zone: "t.example".parse().unwrap(),
            reserved: vec!["edge.t.example".parse().unwrap()],
            forward: Vec::new(),
            tcp_ports: 100..=200,
            own_ports: Vec::new(),
            clear_http_port: None,
            token_ttl: Config::TOKEN_TTL,
            session_ttl: Config::SESSION_TTL,
        }
    }

    fn check(kind: Kind, host: &str, port: u32, admin: bool) -> Result<(), ErrorCode> {
        let caller = Caller {
            account: "acc_1".parse().unwrap(),
            key: "key_1".parse().unwrap(),
            role: if admin { Role::Admin } else { Role::Member },
            agent: None,
            from: None,
        };
        ClaimWish::parse(kind, host, port, Sharing::Exclusive, &config().zone)
            .and_then(|wish| wish.check(&caller, &config()))
            .map_err(|error| error.code)
    }

    #[test]
    fn owners_get_one_label_and_administrators_more() {
        assert_eq!(check(Kind::Http, "shop", 0, false), Ok(()));
        assert_eq!(check(Kind::Http, "shop.t.example", 0, false), Ok(()));
        for other in ["a.b.t.example", "elsewhere.org", "*.shop.t.example"] {
            assert_eq!(
                check(Kind::Tls, other, 0, false),
                Err(ErrorCode::NameOutsideZone),
                "{other}"
            );
            assert_eq!(check(Kind::Tls, other, 0, true), Ok(()), "{other}");
        }
    }

    #[test]
    fn nobody_gets_the_providers_own_names() {
        for name in [
            "edge",
            "EDGE.t.example",
            "*.t.example",
            "t.example",
            "*.edge.t.example",
        ] {
            assert_eq!(
                check(Kind::Http, name, 0, true),
                Err(ErrorCode::NameReserved),
                "{name}"
            );
        }
    }

    #[test]
    fn kinds_and_names_must_fit() {
        assert_eq!(check(Kind::Tcp, "", 150, false), Ok(()));
        assert_eq!(check(Kind::Tcp, "", 99, false), Err(ErrorCode::NotAllowed));
        for (kind, host, port) in [
            (Kind::Http, "a", 150),
            (Kind::Tcp, "a", 150),
            (Kind::Tcp, "", 70000),
            (Kind::Http, "a_b", 0),
            (Kind::Http, "*", 0),
        ] {
            assert_eq!(
                check(kind, host, port, true),
                Err(ErrorCode::Invalid),
                "{kind} {host} {port}"
            );
        }
        assert_eq!(check(Kind::Udp, "", 150, false), Ok(()));
        assert_eq!(check(Kind::Udp, "a", 150, true), Err(ErrorCode::Invalid));
    }
}
