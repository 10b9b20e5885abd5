//! A child process that ends with its owner and whose output goes to a file: a pipe would make us read while we measure.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    problem::{Doing, Outcome, Problem},
    proc,
};

/// Far above what any of the programs takes to say that it is ready.
const WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
    output: PathBuf,
}

impl Process {
    /// Starts it with its output in `directory`/`name`.
    pub(crate) fn start(command: &mut Command, directory: &Path, name: &str) -> Outcome<Self> {
        let output = directory.join(name);
        let file = |suffix| File::create(output.with_extension(suffix)).doing("output file");
        let child = command
            .stdin(Stdio::piped())
            .stdout(file("out")?)
            .stderr(file("err")?)
            .spawn()
            .doing(&format!("start {}", command.get_program().display()))?;
        Ok(Self {
            child,
            name: name.into(),
            output,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// It and its children.
    pub(crate) fn tree(&self) -> Outcome<Vec<u32>> {
        proc::tree(self.id())
    }

    /// The first line of standard output that `wanted` takes.
    pub(crate) fn wait_for<T>(&mut self, wanted: impl Fn(&str) -> Option<T>) -> Outcome<T> {
        self.wait_within(WITHIN, wanted)
    }

    pub(crate) fn wait_within<T>(
        &mut self,
        within: Duration,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> Outcome<T> {
        let begun = Instant::now();
        loop {
            if let Some(found) = self.lines().iter().find_map(|line| wanted(line)) {
                return Ok(found);
            }
            let ended = self.child.try_wait().doing("wait")?.is_some();
            if ended || begun.elapsed() > within {
                return Err(self.silent(ended));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// The whole lines of standard output so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = self.said("out");
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) -> Outcome<()> {
        self.child.kill().doing("kill")?;
        self.child.wait().doing("wait").map(drop)
    }

    /// The first event of that name that `adit --json` prints.
    pub(crate) fn wait_for_event(&mut self, event: &str) -> Outcome<Value> {
        self.wait_for(|line| {
            let value: Value = serde_json::from_str(line).ok()?;
            (value["event"] == event).then_some(value)
        })
    }

    /// Lets it read the end of its standard input, and waits for its end.
    pub(crate) fn finish(mut self) -> Outcome<()> {
        drop(self.child.stdin.take());
        self.child.wait().doing("wait").map(drop)
    }

    /// SIGTERM, so that what has children of its own ends them too.
    fn terminate(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let id = self.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn said(&self, suffix: &str) -> String {
        let bytes = std::fs::read(self.output.with_extension(suffix));
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }

    fn silent(&self, ended: bool) -> Problem {
        let how = if ended { "ended" } else { "is silent" };
        Problem::new(format!(
            "{} {how}; it said: {}{}",
            self.name,
            self.said("out"),
            self.said("err")
        ))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.terminate();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
