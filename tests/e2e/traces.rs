//! W3C Trace Context from the visitor to the origin, and the steps of a visit at a real collector.

use serde_json::Value;
use tests::{Dev, Process, Share, program, run};

const THEIRS: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const THEIR_STEP: &str = "00f067aa0ba902b7";

/// An origin that answers with the fields that it got.
fn origin() -> (Process, String) {
    let process = Process::start(&mut tests::python("show_headers.py"));
    let (_, port) = process.wait_for_line(0, "a port", |line| line.parse::<u16>().ok());
    (process, port.to_string())
}

fn json(command: &mut std::process::Command) -> Value {
    let output = run(command);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// What the origin got of a request with these fields.
fn asked(dev: &Dev, share: &Share, fields: &[&str]) -> Value {
    let mut curl = crate::http::curl(dev);
    curl.args(["-f", &share.url()]);
    for field in fields {
        curl.args(["-H", field]);
    }
    json(&mut curl)
}

/// Ends the provider, so that its access log is whole, and finds the line of a request.
fn access_log(dev: &mut Dev, request: &Value) -> Value {
    dev.process.terminate();
    let log = std::fs::read_to_string(dev.data_dir().join("access.log")).unwrap();
    let mut lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found = lines.find(|line| line["request"] == *request);
    found.unwrap_or_else(|| panic!("no {request} in {log}"))
}

#[test]
fn a_visitors_trace_goes_on_to_the_origin() {
    let mut dev = Dev::start(&[]);
    let (_origin, port) = origin();
    let share = dev.share(&["http", &port, "--host", "traced"]);
    let parent = format!("traceparent: 00-{THEIRS}-{THEIR_STEP}-01");
    let got = asked(&dev, &share, &[&parent, "tracestate: vendor=1"]);
    let told: Vec<&str> = got["traceparent"].as_str().unwrap().split('-').collect();
    assert_eq!((told[0], told[1], told[3]), ("00", THEIRS, "01"), "{got}");
    assert_ne!(told[2], THEIR_STEP, "the step is the edge's own: {got}");
    assert_eq!(got["tracestate"], "vendor=1");
    let line = access_log(&mut dev, &got["x-request-id"]);
    assert_eq!(
        (&line["trace"], &line["span"]),
        (&THEIRS.into(), &told[2].into()),
        "{line}"
    );
}

#[test]
fn a_visitor_without_a_trace_gets_a_new_one() {
    let mut dev = Dev::start(&[]);
    let (_origin, port) = origin();
    let share = dev.share(&["http", &port, "--host", "untraced"]);
    let got = asked(
        &dev,
        &share,
        &["traceparent: 00-zz", "tracestate: vendor=1"],
    );
    let told = got["traceparent"].as_str().unwrap();
    assert_eq!(
        told.split('-').nth(1),
        got["x-request-id"].as_str(),
        "{got}"
    );
    assert!(got.get("tracestate").is_none(), "{got}");
    let url = format!("http://nobody.localhost:{}/", dev.http_port());
    let page = json(crate::http::curl(&dev).args(["-H", "accept: application/json", &url]));
    let line = access_log(&mut dev, &page["request"]);
    assert_eq!(
        line["trace"], page["request"],
        "error pages name the trace: {line}"
    );
}

/// A provider that sends its traces to a collector of Python's, and where that is.
fn traced(delay: &str, more: &[(&str, &str)]) -> (Dev, Process, String) {
    let collector = Process::start(&mut tests::python("otlp_collector.py"));
    let (_, port) = collector.wait_for_line(0, "a port", |line| line.parse::<u16>().ok());
    let endpoint = format!("http://127.0.0.1:{port}");
    let dev = Dev::start_with(&[], |command| {
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
            .env("OTEL_BSP_SCHEDULE_DELAY", delay)
            .envs(more.iter().copied());
    });
    (dev, collector, endpoint)
}

fn wait_for_span(collector: &Process, name: &str, trace: &str) -> Value {
    let what = format!("{name} of {trace}");
    let (_, span) = collector.wait_for_line(0, &what, |line| {
        let span: Value = serde_json::from_str(line).ok()?;
        (span["name"] == name && span["trace"] == trace).then_some(span)
    });
    span
}

fn visit(dev: &Dev, parent: &str) {
    let mut curl = crate::http::curl(dev);
    curl.args(["-f", "-H", &format!("traceparent: {parent}"), &dev.url()]);
    let output = run(&mut curl);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_steps_of_a_visit_reach_a_collector() {
    let (dev, collector, _) = traced("50", &[("OTEL_SERVICE_NAME", "under-test")]);
    visit(&dev, &format!("00-{THEIRS}-{THEIR_STEP}-01"));
    let visit = wait_for_span(&collector, "visit", THEIRS);
    assert_eq!(visit["service"], "under-test");
    assert_eq!(visit["parent"], THEIR_STEP, "{visit}");
    let status = &visit["attributes"]["http.response.status_code"];
    assert_eq!(status, "200", "{visit}");
    assert!(visit["nanos"].as_u64().unwrap() > 0, "{visit}");
    for name in ["route", "open stream"] {
        let step = wait_for_span(&collector, name, THEIRS);
        assert_eq!(step["parent"], visit["span"], "{step}");
    }
    let metrics = dev.metrics();
    for count in ["dropped", "failed"] {
        let line = format!("\nadit_otel_spans_{count}_total 0\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[test]
fn a_visitor_who_does_not_want_it_written_down_is_obeyed() {
    let (dev, collector, _) = traced("50", &[]);
    let other = "11111111111111111111111111111111";
    visit(&dev, &format!("00-{THEIRS}-{THEIR_STEP}-00"));
    visit(&dev, &format!("00-{other}-{THEIR_STEP}-01"));
    // In the order of their ends, so the first one would be there by now.
    wait_for_span(&collector, "visit", other);
    assert!(collector.stdout().iter().all(|line| !line.contains(THEIRS)));
}

#[test]
fn the_sampler_of_the_environment_decides_about_new_traces() {
    let (dev, collector, _) = traced("50", &[("OTEL_TRACES_SAMPLER", "parentbased_always_off")]);
    assert!(
        run(crate::http::curl(&dev).args(["-f", &dev.url()]))
            .status
            .success()
    );
    visit(&dev, &format!("00-{THEIRS}-{THEIR_STEP}-01"));
    wait_for_span(&collector, "visit", THEIRS);
    let others = |line: &String| line.contains("\"trace\"") && !line.contains(THEIRS);
    assert!(
        !collector.stdout().iter().any(others),
        "{:?}",
        collector.stdout()
    );
}

#[test]
fn the_agents_step_belongs_to_the_visit_and_the_end_sends_what_waits() {
    // Nothing is sent by time: only the end of each process sends it.
    let (mut dev, collector, endpoint) = traced("600000", &[]);
    let (_origin, port) = origin();
    let mut share = dev.command(&["tcp", &port, "--json"]);
    share
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_BSP_SCHEDULE_DELAY", "600000");
    let mut share = Process::start(&mut share);
    let (_, ready) = share.wait_for_event(0, "ready");
    let url = ready["urls"][0]
        .as_str()
        .unwrap()
        .replace("tcp://", "http://");
    json(program("curl").args(["-sSf", "--max-time", "60", &url]));
    share.terminate();
    dev.process.terminate();
    let (_, connect) = collector.wait_for_line(0, "the agent's step", |line| {
        let span: Value = serde_json::from_str(line).ok()?;
        (span["name"] == "connect origin").then_some(span)
    });
    let trace = connect["trace"].as_str().unwrap();
    let opened = wait_for_span(&collector, "open stream", trace);
    assert_eq!(connect["parent"], opened["span"], "{connect}");
    let visit = wait_for_span(&collector, "visit", trace);
    assert_eq!(opened["parent"], visit["span"], "{opened}");
}

#[test]
fn no_secret_stands_in_a_log() {
    let mut dev = Dev::start_with(&["-vv"], |_| {});
    let credentials = std::fs::read_to_string(dev.data_dir().join("credentials.json")).unwrap();
    let credentials: Value = serde_json::from_str(&credentials).unwrap();
    let key = credentials["api_key"].as_str().unwrap();
    let key_secret = key.rsplit('_').next().unwrap();
    let (_origin, port) = origin();
    let mut share =
        Process::start(&mut dev.command(&["http", &port, "--host", "secret", "-vv", "--json"]));
    let (_, ready) = share.wait_for_event(0, "ready");
    let url = format!(
        "{}path?key=hunter2",
        ready["urls"][0]
            .as_str()
            .unwrap()
            .trim_end_matches('/')
            .to_owned()
            + "/"
    );
    let mut curl = crate::http::curl(&dev);
    json(curl.args([
        "-f",
        "-H",
        "authorization: Bearer hunter3",
        "-H",
        "cookie: c=hunter4",
        &url,
    ]));
    share.terminate();
    dev.process.terminate();
    let access = std::fs::read_to_string(dev.data_dir().join("access.log")).unwrap();
    let mut lines = dev.process.stderr();
    lines.extend(share.stderr());
    assert!(
        lines.iter().any(|line| line.contains("a request is over")),
        "{lines:#?}"
    );
    lines.extend(access.lines().map(ToOwned::to_owned));
    for secret in [key_secret, "eyJ", "hunter2", "hunter3", "hunter4", "BEGIN"] {
        let found = lines.iter().find(|line| line.contains(secret));
        assert_eq!(found, None, "{secret} is in a log");
    }
}
