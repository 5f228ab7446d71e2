//! What a reader signs about a case: a claim, its release, a report.
//!
//! The radiologist's private key is never in the node: the command asks the hub for a [`ReadingContext`], signs with
//! her key, and hands in the signed statement. What she writes is sealed to the pool, the recovery key and the clinic
//! it came from before it leaves her hands. An illegal move is refused here, with the reason, before it is signed.

use radmesh_protocol::{
    claim::{RELEASE_TAG, REQUEST_TAG, Release, Request, Token, Transaction},
    envelope::{
        body::{SealBodyError, SealedBody},
        reading::ReadingPublic,
    },
    id::{CaseId, EventHash, FederationId, NodeId, PersonId, hex},
    person::{PersonKeys, SignedAt, Statement},
    report::{MoveError, REPORT_TAG, Report, ReportText, Status, TextError, check_move},
    roster::RosterVersion,
    wire,
    worklist::item::Place,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

/// What a person's statement about a case must name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadingContext {
    /// The federation.
    pub federation: FederationId,
    /// The hub the reader sits at.
    pub node: NodeId,
    /// The case.
    pub case: CaseId,
    /// Roster version this hub has seen.
    pub roster_version: RosterVersion,
    /// Whom a report is sealed to: pool, recovery, the clinic.
    pub recipients: Vec<ReadingPublic>,
    /// The report that stands, if any.
    pub standing: Option<(EventHash, Status, Place)>,
    /// Who holds the case and how, if anybody.
    pub claim: Option<Held>,
}

/// A claim as the hub sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Held {
    /// Who asked.
    pub claimant: PersonId,
    /// Their name in the roster.
    pub name: String,
    /// The claim's public name.
    pub transaction: Transaction,
    /// The token, once the home hub has granted it.
    pub token: Option<Token>,
}

/// What a reader who holds no claim wants of her report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutClaim {
    /// To be told, and to claim first.
    Refuse,
    /// A second read: kept and shown beside the case's own report.
    SecondRead,
}

/// What can't be signed, in words for the reader.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// Nothing can be sealed to one of the recipients.
    #[error(transparent)]
    Seal(#[from] SealBodyError),
    /// Not a text that can be a report.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The report may not follow what is there.
    #[error(transparent)]
    Move(#[from] MoveError),
    /// Nothing to give back.
    #[error("you hold no claim on this case")]
    NotClaimed,
    /// The report would not be the case's.
    #[error("you hold no claim on this case: signed now, the report would be a second read and not the case's own")]
    NoClaim,
}

impl ReadingContext {
    fn sign(&self, keys: &PersonKeys, tag: &'static str, refs: &[EventHash], body: &[u8]) -> Vec<u8> {
        let Self { node, federation, roster_version, case, .. } = self;
        let at = SignedAt { key: &keys.signing, node: *node, federation, roster_version: *roster_version };
        wire::encode(&Statement::sign(at, tag, *case, refs, body))
    }

    fn own_claim(&self, keys: &PersonKeys) -> Option<&Held> {
        self.claim.as_ref().filter(|held| held.claimant == keys.signing.person_id())
    }

    fn is_final(&self) -> bool {
        matches!(self.standing, Some((_, Status::Final, Place::Standing)))
    }

    /// Whether the home hub has given the reader this case: claiming it again renews.
    #[must_use]
    pub fn is_held_by(&self, keys: &PersonKeys) -> bool {
        self.own_claim(keys).is_some_and(|held| held.token.is_some())
    }

    /// Signs a claim request under a fresh Transaction UID (PS3.4 CC.1.1): a new claim, or the renewal of the
    /// reader's own.
    ///
    /// # Errors
    /// [`SignError::Seal`] if the claimant's own reading key is no key.
    pub fn claim(&self, keys: &PersonKeys, rng: &mut impl CryptoRng) -> Result<(Vec<u8>, Transaction), SignError> {
        let uid = transaction_uid(rng);
        let request = Request::new(self.case, &uid, &keys.reading.public(), &self.federation, rng)?;
        let transaction = request.transaction;
        Ok((self.sign(keys, REQUEST_TAG, &[], &wire::encode(&request)), transaction))
    }

    /// Signs the release of the reader's own claim.
    ///
    /// # Errors
    /// [`SignError::NotClaimed`].
    pub fn release(&self, keys: &PersonKeys) -> Result<Vec<u8>, SignError> {
        let held = self.own_claim(keys).ok_or(SignError::NotClaimed)?;
        let release = Release { case: self.case, transaction: held.transaction };
        Ok(self.sign(keys, RELEASE_TAG, &[], &wire::encode(&release)))
    }

    /// Seals and signs a report. No report is ever refused a place, but a reader without a claim is told before she
    /// signs what place hers will have (`protocol/SPEC.md`, Reports). An addendum needs no claim.
    ///
    /// # Errors
    /// [`SignError`], in words for the reader.
    pub fn report(
        &self,
        keys: &PersonKeys,
        (status, text, reader_name): (Status, &str, &str),
        without: WithoutClaim,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, SignError> {
        let text = ReportText::new(text, reader_name)?;
        let before = match (self.own_claim(keys), without) {
            // A report under a tentative claim gives way to hers.
            (Some(held), _) if held.token.is_some() => {
                self.standing.filter(|(.., place)| *place != Place::StandingTentative)
            }
            (None, WithoutClaim::Refuse) if status != Status::Addendum && !self.is_final() => {
                return Err(SignError::NoClaim);
            }
            (None, WithoutClaim::SecondRead) if status != Status::Addendum => None,
            _ => self.standing,
        };
        let before = before.map(|(event, status, _)| (event, status));
        let replaces = before.map(|(event, _)| event);
        check_move(before, status, replaces)?;
        let sealed = SealedBody::seal(&text.encode(), &self.recipients, &self.federation, rng)?;
        let claim = self.own_claim(keys).and_then(|held| held.token);
        let report = Report { case: self.case, status, replaces, claim, sealed };
        let refs: Vec<EventHash> = replaces.into_iter().collect();
        Ok(self.sign(keys, REPORT_TAG, &refs, &wire::encode(&report)))
    }
}

/// A UID of the form 2.25.<128-bit integer> (PS3.5 section B.2).
fn transaction_uid(rng: &mut impl CryptoRng) -> String {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    let number = u128::from_str_radix(&hex(&bytes), 16).expect("16 bytes are 32 hexadecimal digits");
    format!("2.25.{number}")
}
