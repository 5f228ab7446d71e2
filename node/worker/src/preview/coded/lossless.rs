//! A frame of JPEG lossless or JPEG-LS, by the decoder that also takes such frames apart for the link.
//!
//! Most archives hold the one and many scanners send the other; a clinic's CT must not be without its preview for that.

use super::Said;
use radmesh_codec::frame::decode_jpeg;

/// The samples, little endian, pixel by pixel, each as wide as `said` has them given.
pub(super) fn decode(stream: &[u8], said: Said, cut: u32) -> Option<Vec<u8>> {
    let samples_max = said.rows as usize * said.columns as usize * said.components as usize;
    let planes = decode_jpeg(stream, samples_max)?.planes;
    let (count, bytes) = (planes.len(), said.given as usize / 8);
    let mut out = vec![0; samples_max * bytes];
    for (plane, samples) in planes.into_iter().enumerate() {
        let places = out.chunks_exact_mut(bytes).skip(plane).step_by(count);
        for (place, sample) in places.zip(samples.samples) {
            place.copy_from_slice(&(sample << cut).to_le_bytes()[..bytes]);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Coder, jpeg::said},
        *,
    };
    use crate::preview::StreamFlaw;
    use std::{fs, path::PathBuf};

    /// A frame, or its samples, of those that other encoders made for the codec's tests.
    fn frame(name: &str) -> Vec<u8> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../protocol/codec/tests/frames");
        fs::read(folder.join(name)).unwrap()
    }

    fn decoded(mut stream: Vec<u8>) -> Result<(u32, Vec<u8>), StreamFlaw> {
        let said = said(&mut stream)?;
        let Coder::Lossless { cut } = said.coder else { panic!("{said:?}") };
        Ok((cut, decode(&stream, said, cut).unwrap()))
    }

    #[test]
    fn frames_of_the_encoders_that_hospitals_run_show_what_was_coded() {
        for (image, bytes, planes, encoders) in [
            ("grey8", 1, 1, ["dcmtk-e1", "dcmtk-jls", "gdcm-jls", "gdcm-jpeg"].as_slice()),
            ("grey12", 2, 1, &["dcmtk-el2", "dcmtk-el5", "dcmtk-el7", "dcmtk-jls", "dcmtk-jls-preset", "gdcm-jpeg"]),
            ("grey16", 2, 1, &["dcmtk-e1", "dcmtk-e1-pt", "dcmtk-jls"]),
            ("rgb8", 1, 3, &["dcmtk-e1", "dcmtk-jls", "dcmtk-jls-none", "dcmtk-jls-sample", "gdcm-jls", "gdcm-jpeg"]),
        ] {
            let raw: Vec<[u8; 2]> = frame(&format!("{image}.raw")).chunks_exact(2).map(|s| [s[0], s[1]]).collect();
            for encoder in encoders {
                let (cut, shown) = decoded(frame(&format!("{image}.{encoder}"))).unwrap();
                let pixels = raw.len() / planes;
                let sample =
                    |index: usize| u16::from_le_bytes(raw[index % planes * pixels + index / planes]) >> cut << cut;
                let expected = (0..raw.len()).flat_map(|index| sample(index).to_le_bytes()[..bytes].to_vec());
                assert!(shown.into_iter().eq(expected), "{image} {encoder}");
            }
        }
    }

    #[test]
    fn nearly_lossless_frames_show_what_was_coded_within_what_they_say() {
        for (name, bytes, planes, near) in
            [("grey8.dcmtk-near1", 1, 1, 1), ("grey12.dcmtk-near3", 2, 1, 3), ("rgb8.dcmtk-near5-sample", 1, 3, 5)]
        {
            let raw = frame(&format!("{}.raw", name.split('.').next().unwrap()));
            let coded: Vec<u16> = raw.chunks_exact(2).map(|s| u16::from_le_bytes([s[0], s[1]])).collect();
            let (_, shown) = decoded(frame(name)).unwrap();
            let pixels = coded.len() / planes;
            assert_eq!(shown.len(), coded.len() * bytes);
            for (index, shown) in shown.chunks_exact(bytes).enumerate() {
                let shown = u16::from_le_bytes([shown[0], shown.get(1).copied().unwrap_or(0)]);
                let expected = coded[index % planes * pixels + index / planes];
                assert!(shown.abs_diff(expected) <= near, "{name}: {shown} for {expected}");
            }
        }
    }

    #[test]
    fn what_changes_samples_behind_the_decoder_is_refused() {
        let with = |segment: &[u8]| {
            let stream = frame("rgb8.dcmtk-jls");
            let head = [0xFF, segment[0], 0, segment.len() as u8 + 1];
            decoded([&stream[..2], &head, &segment[1..], &stream[2..]].concat()).map(drop)
        };
        assert_eq!(with(b"\xE8mrfx\0"), Ok(()), "no transform");
        assert_eq!(with(b"\xE8mrfx\x01"), Err(StreamFlaw::Process), "the colour transform of HP's coder");
        assert_eq!(with(b"\xF8\x02\x01\x01\x00\x01"), Err(StreamFlaw::Process), "a mapping table");
    }
}
