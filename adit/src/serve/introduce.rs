//! The first lines of `adit serve`, for whoever started it.

use std::{net::IpAddr, path::Path};

use config::Serve;

/// The records that the zone needs.
pub(super) fn records(settings: &Serve) -> Vec<String> {
    let zone = &settings.control_plane.zone;
    let bound = settings.edge.https.iter().map(std::net::SocketAddr::ip);
    let mut addresses: Vec<IpAddr> = bound.filter(is_public).collect();
    addresses.dedup();
    let mut lines = vec!["DNS records that this provider needs:".to_owned()];
    let names = [format!("{zone}."), format!("*.{zone}.")];
    for name in &names {
        if addresses.is_empty() {
            lines.push(format!(
                "  {name:<32} A     the IPv4 address of this machine"
            ));
            lines.push(format!(
                "  {name:<32} AAAA  its IPv6 address, if it has one"
            ));
        }
        for address in &addresses {
            let kind = if address.is_ipv4() { "A" } else { "AAAA" };
            lines.push(format!("  {name:<32} {kind:<5} {address}"));
        }
    }
    lines
}

/// An address that stands in a record: not one that means every address, or this machine alone.
fn is_public(address: &IpAddr) -> bool {
    !address.is_unspecified() && !address.is_loopback()
}

pub(super) fn no_certificates(settings: &Serve, ca: &Path) -> Vec<String> {
    let zone = &settings.control_plane.zone;
    vec![
        format!("No certificates are configured: browsers will not trust https://*.{zone}."),
        format!(
            "  Certificates are of this provider's own CA: {}",
            ca.display()
        ),
        "  Give files instead: --certificate fullchain.pem --certificate-key privkey.pem,".into(),
        format!("  or [[certificates]] in the configuration, for *.{zone}"),
    ]
}

pub(super) fn administrator(made: Option<&Path>, login: &str, data_dir: &Path) -> Vec<String> {
    let Some(path) = made else {
        return Vec::new();
    };
    let dir = data_dir.display();
    vec![
        format!(
            "The administrator's key is in {}: keep it safe.",
            path.display()
        ),
        format!("  on this machine:   adit admin endpoint list --data-dir {dir}"),
        format!("  on another one:    {login}"),
    ]
}
