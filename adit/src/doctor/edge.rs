//! Each edge by each of the ways to it.

use std::{io, sync::Arc, time::Duration};

use agent::{Location, Reached};
use model::UnixTime;
use rustls::RootCertStore;

use super::{
    certificate::{self, Validity},
    check::Check,
};

pub(super) async fn names(what: &str, location: &Location) -> Check {
    let name = format!("{what} name");
    match agent::addresses(location.host(), location.port()).await {
        Ok(found) => {
            let found: Vec<_> = found.iter().map(|address| address.ip().to_string()).collect();
            Check::ok(name, format!("{} is {}", location.host(), found.join(", ")))
        }
        Err(error) => Check::fail(name, format!("{}: {error}", location.host())).advise(
            "ask your resolver for it (getent hosts NAME): the name is wrong, not published yet, or no resolver answers",
        ),
    }
}

/// An HTTPS server's certificate, where its answers were looked at before.
pub(super) async fn served_certificate(
    what: &str,
    location: &Location,
    roots: &Arc<RootCertStore>,
    now: UnixTime,
) -> Check {
    let name = format!("{what} certificate");
    match agent::reach_tcp(location, roots.clone()).await {
        Ok(reached) => told(name, &reached, "", now),
        Err(error) => Check::fail(name, described(&error)).advise(advice_of_tcp(&error, location)),
    }
}

/// Both ways at once, as an agent races them, and then what is left where neither gets through.
pub(super) async fn check(
    location: &Location,
    roots: &Arc<RootCertStore>,
    now: UnixTime,
) -> Vec<Check> {
    let found = names(&format!("edge {location}"), location).await;
    if found.is_fail() {
        return vec![found];
    }
    let (tcp, quic) = tokio::join!(
        agent::reach_tcp(location, roots.clone()),
        agent::reach_quic(location, roots.clone())
    );
    let tcp_works = tcp.is_ok();
    let mut checks = vec![
        found,
        over_tcp(location, tcp, now),
        over_quic(location, quic, tcp_works, now),
    ];
    if tcp_works {
        let opened = agent::reach_websocket(location, roots.clone()).await;
        checks.push(over_websocket(location, opened));
    }
    checks
}

/// The whole of a handshake, which something on the path may answer in the edge's place.
fn over_websocket(location: &Location, opened: io::Result<Duration>) -> Check {
    let name = format!("edge {location} over WebSocket");
    match opened {
        Ok(took) => Check::ok(name, format!("opens in {:.1} ms", ms(took))),
        Err(error) => Check::warn(name, described(&error)).advise(
            "something on the path answers HTTP in the edge's place and knows no WebSocket: agents need QUIC here",
        ),
    }
}

fn over_tcp(location: &Location, found: io::Result<Reached>, now: UnixTime) -> Check {
    let name = format!("edge {location} over TCP");
    match found {
        Ok(reached) => told(name, &reached, &times(&reached), now),
        Err(error) => Check::fail(name, described(&error)).advise(advice_of_tcp(&error, location)),
    }
}

fn over_quic(
    location: &Location,
    found: io::Result<Reached>,
    tcp_works: bool,
    now: UnixTime,
) -> Check {
    let name = format!("edge {location} over QUIC");
    match found {
        Ok(reached) => told(name, &reached, &times(&reached), now),
        Err(error) => {
            let port = location.port();
            let advice = if tcp_works {
                format!(
                    "UDP to port {port} does not get through: agents use TCP, where one lost packet holds up every visitor; \
                     let UDP to port {port} pass if you can"
                )
            } else {
                format!("UDP to port {port} does not get through either")
            };
            let seen = described(&error);
            let check = if tcp_works {
                Check::warn(name, seen)
            } else {
                Check::fail(name, seen)
            };
            check.advise(advice)
        }
    }
}

/// An answer, and until when the certificate is good.
fn told(name: String, reached: &Reached, times: &str, now: UnixTime) -> Check {
    let valid = reached.certificate.as_ref();
    let valid = valid.and_then(|certificate| certificate::validity(certificate, now));
    let check = match valid {
        Some(Validity { until, soon: true }) => {
            Check::warn(name, format!("{times}certificate until {until}"))
                .advise("it ends soon and nothing has replaced it: tell the provider")
        }
        Some(Validity { until, .. }) => {
            Check::ok(name, format!("{times}certificate until {until}"))
        }
        None => Check::ok(name, format!("{times}certificate trusted")),
    };
    check.took(reached.round_trip)
}

fn times(reached: &Reached) -> String {
    format!(
        "{} in {:.1} ms, handshake {:.1} ms, ",
        reached.address.ip(),
        ms(reached.round_trip),
        ms(reached.handshake)
    )
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn described(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::TimedOut {
        return "no answer".into();
    }
    error.to_string()
}

/// rustls hands its verdict on a certificate through as text.
fn advice_of_tcp(error: &io::Error, location: &Location) -> String {
    let said = error.to_string();
    if said.contains("UnknownIssuer") {
        "a CA that this machine does not trust has signed the certificate: --ca FILE, if the provider has its own; \
         otherwise something on the way opens TLS"
            .into()
    } else if said.contains("Expired") {
        "the certificate has ended, or this machine's clock is wrong".into()
    } else if said.contains("NotValidForName") {
        format!(
            "the certificate is for other names than {}: is the address right?",
            location.host()
        )
    } else if error.kind() == io::ErrorKind::ConnectionRefused {
        "nothing listens there: is the provider up, and is the address right?".into()
    } else {
        format!(
            "TCP to port {} does not get through: a firewall, or a network that wants a proxy",
            location.port()
        )
    }
}
