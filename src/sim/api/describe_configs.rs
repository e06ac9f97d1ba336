//! DescribeConfigs: what topics are set to, as far as the simulation knows of it.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::super::topic::Topic;
use super::super::wire::{Field, Shape};
use super::Call;

/// Resources with type, name and names of settings; synonyms; documentation.
pub(super) const FIELDS: &[Field] = &[
    Field::always(Shape::Rows(&[
        Field::always(Shape::Fixed(1)),
        Field::always(Shape::Text),
        Field::always(Shape::Values(&Shape::Text)),
    ])),
    Field::always(Shape::Fixed(1)),
    Field::since(3, Shape::Fixed(1)),
];

/// The type of a resource that is a topic.
const TOPIC: i8 = 2;
/// The source of a value that is the topic's own, and of one that is Kafka's default.
const OF_TOPIC: i8 = 1;
const DEFAULT: i8 = 5;

pub(super) fn answer(call: &Call<'_>, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| one(call, resource)).collect();
    DescribeConfigsResponse::default().with_results(results)
}

fn one(call: &Call<'_>, asked: DescribeConfigsResource) -> DescribeConfigsResult {
    let found = match (call.injected, asked.resource_type) {
        (Some(code), _) => Err(code),
        (None, TOPIC) => call.world.topic(&asked.resource_name).ok_or(ResponseError::UnknownTopicOrPartition.code()),
        (None, _) => Err(ResponseError::InvalidRequest.code()),
    };
    let result = DescribeConfigsResult::default()
        .with_resource_type(asked.resource_type)
        .with_resource_name(asked.resource_name);
    match found {
        Ok(topic) => result.with_configs(configs(topic, asked.configuration_keys.as_deref())),
        Err(code) => result.with_error_code(code),
    }
}

/// The settings that are asked for; `None` and an empty list: all.
fn configs(topic: &Topic, asked: Option<&[StrBytes]>) -> Vec<DescribeConfigsResourceResult> {
    let asked = asked.filter(|names| !names.is_empty());
    let is_asked = |name: &str| asked.is_none_or(|names| names.iter().any(|wanted| wanted.as_str() == name));
    let all = topic.configs().into_iter().filter(|config| is_asked(config.name));
    let row = all.map(|config| {
        DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(config.name))
            .with_value(Some(StrBytes::from_string(config.value)))
            .with_config_source(if config.is_own { OF_TOPIC } else { DEFAULT })
    });
    row.collect()
}
