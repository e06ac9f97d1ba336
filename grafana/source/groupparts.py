"""What the overview and the dashboard of groups both show of groups: from one place, so that they cannot drift apart."""

from .board import link_of_row
from .panels import NONE_IS_BEST, NONE_IS_GOOD, STATUS, TIME_LAG, Column, label, lines, stat, table
from .promql import (
    GROUP, TOPIC, all_in_one, at_worst, how_many, labels, largest, once, only, or_zero, series, total,
)  # fmt: skip

# So many groups are in a table and so many lines in a picture: the worst.
ROWS = 200
LINES = 15

HIDDEN_SUM = "A topic whose lag is not known in full just now has no share in it: see 'Values not known'."


def _worst_groups(*matchers: str) -> str:
    """Groups by time lag; one whose time lag is not known comes after them, not away."""
    time_lag = once(series("kafka_consumergroup_topic_max_lag_seconds", *matchers), "consumergroup")
    # Every group, or, where topics are selected, those that have committed on them.
    known_by = "kafka_consumergroup_unknown_partitions" if TOPIC in matchers else "kafka_consumergroup_members"
    return largest(ROWS, f"({or_zero(time_lag, once(series(known_by, *matchers), 'consumergroup'))})")


def worst_time_lag(*matchers: str, width: int = 3):
    """The one number that says how far behind the worst group is."""
    return stat(
        "Worst time lag",
        "How long ago the oldest record that some group has not consumed was appended, of the group that is furthest behind.",
        "s", f"max({once(series('kafka_consumergroup_topic_max_lag_seconds', *matchers), 'consumergroup', 'topic')})",
        limits=TIME_LAG, width=width,
    )  # fmt: skip


def total_lag(*matchers: str, width: int = 3):
    """All messages that wait."""
    return stat(
        "Messages behind", f"Lag of all groups together, in messages. {HIDDEN_SUM}", "short",
        all_in_one(once(series("kafka_consumergroup_lag_sum", *matchers), "consumergroup", "topic")), width=width,
    )  # fmt: skip


def groups_in_error(*matchers: str, width: int = 3):
    """Groups that are stopped, stalled or rewound."""
    return stat(
        "Groups stopped or stuck",
        "Groups with status ERR: on some partition nobody commits any more (STOP), a consumer holds it and does not get on "
        "(STALL), or its offset went back (REWIND).",
        "none", how_many(once(series("kafka_consumergroup_status", *matchers), "consumergroup"), "== 3"),
        limits=NONE_IS_GOOD, width=width,
    )  # fmt: skip


def groups_not_catching_up(*matchers: str, width: int = 3):
    """Groups that read and do not get nearer."""
    return stat(
        "Groups not catching up",
        "Groups with status WARN: they commit, and the lag of some partition has not fallen for a whole window.",
        "none", how_many(once(series("kafka_consumergroup_status", *matchers), "consumergroup"), "== 2"),
        limits=NONE_IS_BEST, width=width,
    )  # fmt: skip


def messages_lost(*matchers: str, width: int = 3):
    """Messages that were deleted unread."""
    return stat(
        "Deleted unread",
        "Messages that retention deleted after the groups' committed offsets, before the groups read them.",
        "short", all_in_one(once(series("kafka_consumergroup_lost_messages_sum", *matchers), "consumergroup", "topic")),
        limits=NONE_IS_GOOD, width=width,
    )  # fmt: skip


def worst_groups(*matchers: str, height: int = 10):
    """The groups in a table, from the worst on."""
    chosen = _worst_groups(*matchers)

    def of_group(expression: str) -> str:
        return only(expression, chosen, "consumergroup")

    def worst_topic(metric: str) -> str:
        return of_group(once(series(metric, *matchers), "consumergroup"))

    def all_topics(metric: str) -> str:
        return of_group(total(once(series(metric, *matchers), "consumergroup", "topic"), "consumergroup"))

    def caught_up() -> str:
        """A group is, with its last topic: one that does not catch up on a topic has no such time."""
        needed = series("kafka_consumergroup_catch_up_seconds", *matchers)
        on_topic = f"unless on ({labels('consumergroup', 'topic')}) {needed}"
        stuck = f"({series('kafka_consumergroup_lag_sum', *matchers)} > 0 {on_topic})"
        return of_group(f"{once(needed, 'consumergroup')} unless on ({labels('consumergroup')}) {stuck}")

    on_groups = [matcher for matcher in matchers if matcher != TOPIC]
    return table(
        f"Groups, the furthest behind first (at most {ROWS})",
        "Each group with its worst topic's time lag, all its lag in messages, status and state. Click a group for its topics "
        "and partitions. An empty cell is a value that is not known; no time to catch up means that the group does not catch up on some topic.",
        [
            label("Group", "consumergroup", link=link_of_row("Topics and partitions of this group", "groups", group="consumergroup")),
            Column("Time lag", worst_topic("kafka_consumergroup_topic_max_lag_seconds"), unit="s", limits=TIME_LAG),
            Column("Messages behind", all_topics("kafka_consumergroup_lag_sum"), unit="short"),
            Column("Status", of_group(once(series("kafka_consumergroup_status", *on_groups), "consumergroup")), mapping=STATUS),
            Column("State", of_group(once(series("kafka_consumergroup_state", *on_groups), "consumergroup", "state")), label="state"),
            Column("Members", of_group(once(series("kafka_consumergroup_members", *on_groups), "consumergroup"))),
            Column("Caught up in", caught_up(), unit="s"),
            Column("Deleted unread", all_topics("kafka_consumergroup_lost_messages_sum"), unit="short", limits=[(None, "text"), (1, "red")]),
        ],
        sort="Time lag", height=height, no_value="no consumer group is known",
    )  # fmt: skip


def time_lag_of_worst(*matchers: str, width: int = 12):
    """Time lag over time, of the groups that were worst."""
    names = ("consumergroup",)
    metric = "kafka_consumergroup_topic_max_lag_seconds"
    worst = largest(LINES, once(at_worst(metric, *matchers), *names))
    return lines(
        f"Time lag of the {LINES} worst groups",
        "How long ago the oldest record that the group has not consumed was appended, on its worst topic. Shown are the groups "
        "that were furthest behind at some time of what is shown. A line that rises by a second each second: nothing is read.",
        "s", (only(once(series(metric, *matchers), *names), worst, *names), "{{consumergroup}} {{cluster_name}}"),
        limits=TIME_LAG, width=width,
    )  # fmt: skip


def lag_of_worst(*matchers: str, width: int = 12):
    """Lag in messages over time, of the groups that were worst."""
    names = ("consumergroup",)
    metric = "kafka_consumergroup_lag_sum"

    def by_group(expression: str) -> str:
        return total(once(expression, "consumergroup", "topic"), *names)

    worst = largest(LINES, by_group(at_worst(metric, *matchers)))
    return lines(
        f"Messages behind, the {LINES} worst groups",
        f"Lag of the groups over their topics, in messages. {HIDDEN_SUM}",
        "short", (only(by_group(series(metric, *matchers)), worst, *names), "{{consumergroup}} {{cluster_name}}"), width=width,
    )  # fmt: skip


SELECTED_GROUPS = (GROUP, TOPIC)
