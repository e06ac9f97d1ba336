"""That the judgement of time lags can tell right from wrong: python3 -m unittest tests/labkit/selftest_timelag.py."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from timelag_report import meets, table
from timelag_truth import Log, Place, Sample, Verdict

INTERVAL, QUIET = 5.0, 60.0


def log(*written):
    """(second, records) each, appended within a tenth of a second."""
    partition = Log()
    for second, count in written:
        partition.wrote(partition.end(), count, second, second + 0.1)
    return partition


def place(partition, *committed):
    """(second, offset) each."""
    known = Place()
    for second, offset in committed:
        known.committed(second, second + 0.1, offset, partition)
    return known


def sample(at, seconds, lag=1.0, commit=0.0):
    return Sample(at, at + 0.01, seconds, lag, commit, INTERVAL, QUIET)


def judged(known, *samples):
    verdict = Verdict()
    verdict.add(known, samples)
    return verdict


class Judgement(unittest.TestCase):
    def error(self, known, one):
        verdict = judged(known, one)
        self.assertEqual(verdict.unexplained, 0, verdict.examples)
        return round(verdict.errors[0], 1), round(verdict.errors_of_commit[0], 1)

    def test_the_time_since_the_record_was_appended_is_right(self):
        known = place(log((100, 10), (200, 10)), (150, 5))
        self.assertEqual(self.error(known, sample(400, 300.0, 15, 5)), (0.0, 0.0))
        self.assertEqual(self.error(known, sample(400, 290.0, 15, 5)), (9.9, 9.9))
        self.assertEqual(self.error(known, sample(400, 320.0, 15, 5)), (20.0, 20.0))

    def test_zero_is_right_only_at_the_end(self):
        known = place(log((100, 10)), (150, 5), (300, 10))
        self.assertEqual(judged(known, sample(400, 0.0, 0, 10)).false_zeros, 0)
        self.assertEqual(judged(known, sample(290, 0.0, 5, 5)).false_zeros, 1)
        self.assertEqual(judged(known, sample(290, 0.0, 0, 5)).false_zeros, 1)

    def test_what_was_read_last_is_right_for_a_while(self):
        known = place(log((100, 10)), (150, 5), (300, 10))
        self.assertEqual(self.error(known, sample(330, 230.0, 5, 5)), (0.0, 0.0))
        self.assertEqual(judged(known, sample(420, 320.0, 5, 5)).unexplained, 1)

    def test_what_moves_is_looked_at_in_every_interval(self):
        moving = log(*[(second, 1) for second in range(100, 400)])
        known = place(moving, (150, 5), (380, 200))
        self.assertEqual(self.error(known, sample(384, 279.0, 100, 5))[0], 0.0)
        self.assertGreater(self.error(known, sample(392, 287.0, 100, 5))[0], 100)

    def test_what_lies_below_the_start_is_not_unread(self):
        partition = log((100, 10), (200, 10))
        partition.starts.append((300, 300.1, 15))
        known = place(partition, (150, 5))
        self.assertEqual(self.error(known, sample(400, 200.0, 5, 5)), (0.0, 0.0))
        self.assertEqual(self.error(known, sample(400, 300.0, 5, 5)), (100.0, 100.0))

    def test_another_life_of_the_topic_is_another_log(self):
        known = place(log((100, 10)), (150, 5))
        known.ends(200)
        known.committed(230, 230.1, 0, log((220, 10)))
        self.assertEqual(self.error(known, sample(400, 180.0, 10, 0)), (0.0, 0.0))
        self.assertEqual(self.error(known, sample(400, 300.0, 10, 0)), (120.0, 120.0))

    def test_time_does_not_go_back(self):
        known = place(log((100, 10), (200, 10)), (150, 5))
        back = judged(known, sample(400, 290.0, 15, 5), sample(410, 310.0, 15, 5))
        self.assertEqual((back.backwards, back.drops), (1, 0), back.examples)
        drop = judged(known, sample(400, 310.0, 15, 5), sample(410, 300.0, 15, 5))
        self.assertEqual((drop.backwards, drop.drops), (0, 1), drop.examples)
        still = judged(known, sample(400, 300.0, 15, 5), sample(410, 310.0, 15, 5))
        self.assertEqual((still.backwards, still.drops), (0, 0), still.examples)

    def test_a_lag_without_a_time_is_counted_as_absent(self):
        known = place(log((100, 10)), (150, 5))
        verdict = judged(known, sample(400, None, 5, 5), sample(405, None, None, None), sample(410, 310.0, 5, 5))
        self.assertEqual((verdict.samples, verdict.absent), (1, 1))

    def test_a_commit_without_a_lag_is_counted_once_it_has_stood(self):
        known = place(log((100, 10)), (150, 5))
        samples = [sample(400, 300.0, 5, 5), sample(405, None, None, None), sample(410, None, 5, 5)]
        verdict = judged(known, *samples)
        verdict.lack(known, samples, [140, 152, 400, 405, 410])
        self.assertEqual(verdict.lacking, 1)
        known.ends(402)
        verdict.lack(known, samples, [400, 405, 410])
        self.assertEqual(verdict.lacking, 1, "the topic was gone")

    def test_the_mark(self):
        known = place(log((100, 10)), (150, 5))
        good = judged(known, *[sample(400 + second, 300.0 + second, 5, 5) for second in range(100)])
        self.assertTrue(meets(good), good.examples)
        self.assertIn("| met |", list(table([("one", good)]))[-1])
        bad = judged(known, *[sample(400 + second, 320.0 + second, 5, 5) for second in range(100)])
        self.assertFalse(meets(bad))
        self.assertFalse(meets(Verdict()), "nothing was seen")


if __name__ == "__main__":
    unittest.main()
