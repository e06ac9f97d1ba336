"""That the lab's judgement can tell right from wrong: python3 -m unittest tests/labkit/selftest.py."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import checks
from cluster import Size
from figures import bucket_maximum, bucket_percentile, percentile
from traffic import Plan
from truth import Steps, Truth

TOPIC, QUIET, STOPPED = "lab-topic-000", "lab-topic-001", "lab-group-01"
SIZE = Size(topics=2, groups=2, topics_per_group=1)
MAX_AGE = 120


class Served:
    """In Prometheus's place: one sample of each series, at second 1000."""

    def __init__(self, values):
        self.values = {"up": {(): 1}, **values}

    def samples(self, name, _replica, _begin, _end):
        return [(dict(labels), [(1000.0, value)]) for labels, value in self.values.get(name, {}).items()]


def key(**labels):
    return tuple(labels.items())


def served(end=20, commit=5, lag=15, lag_sum=15):
    place = key(consumergroup=STOPPED, topic=TOPIC, partition="0")
    return {
        checks.END: {key(topic=TOPIC, partition="0"): end, key(topic=QUIET, partition="0"): 10},
        checks.END_SUM: {key(topic=TOPIC): end, key(topic=QUIET): 10},
        checks.COMMIT: {place: commit},
        checks.LAG: {place: lag},
        checks.LAG_SUM: {key(consumergroup=STOPPED, topic=TOPIC): lag_sum},
    }


def truth():
    """One partition that grew from 10 to 20 at 800, to 30 at 995, to 40 at 1010; a group that has committed 5 ever since."""
    topics = {topic: {"partitions": [{"partition": 0, "latest": 10}]} for topic in (TOPIC, QUIET)}
    offsets = [{"topic": TOPIC, "partition": 0, "offset": 5}]
    known = Truth({"topics": topics, "groups": {STOPPED: {"offsets": offsets}}}, "no log")
    for at, end in [(800, 20), (995, 30), (1010, 40)]:
        known.ends[TOPIC, 0].add(at - 0.1, at, end)
    return known


def findings(values, known=None):
    return checks.check(checks.Window(Served(values), "a", 900, 1001), known or truth(), Plan(SIZE), MAX_AGE)


class Judgement(unittest.TestCase):
    def assert_wrong(self, values, count, known=None):
        found = findings(values, known)
        self.assertEqual((found.wrong, found.missing), (count, 0), found.examples)

    def test_what_was_true_lately_is_right_and_has_an_age(self):
        found = findings(served())
        self.assertEqual((found.wrong, found.missing, found.scrapes), (0, 0, 1), found.examples)
        self.assertEqual([round(age, 3) for age in found.ages["lags of stopped groups, moving topics"]], [5.0])

    def test_what_is_not_true_yet_or_any_more_is_wrong(self):
        self.assert_wrong(served(end=40), 1)
        self.assert_wrong(served(end=10), 1)

    def test_a_commit_that_never_was_is_wrong(self):
        self.assert_wrong(served(commit=6, lag=14, lag_sum=14), 2)

    def test_a_lag_against_an_end_that_is_no_more_or_not_yet_is_wrong(self):
        self.assert_wrong(served(lag=35, lag_sum=35), 1)
        self.assert_wrong(served(lag=5, lag_sum=5), 1)

    def test_a_lag_that_pairs_an_old_commit_with_a_late_end_is_wrong(self):
        known = truth()
        known.commits[STOPPED, TOPIC, 0].add(900, 901, 18)
        self.assert_wrong(served(lag=25, lag_sum=25), 1, known)
        self.assert_wrong(served(), 0, known)

    def test_a_sum_that_is_not_of_its_parts_is_wrong(self):
        self.assert_wrong(served(lag_sum=14), 1)

    def test_what_is_not_there_is_missing(self):
        values = served()
        del values[checks.LAG]
        self.assertEqual(findings(values).missing, 1)

    def test_what_kafka_does_not_have_is_wrong(self):
        values = served()
        values[checks.END_SUM][key(topic="lab-topic-777")] = 3
        self.assertGreaterEqual(findings(values).wrong, 1)

    def test_descriptions_are_compared(self):
        known = truth()
        known.groups = {STOPPED: {"members": [1], "state": "Stable"}}
        known.topics = {}
        group = {"consumergroup": STOPPED}
        families = {
            "kafka_consumergroup_members": [(group, 0.0)],
            "kafka_consumergroup_state": [({**group, "state": "Empty"}, 1.0)],
        }
        found = checks.Findings()
        checks.check_described(found, families, known)
        self.assertEqual((found.wrong, found.missing), (1, 1))


class Arithmetic(unittest.TestCase):
    def test_percentiles(self):
        self.assertEqual([percentile(range(1, 101), share) for share in (0.5, 0.99, 1)], [50, 99, 100])
        self.assertIsNone(percentile([], 0.5))

    def test_buckets(self):
        buckets = [(1.0, 2), (0.5, 0), (float("inf"), 4), (2.0, 4)]
        self.assertEqual(bucket_percentile(buckets, 0.5), 1.0)
        self.assertEqual(bucket_percentile(buckets, 0.75), 1.5)
        self.assertEqual(bucket_maximum(buckets), 2.0)

    def test_steps(self):
        steps = Steps(1)
        steps.add(10, 11, 3)
        self.assertEqual((steps.floor(10.5), steps.ceiling(10.5)), (1, 3))
        self.assertEqual((steps.begins(3), steps.ends(2), steps.ends(3)), (10, 11, float("inf")))
        self.assertEqual((steps.age(1, 15), steps.age(3, 15)), (4, 0))
        self.assertFalse(steps.holds(2))
        with self.assertRaises(RuntimeError):
            steps.add(12, 13, 3)


if __name__ == "__main__":
    unittest.main()
