//! Encoding 2: headers coded against each other, pixels by the model of a picture.
//!
//! After the stream's head: `length u32 | coded headers` ([`crate::header`]), then segments, `length u32 | form u8 | ...`,
//! that fill the holes which the headers leave, in order. Each segment ends with a flush, so that a stream that broke off
//! decodes up to its last whole segment; what is learnt goes on from one to the next and from Instance to Instance.
//! Integers are big-endian. Encoding 4 is the same with `length u32 | deflated Instances` ([`inflated`]) before the headers.
//!
//! | form | what follows | gives |
//! |---|---|---|
//! | 0 bytes | `count u32`, zstd frame | that many bytes |
//! | 1 pictures | `pictures u16`, model | so many bands of the raster in force |
//! | 2 pictures anew | raster, `model u8`, `pictures u16`, ranks and model | as 1, by a new model (1 max, 2 fast) |
//! | 3 frame | model | the next hole: a frame put together by the recipe in force |
//! | 4 frame anew | `model u8`, `length u32`, zstd frame of the recipe, ranks, model | as 3, by a new recipe and model; 0: by the old one, without ranks |
//! | 5 Lepton | `length u32`, head, body | the next hole |
//! | 6 again | `back u16` | the frame so many before |
//! | 7 joined | `holes u16`, form 3 to 6 and what follows it | the frame, which fills so many holes |

mod holes;
mod inflated;
mod plan;
mod raster;
mod segment;
mod unpack;
mod write;

pub(super) use unpack::{unpack, unpack_inflated};
pub(super) use write::{Proof, write};
