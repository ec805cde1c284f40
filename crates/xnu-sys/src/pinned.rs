//! Every size, offset and number a second time, in `pinned.txt`, compared while this crate is
//! compiled, on every host.
//!
//! Whoever adds or changes one says so there too, in the place where the list has it; the compiler
//! names the first line that is not as it should be. The values are those of the macOS headers and
//! of XNU's sources: `cargo xtask abi --check` has a C compiler say so.

use crate::abi::{Header, Line, headers};

const PINNED: &[u8] = include_bytes!("pinned.txt");

const _: () = compare(PINNED, headers());

const fn compare(mut pinned: &[u8], headers: &[Header]) {
    let mut place = 0;
    while place < headers.len() {
        pinned = compare_header(pinned, &headers[place]);
        place += 1;
    }
    assert!(pinned.is_empty(), "pinned.txt goes on after the last item of the list");
}

/// Takes the lines of a header off the list's begin.
const fn compare_header<'a>(mut pinned: &'a [u8], header: &Header) -> &'a [u8] {
    let mut place = 0;
    while place < header.structs.len() {
        let item = &header.structs[place];
        pinned = take(pinned, &Line::of_struct(item));
        let mut field = 0;
        while field < item.fields.len() {
            if !item.fields[field].is_padding() {
                pinned = take(pinned, &Line::of_field(item, &item.fields[field]));
            }
            field += 1;
        }
        place += 1;
    }
    let mut place = 0;
    while place < header.constants.len() {
        pinned = take(pinned, &Line::of_constant(&header.constants[place]));
        place += 1;
    }
    pinned
}

const fn take<'a>(pinned: &'a [u8], line: &Line) -> &'a [u8] {
    let ours = line.as_str().as_bytes();
    let Some((head, [b'\n', rest @ ..])) = pinned.split_at_checked(ours.len()) else {
        differs(line);
    };
    let mut place = 0;
    while place < ours.len() {
        if head[place] != ours[place] {
            differs(line);
        }
        place += 1;
    }
    rest
}

const fn differs(line: &Line) -> ! {
    let text = Line::new().text("pinned.txt has another line where the headers say: ");
    panic!("{}", text.text(line.as_str()).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The comparison sees a line that differs, one that is missing and one too many.
    #[test]
    fn every_difference_is_seen() {
        let compares = |text: Vec<u8>| {
            std::panic::catch_unwind(|| compare(&text, headers())).map_err(|why| {
                why.downcast_ref::<String>().cloned().unwrap_or_else(|| {
                    why.downcast_ref::<&str>().copied().unwrap_or_default().to_owned()
                })
            })
        };
        let pinned = std::str::from_utf8(PINNED).unwrap();
        assert_eq!(compares(pinned.into()), Ok(()));
        let other = pinned.replace("const IFF_UP 0x1\n", "const IFF_UP 0x2\n");
        assert!(compares(other.into()).unwrap_err().ends_with("const IFF_UP 0x1"));
        let missing = pinned.replace("field ifreq.ifr_ifru 16\n", "");
        assert!(compares(missing.into()).unwrap_err().ends_with("field ifreq.ifr_ifru 16"));
        let longer = pinned.replace("struct ifreq 32 8\n", "struct ifreq 32 88\n");
        assert!(compares(longer.into()).unwrap_err().ends_with("struct ifreq 32 8"));
        let more = format!("{pinned}const IFF_UP 0x1\n");
        assert!(compares(more.into()).unwrap_err().contains("after the last"));
    }
}
