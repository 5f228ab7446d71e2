//! A roster statement: one link of the chain by which the ministry says who is a member.
//!
//! Laid out by hand, big-endian: `chain 32 | seq u64 | prev 32 | wall u64 | kind u16 | version u16 | length u32 |
//! body | signature 64`. The chain is the key that signs; `prev` is BLAKE3 of the statement before it, or, for the
//! first of a delegated chain, of the statement that delegated it. A kind or version that this build does not know
//! is kept and forwarded (`protocol/SPEC.md`, Roster).

use super::{PersonRole, Term, request::NodeRequest};
use crate::{
    envelope::{
        reading::ReadingPublic,
        sign::{BadSignature, Signature, SigningKey, verify},
        tag,
    },
    id::{ChainId, FederationId, Hash, NodeId, PersonId, Region},
    limits::STATEMENT_BYTES_MAX,
    time::{Millis, Wall},
    wire::{
        self, WireError,
        cursor::{Cursor, Put},
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const WHAT: &str = "roster statement";
const BODY_VERSION: u16 = 1;

/// One statement as it travels. Whether its signature holds and its place is right, the roster says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    header: Header,
    body: Vec<u8>,
    signature: Signature,
    bytes: Vec<u8>,
}

/// Where a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The chain it belongs to: the key that signs it.
    pub chain: ChainId,
    /// Its place in the chain, from 1.
    pub seq: u64,
    /// BLAKE3 of the statement before it.
    pub prev: Hash,
    /// When the official's computer thought it was: for display.
    pub wall: Wall,
    /// Which body follows.
    pub kind: u16,
    /// Version of that body's layout.
    pub version: u16,
}

/// What a statement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementBody {
    /// Kind 1, by the root: a federation begins.
    Genesis(Genesis),
    /// Kind 2, by the ministry: figures that hold for all.
    Policy(Policy),
    /// Kind 3, by the ministry: a node is a member, or its facts have changed.
    AdmitNode(Box<AdmitNode>),
    /// Kind 4, by the ministry: a person is a member, or their facts have changed.
    AdmitPerson(AdmitPerson),
    /// Kind 5, by the ministry's chain only: a key is no longer a member's, for ever.
    Revoke(Subject),
}

/// How a federation begins. Its id is made of the name and the root keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// As people call it.
    pub name: String,
    /// Signatures of root keys that the root's statements need; 1 in this version.
    pub threshold: u8,
    /// Root keys; one in this version.
    pub roots: Vec<ChainId>,
    /// What every parcel and body is sealed to besides; its private half is offline with the ministry.
    pub recovery: ReadingPublic,
    /// The chain that admits and revokes.
    pub ministry: ChainId,
}

/// Figures that hold for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Length of a claim that is not renewed.
    pub claim_lease: Millis,
}

/// A node and its place in the federation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitNode {
    /// What the node said of itself.
    pub request: NodeRequest,
    /// Its region, which is its reading pool.
    pub region: Region,
    /// Whose law holds for what it makes.
    pub jurisdiction: Region,
    /// A spoke's home hub.
    pub home: Option<NodeId>,
    /// A spoke's standby hub, the second custodian.
    pub standby: Option<NodeId>,
    /// Rises with each change of home hub.
    pub term: Term,
    /// Relays on the spoke's route to its hub, nearest first.
    pub via: Vec<NodeId>,
    /// Whether this hub makes its pool's keys.
    pub key_maker: KeyMaker,
}

/// Whether a hub makes its pool's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyMaker {
    /// It does not.
    No,
    /// It does, from epoch 0 with the key of its request.
    Yes,
}

/// A person and what they may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitPerson {
    /// Their signing key.
    pub person: PersonId,
    /// What is sealed to them.
    pub reading: ReadingPublic,
    /// As people call them.
    pub name: String,
    /// What they may do.
    pub roles: Vec<PersonRole>,
    /// Where.
    pub region: Region,
}

/// Whose membership ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// A node's.
    Node(NodeId),
    /// A person's.
    Person(PersonId),
}

impl Statement {
    /// Signs the next statement of the chain of `key`.
    #[must_use]
    pub fn sign(
        key: &SigningKey,
        federation: &FederationId,
        seq: u64,
        prev: Hash,
        wall: Wall,
        body: &StatementBody,
    ) -> Self {
        let (kind, encoded) = body.encode();
        let header = Header { chain: key.chain_id(), seq, prev, wall, kind, version: BODY_VERSION };
        Self::assemble(header, encoded, |signed| key.sign(tag::ROSTER, federation, signed))
    }

    fn assemble(header: Header, body: Vec<u8>, sign: impl FnOnce(&[u8]) -> Signature) -> Self {
        let mut put = Put::default();
        put.bytes(header.chain.as_bytes()).u64(header.seq).bytes(header.prev.as_bytes()).u64(header.wall.0);
        put.u16(header.kind).u16(header.version);
        put.u32(u32::try_from(body.len()).expect("bodies are bounded")).bytes(&body);
        let mut bytes = put.into_bytes();
        let signature = sign(&bytes);
        bytes.extend_from_slice(signature.as_bytes());
        Self { header, body, signature, bytes }
    }

    /// Reads a statement as it travels; checks the layout only.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > STATEMENT_BYTES_MAX {
            return Err(WireError::TooLong { what: WHAT, bytes: bytes.len(), limit: STATEMENT_BYTES_MAX });
        }
        Self::read(bytes).ok_or(WireError::Malformed { what: WHAT })
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = Cursor::new(bytes);
        let header = Header {
            chain: ChainId(from.array()?),
            seq: from.u64()?,
            prev: Hash(from.array()?),
            wall: Wall(from.u64()?),
            kind: from.u16()?,
            version: from.u16()?,
        };
        let length = from.u32()?;
        let body = from.take(usize::try_from(length).ok()?)?.to_vec();
        let signature = Signature::from_bytes(from.array()?);
        from.is_done().then(|| Self { header, body, signature, bytes: bytes.to_vec() })
    }

    /// Whether the chain's key has signed it, in this federation.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, federation: &FederationId) -> Result<(), BadSignature> {
        let signed = &self.bytes[..self.bytes.len() - 64];
        verify(self.header.chain.as_bytes(), tag::ROSTER, federation, signed, &self.signature)
    }

    /// Where it stands.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// BLAKE3 of the statement as it travels.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&self.bytes)
    }

    /// The bytes as they travel.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says; `None` for a kind or version that this build does not know.
    ///
    /// # Errors
    /// [`WireError`] if the body of a known kind does not fit.
    pub fn body(&self) -> Result<Option<StatementBody>, WireError> {
        fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
            wire::decode(WHAT, bytes, STATEMENT_BYTES_MAX)
        }
        let body = &self.body;
        Ok(Some(match (self.header.kind, self.header.version) {
            (1, 1) => StatementBody::Genesis(read(body)?),
            (2, 1) => StatementBody::Policy(read(body)?),
            (3, 1) => StatementBody::AdmitNode(Box::new(read(body)?)),
            (4, 1) => StatementBody::AdmitPerson(read(body)?),
            (5, 1) => StatementBody::Revoke(read(body)?),
            _ => return Ok(None),
        }))
    }
}

impl StatementBody {
    fn encode(&self) -> (u16, Vec<u8>) {
        match self {
            Self::Genesis(body) => (1, wire::encode(body)),
            Self::Policy(body) => (2, wire::encode(body)),
            Self::AdmitNode(body) => (3, wire::encode(body)),
            Self::AdmitPerson(body) => (4, wire::encode(body)),
            Self::Revoke(body) => (5, wire::encode(body)),
        }
    }
}

impl Genesis {
    /// The federation's id: BLAKE3 of the tag, the threshold, the number of root keys, the root keys and the name.
    #[must_use]
    pub fn federation(&self) -> FederationId {
        let mut put = Put::default();
        put.bytes(tag::FEDERATION.as_bytes()).u8(self.threshold).u16(self.roots.len() as u16);
        self.roots.iter().for_each(|root| {
            put.bytes(root.as_bytes());
        });
        put.bytes(self.name.as_bytes());
        FederationId(Hash::of(&put.into_bytes()).0)
    }
}
