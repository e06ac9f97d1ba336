import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.AuthorizationException;

/** What a cluster holds, as Kafka's own admin client sees it: the second opinion on every number. */
final class Truth {
    /** The settings of topics that are told. */
    private static final Set<String> SETTINGS = Set.of("retention.ms", "cleanup.policy", "min.insync.replicas");

    private final Admin admin;

    Truth(Admin admin) {
        this.admin = admin;
    }

    /** Only what starts with these prefixes: what other tests do to their topics and groups is not looked at. */
    Object all(String topicPrefix, String groupPrefix) throws Exception {
        Map<String, Object> truth = new HashMap<>(brokers());
        truth.put("topics", topics(topicPrefix));
        truth.put("groups", groups(groupPrefix));
        return truth;
    }

    Map<String, Object> brokers() throws Exception {
        DescribeClusterResult cluster = admin.describeCluster();
        List<Object> brokers = new ArrayList<>();
        for (Node node : cluster.nodes().get()) {
            Map<String, Object> broker = new HashMap<>();
            broker.put("id", node.id());
            broker.put("host", node.host());
            broker.put("port", node.port());
            broker.put("rack", node.rack());
            brokers.add(broker);
        }
        Map<String, Object> answer = new HashMap<>();
        answer.put("cluster_id", cluster.clusterId().get());
        answer.put("brokers", brokers);
        return answer;
    }

    private Map<String, Object> topics(String prefix) throws Exception {
        List<String> names = new ArrayList<>(
                admin.listTopics(new ListTopicsOptions().listInternal(true)).names().get());
        names.removeIf(name -> !name.startsWith(prefix));
        Map<String, TopicDescription> topics = admin.describeTopics(names).allTopicNames().get();
        List<TopicPartition> led = new ArrayList<>();
        topics.values().forEach(topic -> topic.partitions().stream()
                .filter(Truth::hasLeader)
                .forEach(partition -> led.add(new TopicPartition(topic.name(), partition.partition()))));
        // All three are asked before the first is waited for: a silent leader is waited for once.
        ListOffsetsResult starts = ask(led, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED);
        ListOffsetsResult ends = ask(led, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED);
        ListOffsetsResult stables = ask(led, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED);
        Map<TopicPartition, Long> earliest = offsets(led, starts);
        Map<TopicPartition, Long> latest = offsets(led, ends);
        Map<TopicPartition, Long> stable = offsets(led, stables);
        Map<String, Map<String, String>> configs = configs(topics.keySet());
        Map<String, Object> answer = new TreeMap<>();
        for (TopicDescription topic : topics.values()) {
            List<Object> partitions = new ArrayList<>();
            for (TopicPartitionInfo info : topic.partitions()) {
                TopicPartition key = new TopicPartition(topic.name(), info.partition());
                Map<String, Object> row = new HashMap<>();
                row.put("partition", info.partition());
                row.put("leader", hasLeader(info) ? info.leader().id() : null);
                row.put("replicas", ids(info.replicas()));
                row.put("isr", ids(info.isr()));
                row.put("earliest", earliest.get(key));
                row.put("latest", latest.get(key));
                row.put("stable", stable.get(key));
                partitions.add(row);
            }
            answer.put(topic.name(), Map.of(
                    "id", topic.topicId().toString(),
                    "internal", topic.isInternal(),
                    "partitions", partitions,
                    "configs", configs.get(topic.name())));
        }
        return answer;
    }

    /** The settings of topics that are in force, by topic and name; none where they may not be seen. */
    private Map<String, Map<String, String>> configs(Collection<String> topics) throws Exception {
        List<ConfigResource> asked =
                topics.stream().map(name -> new ConfigResource(ConfigResource.Type.TOPIC, name)).toList();
        Map<String, Map<String, String>> answer = new HashMap<>();
        for (Map.Entry<ConfigResource, KafkaFuture<Config>> told : admin.describeConfigs(asked).values().entrySet()) {
            Map<String, String> values = new HashMap<>();
            try {
                told.getValue().get().entries().forEach(entry -> values.put(entry.name(), entry.value()));
            } catch (ExecutionException refused) {
                if (!(refused.getCause() instanceof AuthorizationException)) {
                    throw refused;
                }
            }
            values.keySet().retainAll(SETTINGS);
            answer.put(told.getKey().name(), values);
        }
        return answer;
    }

    private static boolean hasLeader(TopicPartitionInfo info) {
        return info.leader() != null && !info.leader().isEmpty();
    }

    private static List<Integer> ids(List<Node> nodes) {
        return nodes.stream().map(Node::id).toList();
    }

    private ListOffsetsResult ask(List<TopicPartition> partitions, OffsetSpec spec, IsolationLevel level) {
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        partitions.forEach(partition -> asked.put(partition, spec));
        return admin.listOffsets(asked, new ListOffsetsOptions(level));
    }

    /** A partition whose leader does not answer is left out. */
    private static Map<TopicPartition, Long> offsets(List<TopicPartition> partitions, ListOffsetsResult result)
            throws InterruptedException {
        Map<TopicPartition, Long> offsets = new HashMap<>();
        for (TopicPartition partition : partitions) {
            try {
                offsets.put(partition, result.partitionResult(partition).get().offset());
            } catch (ExecutionException unanswered) {
                continue;
            }
        }
        return offsets;
    }

    /** Classic and KIP-848 consumer groups, and those that only commit; the others have no lag. */
    private Map<String, Object> groups(String prefix) throws Exception {
        List<String> names = new ArrayList<>();
        for (GroupListing listing : admin.listGroups().all().get()) {
            GroupType type = listing.type().orElse(GroupType.CLASSIC);
            boolean consumes = listing.protocol().isEmpty() || listing.protocol().equals("consumer");
            boolean asked = listing.groupId().startsWith(prefix);
            if (asked && consumes && (type == GroupType.CLASSIC || type == GroupType.CONSUMER)) {
                names.add(listing.groupId());
            }
        }
        Map<String, Object> answer = new TreeMap<>();
        var described = admin.describeConsumerGroups(names).describedGroups();
        for (String name : names) {
            Map<String, Object> group = group(described.get(name).get());
            group.put("offsets", committed(name));
            answer.put(name, group);
        }
        return answer;
    }

    private static Map<String, Object> group(ConsumerGroupDescription group) {
        List<Object> members = new ArrayList<>();
        for (MemberDescription member : group.members()) {
            List<Object> assignment = new ArrayList<>();
            for (TopicPartition partition : member.assignment().topicPartitions()) {
                assignment.add(Map.of("topic", partition.topic(), "partition", partition.partition()));
            }
            Map<String, Object> row = new HashMap<>();
            row.put("member_id", member.consumerId());
            row.put("client_id", member.clientId());
            row.put("host", member.host());
            row.put("instance_id", member.groupInstanceId().orElse(null));
            row.put("assignment", assignment);
            members.add(row);
        }
        Map<String, Object> row = new HashMap<>();
        row.put("state", group.groupState().toString());
        row.put("type", group.type().toString());
        row.put("simple", group.isSimpleConsumerGroup());
        row.put("assignor", group.partitionAssignor());
        row.put("coordinator", Optional.ofNullable(group.coordinator()).map(Node::id).orElse(null));
        row.put("members", members);
        return row;
    }

    private List<Object> committed(String group) throws Exception {
        List<Object> rows = new ArrayList<>();
        Map<TopicPartition, OffsetAndMetadata> offsets =
                admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        offsets.forEach((partition, offset) -> {
            if (offset != null) {
                rows.add(Map.of(
                        "topic", partition.topic(), "partition", partition.partition(), "offset", offset.offset()));
            }
        });
        return rows;
    }
}
