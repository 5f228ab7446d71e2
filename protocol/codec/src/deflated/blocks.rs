//! Blocks of symbols, each written in the way that takes the fewest bits (RFC 1951; zlib's trees.c).

use super::code::{Code, Lengths, MAX_DISTANCE_CODES, MAX_LITERAL_CODES};

const END_OF_BLOCK: usize = 256;
const LENGTH_EXTRA: [u8; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_EXTRA: [u8; 30] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
/// Extra bits of the codes that code lengths, and the order in which their own lengths are written.
const LENGTHS_EXTRA: [u8; 19] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7];
const LENGTHS_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// A literal, or a match: a length from 3 and a distance, 0 for a literal.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    value: u16,
    distance: u16,
}

/// Takes symbols and writes them, block by block.
pub(super) struct Blocks<'d> {
    data: &'d [u8],
    symbols: Vec<Symbol>,
    symbols_max: usize,
    /// Where in the data the block begins, and where it ends if not at the last symbol given.
    from: usize,
    cut: Option<usize>,
    literal_counts: [u32; MAX_LITERAL_CODES],
    distance_counts: [u32; MAX_DISTANCE_CODES],
    bits: LowFirst,
}

/// Code of a match's length, and its base.
fn length_code(length: usize) -> (usize, usize) {
    if length == 258 {
        return (28, 258);
    }
    split(length - 3, 4, 3)
}

/// Code of a distance, and its base.
fn distance_code(distance: usize) -> (usize, usize) {
    split(distance - 1, 2, 1)
}

/// Codes in groups of `group`: the first two groups are single values, every later one doubles (RFC 1951, 3.2.5).
fn split(value: usize, group: usize, offset: usize) -> (usize, usize) {
    if value < 2 * group {
        return (value, value + offset);
    }
    let extra = value.ilog2() - group.ilog2();
    let code = group * extra as usize + (value >> extra);
    (code, (value >> extra << extra) + offset)
}

impl<'d> Blocks<'d> {
    pub(super) fn new(data: &'d [u8], memory_level: u8) -> Self {
        let symbols_max = (1 << (memory_level + 6)) - 1;
        Self {
            data,
            symbols: Vec::with_capacity(symbols_max),
            symbols_max,
            from: 0,
            cut: None,
            literal_counts: [0; MAX_LITERAL_CODES],
            distance_counts: [0; MAX_DISTANCE_CODES],
            bits: LowFirst::default(),
        }
    }

    /// Takes a literal; `true` if the block is full now.
    pub(super) fn literal(&mut self, byte: u8) -> bool {
        self.literal_counts[usize::from(byte)] += 1;
        self.take(Symbol { value: u16::from(byte), distance: 0 })
    }

    /// Takes a match; `true` if the block is full now.
    pub(super) fn repeat(&mut self, length: usize, distance: usize) -> bool {
        self.literal_counts[END_OF_BLOCK + 1 + length_code(length).0] += 1;
        self.distance_counts[distance_code(distance).0] += 1;
        self.take(Symbol { value: length as u16, distance: distance as u16 })
    }

    fn take(&mut self, symbol: Symbol) -> bool {
        self.symbols.push(symbol);
        self.symbols.len() == self.symbols_max
    }

    /// Says that the full block ends before a byte that was passed already.
    pub(super) fn cut_at(&mut self, at: usize) {
        self.cut = Some(at);
    }

    /// Whole bytes written.
    pub(super) fn written(&self) -> &[u8] {
        &self.bits.out
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bits.align();
        self.bits.out
    }

    /// Writes the block, which stands for the data up to `done`.
    pub(super) fn flush(&mut self, done: usize, last: bool) {
        let to = self.cut.take().unwrap_or(done);
        self.literal_counts[END_OF_BLOCK] = 1;
        let literals = Code::new(&self.literal_counts, 15);
        let distances = Code::new(&self.distance_counts, 15);
        let runs = [runs(literals.lengths()), runs(distances.lengths())].concat();
        let mut run_counts = [0; 19];
        for run in &runs {
            run_counts[usize::from(run.0)] += 1;
        }
        let run_code = Code::new(&run_counts, 7);
        let run_codes = LENGTHS_ORDER.iter().rposition(|code| run_code.length(*code) > 0).unwrap_or(0).max(3) + 1;

        let symbol_bits = |literal: &dyn Fn(usize) -> u64, distance: &dyn Fn(usize) -> u64| {
            let extra = |at: usize| if at > END_OF_BLOCK { LENGTH_EXTRA[at - END_OF_BLOCK - 1] } else { 0 };
            let literals = self.literal_counts.iter().enumerate();
            let distances = self.distance_counts.iter().enumerate();
            literals.map(|(at, count)| u64::from(*count) * (literal(at) + u64::from(extra(at)))).sum::<u64>()
                + distances
                    .map(|(at, count)| u64::from(*count) * (distance(at) + u64::from(DISTANCE_EXTRA[at])))
                    .sum::<u64>()
        };
        let own_symbols = symbol_bits(&|at| u64::from(literals.length(at)), &|at| u64::from(distances.length(at)));
        let own_head: u64 = runs
            .iter()
            .map(|run| u64::from(run_code.length(usize::from(run.0)) + u32::from(LENGTHS_EXTRA[usize::from(run.0)])))
            .sum::<u64>()
            + 3 * run_codes as u64
            + 14;
        let fixed_bits = symbol_bits(&|at| u64::from(fixed_literal(at).1), &|_| 5);
        // Bytes, with the three bits of the block's head.
        let own = (own_symbols + own_head + 3).div_ceil(8);
        let fixed = (fixed_bits + 3).div_ceil(8);
        let best = own.min(fixed);
        let stored = (to - self.from) as u64 + 4;

        if stored <= best {
            self.store(to, last);
        } else if fixed == best {
            self.bits.put(2 | u32::from(last), 3);
            self.write_symbols(fixed_literal, |at| (reversed(at as u32, 5), 5));
        } else {
            self.bits.put(4 | u32::from(last), 3);
            self.bits.put(literals.count() as u32 - 257, 5);
            self.bits.put(distances.count() as u32 - 1, 5);
            self.bits.put(run_codes as u32 - 4, 4);
            for code in &LENGTHS_ORDER[..run_codes] {
                self.bits.put(run_code.length(*code), 3);
            }
            for (code, value) in runs {
                let (bits, length) = run_code.code(usize::from(code));
                self.bits.put(bits, length);
                self.bits.put(u32::from(value), u32::from(LENGTHS_EXTRA[usize::from(code)]));
            }
            self.write_symbols(|at| literals.code(at), |at| distances.code(at));
        }
        self.symbols.clear();
        self.literal_counts.fill(0);
        self.distance_counts.fill(0);
        self.from = to;
    }

    fn store(&mut self, to: usize, last: bool) {
        self.bits.put(u32::from(last), 3);
        self.bits.align();
        let bytes = &self.data[self.from..to];
        self.bits.out.extend((bytes.len() as u16).to_le_bytes());
        self.bits.out.extend((!(bytes.len() as u16)).to_le_bytes());
        self.bits.out.extend_from_slice(bytes);
    }

    fn write_symbols(&mut self, literal: impl Fn(usize) -> (u32, u32), distance: impl Fn(usize) -> (u32, u32)) {
        for symbol in &self.symbols {
            let value = usize::from(symbol.value);
            if symbol.distance == 0 {
                let (bits, length) = literal(value);
                self.bits.put(bits, length);
                continue;
            }
            let (code, base) = length_code(value);
            let (bits, length) = literal(END_OF_BLOCK + 1 + code);
            self.bits.put(bits, length);
            self.bits.put((value - base) as u32, u32::from(LENGTH_EXTRA[code]));
            let (code, base) = distance_code(usize::from(symbol.distance));
            let (bits, length) = distance(code);
            self.bits.put(bits, length);
            self.bits.put((usize::from(symbol.distance) - base) as u32, u32::from(DISTANCE_EXTRA[code]));
        }
        let (bits, length) = literal(END_OF_BLOCK);
        self.bits.put(bits, length);
    }
}

/// Lengths as runs: a length and nothing, 16 and how often the last one is repeated less 3, or 17 and 18 for zeros.
fn runs(lengths: &Lengths) -> Vec<(u8, u8)> {
    let mut runs = Vec::new();
    let mut before = None;
    let mut at = 0;
    while at < lengths.len() {
        let length = lengths[at];
        // A run follows on one of the same length only where that one was cut at its maximum.
        let (most, least) = match (length, before) {
            (0, _) => (138, 3),
            (_, Some(same)) if same == length => (6, 3),
            _ => (7, 4),
        };
        let count = lengths[at..].iter().take(most).take_while(|other| **other == length).count();
        if count < least {
            runs.extend(std::iter::repeat_n((length, 0), count));
        } else if length > 0 {
            let mut rest = count;
            if before != Some(length) {
                runs.push((length, 0));
                rest -= 1;
            }
            runs.push((16, (rest - 3) as u8));
        } else if count <= 10 {
            runs.push((17, (count - 3) as u8));
        } else {
            runs.push((18, (count - 11) as u8));
        }
        before = Some(length);
        at += count;
    }
    runs
}

/// The fixed code of literals and lengths (RFC 1951, 3.2.6).
fn fixed_literal(at: usize) -> (u32, u32) {
    let (code, length) = match at {
        0..=143 => (0x30 + at, 8),
        144..=255 => (0x190 + at - 144, 9),
        256..=279 => (at - 256, 7),
        _ => (0xC0 + at - 280, 8),
    };
    (reversed(code as u32, length), length)
}

/// A code as it is written: its first bit lowest.
pub(super) fn reversed(code: u32, length: u32) -> u32 {
    if length == 0 { 0 } else { code.reverse_bits() >> (32 - length) }
}

/// Bits into bytes, lowest first.
#[derive(Debug, Default)]
struct LowFirst {
    out: Vec<u8>,
    held: u64,
    count: u32,
}

impl LowFirst {
    fn put(&mut self, value: u32, bits: u32) {
        self.held |= u64::from(value) << self.count;
        self.count += bits;
        while self.count >= 8 {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    fn align(&mut self) {
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
    }
}
