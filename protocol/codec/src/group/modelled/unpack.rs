//! Decodes what [`super::write`] wrote, inside the sizes declared.
//!
//! Every segment is bounded by the holes it fills: no raster of more bytes than are left, no frame of more samples
//! than its bytes could code, no zstd frame of more than it says. The model itself can't fail; hashes say whether what
//! it gave is right.

use super::{
    inflated::{Deflating, Give},
    raster::Raster,
    segment::{Coded, Form, Model, Native, Recent, dimensions},
};
use crate::{
    frame,
    group::{decode::DecodeError, stream::Split},
    header::{self, Header},
    limits::{
        COLUMNS_MAX, FRAME_SAMPLES_MAX, MODEL_BYTES, MODELS_FREE, RECIPE_BYTES_MAX, SAMPLES_PER_CODED_BYTE_MAX,
        SEGMENT_BYTES_MAX, WINDOW_LOG,
    },
    pixel::{Band, Reading},
};
use std::io::Read;

/// Decodes all that follows the head.
pub(in crate::group) fn unpack(stream: &mut impl Read, sizes: &[u64], into: &mut Split<'_>) -> Result<(), DecodeError> {
    unpack_plain(stream, Deflating::new(&[], sizes)?, into)
}

/// The same of a group with deflated Instances.
pub(in crate::group) fn unpack_inflated(
    stream: &mut impl Read,
    sizes: &[u64],
    into: &mut Split<'_>,
) -> Result<(), DecodeError> {
    let deflated = block(stream)?;
    unpack_plain(stream, Deflating::new(&deflated, sizes)?, into)
}

fn unpack_plain(stream: &mut impl Read, deflating: Deflating, into: &mut Split<'_>) -> Result<(), DecodeError> {
    let mut reader = Unpacker::new(header::decode(&block(stream)?, &deflating.plain_sizes())?, deflating);
    let mut give = |bytes: &[u8]| match into.take(bytes).map_err(DecodeError::Write)? {
        true => Ok(()),
        false => Err(DecodeError::TooLong),
    };
    reader.headers(&mut give)?;
    while !reader.is_done() {
        reader.segment(&block(stream)?, &mut give)?;
    }
    if matches!(stream.read(&mut [0]), Ok(0)) { Ok(()) } else { Err(DecodeError::TooLong) }
}

/// A length and so many bytes.
fn block(stream: &mut impl Read) -> Result<Vec<u8>, DecodeError> {
    let ends = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => DecodeError::EndsEarly,
        _ => DecodeError::Read(error),
    };
    let mut length = [0; 4];
    stream.read_exact(&mut length).map_err(ends)?;
    let length = u64::from(u32::from_be_bytes(length));
    if length > SEGMENT_BYTES_MAX {
        return Err(DecodeError::Segment);
    }
    let mut bytes = Vec::new();
    stream.take(length).read_to_end(&mut bytes).map_err(DecodeError::Read)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(DecodeError::EndsEarly) }
}

/// Fills the holes of a group's headers, segment after segment.
pub(super) struct Unpacker {
    headers: Vec<Header>,
    deflating: Deflating,
    /// Instance and hole that are being filled.
    instance: usize,
    hole: usize,
    /// Bytes of that hole that are there.
    filled: u64,
    /// Holes that the next compressed frame fills.
    joined: usize,
    native: Option<Native>,
    coded: Option<Coded>,
    recent: Recent,
    /// Models that may yet begin.
    models: u64,
}

impl Unpacker {
    pub(super) fn new(headers: Vec<Header>, deflating: Deflating) -> Self {
        let bytes: u64 = headers.iter().flat_map(|header| &header.holes).map(|hole| hole.bytes).sum();
        let models = MODELS_FREE + bytes / MODEL_BYTES;
        Self {
            headers,
            deflating,
            instance: 0,
            hole: 0,
            filled: 0,
            joined: 1,
            native: None,
            coded: None,
            recent: Recent::default(),
            models,
        }
    }

    /// Another model begins.
    fn begin_model(&mut self) -> Result<(), DecodeError> {
        self.models = self.models.checked_sub(1).ok_or(DecodeError::Segment)?;
        Ok(())
    }

    pub(super) fn is_done(&self) -> bool {
        self.instance == self.headers.len()
    }

    /// Gives header bytes up to the next hole.
    pub(super) fn headers(&mut self, give: &mut Give<'_>) -> Result<(), DecodeError> {
        while let Some(header) = self.headers.get(self.instance) {
            let from = self.hole.checked_sub(1).map_or(0, |before| header.holes[before].at) as usize;
            match header.holes.get(self.hole) {
                Some(hole) => {
                    self.deflating.take(self.instance, &header.bytes[from..hole.at as usize], give)?;
                    if hole.bytes > 0 {
                        return Ok(());
                    }
                    self.hole += 1;
                }
                None => {
                    self.deflating.take(self.instance, &header.bytes[from..], give)?;
                    self.deflating.end(self.instance, give)?;
                    (self.instance, self.hole) = (self.instance + 1, 0);
                }
            }
        }
        Ok(())
    }

    /// Bytes of the current hole that are missing.
    fn left(&self) -> u64 {
        let hole = self.headers.get(self.instance).and_then(|header| header.holes.get(self.hole));
        hole.map_or(0, |hole| hole.bytes - self.filled)
    }

    /// Bytes for the current hole.
    fn fill(&mut self, bytes: &[u8], give: &mut Give<'_>) -> Result<(), DecodeError> {
        let left = self.left();
        if bytes.len() as u64 > left {
            return Err(DecodeError::Segment);
        }
        self.deflating.take(self.instance, bytes, give)?;
        self.filled += bytes.len() as u64;
        if bytes.len() as u64 == left {
            (self.hole, self.filled) = (self.hole + 1, 0);
            self.headers(give)?;
        }
        Ok(())
    }

    /// Bytes of the holes that the next compressed frame fills.
    fn frame_left(&self) -> u64 {
        let holes = self.headers.get(self.instance).map_or(&[][..], |header| &header.holes[self.hole..]);
        holes.iter().take(self.joined).map(|hole| hole.bytes).sum::<u64>().saturating_sub(self.filled)
    }

    /// All bytes of these holes, a compressed frame.
    fn fill_frame(&mut self, mut bytes: &[u8], give: &mut Give<'_>) -> Result<(), DecodeError> {
        if self.filled > 0 || bytes.len() as u64 != self.frame_left() {
            return Err(DecodeError::Segment);
        }
        self.recent.push(bytes);
        for _ in 0..self.joined {
            let (fragment, rest) = bytes.split_at(self.left() as usize);
            self.fill(fragment, give)?;
            bytes = rest;
        }
        Ok(())
    }

    /// The form of a segment, and how many holes it fills if it gives a frame.
    fn form(&mut self, cut: &mut Cut<'_>) -> Result<Form, DecodeError> {
        let form = Form::parse(cut.byte()?).ok_or(DecodeError::Segment)?;
        self.joined = 1;
        if form != Form::Joined {
            return Ok(form);
        }
        self.joined = usize::from(cut.u16()?);
        let holes_left = self.headers.get(self.instance).map_or(0, |header| header.holes.len() - self.hole);
        let joined = Form::parse(cut.byte()?).filter(|form| form.is_frame());
        joined.filter(|_| (2..=holes_left).contains(&self.joined)).ok_or(DecodeError::Segment)
    }

    /// Decodes one segment.
    pub(super) fn segment(&mut self, segment: &[u8], give: &mut Give<'_>) -> Result<(), DecodeError> {
        let mut cut = Cut(segment);
        match self.form(&mut cut)? {
            Form::Joined => Err(DecodeError::Segment),
            Form::Bytes => self.bytes(cut, give),
            Form::Pictures => {
                let (pictures, reading) = (cut.u16()?, Reading::new(cut.0));
                let native = self.native.take().ok_or(DecodeError::Segment)?;
                self.pictures(native, pictures, reading, give)
            }
            Form::PicturesAnew => {
                let raster = Raster::parse(*cut.array()?).ok_or(DecodeError::Segment)?;
                let Some(Model::New(effort)) = Model::parse(cut.byte()?) else { return Err(DecodeError::Segment) };
                let (pictures, mut reading) = (cut.u16()?, Reading::new(cut.0));
                if raster.bytes(raster.band_rows()) as u64 > self.left() {
                    return Err(DecodeError::Segment);
                }
                self.begin_model()?;
                let ranks = (0..raster.lists()).map(|_| reading.ranks()).collect::<Option<Vec<_>>>();
                let native = Native::new(raster, effort, ranks.ok_or(DecodeError::Segment)?);
                self.pictures(native, pictures, reading, give)
            }
            Form::Frame => {
                let coded = self.coded.take().ok_or(DecodeError::Segment)?;
                self.frame(coded, Reading::new(cut.0), give)
            }
            Form::FrameAnew => self.frame_anew(cut, give),
            Form::Lepton => {
                let length = cut.u32()? as usize;
                let (head, body) = cut.0.split_at_checked(length).ok_or(DecodeError::Segment)?;
                let jpeg =
                    frame::decode_baseline(head, body, self.frame_left() as usize).map_err(|_| DecodeError::Segment)?;
                self.fill_frame(&jpeg, give)
            }
            Form::Again => {
                let frame = self.recent.get(cut.u16()?).ok_or(DecodeError::Segment)?.to_vec();
                self.fill_frame(&frame, give)
            }
        }
    }

    /// Bytes as they are; they may go on into the next holes.
    fn bytes(&mut self, mut cut: Cut<'_>, give: &mut Give<'_>) -> Result<(), DecodeError> {
        let mut count = u64::from(cut.u32()?);
        let mut decoder = zstd::stream::read::Decoder::with_buffer(cut.0).map_err(DecodeError::Coder)?.single_frame();
        decoder.window_log_max(WINDOW_LOG).map_err(DecodeError::Coder)?;
        let mut buffer = vec![0; 64 * 1024];
        while count > 0 {
            let step = count.min(self.left()).min(buffer.len() as u64) as usize;
            if step == 0 {
                return Err(DecodeError::TooLong);
            }
            decoder.read_exact(&mut buffer[..step]).map_err(DecodeError::Coder)?;
            self.fill(&buffer[..step], give)?;
            count -= step as u64;
        }
        Ok(())
    }

    fn pictures(
        &mut self,
        mut native: Native,
        pictures: u16,
        mut reading: Reading<'_>,
        give: &mut Give<'_>,
    ) -> Result<(), DecodeError> {
        for _ in 0..pictures {
            let rows = native.next_rows();
            if native.raster.bytes(rows) as u64 > self.left() {
                return Err(DecodeError::Segment);
            }
            let band = if native.rows_done == 0 { Band::First } else { Band::Further };
            let mut planes = native.raster.blank(rows);
            reading.picture(&mut native.pictures, band, &mut planes);
            self.fill(&native.raster.pack(&mut planes), give)?;
            native.step(rows);
        }
        self.native = Some(native);
        Ok(())
    }

    fn frame_anew(&mut self, mut cut: Cut<'_>, give: &mut Give<'_>) -> Result<(), DecodeError> {
        let begun = Model::parse(cut.byte()?).ok_or(DecodeError::Segment)?;
        let length = cut.u32()? as usize;
        let (recipe, model) = cut.0.split_at_checked(length).ok_or(DecodeError::Segment)?;
        let recipe = zstd::bulk::decompress(recipe, RECIPE_BYTES_MAX).map_err(DecodeError::Coder)?;
        let shape = frame::shape(&recipe).map_err(|_| DecodeError::Segment)?;
        let bound = (self.frame_left().saturating_mul(SAMPLES_PER_CODED_BYTE_MAX)).min(FRAME_SAMPLES_MAX as u64);
        if shape.samples() > bound
            || shape.planes.iter().any(|(columns, rows)| *columns == 0 || *rows == 0 || *columns as usize > COLUMNS_MAX)
        {
            return Err(DecodeError::Segment);
        }
        let mut reading = Reading::new(model);
        let coded = match begun {
            Model::Kept => {
                let kept = self.coded.take().filter(|kept| kept.shape == shape).ok_or(DecodeError::Segment)?;
                Coded { recipe, ..kept }
            }
            Model::New(effort) => {
                self.begin_model()?;
                let ranks = (0..dimensions(&shape).planes.len()).map(|_| reading.ranks()).collect::<Option<Vec<_>>>();
                Coded::new(shape, recipe, effort, ranks.ok_or(DecodeError::Segment)?)
            }
        };
        self.frame(coded, reading, give)
    }

    fn frame(&mut self, mut coded: Coded, mut reading: Reading<'_>, give: &mut Give<'_>) -> Result<(), DecodeError> {
        let mut planes = coded.blank();
        reading.picture(&mut coded.pictures, Band::First, &mut planes);
        let frame = coded.put_together(planes, self.frame_left() as usize).map_err(|_| DecodeError::Segment)?;
        self.coded = Some(coded);
        self.fill_frame(&frame, give)
    }
}

/// Takes integers off the front of a segment.
struct Cut<'s>(&'s [u8]);

impl<'s> Cut<'s> {
    fn array<const N: usize>(&mut self) -> Result<&'s [u8; N], DecodeError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(DecodeError::Segment)?;
        self.0 = rest;
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| *byte)
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }
}
