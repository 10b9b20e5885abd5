//! Usage from a visit to `adit admin usage`, over a restart of the provider.

use std::io::{Read, Write};

use tests::{Dev, echo, run};

/// Visits, bytes towards the origin and from it, of the only endpoint whose name begins so.
fn of(dev: &Dev, name: &str) -> (u64, u64, u64) {
    let rows = dev.admin(&["usage", "--by", "total"]);
    let rows = rows.as_array().unwrap();
    let mut found = rows
        .iter()
        .filter(|row| row["name"].as_str().is_some_and(|n| n.starts_with(name)));
    let row = found
        .next()
        .unwrap_or_else(|| panic!("no {name} in {rows:?}"));
    assert!(found.next().is_none(), "{rows:?}");
    let count = |member: &str| row[member].as_u64().unwrap();
    (count("visits"), count("up"), count("down"))
}

#[test]
fn what_was_carried_is_there_after_a_restart_and_counted_once() {
    let mut dev = Dev::start(&[]);
    let tcp = echo();
    let port = dev.share(&["tcp", &tcp.port()]);
    let mut stream = std::net::TcpStream::connect(crate::ports::address(&port)).unwrap();
    let sent = vec![7; 1_000_000];
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert_eq!(back.len(), 1_000_000);
    for _ in 0..3 {
        let output = run(crate::http::curl(&dev).args(["-f", &dev.url()]));
        assert!(output.status.success(), "{output:?}");
    }
    // An edge that stops reports first.
    assert!(dev.process.terminate().success());
    let (data, _) = dev.kill();
    let dev = Dev::start_in(data, &[]);
    assert_eq!(of(&dev, "port:"), (1, 1_000_000, 1_000_000));
    let own = dev.ready["name"].as_str().unwrap();
    let (visits, up, down) = of(&dev, own);
    assert_eq!(visits, 3);
    assert!(
        up > 100 && down > 100,
        "heads of HTTP are carried too: {up} {down}"
    );
    let table = run(&mut dev.command(&["admin", "usage"]));
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains(own) && table.contains("VISITS"), "{table}");
}
