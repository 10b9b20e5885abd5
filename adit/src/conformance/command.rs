//! Starts the agent under test from a command line.

use std::{
    any::Any,
    io,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use conformance::agent::{Invitation, Start};

/// A command for `sh`, with what an agent must be told as `{url}`, `{token}`, `{origin}` and `{ca}`.
#[derive(Debug)]
pub(super) struct Template(pub(super) String);

/// A process that ends with this.
struct Running {
    child: Child,
    ca: PathBuf,
}

impl Start for Template {
    fn start(&self, to: &Invitation) -> io::Result<Box<dyn Any + Send + Sync>> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("adit-conformance-{}-{number}.pem", std::process::id());
        let ca = std::env::temp_dir().join(name);
        std::fs::write(&ca, &to.ca)?;
        let told = [
            ("{url}", to.url.as_str()),
            ("{token}", &to.token),
            ("{origin}", &to.origin),
            ("{ca}", &ca.display().to_string()),
        ];
        let command = told.iter().fold(self.0.clone(), |command, (name, value)| {
            command.replace(name, value)
        });
        // The shell makes way for the agent, so that its process is the one that ends.
        let child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Box::new(Running { child, ca }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.ca);
    }
}
