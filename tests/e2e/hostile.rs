//! Whatever a stranger sends to any port, the process lives and serves the next one.

use std::{
    io::{Read, Write},
    net::{TcpStream, UdpSocket},
    time::Duration,
};

use tests::{Dev, run};

use crate::http::curl;

/// Half a request, too much of one, the wrong protocol, noise.
fn unwelcome() -> Vec<Vec<u8>> {
    let noise = |seed: u32, len: usize| {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..len).map(|_| next()).collect::<Vec<u8>>()
    };
    vec![
        Vec::new(),
        b"GET / HT".to_vec(),
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(),
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        [b"GET / HTTP/1.1\r\nX: ".as_slice(), &vec![b'x'; 300_000]].concat(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\xff\xff\xff\xff\xff\xff".to_vec(),
        // A TLS record that promises a ClientHello of 16 KiB and stops.
        [&[22, 3, 1, 0x40, 0][..], &[1, 0, 0x3f, 0xfc], &[3; 100]].concat(),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".to_vec(),
        noise(1, 70_000),
        noise(2, 17),
        vec![0; 70_000],
    ]
}

#[test]
fn no_port_minds_what_strangers_send() {
    let dev = Dev::start(&[]);
    let server = dev.provider["server"].as_str().unwrap().to_owned();
    let admin = dev.provider["admin"].as_str().unwrap().to_owned();
    let plain = |url: &str| url.trim_start_matches("http://").to_owned();
    let ports = [
        dev.https_addr(),
        dev.http_addr(),
        plain(&server),
        plain(&admin),
    ];
    for addr in &ports {
        let held: Vec<_> = unwelcome()
            .into_iter()
            .map(|bytes| {
                let mut stream = TcpStream::connect(addr).unwrap();
                // It may have been cut while we were still sending.
                let _ = stream.write_all(&bytes);
                stream
            })
            .collect();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        for bytes in unwelcome().iter().filter(|bytes| bytes.len() < 60_000) {
            udp.send_to(bytes, dev.https_addr()).unwrap();
        }
        // While all of them are still held open.
        for url in [dev.url_of("http"), dev.url_of("https")] {
            assert!(
                run(curl(&dev).args(["-f", &url])).status.success(),
                "after {addr}: {url}"
            );
        }
        assert_eq!(
            dev.admin(&["endpoint", "list"]).as_array().unwrap().len(),
            1
        );
        drop(held);
    }
    assert!(
        run(tests::program("curl").args(["-sSf", &format!("{admin}/live")]))
            .status
            .success()
    );
}

#[test]
fn bad_requests_are_told_so() {
    let dev = Dev::start(&[]);
    let ask = |request: &[u8]| {
        let mut stream = TcpStream::connect(dev.http_addr()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream.write_all(request).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let cases: [(&[u8], &str); 4] = [
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400"),
        (
            b"GET / HTTP/1.1\r\nHost: a.localhost\r\nHost: b.localhost\r\n\r\n",
            "HTTP/1.1 400",
        ),
        (
            b"CONNECT a.localhost:80 HTTP/1.1\r\nHost: a.localhost\r\n\r\n",
            "HTTP/1.1 405",
        ),
        (b"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", "HTTP/1.1 404"),
    ];
    for (request, expected) in cases {
        assert_eq!(
            ask(request),
            expected,
            "{}",
            String::from_utf8_lossy(request)
        );
    }
}
