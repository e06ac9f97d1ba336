import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** A producer that writes to all partitions of a topic in turn, at a steady rate, until it is stopped. */
final class Stream {
    private static final long TICK_MS = 20;
    private static final long STOP_MS = 20_000;

    private final KafkaProducer<byte[], byte[]> producer;
    private final AtomicLong acknowledged = new AtomicLong();
    private final AtomicLong failed = new AtomicLong();
    private final Thread thread;
    private volatile boolean running = true;

    Stream(KafkaProducer<byte[], byte[]> producer, JsonNode command) {
        this.producer = producer;
        String topic = command.get("topic").asText();
        byte[] value = new byte[command.get("bytes").asInt()];
        double perTick = command.get("per_second").asDouble() * TICK_MS / 1000;
        thread = new Thread(() -> send(topic, value, perTick), "stream " + topic);
        thread.setDaemon(true);
        thread.start();
    }

    private void send(String topic, byte[] value, double perTick) {
        int partitions = producer.partitionsFor(topic).size();
        int next = 0;
        double due = 0;
        while (running) {
            for (due += perTick; due >= 1; due--) {
                producer.send(new ProducerRecord<>(topic, next, null, value), (metadata, failure) ->
                        (failure == null ? acknowledged : failed).incrementAndGet());
                next = (next + 1) % partitions;
            }
            try {
                Thread.sleep(TICK_MS);
            } catch (InterruptedException stopped) {
                return;
            }
        }
    }

    /** Stops when all that was sent is answered, and says how much of it Kafka took. */
    Object stop() throws InterruptedException {
        running = false;
        thread.join(STOP_MS);
        producer.flush();
        producer.close();
        return Map.of("acknowledged", acknowledged.get(), "failed", failed.get());
    }

    void abandon() {
        running = false;
        thread.interrupt();
        producer.close(Traffic.NO_WAIT);
    }
}
