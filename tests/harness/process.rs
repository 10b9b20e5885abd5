//! A child process that is killed with its owner and whose output can be waited for.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

/// How long any wait may last before the test fails: far above what any step takes on a loaded machine of two cores.
pub const WAIT: Duration = Duration::from_secs(60);

pub struct Process {
    child: Child,
    name: String,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
}

/// What came out so far, line by line.
#[derive(Default)]
struct Lines {
    state: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let stdout = Lines::collect(child.stdout.take().unwrap());
        let stderr = Lines::collect(child.stderr.take().unwrap());
        Self {
            child,
            name,
            stdout,
            stderr,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The first line of standard output, from line number `from` on, that `wanted` takes.
    pub fn wait_for_line<T>(
        &self,
        from: usize,
        what: &str,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> (usize, T) {
        self.stdout.wait(from, wanted).unwrap_or_else(|seen| {
            panic!(
                "{}: no {what}; stdout: {seen:#?}; stderr: {:#?}",
                self.name,
                self.stderr()
            )
        })
    }

    /// The first JSON event named `event` from line number `from` on.
    pub fn wait_for_event(&self, from: usize, event: &str) -> (usize, serde_json::Value) {
        self.wait_for_line(from, event, |line| {
            let value: serde_json::Value = serde_json::from_str(line).ok()?;
            (value["event"] == event).then_some(value)
        })
    }

    pub fn wait_for_stderr(&self, part: &str) {
        let found = self
            .stderr
            .wait(0, |line| line.contains(part).then_some(()));
        found.unwrap_or_else(|seen| panic!("{}: no {part:?} in stderr: {seen:#?}", self.name));
    }

    pub fn stdout(&self) -> Vec<String> {
        self.stdout.now()
    }

    pub fn stderr(&self) -> Vec<String> {
        self.stderr.now()
    }

    pub fn write_stdin(&mut self, bytes: &[u8]) {
        use std::io::Write;
        self.child.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub fn close_stdin(&mut self) {
        drop(self.child.stdin.take());
    }

    /// SIGTERM, and the exit status that follows.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([format!("-{signal}"), self.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success(), "kill -{signal} {}", self.name);
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The exit status, once all that the process said is here too.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + WAIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // Its pipes end with it: nothing is found, and everything was read.
                let _ = self.stdout.wait(0, |_| None::<()>);
                let _ = self.stderr.wait(0, |_| None::<()>);
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{} does not end; stderr: {:#?}",
                self.name,
                self.stderr()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The largest resident set so far, in bytes (Linux: VmHWM).
    pub fn peak_memory(&self) -> u64 {
        self.status_field("VmHWM:")
    }

    /// The resident set now, in bytes (Linux: VmRSS).
    pub fn memory(&self) -> u64 {
        self.status_field("VmRSS:")
    }

    fn status_field(&self, field: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .unwrap();
        line.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .unwrap()
            * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    fn collect(from: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let into = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(from).lines() {
                let Ok(line) = line else { break };
                into.state.lock().unwrap().0.push(line);
                into.changed.notify_all();
            }
            into.state.lock().unwrap().1 = true;
            into.changed.notify_all();
        });
        lines
    }

    fn now(&self) -> Vec<String> {
        self.state.lock().unwrap().0.clone()
    }

    fn wait<T>(
        &self,
        from: usize,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> Result<(usize, T), Vec<String>> {
        let deadline = Instant::now() + WAIT;
        let mut next = from;
        let mut state = self.state.lock().unwrap();
        loop {
            while next < state.0.len() {
                if let Some(found) = wanted(&state.0[next]) {
                    return Ok((next, found));
                }
                next += 1;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.1 {
                return Err(state.0.clone());
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}
