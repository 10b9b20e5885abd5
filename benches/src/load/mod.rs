//! The load: a process of its own that visits one path in one way, watches what all processes use meanwhile, and prints
//! what it measured as one line of JSON.

mod answer;
mod bulk;
mod idle;
mod requests;
mod visit;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use tokio::task::LocalSet;

use crate::{
    problem::{Doing, Outcome},
    proc::Roles,
    sample::Measured,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shape {
    /// Bytes from the origin
    Down,
    /// Bytes to the origin
    Up,
    /// Requests on connections that stay
    Requests,
    /// A connection for each request
    Connections,
    /// Connections that do nothing after their first answer, until standard input ends
    Idle,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LoadArgs {
    #[arg(long, value_enum)]
    pub(crate) shape: Shape,
    /// Streams, connections or tries at once
    #[arg(long, default_value_t = 1)]
    pub(crate) at_once: usize,
    /// Where visitors come in
    #[arg(long)]
    pub(crate) target: SocketAddr,
    /// The name that visitors ask for
    #[arg(long, default_value = "localhost")]
    pub(crate) host: String,
    /// Speak TLS and trust this authority
    #[arg(long)]
    pub(crate) ca: Option<PathBuf>,
    /// The origin itself, to be asked beside the path
    #[arg(long)]
    pub(crate) origin: SocketAddr,
    #[arg(long, default_value_t = 1.0)]
    pub(crate) seconds: f64,
    #[arg(long, default_value_t = 0.3)]
    pub(crate) warm: f64,
    /// Processes whose CPU time is taken: `role=pid,pid`
    #[arg(long, value_parser = role)]
    pub(crate) watch: Vec<(String, Vec<u32>)>,
}

impl LoadArgs {
    fn warm(&self) -> Duration {
        Duration::from_secs_f64(self.warm)
    }

    fn measured(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    fn roles(&self) -> Roles {
        let mut roles: Roles = self.watch.iter().cloned().collect();
        roles.insert("load".into(), vec![std::process::id()]);
        roles
    }
}

pub(crate) fn run(args: LoadArgs) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("runtime")?;
    let measured = LocalSet::new().block_on(&runtime, measure(args))?;
    println!("{}", serde_json::to_string(&measured).doing("print")?);
    // Connections that are still open end with the process.
    Ok(())
}

async fn measure(args: LoadArgs) -> Outcome<Measured> {
    match args.shape {
        Shape::Down => bulk::down(args).await,
        Shape::Up => bulk::up(args).await,
        Shape::Requests | Shape::Connections => requests::measure(args).await,
        Shape::Idle => idle::hold(args).await,
    }
}

fn role(text: &str) -> Result<(String, Vec<u32>), String> {
    let (role, pids) = text.split_once('=').ok_or("role=pid,pid")?;
    let pids: Result<_, _> = pids.split(',').map(str::parse).collect();
    Ok((role.into(), pids.map_err(|_| "a pid is a number")?))
}
