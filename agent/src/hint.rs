//! Development servers refuse host names that they do not know. Their answers are recognised here, so that a person
//! learns what to type instead of wondering at a 403.

use std::fmt;

/// Bytes of a response that are looked at when its status says "refused" (Django and Rails put a style sheet first).
const REFUSED_WINDOW: usize = 16 * 1024;
/// Bytes that are looked at otherwise: webpack-dev-server 3 refuses with 200 and a body of one line.
const OTHER_WINDOW: usize = 512;
/// Bytes kept from one piece to the next, so that words cut in two are found.
const OVERLAP: usize = 40;

const SIGNS: [(&[u8], Server); 5] = [
    (b"Blocked request. This host", Server::Vite),
    (b"Invalid Host header", Server::Webpack),
    (b"Invalid HTTP_HOST", Server::Django),
    (b"Blocked host", Server::Rails),
    (b"ActionDispatch::HostAuthorization", Server::Rails),
];

/// Who refused the host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    Vite,
    Webpack,
    Django,
    Rails,
}

/// Looks through the first bytes that an origin sends on one stream.
#[derive(Debug)]
pub(crate) struct Scanner {
    left: usize,
    begun: bool,
    tail: [u8; OVERLAP],
    tail_len: usize,
}

impl Scanner {
    pub(crate) const fn new() -> Self {
        Self {
            left: OTHER_WINDOW,
            begun: false,
            tail: [0; OVERLAP],
            tail_len: 0,
        }
    }

    /// Takes the next bytes; the first sign that they complete is returned, and then the scanner rests.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Option<Server> {
        if self.left == 0 || bytes.is_empty() {
            return None;
        }
        if !self.begun {
            self.begun = true;
            if bytes.get(9) == Some(&b'4') && bytes.starts_with(b"HTTP/1.") {
                self.left = REFUSED_WINDOW;
            }
        }
        let piece = &bytes[..bytes.len().min(self.left)];
        self.left -= piece.len();
        let found = self.find_across(piece).or_else(|| find(piece));
        if found.is_some() {
            self.left = 0;
        }
        self.keep_tail(piece);
        found
    }

    /// A sign that began in an earlier piece.
    fn find_across(&self, piece: &[u8]) -> Option<Server> {
        if self.tail_len == 0 {
            return None;
        }
        let mut seam = [0; 2 * OVERLAP];
        let head = piece.len().min(OVERLAP);
        let end = self.tail_len + head;
        seam[..self.tail_len].copy_from_slice(&self.tail[..self.tail_len]);
        seam[self.tail_len..end].copy_from_slice(&piece[..head]);
        find(&seam[..end])
    }

    fn keep_tail(&mut self, piece: &[u8]) {
        let new = piece.len().min(OVERLAP);
        let old = self.tail_len.min(OVERLAP - new);
        self.tail.copy_within(self.tail_len - old..self.tail_len, 0);
        self.tail[old..old + new].copy_from_slice(&piece[piece.len() - new..]);
        self.tail_len = old + new;
    }
}

fn find(bytes: &[u8]) -> Option<Server> {
    SIGNS
        .iter()
        .find(|(sign, _)| bytes.windows(sign.len()).any(|window| window == *sign))
        .map(|(_, server)| *server)
}

/// What a response that comes in these pieces says; for fuzz targets.
pub fn scan_all<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<Server> {
    let mut scanner = Scanner::new();
    pieces.into_iter().find_map(|piece| scanner.scan(piece))
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, setting) = match self {
            Self::Vite => ("Vite", "server.allowedHosts"),
            Self::Webpack => ("webpack-dev-server", "devServer.allowedHosts"),
            Self::Django => ("Django", "ALLOWED_HOSTS"),
            Self::Rails => ("Rails", "config.hosts"),
        };
        write!(
            f,
            "{name} refuses this host name: share with --host-header origin, or add the name to {setting}"
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VITE: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nBlocked request. This host (\"x.localhost\") is not allowed.";

    fn scan_all<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Server> {
        let mut scanner = Scanner::new();
        pieces
            .into_iter()
            .filter_map(|piece| scanner.scan(piece))
            .collect()
    }

    #[test]
    fn the_answers_of_four_servers() {
        let padding = "x".repeat(9000);
        let django =
            format!("HTTP/1.1 400 Bad Request\r\n\r\n{padding}Invalid HTTP_HOST header: 'x'.");
        let rails = format!("HTTP/1.1 403 Forbidden\r\n\r\n{padding}<h1>Blocked hosts: x</h1>");
        for (answer, server) in [
            (VITE, Server::Vite),
            (
                b"HTTP/1.1 200 OK\r\n\r\nInvalid Host header",
                Server::Webpack,
            ),
            (django.as_bytes(), Server::Django),
            (rails.as_bytes(), Server::Rails),
        ] {
            assert_eq!(scan_all([answer]), [server]);
        }
    }

    #[test]
    fn pages_that_speak_of_it_are_left_alone() {
        let page = format!(
            "HTTP/1.1 200 OK\r\n\r\n{}Invalid Host header",
            " ".repeat(600)
        );
        assert_eq!(scan_all([page.as_bytes()]), []);
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter_and_a_sign_counts_once(mut cuts in prop::collection::vec(0..VITE.len(), 0..12)) {
            cuts.sort_unstable();
            // The status is read from the first piece; it comes whole, as servers write it in one piece.
            cuts.retain(|cut| *cut >= 12);
            let ends = cuts.iter().copied().chain([VITE.len()]);
            let mut at = 0;
            let pieces: Vec<_> = ends.map(|end| { let piece = &VITE[at..end]; at = end; piece }).collect();
            prop_assert_eq!(scan_all(pieces), [Server::Vite]);
        }

        #[test]
        fn no_bytes_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..20)) {
            scan_all(pieces.iter().map(Vec::as_slice));
        }
    }
}
