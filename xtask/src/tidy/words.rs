//! What must not stand in a committed file: unfinished places, and paths of one machine.

use std::path::{Path, PathBuf};

use super::source::{code_only, line_of, words};
use super::{Finding, SourceFile};

/// Macros that mark unfinished code. Split, so that this file does not contain them.
const UNFINISHED_MACROS: &[&str] =
    &[concat!("to", "do!"), concat!("unimple", "mented!"), concat!("db", "g!")];

/// Notes that mark unfinished code, in comments too. Split for the same reason.
const UNFINISHED_NOTES: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X")];

/// Directories that every machine has: a path below them tells nothing of this one.
const COMMON: &[&str] = &["/", "/tmp", "/var", "/run", "/etc", "/usr", "/opt", "/home", "/srv"];

/// Unfinished places in Rust files.
pub(super) fn check_unfinished(files: &[SourceFile]) -> Vec<Finding> {
    files.iter().flat_map(unfinished).collect()
}

/// Paths below `places` in any file.
pub(super) fn check_machine_paths(files: &[SourceFile], places: &[PathBuf]) -> Vec<Finding> {
    let places: Vec<String> = places.iter().map(|place| format!("{}/", place.display())).collect();
    let mut findings = Vec::new();
    for file in files {
        for place in &places {
            let lines = absolute(&file.text, place).map(|at| line_of(&file.text, at));
            let message = format!("a path of this machine: {place}");
            findings.extend(lines.map(|line| Finding::at(&file.path, line, &message)));
        }
    }
    findings
}

/// The directories whose names tell of this machine: the workspace, what it lies in, the home.
pub(super) fn machine_places(root: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let places = [Some(root), root.parent(), home];
    let telling =
        |place: &&Path| place.is_absolute() && !COMMON.iter().any(|c| *place == Path::new(c));
    places.into_iter().flatten().filter(telling).map(Path::to_owned).collect()
}

fn unfinished(file: &SourceFile) -> Vec<Finding> {
    let code = code_only(&file.text);
    let notes = UNFINISHED_NOTES
        .iter()
        .flat_map(|note| words(&file.text, note).map(|at| (line_of(&file.text, at), *note)));
    let macros = UNFINISHED_MACROS
        .iter()
        .flat_map(|name| code.match_indices(name).map(|(at, _)| (line_of(&code, at), *name)));
    let finding = |(line, word)| {
        Finding::at(&file.path, line, format!("unfinished: {word}, finish it or say why"))
    };
    notes.chain(macros).map(finding).collect()
}

/// Where `place` stands in `text` as the beginning of an absolute path, not inside another path.
fn absolute<'a>(text: &'a str, place: &'a str) -> impl Iterator<Item = usize> + 'a {
    let joins = |c: char| c.is_alphanumeric() || "._-/}$)>~*".contains(c);
    let found = text.match_indices(place).map(|(at, _)| at);
    found.filter(move |&at| !text[..at].chars().next_back().is_some_and(joins))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile { path: "a".into(), text: text.into() }
    }

    #[test]
    fn unfinished_code_is_found() {
        for macro_name in UNFINISHED_MACROS {
            assert_eq!(check_unfinished(&[file(&format!("fn f() {{ {macro_name}() }}"))]).len(), 1);
            assert_eq!(check_unfinished(&[file(&format!("// no {macro_name} here"))]), []);
        }
        for note in UNFINISHED_NOTES {
            assert_eq!(check_unfinished(&[file(&format!("a\n// {note}: b"))])[0].line, Some(2));
            assert_eq!(check_unfinished(&[file(&format!("{note}{note}"))]), []);
        }
    }

    #[test]
    fn paths_of_this_machine_are_found() {
        let places = machine_places(Path::new("/data/me/project"), Some(Path::new("/people/me")));
        assert_eq!(places.len(), 3);
        let found = |text: &str| check_machine_paths(&[file(text)], &places).len();
        assert_eq!(found("cd /people/me/x"), 1);
        assert_eq!(found("`/data/me/other`"), 1);
        assert_eq!(found("see tests/data/me/other and $ROOT/data/me/x"), 0);
    }

    #[test]
    fn common_directories_tell_nothing() {
        assert_eq!(machine_places(Path::new("/tmp"), Some(Path::new("/"))), Vec::<PathBuf>::new());
    }
}
