//! `vswitch`: arguments in, words out. Each command is one file; this one only dispatches.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bridge;
mod clean;
mod config;
mod exec;
mod failure;
mod filter;
mod host;
mod interface;
mod output;
mod probe;
mod run;
mod signals;

/// A layer-2 switch for virtual machines.
#[derive(Parser, Debug)]
#[command(name = "vswitch", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Run(run::Arguments),
    Config(config::Arguments),
    Clean(clean::Arguments),
    Exec(exec::Arguments),
    #[command(name = "if")]
    Interface(interface::Arguments),
    Bridge(bridge::Arguments),
    Filter(filter::Arguments),
    Probe(probe::Arguments),
}

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == exec::BECOME) {
        return exec::become_command(&words[2..]);
    }
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run::main(arguments),
        Command::Config(arguments) => config::main(arguments),
        Command::Clean(arguments) => clean::main(arguments),
        Command::Exec(arguments) => exec::main(arguments),
        Command::Interface(arguments) => interface::main(arguments),
        Command::Bridge(arguments) => bridge::main(arguments),
        Command::Filter(arguments) => filter::main(arguments),
        Command::Probe(arguments) => probe::main(arguments),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("vswitch: {failure}");
        ExitCode::FAILURE
    })
}
