//! The only file with `unsafe`: hands calls to librdkafka and turns its events into owned values.
//!
//! What librdkafka (2.12, `rdkafka.h`) promises and every block here leans on:
//! 1. A handle and its queues may be used from any thread.
//! 2. An admin call copies its input before it returns and answers with exactly one event on the given queue.
//! 3. What an event's result points to lives as long as the event and does not change.
//! 4. Strings are NUL-terminated; an array comes with the number of its elements and may be null when that is 0.
//!
//! Error codes are read as integers, never as the bindings' Rust enum: a newer broker may send a code
//! that the enum does not list, and such a value would be undefined behaviour.
#![allow(unsafe_code, reason = "the seam towards a C library; all unsafe of the project is in this file")]

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::codes::{kind, milliseconds, state};
use super::error::Failure;
use super::gather::{Holdings, Runs};
use super::observer::Observer;
use crate::model::{
    Broker, BrokerId, ClusterDescription, ClusterMetadata, CommittedOffsets, CommittedPartition, DescribedSettings,
    GroupDescription, GroupListing, KafkaCode, ListedPartition, NoSettings, Offset, OffsetSpec, PartitionId,
    PartitionMetadata, TimedPartition, TopicDescription, TopicId, TopicMetadata, TopicPartitions, TopicRows,
    TopicSettings, TopicTimes, WallTime,
};

/// The C library's allocator.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod allocator {
    use super::c_int;

    /// `M_ARENA_MAX` of glibc's `malloc.h`: how many arenas there may be.
    pub(super) const M_ARENA_MAX: c_int = -8;

    unsafe extern "C" {
        pub(super) fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }
}

/// Has all threads allocate from one arena, before there are others. Left alone glibc gives nearly every thread one of its
/// own, up to eight a core, and what is freed in one is no use to the others: with the threads that librdkafka has for each
/// broker that takes a quarter more memory than all that is in use. Returns whether it did; other C libraries have no arenas.
pub(crate) fn share_one_arena() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: takes two integers, and may be called at any time.
        unsafe { allocator::mallopt(allocator::M_ARENA_MAX, 1) == 1 }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

/// Functions whose C enums are declared as the integers that they are, for the reason given above.
mod plain {
    use super::{c_char, c_int, rd};

    unsafe extern "C" {
        pub(super) fn rd_kafka_err2str(code: c_int) -> *const c_char;
        pub(super) fn rd_kafka_error_code(error: *const rd::rd_kafka_error_t) -> c_int;
        pub(super) fn rd_kafka_event_error(event: *mut rd::rd_kafka_event_t) -> c_int;
        pub(super) fn rd_kafka_metadata(
            handle: *mut rd::rd_kafka_t,
            all_topics: c_int,
            only_topic: *mut rd::rd_kafka_topic_t,
            metadata: *mut *mut rd::rd_kafka_metadata,
            timeout_ms: c_int,
        ) -> c_int;
        pub(super) fn rd_kafka_metadata_destroy(metadata: *mut rd::rd_kafka_metadata);
        pub(super) fn rd_kafka_AdminOptions_set_request_timeout(
            options: *mut rd::rd_kafka_AdminOptions_t,
            timeout_ms: c_int,
            error: *mut c_char,
            error_size: usize,
        ) -> c_int;
        pub(super) fn rd_kafka_AdminOptions_set_broker(
            options: *mut rd::rd_kafka_AdminOptions_t,
            broker: i32,
            error: *mut c_char,
            error_size: usize,
        ) -> c_int;
        pub(super) fn rd_kafka_ConfigResource_error(resource: *const rd::rd_kafka_ConfigResource_t) -> c_int;
        pub(super) fn rd_kafka_ConfigResource_set_config(
            resource: *mut rd::rd_kafka_ConfigResource_t,
            name: *const c_char,
            value: *const c_char,
        ) -> c_int;
        pub(super) fn rd_kafka_ConsumerGroupListing_state(group: *const rd::rd_kafka_ConsumerGroupListing_t) -> c_int;
        pub(super) fn rd_kafka_ConsumerGroupListing_type(group: *const rd::rd_kafka_ConsumerGroupListing_t) -> c_int;
        pub(super) fn rd_kafka_ConsumerGroupDescription_state(
            group: *const rd::rd_kafka_ConsumerGroupDescription_t,
        ) -> c_int;
        pub(super) fn rd_kafka_ConsumerGroupDescription_type(
            group: *const rd::rd_kafka_ConsumerGroupDescription_t,
        ) -> c_int;
    }
}

/// A librdkafka object that is freed by one function of its own.
///
/// # Safety
/// `FREE` must be the function that `rdkafka.h` names for the type.
unsafe trait Native {
    /// Frees it.
    const FREE: unsafe extern "C" fn(*mut Self);
}

macro_rules! native {
    ($($object:ty => $free:path),* $(,)?) => {
        // SAFETY: each pair is as rdkafka.h has it.
        $(unsafe impl Native for $object { const FREE: unsafe extern "C" fn(*mut Self) = $free; })*
    };
}

native! {
    rd::rd_kafka_queue_t => rd::rd_kafka_queue_destroy,
    rd::rd_kafka_event_t => rd::rd_kafka_event_destroy,
    rd::rd_kafka_error_t => rd::rd_kafka_error_destroy,
    rd::rd_kafka_AdminOptions_t => rd::rd_kafka_AdminOptions_destroy,
    rd::rd_kafka_topic_partition_list_t => rd::rd_kafka_topic_partition_list_destroy,
    rd::rd_kafka_ListConsumerGroupOffsets_t => rd::rd_kafka_ListConsumerGroupOffsets_destroy,
    rd::rd_kafka_TopicCollection_t => rd::rd_kafka_TopicCollection_destroy,
    rd::rd_kafka_ConfigResource_t => rd::rd_kafka_ConfigResource_destroy,
    rd::rd_kafka_metadata => plain::rd_kafka_metadata_destroy,
}

/// A librdkafka object that is ours to free.
struct Owned<T: Native>(NonNull<T>);

impl<T: Native> Owned<T> {
    /// Takes an object over; `None` for null.
    ///
    /// # Safety
    /// A pointer that is not null is a live object that nobody else frees.
    unsafe fn new(object: *mut T) -> Option<Self> {
        NonNull::new(object).map(Self)
    }

    fn ptr(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T: Native> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the object is live and ours, see `new`; it is freed here only.
        unsafe { T::FREE(self.0.as_ptr()) }
    }
}

/// How a call is to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Comes back with the event.
    pub(super) key: usize,
    /// How long one request may take.
    pub(super) timeout: Duration,
    /// The broker to ask; `None` lets librdkafka choose.
    pub(super) broker: Option<BrokerId>,
    /// Ask what the caller may do with what is described.
    pub(super) authorized_operations: bool,
}

/// One native client with a queue for its answers. Field order is drop order: the queue goes before its handle.
pub(super) struct Handle {
    queue: Owned<rd::rd_kafka_queue_t>,
    consumer: BaseConsumer<Observer>,
}

// SAFETY: promise 1; `BaseConsumer` is `Send` and `Sync` for the same reason.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    /// Gives a client a queue for its answers.
    pub(super) fn new(consumer: BaseConsumer<Observer>) -> Result<Self, Failure> {
        // SAFETY: the handle lives in `consumer`; the new queue belongs to the caller and is dropped before it.
        let queue = unsafe { Owned::new(rd::rd_kafka_queue_new(consumer.client().native_ptr())) };
        Ok(Self { queue: queue.ok_or_else(out_of_memory)?, consumer })
    }

    /// The client, whose own queue carries logs, errors, statistics and token refreshes.
    pub(super) fn consumer(&self) -> &BaseConsumer<Observer> {
        &self.consumer
    }

    fn ptr(&self) -> *mut rd::rd_kafka_t {
        self.consumer.client().native_ptr()
    }

    /// Waits for the next answer, at most for `limit`.
    pub(super) fn next_answer(&self, limit: Duration) -> Option<Event> {
        // SAFETY: the queue is live; an event that is returned belongs to the caller.
        unsafe { Owned::new(rd::rd_kafka_queue_poll(self.queue.ptr(), milliseconds(limit))) }.map(Event)
    }

    /// Asks for the metadata of all topics and blocks until the answer is there. Also tells which broker answered.
    pub(super) fn metadata(&self, limit: Duration) -> Result<(ClusterMetadata, BrokerId), Failure> {
        let mut metadata = ptr::null_mut();
        // SAFETY: the handle is live and `metadata` is a place for one pointer, which is then ours to free.
        let (code, metadata) = unsafe {
            let code = plain::rd_kafka_metadata(self.ptr(), 1, ptr::null_mut(), &raw mut metadata, milliseconds(limit));
            (KafkaCode(code), Owned::new(metadata))
        };
        match metadata {
            Some(metadata) if code.is_ok() => Ok(cluster_metadata(&metadata)),
            _ => Err(failure_of(code)),
        }
    }

    fn options(
        &self,
        api: rd::rd_kafka_admin_op_t,
        manner: &Manner,
    ) -> Result<Owned<rd::rd_kafka_AdminOptions_t>, Failure> {
        let mut text = [0; 256];
        // SAFETY: the handle is live; the options are ours; `text` has room for the size that is told. The opaque is
        // a number that is never used as an address.
        unsafe {
            let options = Owned::new(rd::rd_kafka_AdminOptions_new(self.ptr(), api)).ok_or_else(out_of_memory)?;
            let o = options.ptr();
            let (errors, size) = (text.as_mut_ptr(), text.len());
            let timeout = milliseconds(manner.timeout);
            failed(plain::rd_kafka_AdminOptions_set_request_timeout(o, timeout, errors, size), errors)?;
            if let Some(broker) = manner.broker {
                failed(plain::rd_kafka_AdminOptions_set_broker(o, broker.0, errors, size), errors)?;
            }
            if manner.authorized_operations {
                let error = rd::rd_kafka_AdminOptions_set_include_authorized_operations(o, 1);
                Owned::new(error).map_or(Ok(()), |error| Err(failure(error.ptr())))?;
            }
            rd::rd_kafka_AdminOptions_set_opaque(o, ptr::without_provenance_mut::<c_void>(manner.key));
            Ok(options)
        }
    }

    /// DescribeCluster.
    pub(super) fn describe_cluster(&self, manner: &Manner) -> Result<(), Failure> {
        let options = self.options(rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER, manner)?;
        // SAFETY: handle, options and queue are live; promise 2.
        unsafe { rd::rd_kafka_DescribeCluster(self.ptr(), options.ptr(), self.queue.ptr()) };
        Ok(())
    }

    /// DescribeTopics.
    pub(super) fn describe_topics(&self, manner: &Manner, topics: &[Arc<str>]) -> Result<(), Failure> {
        let options = self.options(rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, manner)?;
        let names = c_strings(topics)?;
        let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: `pointers` holds as many strings as told, which outlive the call that copies them; the rest as above.
        unsafe {
            let topics = rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            let topics = Owned::new(topics).ok_or_else(out_of_memory)?;
            rd::rd_kafka_DescribeTopics(self.ptr(), topics.ptr(), options.ptr(), self.queue.ptr());
        }
        Ok(())
    }

    /// DescribeConfigs of topics, for the settings that are looked at.
    pub(super) fn describe_configs(&self, manner: &Manner, topics: &[Arc<str>]) -> Result<(), Failure> {
        let options = self.options(rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, manner)?;
        let names = c_strings(&TopicSettings::NAMES.map(Arc::from))?;
        let kind = rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
        let mut resources = Vec::with_capacity(topics.len());
        for topic in topics {
            let topic = c_string(topic)?;
            // SAFETY: the name is live and copied; the new resource is ours.
            let resource = unsafe { Owned::new(rd::rd_kafka_ConfigResource_new(kind, topic.as_ptr())) };
            let resource = resource.ok_or_else(out_of_memory)?;
            for name in &names {
                // SAFETY: the resource is live; name and value are live and copied. Only the names are sent.
                let code =
                    unsafe { plain::rd_kafka_ConfigResource_set_config(resource.ptr(), name.as_ptr(), c"".as_ptr()) };
                if code != 0 {
                    return Err(failure_of(KafkaCode(code)));
                }
            }
            resources.push(resource);
        }
        let mut pointers: Vec<_> = resources.iter().map(Owned::ptr).collect();
        // SAFETY: `pointers` holds as many live resources as told, which the call copies; promise 2.
        unsafe {
            let (array, count) = (pointers.as_mut_ptr(), pointers.len());
            rd::rd_kafka_DescribeConfigs(self.ptr(), array, count, options.ptr(), self.queue.ptr());
        }
        Ok(())
    }

    /// ListGroups.
    pub(super) fn list_groups(&self, manner: &Manner) -> Result<(), Failure> {
        let options = self.options(rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS, manner)?;
        // SAFETY: handle, options and queue are live; promise 2.
        unsafe { rd::rd_kafka_ListConsumerGroups(self.ptr(), options.ptr(), self.queue.ptr()) };
        Ok(())
    }

    /// ConsumerGroupDescribe, then DescribeGroups for those that are classic.
    pub(super) fn describe_groups(&self, manner: &Manner, groups: &[Arc<str>]) -> Result<(), Failure> {
        let options = self.options(rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, manner)?;
        let names = c_strings(groups)?;
        let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: `pointers` holds as many strings as told, which outlive the call that copies them; the rest as above.
        unsafe {
            let (array, count) = (pointers.as_mut_ptr(), pointers.len());
            rd::rd_kafka_DescribeConsumerGroups(self.ptr(), array, count, options.ptr(), self.queue.ptr());
        }
        Ok(())
    }

    /// OffsetFetch; `None` asks for all partitions that have a commit.
    pub(super) fn committed_offsets(
        &self,
        manner: &Manner,
        group: &str,
        partitions: Option<&[TopicPartitions]>,
    ) -> Result<(), Failure> {
        let options = self.options(rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, manner)?;
        let group = c_string(group)?;
        let partitions = partitions.map(|partitions| partition_list(rows(partitions, None))).transpose()?;
        let partitions = partitions.as_ref().map_or(ptr::null_mut(), Owned::ptr);
        // SAFETY: the list is null, which means all, or live; the question copies it and is live during the call,
        // which copies the question; the rest as above.
        unsafe {
            let question = rd::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), partitions);
            let question = Owned::new(question).ok_or_else(out_of_memory)?;
            let mut questions = [question.ptr()];
            let (array, queue) = (questions.as_mut_ptr(), self.queue.ptr());
            rd::rd_kafka_ListConsumerGroupOffsets(self.ptr(), array, 1, options.ptr(), queue);
        }
        Ok(())
    }

    /// ListOffsets. With isolation level read_committed the latest offset is the last stable one (KIP-98).
    pub(super) fn list_offsets(
        &self,
        manner: &Manner,
        spec: OffsetSpec,
        partitions: &[TopicPartitions],
    ) -> Result<(), Failure> {
        let offset = match spec {
            OffsetSpec::Earliest => -2,
            // The high watermark: calls are made at isolation level read_uncommitted unless told otherwise.
            OffsetSpec::Latest | OffsetSpec::LastStable => -1,
        };
        let partitions = partition_list(rows(partitions, Some(offset)))?;
        self.list(manner, partitions, spec == OffsetSpec::LastStable)
    }

    /// ListOffsets by timestamp.
    pub(super) fn offsets_at(&self, manner: &Manner, times: &[TopicTimes]) -> Result<(), Failure> {
        let times =
            times.iter().flat_map(|topic| topic.partitions.iter().map(|(id, time)| (&*topic.topic, *id, time.0)));
        if times.clone().any(|(_, _, time)| time < 0) {
            let text = "Kafka gives times before 1970 another meaning".to_owned();
            return Err(Failure { code: KafkaCode::LOCAL_INVALID_ARG, text });
        }
        let partitions = partition_list(times.map(|(topic, id, time)| (topic, id, Some(time))))?;
        self.list(manner, partitions, false)
    }

    /// Asks for what stands in the list's offsets.
    fn list(
        &self,
        manner: &Manner,
        partitions: Owned<rd::rd_kafka_topic_partition_list_t>,
        is_read_committed: bool,
    ) -> Result<(), Failure> {
        let options = self.options(rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS, manner)?;
        if is_read_committed {
            let level = rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED;
            // SAFETY: the options are live; an error that is returned is ours, and live while it is read.
            unsafe {
                let error = rd::rd_kafka_AdminOptions_set_isolation_level(options.ptr(), level);
                Owned::new(error).map_or(Ok(()), |error| Err(failure(error.ptr())))?;
            }
        }
        // SAFETY: handle, list, options and queue are live; promise 2.
        unsafe { rd::rd_kafka_ListOffsets(self.ptr(), partitions.ptr(), options.ptr(), self.queue.ptr()) };
        Ok(())
    }
}

/// The offset in an answer to ListOffsets by timestamp when there is no record at or after it.
const NO_RECORD: i64 = -1;

/// An answer; it owns what its result points to.
pub(super) struct Event(Owned<rd::rd_kafka_event_t>);

impl Event {
    /// The key of the call that it answers.
    pub(super) fn key(&self) -> usize {
        // SAFETY: the event is live. The opaque is a number, see `Handle::options`.
        unsafe { rd::rd_kafka_event_opaque(self.0.ptr()) }.addr()
    }

    /// The result, got by the function for its type, unless the call failed as a whole.
    fn result<R>(&self, get: unsafe extern "C" fn(*mut rd::rd_kafka_event_t) -> *const R) -> Result<*const R, Failure> {
        // SAFETY: the event is live; the functions passed here answer null for an event of another type.
        unsafe {
            let event = self.0.ptr();
            let code = KafkaCode(plain::rd_kafka_event_error(event));
            if !code.is_ok() {
                return Err(Failure { code, text: text(rd::rd_kafka_event_error_string(event)).into_owned() });
            }
            let result = get(event);
            if result.is_null() { Err(failure_of(KafkaCode::LOCAL_BAD_MSG)) } else { Ok(result) }
        }
    }

    /// The answer to DescribeCluster.
    pub(super) fn cluster(&self) -> Result<ClusterDescription, Failure> {
        let result = self.result(rd::rd_kafka_event_DescribeCluster_result)?;
        let mut count = 0;
        // SAFETY: promises 3 and 4; cluster id and rack may be null.
        unsafe {
            let id = rd::rd_kafka_DescribeCluster_result_cluster_id(result);
            let nodes = rd::rd_kafka_DescribeCluster_result_nodes(result, &raw mut count);
            let racks = each(nodes, count).filter_map(|node| {
                let rack = rd::rd_kafka_Node_rack(*node);
                (!rack.is_null()).then(|| (BrokerId(rd::rd_kafka_Node_id(*node)), Arc::from(text(rack))))
            });
            Ok(ClusterDescription { cluster_id: (!id.is_null()).then(|| Arc::from(text(id))), racks: racks.collect() })
        }
    }

    /// What the caller may do with the cluster, as Kafka's ACL operation codes; `None`: not told.
    pub(super) fn cluster_operations(&self) -> Result<Option<Vec<i32>>, Failure> {
        let result = self.result(rd::rd_kafka_event_DescribeCluster_result)?;
        let mut count = 0;
        // SAFETY: promises 3 and 4.
        unsafe {
            let array = rd::rd_kafka_DescribeCluster_result_authorized_operations(result, &raw mut count);
            Ok(operations(array, count))
        }
    }

    /// Every topic of an answer to DescribeTopics, with its error, if any.
    fn topic_results(&self) -> Result<impl Iterator<Item = Row<*const rd::rd_kafka_TopicDescription_t>>, Failure> {
        let result = self.result(rd::rd_kafka_event_DescribeTopics_result)?;
        let mut count = 0;
        // SAFETY: promises 3 and 4; the iterator borrows the event.
        Ok(unsafe {
            each(rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count), count).map(|topic| {
                let name = Arc::from(text(rd::rd_kafka_TopicDescription_name(*topic)));
                let failed = failed_row(rd::rd_kafka_TopicDescription_error(*topic));
                (name, failed.map_or(Ok(*topic), Err))
            })
        })
    }

    /// The answer to DescribeTopics.
    pub(super) fn topics(&self) -> Result<Vec<TopicDescription>, Failure> {
        let rows = self.topic_results()?.map(|(name, topic)| {
            let id = topic.map_err(|failure| failure.code).map(|topic| {
                // SAFETY: promise 3.
                let (high, low) = unsafe {
                    let id = rd::rd_kafka_TopicDescription_topic_id(topic);
                    if id.is_null() {
                        return None;
                    }
                    (rd::rd_kafka_Uuid_most_significant_bits(id), rd::rd_kafka_Uuid_least_significant_bits(id))
                };
                let id = u128::from(high.cast_unsigned()) << 64 | u128::from(low.cast_unsigned());
                (id != 0).then_some(TopicId(id))
            });
            TopicDescription { name, id }
        });
        Ok(rows.collect())
    }

    /// What the caller may do with each topic of an answer to DescribeTopics.
    pub(super) fn topic_operations(&self) -> Result<Vec<Row<OperationCodes>>, Failure> {
        let rows = self.topic_results()?.map(|(name, topic)| {
            let allowed = topic.map(|topic| {
                let mut count = 0;
                // SAFETY: promises 3 and 4.
                unsafe {
                    let array = rd::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count);
                    operations(array, count)
                }
            });
            (name, allowed)
        });
        Ok(rows.collect())
    }

    /// The answer to DescribeConfigs of topics.
    pub(super) fn configs(&self) -> Result<Vec<DescribedSettings>, Failure> {
        let result = self.result(rd::rd_kafka_event_DescribeConfigs_result)?;
        let mut count = 0;
        // SAFETY: promises 3 and 4.
        let rows = unsafe {
            each(rd::rd_kafka_DescribeConfigs_result_resources(result, &raw mut count), count).map(|resource| {
                let code = KafkaCode(plain::rd_kafka_ConfigResource_error(*resource));
                let settings = if code.is_ok() { topic_settings(*resource) } else { Err(NoSettings::Code(code)) };
                DescribedSettings { topic: Arc::from(text(rd::rd_kafka_ConfigResource_name(*resource))), settings }
            })
        };
        Ok(rows.collect())
    }

    /// The answer to ListGroups of one broker: its failure is the call's.
    pub(super) fn listings(&self) -> Result<Vec<GroupListing>, Failure> {
        let result = self.result(rd::rd_kafka_event_ListConsumerGroups_result)?;
        let (mut errors, mut groups) = (0, 0);
        // SAFETY: promises 3 and 4.
        unsafe {
            let array = rd::rd_kafka_ListConsumerGroups_result_errors(result, &raw mut errors);
            if let Some(failure) = each(array, errors).find_map(|error| failed_row(*error)) {
                return Err(failure);
            }
            let array = rd::rd_kafka_ListConsumerGroups_result_valid(result, &raw mut groups);
            let rows = each(array, groups).map(|group| GroupListing {
                group: Arc::from(text(rd::rd_kafka_ConsumerGroupListing_group_id(*group))),
                state: state(plain::rd_kafka_ConsumerGroupListing_state(*group)),
                kind: kind(plain::rd_kafka_ConsumerGroupListing_type(*group)),
            });
            Ok(rows.collect())
        }
    }

    /// Every group of an answer to DescribeGroups, with its error, if any.
    fn group_results(
        &self,
    ) -> Result<impl Iterator<Item = Row<*const rd::rd_kafka_ConsumerGroupDescription_t>>, Failure> {
        let result = self.result(rd::rd_kafka_event_DescribeConsumerGroups_result)?;
        let mut count = 0;
        // SAFETY: promises 3 and 4; the iterator borrows the event.
        Ok(unsafe {
            each(rd::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count), count).map(|group| {
                let name = Arc::from(text(rd::rd_kafka_ConsumerGroupDescription_group_id(*group)));
                let failed = failed_row(rd::rd_kafka_ConsumerGroupDescription_error(*group));
                (name, failed.map_or(Ok(*group), Err))
            })
        })
    }

    /// The answer to DescribeGroups.
    pub(super) fn groups(&self) -> Result<Vec<Row<GroupDescription>>, Failure> {
        let rows = self.group_results()?.map(|(name, group)| {
            // SAFETY: promise 3.
            let description = group.map(|group| unsafe { group_description(name.clone(), group) });
            (name, description)
        });
        Ok(rows.collect())
    }

    /// What the caller may do with each group of an answer to DescribeGroups.
    pub(super) fn group_operations(&self) -> Result<Vec<Row<OperationCodes>>, Failure> {
        let rows = self.group_results()?.map(|(name, group)| {
            let allowed = group.map(|group| {
                let mut count = 0;
                // SAFETY: promises 3 and 4.
                unsafe {
                    let array = rd::rd_kafka_ConsumerGroupDescription_authorized_operations(group, &raw mut count);
                    operations(array, count)
                }
            });
            (name, allowed)
        });
        Ok(rows.collect())
    }

    /// The answer to OffsetFetch for one group.
    pub(super) fn commits(&self) -> Result<CommittedOffsets, Failure> {
        let result = self.result(rd::rd_kafka_event_ListConsumerGroupOffsets_result)?;
        let (mut runs, mut count) = (Runs::new(), 0);
        // SAFETY: promises 3 and 4.
        unsafe {
            let groups = rd::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &raw mut count);
            for group in each(groups, count) {
                if let Some(failure) = failed_row(rd::rd_kafka_group_result_error(*group)) {
                    return Err(failure);
                }
                for row in partitions(rd::rd_kafka_group_result_partitions(*group)) {
                    let (topic, partition, offset, code) = partition_row(row);
                    // A negative offset says that nothing is committed: −1 on the wire, −1001 once it was read.
                    let offset = if code.is_ok() { Ok(Offset::new(offset)) } else { Err(code) };
                    runs.push(&topic, CommittedPartition { partition, offset });
                }
            }
        }
        Ok(CommittedOffsets { topics: runs.into_rows() })
    }

    /// The answer to ListOffsets. A row without an error and without an offset is one that no broker answered.
    pub(super) fn offsets(&self) -> Result<Vec<TopicRows<ListedPartition>>, Failure> {
        self.listed(|partition, offset, _| {
            let offset = offset.and_then(|offset| Offset::new(offset).ok_or(KafkaCode::LOCAL_NO_OFFSET));
            ListedPartition { partition, offset }
        })
    }

    /// The answer to ListOffsets by timestamp. Offset −1 says that there is no record; any other that is negative, that
    /// no broker answered.
    pub(super) fn times(&self) -> Result<Vec<TopicRows<TimedPartition>>, Failure> {
        self.listed(|partition, offset, timestamp| {
            let found = offset.and_then(|offset| match (offset, Offset::new(offset)) {
                (NO_RECORD, _) => Ok(None),
                (_, None) => Err(KafkaCode::LOCAL_NO_OFFSET),
                (_, Some(offset)) => Ok(Some((offset, WallTime(timestamp)))),
            });
            TimedPartition { partition, found }
        })
    }

    /// The rows of an answer to ListOffsets, made of partition, offset or error, and timestamp.
    fn listed<R>(
        &self,
        row_of: impl Fn(PartitionId, Result<i64, KafkaCode>, i64) -> R,
    ) -> Result<Vec<TopicRows<R>>, Failure> {
        let result = self.result(rd::rd_kafka_event_ListOffsets_result)?;
        let (mut runs, mut count) = (Runs::new(), 0);
        // SAFETY: promises 3 and 4.
        unsafe {
            let rows = rd::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
            for row in each(rows, count) {
                let timestamp = rd::rd_kafka_ListOffsetsResultInfo_timestamp(*row);
                let row = rd::rd_kafka_ListOffsetsResultInfo_topic_partition(*row);
                let (topic, partition, offset, code) = partition_row(row);
                let offset = if code.is_ok() { Ok(offset) } else { Err(code) };
                runs.push(&topic, row_of(partition, offset, timestamp));
            }
        }
        Ok(runs.into_rows())
    }
}

/// What an answer says of one topic or group, by its name.
pub(super) type Row<T> = (Arc<str>, Result<T, Failure>);

/// The codes of the allowed operations; `None`: not told.
pub(super) type OperationCodes = Option<Vec<i32>>;

/// # Safety
/// `group` lives during the call and has no error.
unsafe fn group_description(name: Arc<str>, group: *const rd::rd_kafka_ConsumerGroupDescription_t) -> GroupDescription {
    let mut holdings = Holdings::default();
    // SAFETY: the caller's promise, and promises 3 and 4; assignment and coordinator may be null.
    unsafe {
        for index in 0..rd::rd_kafka_ConsumerGroupDescription_member_count(group) {
            holdings.member();
            let member = rd::rd_kafka_ConsumerGroupDescription_member(group, index);
            let assignment = rd::rd_kafka_MemberDescription_assignment(member);
            if assignment.is_null() {
                continue;
            }
            for row in partitions(rd::rd_kafka_MemberAssignment_partitions(assignment)) {
                let (topic, partition, ..) = partition_row(row);
                holdings.holds(&topic, partition);
            }
        }
        let (members, assignment) = holdings.finish();
        let coordinator = rd::rd_kafka_ConsumerGroupDescription_coordinator(group);
        GroupDescription {
            group: name,
            state: state(plain::rd_kafka_ConsumerGroupDescription_state(group)),
            kind: kind(plain::rd_kafka_ConsumerGroupDescription_type(group)),
            protocol: Arc::from(text(rd::rd_kafka_ConsumerGroupDescription_partition_assignor(group))),
            is_simple: rd::rd_kafka_ConsumerGroupDescription_is_simple_consumer_group(group) != 0,
            coordinator: BrokerId(if coordinator.is_null() { -1 } else { rd::rd_kafka_Node_id(coordinator) }),
            members,
            assignment,
        }
    }
}

/// # Safety
/// `resource` lives during the call and has no error.
unsafe fn topic_settings(resource: *const rd::rd_kafka_ConfigResource_t) -> Result<TopicSettings, NoSettings> {
    let mut count = 0;
    // SAFETY: the caller's promise, and promises 3 and 4; a value may be null, which tells nothing.
    let entries: Vec<(Cow<'_, str>, Cow<'_, str>)> = unsafe {
        let entries = rd::rd_kafka_ConfigResource_configs(resource, &raw mut count);
        let told = each(entries, count).filter_map(|entry| {
            let (name, value) = (rd::rd_kafka_ConfigEntry_name(*entry), rd::rd_kafka_ConfigEntry_value(*entry));
            (!value.is_null()).then(|| (text(name), text(value)))
        });
        told.collect()
    };
    let value_of = |name: &str| entries.iter().find(|(known, _)| known == name).map(|(_, value)| &**value);
    Ok(TopicSettings::parse(value_of)?)
}

fn cluster_metadata(metadata: &Owned<rd::rd_kafka_metadata>) -> (ClusterMetadata, BrokerId) {
    // SAFETY: the metadata is live and owns all that it points to; promise 4. Structs that hold an error code are
    // read field by field, for a reference to one would assert that its code is in the enum.
    unsafe {
        let m = metadata.ptr();
        let brokers = each((*m).brokers, (*m).broker_cnt).map(|broker| Broker {
            id: BrokerId((*broker).id),
            host: Arc::from(text((*broker).host)),
            port: u16::try_from((*broker).port).unwrap_or_default(),
        });
        let topics = each((*m).topics, (*m).topic_cnt).map(|topic| TopicMetadata {
            name: Arc::from(text((*topic).topic)),
            error: code_at(&raw const (*topic).err),
            partitions: each((*topic).partitions, (*topic).partition_cnt).map(|p| partition_metadata(p)).collect(),
        });
        let metadata = ClusterMetadata { brokers: brokers.collect(), topics: topics.collect() };
        (metadata, BrokerId((*m).orig_broker_id))
    }
}

/// # Safety
/// `partition` lives during the call.
unsafe fn partition_metadata(partition: *const rd::rd_kafka_metadata_partition) -> PartitionMetadata {
    // SAFETY: the caller's promise, and promise 4.
    unsafe {
        let leader = (*partition).leader;
        let replicas = each((*partition).replicas, (*partition).replica_cnt);
        PartitionMetadata {
            id: PartitionId((*partition).id),
            leader: (leader >= 0).then_some(BrokerId(leader)),
            replicas: replicas.map(|replica| BrokerId(*replica)).collect(),
            in_sync: u16::try_from((*partition).isr_cnt).unwrap_or_default(),
        }
    }
}

/// The rows of a partition list, which may be null.
///
/// # Safety
/// A list that is not null outlives the iterator.
unsafe fn partitions(
    list: *const rd::rd_kafka_topic_partition_list_t,
) -> impl Iterator<Item = *const rd::rd_kafka_topic_partition_t> {
    // SAFETY: the caller's promise; promise 4.
    unsafe { if list.is_null() { each(ptr::null(), 0) } else { each((*list).elems, (*list).cnt) } }
}

/// Topic, partition, offset and error code of a row.
///
/// # Safety
/// `row` outlives the name that is returned.
unsafe fn partition_row<'a>(row: *const rd::rd_kafka_topic_partition_t) -> (Cow<'a, str>, PartitionId, i64, KafkaCode) {
    // SAFETY: the caller's promise; promise 4.
    unsafe { (text((*row).topic), PartitionId((*row).partition), (*row).offset, code_at(&raw const (*row).err)) }
}

/// The elements of an array.
///
/// # Safety
/// `array` is null with a count of 0, or holds that many elements that outlive the iterator.
unsafe fn each<T>(array: *const T, count: impl TryInto<usize>) -> impl Iterator<Item = *const T> {
    // SAFETY: the index stays below the count.
    (0..count.try_into().unwrap_or(0)).map(move |index| unsafe { array.add(index) })
}

/// # Safety
/// `string` is null or NUL-terminated, and outlives what is returned.
unsafe fn text<'a>(string: *const c_char) -> Cow<'a, str> {
    if string.is_null() {
        return Cow::Borrowed("");
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(string) }.to_string_lossy()
}

/// # Safety
/// `code` points to a live error code.
unsafe fn code_at(code: *const rd::rd_kafka_resp_err_t) -> KafkaCode {
    // SAFETY: the caller's promise; the enum is an `int` in C and `repr(i32)` in the bindings.
    KafkaCode(unsafe { code.cast::<c_int>().read() })
}

/// # Safety
/// As for `each`; the operations are C enums, which are read as integers.
unsafe fn operations(array: *const rd::rd_kafka_AclOperation_t, count: usize) -> Option<Vec<i32>> {
    // SAFETY: the caller's promise.
    (!array.is_null()).then(|| unsafe { each(array, count).map(|code| code.cast::<c_int>().read()).collect() })
}

/// # Safety
/// `error` is null or lives during the call.
unsafe fn failed_row(error: *const rd::rd_kafka_error_t) -> Option<Failure> {
    // SAFETY: the caller's promise; a row that is well may carry an error object with code 0.
    unsafe {
        let failed = !error.is_null() && plain::rd_kafka_error_code(error) != 0;
        failed.then(|| failure(error))
    }
}

/// # Safety
/// `error` is live.
unsafe fn failure(error: *const rd::rd_kafka_error_t) -> Failure {
    // SAFETY: the caller's promise; promise 4.
    unsafe {
        let code = KafkaCode(plain::rd_kafka_error_code(error));
        Failure { code, text: text(rd::rd_kafka_error_string(error)).into_owned() }
    }
}

/// Turns the code of a setter, with the text that it wrote, into a result.
///
/// # Safety
/// `message` is NUL-terminated.
unsafe fn failed(code: c_int, message: *const c_char) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    if code == 0 { Ok(()) } else { Err(Failure { code: KafkaCode(code), text: unsafe { text(message) }.into_owned() }) }
}

/// A code in librdkafka's words.
pub(super) fn failure_of(code: KafkaCode) -> Failure {
    // SAFETY: takes any integer and returns a static string.
    Failure { code, text: unsafe { text(plain::rd_kafka_err2str(code.0)) }.into_owned() }
}

fn out_of_memory() -> Failure {
    failure_of(KafkaCode::LOCAL_CRIT_SYS_RESOURCE)
}

/// Every partition of some topics, with the offset given.
fn rows(topics: &[TopicPartitions], offset: Option<i64>) -> impl Iterator<Item = (&str, PartitionId, Option<i64>)> {
    topics.iter().flat_map(move |topic| topic.partitions.iter().map(move |id| (&*topic.topic, *id, offset)))
}

/// A list of partitions, each with its offset.
fn partition_list<'a>(
    rows: impl Iterator<Item = (&'a str, PartitionId, Option<i64>)>,
) -> Result<Owned<rd::rd_kafka_topic_partition_list_t>, Failure> {
    // SAFETY: the size is a hint; the list is ours.
    let list = unsafe { Owned::new(rd::rd_kafka_topic_partition_list_new(0)) }.ok_or_else(out_of_memory)?;
    let mut last: Option<(&str, CString)> = None;
    for (topic, partition, offset) in rows {
        // The rows of a topic come one after another.
        let name = match last.take() {
            Some((known, name)) if ptr::eq(known, topic) => name,
            _ => c_string(topic)?,
        };
        // SAFETY: list and name are live, the name is copied; the new row is live until the next is added.
        unsafe {
            let added = rd::rd_kafka_topic_partition_list_add(list.ptr(), name.as_ptr(), partition.0);
            if let Some(offset) = offset {
                (*added).offset = offset;
            }
        }
        last = Some((topic, name));
    }
    Ok(list)
}

fn c_strings(names: &[Arc<str>]) -> Result<Vec<CString>, Failure> {
    names.iter().map(|name| c_string(name)).collect()
}

/// librdkafka cannot carry a NUL within a name.
fn c_string(name: &str) -> Result<CString, Failure> {
    CString::new(name).map_err(|_| Failure {
        code: KafkaCode::LOCAL_INVALID_ARG,
        text: format!("the name {name:?} holds a NUL character, which librdkafka cannot send"),
    })
}

/// Stand-ins for two functions of librdkafka, put in their place by the linker (`--wrap`, see build.rs).
///
/// `rd_kafka_handle_OffsetFetch` gathers the rows of an answer in a list, and before it adds one it walks over the list
/// to see whether the row is there already: that is quadratic. While it runs, its list is looked up by hash instead.
#[cfg(librdkafka_stand_ins)]
mod stand_ins {
    use std::cell::RefCell;

    use super::{CStr, c_char, c_int, c_void, ptr, rd};
    use crate::kafka::places::{FirstPlaces, hash};

    // The stand-in of `rd_kafka_handle_OffsetFetch` repeats its signature, which is not public, and relies on it adding
    // rows at the end of its list, and doing nothing else to the list's rows but setting offset, metadata and error.
    const _: () = assert!(
        rd::RD_KAFKA_VERSION == 0x020c_01ff,
        "another librdkafka: look whether what stands above is still so, then change the version here"
    );

    /// A walk over so few rows is quicker than a look-up.
    const FEW: usize = 16;

    type List = rd::rd_kafka_topic_partition_list_t;
    type Row = rd::rd_kafka_topic_partition_t;

    unsafe extern "C" {
        fn strcmp(a: *const c_char, b: *const c_char) -> c_int;
        fn __real_rd_kafka_handle_OffsetFetch(
            client: *mut c_void,
            broker: *mut c_void,
            code: c_int,
            answer: *mut c_void,
            request: *mut c_void,
            rows: *mut *mut List,
            updates_partitions: u8,
            adds_rows: u8,
            allows_retry: u8,
        ) -> c_int;
    }

    /// The answer that this thread is taking in.
    struct Answer {
        /// Where the list of its rows stands; null: no answer is being taken in.
        list: *const *mut List,
        places: FirstPlaces,
    }

    thread_local! {
        static ANSWER: RefCell<Answer> = RefCell::new(Answer { list: ptr::null(), places: FirstPlaces::default() });
    }

    /// Begins to take an answer in, or ends it (null).
    pub(super) fn take_in(list: *const *mut List) {
        let begin = |answer: &RefCell<Answer>| {
            if let Ok(mut answer) = answer.try_borrow_mut() {
                answer.list = list;
                answer.places.clear();
            }
        };
        // While the thread ends there is none: every look-up is a walk then.
        let _ = ANSWER.try_with(begin);
    }

    /// # Safety
    /// `topic` is null or NUL-terminated.
    unsafe fn hash_of(topic: *const c_char, partition: i32) -> u64 {
        // SAFETY: the caller's promise.
        hash(if topic.is_null() { &[] } else { unsafe { CStr::from_ptr(topic) }.to_bytes() }, partition)
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn __wrap_rd_kafka_handle_OffsetFetch(
        client: *mut c_void,
        broker: *mut c_void,
        code: c_int,
        answer: *mut c_void,
        request: *mut c_void,
        rows: *mut *mut List,
        updates_partitions: u8,
        adds_rows: u8,
        allows_retry: u8,
    ) -> c_int {
        take_in(rows);
        // SAFETY: the caller's promises are handed on as they are.
        let code = unsafe {
            __real_rd_kafka_handle_OffsetFetch(
                client,
                broker,
                code,
                answer,
                request,
                rows,
                updates_partitions,
                adds_rows,
                allows_retry,
            )
        };
        take_in(ptr::null());
        code
    }

    /// The first row of a topic and partition; null: there is none.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __wrap_rd_kafka_topic_partition_list_find(
        list: *const List,
        topic: *const c_char,
        partition: i32,
    ) -> *mut Row {
        // SAFETY: the caller passes a live list, whose first `cnt` rows are live and do not change during the call, and a
        // NUL-terminated topic, as are those of the rows. No place below reaches `cnt`. An answer's list is live until
        // the end of `__wrap_rd_kafka_handle_OffsetFetch`, which takes it back.
        unsafe {
            let (rows, count) = ((*list).elems, usize::try_from((*list).cnt).unwrap_or(0));
            let is_it = |place: usize| {
                let row = rows.add(place);
                // Most rows of other topics are told apart by this, without a look at their names.
                (*row).partition == partition && !(*row).topic.is_null() && strcmp((*row).topic, topic) == 0
            };
            let walk = || (0..count).find(|place| is_it(*place));
            let by_hash = |answer: &RefCell<Answer>| {
                let mut answer = answer.try_borrow_mut().ok()?;
                let is_its = !answer.list.is_null() && ptr::eq(*answer.list, list);
                let hash_at = |place: usize| hash_of((*rows.add(place)).topic, (*rows.add(place)).partition);
                is_its.then(|| answer.places.first(count, hash_of(topic, partition), hash_at, is_it))
            };
            let noted = if count < FEW { None } else { ANSWER.try_with(by_hash).ok().flatten() };
            let place = noted.unwrap_or_else(walk);
            place.map_or(ptr::null_mut(), |place| rows.add(place))
        }
    }
}

#[cfg(all(test, librdkafka_stand_ins))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use proptest::prelude::*;

    use super::*;

    unsafe extern "C" {
        fn __real_rd_kafka_topic_partition_list_find(
            list: *const rd::rd_kafka_topic_partition_list_t,
            topic: *const c_char,
            partition: i32,
        ) -> *mut rd::rd_kafka_topic_partition_t;
    }

    /// A topic and a partition out of few.
    fn key() -> impl Strategy<Value = (String, i32)> {
        ("(topic-0000)?[a-c]{0,2}", -1..4)
    }

    /// What librdkafka finds must be what the stand-in finds. Returns whether there is such a row.
    fn compare(list: &Owned<rd::rd_kafka_topic_partition_list_t>, (topic, partition): &(String, i32)) -> bool {
        let topic = c_string(topic).unwrap();
        // SAFETY: list and topic are live.
        let (ours, theirs) = unsafe {
            (
                rd::rd_kafka_topic_partition_list_find(list.ptr(), topic.as_ptr(), *partition),
                __real_rd_kafka_topic_partition_list_find(list.ptr(), topic.as_ptr(), *partition),
            )
        };
        assert_eq!(ours, theirs, "{topic:?} {partition}");
        !ours.is_null()
    }

    proptest! {
        #[test]
        fn the_stand_in_finds_what_librdkafka_finds(
            rows in prop::collection::vec(key(), 0..80),
            asked in prop::collection::vec(key(), 20),
        ) {
            let keys = rows.iter().map(|(topic, partition)| (topic.as_str(), PartitionId(*partition), None));
            let list = partition_list(keys).unwrap();
            asked.iter().for_each(|key| { compare(&list, key); });
        }

        /// Also while an answer is taken in, whose list grows, and after another one.
        #[test]
        fn the_stand_in_finds_what_librdkafka_finds_in_a_list_that_grows(
            answers in prop::collection::vec(prop::collection::vec((key(), any::<bool>()), 0..120), 1..4),
        ) {
            for answer in answers {
                let (list, other) = (partition_list([].into_iter()).unwrap(), partition_list([].into_iter()).unwrap());
                let place = list.ptr();
                stand_ins::take_in(&raw const place);
                for (key, twice) in answer {
                    let is_there = compare(&list, &key);
                    compare(&other, &key);
                    let name = c_string(&key.0).unwrap();
                    let lists = if is_there && !twice { Vec::new() } else { vec![&list, &other] };
                    for list in lists {
                        // SAFETY: list and name are live.
                        unsafe { rd::rd_kafka_topic_partition_list_add(list.ptr(), name.as_ptr(), key.1) };
                    }
                }
                stand_ins::take_in(ptr::null());
            }
        }
    }
}
