//! Real files as they are: headers that vendors wrote, and pixels with the noise of a detector.

use super::{Case, Segment, fixture};
use radmesh_codec::EncodingId;

pub(super) fn cases() -> Vec<Case> {
    let scripts = ["chrH31", "chrH32", "chrI2", "chrX1", "chrX2", "chrArab", "chrGreek", "chrRuss"];
    let next = Segment::Pictures { bands: 1 };
    let series = |first, instances| [vec![anew(first)], vec![next.clone(); instances - 1]].concat();
    vec![
        case("headers-alone", &["test-SR", "ExplVR_LitEndNoMeta", "nested_priv_SQ"], &[]),
        case("eight-scripts", &scripts, &series([0, 32, 0, 32, 1, 0, 0, 0, 0, 0], scripts.len())),
        case(
            "ct-series",
            &["CT2_17106", "CT2_17136", "CT2_17166", "CT2_17196"],
            &series([0, 16, 0, 16, 2, 0, 0, 0x80, 0, 0], 4),
        ),
        case(
            "mr-little-and-big-endian",
            &["MR_small_implicit", "MR_small_bigendian"],
            &[anew([0, 64, 0, 64, 2, 0, 0, 0x80, 0, 0]), anew([0, 64, 0, 64, 3, 0, 0, 0x80, 0, 0])],
        ),
        case("ends-early", &["MR_truncated"], &[]),
        case("lossy-colour", &["SC_rgb_jpeg"], &[Segment::Lepton]),
        Case {
            encoding: EncodingId::Inflated,
            ..case("deflated", &["image_dfl"], &[anew([2, 0, 2, 0, 1, 0, 0, 0, 0, 0])])
        },
    ]
}

fn case(name: &'static str, files: &[&str], segments: &[Segment]) -> Case {
    let instances = files.iter().map(|file| fixture(&format!("pydicom/{file}.dcm"))).collect();
    Case { name, instances, encoding: EncodingId::Model, segments: segments.to_vec() }
}

/// One picture of this raster.
fn anew(raster: [u8; 10]) -> Segment {
    Segment::PicturesAnew { raster, bands: 1 }
}
