//! Marker segments: what a JPEG stream says of its frame, its tables and its scans (T.81 annex B, T.87 annex C).
//!
//! Both directions read the same segments, from the coded frame or from the recipe that holds them verbatim, so an
//! application's own segments, comments and table order cost nothing to keep. Rule: only what one of the two lossless
//! processes needs is understood; arithmetic coding, hierarchies, a height given later (DNL) and lossy processes are
//! no frame of ours.

use super::{Shape, huffman::Huffman, jpeg_ls::Preset};
use crate::limits::FRAME_PLANES_MAX;

/// What was said so far. A later table replaces an earlier one, for the scans behind it.
#[derive(Debug, Default)]
pub(super) struct Headers {
    pub(super) frame: Option<FrameHeader>,
    pub(super) huffman: [Option<Huffman>; 4],
    /// MCUs between two restart markers; 0 for none.
    pub(super) restart_interval: u32,
    pub(super) preset: Preset,
}

/// What a frame is coded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// T.81 process 14, SOF3.
    Lossless,
    /// T.87, SOF55.
    JpegLs,
}

#[derive(Debug, Clone)]
pub(super) struct FrameHeader {
    pub(super) process: Process,
    /// Sample precision, 2 to 16.
    pub(super) bits: u8,
    width: u32,
    height: u32,
    components: Vec<Component>,
}

#[derive(Debug, Clone)]
struct Component {
    id: u8,
    horizontal: u32,
    vertical: u32,
}

/// One scan: which planes it codes and how.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    /// Index of each plane, and of its Huffman table.
    pub(super) planes: Vec<(usize, usize)>,
    /// T.81: predictor. T.87: NEAR.
    pub(super) selection: u8,
    /// T.87: interleave mode.
    pub(super) interleave: u8,
    /// Point transform: low bits that were cut.
    pub(super) transform: u8,
}

/// What segments end with.
pub(super) enum Next {
    /// A scan, whose entropy-coded bytes follow.
    Scan(Scan),
    /// EOI, or nothing more.
    End,
}

const SOF3: u8 = 0xC3;
const DHT: u8 = 0xC4;
const SOF55: u8 = 0xF7;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DRI: u8 = 0xDD;
const LSE: u8 = 0xF8;
/// Frame headers of other processes, and DAC, DNL, DHP, EXP: what we could not make again.
const NOT_OURS: [u8; 14] = [0xC0, 0xC1, 0xC2, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF, 0xDC];

impl FrameHeader {
    /// Size of a plane (T.81 A.1.1).
    pub(super) fn size(&self, plane: usize) -> Option<(u32, u32)> {
        let component = self.components.get(plane)?;
        let horizontal = self.components.iter().map(|c| c.horizontal).max()?;
        let vertical = self.components.iter().map(|c| c.vertical).max()?;
        let width = (self.width * component.horizontal).div_ceil(horizontal);
        Some((width, (self.height * component.vertical).div_ceil(vertical)))
    }

    /// All planes, with the bits their samples were found to have.
    pub(super) fn shape(&self, bits: u8) -> Option<Shape> {
        let planes = (0..self.components.len()).map(|plane| self.size(plane)).collect::<Option<Vec<_>>>()?;
        Some(Shape { bits, planes })
    }
}

impl Headers {
    /// Reads segments from the start of `bytes` up to a scan's data or the end. Gives how many bytes that were;
    /// bytes before the first marker, which an entropy coder may leave, are passed over.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<(Next, usize)> {
        let mut at = 0;
        loop {
            let Some(ff) = bytes[at..].iter().position(|byte| *byte == 0xFF) else {
                return Some((Next::End, bytes.len()));
            };
            at += ff + 1;
            match bytes.get(at).copied() {
                None => return Some((Next::End, bytes.len())),
                Some(EOI) => return Some((Next::End, at + 1)),
                // Fill bytes, stuffed bytes, SOI and restart markers have no segment.
                Some(0x00..0xC0 | 0xD0..=0xD8 | 0xFF) => continue,
                Some(marker) if NOT_OURS.contains(&marker) => return None,
                Some(marker) => {
                    let length = bytes.get(at + 1..at + 3)?;
                    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                    let segment = bytes.get(at + 3..at + 1 + length.max(2))?;
                    at += 1 + length.max(2);
                    match marker {
                        SOF3 => self.read_frame(Process::Lossless, segment)?,
                        SOF55 => self.read_frame(Process::JpegLs, segment)?,
                        DHT => self.read_tables(segment)?,
                        DRI => self.restart_interval = number(segment)?,
                        LSE => self.preset.read(segment)?,
                        SOS => return Some((Next::Scan(self.read_scan(segment)?), at)),
                        _ => {}
                    }
                }
            }
        }
    }

    fn read_frame(&mut self, process: Process, segment: &[u8]) -> Option<()> {
        let (head, components) = segment.split_at_checked(6)?;
        let bits = head[0];
        let height = u32::from(u16::from_be_bytes([head[1], head[2]]));
        let width = u32::from(u16::from_be_bytes([head[3], head[4]]));
        let components: Vec<_> = components
            .chunks_exact(3)
            .map(|c| Component { id: c[0], horizontal: u32::from(c[1] >> 4), vertical: u32::from(c[1] & 15) })
            .collect();
        let sound = (2..=16).contains(&bits)
            && width > 0
            && height > 0
            && usize::from(head[5]) == components.len()
            && (1..=FRAME_PLANES_MAX).contains(&components.len())
            && components.iter().all(|c| (1..=4).contains(&c.horizontal) && (1..=4).contains(&c.vertical))
            && self.frame.is_none();
        self.frame = Some(FrameHeader { process, bits, width, height, components });
        sound.then_some(())
    }

    fn read_tables(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((head, rest)) = segment.split_at_checked(17) {
            let count: usize = head[1..].iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(count)?;
            // Tables of class 1 code what no lossless process has; some encoders write them all the same.
            if head[0] >> 4 == 0 {
                let counts = head[1..].try_into().expect("seventeen bytes less one are sixteen");
                *self.huffman.get_mut(usize::from(head[0]))? = Some(Huffman::new(counts, symbols)?);
            }
            segment = rest;
        }
        Some(())
    }

    fn read_scan(&self, segment: &[u8]) -> Option<Scan> {
        let frame = self.frame.as_ref()?;
        let (&count, rest) = segment.split_first()?;
        let (components, parameters) = rest.split_at_checked(2 * usize::from(count))?;
        let &[selection, interleave, approximation] = parameters else { return None };
        let mut planes = Vec::new();
        for component in components.chunks_exact(2) {
            let plane = frame.components.iter().position(|known| known.id == component[0])?;
            let table = usize::from(component[1] >> 4);
            // Interleaved, a component with more than one sample in the MCU would be coded in another order.
            let single = frame.components[plane].horizontal == 1 && frame.components[plane].vertical == 1;
            if (count > 1 && !single) || planes.iter().any(|(other, _)| *other == plane) {
                return None;
            }
            planes.push((plane, table));
        }
        if planes.is_empty() {
            return None;
        }
        Some(Scan { planes, selection, interleave, transform: approximation & 15 })
    }
}

/// A segment that is one big-endian number.
fn number(segment: &[u8]) -> Option<u32> {
    ((2..=4).contains(&segment.len())).then(|| segment.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}
