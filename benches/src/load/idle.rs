//! Connections that had one answer and then do nothing, for as long as the one who counts memory needs them.

use tokio::{io::AsyncReadExt, task::JoinSet};

use super::{
    LoadArgs,
    answer::Reader,
    requests::ask,
    visit::{Duplex, Way},
};
use crate::{
    problem::{Doing, Outcome},
    sample::Measured,
};

/// Connections that are being opened at once: a path that delays each must not hold up the run.
const AT_ONCE: usize = 16;

type Opening = JoinSet<Outcome<Box<dyn Duplex>>>;

pub(crate) async fn hold(args: LoadArgs) -> Outcome<Measured> {
    let way = Way::new(&args)?;
    let mut opening = JoinSet::new();
    let mut held = Vec::with_capacity(args.at_once);
    for _ in 0..args.at_once {
        if opening.len() >= AT_ONCE {
            held.extend(opened(&mut opening).await?);
        }
        let way = way.clone();
        opening.spawn_local(async move {
            let mut stream = way.connect().await?;
            ask(&way, &mut *stream, &mut Reader::default()).await?;
            Ok(stream)
        });
    }
    while let Some(stream) = opened(&mut opening).await? {
        held.push(stream);
    }
    println!("held");
    tokio::io::stdin()
        .read_to_end(&mut Vec::new())
        .await
        .doing("standard input")?;
    Ok(Measured::plain(0.0, held.len() as u64))
}

/// The next one that is open; none when none is being opened.
async fn opened(opening: &mut Opening) -> Outcome<Option<Box<dyn Duplex>>> {
    let next = opening.join_next().await;
    next.map(|joined| joined.doing("a connection's task")?)
        .transpose()
}
