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

/// Received bytes of a group that holds more than one Instance at most.
pub const GROUP_BYTES: u64 = 4 * 1024 * 1024;
/// Instances of one group at most.
pub const GROUP_INSTANCES_MAX: usize = 1024;
/// Received bytes of one Instance, and of a group, at most: what a data set's 32-bit lengths and a large multi-frame
/// object reach. zstd codes zeros 30,000 to one, so what a stream may decode to is bounded here and not by its size.
pub const INSTANCE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Base-2 logarithm of the zstd window: what a decoder must hold of a group.
pub const WINDOW_LOG: u32 = 22;

const _: () = assert!(GROUP_BYTES <= INSTANCE_BYTES_MAX);
const _: () = assert!(1 << WINDOW_LOG == GROUP_BYTES);
const _: () = assert!(INFLATE_FREE_BYTES < INFLATED_BYTES_MAX);
const _: () = assert!(VALUE_BYTES_KEPT_MAX < SCAN_BUFFER_BYTES);
