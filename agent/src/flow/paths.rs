//! How datagrams went between this process and edges.

use model::Hits;

/// From the visitor or to him, in a frame of its own or on the flow's stream.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path {
    UpFrame,
    UpStream,
    DownFrame,
    DownStream,
}

impl Path {
    const ALL: [Self; 4] = [
        Self::UpFrame,
        Self::UpStream,
        Self::DownFrame,
        Self::DownStream,
    ];

    const fn labels(self) -> [&'static str; 2] {
        match self {
            Self::UpFrame => ["up", "datagram"],
            Self::UpStream => ["up", "stream"],
            Self::DownFrame => ["down", "datagram"],
            Self::DownStream => ["down", "stream"],
        }
    }
}

static CARRIED: Hits<{ Path::ALL.len() }> = Hits::new();

pub(super) fn count(path: Path) {
    CARRIED.add(path as usize);
}

/// Direction (`up` is from visitors) and path (`datagram`, `stream`) of datagrams, and how many there were since the process
/// began.
pub fn datagrams_carried() -> impl Iterator<Item = ([&'static str; 2], u64)> {
    Path::ALL
        .into_iter()
        .map(|path| (path.labels(), CARRIED.get(path as usize)))
}
