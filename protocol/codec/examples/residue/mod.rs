//! A file without its pixels, as the group coder will hand it to the header coder.

use radmesh_codec::{
    header::{Header, Hole},
    scan::{Form, PixelForm, scan},
};

/// Takes the pixels out of a file; one that is no whole DICOM file stays as it is.
pub(crate) fn cut(file: Vec<u8>) -> Header {
    let Ok(scan) = scan(file.as_slice(), Form::File) else { return Header { bytes: file, holes: Vec::new() } };
    // Of a deflated data set the places are those of the inflated bytes.
    let pixels = scan.pixel_data.filter(|_| scan.bytes == file.len() as u64);
    let ranges = match pixels.map(|pixels| (pixels.value, pixels.form)) {
        None => Vec::new(),
        Some((value, PixelForm::Native)) => vec![value],
        Some((_, PixelForm::Encapsulated { fragments })) => fragments.kept,
    };
    let (mut bytes, mut holes, mut from) = (Vec::new(), Vec::new(), 0);
    for range in ranges {
        let [start, end] = [range.start, range.end].map(|at| (at as usize).min(file.len()));
        if start < end {
            bytes.extend(&file[from..start]);
            holes.push(Hole { at: bytes.len() as u64, bytes: (end - start) as u64 });
            from = end;
        }
    }
    bytes.extend(&file[from..]);
    Header { bytes, holes }
}

/// Bytes of the file.
pub(crate) fn size(header: &Header) -> u64 {
    header.bytes.len() as u64 + header.holes.iter().map(|hole| hole.bytes).sum::<u64>()
}
