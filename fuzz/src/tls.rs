//! TLS of the tunnel leg (`tunnel`): somebody between two honest ends who changes, drops, repeats and makes up bytes.

use std::{panic::AssertUnwindSafe, time::Duration};

use bolero::{TypeGenerator, check};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::timeout,
};
use tunnel::tls;

use crate::{SLOW_ITERATIONS, certificate};

/// Virtual time: nobody waits for a peer that has nothing to say.
const MOMENT: Duration = Duration::from_millis(1);
/// More than any case writes.
const HOLE: usize = 1 << 20;

/// What becomes of the next bytes on the wire.
#[derive(Clone, Debug, TypeGenerator)]
enum Edit {
    Pass(u16),
    Change { at: u16, bits: u8 },
    Drop(u8),
    Repeat(u8),
    Insert(Vec<u8>),
}

#[derive(Clone, Debug, TypeGenerator)]
struct Case {
    /// Lengths of what is written.
    writes: Vec<u16>,
    edits: Vec<Edit>,
    /// Whether the handshake is spared.
    later: bool,
}

/// What is read is the start of what was written, and all of it only if nothing was changed.
#[test]
fn nothing_is_made_up() {
    let mut paused = tokio::runtime::Builder::new_current_thread();
    let runtime = paused.enable_time().start_paused(true).build().unwrap();
    let configs = AssertUnwindSafe(certificate::configs());
    check!()
        .with_iterations(SLOW_ITERATIONS / 4)
        .with_type::<Case>()
        .for_each(|case| runtime.block_on(run(&configs, case)));
}

async fn run(configs: &certificate::Configs, case: &Case) {
    let (client_end, mut client_wire) = duplex(HOLE);
    let (mut server_wire, server_end) = duplex(HOLE);
    let name = ServerName::try_from(certificate::NAME).unwrap();
    let mut edits = case.edits.iter();
    let shaking = async {
        tokio::join!(
            timeout(MOMENT * 50, tls::connect(&configs.client, name, client_end)),
            timeout(MOMENT * 50, tls::accept(&configs.server, &[], server_end)),
        )
    };
    let carrying = async {
        let mut none = [].iter();
        loop {
            let early = if case.later { &mut none } else { &mut edits };
            carry(&mut client_wire, &mut server_wire, early).await;
            carry(&mut server_wire, &mut client_wire, &mut [].iter()).await;
        }
    };
    let ends = tokio::select! {
        ends = shaking => ends,
        () = carrying => return,
    };
    let (Ok(Ok(mut client)), Ok(Ok(mut server))) = ends else {
        assert!(!case.later, "an honest handshake fails");
        return;
    };
    let total: usize = case.writes.iter().map(|length| usize::from(*length)).sum();
    let written: Vec<u8> = (0..total.min(HOLE / 2)).map(|i| (i % 251) as u8).collect();
    let mut rest = &written[..];
    for length in &case.writes {
        let (part, more) = rest.split_at(rest.len().min((*length).into()));
        let _ = timeout(MOMENT, client.write_all(part)).await;
        rest = more;
    }
    let _ = timeout(MOMENT, client.shutdown()).await;
    carry(&mut client_wire, &mut server_wire, &mut edits).await;
    drop(client_wire);
    let _ = server_wire.shutdown().await;
    let mut read = Vec::new();
    let end = timeout(MOMENT * 50, server.read_to_end(&mut read)).await;
    let end = end.expect("a connection that has ended is at its end");
    assert!(written.starts_with(&read), "something was made up");
    assert!(end.is_err() || read == written, "an end before the end");
}

/// Moves what there is, edited.
async fn carry<'a>(
    from: &mut DuplexStream,
    to: &mut DuplexStream,
    edits: &mut impl Iterator<Item = &'a Edit>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(Ok(length @ 1..)) = timeout(MOMENT, from.read(&mut buffer)).await {
        let mut bytes = buffer[..length].to_vec();
        let mut at = 0;
        while at < bytes.len()
            && let Some(edit) = edits.next()
        {
            at = apply(edit, &mut bytes, at);
        }
        let _ = timeout(MOMENT, to.write_all(&bytes)).await;
    }
}

/// Gives where the next edit begins.
fn apply(edit: &Edit, bytes: &mut Vec<u8>, at: usize) -> usize {
    match edit {
        Edit::Pass(length) => at + usize::from(*length),
        Edit::Change { at: further, bits } => {
            let at = at + usize::from(*further) % (bytes.len() - at);
            bytes[at] ^= bits;
            at + 1
        }
        Edit::Drop(length) => {
            let end = bytes.len().min(at + usize::from(*length));
            bytes.drain(at..end);
            at
        }
        Edit::Repeat(length) => {
            let end = bytes.len().min(at + usize::from(*length));
            let again = bytes[at..end].to_vec();
            let next = end + again.len();
            bytes.splice(end..end, again);
            next
        }
        Edit::Insert(more) => {
            bytes.splice(at..at, more.iter().copied());
            at + more.len()
        }
    }
}
