//! Gossip between hubs: freshness, never truth.
//!
//! An event heard by gossip shows in a reader's list a second after it happened; one that gossip lost comes with the
//! next sync. So queues may drop, and nothing is believed because of who sent it: events carry their own signature,
//! and a message is forwarded only after the core has said so. Settings: `docs/replication.md`.

use super::StartError;
use libp2p::gossipsub::{
    Behaviour, ConfigBuilder, IdentTopic, IdentityTransform, Message, MessageAuthenticity, MessageId, TopicHash,
    ValidationMode, WhitelistSubscriptionFilter,
};
use radmesh_protocol::{
    id::{FederationId, Hash},
    limits::GOSSIP_EVENT_BYTES_MAX,
};
use std::{collections::HashSet, time::Duration};

/// gossipsub as we use it: one topic, nothing else may be subscribed.
pub(super) type Gossip = Behaviour<IdentityTransform, WhitelistSubscriptionFilter>;

/// Bytes of a message id: half a BLAKE3, as a duplicate is no attack.
const MESSAGE_ID_BYTES: usize = 16;

/// The one topic of a federation.
pub(super) fn topic(federation: &FederationId) -> TopicHash {
    IdentTopic::new(format!("radmesh/1/events/{federation}")).hash()
}

/// The behaviour, subscribed to its topic.
pub(super) fn behaviour(federation: &FederationId) -> Result<Gossip, StartError> {
    let topic = topic(federation);
    let config = ConfigBuilder::default()
        .mesh_n(4)
        .mesh_n_low(2)
        .mesh_n_high(32)
        .mesh_outbound_min(1)
        .heartbeat_interval(Duration::from_secs(10))
        .history_length(60)
        .history_gossip(30)
        .duplicate_cache_time(Duration::from_secs(3600))
        .publish_queue_duration(Duration::from_secs(120))
        .forward_queue_duration(Duration::from_secs(120))
        .max_transmit_size_for_topic(GOSSIP_EVENT_BYTES_MAX, topic.clone())
        .flood_publish(true)
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message: &Message| MessageId::new(&Hash::of(&message.data).as_bytes()[..MESSAGE_ID_BYTES]))
        .build()
        .map_err(|error| StartError::Gossip(error.to_string()))?;
    let only = WhitelistSubscriptionFilter(HashSet::from([topic.clone()]));
    let mut gossip = Behaviour::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, only)
        .map_err(|error| StartError::Gossip(error.to_owned()))?;
    let ours = IdentTopic::new(topic.into_string());
    gossip.subscribe(&ours).map_err(|error| StartError::Gossip(error.to_string()))?;
    Ok(gossip)
}
