//! A reader's claim, from the signed request to the home hub's answer.
//!
//! The request is an event like any other; the answer is one too, by the home hub, and arrives when the link allows.
//! A reader can't wait for a link that is down: after [`PATIENCE`] the claim is called what it is, tentative
//! (`protocol/SPEC.md`, Claims).

use super::{Desk, refused};
use crate::cli::{ClaimOutcome, CliError, First, seconds};
use radmesh_protocol::{
    claim::{self, ClaimState, Transaction},
    id::{CaseId, EventHash, PersonId},
    limits::EVENT_BYTES_MAX,
    log::body::Body,
    node::{Node, Notice},
    roster::Roster,
    time::Millis,
    wire,
};
use std::time::Duration;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Instant, timeout_at},
};

/// How long a claim waits for the home hub's answer before it is called tentative.
const PATIENCE: Duration = Duration::from_secs(10);

/// A claim request that this node has written down.
struct Asked {
    case: CaseId,
    event: EventHash,
    person: PersonId,
    transaction: Transaction,
}

impl Desk {
    pub(super) fn claim(&self, bytes: &[u8]) -> Result<ClaimOutcome, CliError> {
        let statement = self.statement(bytes)?;
        let (case, person) = (statement.case(), statement.person());
        let request: claim::Request =
            wire::decode("a claim request", statement.body(), EVENT_BYTES_MAX).map_err(refused)?;
        // From before the request: an answer may come as soon as it is written.
        let notices = self.notices.subscribe();
        let event = self.append(case, Body::ClaimRequest(statement))?;
        let asked = Asked { case, event, person, transaction: request.transaction };
        self.runtime.block_on(self.answered(&asked, notices))
    }

    async fn answered(
        &self,
        asked: &Asked,
        mut notices: broadcast::Receiver<Notice>,
    ) -> Result<ClaimOutcome, CliError> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(outcome) = self.read(|node| asked.outcome(node)) {
                return Ok(outcome);
            }
            loop {
                match timeout_at(until, notices.recv()).await {
                    Err(_) => {
                        let outcome = self.read(|node| asked.unanswered(node));
                        return outcome.ok_or_else(|| CliError::internal("the case is no longer listed here"));
                    }
                    Ok(Err(RecvError::Closed)) => return Err(CliError::network("the node is stopping")),
                    Ok(Ok(Notice::Case(case))) if case == asked.case => break,
                    // Which cases the missed notices were about is not known.
                    Ok(Err(RecvError::Lagged(_))) => break,
                    Ok(Ok(_)) => {}
                }
            }
        }
    }
}

impl Asked {
    /// How the home hub has answered, if it has.
    fn outcome(&self, node: &Node) -> Option<ClaimOutcome> {
        let (item, roster) = (node.worklist().item(&self.case)?, node.roster());
        let request = item.requests.get(&self.event)?;
        match &request.answer {
            claim::Answer::Waiting => None,
            claim::Answer::Granted { token, ttl } => Some(match item.claim {
                ClaimState::Granted { token: latest, .. } if latest != *token => over(*ttl),
                ClaimState::Free | ClaimState::Tentative { .. } => over(*ttl),
                ClaimState::Granted { .. } | ClaimState::Completed { .. } => ClaimOutcome::Granted {
                    holder: roster.person_name(&request.claimant),
                    lease_s: ttl.0.div_ceil(1000),
                    counter: token.counter,
                },
            }),
            claim::Answer::Refused(reason) => Some(why_not(roster, reason)),
        }
    }

    /// What is known here of a claim that the home hub has not answered.
    fn unanswered(&self, node: &Node) -> Option<ClaimOutcome> {
        let (item, roster) = (node.worklist().item(&self.case)?, node.roster());
        let home = roster.home_hub(&item.site)?;
        let (first, holder) = match item.claim {
            ClaimState::Tentative { claimant, transaction, .. } if transaction != self.transaction => {
                (First::AnotherAsked, claimant)
            }
            ClaimState::Granted { claimant, transaction, .. } if transaction != self.transaction => {
                (First::AnotherHolds, claimant)
            }
            _ => (First::You, self.person),
        };
        let (home_hub, holder) = (roster.node_name(&home), roster.person_name(&holder));
        Some(ClaimOutcome::Tentative { home_hub, holder, first })
    }
}

/// The link was slower than the lease.
fn over(ttl: Millis) -> ClaimOutcome {
    let lease = seconds(ttl.0.div_ceil(1000));
    let reason = format!("granted, but the lease of {lease} was over before the home hub's answer came");
    ClaimOutcome::Refused { reason, next: "claim it again".into() }
}

fn why_not(roster: &Roster, reason: &claim::Reason) -> ClaimOutcome {
    let next = match reason {
        claim::Reason::Held { .. } => "take another case from `radmesh worklist`, or claim this one again then",
        claim::Reason::Completed { .. } => "`radmesh report --status addendum` adds to the final report",
        claim::Reason::Released => "claim it again",
        claim::Reason::NotAReader => "the ministry admits radiologists: `radmesh federation admit`",
    };
    let reason = match reason {
        claim::Reason::Held { holder, left, .. } => {
            let (holder, left) = (roster.person_name(holder), seconds(left.0.div_ceil(1000)));
            format!("{holder} holds this case for at most {left} more, unless renewed")
        }
        other => other.to_string(),
    };
    ClaimOutcome::Refused { reason, next: next.into() }
}
