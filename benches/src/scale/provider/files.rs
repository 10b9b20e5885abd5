//! The configuration of the processes, and the certificate that they show.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::Ports;
use crate::{
    problem::{Doing, Outcome, Problem},
    scale::ScaleArgs,
};

pub(super) const ZONE: &str = "scale.localhost";
/// Agents of a real provider come from many addresses, here all from one: the bound on one address has to be that on all.
const STRANGERS: usize = 1024;

/// Everything that the processes read before they start.
pub(super) fn certificates(directory: &Path) -> Outcome<()> {
    let names = vec![format!("*.{ZONE}")];
    let made = rcgen::generate_simple_self_signed(names).doing("a certificate")?;
    secret(&directory.join("site.pem"), &made.cert.pem())?;
    secret(
        &directory.join("site.key"),
        &made.signing_key.serialize_pem(),
    )?;
    let key = Command::new("openssl")
        .args(["rand", "-base64", "32"])
        .output();
    let key = key.doing("openssl rand")?.stdout;
    secret(&directory.join("store.key"), &String::from_utf8_lossy(&key))
}

pub(super) fn control_plane(directory: &Path, ports: &Ports, etcd: &str) -> Outcome<PathBuf> {
    let text = format!(
        "{}{}key_encryption_key_file = \"{}\"\n",
        common(directory, "control-plane", ports.control_admin, etcd),
        control_section(ports),
        directory.join("store.key").display()
    );
    write(directory, "control-plane.toml", &text)
}

pub(super) fn edge(
    directory: &Path,
    ports: &Ports,
    etcd: &str,
    args: &ScaleArgs,
) -> Outcome<PathBuf> {
    let text = format!(
        "{}{}id = \"scale\"\nnames = \"edge.{ZONE}\"\ncontrol_plane = \"http://127.0.0.1:{}\"\n\
         role_key_file = \"{}\"\n{}",
        common(directory, "edge", ports.edge_admin, etcd),
        edge_section(ports, args),
        ports.control,
        directory.join("role.key").display(),
        certificate_section(directory),
    );
    write(directory, "edge.toml", &text)
}

/// All in one process over its own store.
pub(super) fn serve(directory: &Path, ports: &Ports, args: &ScaleArgs) -> Outcome<PathBuf> {
    let text = format!(
        "{}{}{}{}",
        common(directory, "serve", ports.edge_admin, ""),
        control_section(ports),
        edge_section(ports, args),
        certificate_section(directory),
    );
    write(directory, "serve.toml", &text)
}

fn common(directory: &Path, role: &str, admin: u16, etcd: &str) -> String {
    let data = directory.join(role).display().to_string();
    let store = match etcd {
        "" => String::new(),
        url => format!("[store]\nkind = \"etcd\"\nendpoints = \"{url}\"\n"),
    };
    format!(
        "zone = \"{ZONE}\"\ndata_dir = \"{data}\"\n{store}[admin]\nlisten = \"127.0.0.1:{admin}\"\n"
    )
}

fn control_section(ports: &Ports) -> String {
    let (control, https) = (ports.control, ports.https);
    format!(
        "[control-plane]\nlisten = \"127.0.0.1:{control}\"\nurl = \"https://adit.{ZONE}:{https}\"\n\
         tcp_ports = \"none\"\nreserved = \"edge.{ZONE}\"\n"
    )
}

fn edge_section(ports: &Ports, args: &ScaleArgs) -> String {
    // Sessions that end and their successors stand beside each other for a while.
    let sessions = args.sessions * 2;
    format!(
        "[edge]\nhttps = \"127.0.0.1:{}\"\nhttp = []\nmax_sessions = {sessions}\n\
         max_strangers = {STRANGERS}\nmax_strangers_per_address = {STRANGERS}\n",
        ports.https
    )
}

fn certificate_section(directory: &Path) -> String {
    let (certificate, key) = (directory.join("site.pem"), directory.join("site.key"));
    format!(
        "[[certificates]]\ncertificate = \"{}\"\nkey = \"{}\"\n",
        certificate.display(),
        key.display()
    )
}

/// The administrator's credential as `adit admin` and the agents read it, with the way straight to the control plane.
pub(super) fn credential(directory: &Path, made: &Path, ports: &Ports) -> Outcome<()> {
    let text = fs::read(made).doing("the administrator's key")?;
    let kept: Value = serde_json::from_slice(&text).doing("the administrator's key")?;
    let key = kept["api_key"]
        .as_str()
        .ok_or_else(|| Problem::new("the administrator's credential has no key"))?;
    let ca = fs::read_to_string(directory.join("site.pem")).doing("the certificate")?;
    let server = format!("http://127.0.0.1:{}", ports.control);
    let text = json!({ "server": server, "api_key": key, "ca": ca }).to_string();
    secret(&directory.join("credentials.json"), &text)
}

fn write(directory: &Path, name: &str, text: &str) -> Outcome<PathBuf> {
    let path = directory.join(name);
    fs::write(&path, text).doing(name)?;
    Ok(path)
}

pub(super) fn secret(path: &Path, text: &str) -> Outcome<()> {
    fs::write(path, text).doing(&path.display().to_string())?;
    let only_owner = fs::Permissions::from_mode(0o600);
    fs::set_permissions(path, only_owner).doing("who may read a secret")
}
