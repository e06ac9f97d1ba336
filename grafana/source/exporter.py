"""The exporter itself: is what the other dashboards show fresh and whole, and what does it cost.

Everything here is by instance: each replica is looked at for itself, nothing is taken together.
"""

from .board import Board
from .panels import ALL_IS_GOOD, NONE_IS_BEST, NONE_IS_GOOD, SUCCESS, UP, Column, label, lines, stat, table, timeline
from .promql import INSTANCE, SELECTED, WINDOW

BY = ("namespace", "job", "instance")
JOB = SELECTED[0]
NOT_CLOSED = 'state!="closed"'
NO_STREAM, NO_STATE_FILE = "commits: stream is not set", "state_file is not set"
FRESH = [(None, "green"), (60, "orange"), (120, "red")]


def own(metric: str, *matchers: str, window: str = "", cluster: bool = True) -> str:
    """Series of the selected instances; those that are not about a cluster are selected by job and instance alone."""
    selected = (*SELECTED, INSTANCE) if cluster else (JOB, INSTANCE)
    return f"{metric}{{{', '.join((*selected, *matchers))}}}{window and f'[{window}]'}"


def process(metric: str, *matchers: str, window: str = "") -> str:
    """Series about the process, not about a cluster."""
    return own(metric, *matchers, window=window, cluster=False)


def by(*names: str) -> str:
    """Labels by which things of an instance are told apart."""
    return ", ".join((*BY, *names))


def rate_of(expression: str, *names: str) -> str:
    """The rate of a counter's range, summed up."""
    return f"sum by ({by(*names)}) (rate({expression}))"


def quantile(share: float, metric: str, *names: str, cluster: bool = True) -> str:
    """A quantile of a histogram."""
    buckets = own(f"{metric}_bucket", window=WINDOW, cluster=cluster)
    return f"histogram_quantile({share}, sum by ({by('le', *names)}) (rate({buckets})))"


AGE = f"time() - {own('kafkascope_snapshot_timestamp_seconds')}"
KNOWN = f"max by ({by()}) ({process('kafkascope_build_info')})"


def health() -> list:
    """The first line: is it there, is it fresh, is it whole."""
    return [
        stat("Replicas down", "Targets of the selected jobs that Prometheus cannot scrape.", "none",
             f"sum({process('up')} == bool 0)", limits=NONE_IS_GOOD),
        stat("Oldest snapshot", "How long ago the oldest snapshot that is served was made. What is too old is not shown at all.", "s",
             f"max({AGE})", limits=FRESH),
        stat("Collectors failing", "Collectors that did not get an answer to everything that they last asked for.", "none",
             f"sum({own('kafkascope_collector_success')} == bool 0)", limits=NONE_IS_GOOD),
        stat("Breakers open", "Brokers that an instance leaves alone because they were silent.", "none",
             f"sum(count by ({by()}) ({own('kafkascope_broker_breaker_state', NOT_CLOSED)}) or 0 * {KNOWN})",
             limits=NONE_IS_GOOD),
        stat("Series withheld", "Series that are left out because a cluster has more than max_series.", "none",
             f"sum(sum by ({by()}) ({own('kafkascope_withheld_series')}) or 0 * {KNOWN})", limits=NONE_IS_BEST),
        stat("Intervals stretched", "How much longer the intervals of polling are than wanted, so that it stays within its budget: 1 is not.",
             "none", f"max({own('kafkascope_interval_stretch_ratio')})", limits=[(None, "green"), (1.5, "orange"), (4, "red")]),
        stat("Configuration", "Whether the configuration was read without an error when it was last read.", "none",
             f"min({process('kafkascope_config_last_reload_successful')})", limits=ALL_IS_GOOD, mapping=SUCCESS),
        stat("Tasks stuck or panicked", "Tasks that get on with nothing for too long, and panics in the time that is shown: each panic is a "
             "defect worth reporting.", "none",
             f"sum({process('kafkascope_task_stuck')}) + sum(increase({process('kafkascope_task_panics_total', window='$__range')}))",
             limits=NONE_IS_GOOD),
    ]  # fmt: skip


def instances():
    """A row an instance."""
    return table(
        "Instances",
        "Each replica of the exporter: version, how long it runs, what it takes. An empty row is a target that does not answer.",
        [
            label("Instance", "instance"),
            Column("Scraped", f"max by ({by()}) ({process('up')})", mapping=UP),
            Column("Version", f"max by ({by('version')}) ({process('kafkascope_build_info')})", label="version"),
            Column("Runs for", f"time() - max by ({by()}) ({process('process_start_time_seconds')})", unit="s"),
            Column("CPU", f"max by ({by()}) (rate({process('process_cpu_seconds_total', window=WINDOW)}))", unit="percentunit"),
            Column("Memory", f"max by ({by()}) ({process('process_resident_memory_bytes')})", unit="bytes"),
            Column("Open files", f"max by ({by()}) ({process('process_open_fds')})"),
            Column("Series a scrape", f"max by ({by()}) ({process('scrape_samples_scraped')})", unit="short"),
            Column("Scrape takes", f"max by ({by()}) ({process('scrape_duration_seconds')})", unit="s"),
        ],
        sort="Instance", descending=False, height=6, no_value="no instance: is kafkascope scraped?",
    )  # fmt: skip


def freshness() -> list:
    """How old what is shown is, and why."""
    collector = "{{collector}} {{cluster_name}} {{instance}}"
    cluster = "{{cluster_name}} {{instance}}"
    return [
        lines("Age of the snapshot", "How long ago what is served was made; it is served again until something moved.", "s", (AGE, cluster), limits=FRESH),
        timeline("Collectors", "Whether everything that the collector asks for was answered when it was last asked for.",
                 f"max by ({by('cluster_name', 'collector')}) ({own('kafkascope_collector_success')})", collector, SUCCESS),
        lines("Time since the collector's last success", "How long ago the collector had all its answers. What is quiet is asked for seldom: "
              "a minute is normal.", "s", (f"time() - {own('kafkascope_collector_last_success_timestamp_seconds')}", collector)),
        lines("Duration of a pass", "How long polling passes took, from the first request to the last answer.", "s",
              (quantile(0.5, "kafkascope_pass_duration_seconds", "cluster_name"), f"median {cluster}"),
              (quantile(0.95, "kafkascope_pass_duration_seconds", "cluster_name"), f"95 % {cluster}")),
        lines("Work of collectors", "How long each collector worked in the last pass.", "s", (own("kafkascope_collector_duration_seconds"), collector)),
        lines("Partitions behind, by how their time lag is known", "Partitions of groups that are behind: from the history of end offsets, asked of "
              "the broker, or not known (then there is no time lag).", "none",
              (own("kafkascope_time_lag_partitions"), "{{method}} {{cluster_name}} {{instance}}"), stacked=True),
    ]  # fmt: skip


def polling() -> list:
    """How often Kafka is asked."""
    hits, misses = (rate_of(own(f"kafkascope_cache_{kind}_total", window=WINDOW), "cluster_name") for kind in ("hits", "misses"))
    cluster = "{{cluster_name}} {{instance}}"
    return [
        lines("Intervals", "At which interval half and 95 % of the topics, groups and commits are asked for, at least.", "s",
              (own("kafkascope_effective_interval_seconds"), "{{kind}} {{percentile}} % {{cluster_name}} {{instance}}"),
              (own("kafkascope_interval_seconds"), f"all that moves {cluster}")),
        lines("Values served without asking", "Share of the values due at a tick that were quiet, so that Kafka was not asked again.",
              "percentunit", (f"{hits} / ({hits} + {misses})", cluster)),
        lines("What moves and what is quiet", "Topics, topics of groups and descriptions of groups, by whether they moved when last asked for.",
              "none", (own("kafkascope_scheduled_items"), "{{kind}} {{pace}} {{cluster_name}} {{instance}}"), stacked=True),
        lines("Stretch of the intervals", "How much longer intervals are than wanted, to stay within the budget: 1 is not.", "none",
              (own("kafkascope_interval_stretch_ratio"), cluster)),
    ]  # fmt: skip


def brokers() -> list:
    """What it does to brokers, and how they answer."""
    broker = "{{broker}} {{cluster_name}} {{instance}}"
    return [
        lines("Requests to Kafka", "Requests that the instance sends, by kind.", "reqps",
              (rate_of(own("kafkascope_broker_requests_total", window=WINDOW), "cluster_name", "api"), "{{api}} {{cluster_name}} {{instance}}"),
              stacked=True),
        lines("Failed calls", "Calls that failed or were not answered in time, by kind.", "reqps",
              (f"{rate_of(own('kafkascope_broker_errors_total', window=WINDOW), 'cluster_name', 'api')} or 0 * "
               + rate_of(own("kafkascope_broker_requests_total", window=WINDOW), "cluster_name"), "{{api}} {{cluster_name}} {{instance}}")),
        lines("Round trip", "Mean time from a request to its answer, by broker. No line: nothing was asked.", "s",
              (own("kafkascope_broker_round_trip_seconds"), broker)),
        lines("Requests in flight", "Requests that are sent and not answered yet.", "none", (own("kafkascope_broker_in_flight"), broker)),
        timeline("Connections", "Whether the connection to the broker is up.",
                 f"max by ({by('cluster_name', 'broker')}) ({own('kafkascope_broker_connection_up')})", broker, UP),
        lines("Connects, losses, time-outs", "Attempts to connect, connections that were lost, and requests that were not answered in time.", "cps",
              (rate_of(own("kafkascope_broker_connects_total", window=WINDOW), "cluster_name"), "connects {{cluster_name}} {{instance}}"),
              (rate_of(own("kafkascope_broker_disconnects_total", window=WINDOW), "cluster_name"), "losses {{cluster_name}} {{instance}}"),
              (rate_of(own("kafkascope_broker_timeouts_total", window=WINDOW), "cluster_name"), "time-outs {{cluster_name}} {{instance}}"),
              (rate_of(own("kafkascope_broker_breaker_trips_total", window=WINDOW), "cluster_name"), "breaker trips {{cluster_name}} {{instance}}")),
    ]  # fmt: skip


def process_and_http() -> list:
    """What it takes, and who scrapes it."""
    instance = "{{instance}}"
    return [
        lines("CPU", "Processor time: 100 % is one core.", "percentunit",
              (rate_of(process("process_cpu_seconds_total", window=WINDOW)), instance)),
        lines("Memory", "Resident memory of the process, and what is known of the clusters of it.", "bytes",
              (process("process_resident_memory_bytes"), f"resident {instance}"),
              (f"sum by ({by()}) ({process('kafkascope_state_bytes')})", f"known of clusters {instance}")),
        lines("Files and connections", "File descriptors that are open, and how many of them are HTTP connections; the most that may be open is "
              "in process_max_fds.", "none", (process("process_open_fds"), f"files {instance}"),
              (process("kafkascope_http_connections"), f"HTTP {instance}")),
        lines("Share of the files that may be open", "Open file descriptors divided by the limit of the process.", "percentunit",
              (f"{process('process_open_fds')} / {process('process_max_fds')}", instance), limits=[(None, "green"), (0.8, "red")]),
        lines("Duration of a scrape", "How long scrapes took in the exporter, from the request's head to the last byte.", "s",
              (quantile(0.5, "kafkascope_scrape_duration_seconds", cluster=False), f"median {instance}"),
              (quantile(0.95, "kafkascope_scrape_duration_seconds", cluster=False), f"95 % {instance}")),
        lines("HTTP requests", "Requests that were answered, by path and status.", "reqps",
              (rate_of(process("kafkascope_http_requests_total", window=WINDOW), "path", "code"), "{{path}} {{code}} {{instance}}")),
        lines("Size of the snapshot", "Topics, partitions, groups and committed partitions of groups that are shown.", "short",
              (own("kafkascope_snapshot_rows"), "{{kind}} {{cluster_name}} {{instance}}")),
        lines("Memory by part", "What is known of the clusters, by part.", "bytes",
              (own("kafkascope_state_bytes"), "{{part}} {{cluster_name}} {{instance}}"), stacked=True),
    ]  # fmt: skip


def by_choice() -> list:
    """What there is only with certain settings."""
    return [
        lines("Commits as they are made", "With commits: stream alone: partitions of __consumer_offsets by how they are read. Commits of groups on "
              "partitions that are not streaming are polled.", "none",
              (own("kafkascope_commit_stream_partitions"), "{{state}} {{cluster_name}} {{instance}}"), stacked=True, no_value=NO_STREAM),
        lines("Commits of groups", "With commits: stream alone: commits a second, one for each partition, by group, the most first.", "mps",
              (f"topk(15, max by ({by('cluster_name', 'consumergroup')}) (rate({own('kafka_consumergroup_commits_total', window=WINDOW)})))",
               "{{consumergroup}} {{cluster_name}} {{instance}}"), no_value=NO_STREAM),
        lines("State file", "With state_file alone: how long ago the state file that is there was written. It is written every minute.", "s",
              (f"time() - {process('kafkascope_state_file_last_success_timestamp_seconds')}", "{{instance}}"),
              limits=[(None, "green"), (180, "red")], no_value=NO_STATE_FILE),
        lines("Size of the state file", "With state_file alone: its size when it was last written or read.", "bytes",
              (process("kafkascope_state_file_bytes"), "{{instance}}"), no_value=NO_STATE_FILE),
    ]  # fmt: skip


def board() -> Board:
    """The dashboard of the exporter."""
    made = Board(
        "exporter", "Kafka / kafkascope itself", "Is what the other dashboards show fresh and whole, and what does it cost?",
        ["job", "cluster_name", "instance"],
    )  # fmt: skip
    made.row("Is anything wrong?", *health())
    made.row("Instances", instances())
    made.row("Is it fresh?", *freshness())
    made.row("How often Kafka is asked", *polling())
    made.row("How Kafka answers", *brokers())
    made.row("What it takes", *process_and_http())
    made.row("By choice", *by_choice())
    return made
