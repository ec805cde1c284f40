//! The C file that says of every item of the list that C agrees, as static assertions.

use std::fmt::{Display, Write as _};

use xnu_sys::abi::{Constant, Header, Line, Struct};

/// The file that the compiler is called with.
pub(super) const MAIN_FILE: &str = "check.c";

/// Every difference is told, not only the first twenty.
pub(super) const COMPILER_ARGUMENTS: [&str; 4] = ["-c", "-std=gnu11", "-ferror-limit=0", "-Wall"];

/// What the compiler says after the path of a header that it does not have.
const MISSING: &str = " is not among these headers";

/// The files by their names: [`MAIN_FILE`], and what it includes of ours.
pub(super) fn files(headers: &[Header]) -> [(&'static str, String); 2] {
    [(MAIN_FILE, main_file(headers)), ("private.h", include_str!("private.h").to_owned())]
}

/// How much is compared.
pub(super) fn words(headers: &[Header]) -> String {
    let count = |is_public: bool| {
        let headers = headers.iter().filter(move |header| header.is_public == is_public);
        let structs = headers.clone().flat_map(|header| header.structs);
        let fields = structs.clone().flat_map(|item| item.fields);
        let fields = fields.filter(|field| !field.is_padding()).count();
        let numbers: usize = headers.map(|header| header.constants.len()).sum();
        format!("{} structures, {fields} fields and {numbers} numbers", structs.count())
    };
    let (public, private) = (count(true), count(false));
    format!("{public} of public headers, and on {private} of private ones by our own declaration")
}

/// The headers that the compiler, by what it said, does not have.
pub(super) fn missing_headers(told: &str) -> impl Iterator<Item = &str> {
    let warnings = told.lines().filter_map(|line| line.split_once(" warning: "));
    warnings.filter_map(|(_, warning)| Some(warning.split_once(MISSING)?.0.trim()))
}

fn main_file(headers: &[Header]) -> String {
    let mut text = "#include <stddef.h>\n#include <stdint.h>\n#include <sys/types.h>\n".to_owned();
    for header in headers.iter().filter(|header| header.is_public) {
        text += &include(header.path);
    }
    text += "#include \"private.h\"\n";
    for header in headers {
        let _ = writeln!(text, "\n/* {} */", header.path);
        for item in header.structs {
            text += &structure(item);
        }
        for item in header.constants {
            text += &constant(item);
        }
    }
    text
}

/// Not every set of macOS headers has every header of the SDK; one that is missing is told.
fn include(path: &str) -> String {
    format!(
        "#if __has_include(<{path}>)\n\
         #include <{path}>\n\
         #else\n\
         #warning {path}{MISSING}\n\
         #endif\n"
    )
}

fn structure(item: &Struct) -> String {
    let name = item.name;
    let line = Line::of_struct(item);
    let mut text = assertion(&format!("sizeof(struct {name})"), item.size_bytes, &line);
    text += &assertion(&format!("_Alignof(struct {name})"), item.align_bytes, &line);
    for field in item.fields.iter().filter(|field| !field.is_padding()) {
        let line = Line::of_field(item, field);
        let offset = format!("offsetof(struct {name}, {})", field.name);
        text += &assertion(&offset, field.offset_bytes, &line);
        let size = format!("sizeof(((struct {name} *)0)->{})", field.name);
        text += &assertion(&size, field.size_bytes, &line);
    }
    text
}

fn constant(item: &Constant) -> String {
    let c = format!("(long long)({})", item.name);
    assertion(&c, item.value, &Line::of_constant(item))
}

/// The compiler says both values and, in words, which line of the list is wrong.
fn assertion(c: &str, ours: impl Display, line: &Line) -> String {
    format!("_Static_assert({c} == {ours}, \"C does not say: {}\");\n", line.as_str())
}

#[cfg(test)]
mod tests {
    use xnu_sys::abi::headers;

    use super::*;

    #[test]
    fn every_item_but_padding_is_asserted() {
        let [(_, text), _] = files(headers());
        let asserted = |line: &Line| text.matches(&format!("say: {}\"", line.as_str())).count();
        for header in headers() {
            for item in header.structs {
                assert_eq!(asserted(&Line::of_struct(item)), 2, "size and alignment");
                for field in item.fields {
                    let times = if field.is_padding() { 0 } else { 2 };
                    assert_eq!(asserted(&Line::of_field(item, field)), times, "{field:?}");
                }
            }
            for item in header.constants {
                assert_eq!(asserted(&Line::of_constant(item)), 1, "{item:?}");
            }
            assert_eq!(text.contains(&format!("#include <{}>", header.path)), header.is_public);
        }
    }

    #[test]
    fn a_field_is_compared_by_place_and_size() {
        let [(_, text), _] = files(headers());
        assert!(text.contains("offsetof(struct ndrv_demux_desc, type) == 0,"));
        assert!(text.contains("sizeof(((struct ifbreq *)0)->ifbr_ifsname) == 16,"));
        assert!(text.contains("(long long)(EVFILT_READ) == -1,"));
    }
}
