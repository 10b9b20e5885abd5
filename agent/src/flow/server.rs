//! Towards the server of one flow: a name may have several addresses, and whether anybody listens at one is only known
//! once something was sent there.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, Read},
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use socket2::SockRef;
use tokio::{io::Interest, net::UdpSocket};
use tunnel::datagram;

use crate::{
    bounds::{self, Bound},
    dial,
    origin::Address,
};

thread_local! {
    /// For whatever comes next. A flow of its own would have to keep room for the longest datagram, and most wait most of the
    /// time.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; datagram::MAX].into());
}

/// A socket towards one of the addresses, and those that were not tried yet, in the resolver's order.
#[derive(Debug)]
pub(crate) struct Server {
    socket: UdpSocket,
    others: VecDeque<SocketAddr>,
    /// There is somebody at this address.
    answered: AtomicBool,
    /// What goes in front of each datagram.
    before: Vec<u8>,
}

impl Server {
    pub(crate) async fn connect(address: &Address) -> io::Result<Self> {
        let found = dial::resolve(&address.host, address.port).await?;
        let mut others = VecDeque::from(found);
        Ok(Self {
            socket: first_of(&mut others).await?,
            others,
            answered: AtomicBool::new(false),
            before: Vec::new(),
        })
    }

    pub(crate) fn put_before_each(&mut self, before: Vec<u8>) {
        self.before = before;
    }

    /// Fails when nobody listens; what else goes wrong loses one datagram: it is too long for the path, or there is no room
    /// for it.
    pub(super) async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        let sent = if self.before.is_empty() {
            self.socket.send(datagram).await
        } else {
            let datagram = [&self.before[..], datagram].concat();
            self.socket.send(&datagram).await
        };
        match sent {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Err(error),
            Err(error) => {
                bounds::hit(Bound::Datagram);
                tracing::debug!(%error, "a datagram could not be sent");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// The next datagram of the server.
    pub(super) async fn receive(&self) -> io::Result<Vec<u8>> {
        // That nobody listens comes as an error, without anything to read.
        let interest = Interest::READABLE | Interest::ERROR;
        let receive = || {
            SCRATCH.with_borrow_mut(|scratch| {
                let length = (&*SockRef::from(&self.socket)).read(scratch)?;
                Ok(scratch[..length].to_vec())
            })
        };
        let datagram = self.socket.async_io(interest, receive).await?;
        self.answered.store(true, Relaxed);
        Ok(datagram)
    }

    /// This address is the one, whatever comes.
    pub(super) fn is_settled(&self) -> bool {
        self.others.is_empty() || self.answered.load(Relaxed)
    }

    /// Goes on to the next address with what was sent last, unless `error` means something else than that nobody listens at
    /// this one, or there is no other.
    pub(super) async fn elsewhere(
        &mut self,
        mut error: io::Error,
        last: Option<&[u8]>,
    ) -> io::Result<()> {
        while error.kind() == io::ErrorKind::ConnectionRefused && !self.is_settled() {
            self.socket = first_of(&mut self.others).await?;
            let Some(last) = last else { return Ok(()) };
            match self.send(last).await {
                Ok(()) => return Ok(()),
                Err(next) => error = next,
            }
        }
        Err(error)
    }
}

/// The first that this machine has a route to.
async fn first_of(addresses: &mut VecDeque<SocketAddr>) -> io::Result<UdpSocket> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    while let Some(address) = addresses.pop_front() {
        match towards(address).await {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn towards(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(dial::unspecified_like(address)).await?;
    socket.connect(address).await?;
    Ok(socket)
}
