use super::*;

fn program(words: &[(u16, u8, u8, u32)]) -> Vec<u8> {
    let bytes = |&(code, when_true, when_false, k): &(u16, u8, u8, u32)| {
        let mut bytes = code.to_le_bytes().to_vec();
        bytes.extend([when_true, when_false]);
        bytes.extend(k.to_le_bytes());
        bytes
    };
    words.iter().flat_map(bytes).collect()
}

fn is_taken(words: &[(u16, u8, u8, u32)]) -> bool {
    validate(&program(words), 0x80000)
}

const RET: (u16, u8, u8, u32) = (0x06, 0, 0, 7);

/// Contract M5: 1 to 512 instructions, the last of class `ret`.
#[test]
fn lengths_and_ends() {
    assert!(!is_taken(&[]));
    assert!(is_taken(&vec![RET; 512]));
    assert!(!is_taken(&vec![RET; 513]));
    assert!(!is_taken(&[RET, (0x00, 0, 0, 0)]));
    assert!(!validate(&program(&[RET])[..7], 0x80000));
}

/// Contract C18: what is looser than it sounds passes, and rejects when it is run.
#[test]
fn codes_without_meaning_pass_and_reject() {
    for code in [0x0e, 0x1e, 0xfe, 0x0f, 0x27, 0x08, 0x98, 0x138, 0x106, 0x8c, 0x21, 0xa0, 0xff06] {
        let words = [(code, 0, 0, 0), RET];
        assert!(is_taken(&words), "{code:#x}");
        assert_eq!(run(&program(&words), &[0; 60]), 0, "{code:#x}");
    }
    // Neither mod nor xor, no ninth operation, no sixth mode.
    for code in [0x94, 0xa4, 0xb4, 0xc0, 0xe1, 0x55] {
        assert!(!is_taken(&[(code, 0, 0, 0), RET]), "{code:#x}");
    }
}

/// Contract M5: jumps go forward and stay within; the 32 bits of `ja` do not wrap.
#[test]
fn jumps_stay_within() {
    assert!(is_taken(&[(0x05, 0, 0, 1), RET, RET]));
    assert!(!is_taken(&[(0x05, 0, 0, 2), RET, RET]));
    assert!(!is_taken(&[(0x05, 0, 0, u32::MAX), RET]));
    assert!(is_taken(&[(0x15, 1, 0, 0), RET, RET]));
    assert!(!is_taken(&[(0x15, 2, 0, 0), RET, RET]));
    assert!(!is_taken(&[(0x15, 0, 2, 0), RET, RET]));
}

/// Contract M5: constants that are checked.
#[test]
fn operands_that_are_refused() {
    assert!(!is_taken(&[(0x34, 0, 0, 0), RET]));
    assert!(!is_taken(&[(0x134, 0, 0, 0), RET]));
    assert!(is_taken(&[(0x3c, 0, 0, 0), RET]));
    for code in [0x02, 0x03, 0x60, 0x61, 0x12, 0xfb] {
        assert!(is_taken(&[(code, 0, 0, 15), RET]), "{code:#x}");
        assert!(!is_taken(&[(code, 0, 0, 16), RET]), "{code:#x}");
    }
    for code in [0x20, 0x28, 0x30, 0x40, 0xb1, 0xa0] {
        assert!(is_taken(&[(code, 0, 0, 0x7ffff), RET]), "{code:#x}");
        assert!(!is_taken(&[(code, 0, 0, 0x80000), RET]), "{code:#x}");
    }
}

/// Contract M5: registers and memory begin as 0; dividing by X of 0 and loads from outside reject;
/// `ind` wraps; `len` is the whole frame's.
#[test]
fn it_runs_as_the_contract_says() {
    let frame: Vec<u8> = (0..60).collect();
    let taken = |words: &[(u16, u8, u8, u32)]| run(&program(words), &frame);
    let ret_a = (0x16, 0, 0, 0);
    assert_eq!(taken(&[ret_a]), 0);
    assert_eq!(taken(&[(0x60, 0, 0, 15), (0x04, 0, 0, 3), ret_a]), 3);
    assert_eq!(taken(&[(0x00, 0, 0, 9), (0x3c, 0, 0, 0), RET]), 0);
    assert_eq!(taken(&[(0x20, 0, 0, 12), ret_a]), 0x0c0d_0e0f);
    assert_eq!(taken(&[(0x20, 0, 0, 57), RET]), 0);
    assert_eq!(taken(&[(0x28, 0, 0, 58), ret_a]), 0x3a3b);
    assert_eq!(taken(&[(0x30, 0, 0, 60), RET]), 0);
    assert_eq!(taken(&[(0x01, 0, 0, u32::MAX), (0x50, 0, 0, 3), ret_a]), 2);
    assert_eq!(taken(&[(0xb1, 0, 0, 21), (0x87, 0, 0, 0), ret_a]), 20);
    assert_eq!(taken(&[(0x80, 0, 0, 0), ret_a]), 60);
    assert_eq!(taken(&[(0x00, 0, 0, 1), (0x64, 0, 0, 33), ret_a]), 2);
    assert_eq!(taken(&[(0x00, 0, 0, 5), (0x84, 0, 0, 0), ret_a]), 5_u32.wrapping_neg());
    assert_eq!(taken(&[(0x35, 1, 0, 0), RET, (0x06, 0, 0, 1)]), 1);
}
