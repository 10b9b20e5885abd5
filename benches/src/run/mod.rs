//! A whole run: every round visits every metric, and within each metric every row, so that rows of one metric are
//! measured next to each other in time; the order of the rows turns around from round to round.

mod agents;
mod first;
mod idle;
mod visit;

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    process::Command,
};

use tempfile::TempDir;

use crate::{
    machine,
    metrics::{self, Metric, What},
    problem::{Doing, Outcome, Problem},
    process::Process,
    rows::{self, Programs, Row, Standing},
    sample::{Measured, Sample},
};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Shorter samples and fewer of them: below three minutes, good to about 20 %
    #[arg(long)]
    quick: bool,
    /// Rows, by the begin of their names [default: all]
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Metrics, by the begin of their names [default: all]
    #[arg(long, value_delimiter = ',')]
    metrics: Vec<String>,
    /// Rounds [default: 5, quick: 2]
    #[arg(long)]
    rounds: Option<u32>,
    /// Seconds of one sample [default: 1, quick: 0.5]
    #[arg(long)]
    seconds: Option<f64>,
    /// Where samples.jsonl is appended to
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// The adit to measure; given twice, both are measured side by side as rows -a and -b
    #[arg(long, default_value = "target/release/adit")]
    adit: Vec<PathBuf>,
    #[arg(long, default_value = "target/bench-peers/bin/bore")]
    bore: PathBuf,
}

/// What samples need besides a row.
struct Bench {
    programs: Programs,
    origin: Process,
    address: SocketAddr,
    seconds: f64,
    warm: f64,
    file: File,
    stamp: Sample,
    directory: TempDir,
}

pub(crate) fn run(args: &RunArgs) -> Outcome<()> {
    let mut bench = Bench::start(args)?;
    let rows = chosen(rows::all(&bench.programs), &args.rows, |row| &row.name)?;
    let metrics = chosen(metrics::ALL.to_vec(), &args.metrics, |metric| metric.name)?;
    let standing = stand(&bench, &rows)?;
    for round in 1..=args.rounds.unwrap_or(if args.quick { 2 } else { 5 }) {
        for metric in &metrics {
            let mut order: Vec<usize> = (0..rows.len()).collect();
            if round % 2 == 0 {
                order.reverse();
            }
            for index in order {
                bench.visit(round, *metric, &rows[index], &standing[index])?;
            }
        }
    }
    Ok(())
}

/// All paths stand from the begin to the end: those that nobody visits use no CPU.
fn stand(bench: &Bench, rows: &[Row]) -> Outcome<Vec<Standing>> {
    rows.iter()
        .map(|row| row.start(bench.address, &bench.programs))
        .collect()
}

impl Bench {
    fn start(args: &RunArgs) -> Outcome<Self> {
        fs::create_dir_all(&args.out).doing("the directory of the samples")?;
        let directory = TempDir::new().doing("temporary directory")?;
        let mut command = own(&["origin"])?;
        let mut origin = Process::start(&mut command, directory.path(), "origin")?;
        let address = origin.wait_for(|line| line.parse().ok())?;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(args.out.join("samples.jsonl"));
        Ok(Self {
            programs: programs(args)?,
            origin,
            address,
            seconds: args.seconds.unwrap_or(if args.quick { 0.5 } else { 1.0 }),
            warm: if args.quick { 0.2 } else { 0.3 },
            file: file.doing("samples.jsonl")?,
            stamp: stamp(),
            directory,
        })
    }

    fn visit(&mut self, round: u32, metric: Metric, row: &Row, standing: &Standing) -> Outcome<()> {
        let measured = match metric.what {
            What::Visits(shape, at_once) => {
                let measured = visit::measure(self, shape, at_once, standing);
                measured.map(|measured| vec![(metric.name.into(), measured)])
            }
            What::Idle if row.is_direct() => return Ok(()),
            What::Idle => idle::measure(self, row),
            What::Agents if !row.has_provider() => return Ok(()),
            What::Agents => agents::measure(self, row),
            What::First if !row.is_dialled() || standing.public.ca.is_some() => return Ok(()),
            What::First => first::measure(self, row),
        };
        let failed = |problem| Problem::new(format!("{}, {}: {problem}", row.name, metric.name));
        for (name, measured) in measured.map_err(failed)? {
            self.keep(round, row, name, measured)?;
        }
        Ok(())
    }

    fn keep(&mut self, round: u32, row: &Row, metric: String, measured: Measured) -> Outcome<()> {
        let sample = Sample {
            row: row.name.clone(),
            metric,
            round,
            measured,
            time: machine::now(),
            ..self.stamp.clone()
        };
        eprintln!(
            "{round} {} {} {:.2}",
            sample.metric, row.name, sample.measured.value
        );
        let line = serde_json::to_string(&sample).doing("a sample")?;
        writeln!(self.file, "{line}").doing("samples.jsonl")
    }
}

fn programs(args: &RunArgs) -> Outcome<Programs> {
    let suffixes: &[&str] = match args.adit.len() {
        1 => &[""],
        2 => &["-a", "-b"],
        _ => return Err(Problem::new("--adit can be given twice, no more")),
    };
    let whole = |path: &PathBuf| fs::canonicalize(path).doing(&format!("{}", path.display()));
    let adit: Outcome<_> = args
        .adit
        .iter()
        .zip(suffixes)
        .map(|(path, suffix)| Ok(((*suffix).to_owned(), whole(path)?)))
        .collect();
    Ok(Programs {
        adit: adit?,
        bore: args.bore.clone(),
    })
}

fn stamp() -> Sample {
    let words: Vec<String> = std::env::args().skip(1).collect();
    Sample {
        row: String::new(),
        metric: String::new(),
        round: 0,
        measured: Measured::default(),
        time: 0,
        commit: machine::commit(),
        machine: machine::describe(),
        command: words.join(" "),
    }
}

/// This program in another role.
pub(crate) fn own(args: &[&str]) -> Outcome<Command> {
    let mut command = Command::new(std::env::current_exe().doing("this program's path")?);
    command.args(args);
    Ok(command)
}

/// Those whose names begin so; a name that fits none is a mistake.
fn chosen<T>(all: Vec<T>, wanted: &[String], name: impl Fn(&T) -> &str) -> Outcome<Vec<T>> {
    if let Some(odd) = wanted
        .iter()
        .find(|wanted| !all.iter().any(|one| name(one).starts_with(wanted.as_str())))
    {
        let names: Vec<&str> = all.iter().map(&name).collect();
        return Err(Problem::new(format!(
            "{odd} is none of {}",
            names.join(", ")
        )));
    }
    let fits = |one: &T| {
        wanted
            .iter()
            .any(|wanted| name(one).starts_with(wanted.as_str()))
    };
    Ok(all
        .into_iter()
        .filter(|one| wanted.is_empty() || fits(one))
        .collect())
}
