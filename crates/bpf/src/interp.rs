//! The filter machine: runs a program over one frame as a kernel would.

use crate::ancillary::Ancillary;
use crate::insn::{AluOp, Condition, Instruction, Operand, RawInsn, Register, Size};
use crate::metadata::Metadata;
use crate::opcode;
use crate::verify::Dialect;

/// What a program says of a frame: how many of its bytes are taken; 0 means none, the frame is
/// dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Verdict(pub u32);

/// A program did what no kernel lets a program do. It cannot happen to one that
/// [`verify`](fn@crate::verify) takes for the same dialect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("instruction {index}: {kind}")]
pub struct Fault {
    /// Index of the instruction.
    pub index: usize,
    /// What it did.
    pub kind: FaultKind,
}

/// What a faulty instruction did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// The program went on past its last instruction.
    #[error("no instruction here, the program ended without a return")]
    PastEnd,
    /// Linux does not know the code (XNU rejects the frame and goes on).
    #[error("unknown code {code:#x}")]
    UnknownCode {
        /// The code.
        code: u16,
    },
    /// A constant divisor of 0.
    #[error("division by the constant 0")]
    DivisionByZero,
    /// Linux: a scratch word that does not exist (XNU rejects the frame).
    #[error("scratch word {slot} of 16")]
    ScratchRange {
        /// The word asked for.
        slot: u32,
    },
    /// Linux: a scratch word loaded before it was stored (XNU's begin as 0).
    #[error("scratch word {slot} loaded before it was stored")]
    ScratchUnset {
        /// The word.
        slot: u32,
    },
}

impl Verdict {
    /// Whether the frame is taken at all.
    #[must_use]
    pub fn accepts(self) -> bool {
        self.0 != 0
    }

    /// How many bytes of a frame of `frame_len` bytes are taken.
    #[must_use]
    pub fn taken_len(self, frame_len: usize) -> usize {
        frame_len.min(usize::try_from(self.0).unwrap_or(usize::MAX))
    }
}

/// Runs the program `words` over `frame` as a kernel of `dialect` does.
///
/// Never panics and always ends: jumps only go forward, so no instruction runs twice. A load from
/// outside of the frame, and a division by an X of 0, reject the frame. Shifts by X use its low 5
/// bits, as both kernels do on the processors that they run on.
///
/// On Linux all ancillary loads are modelled: those that the kernel takes from its packet buffer,
/// its flow dissector, its processor number and its random numbers out of `metadata`, the netlink
/// ones out of the frame.
///
/// ```
/// use bpf::{Dialect, Metadata, run};
///
/// let only_arp = bpf::parse("ldh [12]\n jneq #0x806, drop\n ret #-1\n drop: ret #0")?;
/// let frame = [[0xff; 12].as_slice(), &[0x08, 0x06], &[0; 46]].concat();
/// let verdict = run(Dialect::Xnu, only_arp.words(), &frame, &Metadata::default())?;
/// assert!(verdict.accepts());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// What the program did that no verified program does.
pub fn run(
    dialect: Dialect,
    words: &[RawInsn],
    frame: &[u8],
    metadata: &Metadata,
) -> Result<Verdict, Fault> {
    let mut machine =
        Machine { dialect, frame, metadata, a: 0, x: 0, scratch: [0; SCRATCH_WORDS], stored: 0 };
    let mut index: usize = 0;
    loop {
        let fault = |kind| Fault { index, kind };
        let raw = *words.get(index).ok_or_else(|| fault(FaultKind::PastEnd))?;
        match machine.step(raw).map_err(fault)? {
            Next::Skip(skip) => index = index.saturating_add(1).saturating_add(skip as usize),
            Next::End(bytes) => return Ok(Verdict(bytes)),
        }
    }
}

struct Machine<'a> {
    dialect: Dialect,
    frame: &'a [u8],
    metadata: &'a Metadata,
    a: u32,
    x: u32,
    scratch: [u32; SCRATCH_WORDS],
    /// One bit for each scratch word that was stored.
    stored: u16,
}

/// Where a program goes after an instruction.
enum Next {
    /// Over so many instructions.
    Skip(u32),
    /// Nowhere: the verdict.
    End(u32),
}

impl Next {
    const ON: Self = Self::Skip(0);
    const REJECT: Self = Self::End(0);
}

impl Machine<'_> {
    fn step(&mut self, raw: RawInsn) -> Result<Next, FaultKind> {
        let Some(instruction) = self.meaning(raw) else {
            return match self.dialect {
                Dialect::Linux => Err(FaultKind::UnknownCode { code: raw.code }),
                Dialect::Xnu => Ok(Next::REJECT),
            };
        };
        match instruction {
            Instruction::LoadImmediate { dst, value } => self.set(dst, value),
            Instruction::LoadAbsolute { size, offset } => return Ok(self.load(size, offset)),
            Instruction::LoadIndirect { size, offset } => {
                return Ok(self.load(size, self.x.wrapping_add(offset)));
            }
            Instruction::LoadAncillary { field, .. } => return Ok(self.ancillary(field)),
            Instruction::LoadScratch { dst, slot } => {
                let value = self.scratch_word(slot)?;
                self.set(dst, value);
            }
            Instruction::LoadLength { dst } => self.set(dst, self.wire_len()),
            Instruction::LoadHeaderLength { offset } => match self.fetch(Size::Byte, offset) {
                Some(byte) => self.x = (byte & 0xf) << 2,
                None => return Ok(Next::REJECT),
            },
            Instruction::Store { src, slot } => self.store(src, slot)?,
            Instruction::Alu { op, operand } => return self.alu(op, operand),
            Instruction::Negate => self.a = self.a.wrapping_neg(),
            Instruction::Jump { skip } => return Ok(Next::Skip(skip)),
            Instruction::JumpIf { condition, operand, skip_true, skip_false } => {
                let holds = self.test(condition, operand);
                return Ok(Next::Skip(if holds { skip_true } else { skip_false }.into()));
            }
            Instruction::Return { bytes } => return Ok(Next::End(bytes)),
            Instruction::ReturnA => return Ok(Next::End(self.a)),
            Instruction::CopyAToX => self.x = self.a,
            Instruction::CopyXToA => self.a = self.x,
            Instruction::Raw(raw) => return Err(FaultKind::UnknownCode { code: raw.code }),
        }
        Ok(Next::ON)
    }

    /// What the word means in this dialect: XNU knows neither ancillary loads nor `mod` and `xor`.
    fn meaning(&self, raw: RawInsn) -> Option<Instruction> {
        let instruction = Instruction::meaning(raw)?;
        match (self.dialect, instruction) {
            (Dialect::Xnu, Instruction::LoadAncillary { size, .. }) => {
                Some(Instruction::LoadAbsolute { size, offset: raw.k })
            }
            (Dialect::Xnu, Instruction::Alu { op: AluOp::Mod | AluOp::Xor, .. }) => None,
            // It looks once more when it runs, and rejects the frame.
            (
                Dialect::Xnu,
                Instruction::LoadScratch { slot, .. } | Instruction::Store { slot, .. },
            ) if slot as usize >= SCRATCH_WORDS => None,
            _ => Some(instruction),
        }
    }

    fn set(&mut self, register: Register, value: u32) {
        match register {
            Register::A => self.a = value,
            Register::X => self.x = value,
        }
    }

    fn operand(&self, operand: Operand) -> u32 {
        match operand {
            Operand::K(k) => k,
            Operand::X => self.x,
        }
    }

    fn load(&mut self, size: Size, offset: u32) -> Next {
        match self.fetch(size, offset) {
            Some(value) => {
                self.a = value;
                Next::ON
            }
            None => Next::REJECT,
        }
    }

    fn fetch(&self, size: Size, offset: u32) -> Option<u32> {
        let start = usize::try_from(self.frame_offset(offset)?).ok()?;
        let bytes = self.frame.get(start..start.checked_add(size.bytes())?)?;
        Some(bytes.iter().fold(0, |value, &byte| value << 8 | u32::from(byte)))
    }

    /// Linux takes offsets over 2³¹ as negative, relative to one of the frame's headers
    /// (`bpf_skb_load_helper_convert_offset`).
    fn frame_offset(&self, offset: u32) -> Option<u64> {
        let (base, header) = match self.dialect {
            Dialect::Xnu => return Some(offset.into()),
            Dialect::Linux if offset < 1 << 31 => return Some(offset.into()),
            Dialect::Linux if offset >= opcode::NETWORK => {
                (opcode::NETWORK, self.metadata.network_header)
            }
            Dialect::Linux if offset >= opcode::LINK => (opcode::LINK, self.metadata.link_header),
            Dialect::Linux => return None,
        };
        Some(u64::from(header?) + u64::from(offset - base))
    }

    fn wire_len(&self) -> u32 {
        let frame_len = || u32::try_from(self.frame.len()).unwrap_or(u32::MAX);
        self.metadata.wire_len.unwrap_or_else(frame_len)
    }

    fn ancillary(&mut self, field: Ancillary) -> Next {
        let metadata = self.metadata;
        self.a = match field {
            Ancillary::Protocol => metadata.protocol.into(),
            Ancillary::PacketType => metadata.packet_type.into(),
            // Without an interface the translated program exits at once, and what it returns is
            // the accumulator (`convert_bpf_extensions`).
            Ancillary::InterfaceIndex => match metadata.interface {
                Some(interface) => interface.index,
                None => return Next::End(self.a),
            },
            Ancillary::HardwareType => match metadata.interface {
                Some(interface) => interface.hardware_type.into(),
                None => return Next::End(self.a),
            },
            Ancillary::NetlinkAttribute => netlink::find(self.frame, self.a, self.x),
            Ancillary::NestedNetlinkAttribute => netlink::find_nested(self.frame, self.a, self.x),
            Ancillary::Mark => metadata.mark,
            Ancillary::Queue => metadata.queue.into(),
            Ancillary::ReceiveHash => metadata.receive_hash,
            Ancillary::Cpu => metadata.cpu,
            Ancillary::XorX => self.a ^ self.x,
            Ancillary::VlanTag => metadata.vlan.map_or(0, |tag| tag.tci.into()),
            Ancillary::VlanTagPresent => metadata.vlan.is_some().into(),
            Ancillary::PayloadOffset => metadata.payload_offset,
            Ancillary::Random => metadata.random,
            Ancillary::VlanProtocol => metadata.vlan.map_or(0, |tag| tag.tpid.into()),
        };
        Next::ON
    }

    fn scratch_word(&self, slot: u32) -> Result<u32, FaultKind> {
        let value = *self.scratch.get(slot as usize).ok_or(FaultKind::ScratchRange { slot })?;
        match self.dialect {
            Dialect::Linux if self.stored & (1 << slot) == 0 => {
                Err(FaultKind::ScratchUnset { slot })
            }
            _ => Ok(value),
        }
    }

    fn store(&mut self, src: Register, slot: u32) -> Result<(), FaultKind> {
        let value = match src {
            Register::A => self.a,
            Register::X => self.x,
        };
        *self.scratch.get_mut(slot as usize).ok_or(FaultKind::ScratchRange { slot })? = value;
        self.stored |= 1 << slot;
        Ok(())
    }

    fn alu(&mut self, op: AluOp, operand: Operand) -> Result<Next, FaultKind> {
        let value = self.operand(operand);
        if matches!(op, AluOp::Div | AluOp::Mod) && value == 0 {
            return match operand {
                Operand::K(_) => Err(FaultKind::DivisionByZero),
                Operand::X => Ok(Next::REJECT),
            };
        }
        self.a = match op {
            AluOp::Add => self.a.wrapping_add(value),
            AluOp::Sub => self.a.wrapping_sub(value),
            AluOp::Mul => self.a.wrapping_mul(value),
            AluOp::Div => self.a / value,
            AluOp::Mod => self.a % value,
            AluOp::Or => self.a | value,
            AluOp::And => self.a & value,
            AluOp::Xor => self.a ^ value,
            AluOp::Lsh => self.a.wrapping_shl(value),
            AluOp::Rsh => self.a.wrapping_shr(value),
        };
        Ok(Next::ON)
    }

    fn test(&self, condition: Condition, operand: Operand) -> bool {
        let value = self.operand(operand);
        match condition {
            Condition::Equal => self.a == value,
            Condition::Greater => self.a > value,
            Condition::GreaterOrEqual => self.a >= value,
            Condition::AnySet => self.a & value != 0,
        }
    }
}

/// Netlink attributes in a frame, in the machine's own byte order (Linux `include/net/netlink.h`).
mod netlink {
    /// Offset of the first attribute of type `kind` in the row of them that begins at `from`, or 0
    /// (`bpf_skb_get_nlattr`).
    pub(super) fn find(frame: &[u8], from: u32, kind: u32) -> u32 {
        let from = from as usize;
        if frame.len() < HEADER || from > frame.len() - HEADER {
            return 0;
        }
        search(frame, from, frame.len(), kind)
    }

    /// The same among the attributes inside of the one at `outer` (`bpf_skb_get_nlattr_nest`).
    pub(super) fn find_nested(frame: &[u8], outer: u32, kind: u32) -> u32 {
        let outer = outer as usize;
        if frame.len() < HEADER || outer > frame.len() - HEADER {
            return 0;
        }
        let (len, _) = header(frame, outer);
        if len > frame.len() - outer || len < HEADER {
            return 0;
        }
        search(frame, outer + HEADER, outer + len, kind)
    }

    fn search(frame: &[u8], mut at: usize, end: usize, kind: u32) -> u32 {
        while end.saturating_sub(at) >= HEADER {
            let (len, found) = header(frame, at);
            if len < HEADER || len > end - at {
                return 0;
            }
            if u32::from(found) == kind {
                return u32::try_from(at).unwrap_or(0);
            }
            at += len.next_multiple_of(ALIGNMENT);
        }
        0
    }

    /// Length and type of the attribute at `at`, of which `HEADER` bytes are in the frame.
    fn header(frame: &[u8], at: usize) -> (usize, u16) {
        let half = |at: usize| u16::from_ne_bytes([frame[at], frame[at + 1]]);
        (half(at).into(), half(at + 2) & TYPE_MASK)
    }

    const HEADER: usize = 4;
    const ALIGNMENT: usize = 4;
    /// Without the flags for nested and for network byte order.
    const TYPE_MASK: u16 = 0x3fff;
}

const SCRATCH_WORDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{Interface, VlanTag};

    fn verdict(dialect: Dialect, text: &str, frame: &[u8]) -> u32 {
        verdict_with(dialect, text, frame, &Metadata::default())
    }

    fn verdict_with(dialect: Dialect, text: &str, frame: &[u8], metadata: &Metadata) -> u32 {
        let program = crate::parse(text).expect("assembles");
        program.verify(dialect).expect("valid");
        run(dialect, program.words(), frame, metadata).expect("no fault").0
    }

    const BOTH: [Dialect; 2] = [Dialect::Linux, Dialect::Xnu];
    const FRAME: [u8; 6] = [0x12, 0x34, 0x56, 0x78, 0x9a, 0xff];

    #[test]
    fn loads_are_big_endian_and_within_the_frame() {
        for dialect in BOTH {
            assert_eq!(verdict(dialect, "ld [1]\nret a", &FRAME), 0x3456_789a);
            assert_eq!(verdict(dialect, "ld [2]\nret a", &FRAME), 0x5678_9aff);
            assert_eq!(verdict(dialect, "ld [3]\nret #7", &FRAME), 0);
            assert_eq!(verdict(dialect, "ldh [4]\nret a", &FRAME), 0x9aff);
            assert_eq!(verdict(dialect, "ldh [5]\nret #7", &FRAME), 0);
            assert_eq!(verdict(dialect, "ldb [5]\nret a", &FRAME), 0xff);
            assert_eq!(verdict(dialect, "ldb [6]\nret #7", &FRAME), 0);
            assert_eq!(verdict(dialect, "ldb [0]\nret #7", &[]), 0);
            assert_eq!(verdict(dialect, "ldx #2\nldh [x + 1]\nret a", &FRAME), 0x789a);
            assert_eq!(verdict(dialect, "ldx #-2\nldh [x + 3]\nret a", &FRAME), 0x3456);
            assert_eq!(verdict(dialect, "ldxb 4*([1]&0xf)\ntxa\nret a", &FRAME), 16);
            assert_eq!(verdict(dialect, "ld #len\nret a", &FRAME), 6);
            assert_eq!(verdict(dialect, "ldx #len\ntxa\nret a", &FRAME), 6);
        }
    }

    #[test]
    fn arithmetic_wraps_and_shifts_use_five_bits() {
        for dialect in BOTH {
            let cases = [
                ("ld #-1\nadd #3\nret a", 2),
                ("ld #1\nsub #3\nret a", u32::MAX - 1),
                ("ld #0x80000001\nmul #2\nret a", 2),
                ("ld #-1\ndiv #2\nret a", u32::MAX / 2),
                ("ld #5\nneg\nret a", 5u32.wrapping_neg()),
                ("ldx #33\nld #3\nlsh x\nret a", 6),
                ("ldx #33\nld #-1\nrsh x\nret a", u32::MAX >> 1),
                ("ld #9\ndiv x\nret #1", 0),
            ];
            for (text, expected) in cases {
                assert_eq!(verdict(dialect, text, &FRAME), expected, "{text}");
            }
        }
        assert_eq!(verdict(Dialect::Linux, "ld #9\nmod #5\nret a", &[]), 4);
        assert_eq!(verdict(Dialect::Linux, "ld #9\nmod x\nret #1", &[]), 0);
        assert_eq!(verdict(Dialect::Linux, "ld #9\nxor #5\nret a", &[]), 12);
        assert_eq!(verdict(Dialect::Xnu, "ld #3\nlsh #33\nret a", &[]), 6);
    }

    #[test]
    fn comparisons_are_unsigned() {
        let branch =
            |test: &str| format!("ld #-1\nldx #1\n{test}, yes, no\nyes: ret #1\nno: ret #2");
        for dialect in BOTH {
            for (test, expected) in [
                ("jgt #1", 1),
                ("jgt x", 1),
                ("jge #-1", 1),
                ("jgt #-1", 2),
                ("jlt #1", 2),
                ("jle #-1", 1),
                ("jeq #-1", 1),
                ("jneq x", 1),
                ("jset #0x80000000", 1),
                ("jset #0", 2),
            ] {
                assert_eq!(verdict(dialect, &branch(test), &[]), expected, "{test}");
            }
        }
    }

    #[test]
    fn scratch_words_begin_as_zero_on_xnu() {
        assert_eq!(verdict(Dialect::Xnu, "ld M[15]\nadd #4\nret a", &[]), 4);
        for dialect in BOTH {
            assert_eq!(verdict(dialect, "ldx #9\nstx M[15]\nld M[15]\nret a", &[]), 9);
        }
    }

    #[test]
    fn an_unknown_code_rejects_on_xnu_and_is_a_fault_on_linux() {
        let words = [RawInsn::from((0x8c, 0, 0, 0)), RawInsn::from((0x06, 0, 0, 5))];
        let run = |dialect| run(dialect, &words, &[], &Metadata::default());
        assert_eq!(run(Dialect::Xnu), Ok(Verdict(0)));
        let kind = FaultKind::UnknownCode { code: 0x8c };
        assert_eq!(run(Dialect::Linux), Err(Fault { index: 0, kind }));
    }

    #[test]
    fn a_scratch_word_too_far_rejects_on_xnu_and_is_a_fault_on_linux() {
        for code in [0x02, 0x03, 0x60, 0x61] {
            let words = [RawInsn::from((code, 0, 0, 16)), RawInsn::from((0x06, 0, 0, 5))];
            let run = |dialect| run(dialect, &words, &[], &Metadata::default());
            assert_eq!(run(Dialect::Xnu), Ok(Verdict(0)));
            let kind = FaultKind::ScratchRange { slot: 16 };
            assert_eq!(run(Dialect::Linux), Err(Fault { index: 0, kind }));
        }
    }

    #[test]
    fn a_program_without_end_is_a_fault() {
        let jump = [RawInsn::from((0x05, 0, 0, u32::MAX))];
        for dialect in BOTH {
            let fault = run(dialect, &jump, &[], &Metadata::default());
            assert!(matches!(fault, Err(Fault { kind: FaultKind::PastEnd, .. })), "{fault:?}");
        }
    }

    #[test]
    fn negative_offsets_count_from_the_headers() {
        let frame: Vec<u8> = (0..64).collect();
        let ethernet = Metadata::ethernet(&frame);
        let linux = |text: &str| verdict_with(Dialect::Linux, text, &frame, &ethernet);
        assert_eq!(linux("ldb [-0x100000]\nret a"), 14);
        assert_eq!(linux("ldb [-0x1fffff]\nret a"), 1);
        assert_eq!(linux("ldb [-0x200001]\nret #7"), 0);
        assert_eq!(linux("ldx #-0x100000\nldb [x + 2]\nret a"), 16);
        assert_eq!(verdict(Dialect::Linux, "ldb [-0x1fffff]\nret #7", &frame), 0);
    }

    #[test]
    fn ancillary_loads_give_the_metadata() {
        let frame = [[1; 12].as_slice(), &[0x86, 0xdd]].concat();
        let mut metadata = Metadata::ethernet(&frame);
        metadata.interface = Some(Interface { index: 7, hardware_type: 1 });
        metadata.vlan = Some(VlanTag { tci: 0x2005, tpid: 0x88a8 });
        metadata.mark = 3;
        let linux = |field: &str| {
            verdict_with(Dialect::Linux, &format!("ld #{field}\nret a"), &frame, &metadata)
        };
        assert_eq!(linux("proto"), 0x86dd);
        assert_eq!(linux("type"), 2);
        assert_eq!(linux("ifidx"), 7);
        assert_eq!(linux("hatype"), 1);
        assert_eq!(linux("vlan_tci"), 0x2005);
        assert_eq!(linux("vlan_avail"), 1);
        assert_eq!(linux("vlan_tpid"), 0x88a8);
        assert_eq!(linux("mark"), 3);
        assert_eq!(verdict(Dialect::Linux, "ld #5\nld #ifidx\nret #9", &frame), 5);
    }

    #[test]
    fn netlink_attributes_are_found() {
        let attribute = |kind: u16, body: &[u8]| {
            let len = u16::try_from(4 + body.len()).expect("short");
            let mut bytes = [len.to_ne_bytes(), kind.to_ne_bytes()].concat();
            bytes.extend_from_slice(body);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let nest = attribute(0x8002, &attribute(5, &[1]));
        let frame = [attribute(1, &[0; 5]), nest].concat();
        let find = |a: u32, x: u32, load: &str| {
            verdict(Dialect::Linux, &format!("ldx #{x}\nld #{a}\nld #{load}\nret a"), &frame)
        };
        assert_eq!(find(0, 2, "nla"), 12);
        assert_eq!(find(0, 5, "nla"), 0);
        assert_eq!(find(12, 5, "nlan"), 16);
        assert_eq!(find(12, 1, "nlan"), 0);
        assert_eq!(find(u32::MAX, 1, "nla"), 0);
    }

    #[test]
    fn a_verdict_never_takes_more_than_there_is() {
        assert_eq!(Verdict(u32::MAX).taken_len(60), 60);
        assert_eq!(Verdict(20).taken_len(60), 20);
        assert!(!Verdict(0).accepts());
    }
}
