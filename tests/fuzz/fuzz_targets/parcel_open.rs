//! A sealed parcel with bytes changed: it opens to what was packed if nothing changed, and never otherwise.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radmesh_protocol::{
    class::Class,
    envelope::{reading::ReadingKey, sign::SigningKey},
    id::{CaseId, FederationId, NodeId},
    limits::CHUNK_BYTES,
    parcel::{
        PartKind,
        manifest::Manifest,
        open::read_back,
        seal::{SealFacts, Sealed, seal},
    },
    roster::RosterVersion,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::convert::Infallible;

const FEDERATION: FederationId = FederationId([1; 32]);

fuzz_target!(|input: (Vec<u8>, Vec<(u16, u8)>)| {
    let (packed, flips) = input;
    let (sealed, file) = sealed(&packed);
    let whole = [sealed.manifest.bytes(), &file].concat();
    let mut bent = whole.clone();
    for (at, mask) in flips {
        let at = usize::from(at) % bent.len();
        bent[at] ^= mask;
    }
    let (manifest, file) = bent.split_at(sealed.manifest.bytes().len());
    let Ok(manifest) = Manifest::parse(manifest) else {
        assert_ne!(whole, bent, "what was sealed is refused");
        return;
    };
    let chunks: Vec<&[u8]> = file.chunks(CHUNK_BYTES as usize).collect();
    let bent_parcel = Sealed { manifest, pages: sealed.pages, key: sealed.key };
    let opened = read_back(&bent_parcel, &packed, FEDERATION, &mut |at| chunks.get(at as usize).map(|c| c.to_vec()));
    assert_eq!(opened.is_ok(), whole == bent);
});

fn sealed(packed: &[u8]) -> (Sealed, Vec<u8>) {
    let facts = SealFacts {
        federation: FEDERATION,
        case: CaseId([4; 32]),
        kind: PartKind::Series,
        roster_version: RosterVersion(1),
        jurisdiction: "MW".parse().expect("a jurisdiction"),
        pool: "north".parse().expect("a region"),
        epoch: 0,
        class: Class::Urgent,
        home_hub: NodeId([5; 32]),
        pool_key: ReadingKey::from_seed([2; 32]).public(),
        recovery: ReadingKey::from_seed([3; 32]).public(),
    };
    let mut file = Vec::new();
    let mut out = |chunk: &[u8]| -> Result<(), Infallible> {
        file.extend_from_slice(chunk);
        Ok(())
    };
    let signer = SigningKey::from_seed([6; 32]);
    let sealed = seal(packed, &facts, &signer, &mut ChaCha20Rng::seed_from_u64(1), &mut out);
    (sealed.expect("a fuzzer's input is under 32 MiB"), file)
}
