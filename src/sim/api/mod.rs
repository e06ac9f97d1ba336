//! The APIs that the simulated brokers serve: one file each, and here what they share.

mod api_versions;
mod consumer_group_describe;
mod describe_configs;
mod describe_groups;
mod find_coordinator;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_fetch;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

use super::fault::Loading;
use super::topic::BrokerIndex;
use super::wire::{Field, Header, WireError, frame};
use super::world::{BrokerFacts, World};

/// An API that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Key 18.
    ApiVersions,
    /// Key 3.
    Metadata,
    /// Key 10.
    FindCoordinator,
    /// Key 2.
    ListOffsets,
    /// Key 16.
    ListGroups,
    /// Key 15.
    DescribeGroups,
    /// Key 69, KIP-848.
    ConsumerGroupDescribe,
    /// Key 9.
    OffsetFetch,
    /// Key 32.
    DescribeConfigs,
}

/// Numbers of an API, as in the schemas of Kafka's protocol: key, lowest and highest version served,
/// and the first version with the flexible encoding (KIP-482).
struct Numbers {
    key: i16,
    min: i16,
    max: i16,
    flexible: i16,
}

impl Api {
    /// How many there are.
    pub(super) const COUNT: usize = Self::ALL.len();

    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::ApiVersions,
        Self::Metadata,
        Self::FindCoordinator,
        Self::ListOffsets,
        Self::ListGroups,
        Self::DescribeGroups,
        Self::ConsumerGroupDescribe,
        Self::OffsetFetch,
        Self::DescribeConfigs,
    ];

    /// The ranges of a 4.x broker, up to what the codec knows.
    const fn numbers(self) -> Numbers {
        let (key, min, max, flexible) = match self {
            Self::ApiVersions => (18, 0, 4, 3),
            Self::Metadata => (3, 0, 13, 9),
            Self::FindCoordinator => (10, 0, 6, 3),
            Self::ListOffsets => (2, 1, 10, 6),
            Self::ListGroups => (16, 0, 5, 3),
            Self::DescribeGroups => (15, 0, 6, 5),
            Self::ConsumerGroupDescribe => (69, 0, 1, 0),
            Self::OffsetFetch => (9, 1, 9, 6),
            Self::DescribeConfigs => (32, 1, 4, 4),
        };
        Numbers { key, min, max, flexible }
    }

    pub(super) fn from_key(key: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.numbers().key == key)
    }

    pub(super) fn index(self) -> usize {
        self as usize
    }

    pub(super) fn serves(self, version: i16) -> bool {
        (self.numbers().min..=self.numbers().max).contains(&version)
    }

    pub(super) fn is_flexible(self, version: i16) -> bool {
        version >= self.numbers().flexible
    }

    pub(super) fn request_fields(self) -> &'static [Field] {
        match self {
            Self::ApiVersions => api_versions::FIELDS,
            Self::Metadata => metadata::FIELDS,
            Self::FindCoordinator => find_coordinator::FIELDS,
            Self::ListOffsets => list_offsets::FIELDS,
            Self::ListGroups => list_groups::FIELDS,
            Self::DescribeGroups => describe_groups::FIELDS,
            Self::ConsumerGroupDescribe => consumer_group_describe::FIELDS,
            Self::OffsetFetch => offset_fetch::FIELDS,
            Self::DescribeConfigs => describe_configs::FIELDS,
        }
    }
}

/// Who is asked, in which version, and whether the answer is to be an error.
pub(super) struct Call<'w> {
    pub(super) world: &'w World,
    pub(super) broker: BrokerIndex,
    pub(super) version: i16,
    /// An injected error code.
    pub(super) injected: Option<i16>,
}

impl Call<'_> {
    fn me(&self) -> Option<&BrokerFacts> {
        self.world.brokers.get(usize::from(self.broker))
    }

    fn loading(&self) -> Loading {
        self.me().map_or(Loading::Done, |broker| broker.loading)
    }

    /// The error code of a call about `group` at this broker, 0 when it may be answered.
    fn coordinator_error(&self, group: &str) -> i16 {
        if let Some(code) = self.injected {
            code
        } else if self.world.coordinator_index(group) != Some(self.broker) {
            ResponseError::NotCoordinator.code()
        } else if self.loading() != Loading::Done {
            ResponseError::CoordinatorLoadInProgress.code()
        } else {
            0
        }
    }
}

/// The bytes that answer a request.
pub(super) fn answer(call: &Call<'_>, header: &Header, request: &Bytes) -> Result<Bytes, WireError> {
    let body = request.slice(header.body..);
    match header.api {
        Api::ApiVersions => api_versions::answer(call, header),
        Api::Metadata => serve(header, body, |request| metadata::answer(call, &request)),
        Api::FindCoordinator => serve(header, body, |request| find_coordinator::answer(call, request)),
        Api::ListOffsets => serve(header, body, |request| list_offsets::answer(call, request)),
        Api::ListGroups => serve(header, body, |request| list_groups::answer(call, &request)),
        Api::DescribeGroups => serve(header, body, |request| describe_groups::answer(call, request)),
        Api::ConsumerGroupDescribe => serve(header, body, |request| consumer_group_describe::answer(call, request)),
        Api::OffsetFetch => serve(header, body, |request| offset_fetch::answer(call, request)),
        Api::DescribeConfigs => serve(header, body, |request| describe_configs::answer(call, request)),
    }
}

fn serve<Q: Decodable, R: Encodable + HeaderVersion>(
    header: &Header,
    mut body: Bytes,
    answer: impl FnOnce(Q) -> R,
) -> Result<Bytes, WireError> {
    let request = Q::decode(&mut body, header.version).map_err(|error| WireError::Codec {
        api: header.api,
        version: header.version,
        reason: error.to_string(),
    })?;
    frame(header, header.version, &answer(request))
}

/// Numbers of partitions and brokers as the protocol has them.
fn int32(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
