//! Requests: what a node or person writes so that the ministry can admit them.
//!
//! It travels on a stick or by mail and is read by a tired official, so it holds public facts only, is signed by
//! the key it asks to admit (nobody can ask for another's key), and is no membership: only the ministry's
//! statement is (`protocol/SPEC.md`, Files).

use super::{PersonRole, Role};
use crate::{
    envelope::{
        reading::ReadingPublic,
        sign::{Signature, SigningKey, verify},
        tag,
    },
    id::{FederationId, Incarnation, NodeId, PersonId},
    limits::{ADDRESS_CHARS_MAX, ADDRESSES_MAX, NAME_CHARS_MAX, REQUEST_BYTES_MAX},
    wire,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A node asks to be admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRequest {
    /// Its signing key, which is also its peer id.
    pub node: NodeId,
    /// What is sealed to it.
    pub reading: ReadingPublic,
    /// As people call it.
    pub name: String,
    /// What it would do.
    pub role: Role,
    /// Multiaddresses it listens at.
    pub addresses: Vec<String>,
    /// Of its logs, at init.
    pub incarnation: Incarnation,
    /// A hub's epoch-0 public key, should it be named key maker.
    pub epoch0: Option<ReadingPublic>,
}

/// A person asks to be admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRequest {
    /// Their signing key.
    pub person: PersonId,
    /// What is sealed to them.
    pub reading: ReadingPublic,
    /// As people call them.
    pub name: String,
    /// What they would do.
    pub role: PersonRole,
}

/// A file that asks for no admission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It begins otherwise.
    #[error("this is no {expected}")]
    NotARequest {
        /// What was to be read.
        expected: &'static str,
    },
    /// Its layout does not fit.
    #[error(transparent)]
    Wire(#[from] wire::WireError),
    /// A name, an address or their number is over its limit, or has a control character.
    #[error("{what} is empty, over its limit of {limit}, or has a control character")]
    Text {
        /// Which text.
        what: &'static str,
        /// Characters, or entries, allowed.
        limit: usize,
    },
    /// Not signed by the key it asks to admit.
    #[error("the request is not signed by the key it names: it was changed, or is another's")]
    Signature,
}

const NODE_MAGIC: &[u8] = b"radmesh node request 1\n";
const PERSON_MAGIC: &[u8] = b"radmesh person request 1\n";
/// No federation yet: the request comes before the membership.
const NO_FEDERATION: FederationId = FederationId([0; 32]);

impl NodeRequest {
    /// The file's bytes, signed with the key whose public half is [`Self::node`].
    #[must_use]
    pub fn to_file(&self, key: &SigningKey) -> Vec<u8> {
        to_file(NODE_MAGIC, tag::NODE_REQUEST, self, key)
    }

    /// Reads the file, its signature and its limits.
    ///
    /// # Errors
    /// [`RequestError`], in words for the official who reads it.
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        let (request, signed, signature) = from_file::<Self>(NODE_MAGIC, "node's request", bytes)?;
        request.check()?;
        let held = verify(request.node.as_bytes(), tag::NODE_REQUEST, &NO_FEDERATION, signed, &signature);
        held.map_err(|_| RequestError::Signature)?;
        Ok(request)
    }

    /// The limits of its texts; the roster holds its statements to the same.
    pub(super) fn check(&self) -> Result<(), RequestError> {
        check_text("name", &self.name, NAME_CHARS_MAX)?;
        if self.addresses.len() > ADDRESSES_MAX {
            return Err(RequestError::Text { what: "list of addresses", limit: ADDRESSES_MAX });
        }
        self.addresses.iter().try_for_each(|address| check_text("address", address, ADDRESS_CHARS_MAX))
    }
}

impl PersonRequest {
    /// The file's bytes, signed with the key whose public half is [`Self::person`].
    #[must_use]
    pub fn to_file(&self, key: &SigningKey) -> Vec<u8> {
        to_file(PERSON_MAGIC, tag::PERSON_REQUEST, self, key)
    }

    /// Reads the file, its signature and its limits.
    ///
    /// # Errors
    /// [`RequestError`], in words for the official who reads it.
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        let (request, signed, signature) = from_file::<Self>(PERSON_MAGIC, "person's request", bytes)?;
        check_text("name", &request.name, NAME_CHARS_MAX)?;
        let held = verify(request.person.as_bytes(), tag::PERSON_REQUEST, &NO_FEDERATION, signed, &signature);
        held.map_err(|_| RequestError::Signature)?;
        Ok(request)
    }
}

fn to_file<T: Serialize>(magic: &[u8], tag: &'static str, facts: &T, key: &SigningKey) -> Vec<u8> {
    let body = wire::encode(facts);
    let signature = key.sign(tag, &NO_FEDERATION, &body);
    [magic, &body, signature.as_bytes()].concat()
}

fn from_file<'a, T: DeserializeOwned>(
    magic: &[u8],
    expected: &'static str,
    bytes: &'a [u8],
) -> Result<(T, &'a [u8], Signature), RequestError> {
    let rest = bytes.strip_prefix(magic).ok_or(RequestError::NotARequest { expected })?;
    let (body, signature) = rest.split_last_chunk().ok_or(RequestError::NotARequest { expected })?;
    Ok((wire::decode(expected, body, REQUEST_BYTES_MAX)?, body, Signature::from_bytes(*signature)))
}

/// Text that people see: 1 to `limit` characters, none of them a control character.
pub(super) fn check_text(what: &'static str, text: &str, limit: usize) -> Result<(), RequestError> {
    let fits = (1..=limit).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fits.then_some(()).ok_or(RequestError::Text { what, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kasungu(key: &SigningKey, name: &str) -> Vec<u8> {
        let request = NodeRequest {
            node: key.node_id(),
            reading: ReadingPublic([4; 32]),
            name: name.to_owned(),
            role: Role::Spoke,
            addresses: vec!["/ip4/10.0.0.2/tcp/4001".to_owned()],
            incarnation: Incarnation([1; 8]),
            epoch0: None,
        };
        request.to_file(key)
    }

    #[test]
    fn request_survives_its_file_and_a_flipped_bit_does_not() {
        let file = kasungu(&SigningKey::from_seed([1; 32]), "Kasungu");
        assert_eq!(NodeRequest::parse(&file).unwrap().name, "Kasungu");
        for bit in 0..file.len() * 8 {
            let mut bent = file.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(NodeRequest::parse(&bent).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn nobody_can_ask_for_anothers_key() {
        let request = PersonRequest {
            person: PersonId([9; 32]),
            reading: ReadingPublic([4; 32]),
            name: "Eve".into(),
            role: PersonRole::Radiologist,
        };
        let forged = request.to_file(&SigningKey::from_seed([1; 32]));
        assert_eq!(PersonRequest::parse(&forged), Err(RequestError::Signature));
    }

    #[test]
    fn name_with_a_terminal_escape_is_refused() {
        let file = kasungu(&SigningKey::from_seed([1; 32]), "Kasungu\u{1b}[2J");
        assert_eq!(NodeRequest::parse(&file), Err(RequestError::Text { what: "name", limit: NAME_CHARS_MAX }));
    }

    #[test]
    fn a_persons_request_is_no_nodes_request() {
        let key = SigningKey::from_seed([1; 32]);
        let person = PersonRequest {
            person: key.person_id(),
            reading: ReadingPublic([4; 32]),
            name: "Dr Banda".into(),
            role: PersonRole::Radiologist,
        };
        let refused = NodeRequest::parse(&person.to_file(&key)).unwrap_err();
        assert_eq!(refused, RequestError::NotARequest { expected: "node's request" });
    }
}
