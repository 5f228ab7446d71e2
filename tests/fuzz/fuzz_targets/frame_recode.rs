//! Any bytes as a coded frame, as a recipe and as a deflated data set: what is taken comes back, nothing panics, and
//! nothing is larger than allowed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radmesh_codec::{
    deflated::{deflate, inflate},
    frame::{Cells, Coding, Plane, Samples, put_together, shape, take_apart},
};

const SAMPLES_MAX: usize = 1 << 16;
const BYTES_MAX: usize = 1 << 18;

fuzz_target!(|input: &[u8]| {
    let Some((&[columns, rows, samples_per_pixel, bits], bytes)) = input.split_first_chunk::<4>() else { return };
    let cells = Cells {
        columns: columns.into(),
        rows: rows.into(),
        samples_per_pixel: samples_per_pixel.into(),
        bits_allocated: [8, 16, 32, 64][usize::from(bits % 4)],
    };
    for coding in [Coding::Jpeg, Coding::Rle(cells)] {
        if let Some(parts) = take_apart(coding, bytes, SAMPLES_MAX) {
            assert!(parts.samples.shape().samples() <= SAMPLES_MAX as u64);
            assert_eq!(shape(&parts.recipe).expect("a recipe has a shape"), parts.samples.shape());
            let again = put_together(&parts.recipe, &parts.samples, bytes.len());
            assert_eq!(again.expect("what was taken apart comes together"), bytes);
        }
    }
    if let Ok(shape) = shape(bytes)
        && shape.samples() <= SAMPLES_MAX as u64
    {
        let mut values = bytes.iter().rev().map(|byte| u16::from(*byte)).chain(std::iter::repeat(0));
        let planes = shape.planes.iter().map(|&(width, height)| Plane {
            width,
            height,
            samples: values.by_ref().take(width as usize * height as usize).collect(),
        });
        let samples = Samples { bits: shape.bits, planes: planes.collect() };
        if let Ok(frame) = put_together(bytes, &samples, BYTES_MAX) {
            assert!(frame.len() <= BYTES_MAX);
        }
    }
    if let Some(inflated) = inflate(bytes, BYTES_MAX) {
        assert!(inflated.data_set.len() <= BYTES_MAX);
        let again = deflate(&inflated.recipe, &inflated.data_set, bytes.len());
        assert_eq!(again.expect("what was inflated is deflated again"), bytes);
    }
    let _ = deflate(&[6, 8], bytes, BYTES_MAX);
});
