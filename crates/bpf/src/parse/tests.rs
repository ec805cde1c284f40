use super::*;

fn words(text: &str) -> Vec<(u16, u8, u8, u32)> {
    let program = parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    program.words().iter().map(|&raw| raw.into()).collect()
}

fn reason(text: &str) -> (usize, ParseReason) {
    let error = parse(text).expect_err("refused");
    (error.line, error.reason)
}

#[test]
fn every_form_of_every_instruction() {
    let forms = [
        ("ld [4]", (0x20, 0, 0, 4)),
        ("ldh [0xc]", (0x28, 0, 0, 12)),
        ("ldb [x+014]", (0x50, 0, 0, 12)),
        ("ldb [%x + 0b101]", (0x50, 0, 0, 5)),
        ("ldh [x]", (0x48, 0, 0, 0)),
        ("ld [x -2]", (0x40, 0, 0, 0xffff_fffe)),
        ("ld #7", (0x00, 0, 0, 7)),
        ("ldi 7", (0x00, 0, 0, 7)),
        ("ldi #7", (0x00, 0, 0, 7)),
        ("ldxi 7", (0x01, 0, 0, 7)),
        ("ldx #7", (0x01, 0, 0, 7)),
        ("ld M[3]", (0x60, 0, 0, 3)),
        ("ldx M[3]", (0x61, 0, 0, 3)),
        ("ld #len", (0x80, 0, 0, 0)),
        ("ld #pktlen", (0x80, 0, 0, 0)),
        ("ld len", (0x80, 0, 0, 0)),
        ("ldx #len", (0x81, 0, 0, 0)),
        ("ld #vlan_tci", (0x20, 0, 0, 0xffff_f02c)),
        ("ldb vlan_avail", (0x30, 0, 0, 0xffff_f030)),
        ("ldh #proto", (0x28, 0, 0, 0xffff_f000)),
        ("ldxb 4*([14]&0xf)", (0xb1, 0, 0, 14)),
        ("ldx 4 * ([14] & 15)", (0xb1, 0, 0, 14)),
        ("st M[0]", (0x02, 0, 0, 0)),
        ("stx M[15]", (0x03, 0, 0, 15)),
        ("add #-1", (0x04, 0, 0, 0xffff_ffff)),
        ("sub x", (0x1c, 0, 0, 0)),
        ("mul %x", (0x2c, 0, 0, 0)),
        ("div #3", (0x34, 0, 0, 3)),
        ("mod #3", (0x94, 0, 0, 3)),
        ("and #0xff", (0x54, 0, 0, 255)),
        ("or x", (0x4c, 0, 0, 0)),
        ("xor x", (0xac, 0, 0, 0)),
        ("lsh #2", (0x64, 0, 0, 2)),
        ("rsh x", (0x7c, 0, 0, 0)),
        ("neg", (0x84, 0, 0, 0)),
        ("tax", (0x07, 0, 0, 0)),
        ("txa", (0x87, 0, 0, 0)),
        ("ret #-1", (0x06, 0, 0, 0xffff_ffff)),
        ("ret a", (0x16, 0, 0, 0)),
        ("ret %a", (0x16, 0, 0, 0)),
        (".raw 0xffff, 1, 0x2, 3", (0xffff, 1, 2, 3)),
    ];
    for (text, word) in forms {
        assert_eq!(words(text), [word], "{text}");
    }
}

#[test]
fn conditions_and_their_opposites() {
    let jump = |line: &str| words(&format!("{line}\nret #1\nyes: ret #2\nno: ret #3"))[0];
    assert_eq!(jump("jeq #1, yes, no"), (0x15, 1, 2, 1));
    assert_eq!(jump("jeq x, yes"), (0x1d, 1, 0, 0));
    assert_eq!(jump("jneq #1, yes"), (0x15, 0, 1, 1));
    assert_eq!(jump("jne #1, yes, no"), (0x15, 2, 1, 1));
    assert_eq!(jump("jgt #1, yes"), (0x25, 1, 0, 1));
    assert_eq!(jump("jle #1, yes"), (0x25, 0, 1, 1));
    assert_eq!(jump("jge x, yes"), (0x3d, 1, 0, 0));
    assert_eq!(jump("jlt #1, yes"), (0x35, 0, 1, 1));
    assert_eq!(jump("jset #1, yes, no"), (0x45, 1, 2, 1));
    assert_eq!(jump("jmp no"), (0x05, 0, 0, 2));
    assert_eq!(jump("ja yes"), (0x05, 0, 0, 1));
}

#[test]
fn a_tcpdump_listing() {
    let listing = "(000) ldh      [12]
        (001) jeq      #0x806           jt 2\tjf 4
        (002) ja       3
        (003) ret      #262144
        (004) ret      #0";
    let in_words = [
        (0x28, 0, 0, 12),
        (0x15, 0, 2, 0x806),
        (0x05, 0, 0, 0),
        (0x06, 0, 0, 262_144),
        (6, 0, 0, 0),
    ];
    assert_eq!(words(listing), in_words);
    let long: String = (0..12).map(|index| format!("({index:03}) ret #{index}\n")).collect();
    assert_eq!(words(&long)[9], (0x06, 0, 0, 9));
    assert_eq!(reason("(+1) ret #0"), (1, ParseReason::Number("+1".into())));
    assert_eq!(reason("(1 ret #0"), (1, expected("an instruction", "'('")));
    assert_eq!(reason("(001) ret #0"), (1, ParseReason::Index { expected: 0, found: 1 }));
}

#[test]
fn comments_labels_and_blank_lines() {
    let text =
        "; first\n\n/* over\n two lines */ ja end ; there\nret #1\nend:\nlast: ret #2 /* open";
    assert_eq!(words(text), [(0x05, 0, 0, 1), (0x06, 0, 0, 1), (0x06, 0, 0, 2)]);
    assert_eq!(words(""), []);
}

#[test]
fn wrong_lines_are_named() {
    let cases = [
        ("ret #0\nfoo", 2, ParseReason::Mnemonic("foo".into())),
        ("ld [12", 1, expected("']'", "the end of the line")),
        ("ret #0 x", 1, expected("the end of the line", "\"x\"")),
        ("ret #", 1, expected("a number", "the end of the line")),
        ("ret", 1, expected("an operand", "the end of the line")),
        ("ld #nope", 1, expected("a number or a name that a load knows", "\"nope\"")),
        ("ldx [4]", 1, ParseReason::Operand { mnemonic: "ldx".into() }),
        ("ret x", 1, ParseReason::Operand { mnemonic: "ret".into() }),
        ("ldx 3*([1]&0xf)", 1, expected("4*([offset]&0xf)", "3*([1]&0xf)")),
        ("ld #0x100000000", 1, ParseReason::Number("0x100000000".into())),
        ("ld #-0x80000001", 1, ParseReason::Number("-0x80000001".into())),
        ("ld #12ab", 1, ParseReason::Number("12ab".into())),
        ("ld #0x", 1, ParseReason::Number("0x".into())),
        ("ld #08", 1, ParseReason::Number("08".into())),
        (".raw 0x10000, 0, 0, 0", 1, ParseReason::Range { value: 0x10000, max: 65535 }),
        (".raw 1, 256, 0, 0", 1, ParseReason::Range { value: 256, max: 255 }),
        ("ret #0 é", 1, ParseReason::Character('é')),
        ("ja nowhere\nret #0", 1, ParseReason::LabelNowhere("nowhere".into())),
        ("back: ret #0\nja back", 2, ParseReason::LabelBackward("back".into())),
        ("ret #0\nja end\nend:", 2, ParseReason::LabelAtEnd("end".into())),
        ("ja 7\nret #0", 1, ParseReason::LabelAtEnd("7".into())),
        ("l: ret #0\nl: ret #0", 2, ParseReason::LabelTwice("l".into())),
        ("jeq #1", 1, expected("','", "the end of the line")),
        ("jeq #1 jt 1", 1, expected("jf", "the end of the line")),
        ("jeq #1,", 1, expected("a label", "the end of the line")),
        ("[", 1, expected("an instruction", "'['")),
    ];
    for (text, line, why) in cases {
        assert_eq!(reason(text), (line, why), "{text}");
    }
}

#[test]
fn text_without_end_is_refused_in_time() {
    let text = "ret #0\n".repeat(crate::MAX_STATEMENTS + 1);
    assert_eq!(reason(&text), (crate::MAX_STATEMENTS + 1, ParseReason::TooLong));
}

fn expected(expected: &'static str, found: &str) -> ParseReason {
    ParseReason::Expected { expected, found: found.to_owned() }
}
