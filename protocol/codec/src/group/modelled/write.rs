//! Codes a group: headers first, then a segment or more for each Instance.
//!
//! Sources are read forward three times (plan, which values occur, code), a band or a frame at a time, so that a film of
//! 500 MB takes no more memory than one of 5.

use super::{
    holes::{Frame, Holes},
    inflated::Deflating,
    plan::{Pixels, Planned},
    raster::Raster,
    segment::{Coded, Form, Model, Native, Recent, dimensions},
    unpack::Unpacker,
};
use crate::{
    EncodingId,
    frame::{self, Coding, Shape, TakenApart},
    group::{
        Content, DecodeError, EncodeError, GroupStats, Parts, Source, coded_bytes_max,
        encode::compressed,
        stream::{Split, head},
    },
    header::{self, Residue},
    limits::{
        COLUMNS_MAX, FRAME_SAMPLES_MAX, GROUP_INFLATED_BYTES_MAX, SAMPLES_PER_CODED_BYTE_MAX, SEGMENT_RECEIVED_BYTES,
    },
    pixel::{Band, Effort, Occurring, Ranks, Writing},
};
use std::{
    io::{self, Write},
    ops::Range,
};

/// When what is written is decoded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::group) enum Proof {
    /// At once, with a second model beside the first: for what is kept nowhere.
    AsWritten,
    /// By the caller, who has all of it.
    Later,
}

/// Codes the group into `out`.
pub(in crate::group) fn write(
    sources: &[&dyn Source],
    sizes: &[u64],
    effort: Effort,
    proof: Proof,
    out: &mut dyn Write,
) -> Result<GroupStats, EncodeError> {
    let mut inflated_left = GROUP_INFLATED_BYTES_MAX;
    let planned = sources.iter().enumerate().map(|(index, source)| Planned::read(index, *source, &mut inflated_left));
    let planned = planned.collect::<Result<Vec<_>, _>>()?;
    let residues: Vec<Residue<'_>> = planned.iter().map(Planned::residue).collect();
    let headers = header::encode(&residues);
    let mut deflated = Vec::new();
    planned.iter().filter_map(|instance| instance.source.inflated.as_ref()).for_each(|one| one.write(&mut deflated));

    let mut written = Written::new(out, &deflated, &headers, sizes, proof)?;
    let mut writer = Writer { planned: &planned, effort, native: None, framed: None, recent: Recent::default() };
    for index in 0..planned.len() {
        writer.instance(index, &mut written)?;
    }
    let contents: Vec<Content> = planned.iter().map(|instance| instance.content).collect();
    let (coded_bytes, parts) = written.finish(&contents)?;
    Ok(GroupStats { contents, received_bytes: sizes.iter().sum(), coded_bytes, parts })
}

/// What was written.
struct Written<'w> {
    out: &'w mut dyn Write,
    head: u64,
    parts: Parts,
    again: Option<Again>,
}

/// The same, decoded as it goes.
struct Again {
    unpacker: Unpacker,
    split: Split<'static>,
}

impl Again {
    fn new(deflated: &[u8], headers: &[u8], sizes: &[u64]) -> Result<Self, DecodeError> {
        let deflating = Deflating::new(deflated, sizes)?;
        let decoded = header::decode(headers, &deflating.plain_sizes())?;
        let split = Split::new(sizes.to_vec(), Box::new(|_| Ok(Box::new(io::sink()))));
        let mut again = Self { unpacker: Unpacker::new(decoded, deflating), split };
        again.take(|unpacker, give| unpacker.headers(give))?;
        Ok(again)
    }

    fn take(
        &mut self,
        unpack: impl FnOnce(&mut Unpacker, &mut dyn FnMut(&[u8]) -> Result<(), DecodeError>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let split = &mut self.split;
        unpack(&mut self.unpacker, &mut |bytes| split.take(bytes).map(drop).map_err(DecodeError::Write))
    }
}

impl<'w> Written<'w> {
    fn new(
        out: &'w mut dyn Write,
        deflated: &[u8],
        headers: &[u8],
        sizes: &[u64],
        proof: Proof,
    ) -> Result<Self, EncodeError> {
        let again = (proof == Proof::AsWritten).then(|| Again::new(deflated, headers, sizes)).transpose();
        let head = head(if deflated.is_empty() { EncodingId::Model } else { EncodingId::Inflated }, sizes);
        out.write_all(&head).map_err(EncodeError::Write)?;
        let again = again.map_err(|_| EncodeError::NotEqual)?;
        let mut written = Self { out, head: head.len() as u64, parts: Parts::default(), again };
        if !deflated.is_empty() {
            written.parts.headers += written.block(deflated)?;
        }
        written.parts.headers += written.block(headers)?;
        Ok(written)
    }

    /// Gives the bytes it takes.
    fn block(&mut self, bytes: &[u8]) -> Result<u64, EncodeError> {
        let length = u32::try_from(bytes.len()).map_err(|_| EncodeError::NotEqual)?;
        self.out.write_all(&length.to_be_bytes()).map_err(EncodeError::Write)?;
        self.out.write_all(bytes).map_err(EncodeError::Write)?;
        Ok(4 + bytes.len() as u64)
    }

    fn segment(&mut self, form: Form, parts: &[&[u8]]) -> Result<(), EncodeError> {
        let mut segment = vec![form as u8];
        parts.iter().for_each(|part| segment.extend_from_slice(part));
        self.parts.pixels += self.block(&segment)?;
        let Some(again) = &mut self.again else { return Ok(()) };
        again.take(|unpacker, give| unpacker.segment(&segment, give)).map_err(|_| EncodeError::NotEqual)
    }

    /// A segment that gives a compressed frame.
    fn frame(&mut self, frame: &Frame, form: Form, parts: &[&[u8]]) -> Result<(), EncodeError> {
        if frame.holes == 1 {
            return self.segment(form, parts);
        }
        let (holes, form) = (frame.holes.to_be_bytes(), [form as u8]);
        self.segment(Form::Joined, &[&[&holes[..], &form], parts].concat())
    }

    /// Holds what came out, if it was decoded, against what was read, and gives the bytes of the stream.
    fn finish(self, contents: &[Content]) -> Result<(u64, Parts), EncodeError> {
        self.out.flush().map_err(EncodeError::Write)?;
        let coded_bytes = self.head + self.parts.headers + self.parts.pixels;
        let received = contents.iter().map(|content| content.bytes).sum();
        // A decoder reads no further than that.
        let is_read = coded_bytes <= coded_bytes_max(received, contents.len());
        let is_equal = match self.again {
            None => true,
            Some(Again { unpacker, split }) => {
                unpacker.is_done() && split.finish().map_err(EncodeError::Coder)? == contents
            }
        };
        if is_read && is_equal { Ok((coded_bytes, self.parts)) } else { Err(EncodeError::NotEqual) }
    }
}

/// The shapes that the frames of a run have, with the values that occur in each.
type Shapes = Vec<(Shape, Vec<Occurring>, u64)>;

struct Writer<'w> {
    planned: &'w [Planned<'w>],
    effort: Effort,
    /// The model in force, and the Instances whose values it knows.
    native: Option<(Range<usize>, Native)>,
    framed: Option<Framed>,
    recent: Recent,
}

/// Compressed frames of a run of Instances.
struct Framed {
    run: Range<usize>,
    shapes: Shapes,
    coded: Option<Coded>,
}

impl Writer<'_> {
    fn instance(&mut self, index: usize, written: &mut Written<'_>) -> Result<(), EncodeError> {
        let planned = &self.planned[index];
        if planned.ranges.is_empty() {
            return Ok(());
        }
        let mut holes = Holes::open(index, planned)?;
        match planned.pixels {
            Pixels::Bytes => {}
            Pixels::Native { raster, frames, .. } => self.native(index, raster, frames, &mut holes, written)?,
            Pixels::Frames(coding) => self.frames(index, coding, &mut holes, written)?,
            Pixels::Baseline => self.baseline(index, &mut holes, written)?,
        }
        bytes(&mut holes, written)
    }

    /// Instances from `index` on with the same pixels.
    fn run(&self, index: usize) -> Range<usize> {
        let is_other = |other: &Planned| match (&other.pixels, &self.planned[index].pixels) {
            (Pixels::Native { raster: a, .. }, Pixels::Native { raster: b, .. }) => a != b,
            (a, b) => a != b,
        };
        let after = self.planned[index..].iter().position(is_other);
        index..after.map_or(self.planned.len(), |after| index + after)
    }

    fn native(
        &mut self,
        index: usize,
        raster: Raster,
        frames: u64,
        holes: &mut Holes<'_>,
        written: &mut Written<'_>,
    ) -> Result<(), EncodeError> {
        let mut anew = None;
        let (run, mut native) = match self.native.take().filter(|(run, _)| run.contains(&index)) {
            Some(native) => native,
            None => {
                let ranks = self.native_ranks(index, raster)?;
                anew = Some(ranks.clone());
                (self.run(index), Native::new(raster, self.effort, ranks))
            }
        };
        let per_frame = usize::from(raster.rows).div_ceil(raster.band_rows()) as u64;
        let mut left = frames * per_frame;
        while left > 0 {
            let mut writing = Writing::new();
            for ranks in anew.iter().flatten() {
                writing.ranks(ranks);
            }
            let (mut bands, mut received) = (0_u16, 0);
            while left > 0 && received < SEGMENT_RECEIVED_BYTES && bands < u16::MAX {
                let rows = native.next_rows();
                let bytes = holes.exactly(raster.bytes(rows))?;
                let band = if native.rows_done == 0 { Band::First } else { Band::Further };
                writing.picture(&mut native.pictures, band, &mut raster.unpack(&bytes));
                native.step(rows);
                (left, bands, received) = (left - 1, bands + 1, received + bytes.len());
            }
            let (count, model) = (bands.to_be_bytes(), writing.finish());
            match anew.take() {
                None => written.segment(Form::Pictures, &[&count, &model])?,
                Some(_) => written.segment(
                    Form::PicturesAnew,
                    &[&raster.to_bytes(), &[Model::New(self.effort).to_byte()], &count, &model],
                )?,
            }
        }
        self.native = Some((run, native));
        Ok(())
    }

    /// Ranks for all Instances of the run.
    fn native_ranks(&self, index: usize, raster: Raster) -> Result<Vec<Ranks>, EncodeError> {
        let mut lists = vec![Occurring::new(); raster.lists()];
        let mut samples = 0;
        for index in self.run(index) {
            let planned = &self.planned[index];
            let Pixels::Native { frames, .. } = planned.pixels else { continue };
            let mut holes = Holes::open(index, planned)?;
            for _ in 0..frames {
                let mut rows_done = 0;
                while rows_done < usize::from(raster.rows) {
                    let rows = raster.band_rows().min(usize::from(raster.rows) - rows_done);
                    let planes = raster.unpack(&holes.exactly(raster.bytes(rows))?);
                    raster.note(&planes, &mut lists);
                    samples += planes.iter().map(|plane| plane.len() as u64).sum::<u64>() / lists.len() as u64;
                    rows_done += rows;
                }
            }
        }
        Ok(lists.iter().map(|list| Ranks::of(list, samples)).collect())
    }

    fn frames(
        &mut self,
        index: usize,
        coding: Coding,
        holes: &mut Holes<'_>,
        written: &mut Written<'_>,
    ) -> Result<(), EncodeError> {
        let Framed { run, shapes, mut coded } = match self.framed.take().filter(|framed| framed.run.contains(&index)) {
            Some(framed) => framed,
            None => Framed { run: self.run(index), shapes: self.shapes(index, coding)?, coded: None },
        };
        while let Some(frame) = holes.frame()? {
            if let Some(back) = self.recent.find(&frame.bytes) {
                written.frame(&frame, Form::Again, &[&back.to_be_bytes()])?;
                self.recent.push(&frame.bytes);
                continue;
            }
            let apart = apart(coding, &frame.bytes);
            let known =
                apart.as_ref().and_then(|apart| shapes.iter().find(|(shape, ..)| *shape == apart.samples.shape()));
            let (Some(TakenApart { samples, recipe }), Some((shape, lists, count))) = (apart, known) else {
                plain(&frame.bytes, written)?;
                continue;
            };
            let mut planes: Vec<Vec<u16>> = samples.planes.into_iter().map(|plane| plane.samples).collect();
            let mut writing = Writing::new();
            let mut form = Form::FrameAnew;
            let mut begun = Model::New(self.effort);
            let mut now = match coded.take() {
                Some(coded) if coded.shape == *shape => {
                    begun = Model::Kept;
                    if coded.recipe == recipe {
                        form = Form::Frame;
                    }
                    Coded { recipe, ..coded }
                }
                _ => {
                    let ranks: Vec<Ranks> = lists.iter().map(|list| Ranks::of(list, *count)).collect();
                    ranks.iter().for_each(|ranks| writing.ranks(ranks));
                    Coded::new(shape.clone(), recipe, self.effort, ranks)
                }
            };
            writing.picture(&mut now.pictures, Band::First, &mut planes);
            let model = writing.finish();
            if form == Form::Frame {
                written.frame(&frame, form, &[&model])?;
            } else {
                let recipe = compressed(&now.recipe).map_err(EncodeError::Coder)?;
                let length = (recipe.len() as u32).to_be_bytes();
                written.frame(&frame, form, &[&[begun.to_byte()], &length, &recipe, &model])?;
            }
            self.recent.push(&frame.bytes);
            coded = Some(now);
        }
        self.framed = Some(Framed { run, shapes, coded });
        Ok(())
    }

    /// The shapes of the frames of the run.
    fn shapes(&self, index: usize, coding: Coding) -> Result<Shapes, EncodeError> {
        let mut shapes: Shapes = Vec::new();
        for index in self.run(index) {
            let mut holes = Holes::open(index, &self.planned[index])?;
            while let Some(frame) = holes.frame()? {
                let Some(apart) = apart(coding, &frame.bytes) else { continue };
                let shape = apart.samples.shape();
                let known = shapes.iter().position(|(known, ..)| *known == shape);
                let known = known.unwrap_or_else(|| {
                    let lists = vec![Occurring::new(); dimensions(&shape).planes.len()];
                    shapes.push((shape, lists, 0));
                    shapes.len() - 1
                });
                let (_, lists, count) = &mut shapes[known];
                for (list, plane) in lists.iter_mut().zip(&apart.samples.planes) {
                    list.add(&plane.samples);
                }
                *count += apart.samples.planes.first().map_or(0, |plane| plane.samples.len() as u64);
            }
        }
        Ok(shapes)
    }

    fn baseline(&mut self, index: usize, holes: &mut Holes<'_>, written: &mut Written<'_>) -> Result<(), EncodeError> {
        if !self.lepton_is_smaller(index)? {
            return Ok(());
        }
        while let Some(frame) = holes.frame()? {
            if let Some(back) = self.recent.find(&frame.bytes) {
                written.frame(&frame, Form::Again, &[&back.to_be_bytes()])?;
                self.recent.push(&frame.bytes);
            } else if let Some(lepton) = frame::encode_baseline(&frame.bytes) {
                let length = (lepton.head.len() as u32).to_be_bytes();
                written.frame(&frame, Form::Lepton, &[&length, &lepton.head, &lepton.body])?;
                self.recent.push(&frame.bytes);
            } else {
                plain(&frame.bytes, written)?;
            }
        }
        Ok(())
    }

    /// Whether the frames of an Instance, as far as they fill one segment, are smaller by Lepton, each one once, than in
    /// one zstd frame: some devices repeat most of a scan from frame to frame.
    fn lepton_is_smaller(&self, index: usize) -> Result<bool, EncodeError> {
        let mut holes = Holes::open(index, &self.planned[index])?;
        let (mut lepton, mut recent) = (0, Recent::default());
        let (mut frames, mut all) = (0, Vec::new());
        while let Some(Frame { bytes, .. }) = holes.frame()? {
            if all.len() + bytes.len() > SEGMENT_RECEIVED_BYTES {
                break;
            }
            frames += 1;
            if recent.find(&bytes).is_none() {
                let coded = frame::encode_baseline(&bytes);
                lepton += coded.map_or(bytes.len(), |lepton| lepton.head.len() + lepton.body.len());
            }
            recent.push(&bytes);
            all.extend_from_slice(&bytes);
        }
        if frames < 2 {
            return Ok(true);
        }
        Ok(lepton <= compressed(&all).map_err(EncodeError::Coder)?.len())
    }
}

/// Takes a frame apart, if its samples are no more than decoding will believe.
fn apart(coding: Coding, frame: &[u8]) -> Option<TakenApart> {
    let bound = (frame.len() as u64).saturating_mul(SAMPLES_PER_CODED_BYTE_MAX).min(FRAME_SAMPLES_MAX as u64);
    let fits = |apart: &TakenApart| apart.samples.planes.iter().all(|plane| plane.width as usize <= COLUMNS_MAX);
    frame::take_apart(coding, frame, bound as usize).filter(fits)
}

/// Bytes of one or more holes as they are.
fn plain(bytes: &[u8], written: &mut Written<'_>) -> Result<(), EncodeError> {
    let coded = compressed(bytes).map_err(EncodeError::Coder)?;
    written.segment(Form::Bytes, &[&(bytes.len() as u32).to_be_bytes(), &coded])
}

/// All that is left of the holes as bytes.
fn bytes(holes: &mut Holes<'_>, written: &mut Written<'_>) -> Result<(), EncodeError> {
    loop {
        let some = holes.at_most(SEGMENT_RECEIVED_BYTES)?;
        if some.is_empty() {
            return Ok(());
        }
        plain(&some, written)?;
    }
}
