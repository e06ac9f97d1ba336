import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.apache.kafka.common.TopicPartition;

/**
 * What became true when, a JSON line each. A change becomes visible between {@code from} and {@code to}
 * (milliseconds since 1970): after it was sent, and before its answer came.
 */
final class LoadLog {
    private static final long FLUSH_MS = 1000;

    private final BufferedWriter file;
    private long flushed;

    LoadLog(String path) throws IOException {
        file = Files.newBufferedWriter(Path.of(path));
    }

    void wrote(long from, long to, String topic, int partition, long offset) {
        ObjectNode line = Driver.JSON.createObjectNode();
        line.put("from", from).put("to", to).put("topic", topic).put("partition", partition).put("end", offset + 1);
        append(line);
    }

    void committed(long from, long to, String group, Map<TopicPartition, Long> offsets) {
        ObjectNode line = Driver.JSON.createObjectNode();
        line.put("from", from).put("to", to).put("group", group);
        ArrayNode rows = line.putArray("committed");
        offsets.forEach((place, offset) -> rows.addArray().add(place.topic()).add(place.partition()).add(offset));
        append(line);
    }

    /** What the lab cannot account for makes its log worthless, so it must be known. */
    void failed(String what, Throwable failure) {
        append(Driver.JSON.createObjectNode().put("failed", what + ": " + failure));
    }

    private synchronized void append(ObjectNode line) {
        try {
            file.write(line + "\n");
            long now = System.currentTimeMillis();
            if (now - flushed >= FLUSH_MS) {
                flushed = now;
                file.flush();
            }
        } catch (IOException full) {
            throw new UncheckedIOException(full);
        }
    }
}
