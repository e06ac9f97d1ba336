"""Brokers: who is there, who leads and coordinates what, how they answer."""

from .board import Board
from .clusterparts import brokers_down, not_preferred, offline, under_min_isr, under_replicated
from .panels import ALL_IS_GOOD, NONE_IS_GOOD, UP, Column, label, lines, stat, table, timeline
from .promql import all_in_one, labels, once, or_zero, per_second, series, total

LEADERS = once(series("kafka_topic_partition_leader"), "topic", "partition")
COORDINATORS = once(series("kafka_consumergroup_info"), "consumergroup", "coordinator")
NEEDS_PARTITIONS = "Needs granularity: partition, the default."


def led(name: str) -> str:
    """Partitions by their leader, whose id becomes a label.

    The name of the label that `count_values` makes comes after those of the identity in the alphabet: in range queries,
    Prometheus 2.42 loses labels of the grouping where it does not.
    """
    counted = f'count_values by ({labels()}) ("served_by", {LEADERS})'
    return once(f'label_replace({counted}, "{name}", "$1", "served_by", "(.*)")', name)


def coordinated(name: str) -> str:
    """Groups by their coordinator, under the label of brokers."""
    counted = f"count by ({labels('coordinator')}) ({COORDINATORS})"
    return once(f'label_replace({counted}, "{name}", "$1", "coordinator", "(.*)")', name)


def as_id(expression: str) -> str:
    """Of a family of the exporter, whose label is broker, what is about brokers that have an id."""
    return once(f'label_replace({expression}, "id", "$1", "broker", "(.*)")', "id")


def reached():
    """How many of the selected clusters are there."""
    return stat("Clusters reachable", "Clusters that the last polling pass reached, of those selected.", "none",
                f"sum({once(series('kafka_up'))})", limits=ALL_IS_GOOD)  # fmt: skip


def count():
    """How many brokers there are."""
    return stat("Brokers", "Brokers in the clusters' metadata.", "none", f"sum({once(series('kafka_brokers'))})")


def without_preferred_leadership():
    """How uneven leadership is."""
    by_broker = led("id")
    return stat(
        "Uneven leadership",
        "Partitions that the busiest broker leads, divided by the mean of the brokers that lead any, in the cluster where that is most: "
        f"1 is even. {NEEDS_PARTITIONS}",
        "none", f"max(max by ({labels()}) ({by_broker}) / avg by ({labels()}) ({by_broker}))", limits=[(None, "green"), (1.5, "orange")],
    )  # fmt: skip


def breakers_open():
    """Brokers that are left alone."""
    tripped = once(series("kafkascope_broker_breaker_state", 'state!="closed"'), "broker")
    known = once(series("kafkascope_broker_breaker_state"), "broker")
    return stat(
        "Brokers left alone", "Brokers whose circuit breaker is open or half open: they were silent, and are asked only to see whether they are back.",
        "none", all_in_one(or_zero(tripped, known)), limits=NONE_IS_GOOD,
    )  # fmt: skip


def brokers():
    """A row a broker."""
    ids = ("id",)
    return table(
        "Brokers",
        "Each broker: whether it answers, what it leads and coordinates, and how the exporter reaches it. A broker that is down has no "
        "address when the metadata does not name it any more.",
        [
            label("Broker", "id"),
            Column("Answers", once(series("kafka_broker_up"), *ids), mapping=UP),
            Column("Address", once(series("kafka_broker_info"), *ids, "address", "rack"), label="address"),
            label("Rack", "rack"),
            Column("Leads partitions", led("id")),
            Column("Coordinates groups", coordinated("id")),
            Column("Connected", as_id(series("kafkascope_broker_connection_up")), mapping=UP),
            Column("Round trip", as_id(series("kafkascope_broker_round_trip_seconds")), unit="s"),
        ],
        sort="Broker", descending=False, height=8, no_value="no broker is known",
    )  # fmt: skip


def exporters_load(title: str, description: str, metric: str, unit: str = "reqps"):
    """A counter of what the exporter does to brokers: two replicas do it twice, so all are added.

    A broker of which nothing is counted yet is at 0 when requests to it are.
    """
    counted = total(per_second(metric), "broker")
    known = total(per_second("kafkascope_broker_requests_total"), "broker")
    return lines(title, f"{description} All replicas of the exporter together.", unit, (or_zero(counted, known), "{{broker}} {{cluster_name}}"))


def board() -> Board:
    """The dashboard of brokers."""
    made = Board("brokers", "Kafka / Brokers", "Which brokers are there, do they answer, and is their load even?", ["job", "cluster_name"])
    made.row(
        "Is anything wrong?",
        brokers_down(), offline(), under_min_isr(), under_replicated(), not_preferred(), breakers_open(), without_preferred_leadership(),
        count(),
    )  # fmt: skip
    made.row(
        "Brokers", brokers(),
        timeline("Brokers that answer", "Whether each broker answered in the last pass.", once(series("kafka_broker_up"), "id"),
                 "{{id}} {{cluster_name}}", UP),
        lines("Brokers", "Brokers in the metadata, and of these and those that replica lists name the ones that answer.", "none",
              (once(series("kafka_brokers")), "in the metadata {{cluster_name}}"),
              (total(once(series("kafka_broker_up"), "id")), "answer {{cluster_name}}")),
    )  # fmt: skip
    made.row(
        "Who does what",
        lines("Partitions led", f"Partitions by their leader. {NEEDS_PARTITIONS}", "none", (led("id"), "{{id}} {{cluster_name}}"), stacked=True),
        lines("Groups coordinated", "Consumer groups by the broker that coordinates them.", "none",
              (coordinated("id"), "{{id}} {{cluster_name}}"), stacked=True),
    )  # fmt: skip
    made.row(
        "How they answer the exporter",
        lines("Round trip", "Mean time from a request of the exporter to its answer, by broker, the slowest replica's. No line: nothing was "
              "asked.", "s", (once(series("kafkascope_broker_round_trip_seconds"), "broker"), "{{broker}} {{cluster_name}}")),
        exporters_load("Requests of the exporter", "Requests that the exporter sends, by broker.", "kafkascope_broker_requests_total"),
        exporters_load("Failed calls of the exporter", "Calls that failed or were not answered in time, by broker; \"bootstrap\" stands for calls that "
                       "any broker may answer.", "kafkascope_broker_errors_total"),
        exporters_load("Lost connections", "Connections of the exporter to the broker that were lost.", "kafkascope_broker_disconnects_total",
                       unit="cps"),
    )  # fmt: skip
    return made
