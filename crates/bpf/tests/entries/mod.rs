//! What must hold of any bytes: called by the property tests, and by the fuzz targets in `fuzz/`.

use bpf::{Dialect, Instruction, Listing, Metadata, Program, RawInsn, run, verify, words};

/// Bytes as text in any of the forms of a program.
pub(crate) fn text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(program) = words::parse_any(&text) {
        same_in_every_form(program.words());
        judged_and_run(program.words(), bytes);
    }
    // A form that the text does not begin like must refuse it without harm.
    let _ = bpf::parse(&text);
    let _ = words::parse_c(&text);
    let _ = words::parse_decimal(&text);
}

/// Bytes as the words of a program (the first says how many) and a frame.
pub(crate) fn program(bytes: &[u8]) {
    let Some((&count, bytes)) = bytes.split_first() else { return };
    let (program, frame) = bytes.split_at(bytes.len().min(8 * usize::from(count)));
    let words: Vec<RawInsn> = program.chunks_exact(8).map(word).collect();
    same_in_every_form(&words);
    judged_and_run(&words, frame);
}

fn word(bytes: &[u8]) -> RawInsn {
    RawInsn {
        code: u16::from_le_bytes([bytes[0], bytes[1]]),
        jt: bytes[2],
        jf: bytes[3],
        k: u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    }
}

fn same_in_every_form(words: &[RawInsn]) {
    let program = Program::from(words.to_vec());
    for &word in words {
        assert_eq!(Instruction::decode(word).encode(), word);
    }
    let listing = Listing(words).to_string();
    assert_eq!(listing.lines().count(), words.len());
    assert_eq!(bpf::parse(&listing), Ok(program.clone()), "{listing}");
    assert_eq!(words::parse_c(&words::to_c(words)), Ok(program.clone()));
    assert_eq!(words::parse_decimal(&words::to_decimal(words)), Ok(program));
}

fn judged_and_run(words: &[RawInsn], frame: &[u8]) {
    for dialect in [Dialect::Linux, Dialect::Xnu] {
        let verified = verify(dialect, words);
        for metadata in [Metadata::default(), Metadata::ethernet(frame)] {
            let verdict = run(dialect, words, frame, &metadata);
            assert!(verdict.is_ok() || verified.is_err(), "{dialect:?}: {verdict:?}");
        }
    }
}
