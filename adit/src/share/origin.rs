//! The local side of a share: what it is, what it speaks, how it is trusted.

use agent::{Address, Origin, OriginOptions, OriginTls, Target};
use model::{Kind, ProxyProtocol};
use tunnel::message::OriginProtocol;

use super::TunnelOptions;
use crate::failure::{Exit, Failure, OrFail};

/// A target that has been looked at.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) target: Target,
    /// As the user wrote it, for people to read.
    pub(crate) label: String,
    pub(crate) protocol: Option<OriginProtocol>,
    pub(crate) host_header: Option<String>,
    pub(crate) options: OriginOptions,
}

pub(crate) fn target(options: &TunnelOptions) -> Result<Target, Failure> {
    let target = match &options.target {
        None => Target::welcome(),
        Some(text) => text
            .parse::<Target>()
            .or_fail(Exit::Usage, "what is to be shared")?,
    };
    if options.kind == Kind::Udp && options.proxy_protocol == Some(ProxyProtocol::V1) {
        let message = "version 1 of the PROXY protocol has no datagrams: --proxy-protocol v2";
        return Err(Failure::new(Exit::Usage, message));
    }
    match (&target.origin, options.kind) {
        (Origin::Directory(_) | Origin::Tls(_), Kind::Tls | Kind::Tcp) => Err(Failure::new(
            Exit::Usage,
            format!(
                "{} endpoints carry bytes: share a port or a socket",
                options.kind
            ),
        )
        .advise("directories and https:// servers are shared by adit http")),
        (origin, Kind::Udp) if !matches!(origin, Origin::Tcp(_)) || target.protocol.is_some() => {
            let message = "udp endpoints carry datagrams: share a port or host:port";
            Err(Failure::new(Exit::Usage, message))
        }
        _ => Ok(target),
    }
}

/// A provider that shares one of its own ports would visit itself for ever.
pub(crate) fn refuse_own_ports(target: &Target, own: &[u32]) -> Result<(), Failure> {
    let (Origin::Tcp(address) | Origin::Tls(address)) = &target.origin else {
        return Ok(());
    };
    if is_this_machine(address) && own.contains(&u32::from(address.port)) {
        return Err(Failure::new(
            Exit::Usage,
            format!("port {} is the provider's own", address.port),
        )
        .advise("share the port of your server"));
    }
    Ok(())
}

fn is_this_machine(address: &Address) -> bool {
    let host = address.host.as_str();
    let is_loopback = host
        .parse::<std::net::IpAddr>()
        .is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified());
    is_loopback || host == "localhost" || host.ends_with(".localhost")
}

pub(crate) async fn prepare(target: Target, options: &TunnelOptions) -> Result<Prepared, Failure> {
    let tls = match &options.origin {
        origin if origin.origin_insecure => OriginTls::Anything,
        origin => match &origin.origin_ca {
            Some(path) => OriginTls::from_file(path).or_fail(Exit::Usage, "--origin-ca")?,
            None => OriginTls::system(),
        },
    };
    let protocol = if options.kind == Kind::Http {
        protocol(&target, &tls).await
    } else {
        None
    };
    let host_header = host_header(&target, options);
    let label = options
        .target
        .clone()
        .unwrap_or_else(|| "the built-in welcome page".into());
    let options = OriginOptions {
        tls: Some(tls),
        protocol,
        datagrams: options.kind == Kind::Udp,
        proxy_protocol: options.proxy_protocol,
        hints: options.kind == Kind::Http,
    };
    Ok(Prepared {
        target,
        label,
        protocol,
        host_header,
        options,
    })
}

/// What the target says of itself, else what its server answers. One that is not up yet counts as HTTP/1.1.
async fn protocol(target: &Target, tls: &OriginTls) -> Option<OriginProtocol> {
    if target.protocol.is_some() {
        return target.protocol;
    }
    match agent::probe(&target.origin, tls).await {
        Ok(protocol) => Some(protocol),
        Err(error) => {
            tracing::info!(%error, "the origin was not asked which HTTP it speaks");
            None
        }
    }
}

fn host_header(target: &Target, options: &TunnelOptions) -> Option<String> {
    match options.origin.host_header.as_deref() {
        None | Some("visitor") => None,
        Some("origin") => match &target.origin {
            Origin::Tcp(address) | Origin::Tls(address) => Some(address.to_string()),
            Origin::Unix(_) | Origin::Directory(_) | Origin::Welcome => Some("localhost".into()),
        },
        Some(value) => Some(value.to_owned()),
    }
}
