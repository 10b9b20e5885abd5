//! Throughput: streams that never end, counted between two instants and checked against the pattern.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    LoadArgs,
    answer::Reader,
    visit::{Duplex, Way},
};
use crate::{
    origin::ENDLESS,
    pattern,
    problem::{Doing, Outcome, Problem},
    proc::Window,
    sample::Measured,
};

/// How long the first bytes of all streams may take.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Bytes of each stream so far, and the first failure.
struct Progress {
    streams: Vec<Cell<u64>>,
    failed: RefCell<Option<Problem>>,
}

impl Progress {
    fn new(streams: usize) -> Rc<Self> {
        Rc::new(Self {
            streams: vec![Cell::new(0); streams],
            failed: RefCell::default(),
        })
    }

    fn note(&self, ended: Outcome<()>) {
        let problem = ended.err();
        let problem = problem.unwrap_or_else(|| Problem::new("a stream ended too early"));
        self.failed.borrow_mut().get_or_insert(problem);
    }

    fn check(&self) -> Outcome<()> {
        self.failed.borrow_mut().take().map_or(Ok(()), Err)
    }

    fn snapshot(&self) -> Vec<u64> {
        self.streams.iter().map(Cell::get).collect()
    }

    fn since(&self, before: &[u64]) -> Vec<u64> {
        let now = self.snapshot();
        now.iter()
            .zip(before)
            .map(|(now, before)| now - before)
            .collect()
    }

    async fn all_began(&self) -> Outcome<()> {
        let begun = Instant::now();
        while self.streams.iter().any(|bytes| bytes.get() == 0) {
            self.check()?;
            if begun.elapsed() > BEGIN_WITHIN {
                return Err(Problem::new("a stream brought nothing at all"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

pub(crate) async fn down(args: LoadArgs) -> Outcome<Measured> {
    let way = Way::new(&args)?;
    let progress = Progress::new(args.at_once);
    for stream in 0..args.at_once {
        let (way, progress) = (way.clone(), progress.clone());
        tokio::task::spawn_local(async move {
            let ended = receive(&way, &progress.streams[stream]).await;
            progress.note(ended);
        });
    }
    progress.all_began().await?;
    tokio::time::sleep(args.warm()).await;
    let (window, before) = (Window::open(args.roles())?, progress.snapshot());
    tokio::time::sleep(args.measured()).await;
    let (each, used) = (progress.since(&before), window.close()?);
    progress.check()?;
    Ok(Measured {
        slowest: slowest(&each),
        ..Measured::within(used, each.iter().sum(), gigabits)
    })
}

pub(crate) async fn up(args: LoadArgs) -> Outcome<Measured> {
    let way = Way::new(&args)?;
    let mut origin = Origin::connect(&args).await?;
    let progress = Progress::new(args.at_once);
    for stream in 0..args.at_once {
        let (way, progress) = (way.clone(), progress.clone());
        tokio::task::spawn_local(async move {
            let ended = send(&way, &progress.streams[stream]).await;
            progress.note(ended);
        });
    }
    progress.all_began().await?;
    tokio::time::sleep(args.warm()).await;
    let (arrived, before) = (origin.received().await?, progress.snapshot());
    let window = Window::open(args.roles())?;
    tokio::time::sleep(args.measured()).await;
    let arrived = origin.received().await? - arrived;
    let (each, used) = (progress.since(&before), window.close()?);
    progress.check()?;
    Ok(Measured {
        slowest: slowest(&each),
        ..Measured::within(used, arrived, gigabits)
    })
}

async fn receive(way: &Way, bytes: &Cell<u64>) -> Outcome<()> {
    let mut stream = way.connect().await?;
    let request = format!("GET /down HTTP/1.1\r\nHost: {}\r\n\r\n", way.host);
    stream
        .write_all(request.as_bytes())
        .await
        .doing("request")?;
    let mut reader = Reader::default();
    reader.head(&mut *stream).await?;
    let mut position = 0;
    let mut take = |read: &[u8]| {
        if !pattern::holds(position, read) {
            return Err(Problem::new(format!("wrong bytes at {position}")));
        }
        position += read.len() as u64;
        bytes.set(position);
        Ok(())
    };
    take(&reader.buffer)?;
    let mut buffer = vec![0; pattern::PIECE];
    loop {
        match stream.read(&mut buffer).await.doing("read")? {
            0 => return Ok(()),
            count => take(&buffer[..count])?,
        }
    }
}

async fn send(way: &Way, bytes: &Cell<u64>) -> Outcome<()> {
    let mut stream = way.connect().await?;
    let request = format!(
        "POST /up HTTP/1.1\r\nHost: {}\r\nContent-Length: {ENDLESS}\r\n\r\n",
        way.host
    );
    stream
        .write_all(request.as_bytes())
        .await
        .doing("request")?;
    loop {
        let count = stream
            .write(pattern::from(bytes.get()))
            .await
            .doing("write")?;
        bytes.set(bytes.get() + count as u64);
    }
}

/// The origin beside the path: it alone knows what has arrived.
struct Origin {
    stream: Box<dyn Duplex>,
    reader: Reader,
    wrong_at_begin: Option<u64>,
}

impl Origin {
    async fn connect(args: &LoadArgs) -> Outcome<Self> {
        let mut origin = Self {
            stream: Way::straight(args.origin).connect().await?,
            reader: Reader::default(),
            wrong_at_begin: None,
        };
        origin.received().await?;
        Ok(origin)
    }

    async fn received(&mut self) -> Outcome<u64> {
        let question = b"GET /received HTTP/1.1\r\nHost: localhost\r\n\r\n";
        self.stream
            .write_all(question)
            .await
            .doing("ask the origin")?;
        let text = self.reader.whole(&mut *self.stream).await?;
        let text = String::from_utf8(text).doing("the origin's answer")?;
        let (bytes, wrong) = text.split_once(' ').unwrap_or_default();
        let wrong: u64 = wrong.parse().doing("the origin's answer")?;
        if wrong != *self.wrong_at_begin.get_or_insert(wrong) {
            return Err(Problem::new("the origin received wrong bytes"));
        }
        bytes.parse().doing("the origin's answer")
    }
}

fn gigabits(bytes_per_second: f64) -> f64 {
    bytes_per_second * 8.0 / 1e9
}

fn slowest(each: &[u64]) -> Option<f64> {
    let (least, sum) = (each.iter().min()?, each.iter().sum::<u64>());
    (each.len() > 1 && sum > 0).then(|| *least as f64 * each.len() as f64 / sum as f64)
}
