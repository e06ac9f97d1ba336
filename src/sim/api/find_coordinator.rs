//! FindCoordinator: which broker a group belongs to.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::super::wire::{Field, Shape};
use super::super::world::BrokerFacts;
use super::Call;

/// The key; its type; the keys of a batch (KIP-699).
pub(super) const FIELDS: &[Field] = &[
    Field::between(0, 3, Shape::Text),
    Field::since(1, Shape::Fixed(1)),
    Field::since(4, Shape::Values(&Shape::Text)),
];

/// Only groups have coordinators here.
const GROUP_KEY: i8 = 0;

pub(super) fn answer(call: &Call<'_>, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    if call.version >= 4 {
        let keys = request.coordinator_keys.into_iter();
        let coordinators = keys.map(|key| coordinator(call, key, request.key_type)).collect();
        return FindCoordinatorResponse::default().with_coordinators(coordinators);
    }
    let found = coordinator(call, request.key, request.key_type);
    let response = FindCoordinatorResponse::default()
        .with_error_code(found.error_code)
        .with_node_id(found.node_id)
        .with_host(found.host)
        .with_port(found.port);
    if call.version >= 1 { response.with_error_message(found.error_message) } else { response }
}

fn coordinator(call: &Call<'_>, key: StrBytes, key_type: i8) -> Coordinator {
    let found = match call.injected {
        Some(code) => Err(code),
        None if key_type != GROUP_KEY => Err(ResponseError::InvalidRequest.code()),
        None => broker(call, &key).ok_or(ResponseError::CoordinatorNotAvailable.code()),
    };
    let answer = Coordinator::default().with_key(key);
    match found {
        Ok(broker) => {
            let answer = answer.with_node_id(BrokerId(broker.id)).with_host(broker.host.clone());
            answer.with_port(i32::from(broker.port))
        }
        Err(code) => {
            let answer = answer.with_node_id(BrokerId(-1)).with_port(-1).with_error_code(code);
            answer.with_error_message(Some(StrBytes::from_static_str("the coordinator is not available")))
        }
    }
}

fn broker<'w>(call: &Call<'w>, group: &str) -> Option<&'w BrokerFacts> {
    let index = call.world.coordinator_index(group)?;
    call.world.brokers.get(usize::from(index)).filter(|broker| broker.listed)
}
