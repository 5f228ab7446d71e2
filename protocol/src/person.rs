//! A person's own signature: what a radiologist asked for or wrote, wherever it was typed.
//!
//! A report stands on the key of the person who wrote it, not on that of the hub they sat at. Their statement
//! travels inside an event of that hub and says all it was signed for: which node, which case, which events it
//! answers, which roster they had seen. The bytes that were signed travel; nothing is serialised again
//! (`protocol/SPEC.md`, Persons).

use crate::{
    envelope::{
        passphrase::{LockedSecret, WrongPassphrase},
        reading::{ReadingKey, ReadingPublic},
        sign::{BadSignature, Signature, SigningKey, verify},
        tag,
    },
    id::{CaseId, EventHash, FederationId, NodeId, PersonId},
    limits::{EVENT_BYTES_MAX, NAME_CHARS_MAX, REFS_MAX, REQUEST_BYTES_MAX},
    roster::{PersonRole, RosterVersion, request::PersonRequest},
    wire::{
        self, WireError,
        cursor::{Cursor, Put},
    },
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What a person signed. Whether the signature holds, only [`Self::verify`] says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Travels", into = "Travels")]
pub struct Statement {
    facts: Facts,
    signed: Vec<u8>,
    signature: Signature,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    tag: String,
    person: PersonId,
    node: NodeId,
    case: CaseId,
    roster_version: RosterVersion,
    refs: Vec<EventHash>,
    body: Vec<u8>,
}

/// Whose hand and where: the signer of a statement and the node it is made at.
#[derive(Debug, Clone, Copy)]
pub struct SignedAt<'a> {
    /// The person's key.
    pub key: &'a SigningKey,
    /// The node at which they signed in.
    pub node: NodeId,
    /// The federation both are members of.
    pub federation: &'a FederationId,
    /// Roster version that node had.
    pub roster_version: RosterVersion,
}

impl Statement {
    /// Signs `body` as a statement of kind `tag` (1 to 32 ASCII characters) on `case`, in answer to `refs`.
    ///
    /// # Panics
    /// If `refs` has more than [`REFS_MAX`] entries, or `tag` more than 32 bytes.
    #[must_use]
    pub fn sign(at: SignedAt<'_>, tag: &'static str, case: CaseId, refs: &[EventHash], body: &[u8]) -> Self {
        assert!(refs.len() <= REFS_MAX && (1..=32).contains(&tag.len()), "a statement's tag and refs are bounded");
        let mut put = Put::default();
        put.short_text(tag).bytes(at.key.person_id().as_bytes()).bytes(at.node.as_bytes()).bytes(case.as_bytes());
        put.u64(at.roster_version.0).u8(refs.len() as u8);
        refs.iter().for_each(|hash| {
            put.bytes(hash.as_bytes());
        });
        put.bytes(body);
        let signed = put.into_bytes();
        let signature = at.key.sign(tag::PERSON, at.federation, &signed);
        let facts = Facts::parse(&signed).expect("just written");
        Self { facts, signed, signature }
    }

    /// Whether the person it names has signed it, in this federation.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, federation: &FederationId) -> Result<(), BadSignature> {
        verify(self.facts.person.as_bytes(), tag::PERSON, federation, &self.signed, &self.signature)
    }

    /// Which kind of statement it is. A reader of its body checks this first.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.facts.tag
    }

    /// Who signed.
    #[must_use]
    pub const fn person(&self) -> PersonId {
        self.facts.person
    }

    /// The node they signed at: the author of the event that carries it.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.facts.node
    }

    /// The case it is about.
    #[must_use]
    pub const fn case(&self) -> CaseId {
        self.facts.case
    }

    /// Roster version that node had.
    #[must_use]
    pub const fn roster_version(&self) -> RosterVersion {
        self.facts.roster_version
    }

    /// The events it answers.
    #[must_use]
    pub fn refs(&self) -> &[EventHash] {
        &self.facts.refs
    }

    /// What it says, still encoded.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.facts.body
    }
}

impl Facts {
    fn parse(signed: &[u8]) -> Option<Self> {
        let mut from = Cursor::new(signed);
        let tag = from.short_text().filter(|tag| (1..=32).contains(&tag.len()) && tag.is_ascii())?.to_owned();
        let person = PersonId(from.array()?);
        let node = NodeId(from.array()?);
        let case = CaseId(from.array()?);
        let roster_version = RosterVersion(from.u64()?);
        let count = from.u8().map(usize::from).filter(|count| *count <= REFS_MAX)?;
        let refs = from.take(count * 32)?.as_chunks::<32>().0.iter().copied().map(EventHash).collect();
        let body = from.rest().to_vec();
        Some(Self { tag, person, node, case, roster_version, refs, body })
    }
}

/// The signed bytes and their signature, as they travel (postcard).
#[derive(Serialize, Deserialize)]
struct Travels {
    #[serde(with = "wire::serde_bytes_vec")]
    signed: Vec<u8>,
    signature: Signature,
}

impl From<Statement> for Travels {
    fn from(statement: Statement) -> Self {
        Self { signed: statement.signed, signature: statement.signature }
    }
}

impl TryFrom<Travels> for Statement {
    type Error = &'static str;

    fn try_from(Travels { signed, signature }: Travels) -> Result<Self, &'static str> {
        if signed.len() > EVENT_BYTES_MAX {
            return Err("a person's statement is under 64 KiB");
        }
        let facts = Facts::parse(&signed).ok_or("a person's statement ends too early")?;
        Ok(Self { facts, signed, signature })
    }
}

/// The two keys of a person, while they are signed in.
#[derive(Debug, Clone)]
pub struct PersonKeys {
    /// Signs their statements.
    pub signing: SigningKey,
    /// Opens what is sealed to them: the Transaction UID of a claim.
    pub reading: ReadingKey,
}

/// A person's key file: who they are in clear, their two keys under a passphrase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonKeyFile {
    /// As they are called.
    pub name: String,
    /// Public signing key.
    pub person: PersonId,
    /// Public reading key.
    pub reading: ReadingPublic,
    /// Both seeds.
    pub locked: LockedSecret,
}

const KEY_FILE_MAGIC: &[u8] = b"radmesh person 1\n";

impl PersonKeyFile {
    /// Makes a person's keys, and the file that holds them under `passphrase`.
    #[must_use]
    pub fn make(name: &str, passphrase: &str, rng: &mut impl CryptoRng) -> (Self, PersonKeys) {
        let mut seeds = Zeroizing::new([0; 64]);
        rng.fill_bytes(&mut *seeds);
        let keys = PersonKeys::from_seeds(&seeds);
        let locked = LockedSecret::lock(&*seeds, passphrase, rng);
        let name = name.chars().take(NAME_CHARS_MAX).collect();
        let (person, reading) = (keys.signing.person_id(), keys.reading.public());
        (Self { name, person, reading, locked }, keys)
    }

    /// Bytes of the request file by which the ministry admits this person as a `role`.
    #[must_use]
    pub fn request(&self, role: PersonRole, keys: &PersonKeys) -> Vec<u8> {
        let request = PersonRequest { person: self.person, reading: self.reading, name: self.name.clone(), role };
        request.to_file(&keys.signing)
    }

    /// The keys, for a session.
    ///
    /// # Errors
    /// [`WrongPassphrase`], also when the file's public keys are not those of its seeds.
    pub fn unlock(&self, passphrase: &str) -> Result<PersonKeys, WrongPassphrase> {
        let seeds = self.locked.unlock(passphrase)?;
        let keys = PersonKeys::from_seeds(seeds.as_array().ok_or(WrongPassphrase)?);
        let same = keys.signing.person_id() == self.person && keys.reading.public() == self.reading;
        same.then_some(keys).ok_or(WrongPassphrase)
    }

    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        [KEY_FILE_MAGIC, &wire::encode(self)].concat()
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`WireError`] if it is no key file of a person.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let body = bytes.strip_prefix(KEY_FILE_MAGIC).ok_or(WireError::Malformed { what: "a person's key file" })?;
        wire::decode("a person's key file", body, REQUEST_BYTES_MAX)
    }
}

impl PersonKeys {
    fn from_seeds(seeds: &[u8; 64]) -> Self {
        let (mut signing, mut reading) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        signing.copy_from_slice(&seeds[..32]);
        reading.copy_from_slice(&seeds[32..]);
        Self { signing: SigningKey::from_seed(*signing), reading: ReadingKey::from_seed(*reading) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    const OURS: FederationId = FederationId([1; 32]);

    fn report(key: &SigningKey) -> Statement {
        let at = SignedAt { key, node: NodeId([3; 32]), federation: &OURS, roster_version: RosterVersion(9) };
        Statement::sign(at, "report", CaseId([4; 32]), &[EventHash([5; 32])], b"no fracture")
    }

    #[test]
    fn statement_says_all_it_was_signed_for_after_travelling() {
        let key = SigningKey::from_seed([2; 32]);
        let sent = report(&key);
        let got: Statement = wire::decode("statement", &wire::encode(&sent), EVENT_BYTES_MAX).unwrap();
        assert_eq!(got.verify(&OURS), Ok(()));
        assert_eq!((got.tag(), got.person(), got.node()), ("report", key.person_id(), NodeId([3; 32])));
        assert_eq!(
            (got.case(), got.refs(), got.body()),
            (CaseId([4; 32]), &[EventHash([5; 32])][..], &b"no fracture"[..])
        );
        assert_eq!(got.verify(&FederationId([2; 32])), Err(BadSignature));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_a_bad_signature() {
        let bytes = wire::encode(&report(&SigningKey::from_seed([2; 32])));
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            if let Ok(got) = wire::decode::<Statement>("statement", &bent, EVENT_BYTES_MAX) {
                assert_eq!(got.verify(&OURS), Err(BadSignature), "bit {bit}");
            }
        }
    }

    #[test]
    fn key_file_opens_with_its_passphrase_and_gives_the_keys_of_the_request() {
        let (file, keys) = PersonKeyFile::make("Dr Banda", "nkhata bay", &mut ChaCha20Rng::seed_from_u64(1));
        let request = PersonRequest::parse(&file.request(PersonRole::Radiologist, &keys)).unwrap();
        let file = PersonKeyFile::parse(&file.bytes()).unwrap();
        let keys = file.unlock("nkhata bay").unwrap();
        assert_eq!((keys.signing.person_id(), keys.reading.public()), (request.person, request.reading));
        assert_eq!(file.unlock("nkhata").unwrap_err(), WrongPassphrase);
        let swapped = PersonKeyFile { person: PersonId([9; 32]), ..file };
        assert_eq!(swapped.unlock("nkhata bay").unwrap_err(), WrongPassphrase);
    }
}
