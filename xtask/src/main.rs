//! The workspace's tasks, as `cargo xtask TASK`. Each task is one file; this one only dispatches.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod abi;
mod bench;
mod ci;
mod darwin;
mod docs;
mod failure;
mod fuzz;
mod guard;
mod guest_image;
mod namespace;
mod package;
mod run;
mod sim;
mod test;
mod tidy;
mod tools;
mod workspace;

/// The tasks of this workspace.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand, Debug)]
enum Task {
    Run(run::Arguments),
    Test(test::Arguments),
    Ci(ci::Arguments),
    Darwin(darwin::Arguments),
    Docs(docs::Arguments),
    Tidy(tidy::Arguments),
    GuestImage(guest_image::Arguments),
    Sim(sim::Arguments),
    Fuzz(fuzz::Arguments),
    Abi(abi::Arguments),
    Bench(bench::Arguments),
    Guard(guard::Arguments),
    Package(package::Arguments),
    #[command(hide = true)]
    EnterNamespace(namespace::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Run(arguments) => run::main(&arguments),
        Task::Test(arguments) => test::main(&arguments),
        Task::Ci(arguments) => ci::main(&arguments),
        Task::Darwin(arguments) => darwin::main(&arguments),
        Task::Docs(arguments) => docs::main(&arguments),
        Task::Tidy(arguments) => tidy::main(&arguments),
        Task::GuestImage(arguments) => guest_image::main(&arguments),
        Task::Sim(arguments) => sim::main(&arguments),
        Task::Fuzz(arguments) => fuzz::main(&arguments),
        Task::Abi(arguments) => abi::main(&arguments),
        Task::Bench(arguments) => bench::main(&arguments),
        Task::Guard(arguments) => guard::main(&arguments),
        Task::Package(arguments) => package::main(&arguments),
        Task::EnterNamespace(arguments) => namespace::main(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
