import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The producers and consumers of one session, by name. */
final class Traffic {
    static final Duration NO_WAIT = Duration.ZERO;

    /** The producer that `produce` uses when none is named. */
    private static final String PLAIN = "";

    private final Map<String, Object> properties;
    private final Map<String, KafkaProducer<byte[], byte[]>> producers = new ConcurrentHashMap<>();
    private final Map<String, Stream> streams = new ConcurrentHashMap<>();
    private final Map<String, Member> members = new ConcurrentHashMap<>();

    Traffic(Map<String, Object> properties) {
        this.properties = properties;
    }

    Object run(JsonNode command) throws Exception {
        String name = command.path("name").asText(PLAIN);
        switch (command.get("do").asText()) {
            case "produce": return produce(name, command);
            case "startProducer":
                streams.put(name, new Stream(open(Map.of()), command));
                return null;
            case "stopProducer": return take(streams, name).stop();
            case "startConsumer":
                members.put(name, new Member(properties, command));
                return null;
            case "consumerStatus": return get(members, name).status();
            case "stopConsumer": return take(members, name).stop();
            case "beginTransaction":
                begin(name, command);
                return null;
            case "commitTransaction":
                get(producers, name).commitTransaction();
                return null;
            case "sendOffsets":
                sendOffsets(name, command);
                return null;
            case "abortTransaction":
                get(producers, name).abortTransaction();
                return null;
            default:
                throw new IllegalArgumentException("unknown command " + command.get("do").asText());
        }
    }

    private KafkaProducer<byte[], byte[]> open(Map<String, String> more) {
        Map<String, Object> all = new HashMap<>(properties);
        all.put("acks", "all");
        all.put("delivery.timeout.ms", "30000");
        all.put("linger.ms", "0");
        // A batch that is refused while a leader moves must not be overtaken by the next: the leader would
        // never take it any more.
        all.put("max.in.flight.requests.per.connection", "1");
        all.putAll(more);
        return new KafkaProducer<>(all, new ByteArraySerializer(), new ByteArraySerializer());
    }

    /** Sends `count` records to one partition, waits for all, and says the last one's offset. */
    private Object produce(String name, JsonNode command) throws Exception {
        KafkaProducer<byte[], byte[]> producer = name.equals(PLAIN)
                ? producers.computeIfAbsent(PLAIN, unused -> open(Map.of()))
                : get(producers, name);
        byte[] value = new byte[command.get("bytes").asInt()];
        // Records of a compacted topic need keys; so many different ones are cycled through.
        int keys = command.get("keys").asInt();
        Long timestamp = command.hasNonNull("timestamp") ? command.get("timestamp").asLong() : null;
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int i = 0; i < command.get("count").asInt(); i++) {
            byte[] key = keys == 0 ? null : ("key-" + i % keys).getBytes(StandardCharsets.UTF_8);
            sent.add(producer.send(new ProducerRecord<>(
                    command.get("topic").asText(), command.get("partition").asInt(), timestamp, key, value)));
        }
        producer.flush();
        long last = -1;
        for (Future<RecordMetadata> one : sent) {
            last = one.get().offset();
        }
        return last;
    }

    private void begin(String name, JsonNode command) {
        KafkaProducer<byte[], byte[]> producer = producers.get(name);
        if (producer == null) {
            producer = open(Map.of("transactional.id", command.get("transactional_id").asText()));
            producer.initTransactions();
            producers.put(name, producer);
        }
        producer.beginTransaction();
    }

    /** Commits offsets for a group as a part of the open transaction. */
    private void sendOffsets(String name, JsonNode command) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (JsonNode row : command.get("offsets")) {
            offsets.put(Session.partition(row), new OffsetAndMetadata(row.get("offset").asLong()));
        }
        Map<String, Object> all = new HashMap<>(properties);
        all.put("group.id", command.get("group").asText());
        // It never joins: only a consumer says what the metadata of a group is.
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            get(producers, name).sendOffsetsToTransaction(offsets, consumer.groupMetadata());
        }
    }

    void close() {
        streams.values().forEach(Stream::abandon);
        members.values().forEach(Member::abandon);
        producers.values().forEach(producer -> producer.close(NO_WAIT));
    }

    private static <T> T get(Map<String, T> map, String name) {
        T found = map.get(name);
        if (found == null) {
            throw new IllegalArgumentException("nothing is called " + name);
        }
        return found;
    }

    private static <T> T take(Map<String, T> map, String name) {
        T found = get(map, name);
        map.remove(name);
        return found;
    }
}
