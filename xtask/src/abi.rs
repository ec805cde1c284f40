//! `cargo xtask abi`: what `xnu-sys` says of XNU's ABI, and what a C compiler says.

use std::fs;
use std::process::Command;

use xnu_sys::abi::{headers, list};

use crate::darwin::{CCompiler, Target};
use crate::failure::{Failure, Result};
use crate::workspace::Workspace;

mod c_source;

/// Prints every structure, field and number of XNU that xnu-sys declares, one a line, under C's
/// names.
///
/// `struct NAME SIZE ALIGNMENT`, `field STRUCT.NAME OFFSET`, `const NAME VALUE`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: cargo xtask abi | grep ifbreq")]
pub(crate) struct Arguments {
    /// Compare all of it with the macOS headers instead, by a C compiler for both Macs
    #[arg(long)]
    check: bool,
}

/// Prints the list, or compares it.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    if !arguments.check {
        print!("{}", list());
        return Ok(());
    }
    let workspace = Workspace::load()?;
    let c_compiler = CCompiler::find(&workspace)?;
    for target in Target::ALL {
        println!("{}", check(&workspace, target.triple(), c_compiler.call(target))?);
    }
    Ok(())
}

/// Has a C compiler for one of the Macs (`cc` is a call of it, `target` its name for people)
/// compare every size, alignment, offset and number: those of public headers with its macOS
/// headers, the others with our own declaration in C. What it did, in words; a failure has been
/// told, item by item.
pub(crate) fn check(workspace: &Workspace, target: &str, mut cc: Command) -> Result<String> {
    let directory = workspace.scratch("xtask/abi")?;
    for (name, text) in c_source::files(headers()) {
        let path = directory.join(name);
        fs::write(&path, text)
            .map_err(|error| Failure::new(format!("write {}", path.display()), error))?;
    }
    cc.current_dir(&directory).args(c_source::COMPILER_ARGUMENTS).arg(c_source::MAIN_FILE);
    cc.args(["-o", &format!("{target}.o")]);
    let what = format!("compile the ABI's check for {target}");
    let output = cc.output().map_err(|error| Failure::new(&what, error))?;
    let told = String::from_utf8_lossy(&output.stderr);
    verdict(target, output.status.success(), &told)
}

/// What the compiler said, in words.
fn verdict(target: &str, agrees: bool, told: &str) -> Result<String> {
    if !agrees {
        eprint!("{told}");
        let count = told.matches(" error: ").count();
        let words =
            format!("abi: xnu-sys and C differ for {target} in {count} places, named above");
        return Err(Failure::found(words));
    }
    let mut words = format!("abi: {target}: C agrees on {}", c_source::words(headers()));
    for path in c_source::missing_headers(told) {
        words += &format!("; the compiler has no {path}, for which our declaration stood in");
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_one_line_for_each_item() {
        let list = list();
        for line in [
            "struct ifbreq 80 4",
            "field ifbreq.ifbr_ifsflags 16",
            "field ndrv_demux_desc.type 0",
            "const SIOCSDRVSPEC 0x8028697b",
            "const IFF_UP 0x1",
            "const BRDGADD 0x0",
            "const EVFILT_READ -1",
            "const ENOBUFS 0x37",
        ] {
            assert!(list.lines().any(|is| is == line), "{line}");
        }
        assert!(!list.contains("pad0"), "padding has no name in C");
    }

    #[test]
    fn no_name_is_there_twice() {
        let list = list();
        let names = list.lines().map(|line| {
            let mut words = line.split(' ');
            (words.next(), words.next())
        });
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
    #[test]
    fn a_difference_fails_and_a_missing_header_is_told() {
        let told = "check.c:1:1: error: static assertion failed\ncheck.c:2:1: error: no such\n";
        let failure = verdict("a-mac", false, told).unwrap_err().to_string();
        assert!(failure.contains("for a-mac in 2 places"), "{failure}");
        let told = "check.c:3:2: warning: net/a.h is not among these headers [-W#warnings]\n";
        let words = verdict("a-mac", true, told).unwrap();
        assert!(words.contains("the compiler has no net/a.h"), "{words}");
        assert!(!verdict("a-mac", true, "").unwrap().contains("has no"));
    }
}
