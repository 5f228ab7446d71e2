//! Instances that came deflated, and are coded as if they had come plain.
//!
//! Deflate hides from both models what they live on: a deflated CT would travel as large as it came. So its data set is
//! inflated before anything here looks at it, and deflated again when all of it is decoded. Rule: only what
//! [`crate::deflated`] gives back byte for byte, and of one group no more than [`GROUP_INFLATED_BYTES_MAX`], on both sides: a
//! few deflated bytes can ask for a thousand times as many. Source: DICOM PS3.5 section A.5.

use crate::{
    deflated,
    group::{Content, DecodeError, EncodeError, Source, encode::copy},
    limits::GROUP_INFLATED_BYTES_MAX,
    scan::Scan,
};
use flate2::read::DeflateDecoder;
use std::io::{self, Cursor, Read};

/// Transfer syntax of a deflated data set.
pub(super) const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

/// A deflated Instance of a group.
pub(super) struct Inflated {
    /// Which of them.
    instance: u16,
    /// Bytes before the data set, which are as received.
    start: u32,
    /// Bytes of it all with the data set inflated.
    bytes: u32,
    /// What deflates it again.
    recipe: Vec<u8>,
}

impl Inflated {
    /// A scanned Instance inflated, with what was received, if it comes back and inflates to at most `bytes_max`.
    pub(super) fn of(
        index: usize,
        source: &dyn Source,
        scan: &Scan,
        bytes_max: u64,
    ) -> Result<Option<(Self, Content)>, EncodeError> {
        let is_deflated = scan.is_whole() && scan.origin.transfer_syntax.as_str() == DEFLATED;
        if !is_deflated || scan.bytes > bytes_max || source.bytes() > GROUP_INFLATED_BYTES_MAX {
            return Ok(None);
        }
        let mut received = Vec::new();
        let content = copy(index, source, |step| {
            received.extend_from_slice(step);
            Ok(())
        })?;
        let start = scan.origin.data_set;
        let inflated = deflated::inflate(&received[start as usize..], (bytes_max - start) as usize);
        // The scanner's places are only right where both inflate to the same.
        let same = inflated.filter(|inflated| start + inflated.data_set.len() as u64 == scan.bytes);
        Ok(same.map(|deflated::Inflated { recipe, .. }| {
            (Self { instance: index as u16, start: start as u32, bytes: scan.bytes as u32, recipe }, content)
        }))
    }

    /// As it stands in the stream.
    pub(super) fn write(&self, list: &mut Vec<u8>) {
        list.extend(self.instance.to_be_bytes());
        list.extend(self.start.to_be_bytes());
        list.extend(self.bytes.to_be_bytes());
        list.extend((self.recipe.len() as u32).to_be_bytes());
        list.extend_from_slice(&self.recipe);
    }

    /// The next of a list.
    fn parse(list: &mut &[u8]) -> Option<Self> {
        let instance = u16::from_be_bytes(*take(list)?);
        let [start, bytes, length] =
            [u32::from_be_bytes(*take(list)?), u32::from_be_bytes(*take(list)?), u32::from_be_bytes(*take(list)?)];
        let (recipe, rest) = list.split_at_checked(length as usize)?;
        *list = rest;
        Some(Self { instance, start, bytes, recipe: recipe.to_vec() })
    }
}

fn take<'l, const N: usize>(list: &mut &'l [u8]) -> Option<&'l [u8; N]> {
    let (taken, rest) = list.split_first_chunk()?;
    *list = rest;
    Some(taken)
}

/// An Instance as the models see it: as received, or inflated as it is read.
pub(super) struct Plain<'s> {
    pub(super) received: &'s dyn Source,
    pub(super) inflated: Option<Inflated>,
}

impl Source for Plain<'_> {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        let mut reader = self.received.open()?;
        let Some(inflated) = &self.inflated else { return Ok(reader) };
        let mut start = vec![0; inflated.start as usize];
        reader.read_exact(&mut start)?;
        Ok(Box::new(Cursor::new(start).chain(DeflateDecoder::new(reader))))
    }

    fn bytes(&self) -> u64 {
        self.inflated.as_ref().map_or_else(|| self.received.bytes(), |inflated| inflated.bytes.into())
    }
}

/// Gives the Instances of a group as they were received.
pub(super) struct Deflating {
    /// Bytes received of each.
    sizes: Vec<u64>,
    /// The deflated ones that are not done, the next one last.
    inflated: Vec<Inflated>,
    /// What is there of the one that is being decoded.
    plain: Vec<u8>,
}

impl Deflating {
    /// `list` says which of the Instances, `sizes` bytes of each as received, were deflated.
    pub(super) fn new(mut list: &[u8], sizes: &[u64]) -> Result<Self, DecodeError> {
        let (mut inflated, mut bytes): (Vec<Inflated>, u64) = (Vec::new(), 0);
        while !list.is_empty() {
            let next = Inflated::parse(&mut list).ok_or(DecodeError::Segment)?;
            bytes += u64::from(next.bytes);
            let size = *sizes.get(usize::from(next.instance)).ok_or(DecodeError::Segment)?;
            let follows = inflated.last().is_none_or(|before| before.instance < next.instance);
            let fits = u64::from(next.start) <= size && next.start <= next.bytes && bytes <= GROUP_INFLATED_BYTES_MAX;
            if !follows || !fits {
                return Err(DecodeError::Segment);
            }
            inflated.push(next);
        }
        inflated.reverse();
        Ok(Self { sizes: sizes.to_vec(), inflated, plain: Vec::new() })
    }

    /// Bytes of each Instance as the models see it.
    pub(super) fn plain_sizes(&self) -> Vec<u64> {
        let mut sizes = self.sizes.clone();
        for inflated in &self.inflated {
            sizes[usize::from(inflated.instance)] = inflated.bytes.into();
        }
        sizes
    }

    /// Takes the next bytes of an Instance.
    pub(super) fn take(&mut self, instance: usize, bytes: &[u8], give: &mut Give<'_>) -> Result<(), DecodeError> {
        if self.inflated.last().is_some_and(|inflated| usize::from(inflated.instance) == instance) {
            self.plain.extend_from_slice(bytes);
            return Ok(());
        }
        give(bytes)
    }

    /// All bytes of an Instance are there.
    pub(super) fn end(&mut self, instance: usize, give: &mut Give<'_>) -> Result<(), DecodeError> {
        let Some(inflated) = self.inflated.pop_if(|inflated| usize::from(inflated.instance) == instance) else {
            return Ok(());
        };
        let plain = std::mem::take(&mut self.plain);
        let (start, data_set) = plain.split_at_checked(inflated.start as usize).ok_or(DecodeError::Segment)?;
        let bytes_max = self.sizes[instance] as usize - start.len();
        let deflated = deflated::deflate(&inflated.recipe, data_set, bytes_max).map_err(|_| DecodeError::Segment)?;
        give(start)?;
        give(&deflated)
    }
}

/// What takes decoded bytes, in order.
pub(super) type Give<'g> = dyn FnMut(&[u8]) -> Result<(), DecodeError> + 'g;
