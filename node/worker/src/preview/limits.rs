//! Every maximum of the previews.
//!
//! No file can make a preview take more memory or bytes of the link than stands here.

/// Pixels of the longest side of a preview: a phone shows no more, and a worklist less.
pub const SIDE_MAX: u32 = 512;
/// Bytes of one preview: 3 s at 64 kbit/s.
pub const PREVIEW_BYTES_MAX: u32 = 25 * 1000;
/// Bytes of all previews of a Study: 13 s at 64 kbit/s, ahead of pixels that take an hour.
pub const STUDY_BYTES_MAX: u32 = 100 * 1000;
/// Bytes below which a picture shows nothing of use, so that none is tried.
pub const PREVIEW_BYTES_MIN: u32 = 1500;
/// Previews of a Study at most: as many as fit if each is as small as can be.
pub const PREVIEWS_MAX: usize = (STUDY_BYTES_MAX / PREVIEW_BYTES_MIN) as usize;

/// Pixels of a frame: a mammogram has 20 million, a whole-body radiograph 40 million.
pub const FRAME_PIXELS_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of a frame, stored and decoded: 64 million pixels of 16 bits.
pub const FRAME_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Pixels that each coded byte may claim, as the decoder's own tables are as large as the claim: JPEG, JPEG 2000 and
/// RLE of air reach some hundreds.
pub const PIXELS_PER_CODED_BYTE_MAX: u64 = 1024;
/// Pixels of a coded frame that may be claimed by however few bytes.
pub const CODED_PIXELS_FREE: u64 = 1024 * 1024;
/// Bytes of a header's value that is kept: a table of 65,536 entries of 16 bits, and what frames it.
pub const VALUE_BYTES_MAX: u32 = 2 * 65_536 + 1024;
/// Samples that percentiles are taken from: enough that one in a thousand is still a hundred of them.
pub const STATISTIC_SAMPLES_MAX: usize = 256 * 1024;

const _: () = assert!(PREVIEW_BYTES_MAX <= STUDY_BYTES_MAX);
const _: () = assert!(PREVIEW_BYTES_MIN < PREVIEW_BYTES_MAX);
const _: () = assert!(FRAME_PIXELS_MAX <= FRAME_BYTES_MAX);
