//! One byte, bit by bit, under all that is known of its place.
//!
//! Eighteen contexts and four expectations give opinions on every bit; three mixers, chosen by the kind of place, by
//! the column and by the match, weigh them, and a fourth weighs those; what remains wrong with the mix is corrected by what came of such
//! mixes before (secondary estimation, M. Mahoney's paq). For digits of a UID that no one can foresee this costs 3.4
//! bits, for the hundredth Slice Location next to nothing.

use super::{
    contexts::{Contexts, OPINIONS},
    decisions::Decisions,
    expected::{Expected, Source},
    history::History,
    mixing::{Adaptive, Curve, Mixer, STRETCHED_MAX, Shares, WEIGHT_ONE},
    walk::{Part, Vr, Walk},
};

const CONTEXTS: usize = 18;
/// Two opinions of each context and source, and a constant.
const INPUTS: usize = CONTEXTS * OPINIONS + Source::COUNT * 2 + 1;
/// Kinds of places: see [`kind`].
const KINDS: usize = 64;
/// Steps of the mix that are corrected apart.
const STEPS: usize = 33;
const COUNT_MAX: u32 = 250;
/// Of each opinion at first: most have nothing to say.
const WEIGHT: i32 = WEIGHT_ONE * 3 / 20;

/// What the place of a byte is, besides what the walk knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Of the element before.
    pub(super) previous_column: u64,
    /// Hash of the bytes of this part so far, and its column.
    pub(super) prefix: u64,
    /// Hash of the last value of this Instance that was not as before.
    pub(super) changed: u64,
    /// Bytes of the value.
    pub(super) value_length: u64,
}

/// What is known of bytes.
#[derive(Debug, Clone)]
pub(super) struct Octets {
    contexts: Contexts,
    mixers: [Mixer; 3],
    /// Weighs the mixers.
    last: Mixer,
    /// How often an expected bit is right: by source, bytes met, bytes missed and bit.
    trust: Vec<Adaptive>,
    /// What came of a mix: by kind, state of the first two sources and step.
    corrected: Vec<Adaptive>,
}

impl Octets {
    pub(super) fn new() -> Self {
        Self {
            contexts: Contexts::new(CONTEXTS),
            mixers: [
                Mixer::new(INPUTS, KINDS * 16, 40, WEIGHT),
                Mixer::new(INPUTS, 1024, 40, WEIGHT),
                Mixer::new(INPUTS, 256, 20, WEIGHT),
            ],
            last: Mixer::new(3, KINDS, 12, WEIGHT_ONE / 3),
            trust: vec![Adaptive::of(60_000, 2); Source::COUNT * 16 * 4 * 8],
            corrected: vec![Adaptive::NEW; KINDS * 16 * STEPS],
        }
    }

    /// Codes the byte at this place.
    pub(super) fn code(
        &mut self,
        decisions: &mut impl Decisions,
        original: u8,
        (history, walk, expected, place): (&History, &Walk, &Expected, &Place),
        (curve, shares): (&Curve, &Shares),
    ) -> u8 {
        let wanted = expected.wanted(history, walk);
        self.contexts.begin(&hashes(history, walk, expected, place, wanted));
        let trusts = Source::ALL.map(|source| trust_of(source, expected));
        let kind = kind(walk);
        let column = (walk.keys().column >> 40 & 1023) as usize;
        let mut node = 1_u32;
        let mut opinions = [0; INPUTS];
        opinions[INPUTS - 1] = 256;
        for index in 0..8 {
            if index == 4 {
                self.contexts.second_half(node);
            }
            self.contexts.opinions(&mut opinions[..CONTEXTS * OPINIONS], curve);
            let states = Source::ALL.map(|source| state(wanted[source as usize], node, index, expected.met(source)));
            // The bit that each source wants, while all bits of the byte before it were as it wanted.
            let bits: [Option<u32>; Source::COUNT] = std::array::from_fn(|source| {
                let byte = wanted[source].filter(|_| matches!(states[source], 1 | 2))?;
                Some(u32::from(byte >> (7 - index) & 1))
            });
            for (source, opinion) in opinions[CONTEXTS * OPINIONS..].chunks_exact_mut(2).enumerate() {
                let Some(bit) = bits[source] else {
                    opinion.fill(0);
                    continue;
                };
                let p = self.trust[trusts[source] + index].p();
                let sign = if bit == 1 { 1 } else { -1 };
                opinion[0] = sign * curve.stretch(p);
                opinion[1] = sign * ((i32::from(p) - 32_768) >> 5);
            }
            let state = kind * 16 + states[0] * 4 + states[1];
            let sets = [state, column, (states[3] * 8 + index) * 4 + states[2]];
            let mut mixes = [0; 3];
            for ((mix, mixer), set) in mixes.iter_mut().zip(&mut self.mixers).zip(sets) {
                *mix = mixer.mix(&opinions, set, curve);
            }
            let mixed = self.last.mix(&mixes, kind, curve);
            let step = ((mixed + STRETCHED_MAX) as usize * (STEPS - 1)) / (2 * STRETCHED_MAX) as usize;
            let corrected = &mut self.corrected[state * STEPS + step];
            let said = if corrected.is_new() { mixed } else { (mixed + curve.stretch(corrected.p())) / 2 };
            let bit = decisions.decide(u32::from(original >> (7 - index) & 1), curve.squash(said));
            corrected.learn(bit, COUNT_MAX, shares);
            for mixer in &mut self.mixers {
                mixer.learn(&opinions, bit);
            }
            self.last.learn(&mixes, bit);
            self.contexts.learn(bit, shares);
            for (trust, wanted) in trusts.iter().zip(bits) {
                if let Some(wanted) = wanted {
                    self.trust[trust + index].learn(u32::from(wanted == bit), COUNT_MAX, shares);
                }
            }
            node = node << 1 | bit;
        }
        node as u8
    }
}

/// What a source says of the bits so far: 0 nothing, 1 and 2 they are as it wants, 3 they are not.
fn state(wanted: Option<u8>, node: u32, bits: usize, met: usize) -> usize {
    match wanted {
        None => 0,
        Some(byte) if (u32::from(byte) | 256) >> (8 - bits) == node => 1 + usize::from(met > 1),
        Some(_) => 3,
    }
}

fn trust_of(source: Source, expected: &Expected) -> usize {
    let met = expected.met(source);
    let met = met.min(7) + met.min(32) / 8 + usize::from(met > 32);
    ((source as usize * 16 + met) * 4 + expected.missed(source)) * 8
}

/// The contexts, as hashes of what they look at.
fn hashes(
    history: &History,
    walk: &Walk,
    expected: &Expected,
    place: &Place,
    wanted: [Option<u8>; Source::COUNT],
) -> [u64; CONTEXTS] {
    let bytes = &history.bytes;
    let back = |n: usize| bytes.len().checked_sub(n).map_or(0, |at| u64::from(bytes[at]));
    let last = |n: usize| (1..=n).fold(0, |hash, n| hash << 8 | back(n));
    let byte = |byte: Option<u8>| byte.map_or(256, u64::from);
    let [above, foreseen, _, matched] = wanted.map(byte);
    let above_next = byte(expected.above_next(history));
    let matched_bytes = expected.met(Source::Matched).min(32) as u64;
    let missed = (expected.missed(Source::Above) << 4 | expected.missed(Source::Foreseen)) as u64;
    let (part, vr, at) = (walk.part() as u64, walk.vr().index() as u64, walk.at());
    let element = walk.keys().column;
    let column = if walk.part() == Part::Tag { place.previous_column } else { element } ^ part;
    let width = width(walk.vr());
    [
        hash([part, last(1), vr, 0]),
        hash([part, last(2), 0, 0]),
        hash([last(3), 1, 0, 0]),
        hash([last(4), 2, part, 0]),
        hash([last(6), 3, 0, 0]),
        hash([column, at.min(255), 0, 0]),
        hash([column, above, above_next, missed]),
        hash([column, last(2), 0, 0]),
        hash([vr, part, above << 9 | foreseen, missed]),
        hash([column, foreseen, missed, above]),
        hash([column, place.prefix, 0, 0]),
        hash([vr, part, place.prefix ^ element, place.value_length]),
        hash([vr << 8 | part, back(width) << 8 | back(2 * width), at % width as u64, back(1)]),
        hash([matched, matched_bytes, above, part]),
        hash([column, 4, 0, 0]),
        hash([column, place.prefix, place.changed, 5]),
        hash([back(4), at % 4, back(8), 6 << 8 | part]),
        hash([word(bytes), 7, back(1), part]),
    ]
}

fn hash(parts: [u64; 4]) -> u64 {
    parts.iter().fold(0x1234_5678, |hash, part| {
        let mixed = (hash ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^ mixed >> 31
    })
}

/// Hash of the letters that have just come, in either case.
fn word(bytes: &[u8]) -> u64 {
    let letters = bytes.iter().rev().take(12).take_while(|byte| byte.is_ascii_alphabetic());
    letters.fold(0, |word, letter| word * 37 + u64::from(letter & 31))
}

/// Bytes of a number of this VR.
fn width(vr: Vr) -> usize {
    if vr.is(b"FD") || vr.is(b"OD") {
        8
    } else if [b"UL", b"SL", b"FL", b"OF", b"OL", b"AT"].into_iter().any(|name| vr.is(name)) {
        4
    } else {
        2
    }
}

/// What kind of place it is, below [`KINDS`]: the VR of a value, else the part and the byte of it.
fn kind(walk: &Walk) -> usize {
    let at = walk.at() as usize;
    Vr::COUNT
        + match walk.part() {
            Part::Value => return walk.vr().index(),
            Part::Tag => at,
            Part::Vr => 4 + at,
            Part::Reserved => 6,
            Part::ShortLength => 7 + at,
            Part::Length => 9 + at,
            Part::Preamble => 13,
            Part::Plain => 14,
        }
}

const _: () = assert!(Vr::COUNT + 15 <= KINDS);
