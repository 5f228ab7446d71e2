//! A node id is a libp2p peer id and back: one Ed25519 key is both.
//!
//! libp2p writes an Ed25519 key into the peer id itself (an identity multihash of its protobuf), so nothing has to
//! be looked up and no peer can stand behind a name that is not its key (libp2p specs, peer-ids).

use libp2p::{
    PeerId,
    identity::{Keypair, PublicKey, ed25519},
};
use radmesh_protocol::id::NodeId;

/// Multihash code "identity": the digest is the encoded key (multiformats table).
const IDENTITY: u64 = 0x00;

/// The transport's name of a node; `None` if the id is no point on the curve.
pub(super) fn peer_id(node: &NodeId) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(node.as_bytes()).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// The node behind a transport's name; `None` for a key that is not Ed25519.
pub(super) fn node_id(peer: &PeerId) -> Option<NodeId> {
    let hash = peer.as_ref();
    let key = (hash.code() == IDENTITY).then(|| PublicKey::try_decode_protobuf(hash.digest()).ok())??;
    Some(NodeId(key.try_into_ed25519().ok()?.to_bytes()))
}

/// The transport's key of the node whose Ed25519 seed this is.
pub(super) fn keypair(seed: &[u8; 32]) -> Keypair {
    Keypair::ed25519_from_bytes(*seed).expect("32 bytes are an Ed25519 seed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_found_again_behind_its_peer_id() {
        let peer = keypair(&[7; 32]).public().to_peer_id();
        let node = node_id(&peer).unwrap();
        assert_eq!(peer_id(&node), Some(peer));
        assert_eq!(node.as_bytes(), &keypair(&[7; 32]).public().try_into_ed25519().unwrap().to_bytes());
    }

    #[test]
    fn a_peer_id_that_holds_no_key_is_no_node() {
        let hashed = libp2p::multihash::Multihash::wrap(0x12, &[3; 32]).unwrap();
        assert_eq!(node_id(&PeerId::from_multihash(hashed).unwrap()), None);
    }
}
