//! The side-by-side benchmark: adit beside direct connections, two chained nginx, `ssh -R` and bore, on one machine, in
//! separate processes, in interleaved rounds, with every raw sample kept. `benches/run` is the one command;
//! docs/performance.md says what is compared and what came out.

mod agents;
mod goals;
mod load;
mod machine;
mod metrics;
mod origin;
mod pattern;
mod problem;
mod proc;
mod process;
mod report;
mod rows;
mod run;
mod sample;
mod scale;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(
    name = "benches",
    about = "Measures adit beside other ways to the same origin"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Measure, and append the raw samples to DIR/samples.jsonl
    Run(run::RunArgs),
    /// Hold very many sessions at one edge, kill it, and append what that cost to DIR/scale.jsonl
    Scale(scale::ScaleArgs),
    /// Make the tables from raw samples
    Report(report::ReportArgs),
    /// The server behind every path (started by `run`)
    Origin(origin::OriginArgs),
    /// Many idle agents of one provider (started by `run`)
    Agents(agents::AgentsArgs),
    /// The visitors of one sample (started by `run`)
    Load(load::LoadArgs),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Scale(args) => scale::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Origin(args) => origin::run(&args),
        Command::Agents(args) => agents::run(args),
        Command::Load(args) => load::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("benches: {problem}");
            ExitCode::FAILURE
        }
    }
}
