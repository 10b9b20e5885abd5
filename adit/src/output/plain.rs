//! Plain lines for a pipe or a log.

use std::io::Write;

use super::{
    event::{Event, Provider},
    text,
};

/// The longest line: longer than any path that a browser sends in earnest.
const MAX_LINE: usize = 2048;

#[derive(Debug, Default)]
pub(crate) struct Plain {
    provider: Option<Provider>,
    introduced: bool,
}

impl Plain {
    pub(crate) fn show(&mut self, event: &Event) {
        if let Event::Provider(provider) = event {
            self.provider = Some(provider.clone());
        }
        let mut lines = text::lines(event);
        if let (Event::Ready(_), false) = (event, self.introduced) {
            self.introduced = true;
            lines.extend(self.provider.iter().flat_map(text::sharing_lines));
        }
        let mut out = std::io::stdout().lock();
        for line in lines {
            // A reader that closed the pipe has heard enough; the tunnel lives on until it is stopped.
            let _ = writeln!(out, "{}", text::fit(&line, MAX_LINE));
        }
    }
}
