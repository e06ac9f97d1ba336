import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/** What an administrator does to a cluster: each command waits until Kafka has answered. */
final class Admins {
    /** How long a new topic may take until its leaders answer. */
    private static final long KNOWN_NS = 20_000_000_000L;

    private Admins() {}

    static Object createTopic(Admin admin, JsonNode command) throws Exception {
        String name = command.get("topic").asText();
        JsonNode assignment = command.get("assignment");
        NewTopic topic;
        if (assignment != null && assignment.size() > 0) {
            Map<Integer, List<Integer>> replicas = new HashMap<>();
            for (int partition = 0; partition < assignment.size(); partition++) {
                replicas.put(partition, ids(assignment.get(partition)));
            }
            topic = new NewTopic(name, replicas);
        } else {
            topic = new NewTopic(
                    name, command.get("partitions").asInt(), (short) command.get("replication").asInt());
        }
        topic.configs(Session.strings(command.get("configs")));
        admin.createTopics(List.of(topic)).all().get();
        awaitPartitions(admin, name, topic.replicasAssignments() == null
                ? topic.numPartitions() : topic.replicasAssignments().size());
        return null;
    }

    /**
     * The controller answers before brokers have heard: until a topic's leaders answer, a producer's batches
     * may be refused one by one and overtake each other.
     */
    private static void awaitPartitions(Admin admin, String topic, int count) throws Exception {
        Exception last = null;
        for (long deadline = System.nanoTime() + KNOWN_NS; System.nanoTime() < deadline; Thread.sleep(50)) {
            try {
                Map<TopicPartition, OffsetSpec> all = new HashMap<>();
                for (TopicPartitionInfo info : admin.describeTopics(List.of(topic)).allTopicNames().get()
                        .get(topic).partitions()) {
                    if (info.leader() != null && !info.leader().isEmpty()) {
                        all.put(new TopicPartition(topic, info.partition()), OffsetSpec.latest());
                    }
                }
                if (all.size() == count) {
                    admin.listOffsets(all).all().get();
                    return;
                }
                last = new IllegalStateException(all.size() + " of " + count + " partitions have a leader");
            } catch (ExecutionException unknown) {
                last = unknown;
            }
        }
        throw new IllegalStateException(topic + " is created and cannot be used: " + last);
    }

    static Object deleteTopic(Admin admin, JsonNode command) throws Exception {
        admin.deleteTopics(List.of(command.get("topic").asText())).all().get();
        return null;
    }

    static Object createPartitions(Admin admin, JsonNode command) throws Exception {
        NewPartitions total = NewPartitions.increaseTo(command.get("total").asInt());
        String topic = command.get("topic").asText();
        admin.createPartitions(Map.of(topic, total)).all().get();
        awaitPartitions(admin, topic, total.totalCount());
        return null;
    }

    static Object deleteRecords(Admin admin, JsonNode command) throws Exception {
        RecordsToDelete before = RecordsToDelete.beforeOffset(command.get("before").asLong());
        admin.deleteRecords(Map.of(Session.partition(command), before)).all().get();
        return null;
    }

    /** {@code resource} is "topic", "broker" or "group"; the name "" of a broker is the cluster-wide default. */
    static Object alterConfigs(Admin admin, JsonNode command) throws Exception {
        ConfigResource.Type type = ConfigResource.Type.valueOf(upper(command, "resource"));
        List<AlterConfigOp> changes = new ArrayList<>();
        Session.strings(command.get("configs")).forEach((key, value) ->
                changes.add(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET)));
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(type, command.get("name").asText()), changes))
                .all().get();
        return null;
    }

    static Object commit(Admin admin, JsonNode command) throws Exception {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (JsonNode row : command.get("offsets")) {
            offsets.put(Session.partition(row), new OffsetAndMetadata(row.get("offset").asLong()));
        }
        admin.alterConsumerGroupOffsets(command.get("group").asText(), offsets).all().get();
        return null;
    }

    static Object deleteGroup(Admin admin, JsonNode command) throws Exception {
        admin.deleteConsumerGroups(List.of(command.get("group").asText())).all().get();
        return null;
    }

    static Object deleteGroupOffsets(Admin admin, JsonNode command) throws Exception {
        Set<TopicPartition> partitions = partitions(command.get("partitions"));
        admin.deleteConsumerGroupOffsets(command.get("group").asText(), partitions).all().get();
        return null;
    }

    static Object setScram(Admin admin, JsonNode command) throws Exception {
        ScramMechanism mechanism = ScramMechanism.fromMechanismName(command.get("mechanism").asText());
        admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(
                command.get("user").asText(),
                new ScramCredentialInfo(mechanism, 4096),
                command.get("password").asText()))).all().get();
        return null;
    }

    static Object createAcls(Admin admin, JsonNode command) throws Exception {
        admin.createAcls(acls(command)).all().get();
        return null;
    }

    static Object deleteAcls(Admin admin, JsonNode command) throws Exception {
        List<AclBindingFilter> filters = new ArrayList<>();
        acls(command).forEach(acl -> filters.add(acl.toFilter()));
        admin.deleteAcls(filters).all().get();
        return null;
    }

    private static List<AclBinding> acls(JsonNode command) {
        List<AclBinding> acls = new ArrayList<>();
        for (JsonNode row : command.get("acls")) {
            acls.add(new AclBinding(
                    new ResourcePattern(
                            ResourceType.fromString(upper(row, "resource")),
                            row.get("name").asText(),
                            PatternType.fromString(upper(row, "pattern"))),
                    new AccessControlEntry(
                            row.get("principal").asText(),
                            "*",
                            AclOperation.fromString(upper(row, "operation")),
                            AclPermissionType.fromString(upper(row, "permission")))));
        }
        return acls;
    }

    static Object electLeaders(Admin admin, JsonNode command) throws Exception {
        ElectionType type = command.get("unclean").asBoolean() ? ElectionType.UNCLEAN : ElectionType.PREFERRED;
        Map<TopicPartition, Optional<Throwable>> answers =
                admin.electLeaders(type, partitions(command.get("partitions"))).partitions().get();
        for (Map.Entry<TopicPartition, Optional<Throwable>> answer : answers.entrySet()) {
            // "Not needed" says that the leader asked for already leads.
            if (answer.getValue().isPresent() && !(answer.getValue().get()
                    instanceof org.apache.kafka.common.errors.ElectionNotNeededException)) {
                throw new IllegalStateException(answer.getKey() + ": " + answer.getValue().get());
            }
        }
        return null;
    }

    static Object reassign(Admin admin, JsonNode command) throws Exception {
        NewPartitionReassignment target = new NewPartitionReassignment(ids(command.get("replicas")));
        admin.alterPartitionReassignments(Map.of(Session.partition(command), Optional.of(target))).all().get();
        return null;
    }

    /** A constant's name, however it is written. */
    private static String upper(JsonNode row, String field) {
        return row.get(field).asText().toUpperCase(Locale.ROOT);
    }

    private static List<Integer> ids(JsonNode array) {
        List<Integer> ids = new ArrayList<>();
        array.forEach(id -> ids.add(id.asInt()));
        return ids;
    }

    private static Set<TopicPartition> partitions(JsonNode array) {
        Set<TopicPartition> set = new HashSet<>();
        array.forEach(row -> set.add(Session.partition(row)));
        return set;
    }
}
