//! Domain tags: the first bytes of whatever is signed, hashed or derived, so that no byte string means two things.
//!
//! A signature over a report must never pass for one over a roster statement. No tag that is signed under is the
//! beginning of another one (held by a test here); the list is `protocol/SPEC.md`, Tags.

/// Signed: BLAKE3(core) || BLAKE3(wraps) of a parcel.
pub const MANIFEST: &str = "radmesh/1 manifest";
/// Signed: an event up to its signature.
pub const EVENT: &str = "radmesh/1 event";
/// Signed: a roster statement up to its signature.
pub const ROSTER: &str = "radmesh/1 roster";
/// Signed: a person's statement.
pub const PERSON: &str = "radmesh/1 person";
/// Signed: a node's request to be admitted; the federation id is 32 zero bytes.
pub const NODE_REQUEST: &str = "radmesh/1 node request";
/// Signed: a person's request to be admitted; the federation id is 32 zero bytes.
pub const PERSON_REQUEST: &str = "radmesh/1 join person";

/// Derived: body key and commitment of a parcel.
pub const PARCEL: &str = "radmesh/1 parcel";
/// Derived: body key and commitment of a sealed body.
pub const BODY: &str = "radmesh/1 event";
/// Derived: the two keys of a value at rest.
pub const AT_REST: &str = "radmesh/1 at rest";

/// Wrapped: a parcel's key.
pub const WRAP: &str = "radmesh/1 wrap";
/// Wrapped: a sealed body's key.
pub const BODY_WRAP: &str = "radmesh/1 event wrap";
/// Wrapped: a pool's epoch key.
pub const POOL_WRAP: &str = "radmesh/1 pool wrap";

/// Hashed: the page hashes of a parcel.
pub const ROOT: &str = "radmesh/1 root";
/// Hashed: a federation's name and root keys.
pub const FEDERATION: &str = "radmesh/1 federation";
/// Hashed: the heads of every chain of a roster.
pub const ROSTER_DIGEST: &str = "radmesh/1 roster digest";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_signing_tag_begins_another() {
        let tags = [MANIFEST, EVENT, ROSTER, PERSON, NODE_REQUEST, PERSON_REQUEST];
        for (index, tag) in tags.iter().enumerate() {
            let twins = tags.iter().enumerate().filter(|(at, other)| *at != index && other.starts_with(tag));
            assert_eq!(twins.count(), 0, "{tag} begins another tag");
        }
    }
}
