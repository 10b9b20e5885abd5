use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::{TcpListener, TcpStream},
};

use super::*;

/// Takes the place of a tunnel stream: an abort is seen by the other end as an error.
impl Side for DuplexStream {
    fn abort(&mut self) {}
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialled = TcpStream::connect(listener.local_addr().unwrap());
    let (dialled, accepted) = tokio::join!(dialled, listener.accept());
    (dialled.unwrap(), accepted.unwrap().0)
}

/// A visitor and an origin with a copy between them, all over TCP, where ends and resets are what they are.
struct Between {
    visitor: TcpStream,
    origin: TcpStream,
    buffers: Buffers,
    copying: tokio::task::JoinHandle<Result<(), CopyError>>,
}

async fn between() -> Between {
    let (visitor, mut near) = tcp_pair().await;
    let (mut far, origin) = tcp_pair().await;
    let buffers = Buffers::default();
    let copying = tokio::spawn({
        let buffers = buffers.clone();
        async move { copy(&mut near, &mut far, &buffers, |_| ()).await }
    });
    Between {
        visitor,
        origin,
        buffers,
        copying,
    }
}

async fn read_all(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.map(|_| all)
}

#[tokio::test]
async fn each_direction_ends_by_itself() {
    for visitor_first in [true, false] {
        let mut b = between().await;
        let (first, second) = match visitor_first {
            true => (&mut b.visitor, &mut b.origin),
            false => (&mut b.origin, &mut b.visitor),
        };
        first.write_all(b"first").await.unwrap();
        first.shutdown().await.unwrap();
        assert_eq!(read_all(second).await.unwrap(), b"first");
        second.write_all(b"the answer after the end").await.unwrap();
        second.shutdown().await.unwrap();
        assert_eq!(read_all(first).await.unwrap(), b"the answer after the end");
        b.copying.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_abort_of_either_side_is_an_abort_for_the_other() {
    let mut b = between().await;
    b.origin.write_all(b"half of a bo").await.unwrap();
    let mut got = [0; 12];
    b.visitor.read_exact(&mut got).await.unwrap();
    b.origin.set_zero_linger().unwrap();
    drop(b.origin);
    let error = read_all(&mut b.visitor).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(matches!(
        b.copying.await.unwrap(),
        Err(CopyError::Origin(_))
    ));

    let mut b = between().await;
    b.visitor.set_zero_linger().unwrap();
    drop(b.visitor);
    let error = read_all(&mut b.origin).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(matches!(
        b.copying.await.unwrap(),
        Err(CopyError::Visitor(_))
    ));
}

#[tokio::test]
async fn an_abort_during_an_upload_is_no_clean_end() {
    let mut b = between().await;
    b.origin.write_all(b"413").await.unwrap();
    // Unread bytes make the kernel reset the connection on close.
    b.visitor.write_all(b"an upload").await.unwrap();
    b.origin.readable().await.unwrap();
    drop(b.origin);
    let mut answer = [0; 3];
    b.visitor.read_exact(&mut answer).await.unwrap();
    let upload = async {
        loop {
            if b.visitor.write_all(&[0; 4096]).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    upload.await;
    assert!(matches!(
        b.copying.await.unwrap(),
        Err(CopyError::Origin(_))
    ));
}

#[tokio::test]
async fn at_rest_no_buffer_is_held_and_large_bodies_arrive_whole() {
    let mut b = between().await;
    b.visitor.write_all(b"x").await.unwrap();
    b.origin.read_u8().await.unwrap();
    // One buffer was ever needed at a time, and it is at home.
    while b.buffers.kept() == 0 {
        tokio::task::yield_now().await;
    }
    let body: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let (mut origin, sent) = (b.origin, body.clone());
    let serving = tokio::spawn(async move {
        origin.write_all(&sent).await.unwrap();
        origin.shutdown().await.unwrap();
        origin
    });
    assert!(read_all(&mut b.visitor).await.unwrap() == body);
    drop(serving.await.unwrap());
    b.visitor.shutdown().await.unwrap();
    assert!(b.buffers.kept() <= 2);
}

#[tokio::test(start_paused = true)]
async fn only_a_half_closed_stream_may_not_be_silent_for_ever() {
    let (mut visitor, mut near) = tokio::io::duplex(64);
    let (mut far, mut origin) = tokio::io::duplex(64);
    let buffers = Buffers::default();
    let copying = copy(&mut near, &mut far, &buffers, |_| ());
    let visit = async {
        tokio::time::sleep(HALF_CLOSED_SILENCE * 20).await;
        visitor.shutdown().await.unwrap();
        assert_eq!(origin.read(&mut [0; 8]).await.unwrap(), 0);
        tokio::time::sleep(HALF_CLOSED_SILENCE / 2).await;
        origin.write_all(b"still here").await.unwrap();
        let mut got = [0; 10];
        visitor.read_exact(&mut got).await.unwrap();
        Instant::now()
    };
    let (result, spoke) = tokio::join!(copying, visit);
    assert!(matches!(result, Err(CopyError::Silent)));
    assert_eq!(spoke.elapsed().as_secs(), HALF_CLOSED_SILENCE.as_secs());
}
