//! Parcels under attack: every test is something that a hostile relay, hub or member could do.

use super::{
    PartKind,
    chunk::{Page, chunk_hash, root},
    manifest::{Core, Manifest, ManifestError},
    open::{OpenError, Vouched, Witness, read_back},
    seal::{PACKED_BYTES_MAX, SealError, SealFacts, Sealed, seal, sealed_bytes},
};
use crate::{
    class::Class,
    envelope::{
        self,
        derive::body_key,
        reading::ReadingKey,
        sign::SigningKey,
        stream::{Opener, Place, Sealer},
        tag,
        wrap::wrap,
    },
    id::{CaseId, FederationId, Hash, NodeId, ParcelId, unhex},
    limits::{CHUNK_BYTES, PARCEL_BYTES_MAX},
    roster::{Roster, RosterVersion, sample::Sample, statement::Subject},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::convert::Infallible;

struct Clinic {
    sample: Sample,
    pool: ReadingKey,
    recovery: ReadingKey,
}

fn clinic() -> Clinic {
    let sample = Sample::new();
    Clinic { pool: sample.pool.clone(), recovery: sample.recovery.clone(), sample }
}

impl Clinic {
    fn roster(&self) -> &Roster {
        &self.sample.roster
    }

    fn facts(&self) -> SealFacts {
        SealFacts {
            federation: self.roster().federation(),
            case: CaseId([4; 32]),
            kind: PartKind::Series,
            roster_version: self.roster().version(),
            jurisdiction: "MW".parse().unwrap(),
            pool: "north".parse().unwrap(),
            epoch: 0,
            class: Class::Urgent,
            home_hub: self.sample.hub.node_id(),
            pool_key: self.pool.public(),
            recovery: self.recovery.public(),
        }
    }

    fn sealed(&self, packed: &[u8]) -> (Sealed, Vec<Vec<u8>>) {
        let mut chunks = Vec::new();
        let mut out = |chunk: &[u8]| -> Result<(), Infallible> {
            chunks.push(chunk.to_vec());
            Ok(())
        };
        let rng = &mut ChaCha20Rng::seed_from_u64(packed.len() as u64);
        let sealed = seal(packed, &self.facts(), &self.sample.spoke, rng, &mut out).unwrap();
        (sealed, chunks)
    }

    fn open(&self, manifest: &Manifest, chunks: &[Vec<u8>]) -> Result<Vec<u8>, OpenError> {
        let vouched = Vouched::by(self.roster(), manifest, Witness::None)?;
        let key = vouched.unwrap_key(&self.pool)?;
        vouched.open(&key, &mut |index| chunks.get(index as usize).cloned()).map(|packed| packed.to_vec())
    }
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 31 % 253) as u8).collect()
}

const CLOSED: OpenError = OpenError::Closed(envelope::OpenError::Refused);

#[test]
fn opens_to_what_was_packed_for_the_pool_and_for_recovery() {
    let clinic = clinic();
    for count in [0, 1, 4071, 4072, 4073, 65_503, 65_504, 65_511, 65_512, 65_513, 9_000_000] {
        let packed = bytes(count);
        let (sealed, chunks) = clinic.sealed(&packed);
        let manifest = Manifest::parse(sealed.manifest.bytes()).unwrap();
        let size: usize = chunks.iter().map(Vec::len).sum();
        assert_eq!(size as u64, manifest.core().sealed_bytes);
        assert_eq!(size as u64, sealed_bytes(count as u64));
        assert!(size.is_multiple_of(4096) && (size as u64) < count as u64 + 8192 + 16 * chunks.len() as u64);
        assert_eq!(clinic.open(&manifest, &chunks).unwrap(), packed);
        let vouched = Vouched::by(clinic.roster(), &manifest, Witness::None).unwrap();
        let key = vouched.unwrap_key(&clinic.recovery).unwrap();
        assert_eq!(**vouched.open(&key, &mut |index| chunks.get(index as usize).cloned()).unwrap(), packed);
        let mut chunk = |index: u32| chunks.get(index as usize).cloned();
        assert_eq!(read_back(&sealed, &packed, clinic.roster().federation(), &mut chunk), Ok(()));
        assert_eq!(sealed.pages.iter().map(Page::hash).collect::<Vec<_>>(), manifest.page_hashes());
    }
}

#[test]
fn what_does_not_fit_into_a_parcel_is_refused_with_both_figures() {
    assert_eq!(sealed_bytes(PACKED_BYTES_MAX), PARCEL_BYTES_MAX);
    let clinic = clinic();
    let packed = vec![0; PACKED_BYTES_MAX as usize + 1];
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let refused = seal(&packed, &clinic.facts(), &clinic.sample.spoke, rng, &mut |_| Ok::<(), Infallible>(()));
    assert_eq!(refused.unwrap_err(), SealError::TooLong { bytes: PACKED_BYTES_MAX + 1 });
}

#[test]
fn read_back_finds_a_file_that_is_not_what_was_packed() {
    let clinic = clinic();
    let packed = bytes(70_000);
    let (sealed, mut chunks) = clinic.sealed(&packed);
    let federation = clinic.roster().federation();
    let other = [&packed[..69_999], &[1]].concat();
    assert_eq!(read_back(&sealed, &other, federation, &mut |n| chunks.get(n as usize).cloned()), Err(CLOSED));
    let shorter = &packed[..69_999];
    assert_eq!(read_back(&sealed, shorter, federation, &mut |n| chunks.get(n as usize).cloned()), Err(CLOSED));
    chunks[1][5] ^= 1;
    assert_eq!(read_back(&sealed, &packed, federation, &mut |n| chunks.get(n as usize).cloned()), Err(CLOSED));
}

#[test]
fn a_flipped_bit_in_any_field_of_a_manifest_is_refused() {
    let clinic = clinic();
    let (sealed, chunks) = clinic.sealed(&bytes(70_000));
    for bit in 0..sealed.manifest.bytes().len() * 8 {
        let mut bent = sealed.manifest.bytes().to_vec();
        bent[bit / 8] ^= 1 << (bit % 8);
        if let Ok(manifest) = Manifest::parse(&bent) {
            assert_eq!(clinic.open(&manifest, &chunks).unwrap_err(), OpenError::Signature, "bit {bit}");
        }
    }
}

#[test]
fn a_manifest_cut_anywhere_or_longer_is_refused_without_panic() {
    let (sealed, _) = clinic().sealed(&bytes(10));
    let whole = sealed.manifest.bytes();
    for end in 0..whole.len() {
        assert!(Manifest::parse(&whole[..end]).is_err(), "{end} bytes");
    }
    assert!(Manifest::parse(&[whole, &[0; 32]].concat()).is_err());
    assert_eq!(Manifest::parse(&[0; 9000]), Err(ManifestError::TooLong { bytes: 9000 }));
}

#[test]
fn chunks_cut_short_reordered_or_bent_never_open() {
    let clinic = clinic();
    let (sealed, chunks) = clinic.sealed(&bytes(200_000));
    let open = |chunks: &[Vec<u8>]| clinic.open(&sealed.manifest, chunks).unwrap_err();
    assert_eq!(open(&chunks[..3]), OpenError::Missing { chunk: 3 });
    let mut swapped = chunks.clone();
    swapped.swap(0, 1);
    assert_eq!(open(&swapped), CLOSED);
    let mut cut = chunks.clone();
    cut[3].truncate(100);
    assert_eq!(open(&cut), CLOSED);
    let mut bent = chunks;
    bent[2][777] ^= 0x10;
    assert_eq!(open(&bent), CLOSED);
}

#[test]
fn parcel_of_another_federation_is_refused() {
    let clinic = clinic();
    let other = SealFacts { federation: FederationId([9; 32]), ..clinic.facts() };
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let sealed = seal(b"x", &other, &clinic.sample.spoke, rng, &mut |_| Ok::<(), Infallible>(())).unwrap();
    assert_eq!(clinic.open(&sealed.manifest, &[]).unwrap_err(), OpenError::Signature);
}

#[test]
fn parcel_of_a_stranger_is_refused_and_of_a_revoked_spoke_is_kept_for_review() {
    let mut clinic = clinic();
    let stranger = SigningKey::from_seed([77; 32]);
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let forged = seal(b"x", &clinic.facts(), &stranger, rng, &mut |_| Ok::<(), Infallible>(())).unwrap();
    let refused = clinic.open(&forged.manifest, &[]).unwrap_err();
    assert_eq!(refused, OpenError::NotAMember { signer: stranger.node_id() });

    let (sealed, chunks) = clinic.sealed(b"before the theft");
    let signer = clinic.sample.spoke.node_id();
    let version = clinic.sample.revoke(Subject::Node(signer));
    assert_eq!(clinic.open(&sealed.manifest, &chunks).unwrap_err(), OpenError::Revoked { signer, at: version });
    let vouched = Vouched::by(clinic.roster(), &sealed.manifest, Witness::HomeHub).unwrap();
    assert!(vouched.unwrap_key(&clinic.pool).is_ok());
}

#[test]
fn wraps_moved_to_another_parcel_do_not_open_it() {
    let clinic = clinic();
    let ((one, chunks), (two, _)) = (clinic.sealed(b"one"), clinic.sealed(b"other"));
    let core = one.manifest.core().clone();
    let (pages, federation) = (one.manifest.page_hashes().to_vec(), clinic.roster().federation());
    let mixed = Manifest::sign(core, two.manifest.wraps().to_vec(), pages, &clinic.sample.spoke, &federation);
    assert_eq!(clinic.open(&mixed, &chunks).unwrap_err(), CLOSED);
}

/// The ciphertext of `tests/independent/make_salamander.py`: it opens under both keys, to two different texts.
#[test]
fn parcel_that_would_show_two_readers_two_images_is_refused() {
    let facts: serde_json::Value = serde_json::from_str(include_str!("../../tests/vectors/salamander.json")).unwrap();
    let field = |name: &str| unhex(facts[name].as_str().unwrap()).unwrap();
    let federation = FederationId(field("federation").try_into().unwrap());
    let parcel: [u8; 16] = field("parcel").try_into().unwrap();
    let secrets: [[u8; 32]; 2] = [field("secret_1").try_into().unwrap(), field("secret_2").try_into().unwrap()];
    let chunk = field("chunk");

    let under = |secret| {
        let (key, _) = body_key(secret, &federation, tag::PARCEL, &parcel);
        let mut plain = chunk.clone();
        Opener::new(&key.0).open(0, Place::Last, &mut plain).map(|()| plain)
    };
    assert_ne!(under(&secrets[0]).unwrap(), under(&secrets[1]).unwrap(), "the attack itself works");

    let readers = [ReadingKey::from_seed([1; 32]), ReadingKey::from_seed([2; 32])];
    let attacker = SigningKey::from_seed([66; 32]);
    let (_, commitment) = body_key(&secrets[0], &federation, tag::PARCEL, &parcel);
    let pages = vec![Page::new(vec![chunk_hash(&chunk)]).hash()];
    let core = Core {
        parcel: ParcelId(parcel),
        case: CaseId([4; 32]),
        kind: PartKind::Series,
        signer: attacker.node_id(),
        roster_version: RosterVersion(1),
        jurisdiction: "MW".parse().unwrap(),
        pool: "north".parse().unwrap(),
        epoch: 0,
        class: Class::Routine,
        home_hub: NodeId([5; 32]),
        sealed_bytes: chunk.len() as u64,
        chunks: 1,
        root: root(&pages),
        commitment: commitment.0,
    };
    let info = super::manifest::wrap_info(&federation, &Hash::of(&core.bytes()));
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let wraps = (0..2).map(|at| wrap(&secrets[at], &readers[at].public(), &info, rng).unwrap()).collect();
    let manifest = Manifest::sign(core, wraps, pages, &attacker, &federation);
    let vouched = Vouched::unchecked(&manifest, federation);
    assert!(vouched.unwrap_key(&readers[0]).is_ok());
    assert_eq!(vouched.unwrap_key(&readers[1]).unwrap_err(), CLOSED);
}

/// A parcel sealed by a member who breaks the rules of padding or of hashing; everything else about it is right.
fn crooked(clinic: &Clinic, plain: &[u8], named: impl Fn(Hash) -> Hash) -> (Manifest, Vec<Vec<u8>>) {
    let (federation, secret, parcel) = (clinic.roster().federation(), [5; 32], [6; 16]);
    let (key, commitment) = body_key(&secret, &federation, tag::PARCEL, &parcel);
    let (mut sealer, mut chunks) = (Sealer::new(&key.0), Vec::new());
    let mut out = |chunk: &[u8]| -> Result<(), Infallible> {
        chunks.push(chunk.to_vec());
        Ok(())
    };
    sealer.push(plain, &mut out).unwrap();
    sealer.finish(&mut out).unwrap();
    let pages = vec![Page::new(chunks.iter().map(|chunk| named(chunk_hash(chunk))).collect()).hash()];
    let (honest, _) = clinic.sealed(b"");
    let core = Core {
        parcel: ParcelId(parcel),
        sealed_bytes: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
        chunks: chunks.len() as u32,
        root: root(&pages),
        commitment: commitment.0,
        ..honest.manifest.core().clone()
    };
    let info = super::manifest::wrap_info(&federation, &Hash::of(&core.bytes()));
    let wraps = vec![wrap(&secret, &clinic.pool.public(), &info, &mut ChaCha20Rng::seed_from_u64(1)).unwrap()];
    (Manifest::sign(core, wraps, pages, &clinic.sample.spoke, &federation), chunks)
}

#[test]
fn chunks_that_decrypt_but_are_not_those_the_root_names_are_refused() {
    let clinic = clinic();
    let mut plain = vec![0; 4080];
    plain[7] = 1;
    let (manifest, chunks) = crooked(&clinic, &plain, |hash| hash);
    assert_eq!(clinic.open(&manifest, &chunks).unwrap(), [0]);
    let (manifest, chunks) = crooked(&clinic, &plain, |_| Hash([1; 32]));
    assert_eq!(clinic.open(&manifest, &chunks).unwrap_err(), CLOSED);
}

#[test]
fn padding_that_hides_bytes_or_is_longer_than_needed_is_refused() {
    let clinic = clinic();
    let mut hidden = vec![0; 4080];
    hidden[7] = 1;
    hidden[4000] = 7;
    let longer = [&[0, 0, 0, 0, 0, 0, 0, 1][..], &[0; 8168]].concat();
    let lying = [&[0xff; 8][..], &[0; 4072]].concat();
    for plain in [hidden, longer, lying] {
        let (manifest, chunks) = crooked(&clinic, &plain, |hash| hash);
        assert_eq!(clinic.open(&manifest, &chunks).unwrap_err(), CLOSED);
    }
}

#[test]
fn sizes_that_do_not_belong_together_are_refused_before_anything_is_allocated() {
    let clinic = clinic();
    let (sealed, _) = clinic.sealed(&bytes(70_000));
    let federation = clinic.roster().federation();
    let resign = |change: &dyn Fn(&mut Core), pages: usize| {
        let mut core = sealed.manifest.core().clone();
        let pages = vec![Hash([1; 32]); pages];
        core.root = root(&pages);
        change(&mut core);
        let wraps = sealed.manifest.wraps().to_vec();
        Manifest::parse(Manifest::sign(core, wraps, pages, &clinic.sample.spoke, &federation).bytes())
    };
    assert!(resign(&|_| (), 1).is_ok());
    let sizes = |result: Result<Manifest, ManifestError>| assert!(matches!(result, Err(ManifestError::Sizes { .. })));
    sizes(resign(&|core| core.sealed_bytes = u64::MAX - 4095, 1));
    sizes(resign(&|core| core.sealed_bytes = 0, 1));
    sizes(resign(&|core| core.sealed_bytes += 1, 1));
    sizes(resign(&|core| core.chunks = u32::MAX, 1));
    sizes(resign(&|core| core.sealed_bytes = PARCEL_BYTES_MAX + u64::from(CHUNK_BYTES), 5));
    sizes(resign(&|_| (), 2));
    assert_eq!(resign(&|core| core.root = Hash([0; 32]), 1), Err(ManifestError::Root));
}
