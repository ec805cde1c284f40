//! `vswitch`: arguments in, words out. Each command is one file; this one only dispatches.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bridge;
mod clean;
mod completions;
mod config;
mod control;
mod doctor;
mod exec;
mod failure;
mod filter;
mod host;
mod interface;
mod man;
mod output;
mod probe;
mod run;
mod service_manager;
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
    Networks(control::networks::Arguments),
    Ports(control::ports::Arguments),
    Port(control::port::Arguments),
    Uplink(control::uplink::Arguments),
    Fdb(control::fdb::Arguments),
    Stats(control::stats::Arguments),
    Top(control::top::Arguments),
    Events(control::events::Arguments),
    Capture(control::capture::Arguments),
    Reload(control::reload::Arguments),
    Clean(clean::Arguments),
    Doctor(doctor::Arguments),
    Exec(exec::Arguments),
    #[command(name = "if")]
    Interface(interface::Arguments),
    Bridge(bridge::Arguments),
    Filter(filter::Arguments),
    Probe(probe::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == exec::BECOME) {
        return exec::become_command(&words[2..]);
    }
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run::main(arguments),
        Command::Config(arguments) => config::main(arguments),
        Command::Networks(arguments) => control::networks::main(&arguments),
        Command::Ports(arguments) => control::ports::main(&arguments),
        Command::Port(arguments) => control::port::main(arguments),
        Command::Uplink(arguments) => control::uplink::main(arguments),
        Command::Fdb(arguments) => control::fdb::main(&arguments),
        Command::Stats(arguments) => control::stats::main(&arguments),
        Command::Top(arguments) => control::top::main(&arguments),
        Command::Events(arguments) => control::events::main(&arguments),
        Command::Capture(arguments) => control::capture::main(&arguments),
        Command::Reload(arguments) => control::reload::main(&arguments),
        Command::Clean(arguments) => clean::main(arguments),
        Command::Doctor(arguments) => doctor::main(&arguments),
        Command::Exec(arguments) => exec::main(arguments),
        Command::Interface(arguments) => interface::main(arguments),
        Command::Bridge(arguments) => bridge::main(arguments),
        Command::Filter(arguments) => filter::main(arguments),
        Command::Probe(arguments) => probe::main(arguments),
        Command::Completions(arguments) => completions::main(arguments),
        Command::Man(arguments) => man::main(arguments),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("vswitch: {failure}");
        ExitCode::FAILURE
    })
}
