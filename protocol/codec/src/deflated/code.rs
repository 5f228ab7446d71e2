//! A prefix code from how often each symbol occurs, the very one that zlib makes (its build_tree and gen_bitlen).
//!
//! Huffman's tree is not unique: among equal counts zlib takes the shallower subtree first, by a heap whose order of
//! moves matters, and codes that come out too long are shortened in its own way. Where fewer than two symbols occur,
//! others are given a code too.

use super::blocks::reversed;

pub(super) const MAX_LITERAL_CODES: usize = 286;
pub(super) const MAX_DISTANCE_CODES: usize = 30;

/// The length of each symbol's code, up to the last one that has one.
pub(super) type Lengths = [u8];

/// A prefix code.
pub(super) struct Code {
    lengths: Vec<u8>,
    codes: Vec<u32>,
}

/// Nodes by count, then depth: the least on top.
struct Heap {
    nodes: Vec<usize>,
    counts: Vec<u32>,
    depths: Vec<u8>,
}

impl Heap {
    fn comes_first(&self, one: usize, other: usize) -> bool {
        (self.counts[one], self.depths[one]) <= (self.counts[other], self.depths[other])
    }

    /// Moves the node at `at` down to where it belongs.
    fn settle(&mut self, mut at: usize) {
        let node = self.nodes[at];
        loop {
            let mut child = 2 * at + 1;
            if child >= self.nodes.len() {
                break;
            }
            if child + 1 < self.nodes.len() && self.comes_first(self.nodes[child + 1], self.nodes[child]) {
                child += 1;
            }
            if self.comes_first(node, self.nodes[child]) {
                break;
            }
            self.nodes[at] = self.nodes[child];
            at = child;
        }
        self.nodes[at] = node;
    }
}

impl Code {
    /// For symbols that occur so often, with codes of at most `bits_max` bits.
    pub(super) fn new(counts: &[u32], bits_max: usize) -> Self {
        let symbols = counts.len();
        let mut heap = Heap { nodes: Vec::new(), counts: counts.to_vec(), depths: vec![0; symbols] };
        heap.nodes.extend((0..symbols).filter(|symbol| counts[*symbol] > 0));
        let mut last = heap.nodes.last().copied();
        while heap.nodes.len() < 2 {
            let added = match last {
                None => 0,
                Some(last) if last < 2 => last + 1,
                Some(_) => 0,
            };
            if last.is_none_or(|last| last < 2) {
                last = Some(added);
            }
            heap.counts[added] = 1;
            heap.nodes.push(added);
        }
        let last = last.expect("two symbols have codes by now");
        for at in (0..heap.nodes.len() / 2).rev() {
            heap.settle(at);
        }
        let lengths = lengths(heap, symbols, last, bits_max);
        let codes = canonical(&lengths);
        Self { lengths, codes }
    }

    /// Number of symbols up to the last one with a code.
    pub(super) fn count(&self) -> usize {
        self.lengths.len()
    }

    pub(super) fn lengths(&self) -> &Lengths {
        &self.lengths
    }

    /// Bits of a symbol's code, 0 if it has none.
    pub(super) fn length(&self, symbol: usize) -> u32 {
        self.lengths.get(symbol).copied().unwrap_or(0).into()
    }

    /// A symbol's code, first bit lowest, and its bits.
    pub(super) fn code(&self, symbol: usize) -> (u32, u32) {
        (self.codes[symbol], self.length(symbol))
    }
}

/// Joins the two least nodes until one is left, and reads the depths off the tree.
fn lengths(mut heap: Heap, symbols: usize, last: usize, bits_max: usize) -> Vec<u8> {
    let mut parents = vec![0; symbols];
    // Nodes as they leave the heap: in the end, from the deepest to the root.
    let mut left = Vec::new();
    while heap.nodes.len() >= 2 {
        let least = heap.nodes.swap_remove(0);
        heap.settle(0);
        let next = heap.nodes[0];
        let joined = heap.counts.len();
        heap.counts.push(heap.counts[least] + heap.counts[next]);
        heap.depths.push(heap.depths[least].max(heap.depths[next]) + 1);
        parents.push(0);
        (parents[least], parents[next]) = (joined, joined);
        left.extend([least, next]);
        heap.nodes[0] = joined;
        heap.settle(0);
    }
    left.push(heap.nodes[0]);

    let mut lengths = vec![0_u8; heap.counts.len()];
    let mut of_length = [0_usize; 16];
    let mut too_long = 0_usize;
    for &node in left.iter().rev().skip(1) {
        let bits = usize::from(lengths[parents[node]]) + 1;
        too_long += usize::from(bits > bits_max);
        lengths[node] = bits.min(bits_max) as u8;
        if node < symbols {
            of_length[bits.min(bits_max)] += 1;
        }
    }
    shorten(&mut lengths, &mut of_length, too_long, &left, symbols, bits_max);
    lengths.truncate(last + 1);
    lengths
}

/// Gives codes of at most `bits_max` bits where the tree is deeper: each too long leaf becomes the brother of one
/// higher up, and lengths are then dealt out anew, the longest to the least.
fn shorten(
    lengths: &mut [u8],
    of_length: &mut [usize; 16],
    too_long: usize,
    left: &[usize],
    symbols: usize,
    bits_max: usize,
) {
    if too_long == 0 {
        return;
    }
    for _ in 0..too_long.div_ceil(2) {
        let bits = (1..bits_max).rev().find(|bits| of_length[*bits] > 0).expect("a full tree has shorter codes");
        of_length[bits] -= 1;
        of_length[bits + 1] += 2;
        of_length[bits_max] -= 1;
    }
    let mut leaves = left.iter().filter(|node| **node < symbols);
    for bits in (1..=bits_max).rev() {
        for leaf in leaves.by_ref().take(of_length[bits]) {
            lengths[*leaf] = bits as u8;
        }
    }
}

/// Codes in order of length, then symbol (RFC 1951, 3.2.2).
fn canonical(lengths: &[u8]) -> Vec<u32> {
    let mut next = [0_u32; 17];
    for bits in 1..=15_u8 {
        let shorter = lengths.iter().filter(|length| **length == bits).count() as u32;
        next[usize::from(bits) + 1] = (next[usize::from(bits)] + shorter) << 1;
    }
    let mut code = |length: u8| {
        let code = &mut next[usize::from(length)];
        *code += 1;
        if length == 0 { 0 } else { reversed(*code - 1, length.into()) }
    };
    lengths.iter().map(|length| code(*length)).collect()
}
