//! Every maximum of the codec, with the relations between them.
//!
//! No file and no stream can raise the memory or time that reading it takes above what stands here.

/// Bytes of the scanner's read buffer: all it holds of pixel data, whatever the size of the file.
pub const SCAN_BUFFER_BYTES: usize = 64 * 1024;
/// Sequences inside one another at most. Real objects nest 3 to 8 deep.
pub const SEQUENCE_DEPTH_MAX: usize = 32;
/// Elements of one data set at most, nested ones included: 2,000 frames of an enhanced object take about 400,000.
pub const ELEMENTS_MAX: u64 = 8_000_000;
/// Bytes kept of one value at most; the longest text of an order is 10,240 characters (LT), shown cut.
pub const VALUE_BYTES_KEPT_MAX: usize = 4 * 1024;
/// Fragments of encapsulated pixel data whose place is kept at most; later ones are checked and counted.
pub const FRAGMENTS_KEPT_MAX: usize = 64 * 1024;
/// Inflated bytes for each deflated byte at most.
pub const INFLATE_RATIO_MAX: u64 = 100;
/// Inflated bytes allowed before the ratio counts, so that a short data set may start with zeros.
pub const INFLATE_FREE_BYTES: u64 = 1024 * 1024;
/// Inflated bytes of one data set at most.
pub const INFLATED_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Received bytes of a group that holds more than one Instance, at most, in either profile: what `max` takes.
pub const GROUP_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The same in `fast`.
pub const GROUP_BYTES_FAST: u64 = 4 * 1024 * 1024;
/// Instances of one group at most.
pub const GROUP_INSTANCES_MAX: usize = 1024;
/// Received bytes of one Instance, and of a group, at most: what a data set's 32-bit lengths and a large multi-frame
/// object reach. zstd codes zeros 30,000 to one, so what a stream may decode to is bounded here and not by its size.
pub const INSTANCE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Base-2 logarithm of the zstd window: what a decoder must hold of a group, half of the longest. zstd codes what the
/// model does not, and a longer window would cost its coder 30 MB more.
pub const WINDOW_LOG: u32 = 22;
/// Bytes of all headers of a group that are modelled at most; larger ones take zstd. Bounds the time that a few coded
/// bytes can ask for: at the worst, where no byte is foretold, 5 s a MB.
pub const HEADER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Planes of one compressed frame at most: three components of 32 bits, which RLE may hold, make two planes each.
pub const FRAME_PLANES_MAX: usize = 6;
/// Blocks of 8 x 8 samples that one byte of a lossy JPEG can code at most: a progressive scan may end a run of 32,767
/// in one code, but the first scan of each component needs a bit a block.
pub const JPEG_BLOCKS_PER_BYTE_MAX: u64 = 8;
/// Scans of one lossy JPEG at most. Each may pass over all blocks for a few bytes; encoders write one, or about ten.
pub const JPEG_SCANS_MAX: usize = 64;
/// Steps of the search for repetitions, for each byte that is deflated again, at most. Level 9 took at most 40 on CT and
/// MR data sets; on data made for it, it would take thousands.
pub const DEFLATE_STEPS_PER_BYTE_MAX: u64 = 512;

const _: () = assert!(GROUP_BYTES_FAST <= GROUP_BYTES_MAX && GROUP_BYTES_MAX <= INSTANCE_BYTES_MAX);
const _: () = assert!(GROUP_BYTES_MAX <= HEADER_BYTES_MAX as u64);
// Places in the headers are kept in 32 bits.
const _: () = assert!(HEADER_BYTES_MAX as u64 * 2 < u32::MAX as u64);
const _: () = assert!(1 << WINDOW_LOG <= GROUP_BYTES_MAX);
const _: () = assert!(INFLATE_FREE_BYTES < INFLATED_BYTES_MAX);
// Places in an inflated Instance are kept in 32 bits.
const _: () = assert!(GROUP_INFLATED_BYTES_MAX < u32::MAX as u64);
const _: () = assert!(GROUP_INSTANCES_MAX <= u16::MAX as usize);
const _: () = assert!(VALUE_BYTES_KEPT_MAX < SCAN_BUFFER_BYTES);

/// Samples of a picture that others are predicted from at most: three planes of it are kept, at 2 bytes a sample.
pub const CHAINED_SAMPLES_MAX: usize = 3 * 1024 * 1024;
/// Columns of a picture that the model takes at most: what it learns of them takes about 600 bytes each.
pub const COLUMNS_MAX: usize = 16 * 1024;
/// Samples of a band of a larger picture.
pub const BAND_SAMPLES: usize = 1024 * 1024;
/// Samples of a picture that can't be cut into bands at most: a mammogram of 5,000 by 4,000.
pub const FRAME_SAMPLES_MAX: usize = 20 * 1024 * 1024;
/// Samples that one byte of a compressed frame may stand for: JPEG-LS codes a blank film 2,000 to 1.
pub const SAMPLES_PER_CODED_BYTE_MAX: u64 = 4096;
/// Bytes of a compressed frame's recipe at most.
pub const RECIPE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a compressed frame that is looked at at most.
pub const HOLE_BYTES_MAX: usize = 40 * 1024 * 1024;
/// Bytes of compressed frames that are kept to find repeated ones.
pub const HOLES_KEPT_BYTES: usize = 8 * 1024 * 1024;
/// Bytes that the deflated Instances of a group inflate to, all together, at most; later ones are coded as received.
/// Bounds what a few bytes can ask for, and holds an image of 4 million samples: some 15 s of coding and decoding again.
pub const GROUP_INFLATED_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Bytes of an Instance without its pixels at most; what has more is coded as plain bytes.
pub const RESIDUE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Received bytes after which a segment ends: what a broken stream loses of its last Instance.
pub const SEGMENT_RECEIVED_BYTES: usize = 2 * 1024 * 1024;
/// Bytes of a coded segment at most.
pub const SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Received bytes of a group that is coded in memory, so that it can be coded anew if it does not decode.
pub const SPOOLED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Received bytes of a group that is coded both ways, and the smaller kept.
pub const TRIED_BYTES_MAX: u64 = 1024 * 1024;
/// Models that a stream may begin for each of these bytes, and [`MODELS_FREE`] at any rate: one takes milliseconds.
pub const MODEL_BYTES: u64 = 64 * 1024;
/// Models that any stream may begin.
pub const MODELS_FREE: u64 = 64;

/// An environment variable and its value, under which a process that codes gives the system each table of a model back
/// as soon as it is freed (mallopt(3)); it otherwise keeps half as much again for later.
pub const FREED_MEMORY_RETURNS: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "262144");
