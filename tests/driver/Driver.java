import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Drives real Kafkas with Kafka's own Java clients on behalf of the tests.
 *
 * <p>One JSON object a line on stdin: {@code {"id":1,"session":"s","do":"createTopic",…}}. One a line on
 * stdout: {@code {"id":1,"ok":…}} or {@code {"id":1,"error":"…"}}. Commands run side by side, so that one
 * that waits for a frozen broker holds up no other; whoever needs an order waits for the answer.
 * A session is one way to connect (bootstrap servers and security) with the clients opened through it.
 * The end of stdin is the end of the process.
 */
public final class Driver {
    static final ObjectMapper JSON = new ObjectMapper();

    /** The real stdout; System.out is turned to stderr so that no library can garble the answers. */
    private static final PrintStream ANSWERS = System.out;

    private static final Map<String, Session> SESSIONS = new ConcurrentHashMap<>();

    private Driver() {}

    public static void main(String[] args) throws Exception {
        System.setOut(System.err);
        ExecutorService workers = Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task, "command");
            thread.setDaemon(true);
            return thread;
        });
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode command = JSON.readTree(line);
            workers.submit(() -> answer(command));
        }
        Runtime.getRuntime().halt(0);
    }

    private static void answer(JsonNode command) {
        ObjectNode reply = JSON.createObjectNode();
        reply.put("id", command.get("id").asLong());
        try {
            reply.set("ok", JSON.valueToTree(run(command)));
        } catch (ExecutionException failure) {
            reply.put("error", String.valueOf(failure.getCause()));
        } catch (Throwable failure) {
            reply.put("error", String.valueOf(failure));
        }
        synchronized (ANSWERS) {
            byte[] line = (reply + "\n").getBytes(StandardCharsets.UTF_8);
            ANSWERS.write(line, 0, line.length);
            ANSWERS.flush();
        }
    }

    private static Object run(JsonNode command) throws Exception {
        String name = command.get("session").asText();
        switch (command.get("do").asText()) {
            case "open":
                SESSIONS.put(name, new Session(Session.strings(command.get("properties"))));
                return null;
            case "close":
                Session closed = SESSIONS.remove(name);
                if (closed != null) {
                    closed.close();
                }
                return null;
            default:
                Session session = SESSIONS.get(name);
                if (session == null) {
                    throw new IllegalArgumentException("no open session " + name);
                }
                return session.run(command);
        }
    }
}
