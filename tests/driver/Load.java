import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/**
 * The lab's traffic: writes by a timetable, groups that consume it, and a log of what became true when.
 *
 * <p>{@code java Load PLAN.json}. It says {@code ready} on stdout once every group holds its partitions, and obeys, one
 * JSON object a line on stdin: {@code {"do":"record","topic":…,"partition":…}} writes one record out of turn,
 * {@code {"do":"commit","group":…,"topic":…,"partition":…,"offset":…}} commits for a group without members.
 * The end of stdin is the end of the process.
 */
public final class Load {
    private Load() {}

    public static void main(String[] args) throws Exception {
        JsonNode plan = Driver.JSON.readTree(new File(args[0]));
        String bootstrap = plan.get("bootstrap").asText();
        LoadLog log = new LoadLog(plan.get("log").asText());
        LoadWriter writer = new LoadWriter(bootstrap, plan.get("topics"), log);
        List<LoadReader> readers = new ArrayList<>();
        for (JsonNode group : plan.get("groups")) {
            readers.add(new LoadReader(bootstrap, group, log));
        }
        writer.start();
        for (LoadReader reader : readers) {
            reader.awaitAssignment();
        }
        System.out.println("ready");
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap, "enable.metrics.push", "false"))) {
            obey(admin, writer, log);
        }
        Runtime.getRuntime().halt(0);
    }

    private static void obey(Admin admin, LoadWriter writer, LoadLog log) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode command = Driver.JSON.readTree(line);
            TopicPartition place = Session.partition(command);
            if (command.get("do").asText().equals("record")) {
                writer.write(place.topic(), place.partition());
                continue;
            }
            String group = command.get("group").asText();
            long offset = command.get("offset").asLong();
            long before = System.currentTimeMillis();
            admin.alterConsumerGroupOffsets(group, Map.of(place, new OffsetAndMetadata(offset))).all().get();
            log.committed(before, System.currentTimeMillis(), group, Map.of(place, offset));
        }
    }
}
