//! The Linux dialect against the Linux kernel's own filter machine: programs are attached to one
//! end of a pair of unix datagram sockets (`SO_ATTACH_FILTER`), frames are sent through it.
//!
//! A failure prints its seed; `BPF_SEED=… cargo test -p bpf --test linux_kernel` runs that case
//! alone, `BPF_CASES=…` runs more of them.
#![cfg(target_os = "linux")]

use std::io::{ErrorKind, Read as _, Write as _};

use bpf::{
    Ancillary, Dialect, Instruction, Listing, Metadata, Program, RawInsn, run, verify, words,
};
use socket2::{Domain, SockFilter, Socket, Type};

#[allow(dead_code, reason = "shared by tests that each need a part of it")]
mod common;
use common::{Random, cases, damaged, interesting, seed, sensible_program};

/// A pair of sockets; what is written to one comes out of the other through the attached filter.
struct Kernel {
    input: Socket,
    output: Socket,
    buffer: Vec<u8>,
}

/// What the kernel says of a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Attached {
    Yes,
    Invalid,
    /// Valid, but its translation is larger than `net.core.optmem_max`.
    TooLarge,
}

impl Kernel {
    fn new() -> Self {
        let (input, output) = Socket::pair(Domain::UNIX, Type::DGRAM, None).expect("socketpair");
        output.set_nonblocking(true).expect("O_NONBLOCK");
        Self { input, output, buffer: vec![0; 1 << 16] }
    }

    fn attach(&self, words: &[RawInsn]) -> Attached {
        let filter: Vec<SockFilter> = words
            .iter()
            .map(|&RawInsn { code, jt, jf, k }| SockFilter::new(code, jt, jf, k))
            .collect();
        match self.output.attach_filter(&filter).map_err(|error| error.raw_os_error()) {
            Ok(()) => Attached::Yes,
            Err(Some(libc::EINVAL)) => Attached::Invalid,
            Err(Some(libc::ENOMEM)) => Attached::TooLarge,
            Err(error) => panic!("SO_ATTACH_FILTER: errno {error:?}"),
        }
    }

    /// How many bytes of `frame` pass; `None` when it is dropped.
    fn pass(&mut self, frame: &[u8]) -> Option<usize> {
        assert_eq!(self.input.write(frame).expect("send"), frame.len());
        match self.output.read(&mut self.buffer) {
            Ok(len) => {
                assert_eq!(self.buffer[..len], frame[..len]);
                Some(len)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("recv: {error}"),
        }
    }
}

/// How many bytes pass, by this crate.
fn predicted(words: &[RawInsn], frame: &[u8]) -> Option<usize> {
    // The default metadata are those of a unix socket.
    let verdict = run(Dialect::Linux, words, frame, &Metadata::default());
    let verdict = verdict.unwrap_or_else(|fault| panic!("verified, but {fault}"));
    verdict.accepts().then(|| verdict.taken_len(frame.len()))
}

fn shown(seed: u64, words: &[RawInsn]) -> String {
    format!("BPF_SEED={seed}\n{}{}", Listing(words), words::to_decimal(words))
}

/// Depends on nothing but the frame: neither on the processor nor on chance.
fn is_deterministic(words: &[RawInsn]) -> bool {
    !words.iter().any(|&raw| match Instruction::meaning(raw) {
        Some(Instruction::LoadAncillary { field, .. }) => {
            matches!(field, Ancillary::Cpu | Ancillary::Random)
        }
        _ => false,
    })
}

#[test]
fn the_verifier_agrees_about_random_programs() {
    let kernel = Kernel::new();
    let (mut valid, mut invalid) = (0u64, 0u64);
    let cases = cases(20_000);
    for case in 0..cases {
        let seed = seed(0x7665_7269_6679, case);
        let mut random = Random::new(seed);
        let mut words = sensible_program(&mut random);
        match random.below(10) {
            0..=4 => words = damaged(&mut random, words),
            5 => words.push(RawInsn { k: interesting(&mut random), ..words[0] }),
            _ => {}
        }
        let answer = kernel.attach(&words);
        let verdict = verify(Dialect::Linux, &words);
        let message = || format!("{verdict:?} {answer:?}\n{}", shown(seed, &words));
        assert_eq!(answer != Attached::Invalid, verdict.is_ok(), "{}", message());
        if verdict.is_ok() { valid += 1 } else { invalid += 1 }
    }
    assert!(cases == 1 || valid.min(invalid) > cases / 5, "{valid} valid, {invalid} invalid");
}

#[test]
fn the_verifier_agrees_about_every_code() {
    let kernel = Kernel::new();
    for code in 0..=0x1ff {
        for k in [0, 1, 16, 32, 0xffff_f000, u32::MAX] {
            for (jt, jf) in [(0, 0), (1, 0), (0, 1)] {
                let word = RawInsn { code, jt, jf, k };
                for words in [&[word] as &[RawInsn], &[word, END], &[END, word]] {
                    let valid = verify(Dialect::Linux, words);
                    let expected = if valid.is_ok() { Attached::Yes } else { Attached::Invalid };
                    assert_eq!(kernel.attach(words), expected, "{valid:?} {words:x?}");
                }
            }
        }
    }
}

#[test]
fn the_verifier_agrees_about_lengths() {
    for len in [0, 1, 4095, 4096, 4097, 5000] {
        let words = vec![END; len];
        let valid = verify(Dialect::Linux, &words).is_ok();
        let answer = Kernel::new().attach(&words);
        assert_eq!(answer != Attached::Invalid, valid, "{len} instructions: {answer:?}");
    }
}

/// How far jumps reach over each kind of instruction, and how far from the beginning they may
/// stand: the limit is in the kernel's translation, so this is about the length of each there.
#[test]
fn the_verifier_agrees_about_long_jumps() {
    let kernel = Kernel::new();
    let load = RawInsn { code: 0x20, jt: 0, jf: 0, k: 4 };
    let short = RawInsn { code: 0x07, jt: 0, jf: 0, k: 0 };
    for filler in every_kind() {
        // 2250 loads, then as many short instructions as make it too far.
        let body = |count: usize| {
            let mut body = vec![load; 2250];
            body.extend([filler; 8]);
            body.extend(vec![short; count]);
            body
        };
        let over = |count| {
            let body = body(count);
            let skip = u32::try_from(body.len()).expect("small");
            let jump = RawInsn { code: 0x05, jt: 0, jf: 0, k: skip };
            [&[jump], &body[..], &[END, END]].concat()
        };
        let behind = |count| [&body(count)[..], &[filler, END, END]].concat();
        assert_limit_is_shared(&kernel, filler, &over);
        if filler.code & 7 == 0x05 {
            assert_limit_is_shared(&kernel, filler, &behind);
        }
    }
}

/// Finds the length up to which `program` is valid by the verifier; the kernel must agree there.
fn assert_limit_is_shared(
    kernel: &Kernel,
    filler: RawInsn,
    program: &dyn Fn(usize) -> Vec<RawInsn>,
) {
    let counts: Vec<usize> = (0..1830).collect();
    let limit = counts.partition_point(|&count| verify(Dialect::Linux, &program(count)).is_ok());
    assert!((1..1830).contains(&limit), "{filler:x?} does not reach the limit");
    assert_ne!(kernel.attach(&program(limit - 1)), Attached::Invalid, "{filler:x?} {limit}");
    assert_eq!(kernel.attach(&program(limit)), Attached::Invalid, "{filler:x?} {limit}");
}

/// Every code that Linux knows but loads from scratch memory, with the operands that matter to its
/// translation.
fn every_kind() -> Vec<RawInsn> {
    let offsets = [0, 4, 0x7fff, 0x8000, 0x7fff_ffff, 0x8000_0000, 0xffff_efff];
    // Without VLAN_TAG_PRESENT (48), whose translation got longer in Linux 6.2.
    let numbers = (0..64).step_by(4).filter(|&number| number != 48);
    let ancillary = numbers.map(|number| 0xffff_f000 + number);
    let mut kinds = Vec::new();
    for code in 0..=0xff {
        let ks: Vec<u32> = match code {
            0x60 | 0x61 => continue,
            0x20 | 0x28 | 0x30 => offsets.into_iter().chain(ancillary.clone()).collect(),
            0x40 | 0x48 | 0x50 | 0xb1 => offsets.to_vec(),
            0x15 | 0x25 | 0x35 | 0x45 => vec![1, 0x7fff_ffff, 0x8000_0000, u32::MAX],
            0x05 => vec![0],
            _ => vec![1],
        };
        let skips = if code & 7 == 5 { vec![(0, 0), (0, 1), (1, 0), (1, 1)] } else { vec![(0, 0)] };
        for k in ks {
            for &(jt, jf) in &skips {
                let word = RawInsn { code, jt, jf, k };
                if verify(Dialect::Linux, &[word, END, END]).is_ok() {
                    kinds.push(word);
                }
            }
        }
    }
    kinds
}

#[test]
fn the_interpreter_agrees_about_random_frames() {
    let mut kernel = Kernel::new();
    let (mut programs, mut passed, mut cut, mut dropped) = (0u64, 0u64, 0u64, 0u64);
    let cases = cases(20_000);
    for case in 0..cases {
        let seed = seed(0x696e_7465_7270, case);
        let mut random = Random::new(seed);
        let words = sensible_program(&mut random);
        if verify(Dialect::Linux, &words).is_err() || !is_deterministic(&words) {
            continue;
        }
        match kernel.attach(&words) {
            Attached::Yes => programs += 1,
            Attached::TooLarge => continue,
            Attached::Invalid => panic!("{}", shown(seed, &words)),
        }
        for len in [random.below(40), random.below(2048), 2048] {
            let frame = random.bytes(len as usize);
            let (expected, answer) = (predicted(&words, &frame), kernel.pass(&frame));
            assert_eq!(expected, answer, "{}{frame:02x?}", shown(seed, &words));
            match answer {
                None => dropped += 1,
                Some(len) if len < frame.len() => cut += 1,
                Some(_) => passed += 1,
            }
        }
    }
    let least = passed.min(cut).min(dropped);
    assert!(
        cases == 1 || (programs > cases / 4 && least > programs / 5),
        "{programs} programs: {passed} passed, {cut} cut, {dropped} dropped"
    );
}

#[test]
fn the_interpreter_agrees_about_netlink_attributes() {
    let mut kernel = Kernel::new();
    for case in 0..cases(3_000) {
        let seed = seed(0x6e65_746c, case);
        let mut random = Random::new(seed);
        let mut frame = Vec::new();
        while frame.len() < 60 {
            let len = u16::try_from(random.below(24)).expect("short");
            let kind = u16::try_from(random.below(4)).expect("short") | random.pick(&[0, 0x8000]);
            frame.extend_from_slice(&len.to_ne_bytes());
            frame.extend_from_slice(&kind.to_ne_bytes());
            let body = random.below(5) as usize * 4;
            frame.extend(random.bytes(body).iter().map(|byte| byte & 7));
        }
        let load = random.pick(&["nla", "nlan"]);
        let (kind, from) = (random.below(5), random.below(40) * random.pick(&[1, 4]));
        let text = format!("ldx #{kind}\nld #{from}\nld #{load}\nadd #1\nret a");
        let program = bpf::parse(&text).expect("assembles");
        assert_eq!(kernel.attach(program.words()), Attached::Yes);
        let expected = predicted(program.words(), &frame);
        assert_eq!(kernel.pass(&frame), expected, "BPF_SEED={seed}\n{text}\n{frame:02x?}");
    }
}

#[test]
fn stock_filters_are_taken_and_agree() {
    let mut random = Random::new(7);
    for count in [0, 1, 5, 300, 1000] {
        let macs: Vec<[u8; 6]> = (0..count).map(|_| mac(&mut random)).collect();
        let selector = bpf::stock::FrameSelector {
            macs: macs.clone(),
            group: random.chance(50),
            ethertypes: if random.chance(50) { vec![0x0806, 0x86dd] } else { Vec::new() },
            vlan: true,
            ..bpf::stock::FrameSelector::default()
        };
        let program: Program = selector.compile(Dialect::Linux).expect("fits");
        let mut kernel = Kernel::new();
        assert_eq!(kernel.attach(program.words()), Attached::Yes, "{count} addresses");
        for _ in 0..500 {
            let to =
                if random.chance(50) && count > 0 { random.pick(&macs) } else { mac(&mut random) };
            let kind = random.pick(&[&[8, 6][..], &[8, 0], &[0x81, 0, 0, 1, 0x86, 0xdd]]);
            let frame = [&to, [2; 6].as_slice(), kind, &random.bytes(40)].concat();
            assert_eq!(kernel.pass(&frame), predicted(program.words(), &frame), "{frame:02x?}");
        }
    }
}

const END: RawInsn = RawInsn { code: 0x06, jt: 0, jf: 0, k: 0 };

/// Few enough that they meet: 4 first halves, 512 second halves.
fn mac(random: &mut Random) -> [u8; 6] {
    let first = random.pick(&[0x02, 0x52, 0x53, 0x00]);
    [first, 0, 0, 0, u8::try_from(random.below(2)).expect("0 or 1"), random.byte()]
}
