//! Every maximum of the child and of what is said with it.

use std::time::Duration;

/// Address space of a child: the coder's 64 MB a thread and zstd's 40 MiB, the binary itself, two stacks, and the room
/// that the system's allocator reserves for a thread without using it (128 MiB), twice over. Memory in use stays far
/// below; what goes over is a file that was made to.
pub const ADDRESS_SPACE_BYTES: u64 = 512 * 1024 * 1024;
/// Memory that a child needs at work: the coder's 64 MB, and no more than this is counted on when children start.
pub const CHILD_BYTES: u64 = 64 * 1024 * 1024;
/// Memory that the node itself needs, before any child is started beside the first.
pub const NODE_BYTES: u64 = 96 * 1024 * 1024;

/// Time that any job may take.
pub const TIME_FREE: Duration = Duration::from_secs(30);
/// And for each of so many received bytes a second: a fifteenth of what the slowest profile codes.
pub const TIME_BYTES_A_SECOND: u64 = 100_000;
/// Bytes of an Instance whose preview is made for which a second is allowed: it is read three times, its pixels once.
pub const PREVIEW_BYTES_A_SECOND: u64 = 1_000_000;

/// Bytes of one frame's body: a job or an answer with 1,024 Instances, at most 42 bytes each.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Bytes of data in one frame: all that the node holds of an Instance.
pub const DATA_BYTES_MAX: usize = 32 * 1024;
/// Sources that a child may have open at once; the node holds a chunk of 64 KiB for each.
pub const READERS_MAX: usize = 8;
/// Characters of what a child says of a failure.
pub const WORDS_CHARS_MAX: usize = 256;

/// How often a child may fail on one Instance before it is stored as received.
pub const TRIES: usize = 2;

const _: () = assert!(42 * radmesh_codec::limits::GROUP_INSTANCES_MAX + 1024 <= FRAME_BYTES_MAX);
const _: () = assert!(DATA_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(4 * CHILD_BYTES <= ADDRESS_SPACE_BYTES);
