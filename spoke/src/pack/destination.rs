//! Whom a part is sealed to: the pool's newest key, and the recovery key without exception.
//!
//! A spoke seals from the minute it joins, because the roster carries the pool's first key. Without one nothing may
//! leave: the Studies stay in staging and the node says what it waits for. Only the key maker that the ministry named
//! may bring a newer key, or a stranger could have every Study of a region sealed to himself.

use radmesh_protocol::{
    envelope::reading::ReadingPublic,
    id::{NodeId, Region},
    log::{Event, body::Body},
    roster::{Roster, RosterVersion},
};

/// Where parts go and who may open them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The reading pool.
    pub pool: Region,
    /// Epoch of its key.
    pub epoch: u32,
    /// Its key.
    pub pool_key: ReadingPublic,
    /// The ministry's recovery key.
    pub recovery: ReadingPublic,
    /// Whose law holds.
    pub jurisdiction: Region,
    /// Who takes custody.
    pub home_hub: NodeId,
    /// The roster that says all this.
    pub roster_version: RosterVersion,
}

/// Why nothing can leave, in words for the technician.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeldBack {
    /// Not a member, or no longer.
    #[error("this node is not a member: give its request to the ministry, then `radmesh join` with the roster")]
    NotAMember,
    /// No hub is named for it.
    #[error("the roster names no home hub for this node: the ministry admits it again with --home-hub")]
    NoHomeHub,
    /// No key to seal to.
    #[error("no key of pool {pool} is known: Studies stay here until its key maker is admitted")]
    NoPoolKey {
        /// The pool.
        pool: Region,
    },
    /// No recovery key.
    #[error("the roster has no recovery key: it is not a whole roster")]
    NoRecoveryKey,
}

/// Where this spoke's parts go today. `events` are those of the federation's scope.
///
/// # Errors
/// [`HeldBack`].
pub(crate) fn destination<'a>(
    roster: &Roster,
    events: impl Iterator<Item = &'a Event>,
    me: &NodeId,
) -> Result<Destination, HeldBack> {
    let member = roster.node(me).filter(|member| member.standing.holds()).ok_or(HeldBack::NotAMember)?;
    let pool = member.region.clone();
    let home_hub = roster.home_hub(me).ok_or(HeldBack::NoHomeHub)?;
    let recovery = roster.recovery().ok_or(HeldBack::NoRecoveryKey)?;
    let (maker, first) = roster.pool_key0(&pool).ok_or_else(|| HeldBack::NoPoolKey { pool: pool.clone() })?;
    let newer = events.filter(|event| event.author() == maker).filter_map(|event| match event.body() {
        Ok(Some(Body::PoolKey(key))) if key.pool == pool => Some((key.epoch, key.public)),
        _ => None,
    });
    let (epoch, pool_key) = newer.chain([(0, first)]).max_by_key(|(epoch, _)| *epoch).expect("it has epoch 0");
    let jurisdiction = member.jurisdiction.clone();
    Ok(Destination { pool, epoch, pool_key, recovery, jurisdiction, home_hub, roster_version: roster.version() })
}
