//! Requests a second on connections that stay, or on a new connection each, and how long each took.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Instant,
};

use tokio::io::AsyncWriteExt;

use super::{
    LoadArgs, Shape,
    answer::Reader,
    visit::{Duplex, Way},
};
use crate::{
    problem::{Doing, Outcome, Problem},
    proc::Window,
    sample::Measured,
};

#[derive(Default)]
struct Progress {
    /// Set while answers count.
    counting: Cell<bool>,
    nanoseconds: RefCell<Vec<u64>>,
    failed: RefCell<Option<Problem>>,
}

impl Progress {
    fn done(&self, begun: Instant) {
        if self.counting.get() {
            let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.nanoseconds.borrow_mut().push(took);
        }
    }
}

pub(crate) async fn measure(args: LoadArgs) -> Outcome<Measured> {
    let way = Way::new(&args)?;
    let progress = Rc::new(Progress::default());
    for _ in 0..args.at_once {
        let (way, progress, shape) = (way.clone(), progress.clone(), args.shape);
        tokio::task::spawn_local(async move {
            let ended = match shape {
                Shape::Connections => one_each(&way, &progress).await,
                _ => on_one(&way, &progress).await,
            };
            let problem = ended.err();
            let problem = problem.unwrap_or_else(|| Problem::new("a connection ended"));
            progress.failed.borrow_mut().get_or_insert(problem);
        });
    }
    tokio::time::sleep(args.warm()).await;
    let window = Window::open(args.roles())?;
    progress.counting.set(true);
    tokio::time::sleep(args.measured()).await;
    progress.counting.set(false);
    let used = window.close()?;
    progress.failed.borrow_mut().take().map_or(Ok(()), Err)?;
    let mut took = progress.nanoseconds.take();
    took.sort_unstable();
    Ok(Measured {
        p50_us: percentile(&took, 0.50),
        p99_us: percentile(&took, 0.99),
        ..Measured::within(used, took.len() as u64, |per_second| per_second)
    })
}

async fn on_one(way: &Way, progress: &Progress) -> Outcome<()> {
    let mut stream = way.connect().await?;
    let mut reader = Reader::default();
    loop {
        let begun = Instant::now();
        ask(way, &mut *stream, &mut reader).await?;
        progress.done(begun);
    }
}

async fn one_each(way: &Way, progress: &Progress) -> Outcome<()> {
    loop {
        let begun = Instant::now();
        let mut stream = way.connect().await?;
        ask(way, &mut *stream, &mut Reader::default()).await?;
        progress.done(begun);
    }
}

/// One small request and its whole answer.
pub(crate) async fn ask(way: &Way, stream: &mut dyn Duplex, reader: &mut Reader) -> Outcome<()> {
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", way.host);
    stream
        .write_all(request.as_bytes())
        .await
        .doing("request")?;
    stream.flush().await.doing("request")?;
    let body = reader.whole(stream).await?;
    if crate::pattern::holds(0, &body) {
        Ok(())
    } else {
        Err(Problem::new("the answer holds wrong bytes"))
    }
}

fn percentile(sorted: &[u64], share: f64) -> Option<f64> {
    let index = (sorted.len() as f64 * share) as usize;
    sorted
        .get(index)
        .map(|nanoseconds| *nanoseconds as f64 / 1000.0)
}
