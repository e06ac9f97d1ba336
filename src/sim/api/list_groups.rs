//! ListGroups: the groups that this broker coordinates.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;

use super::super::fault::Loading;
use super::super::group::Group;
use super::super::wire::{Field, Shape};
use super::Call;

/// States; types.
pub(super) const FIELDS: &[Field] =
    &[Field::since(4, Shape::Values(&Shape::Text)), Field::since(5, Shape::Values(&Shape::Text))];

pub(super) fn answer(call: &Call<'_>, request: &ListGroupsRequest) -> ListGroupsResponse {
    let code = match (call.injected, call.loading()) {
        (Some(code), _) => code,
        (None, Loading::Refuses) => ResponseError::CoordinatorLoadInProgress.code(),
        (None, Loading::Done | Loading::ListsShort) => 0,
    };
    if code != 0 {
        return ListGroupsResponse::default().with_error_code(code);
    }
    let groups = call.world.groups_at(call.broker).filter(|group| {
        passes(&request.states_filter, group.state.name()) && passes(&request.types_filter, group.group_type.name())
    });
    // What is still loading is missing without a word: here, every second group.
    let step = if call.loading() == Loading::ListsShort { 2 } else { 1 };
    ListGroupsResponse::default().with_groups(groups.step_by(step).map(|group| listed(call, group)).collect())
}

/// An empty filter lets everything pass; case does not count (KIP-518, KIP-848).
fn passes(filter: &[StrBytes], name: &str) -> bool {
    filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
}

fn listed(call: &Call<'_>, group: &Group) -> ListedGroup {
    let mut listed =
        ListedGroup::default().with_group_id(group.name.clone().into()).with_protocol_type(group.protocol_type.clone());
    if call.version >= 4 {
        listed.group_state = StrBytes::from_static_str(group.state.name());
    }
    if call.version >= 5 {
        listed.group_type = StrBytes::from_static_str(group.group_type.name());
    }
    listed
}
