use super::*;
use crate::interp::run;
use crate::metadata::Metadata;

const BOTH: [Dialect; 2] = [Dialect::Linux, Dialect::Xnu];

/// Verdicts in both dialects, which must agree.
fn taken(program: &Program, frame: &[u8]) -> u32 {
    let [linux, xnu] = BOTH.map(|dialect| {
        run(dialect, program.words(), frame, &Metadata::ethernet(frame)).expect("no fault")
    });
    assert_eq!(linux, xnu);
    linux.0
}

fn frame(destination: [u8; 6], rest: &[u8]) -> Vec<u8> {
    let mut frame = [&destination, [2; 6].as_slice(), rest].concat();
    frame.resize(60, 0);
    frame
}

fn mac(number: usize) -> [u8; 6] {
    let [.., a, b, c, d] = u32::try_from(number).expect("small").to_be_bytes();
    [0x52, 0x54, a, b, c, d]
}

/// No two share their first two bytes.
fn scattered_mac(number: usize) -> [u8; 6] {
    let [high, low] = u16::try_from(number).expect("small").to_be_bytes();
    [high << 1, low, high, low, 0, 1]
}

#[test]
fn all_or_nothing() {
    assert_eq!(taken(&accept_all(), &[]), u32::MAX);
    assert_eq!(taken(&drop_all(), &[]), 0);
    for dialect in BOTH {
        assert_eq!(FrameSelector::default().compile(dialect), Ok(accept_all()));
    }
}

#[test]
fn listed_addresses_and_all_groups_alone() {
    for count in [0, 1, 2, 63, 64, 65, 128, 129, 400] {
        let macs: Vec<_> = (0..count).map(|number| mac(2 * number)).collect();
        let program = to_macs(&macs, Dialect::Xnu).expect("fits");
        for number in 0..2 * count + 2 {
            let listed = number % 2 == 0 && number < 2 * count;
            let verdict = taken(&program, &frame(mac(number), &[]));
            assert_eq!(verdict, if listed { u32::MAX } else { 0 }, "{number} of {count}");
        }
        assert_eq!(taken(&program, &frame([0xff; 6], &[])), u32::MAX);
        assert_eq!(taken(&program, &frame([0x33, 0x33, 0, 0, 0, 1], &[])), u32::MAX);
        assert_eq!(taken(&program, &frame([0x56, 0x54, 0, 0, 0, 0], &[])), 0);
    }
}

#[test]
fn addresses_that_share_one_half_only_are_told_apart() {
    let program = to_macs(&[[2, 0, 0, 0, 0, 1], [4, 0, 0, 0, 0, 2]], Dialect::Linux).expect("fits");
    assert_eq!(taken(&program, &frame([2, 0, 0, 0, 0, 1], &[])), u32::MAX);
    assert_eq!(taken(&program, &frame([4, 0, 0, 0, 0, 2], &[])), u32::MAX);
    assert_eq!(taken(&program, &frame([2, 0, 0, 0, 0, 2], &[])), 0);
    assert_eq!(taken(&program, &frame([4, 0, 0, 0, 0, 1], &[])), 0);
}

#[test]
fn repeated_and_group_addresses_cost_nothing() {
    let once = to_macs(&[mac(1)], Dialect::Linux);
    assert_eq!(to_macs(&[mac(1), mac(1), [0xff; 6]], Dialect::Linux), once);
}

#[test]
fn without_group_only_listed_group_addresses_pass() {
    let selector = FrameSelector { macs: vec![[0xff; 6], mac(7)], ..FrameSelector::default() };
    let program = selector.compile(Dialect::Linux).expect("fits");
    assert_eq!(taken(&program, &frame([0xff; 6], &[])), u32::MAX);
    assert_eq!(taken(&program, &frame([0x33, 0x33, 0, 0, 0, 1], &[])), 0);
    assert_eq!(taken(&program, &frame(mac(7), &[])), u32::MAX);
}

#[test]
fn ethertypes_also_behind_a_tag() {
    let mut selector =
        FrameSelector { ethertypes: vec![0x0806, 0x86dd], ..FrameSelector::default() };
    let plain = selector.compile(Dialect::Xnu).expect("fits");
    selector.vlan = true;
    let tagged = selector.compile(Dialect::Xnu).expect("fits");
    let cases: [(&[u8], bool, bool); 7] = [
        (&[0x08, 0x06], true, true),
        (&[0x86, 0xdd], true, true),
        (&[0x08, 0x00], false, false),
        (&[0x81, 0x00, 0, 5, 0x08, 0x06], false, true),
        (&[0x88, 0xa8, 0, 5, 0x86, 0xdd], false, true),
        (&[0x91, 0x00, 0, 5, 0x08, 0x00], false, false),
        (&[0x81, 0x00, 0, 5, 0x81, 0x00, 0, 6, 0x08, 0x06], false, false),
    ];
    for (rest, in_plain, in_tagged) in cases {
        let frame = frame(mac(1), rest);
        assert_eq!(taken(&plain, &frame) != 0, in_plain, "{rest:x?}");
        assert_eq!(taken(&tagged, &frame) != 0, in_tagged, "{rest:x?}");
    }
}

#[test]
fn destination_and_ethertype_must_both_be_wanted() {
    let selector = FrameSelector {
        macs: vec![mac(1)],
        group: true,
        ethertypes: vec![0x0806],
        snap_len: 64,
        ..FrameSelector::default()
    };
    let program = selector.compile(Dialect::Linux).expect("fits");
    assert_eq!(taken(&program, &frame(mac(1), &[8, 6])), 64);
    assert_eq!(taken(&program, &frame([0xff; 6], &[8, 6])), 64);
    assert_eq!(taken(&program, &frame(mac(2), &[8, 6])), 0);
    assert_eq!(taken(&program, &frame(mac(1), &[8, 0])), 0);
}

#[test]
fn short_frames_are_rejected() {
    let program = to_macs(&[mac(1)], Dialect::Linux).expect("fits");
    assert_eq!(taken(&program, &[]), 0);
    assert_eq!(taken(&program, &mac(1)[..5]), 0);
    assert_eq!(taken(&program, &mac(1)), u32::MAX);
}

#[test]
fn bad_descriptions_are_refused() {
    let length = with_ethertypes(&[0x0806, 0x05ff], Dialect::Linux);
    assert_eq!(length, Err(StockError::NotAnEtherType { ethertype: 0x05ff }));
    let nothing = FrameSelector { snap_len: 0, ..FrameSelector::default() };
    assert_eq!(nothing.compile(Dialect::Linux), Err(StockError::NothingTaken));
}

/// The numbers that the documentation of `to_macs` gives.
#[test]
fn how_many_addresses_fit() {
    let fits = |count: usize, mac: fn(usize) -> [u8; 6], dialect| {
        let macs: Vec<_> = (0..count).map(mac).collect();
        match to_macs(&macs, dialect) {
            Ok(program) => {
                assert!(program.verify(dialect).is_ok());
                true
            }
            Err(StockError::TooLong { instructions, max, .. }) => {
                assert!(instructions > max);
                false
            }
            Err(other) => panic!("{other}"),
        }
    };
    let most = |mac, dialect: Dialect| {
        let counts: Vec<usize> = (0..dialect.max_instructions()).collect();
        counts.partition_point(|&count| fits(count, mac, dialect)) - 1
    };
    assert_eq!(most(scattered_mac, Dialect::Xnu), 101);
    assert_eq!(most(scattered_mac, Dialect::Linux), 818);
    assert_eq!(most(mac, Dialect::Xnu), 486);
    assert_eq!(most(mac, Dialect::Linux), 3908);
}
