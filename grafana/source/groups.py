"""Consumer groups, from the worst group down to the partition; lag in seconds first."""

from .board import Board, link_of_row
from .groupparts import (
    LINES, ROWS, SELECTED_GROUPS, groups_in_error, groups_not_catching_up, lag_of_worst, messages_lost, time_lag_of_worst,
    total_lag, worst_groups, worst_time_lag,
)  # fmt: skip
from .panels import (
    HEADROOM, NONE_IS_BEST, PARTITION_STATUS, STATUS, TIME_LAG, Column, label, lines, stat, table, timeline,
)  # fmt: skip
from .promql import GROUP, at_worst, largest, movement, once, only, series, total

# A partition's table and picture hold the worst; a group on a topic of a thousand partitions has more.
PARTITIONS = 100
ON_TOPIC = ("consumergroup", "topic")
ON_PARTITION = ("consumergroup", "topic", "partition")
NEEDS_PARTITIONS = "Needs granularity: partition, the default."


def of_topics(metric: str) -> str:
    """A family by group and topic, of what is selected."""
    return once(series(metric, *SELECTED_GROUPS), *ON_TOPIC)


def headroom():
    """How soon the first unread record may be deleted."""
    return stat(
        "Least time until data is lost",
        "How long until the oldest record that some group has not consumed may be deleted by retention. Not known when nothing is "
        "unread, nothing is deleted, or the topics' settings may not be read.",
        "s", f"min({of_topics('kafka_consumergroup_retention_headroom_seconds')})", limits=HEADROOM, no_value="nothing to lose",
    )  # fmt: skip


def unassigned():
    """Partitions that nobody reads although their topic is subscribed."""
    return stat(
        "Partitions without a consumer",
        "Partitions that no member of a group holds, on topics that the group holds parts of. Normal for seconds during a rebalance.",
        "none", f"sum({of_topics('kafka_consumergroup_topic_unassigned_partitions')})", limits=NONE_IS_BEST,
        no_value="no group has members",
    )  # fmt: skip


def by_topic():
    """A row a group and topic."""
    time_lag = of_topics("kafka_consumergroup_topic_max_lag_seconds")
    chosen = largest(ROWS, f"({time_lag} or 0 * {of_topics('kafka_consumergroup_unknown_partitions')})")

    def column(metric: str) -> str:
        return only(of_topics(metric), chosen, *ON_TOPIC)

    last_commit = f"time() - {of_topics('kafka_consumergroup_last_commit_timestamp_seconds')}"
    return table(
        f"Groups by topic, the furthest behind first (at most {ROWS})",
        "What each group does on each topic: how far behind, whether it gains or loses ground, how long until records are deleted "
        "unread. Growth is in messages a second, negative while the group catches up. An empty cell is a value that is not known.",
        [
            label("Group", "consumergroup", link=link_of_row("This group", "groups", group="consumergroup")),
            label("Topic", "topic", link=link_of_row("This topic", "topics", topic="topic")),
            Column("Time lag", column("kafka_consumergroup_topic_max_lag_seconds"), unit="s", limits=TIME_LAG),
            Column("Messages behind", column("kafka_consumergroup_lag_sum"), unit="short"),
            Column("Lag grows by", column("kafka_consumergroup_lag_velocity"), unit="mps"),
            Column("Reads", column("kafka_consumergroup_consume_rate"), unit="mps"),
            Column("Caught up in", column("kafka_consumergroup_catch_up_seconds"), unit="s"),
            Column("Until data is lost", column("kafka_consumergroup_retention_headroom_seconds"), unit="s", limits=HEADROOM),
            Column("Deleted unread", column("kafka_consumergroup_lost_messages_sum"), unit="short", limits=[(None, "text"), (1, "red")]),
            Column("Last commit", only(f"({last_commit})", chosen, *ON_TOPIC), unit="s"),
            Column("Members", column("kafka_consumergroup_topic_members")),
            Column("Without a consumer", column("kafka_consumergroup_topic_unassigned_partitions"), limits=[(None, "text"), (1, "orange")]),
        ],
        sort="Time lag", no_value="no selected group has committed on a selected topic",
    )  # fmt: skip


def by_partition():
    """A row a group and partition."""
    def of_partition(metric: str) -> str:
        return once(series(metric, *SELECTED_GROUPS), *ON_PARTITION)

    known = f"({of_partition('kafka_consumergroup_lag_seconds')} or 0 * {of_partition('kafka_consumergroup_lag')})"
    chosen = largest(PARTITIONS, known)

    def column(metric: str) -> str:
        return only(of_partition(metric), chosen, *ON_PARTITION)

    return table(
        f"Partitions, the furthest behind first (at most {PARTITIONS})",
        "What each group does on each partition, in Burrow's words: WARN, the lag does not fall; STOP, nobody commits any more; STALL, "
        f"held, and the offset does not move; REWIND, the offset went back. {NEEDS_PARTITIONS}",
        [
            label("Group", "consumergroup"),
            label("Topic", "topic", link=link_of_row("This topic", "topics", topic="topic")),
            label("Partition", "partition"),
            Column("Time lag", column("kafka_consumergroup_lag_seconds"), unit="s", limits=TIME_LAG),
            Column("Messages behind", column("kafka_consumergroup_lag"), unit="short"),
            Column("Status", column("kafka_consumergroup_partition_status"), mapping=PARTITION_STATUS),
            Column("Committed offset", column("kafka_consumergroup_current_offset")),
        ],
        sort="Time lag", no_value="no series by partition: granularity is topic, or nothing is committed",
    )  # fmt: skip


def over_time(title: str, description: str, unit: str, metric: str, names: tuple[str, ...], *, limits=None, negative=False):
    """A family over time, the things that were highest."""
    worst = largest(LINES, once(at_worst(metric, *SELECTED_GROUPS), *names))
    legend = " ".join(f"{{{{{name}}}}}" for name in (*names, "cluster_name"))
    return lines(
        title, description, unit, (only(once(series(metric, *SELECTED_GROUPS), *names), worst, *names), legend),
        limits=limits, negative=negative,
    )  # fmt: skip


def consumed():
    """How fast groups read."""
    metric = "kafka_consumergroup_current_offset_sum"
    return lines(
        "Consumed", "Messages by which the groups move their committed offsets, by group. Negative while a group is rewound.", "mps",
        (total(once(movement(metric, *SELECTED_GROUPS), *ON_TOPIC), "consumergroup"), "{{consumergroup}} {{cluster_name}}"), negative=True,
    )  # fmt: skip


def last_commits():
    """How long ago groups committed something new."""
    return lines(
        "Time since the last commit that moved",
        "How long ago an offset of the group was last seen to move on the topic. A group that has nothing to read commits nothing new: "
        "look at the lag beside it.",
        "s", (f"time() - {of_topics('kafka_consumergroup_last_commit_timestamp_seconds')}", "{{consumergroup}} {{topic}} {{cluster_name}}"),
    )  # fmt: skip


def states():
    """Statuses over time."""
    status = once(series("kafka_consumergroup_status", GROUP), "consumergroup")
    worst = largest(LINES, once(at_worst("kafka_consumergroup_status", GROUP), "consumergroup"))
    return timeline(
        f"Status of the {LINES} worst groups",
        "OK; WARN: a partition's lag does not fall; ERR: a partition is stopped, stalled or rewound. Over all topics of the group.",
        only(status, worst, "consumergroup"), "{{consumergroup}} {{cluster_name}}", STATUS,
    )  # fmt: skip


def members():
    """Members over time."""
    return lines(
        "Members", "Members of the groups. 0 with something to read: the group has stopped.", "none",
        (once(series("kafka_consumergroup_members", GROUP), "consumergroup"), "{{consumergroup}} {{cluster_name}}"),
    )  # fmt: skip


def rebalances():
    """Groups that are in no steady state."""
    states = once(series("kafka_consumergroup_state", GROUP, 'state=~"PreparingRebalance|CompletingRebalance|Assigning|Reconciling"'),
                  "consumergroup")  # fmt: skip
    known = once(series("kafka_consumergroup_state", GROUP), "consumergroup")
    return lines(
        "Rebalancing groups",
        "Groups that share out their partitions anew: nothing is read meanwhile by classic groups. Short peaks are normal when members "
        "come or go.",
        "none", (f"sum(({states} or 0 * {known}))", "rebalancing"),
    )  # fmt: skip


def board() -> Board:
    """The dashboard of groups."""
    made = Board(
        "groups", "Kafka / Consumer groups", "Which groups are behind, since when, on which topic and partition, and do they catch up?",
        ["job", "cluster_name", "group", "topic"],
    )  # fmt: skip
    both = SELECTED_GROUPS
    made.row(
        "Is anything wrong?",
        worst_time_lag(*both), total_lag(*both), groups_in_error(GROUP), groups_not_catching_up(GROUP), unassigned(), headroom(),
        messages_lost(*both), values_unknown_of_groups(),
    )  # fmt: skip
    made.row("Groups", worst_groups(*both), time_lag_of_worst(*both), lag_of_worst(*both), states(), consumed())
    made.row(
        "By topic",
        by_topic(),
        over_time("Time lag by topic", f"Time lag of groups by topic, the {LINES} worst.", "s",
                  "kafka_consumergroup_topic_max_lag_seconds", ON_TOPIC, limits=TIME_LAG),
        over_time("How fast lag grows", "Change of the lag in messages a second, smoothed over about two minutes, the fastest growing first; "
                  "below 0 the group catches up.", "mps", "kafka_consumergroup_lag_velocity", ON_TOPIC, negative=True),
        over_time("Time to catch up", "How long the group needs to catch up at its present pace. No line: it does not catch up, or has nothing "
                  "to catch up.", "s", "kafka_consumergroup_catch_up_seconds", ON_TOPIC),
        last_commits(),
    )  # fmt: skip
    made.row(
        "By partition",
        by_partition(),
        over_time("Time lag by partition", f"Time lag by partition, the {LINES} worst. {NEEDS_PARTITIONS}", "s",
                  "kafka_consumergroup_lag_seconds", ON_PARTITION, limits=TIME_LAG),
        over_time("Messages behind by partition", f"Lag by partition in messages, the {LINES} worst. {NEEDS_PARTITIONS}", "short",
                  "kafka_consumergroup_lag", ON_PARTITION),
    )  # fmt: skip
    made.row("Members", members(), rebalances())
    return made


def values_unknown_of_groups():
    """What is not known of the selected groups."""
    return stat(
        "Values not known",
        "Partitions that the groups have committed on and whose lag is not known now: a broker did not answer, or may not be asked.",
        "none", f"sum({of_topics('kafka_consumergroup_unknown_partitions')})", limits=NONE_IS_BEST,
    )  # fmt: skip
