//! What a world takes on the heap, apart from the tables of its topics and groups: their figures are kept where they are
//! followed, for nobody shall walk over all of them at every pass.

use super::{BrokerFacts, TopicIx, World};
use crate::model::{StateBytes, StatePart, heap};

impl World {
    /// What each copy of the world takes: lists of pointers to what all copies share.
    pub(crate) fn list_bytes(&self) -> StateBytes {
        let mut bytes = StateBytes::default();
        bytes.add(StatePart::Topics, heap::vec(&self.topics));
        bytes.add(StatePart::Groups, self.groups.list_bytes());
        bytes
    }

    /// What all copies of the world share, without the tables of topics and groups.
    pub(crate) fn shared_bytes(&self) -> StateBytes {
        let mut bytes = StateBytes::default();
        let groups: usize = self.groups.iter().map(|group| heap::text(&group.name)).sum();
        bytes.add(StatePart::Names, self.names.heap_bytes() + groups);
        bytes.add(StatePart::Topics, heap::arc::<Vec<TopicIx>>() + heap::vec(&self.topic_order));
        let of_broker = |broker: &BrokerFacts| {
            let host = broker.endpoint.as_ref().map_or(0, |endpoint| heap::text(&endpoint.host));
            host + broker.rack.as_deref().map_or(0, heap::text)
        };
        let brokers: usize = self.brokers.iter().map(of_broker).sum();
        bytes.add(StatePart::Topics, heap::arc::<Vec<BrokerFacts>>() + heap::vec(&self.brokers) + brokers);
        bytes.add(StatePart::Topics, self.scope.heap_bytes());
        bytes.add(StatePart::Stream, self.stream.as_deref().map_or(0, super::StreamFacts::heap_bytes));
        bytes
    }
}
