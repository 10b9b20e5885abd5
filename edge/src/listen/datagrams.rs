//! A socket for visitors' datagrams that knows which of the machine's addresses each was sent to, and answers from there: one
//! that is bound to all addresses would answer from whichever the route has. Longer ones than the path takes are cut
//! into fragments by the system, as by any UDP socket.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsRawFd,
};

use nix::{
    cmsg_space, libc,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
        setsockopt, sockopt,
    },
};
use tokio::{io::Interest, net::UdpSocket};

use super::sockets;
use crate::flows::Ends;

#[derive(Debug)]
pub(crate) struct DatagramSocket {
    socket: UdpSocket,
    bound: SocketAddr,
}

impl DatagramSocket {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = sockets::udp(address)?;
        if address.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        Ok(Self {
            bound: socket.local_addr()?,
            socket: UdpSocket::from_std(socket)?,
        })
    }

    /// The next datagram: its length in `buffer`, who sent it, and where to.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Ends)> {
        let mut control = cmsg_space!(libc::in6_pktinfo);
        let receive = || {
            let mut pieces = [IoSliceMut::new(buffer)];
            let message = recvmsg::<SockaddrStorage>(
                self.socket.as_raw_fd(),
                &mut pieces,
                Some(&mut control),
                MsgFlags::empty(),
            )?;
            let visitor = message.address.as_ref().and_then(socket_address);
            let visitor = visitor.ok_or(io::ErrorKind::InvalidData)?;
            let to = message.cmsgs()?.find_map(|message| sent_to(&message));
            let local = to.map_or(self.bound, |ip| (ip, self.bound.port()).into());
            Ok((message.bytes, Ends { visitor, local }))
        };
        let interest = Interest::READABLE | Interest::ERROR;
        self.socket.async_io(interest, receive).await
    }

    /// From the address that the visitor sent to.
    pub(crate) async fn send(&self, datagram: &[u8], ends: Ends) -> io::Result<usize> {
        let (v4, v6);
        let from = match ends.local.ip() {
            IpAddr::V4(ip) => {
                v4 = from_v4(ip);
                ControlMessage::Ipv4PacketInfo(&v4)
            }
            IpAddr::V6(ip) => {
                v6 = from_v6(ip);
                ControlMessage::Ipv6PacketInfo(&v6)
            }
        };
        let to = SockaddrStorage::from(ends.visitor);
        let send = || {
            let (fd, pieces) = (self.socket.as_raw_fd(), [IoSlice::new(datagram)]);
            let sent = sendmsg(fd, &pieces, &[from], MsgFlags::empty(), Some(&to))?;
            Ok(sent)
        };
        self.socket.async_io(Interest::WRITABLE, send).await
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address
        .as_sockaddr_in()
        .map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| {
        address
            .as_sockaddr_in6()
            .map(|v6| SocketAddr::V6((*v6).into()))
    })
}

/// The address of this machine that a datagram came to.
fn sent_to(message: &ControlMessageOwned) -> Option<IpAddr> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into())
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into())
        }
        _ => None,
    }
}

/// By whichever interface the route has.
fn from_v4(ip: Ipv4Addr) -> libc::in_pktinfo {
    libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: libc::in_addr {
            s_addr: u32::from_ne_bytes(ip.octets()),
        },
        ipi_addr: libc::in_addr { s_addr: 0 },
    }
}

fn from_v6(ip: Ipv6Addr) -> libc::in6_pktinfo {
    libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr {
            s6_addr: ip.octets(),
        },
        ipi6_ifindex: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answers_from(bound: &str, asked: &[&str], payload: usize) {
        let socket = DatagramSocket::bind(bound.parse().unwrap()).unwrap();
        let port = socket.bound.port();
        let any: SocketAddr = (socket.bound.ip(), 0).into();
        let visitor = UdpSocket::bind(any).await.unwrap();
        let mut buffer = vec![0; tunnel::datagram::MAX];
        for ip in asked {
            let asked = SocketAddr::new(ip.parse().unwrap(), port);
            visitor.send_to(&vec![7; payload], asked).await.unwrap();
            let (length, ends) = socket.receive(&mut buffer).await.unwrap();
            assert_eq!((length, ends.local), (payload, asked));
            let sent = socket.send(&buffer[..length], ends).await.unwrap();
            assert_eq!(sent, payload);
            let (length, from) = visitor.recv_from(&mut buffer).await.unwrap();
            assert_eq!((length, from), (payload, asked));
        }
    }

    #[tokio::test]
    async fn a_visitor_is_answered_from_the_address_that_he_asked() {
        let addresses = ["127.0.0.1", "127.0.0.2", "127.1.2.3"];
        answers_from("0.0.0.0:0", &addresses, 5).await;
        answers_from("127.0.0.2:0", &["127.0.0.2"], 5).await;
        answers_from("[::]:0", &["::1"], 5).await;
        answers_from("[::1]:0", &["::1"], 0).await;
    }

    #[tokio::test]
    async fn the_longest_datagrams_go_as_well() {
        answers_from("0.0.0.0:0", &["127.0.0.2"], 65_507).await;
        answers_from("[::]:0", &["::1"], 65_507).await;
    }
}
