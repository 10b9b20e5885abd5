//! The admin address: what docs/metrics.md promises is what is there.

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
};

use serde_json::Value;
use tests::{Dev, Process, adit, program, root_of_repository, run};

/// Name of a metric to its type and unit, as `/metrics` says them.
fn families(text: &str) -> BTreeMap<String, (String, String)> {
    let mut families: BTreeMap<String, (String, String)> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                families.entry(name.to_owned()).or_default().0 = kind.to_owned();
            }
            (Some("#"), Some("UNIT"), Some(name), Some(unit)) => {
                families.entry(name.to_owned()).or_default().1 = unit.to_owned();
            }
            _ => {}
        }
    }
    families
}

/// The labels of each metric; `le` is the histogram's own.
fn labels(text: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once('{').unwrap_or((line, ""));
        let name = name.split(' ').next().unwrap();
        let mut names: Vec<&str> = rest
            .split_once('}')
            .map_or("", |(labels, _)| labels)
            .split(',')
            .filter_map(|pair| pair.split_once('=').map(|(label, _)| label))
            .filter(|label| *label != "le")
            .collect();
        names.sort_unstable();
        let name = ["_total", "_bucket", "_sum", "_count", "_info"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name);
        all.insert(name.to_owned(), names.join(", "));
    }
    all
}

/// The rows of docs/metrics.md: name without its suffix, type, unit, labels.
fn documented() -> BTreeMap<String, (String, String, String)> {
    let text = fs::read_to_string(root_of_repository().join("docs/metrics.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `adit_")) {
        let cells: Vec<&str> = line.split('|').map(|cell| cell.trim()).collect();
        let [_, name, kind, unit, labels, meaning, _] = cells[..] else {
            panic!("a row with other columns: {line}");
        };
        assert!(!meaning.is_empty(), "{line}");
        let name = name.trim_matches('`');
        let name = match kind {
            "counter" => name.strip_suffix("_total").expect(line),
            "info" => name.strip_suffix("_info").expect(line),
            _ => name,
        };
        let labels = labels.replace('`', "");
        rows.insert(name.to_owned(), (kind.to_owned(), unit.to_owned(), labels));
    }
    rows
}

#[test]
fn the_documented_metrics_are_the_exposed_ones() {
    let dev = Dev::start(&[]);
    let text = dev.metrics();
    let labels = labels(&text);
    let exposed: BTreeMap<_, _> = families(&text)
        .into_iter()
        .map(|(name, (kind, unit))| {
            let labels = labels.get(&name).cloned().unwrap_or_default();
            (name, (kind, unit, labels))
        })
        .collect();
    assert_eq!(documented(), exposed, "docs/metrics.md and /metrics differ");
}

#[test]
fn a_strict_reader_takes_the_metrics() {
    let dev = Dev::start(&[]);
    let admin = dev.provider["admin"].as_str().unwrap();
    let output = run(tests::python("read_metrics.py").arg(format!("{admin}/metrics")));
    assert!(output.status.success(), "{output:?}");
    // What the linter of Prometheus has to say about names and help.
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), for_prometheus(&dev.metrics())).unwrap();
    let output = program("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::from(fs::File::open(file.path()).unwrap()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The older text format, which is all that promtool reads: it wants the counter's suffix in the lines of help and type.
fn for_prometheus(text: &str) -> String {
    let kinds = families(text);
    let mut lines = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.starts_with("# UNIT") && *line != "# EOF")
    {
        let mut words: Vec<String> = line.splitn(4, ' ').map(ToOwned::to_owned).collect();
        if words[0] == "#" {
            let kind = kinds[&words[2]].0.as_str();
            match kind {
                "counter" => words[2] += "_total",
                "info" => words[2] += "_info",
                _ => {}
            }
            if words[1] == "TYPE" && kind == "info" {
                words[3] = "gauge".into();
            }
        }
        lines.push(words.join(" "));
    }
    lines.join("\n") + "\n"
}

#[test]
fn the_example_alerts_are_valid_and_name_metrics_that_exist() {
    let rules = root_of_repository().join("deploy/prometheus/alerts.yaml");
    let output = run(program("promtool").args(["check", "rules"]).arg(&rules));
    assert!(output.status.success(), "{output:?}");
    let known = documented();
    let dashboard = root_of_repository().join("deploy/grafana/adit.json");
    let dashboard = fs::read_to_string(dashboard).unwrap();
    serde_json::from_str::<Value>(&dashboard).unwrap();
    for text in [fs::read_to_string(rules).unwrap(), dashboard] {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let mut seen = 0;
        for word in words.filter(|word| word.starts_with("adit_")) {
            seen += 1;
            let name = ["_total", "_bucket", "_sum", "_count", "_info"]
                .iter()
                .find_map(|end| word.strip_suffix(end))
                .unwrap_or(word);
            assert!(known.contains_key(name), "{word} is no metric");
        }
        assert!(seen > 10);
    }
}

fn get(url: &str) -> (u16, Value) {
    let output = run(program("curl").args(["-sS", "-w", "\n%{http_code}", url]));
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[test]
fn the_probes_say_why() {
    let dev = Dev::start(&[]);
    let admin = dev.provider["admin"].as_str().unwrap();
    assert_eq!(
        get(&format!("{admin}/live")),
        (200, serde_json::json!({"live": true}))
    );
    assert_eq!(
        get(&format!("{admin}/ready")),
        (200, serde_json::json!({"ready": true}))
    );
    let (status, verbose) = get(&format!("{admin}/ready?verbose"));
    assert_eq!((status, &verbose["ready"]), (200, &Value::Bool(true)));
    assert_eq!(verbose["details"]["synced"], true, "{verbose}");
    assert!(
        verbose["details"]["revision"].as_u64().unwrap() > 0,
        "{verbose}"
    );
}

#[test]
fn an_agent_is_ready_when_it_has_a_session() {
    let mut dev = Dev::start(&[]);
    let port = tests::free_port();
    let addr = format!("127.0.0.1:{port}");
    let share = dev.share(&[
        "http",
        "127.0.0.1:9",
        "--host",
        "probed",
        "--admin-addr",
        &addr,
    ]);
    let ready = format!("http://{addr}/ready");
    assert_eq!(get(&ready).0, 200);
    assert_eq!(get(&format!("http://{addr}/live")).0, 200);
    let metrics = run(program("curl").args(["-sS", &format!("http://{addr}/metrics")]));
    let metrics = String::from_utf8(metrics.stdout).unwrap();
    assert!(metrics.contains("\nadit_agent_sessions 1\n"), "{metrics}");
    dev.process.terminate();
    share.process.wait_for_event(0, "disconnected");
    let (status, body) = get(&ready);
    assert_eq!(
        (status, &body["reason"]),
        (503, &Value::from("no-session")),
        "{body}"
    );
    assert_eq!(
        get(&format!("http://{addr}/live")).0,
        200,
        "nothing outside makes it dead"
    );
}

fn logged(format: Option<&str>) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let mut command: Command = adit();
    command
        .args(["dev", "--json", "-v", "--data-dir"])
        .arg(dir.path());
    for flag in [
        "--edge-addr",
        "--http-addr",
        "--control-addr",
        "--admin-addr",
    ] {
        command.args([flag, "127.0.0.1:0"]);
    }
    command.args(format.map(|format| format!("--log-format={format}")));
    let mut process = Process::start(&mut command);
    process.wait_for_event(0, "ready");
    process.wait_for_stderr("a session begins");
    process.terminate();
    process.stderr()
}

#[test]
fn the_log_is_json_for_machines_and_text_on_request() {
    for lines in [logged(None), logged(Some("json"))] {
        let objects: Vec<Value> = lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
            .collect();
        let begins = objects
            .iter()
            .find(|line| line["message"] == "a session begins")
            .unwrap();
        assert!(
            begins["session"].as_str().is_some_and(|id| !id.is_empty()),
            "{begins}"
        );
    }
    let text = logged(Some("text"));
    assert!(
        text.iter()
            .any(|line| line.contains(" INFO ") && line.contains("a session begins")),
        "{text:#?}"
    );
}
