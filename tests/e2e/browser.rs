//! Headless Chromium with the development CA in its store.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use tests::{Dev, Process, program, run};

/// Chromium for one visit, with a home of its own whose certificate database trusts `cas`.
pub(crate) fn chromium(home: &Path, cas: &[&Path], url: &str) -> Command {
    let database = home.join(".pki/nssdb");
    fs::create_dir_all(&database).unwrap();
    let db = format!("sql:{}", database.display());
    assert!(
        run(program("certutil").args(["-N", "-d", &db, "--empty-password"]))
            .status
            .success()
    );
    for (n, ca) in cas.iter().enumerate() {
        let args = ["-A", "-d", &db, "-n", &format!("ca {n}"), "-t", "C,,", "-i"];
        assert!(run(program("certutil").args(args).arg(ca)).status.success());
    }
    let mut command = program("chromium");
    command.env("HOME", home).env_remove("XDG_CONFIG_HOME");
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
    ]);
    command.args([
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]);
    command.args([
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP *.test 127.0.0.1",
    ]);
    command.arg(format!(
        "--user-data-dir={}",
        home.join("profile").display()
    ));
    command.arg(url);
    command
}

/// What the page has become when it is loaded.
fn page_of(mut command: Command) -> String {
    let output = run(command.args(["--dump-dom", "--timeout=30000"]));
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && !dom.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    dom
}

#[test]
fn a_page_of_many_assets_loads_whole() {
    const ASSETS: usize = 150;
    let files = tempfile::tempdir().unwrap();
    let mut page = String::from(
        "<!doctype html><title>many</title><p id=count>0</p><script>var count = 0</script>\n",
    );
    for n in 0..ASSETS {
        let padding = "/".repeat(n * 40);
        fs::write(
            files.path().join(format!("a{n}.js")),
            format!("count += 1; //{padding}\n"),
        )
        .unwrap();
        writeln!(page, "<script src=a{n}.js></script>").unwrap();
    }
    page.push_str(
        "<script>document.getElementById('count').textContent = 'assets ' + count</script>",
    );
    fs::write(files.path().join("index.html"), page).unwrap();
    let dev = Dev::start(&[]);
    let ca = dev.data_dir().join("ca.pem");
    for transport in crate::TRANSPORTS {
        let share = dev.share(&[
            "http",
            files.path().to_str().unwrap(),
            "--transport",
            transport,
        ]);
        let home = tempfile::tempdir().unwrap();
        let dom = page_of(chromium(home.path(), &[&ca], &share.url_of("https")));
        assert!(
            dom.contains(&format!("assets {ASSETS}")),
            "{transport}: {dom}"
        );
    }
}

#[test]
fn two_names_share_one_connection_and_a_third_is_misdirected() {
    let dev = Dev::start(&["--zone", "adit.test"]);
    let port = dev.https_port();

    // A name of its own under the same wildcard, whose TLS does not end at the edge.
    let bank = tempfile::tempdir().unwrap();
    let (bank_ca, tls_port) = bank_certificate(bank.path());
    fs::write(
        bank.path().join("bank.js"),
        "document.body.append('from the bank; ')",
    )
    .unwrap();
    let mut server = program("openssl");
    server.args([
        "s_server",
        "-WWW",
        "-accept",
        &format!("127.0.0.1:{tls_port}"),
        "-key",
        "key.pem",
        "-cert",
        "cert.pem",
    ]);
    let server = Process::start(server.current_dir(bank.path()));
    server.wait_for_line(0, "ACCEPT", |line| line.starts_with("ACCEPT").then_some(()));
    let _bank = dev.share(&[
        "tls",
        &tls_port.to_string(),
        "--host",
        "bank.shop.adit.test",
    ]);

    let files = tempfile::tempdir().unwrap();
    let page = format!(
        "<!doctype html><body><script src=a.js></script>\
         <script src=https://two.shop.adit.test:{port}/b.js></script>\
         <script src=https://bank.shop.adit.test:{port}/bank.js></script>"
    );
    fs::write(files.path().join("index.html"), page).unwrap();
    fs::write(
        files.path().join("a.js"),
        "document.body.append('from one; ')",
    )
    .unwrap();
    fs::write(
        files.path().join("b.js"),
        "document.body.append('from two; ')",
    )
    .unwrap();
    let _shop = dev.share(&[
        "http",
        files.path().to_str().unwrap(),
        "--host",
        "*.shop.adit.test",
    ]);

    let home = tempfile::tempdir().unwrap();
    let url = format!("https://one.shop.adit.test:{port}/");
    let ca = dev.data_dir().join("ca.pem");
    let dom = page_of(chromium(home.path(), &[&ca, &bank_ca], &url));
    let log = fs::read_to_string(dev.data_dir().join("access.log")).unwrap();
    for part in ["from one", "from two", "from the bank"] {
        assert!(
            dom.contains(part),
            "no {part:?} in {dom}; visits: {log}; bank: {:?}",
            server.stderr()
        );
    }
    assert!(
        log.lines().any(|line| line.contains("\"status\":421")),
        "nothing was misdirected: {log}"
    );
}

/// A certificate for the bank under a CA of its own, and a port for its server.
fn bank_certificate(dir: &Path) -> (std::path::PathBuf, u16) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name
        .push(rcgen::DnType::CommonName, "bank test CA");
    let ca_cert = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["bank.shop.adit.test".to_owned()]).unwrap();
    leaf.extended_key_usages
        .push(rcgen::ExtendedKeyUsagePurpose::ServerAuth);
    // Browsers refuse certificates that are valid for longer than 398 days.
    let year = rcgen::date_time_ymd;
    (leaf.not_before, leaf.not_after) = validity(year);
    let cert = leaf.signed_by(&key, &issuer).unwrap();
    fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
    fs::write(dir.join("cert.pem"), cert.pem()).unwrap();
    let ca_path = dir.join("ca.pem");
    fs::write(&ca_path, ca_cert.pem()).unwrap();
    (ca_path, tests::free_port())
}

/// From the start of last year's month to about a year on, around now.
fn validity<T: std::ops::Add<std::time::Duration, Output = T>>(
    date: fn(i32, u8, u8) -> T,
) -> (T, T) {
    const DAY: u64 = 24 * 3600;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let at = |offset: u64| {
        date(1970, 1, 1) + std::time::Duration::from_secs(now.as_secs() - DAY + offset)
    };
    (at(0), at(300 * DAY))
}
