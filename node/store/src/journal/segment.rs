//! What a segment of the journal looks like on disk, and how a torn end differs from damage.
//!
//! The last batch before a power cut may be there in part: it was never acknowledged and is cut off. Anything else
//! that doesn't read back was acknowledged once, and to skip it would lose a Study without a word. The two are told
//! apart by one rule: space not yet written is zeros, and a written sector is never all zeros, because bodies are
//! XORed with a mask. So a batch with a zero sector and nothing after it is torn, and every other bad one is
//! damage. Layout: `protocol/SPEC.md`, Storage.
//!
//! ```text
//! segment = head (one sector) | batch ... | mark (one sector, once a next segment is durable) | zeros
//! batch   = head | body XOR mask | 0x5a | zeros to the next sector
//! body    = (length u32 | record) ...
//! ```

/// Bytes a disk writes whole or not at all.
pub(crate) const SECTOR: usize = 512;
/// Bytes of a batch's head.
pub(crate) const BATCH_HEAD: usize = 4 + 4 + 32 + 32 + 4;

const SEGMENT_MAGIC: &[u8; 8] = b"rmesh-j1";
const SEGMENT_HEAD: usize = 8 + 8 + 8 + 32 + 4;
const BATCH_MAGIC: &[u8; 4] = b"rmjB";
const MARK_MAGIC: &[u8; 4] = b"rmjE";
/// Ends a batch, so that its last sector is never all zeros.
const TRAILER: u8 = 0x5a;

/// BLAKE3, keyed by the node, over all that the journal held up to a batch.
pub(crate) type Link = [u8; 32];

/// The node's key for links and masks, so that nobody's event can imitate a batch.
#[derive(Clone)]
pub(crate) struct JournalKey(pub(crate) [u8; 32]);

impl std::fmt::Debug for JournalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JournalKey")
    }
}

impl JournalKey {
    /// The link before the first batch.
    pub(crate) fn genesis(&self) -> Link {
        *blake3::keyed_hash(&self.0, b"genesis").as_bytes()
    }

    fn link(&self, prev: &Link, body: &[u8]) -> Link {
        *blake3::Hasher::new_keyed(&self.0).update(prev).update(body).finalize().as_bytes()
    }

    /// XORs `body` with 64 bytes that only this node can tell, over and over. It hides nothing: it makes sectors of
    /// zeros and look-alikes of a head impossible.
    fn whiten(&self, link: &Link, body: &mut [u8]) {
        let mut mask = [0; 64];
        blake3::Hasher::new_keyed(&self.0).update(link).update(b"whiten").finalize_xof().fill(&mut mask);
        for part in body.chunks_mut(mask.len()) {
            part.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
    }
}

/// Head of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub(crate) number: u64,
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// The link of the batch before the first of this segment.
    pub(crate) prev: Link,
}

/// What the first sector of a segment says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Head {
    Whole(SegmentHead),
    /// All zeros, or no sector: never written.
    Unwritten,
    Damaged,
}

impl SegmentHead {
    pub(crate) fn encode(&self) -> [u8; SECTOR] {
        let mut sector = [0; SECTOR];
        sector[..8].copy_from_slice(SEGMENT_MAGIC);
        sector[8..16].copy_from_slice(&self.number.to_be_bytes());
        sector[16..24].copy_from_slice(&self.bytes.to_be_bytes());
        sector[24..56].copy_from_slice(&self.prev);
        let crc = crc32c::crc32c(&sector[..56]);
        sector[56..60].copy_from_slice(&crc.to_be_bytes());
        sector
    }

    pub(crate) fn decode(segment: &[u8]) -> Head {
        let Some(head) = segment.get(..SEGMENT_HEAD).filter(|_| !zeros(&segment[..SECTOR.min(segment.len())])) else {
            return if zeros(segment) { Head::Unwritten } else { Head::Damaged };
        };
        // The rest of the sector carries nothing, and is checked all the same: a flip there is a dying card too.
        let padding = segment.get(SEGMENT_HEAD..SECTOR).unwrap_or_default();
        if head[..8] != *SEGMENT_MAGIC || crc32c::crc32c(&head[..56]) != u32_at(head, 56) || !zeros(padding) {
            return Head::Damaged;
        }
        let number = |at: usize| u64::from_be_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        let prev = head[24..56].try_into().expect("32 bytes");
        Head::Whole(Self { number: number(8), bytes: number(16), prev })
    }
}

/// Bytes a batch with this body takes, to the next sector.
pub(crate) const fn batch_bytes(body: usize) -> usize {
    (BATCH_HEAD + body + 1).next_multiple_of(SECTOR)
}

/// A batch as written, and its link.
pub(crate) fn encode_batch(key: &JournalKey, prev: &Link, body: &[u8]) -> (Vec<u8>, Link) {
    let link = key.link(prev, body);
    let mut bytes = batch_head(BATCH_MAGIC, body.len(), prev, &link);
    bytes.extend_from_slice(body);
    key.whiten(&link, &mut bytes[BATCH_HEAD..]);
    bytes.push(TRAILER);
    bytes.resize(batch_bytes(body.len()), 0);
    (bytes, link)
}

/// The mark that the journal goes on in the next segment.
pub(crate) fn encode_mark(prev: &Link) -> Vec<u8> {
    let mut bytes = batch_head(MARK_MAGIC, 0, prev, prev);
    bytes.resize(SECTOR, 0);
    bytes
}

fn batch_head(magic: &[u8; 4], body: usize, prev: &Link, link: &Link) -> Vec<u8> {
    let length = u32::try_from(body).expect("a batch fits a segment");
    let mut head = [&magic[..], &length.to_be_bytes(), prev, link].concat();
    head.extend(crc32c::crc32c(&head).to_be_bytes());
    head
}

/// What stands at a place in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A batch: its records, its link, and where the next begins.
    Batch { body: Vec<u8>, link: Link, end: usize },
    /// The journal goes on in the next segment.
    Continued,
    /// Nothing was written here yet.
    End,
    /// A batch that a power cut left in part; it was never acknowledged.
    Torn,
    /// Something that was acknowledged once does not read back; says what is wrong.
    Damaged(&'static str),
}

/// Reads the batch at `at`, which must follow `prev`, or with `prev` unknown whatever link it names.
pub(crate) fn read_batch(key: &JournalKey, segment: &[u8], at: usize, prev: Option<&Link>) -> Next {
    let rest = segment.get(at..).unwrap_or_default();
    if zeros(rest) {
        return Next::End;
    }
    if zeros(&rest[..SECTOR.min(rest.len())]) {
        return torn_unless_followed(rest);
    }
    let Some((magic, length)) = head_at(rest) else {
        return Next::Damaged("the head of a batch is not what was written");
    };
    let link: Link = rest[40..72].try_into().expect("32 bytes");
    let stated: Link = rest[8..40].try_into().expect("32 bytes");
    if prev.is_some_and(|prev| stated != *prev) {
        return Next::Damaged("a batch does not follow the one before it");
    }
    if magic == *MARK_MAGIC {
        return if zeros(&rest[BATCH_HEAD..]) {
            Next::Continued
        } else {
            Next::Damaged("bytes after the end of a segment")
        };
    }
    let end = batch_bytes(length);
    let Some(batch) = rest.get(..end) else { return Next::Damaged("a batch is longer than its segment") };
    let trailer = BATCH_HEAD + length;
    if batch[..=trailer].chunks(SECTOR).any(zeros) {
        return torn_unless_followed(rest);
    }
    let mut body = batch[BATCH_HEAD..trailer].to_vec();
    key.whiten(&link, &mut body);
    if key.link(&stated, &body) != link || batch[trailer] != TRAILER || !zeros(&batch[trailer + 1..]) {
        return Next::Damaged("the body of a batch is not what was written");
    }
    Next::Batch { body, link, end: at + end }
}

/// A batch is written only after the one before it is durable, so a batch after a bad one proves damage.
fn torn_unless_followed(rest: &[u8]) -> Next {
    if rest.chunks(SECTOR).skip(1).any(|sector| head_at(sector).is_some()) {
        Next::Damaged("a batch is missing, and later ones are there")
    } else {
        Next::Torn
    }
}

/// Magic and body length of a whole batch head.
fn head_at(sector: &[u8]) -> Option<([u8; 4], usize)> {
    let head = sector.get(..BATCH_HEAD)?;
    let magic: [u8; 4] = head[..4].try_into().expect("four bytes");
    let known = magic == *BATCH_MAGIC || magic == *MARK_MAGIC;
    (known && crc32c::crc32c(&head[..72]) == u32_at(head, 72)).then(|| (magic, u32_at(head, 4) as usize))
}

/// Appends one record to a body; gives its place in the body.
pub(crate) fn push_record(body: &mut Vec<u8>, record: &[u8]) -> u32 {
    let at = u32::try_from(body.len()).expect("a batch fits a segment");
    body.extend(u32::try_from(record.len()).expect("a record is under the limit").to_be_bytes());
    body.extend_from_slice(record);
    at
}

/// The record at a place in a body, and the place of the next.
pub(crate) fn record_at(body: &[u8], at: u32) -> Option<(&[u8], u32)> {
    let from = at as usize;
    let length = u32::from_be_bytes(body.get(from..from + 4)?.try_into().ok()?);
    let record = body.get(from + 4..(from + 4).checked_add(length as usize)?)?;
    Some((record, at.checked_add(4)?.checked_add(length)?))
}

/// Whether every byte is zero.
pub(crate) fn zeros(bytes: &[u8]) -> bool {
    bytes.chunks(64).all(|part| part.iter().fold(0, |any, byte| any | byte) == 0)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(key: &JournalKey, bodies: &[&[u8]]) -> Vec<u8> {
        let mut prev = key.genesis();
        let mut bytes = Vec::new();
        for body in bodies {
            let (batch, link) = encode_batch(key, &prev, body);
            bytes.extend(batch);
            prev = link;
        }
        bytes.resize(bytes.len() + 4 * SECTOR, 0);
        bytes
    }

    #[test]
    fn any_bit_turned_over_in_the_last_batch_is_damage_and_not_a_torn_end() {
        let key = JournalKey([7; 32]);
        // A body of zeros is the hard case: without the mask its sectors would look unwritten.
        let whole = segment(&key, &[&[0; 1500]]);
        for bit in 0..batch_bytes(1500) * 8 {
            let mut bad = whole.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let read = read_batch(&key, &bad, 0, Some(&key.genesis()));
            assert!(matches!(read, Next::Damaged(_)), "bit {bit}: {read:?}");
        }
    }

    #[test]
    fn every_subset_of_the_sectors_of_the_last_batch_is_torn_or_whole() {
        let key = JournalKey([7; 32]);
        let whole = segment(&key, &[&[0; 1500]]);
        let sectors = batch_bytes(1500) / SECTOR;
        for kept in 0..(1_u32 << sectors) - 1 {
            let mut cut = whole.clone();
            for lost in (0..sectors).filter(|sector| kept >> sector & 1 == 0) {
                cut[lost * SECTOR..(lost + 1) * SECTOR].fill(0);
            }
            let read = read_batch(&key, &cut, 0, Some(&key.genesis()));
            assert_eq!(read, if kept == 0 { Next::End } else { Next::Torn });
        }
    }

    #[test]
    fn a_zeroed_sector_before_a_later_batch_is_damage() {
        let key = JournalKey([7; 32]);
        for lost in 0..batch_bytes(1500) / SECTOR {
            let mut bad = segment(&key, &[&[1; 1500], b"later"]);
            bad[lost * SECTOR..(lost + 1) * SECTOR].fill(0);
            assert!(matches!(read_batch(&key, &bad, 0, Some(&key.genesis())), Next::Damaged(_)));
        }
    }
}
