//! Two chained nginx stream proxies in the clear: what two hops cost where both are done well, and no tunnel is made.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use tempfile::TempDir;

use super::{Public, Ready, free_port, listens, loopback};
use crate::{
    problem::{Doing, Outcome},
    process::Process,
};

const MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

pub(super) fn public(origin: SocketAddr, directory: TempDir) -> Outcome<Public> {
    let (inner, outer) = (loopback(free_port()?), loopback(free_port()?));
    let path = directory.path().to_owned();
    let mut command = proxy("edge", outer, inner, &path)?;
    let edge = Process::start(&mut command, &path, "edge")?;
    listens(outer, "nginx", &path)?;
    let agent = proxy("agent", inner, origin, &path)?;
    let mut public = Public::new(outer, directory);
    public.edge = Some(edge);
    public.agent(Ready::Listens(inner), agent);
    Ok(public)
}

fn proxy(role: &str, from: SocketAddr, to: SocketAddr, directory: &Path) -> Outcome<Command> {
    let file = directory.join(format!("{role}.conf"));
    fs::write(&file, config(role, from, to, directory)).doing("nginx's configuration")?;
    let mut command = Command::new("nginx");
    command.arg("-e").arg(directory.join(format!("{role}.err")));
    command.arg("-c").arg(&file);
    Ok(command)
}

fn config(role: &str, from: SocketAddr, to: SocketAddr, directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "load_module {MODULE};
daemon off;
worker_processes 1;
pid {directory}/{role}.pid;
error_log {directory}/{role}.err;
events {{ worker_connections 16384; }}
stream {{
    access_log off;
    tcp_nodelay on;
    proxy_buffer_size 64k;
    server {{ listen {from} backlog=4096; proxy_pass {to}; }}
}}
"
    )
}
