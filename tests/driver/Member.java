import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** One member of a consumer group: polls, commits as it was told to, and never faster than its rate. */
final class Member {
    private static final Duration POLL = Duration.ofMillis(100);
    private static final Duration GOODBYE = Duration.ofSeconds(5);
    private static final long STOP_MS = 20_000;

    private final KafkaConsumer<byte[], byte[]> consumer;
    private final Thread thread;
    private final Commits commits;
    /** What was committed last, where that decides what to commit next. */
    private final Map<TopicPartition, Long> committed = new HashMap<>();
    /** Records a second; 0 is as fast as it can. */
    private final double rate;
    private volatile boolean running = true;
    private volatile long consumed;
    private volatile List<Map<String, Object>> assignment = List.of();
    private volatile Throwable failure;

    /** What a member commits. */
    private enum Commits {
        /** After each poll that brought something, what the client makes of it. */
        POLLED,
        /** After each poll that brought something, the last record's offset + 1. */
        RECORDS,
        /** The position, whenever it has moved: past what is no record, too. */
        POSITION,
        NOTHING
    }

    Member(Map<String, Object> properties, JsonNode command) {
        Map<String, Object> all = new HashMap<>(properties);
        String protocol = command.get("protocol").asText();
        all.put("group.id", command.get("group").asText());
        all.put("group.protocol", protocol);
        all.put("client.id", command.get("name").asText());
        all.put("enable.auto.commit", "false");
        all.put("auto.offset.reset", "earliest");
        if (protocol.equals("classic")) {
            all.put("session.timeout.ms", "6000");
            all.put("heartbeat.interval.ms", "500");
        }
        rate = command.get("per_second").asDouble();
        if (rate > 0) {
            all.put("max.poll.records", String.valueOf(Math.max(1, (int) (rate / 10))));
        }
        commits = Commits.valueOf(command.get("commits").asText().toUpperCase(Locale.ROOT));
        all.putAll(Session.strings(command.get("properties")));
        consumer = new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        List<String> topics = Session.texts(command.get("topics"));
        thread = new Thread(() -> consume(topics), "member " + command.get("name").asText());
        thread.setDaemon(true);
        thread.start();
    }

    private void consume(List<String> topics) {
        try {
            consumer.subscribe(topics);
            while (running) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(POLL);
                note();
                consumed += records.count();
                commit(records);
                if (rate > 0 && !records.isEmpty()) {
                    TimeUnit.MICROSECONDS.sleep((long) (records.count() * 1_000_000 / rate));
                }
            }
        } catch (WakeupException | InterruptedException stopped) {
            // Asked to stop.
        } catch (Throwable failed) {
            failure = failed;
        } finally {
            consumer.close(CloseOptions.timeout(GOODBYE));
        }
    }

    private void commit(ConsumerRecords<byte[], byte[]> records) {
        if (commits == Commits.POLLED && !records.isEmpty()) {
            consumer.commitSync();
        }
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        if (commits == Commits.RECORDS) {
            for (ConsumerRecord<byte[], byte[]> record : records) {
                TopicPartition place = new TopicPartition(record.topic(), record.partition());
                offsets.put(place, new OffsetAndMetadata(record.offset() + 1));
            }
        }
        if (commits == Commits.POSITION) {
            for (TopicPartition place : consumer.assignment()) {
                long position = consumer.position(place);
                Long before = committed.put(place, position);
                if (before == null || before != position) {
                    offsets.put(place, new OffsetAndMetadata(position));
                }
            }
        }
        if (!offsets.isEmpty()) {
            consumer.commitSync(offsets);
        }
    }

    private void note() {
        List<Map<String, Object>> now = new ArrayList<>();
        for (TopicPartition partition : consumer.assignment()) {
            now.add(Map.of("topic", partition.topic(), "partition", partition.partition()));
        }
        assignment = now;
    }

    Object status() {
        Map<String, Object> status = new HashMap<>();
        status.put("consumed", consumed);
        status.put("assignment", assignment);
        status.put("failure", failure == null ? null : failure.toString());
        return status;
    }

    /** Leaves the group and ends. */
    Object stop() throws InterruptedException {
        abandon();
        thread.join(STOP_MS);
        return status();
    }

    /** As {@link #stop}, without waiting for it. */
    void abandon() {
        running = false;
        consumer.wakeup();
    }
}
