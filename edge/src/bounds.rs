//! The edge's own bounds, each with its reason; those of the protocol are in `tunnel::limits`, those that an operator may
//! want to move in [`crate::Limits`].

use std::time::Duration;

/// Bytes of a ClientHello. With post-quantum key shares and every extension browsers know, they stay below 4 KiB.
pub(crate) const CLIENT_HELLO: usize = 16 * 1024;
/// From a connection's acceptance to the end of the TLS or QUIC handshake: four round trips over a bad satellite link.
pub(crate) const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// From the acceptance of a load balancer's connection to the end of its PROXY header, which comes at once: one lost packet may
/// be sent again, as the protocol asks for.
pub(crate) const PROXY_HEADER_WITHIN: Duration = Duration::from_secs(5);
/// From the handshake, or the last answer, to the end of a request's head, on the edge's own names.
pub(crate) const HEADER_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of such a head: a tunnel's request is a few lines.
pub(crate) const HEADER_BYTES: usize = 16 * 1024;

/// How long a visitor waits for a session on a claimed name: an agent that reconnects is back within that, most times.
pub(crate) const PLACEMENT_WAIT: Duration = Duration::from_secs(2);
/// Visitors that wait so at once. Each holds a connection, and all are looked at whenever a session binds.
pub(crate) const WAITING_VISITORS: usize = 2000;
/// How long a hello waits for this edge's replica to learn of what the token names.
pub(crate) const REPLICA_WAIT: Duration = Duration::from_secs(2);
/// How long a request of an agent without a mux waits for a visitor: below the 60 s after which common proxies cut a request
/// without an answer.
pub(crate) const POLL: Duration = Duration::from_secs(30);
/// How long such an agent may take to ask again before its endpoints are given back.
pub(crate) const POLL_LINGER: Duration = Duration::from_secs(60);
/// Such requests of one session that wait at a time: the visitors that may come at once. Each is a connection.
pub(crate) const WAITING_POLLS: usize = 64;
/// How long `bound` waits for the port to be listened on.
pub(crate) const PORT_WAIT: Duration = Duration::from_secs(1);
/// How long an answer to a refused hello may take to be read, before the connection is closed over it.
pub(crate) const FAREWELL: Duration = Duration::from_secs(1);
/// How long the streams of a session that another has replaced may go on.
pub(crate) const REPLACED_LINGER: Duration = Duration::from_secs(30);
/// Control lines that wait for an agent to read them. One of all its binds may be answered and withdrawn at once.
pub(crate) const OUTBOX: usize = 256;
/// Visits that wait for the same; more are dropped.
pub(crate) const VISITS: usize = 64;
/// Sessions of one subject at one edge, unless its token allows fewer: a resumed one, its successor, and many replicas.
pub(crate) const SESSIONS_PER_SUBJECT: usize = 128;

/// Keys of one lease: all of them end in one revision, which watchers have to take in one piece.
pub(crate) const LEASE_KEYS: usize = store::MAX_LEASE_KEYS;
/// A crashed edge is believed to be there for at most that long.
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(15);
/// Three tries before a lease ends.
pub(crate) const LEASE_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Placements written in one transaction, below the store's own bound.
pub(crate) const PLACEMENTS_PER_COMMIT: usize = 100;
/// Pauses between tries to write placements.
pub(crate) const STORE_RETRY: (Duration, Duration) =
    (Duration::from_millis(200), Duration::from_secs(10));
/// How long the store may take for one step, and how long an edge that stops waits for it.
pub(crate) const STORE_WITHIN: Duration = Duration::from_secs(5);
pub(crate) const STORE_FAREWELL: Duration = Duration::from_secs(2);

/// Certificates kept in memory. A certificate and its key take some 5 KiB.
pub(crate) const CERTIFICATES: usize = 4096;
/// After that a certificate is asked for anew, so that a renewed one comes into use.
pub(crate) const CERTIFICATE_FRESH: Duration = Duration::from_secs(3600);
/// A name without a certificate is not asked for again before that.
pub(crate) const CERTIFICATE_RETRY: Duration = Duration::from_secs(5);
/// How long one may take to come.
pub(crate) const CERTIFICATE_WITHIN: Duration = Duration::from_secs(5);

/// Between two writes of the snapshot: an edge that starts from it knows the world as it was at most so long before.
pub(crate) const SNAPSHOT_EVERY: Duration = Duration::from_secs(5);

/// Claims whose usage is counted at a time, some 200 bytes each: more than an edge has sessions, and what was served since
/// the last report.
pub(crate) const USAGE_CLAIMS: usize = 100_000;
/// Between two reports; what an edge that is killed loses at most.
pub(crate) const USAGE_EVERY: Duration = Duration::from_secs(60);
/// Claims in one report: within one transaction of the control plane's store.
pub(crate) const USAGE_ENTRIES: usize = 100;
/// Bytes of a stream that its claim's counter does not know yet.
pub(crate) const USAGE_STEP: u64 = 256 * 1024;
/// How long the control plane may take for a report.
pub(crate) const USAGE_WITHIN: Duration = Duration::from_secs(10);
/// Pauses between tries to report.
pub(crate) const USAGE_RETRY: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(60));
/// How long an edge that stops waits for its last report.
pub(crate) const USAGE_FAREWELL: Duration = Duration::from_secs(2);

/// Connections that wait in the system's queue for the edge to accept them.
pub(crate) const BACKLOG: u32 = 1024;
/// Bytes of packets that wait in a UDP socket. After a restart all agents say hello at once, in two packets each that Linux
/// counts as 2.3 KiB; its usual 208 KiB lose all but fifty of them, this holds as many as there may be strangers.
pub(crate) const UDP_BUFFER: usize = 4 << 20;
/// Flows of datagrams from one address (of IPv6 one /64), on all ports: many people may share an address, and one packet is
/// enough to begin a flow.
pub(crate) const FLOWS_OF_ADDRESS: usize = 256;
/// Flows on one port, whatever the address: a little below what one session may have, so that one that gives way has left when
/// its successor comes.
pub(crate) const FLOWS_OF_PORT: usize = 900;
/// How long a flow has its place whoever wants it. One of one datagram may have to give way after that; agent and origin
/// have answered most questions by then. It also bounds how often a flood makes agents begin flows for nothing.
pub(crate) const FLOW_CHANCE: Duration = Duration::from_secs(1);
/// Datagrams of one flow that wait for the agent: those who send faster lose some, as on any path.
pub(crate) const FLOW_QUEUE: usize = 64;
/// Bytes of all datagrams that wait.
pub(crate) const FLOW_BYTES: usize = 16 << 20;
/// A flow whose visitor was silent for so long is over. NATs keep theirs for at least two minutes (RFC 4787, REQ-5).
pub(crate) const FLOW_SILENCE: Duration = Duration::from_secs(120);
/// The same before the visitor's second datagram: he may have asked one question, or be an address that somebody invented.
pub(crate) const FLOW_FIRST_SILENCE: Duration = Duration::from_secs(30);
/// The same when the edge is leaving: who talks goes on until its deadline, others do not keep it.
pub(crate) const FLOW_LEAVING_SILENCE: Duration = Duration::from_secs(5);
/// Pause after a failed accept: out of file descriptors, most likely, and spinning would not bring any.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Pauses before a port that something else holds is tried again. It may be this edge itself, about to close it.
pub(crate) const PORT_RETRY: (Duration, Duration) =
    (Duration::from_millis(20), Duration::from_secs(5));
/// How long an edge that stops waits for its agents to hear of it.
pub(crate) const CLOSING: Duration = Duration::from_secs(1);
/// How long the control plane's socket may take to answer a connection for a reserved name.
pub(crate) const RESERVED_CONNECT: Duration = Duration::from_secs(3);
/// Tries to find one free port number for TCP and UDP when any will do (port 0).
pub(crate) const ANY_PORT_TRIES: usize = 20;
