//! `guard`: lists its cases, one a line. `guard CASE FRAMES`: carries so many frames (a multiple of
//! 1000) and says nothing. Run by `cargo xtask guard`, under callgrind.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use guard::cases::CASES;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, frames] = arguments.as_slice() else {
        CASES.iter().for_each(|case| println!("{}", case.name));
        return ExitCode::SUCCESS;
    };
    let case = CASES.iter().find(|case| case.name == name);
    match (case, frames.parse()) {
        (Some(case), Ok(frames)) => {
            (case.carry)(frames);
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("guard: no case {name}, or {frames} is no number of frames");
            ExitCode::FAILURE
        }
    }
}
