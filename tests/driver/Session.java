import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.TopicPartition;

/** One way to connect, its admin client and its traffic; knows which command belongs to whom. */
final class Session {
    private final Map<String, Object> properties = new HashMap<>();
    private final Traffic traffic;
    private Admin admin;
    private Admin reader;

    Session(Map<String, String> given) {
        // Failing brokers are what many tests are about: answers must come while somebody still waits.
        properties.put("request.timeout.ms", "15000");
        properties.put("default.api.timeout.ms", "30000");
        properties.put("reconnect.backoff.max.ms", "500");
        properties.put("metadata.max.age.ms", "2000");
        // Client telemetry is one more thing to wait for at close.
        properties.put("enable.metrics.push", "false");
        properties.putAll(given);
        traffic = new Traffic(properties);
    }

    /** Opened by the first command that needs it: a session with wrong credentials can be made and asked. */
    private synchronized Admin admin() {
        if (admin == null) {
            admin = Admin.create(properties);
        }
        return admin;
    }

    /**
     * For questions only: it soon turns from a broker that does not answer to another one. (What changes
     * something is given more time, for its repetition would fail.)
     */
    private synchronized Admin reader() {
        if (reader == null) {
            Map<String, Object> hasty = new HashMap<>(properties);
            hasty.put("request.timeout.ms", "2000");
            hasty.put("default.api.timeout.ms", "5000");
            hasty.put("socket.connection.setup.timeout.ms", "1000");
            reader = Admin.create(hasty);
        }
        return reader;
    }

    /** A question by the hasty client. One that failed is asked anew by a new client: the old one may hold on to brokers that are gone. */
    private Object ask(Question question) throws Exception {
        try {
            return question.ask(new Truth(reader()));
        } catch (Exception failed) {
            closeReader();
            throw failed;
        }
    }

    /** What is asked of the cluster. */
    private interface Question {
        Object ask(Truth truth) throws Exception;
    }

    private synchronized void closeReader() {
        if (reader != null) {
            reader.close(Duration.ZERO);
            reader = null;
        }
    }

    Object run(JsonNode command) throws Exception {
        switch (command.get("do").asText()) {
            case "brokers": return ask(Truth::brokers);
            case "truth": return ask(truth -> truth.all(command.get("topics").asText(), command.get("groups").asText()));
            case "createTopic": return Admins.createTopic(admin(), command);
            case "deleteTopic": return Admins.deleteTopic(admin(), command);
            case "createPartitions": return Admins.createPartitions(admin(), command);
            case "deleteRecords": return Admins.deleteRecords(admin(), command);
            case "alterConfigs": return Admins.alterConfigs(admin(), command);
            case "commit": return Admins.commit(admin(), command);
            case "deleteGroup": return Admins.deleteGroup(admin(), command);
            case "deleteGroupOffsets": return Admins.deleteGroupOffsets(admin(), command);
            case "setScram": return Admins.setScram(admin(), command);
            case "createAcls": return Admins.createAcls(admin(), command);
            case "deleteAcls": return Admins.deleteAcls(admin(), command);
            case "electLeaders": return Admins.electLeaders(admin(), command);
            case "reassign": return Admins.reassign(admin(), command);
            default: return traffic.run(command);
        }
    }

    synchronized void close() {
        traffic.close();
        for (Admin open : new Admin[] {admin, reader}) {
            if (open != null) {
                open.close(Traffic.NO_WAIT);
            }
        }
    }

    /** A JSON object of strings as a map; absent or null is empty. */
    static Map<String, String> strings(JsonNode object) {
        Map<String, String> map = new HashMap<>();
        if (object != null) {
            object.properties().forEach(field -> map.put(field.getKey(), field.getValue().asText()));
        }
        return map;
    }

    static List<String> texts(JsonNode array) {
        List<String> list = new ArrayList<>();
        array.forEach(item -> list.add(item.asText()));
        return list;
    }

    static TopicPartition partition(JsonNode row) {
        return new TopicPartition(row.get("topic").asText(), row.get("partition").asInt());
    }
}
