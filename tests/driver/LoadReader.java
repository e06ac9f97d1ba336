import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A group with one member. It commits every two seconds what it had consumed so many seconds before: with 0 it keeps up, with more
 * it has a steady lag. Its fetches wait as long for data, so that it costs the brokers little.
 */
final class LoadReader {
    private static final Duration POLL = Duration.ofMillis(200);
    private static final long COMMIT_MS = 2000;
    private static final long ASSIGNED_SECONDS = 60;

    private final String group;
    private final LoadLog log;
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final CountDownLatch assigned = new CountDownLatch(1);
    /** What was consumed and is not committed yet, the oldest first; as many times as it lags behind. */
    private final Deque<Map<TopicPartition, Long>> waiting = new ArrayDeque<>();
    private final int behind;

    LoadReader(String bootstrap, JsonNode plan, LoadLog log) {
        group = plan.get("group").asText();
        behind = plan.get("behind_seconds").asInt() * 1000 / (int) COMMIT_MS;
        this.log = log;
        Map<String, Object> properties = new HashMap<>();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("group.id", group);
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "earliest");
        properties.put("fetch.min.bytes", String.valueOf(1 << 20));
        properties.put("fetch.max.wait.ms", String.valueOf(COMMIT_MS));
        properties.put("enable.metrics.push", "false");
        consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        List<String> topics = Session.texts(plan.get("topics"));
        Thread thread = new Thread(() -> consume(topics), "group " + group);
        thread.setDaemon(true);
        thread.start();
    }

    void awaitAssignment() throws InterruptedException {
        if (!assigned.await(ASSIGNED_SECONDS, TimeUnit.SECONDS)) {
            throw new IllegalStateException(group + " was assigned nothing");
        }
    }

    private void consume(List<String> topics) {
        Map<TopicPartition, Long> consumed = new HashMap<>();
        long due = System.currentTimeMillis() + COMMIT_MS;
        try {
            consumer.subscribe(topics);
            while (true) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(POLL);
                if (!consumer.assignment().isEmpty()) {
                    assigned.countDown();
                }
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    consumed.put(new TopicPartition(record.topic(), record.partition()), record.offset() + 1);
                }
                if (System.currentTimeMillis() >= due) {
                    due += COMMIT_MS;
                    waiting.addLast(consumed);
                    consumed = new HashMap<>();
                    if (waiting.size() > behind) {
                        commit(waiting.removeFirst());
                    }
                }
            }
        } catch (RuntimeException failed) {
            log.failed("group " + group, failed);
        }
    }

    private void commit(Map<TopicPartition, Long> offsets) {
        if (offsets.isEmpty()) {
            return;
        }
        Map<TopicPartition, OffsetAndMetadata> request = new HashMap<>();
        offsets.forEach((place, offset) -> request.put(place, new OffsetAndMetadata(offset)));
        long before = System.currentTimeMillis();
        consumer.commitSync(request);
        log.committed(before, System.currentTimeMillis(), group, offsets);
    }
}
