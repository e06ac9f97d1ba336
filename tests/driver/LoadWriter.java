import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes to topics by a timetable that depends on nothing but the clock: steady topics get their records a few at a time,
 * bursty ones many at once every so often. One producer for all, so that a tick is one request to each broker.
 */
final class LoadWriter {
    private static final long TICK_MS = 500;

    private final KafkaProducer<byte[], byte[]> producer;
    private final LoadLog log;
    private final byte[] value = new byte[10];
    private final List<Row> rows = new ArrayList<>();

    /** One topic's line of the timetable: so many records every so many milliseconds, to its partitions in turn. */
    private static final class Row {
        final String topic;
        final int partitions;
        final int records;
        final long everyMs;
        long turns;
        int next;

        Row(JsonNode plan) {
            topic = plan.get("topic").asText();
            partitions = plan.get("partitions").asInt();
            records = plan.get("records").asInt();
            everyMs = plan.get("every_ms").asLong();
        }
    }

    LoadWriter(String bootstrap, JsonNode topics, LoadLog log) {
        this.log = log;
        topics.forEach(plan -> rows.add(new Row(plan)));
        Map<String, Object> properties = new HashMap<>();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("acks", "all");
        properties.put("linger.ms", "5");
        properties.put("enable.metrics.push", "false");
        producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    void start() {
        Thread thread = new Thread(this::run, "writer");
        thread.setDaemon(true);
        thread.start();
    }

    private void run() {
        long begun = System.nanoTime();
        for (long tick = 1; ; tick++) {
            long elapsed = (System.nanoTime() - begun) / 1_000_000;
            for (Row row : rows) {
                for (; row.turns < elapsed / row.everyMs; row.turns++) {
                    for (int i = 0; i < row.records; i++) {
                        write(row.topic, row.next);
                        row.next = (row.next + 1) % row.partitions;
                    }
                }
            }
            try {
                Thread.sleep(Math.max(0, tick * TICK_MS - (System.nanoTime() - begun) / 1_000_000));
            } catch (InterruptedException stopped) {
                return;
            }
        }
    }

    void write(String topic, int partition) {
        long before = System.currentTimeMillis();
        producer.send(new ProducerRecord<>(topic, partition, null, value), (written, failure) -> {
            if (failure == null) {
                log.wrote(before, System.currentTimeMillis(), topic, partition, written.offset());
            } else {
                log.failed("write to " + topic, failure);
            }
        });
    }
}
