//! Events as JSON lines.

use std::io::Write;

use super::event::{Event, Stamped};

#[derive(Debug)]
pub(crate) struct Json;

impl Json {
    pub(crate) fn show(&self, event: &Event) {
        self.show_of(None, event);
    }

    #[allow(
        clippy::unused_self,
        reason = "the three forms of output are called alike"
    )]
    pub(crate) fn show_of(&self, tunnel: Option<&str>, event: &Event) {
        let Ok(line) = serde_json::to_string(&Stamped::now(tunnel, event)) else {
            return;
        };
        // A reader that closed the pipe has heard enough; the tunnel lives on until it is stopped.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}
