//! Connections that had one answer and then do nothing, for as long as the one who counts memory needs them.

use tokio::io::AsyncReadExt;

use super::{LoadArgs, answer::Reader, requests::ask, visit::Way};
use crate::{
    problem::{Doing, Outcome},
    sample::Measured,
};

pub(crate) async fn hold(args: LoadArgs) -> Outcome<Measured> {
    let way = Way::new(&args)?;
    let mut held = Vec::with_capacity(args.at_once);
    for _ in 0..args.at_once {
        let mut stream = way.connect().await?;
        ask(&way, &mut *stream, &mut Reader::default()).await?;
        held.push(stream);
    }
    println!("held");
    tokio::io::stdin()
        .read_to_end(&mut Vec::new())
        .await
        .doing("standard input")?;
    Ok(Measured::plain(0.0, held.len() as u64))
}
