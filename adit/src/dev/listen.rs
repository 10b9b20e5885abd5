//! Where each part of `adit dev` listens.

use std::net::SocketAddr;

use super::ports::{Chosen, Sockets, Wanted, choose};
use crate::{cli::DevArgs, failure::Failure};

const EDGE_PORT: u16 = 4443;
const HTTP_PORT: u16 = 4480;
const CONTROL_PORT: u16 = 4470;
const ADMIN_PORT: u16 = 4490;

#[derive(Debug)]
pub(super) struct Listening {
    pub(super) edge: Chosen,
    pub(super) http: Chosen,
    pub(super) control: Chosen,
    pub(super) admin: Chosen,
}

impl Listening {
    pub(super) fn choose(args: &DevArgs) -> Result<Self, Failure> {
        let mut taken = Vec::new();
        let mut next = |flag, addr: SocketAddr, default, sockets| {
            let explicit = addr.port() != default;
            let chosen = choose(
                Wanted {
                    flag,
                    addr,
                    explicit,
                    sockets,
                },
                &taken,
            )?;
            taken.push(chosen.port());
            Ok::<_, Failure>(chosen)
        };
        Ok(Self {
            edge: next("edge-addr", args.edge_addr, EDGE_PORT, Sockets::TcpAndUdp)?,
            http: next("http-addr", args.http_addr, HTTP_PORT, Sockets::Tcp)?,
            control: next(
                "control-addr",
                args.control_addr,
                CONTROL_PORT,
                Sockets::Tcp,
            )?,
            admin: next("admin-addr", args.admin_addr, ADMIN_PORT, Sockets::Tcp)?,
        })
    }

    pub(super) fn ports(&self) -> Vec<u16> {
        [&self.edge, &self.http, &self.control, &self.admin]
            .map(Chosen::port)
            .into()
    }

    /// What a person should know: ports that moved.
    pub(super) fn notes(&self) -> Vec<String> {
        let all = [
            ("edge", &self.edge),
            ("http", &self.http),
            ("control plane", &self.control),
            ("admin", &self.admin),
        ];
        let moved = all.iter().filter_map(|(what, chosen)| {
            let from = chosen.moved_from?;
            Some(format!(
                "port {from} is in use: the {what} address moved to {}",
                chosen.port()
            ))
        });
        moved.collect()
    }
}
