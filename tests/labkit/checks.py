"""What Prometheus was served, set against the truth: what was wrong, what was missing, how old it was."""

import collections

# How long after the beginning of a scrape its values may still have become true.
SCRAPE_TAKES = 2.0
# The commit and the end that make up a lag are read in one pass, so at most this far apart.
PASS_TAKES = 5.0
EXAMPLES = 5

END = "kafka_topic_partition_current_offset"
END_SUM = "kafka_topic_current_offset_sum"
COMMIT = "kafka_consumergroup_current_offset"
LAG = "kafka_consumergroup_lag"
LAG_SUM = "kafka_consumergroup_lag_sum"
LAB = "lab-"


class Findings:
    """Of one window: counts, ages in seconds by kind, and the first few of what was wrong."""

    def __init__(self):
        self.checked = self.wrong = self.missing = self.scrapes = self.failed_scrapes = 0
        self.examples, self.ages = [], collections.defaultdict(list)

    def judge(self, right, text):
        self.checked += 1
        if not right:
            self.wrong += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append(text())

    def add(self, other):
        """The findings of another replica in the same window."""
        for count in ("checked", "wrong", "missing", "scrapes", "failed_scrapes"):
            setattr(self, count, getattr(self, count) + getattr(other, count))
        self.examples += other.examples
        for kind, ages in other.ages.items():
            self.ages[kind] += ages

    def lack(self, count, text):
        self.missing += count
        if count and len(self.examples) < EXAMPLES:
            self.examples.append(text)


class Window:
    """What one replica was served between two times."""

    def __init__(self, prometheus, replica, begin, end):
        self.up = {}
        for _, values in prometheus.samples("up", replica, begin, end):
            self.up = dict(values)
        self.scrapes = sorted(at for at, up in self.up.items() if up == 1)
        read = lambda name: prometheus.samples(name, replica, begin, end)
        self.ends = self._table(read(END), "topic", "partition")
        self.end_sums = self._table(read(END_SUM), "topic")
        self.commits = self._table(read(COMMIT), "consumergroup", "topic", "partition")
        self.lags = self._table(read(LAG), "consumergroup", "topic", "partition")
        self.lag_sums = self._table(read(LAG_SUM), "consumergroup", "topic")

    @staticmethod
    def _table(rows, *labels):
        """The samples of the lab's own topics and groups, by labels and time."""
        table = {}
        for metric, values in rows:
            if metric["topic"].startswith(LAB):
                key = tuple(int(metric[label]) if label == "partition" else metric[label] for label in labels)
                table[key] = dict(values)
        return table


def check(window, truth, plan, max_age):
    """Every sample of a window. No value may be one that was last true more than `max_age` seconds before."""
    found = Findings()
    found.scrapes = len(window.scrapes)
    found.failed_scrapes = len(window.up) - found.scrapes
    _ends(found, window, truth, plan, max_age)
    _commits(found, window, truth, plan, max_age)
    _lags(found, window, truth, plan, max_age)
    _sums(found, window)
    _missing(found, window, truth)
    return found


def _ends(found, window, truth, plan, max_age):
    for place, samples in window.ends.items():
        steps, moves = truth.ends[place], place[0] in plan.moving
        for at, value in samples.items():
            right = steps.floor(at - max_age) <= value <= steps.ceiling(at + SCRAPE_TAKES)
            found.judge(right, lambda: f"{END} {place}: {value:.0f}, really {steps.floor(at)}, at {at:.1f}")
            if moves:
                found.ages["end offsets, moving topics"].append(steps.age(value, at))


def _commits(found, window, truth, plan, max_age):
    for place, samples in window.commits.items():
        steps, moves = truth.commits[place], place[0] in plan.readers and place[1] in plan.moving
        for at, value in samples.items():
            right = steps.holds(value) and steps.floor(at - max_age) <= value <= steps.ceiling(at + SCRAPE_TAKES)
            found.judge(right, lambda: f"{COMMIT} {place}: {value:.0f}, really {steps.floor(at)}, at {at:.1f}")
            if moves:
                found.ages["commits of reading groups, moving topics"].append(steps.age(value, at))


def _lags(found, window, truth, plan, max_age):
    """Lag and commit of one scrape make an end, which must have been read after the commit, and in the same pass."""
    for place, samples in window.lags.items():
        group, topic, partition = place
        ends, commits, shown = truth.ends[topic, partition], truth.commits[place], window.commits.get(place, {})
        stopped = group not in plan.readers and topic in plan.moving
        for at, lag in samples.items():
            if at not in shown:
                continue  # Counted as missing.
            commit = shown[at]
            end = lag + commit
            latest = min(at + SCRAPE_TAKES, commits.ends(commit) + PASS_TAKES)
            earliest = max(at - max_age, commits.begins(commit))
            right = lag >= 0 and ends.floor(earliest) <= end <= ends.ceiling(latest)
            found.judge(right, lambda: f"{LAG} {place}: {lag:.0f} behind {commit:.0f}, really {ends.floor(at) - commit:.0f}, at {at:.1f}")
            if stopped:
                found.ages["lags of stopped groups, moving topics"].append(ends.age(end, at))


def _sums(found, window):
    """A sum is that of its parts in the same scrape."""
    for name, sums, parts in [(END_SUM, window.end_sums, window.ends), (LAG_SUM, window.lag_sums, window.lags)]:
        totals = collections.defaultdict(float)
        for place, samples in parts.items():
            for at, value in samples.items():
                totals[place[:-1], at] += value
        for key, samples in sums.items():
            for at, value in samples.items():
                found.judge(value == totals[key, at], lambda: f"{name} {key}: {value:.0f}, its parts {totals[key, at]:.0f}")


def _missing(found, window, truth):
    """Everything has a sample in every scrape that succeeded."""
    group_topics = {place[:2] for place in truth.commits}
    for name, table, expected in [
        (END, window.ends, truth.ends),
        (END_SUM, window.end_sums, {(topic,) for topic, _ in truth.ends}),
        (COMMIT, window.commits, truth.commits),
        (LAG, window.lags, truth.commits),
        (LAG_SUM, window.lag_sums, group_topics),
    ]:
        for key in expected:
            samples = table.get(key, {})
            count = sum(1 for at in window.scrapes if at not in samples)
            found.lack(count, f"{name} {key}: missing in {count} of {len(window.scrapes)} scrapes")
        for key in table.keys() - set(expected):
            found.judge(False, lambda: f"{name} {key}: Kafka has nothing of the kind")


def check_described(found, families, truth):
    """What one scrape says of groups and partitions that do not change, set against the admin client's words."""
    rows = collections.defaultdict(dict)
    for name, samples in families.items():
        for labels, value in samples:
            rows[name][tuple(sorted(labels.items()))] = value

    def expect(name, value, **labels):
        key = tuple(sorted(labels.items()))
        if key in rows[name]:
            found.judge(rows[name][key] == value, lambda: f"{name} {labels}: {rows[name][key]:g}, really {value}")
        else:
            found.lack(1, f"{name} {labels}: missing, really {value}")

    for group, seen in truth.groups.items():
        expect("kafka_consumergroup_members", len(seen["members"]), consumergroup=group)
        expect("kafka_consumergroup_state", 1, consumergroup=group, state=seen["state"])
    for topic, seen in truth.topics.items():
        expect("kafka_topic_partitions", len(seen["partitions"]), topic=topic)
        for row in seen["partitions"]:
            place = {"topic": topic, "partition": str(row["partition"])}
            expect("kafka_topic_partition_leader", row["leader"], **place)
            expect("kafka_topic_partition_replicas", len(row["replicas"]), **place)
            expect("kafka_topic_partition_in_sync_replica", len(row["isr"]), **place)
            expect("kafka_topic_partition_oldest_offset", row["earliest"], **place)


def rate_errors(prometheus, truth, topics, replicas, begin, end):
    """Relative errors of the records a second over one minute that a dashboard shows, at every second."""
    expression = f'sum by (topic, replica) (rate({END}{{replica=~"{"|".join(replicas)}"}}[1m]))'
    errors = []
    for metric, values in prometheus.curve(expression, begin, end, 1) if begin < end else []:
        if metric["topic"] in topics:
            for at, value in values:
                really = truth.rate(metric["topic"], at - 60, at)
                if really > 0:
                    errors.append(value / really - 1)
    return errors
