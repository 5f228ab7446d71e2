//! Which repetitions zlib finds, and which it takes (its deflate_fast and deflate_slow).
//!
//! Positions whose next three bytes hash alike are chained, newest first; a chain is followed as far as the level
//! allows. Levels 4 and up look one byte further before they take a match, and take the longer one. Every comparison
//! here decides as zlib's does, since one other choice gives other bytes.

use super::blocks::Blocks;

const WINDOW: usize = 32 * 1024;
const MATCH_MIN: usize = 3;
const MATCH_MAX: usize = 258;
/// zlib keeps so much lookahead that a match is never cut; the farthest distance is the window less that.
const DISTANCE_MAX: usize = WINDOW - (MATCH_MAX + MATCH_MIN + 1);
/// A match of three bytes from farther away costs more than three literals.
const TOO_FAR: usize = 4096;

/// How far a level goes: zlib's configuration table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// With a match of this length in hand, only a quarter of the chain is followed.
    good: usize,
    /// Lazy: with a match of this length no further one is looked for. Greedy: positions inside longer ones are not
    /// chained.
    lazy: usize,
    /// A match of this length ends the search.
    nice: usize,
    chain: usize,
    is_lazy: bool,
}

impl Effort {
    pub(super) fn of(level: u8) -> Option<Self> {
        let (good, lazy, nice, chain) = match level {
            1 => (4, 4, 8, 4),
            2 => (4, 5, 16, 8),
            3 => (4, 6, 32, 32),
            4 => (4, 4, 16, 16),
            5 => (8, 16, 32, 32),
            6 => (8, 16, 128, 128),
            7 => (8, 32, 128, 256),
            8 => (32, 128, 258, 1024),
            9 => (32, 258, 258, 4096),
            _ => return None,
        };
        Some(Self { good, lazy, nice, chain, is_lazy: level > 3 })
    }
}

/// A repetition of what stands at `from`.
#[derive(Debug, Clone, Copy)]
struct Match {
    length: usize,
    from: usize,
}

const NO_MATCH: Match = Match { length: MATCH_MIN - 1, from: 0 };

/// The walk over the data.
pub(super) struct Search<'d> {
    data: &'d [u8],
    effort: Effort,
    hash_bits: u32,
    /// By hash: the newest position, 0 for none. So what stands at 0 is never found, as in zlib.
    heads: Vec<u32>,
    /// By position in the window: the next older one of the same hash.
    older: Vec<u32>,
    at: usize,
    /// What was found one byte before, and waits for a better one.
    waiting: Match,
    /// The byte before `at` is not written yet.
    literal_waits: bool,
    steps_left: u64,
}

impl<'d> Search<'d> {
    pub(super) fn new(data: &'d [u8], effort: Effort, memory_level: u8, steps_max: u64) -> Self {
        let hash_bits = u32::from(memory_level) + 7;
        Self {
            data,
            effort,
            hash_bits,
            heads: vec![0; 1 << hash_bits],
            older: vec![0; WINDOW],
            at: 0,
            waiting: NO_MATCH,
            literal_waits: false,
            steps_left: steps_max,
        }
    }

    /// Bytes that the symbols given so far, and a literal that waits, stand for; a block ends there.
    pub(super) fn done(&self) -> usize {
        self.at
    }

    /// Gives symbols until the block is full. `Some(false)` at the end of the data, `None` if it takes too long.
    pub(super) fn fill(&mut self, blocks: &mut Blocks<'_>) -> Option<bool> {
        while self.at < self.data.len() {
            let full = if self.effort.is_lazy { self.step_lazy(blocks)? } else { self.step_greedy(blocks)? };
            if full {
                return Some(true);
            }
        }
        if self.literal_waits {
            blocks.literal(self.data[self.at - 1]);
            self.literal_waits = false;
        }
        Some(false)
    }

    fn step_greedy(&mut self, blocks: &mut Blocks<'_>) -> Option<bool> {
        let head = self.chain_in(self.at);
        let found = if self.reaches(head) { self.longest(head, NO_MATCH.length)? } else { NO_MATCH };
        if found.length < MATCH_MIN {
            let full = blocks.literal(self.data[self.at]);
            self.at += 1;
            return Some(full);
        }
        let full = blocks.repeat(found.length, self.at - found.from);
        let end = self.at + found.length;
        if found.length <= self.effort.lazy && self.data.len() - end >= MATCH_MIN {
            for inside in self.at + 1..end {
                self.chain_in(inside);
            }
        }
        self.at = end;
        Some(full)
    }

    fn step_lazy(&mut self, blocks: &mut Blocks<'_>) -> Option<bool> {
        let head = self.chain_in(self.at);
        let before = std::mem::replace(&mut self.waiting, NO_MATCH);
        if before.length < self.effort.lazy && self.reaches(head) {
            let found = self.longest(head, before.length)?;
            let too_far = found.length == MATCH_MIN && self.at - found.from > TOO_FAR;
            self.waiting = if too_far { NO_MATCH } else { found };
        }
        if before.length >= MATCH_MIN && self.waiting.length <= before.length {
            let full = blocks.repeat(before.length, self.at - 1 - before.from);
            let end = self.at - 1 + before.length;
            for inside in self.at + 1..end {
                self.chain_in(inside);
            }
            self.at = end;
            self.literal_waits = false;
            self.waiting = NO_MATCH;
            return Some(full);
        }
        let full = self.literal_waits && blocks.literal(self.data[self.at - 1]);
        // The block that this literal fills ends before the byte that waits now.
        if full {
            blocks.cut_at(self.at);
        }
        self.literal_waits = true;
        self.at += 1;
        Some(full)
    }

    /// Chains a position and gives the one that was newest before.
    fn chain_in(&mut self, at: usize) -> usize {
        let Some(&[a, b, c]) = self.data[at..].first_chunk::<MATCH_MIN>() else { return 0 };
        let shift = self.hash_bits.div_ceil(3);
        let hash = (u32::from(a) << (2 * shift) ^ u32::from(b) << shift ^ u32::from(c)) & ((1 << self.hash_bits) - 1);
        let head = &mut self.heads[hash as usize];
        let before = *head;
        self.older[at % WINDOW] = before;
        *head = at as u32;
        before as usize
    }

    fn reaches(&self, head: usize) -> bool {
        head != 0 && self.at - head <= DISTANCE_MAX
    }

    /// Takes steps off what the data may cost.
    fn spend(&mut self, steps: u64) -> Option<()> {
        self.steps_left = self.steps_left.checked_sub(steps)?;
        Some(())
    }

    /// The longest match on the chain from `newest` that is longer than `best_length`.
    fn longest(&mut self, newest: usize, best_length: usize) -> Option<Match> {
        let data = self.data;
        let ahead = &data[self.at..(self.at + MATCH_MAX).min(data.len())];
        let nice = self.effort.nice.min(ahead.len());
        let chain = if best_length >= self.effort.good { self.effort.chain >> 2 } else { self.effort.chain };
        let limit = self.at.saturating_sub(DISTANCE_MAX);
        let mut best = Match { length: best_length, from: 0 };
        let mut from = newest;
        for _ in 0..chain {
            self.spend(1)?;
            let behind = &data[from..];
            // Beyond the data nothing is longer than what is in hand, whatever stands there.
            let may_be_longer = ahead.get(best.length).is_some_and(|byte| *byte == behind[best.length])
                && ahead[best.length - 1] == behind[best.length - 1];
            if may_be_longer {
                let length = common(ahead, behind);
                self.spend(length as u64 / 8)?;
                if length > best.length {
                    best = Match { length, from };
                    if length >= nice {
                        break;
                    }
                }
            }
            from = self.older[from % WINDOW] as usize;
            if from <= limit {
                break;
            }
        }
        best.length = best.length.min(ahead.len());
        Some(best)
    }
}

/// Bytes in which both begin alike.
fn common(one: &[u8], other: &[u8]) -> usize {
    let mut length = 0;
    for (a, b) in one.chunks_exact(8).zip(other.chunks_exact(8)) {
        let eight = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("chunks of eight"));
        let differ = eight(a) ^ eight(b);
        if differ != 0 {
            return length + differ.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length + one[length..].iter().zip(&other[length..]).take_while(|(a, b)| a == b).count()
}
