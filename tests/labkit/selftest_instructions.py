"""The judgement on instruction counts: what is read from callgrind, what counts as dearer, and what grows too fast."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(__file__))

import instructions
from instructions import Key

# Names stand where their number comes first; a line behind "calls=" is what the call cost.
CALLGRIND = """version: 1
fn=(1) instructions::count
16 5
cfn=(2) instructions::counted_apply
calls=1 20
16 700
fn=(2)
20 30
+1 20
cfn=(3) kafkascope::state::apply
calls=2 40
* 650
fn=(3)
40 650
"""
COUNTS = {Key(10_000, "same", "derive"): 1000, Key(100_000, "same", "derive"): 10_000}


class Judgement(unittest.TestCase):
    def test_a_function_counts_with_all_that_it_calls(self):
        self.assertEqual(instructions.inclusive(CALLGRIND.splitlines()), {"apply": 700})

    def test_what_is_as_accepted_passes(self):
        self.assertEqual(instructions.judge(COUNTS, COUNTS), ([], []))

    def test_a_dearer_step_fails_and_a_cheaper_one_is_told(self):
        accepted = {Key(10_000, "same", "derive"): 900, Key(100_000, "same", "derive"): 12_000}
        faults, cheaper = instructions.judge(COUNTS, accepted)
        self.assertEqual(faults, ["derive (same, 10000 rows): 11% dearer, 900 -> 1000 instructions"])
        self.assertEqual(cheaper, ["derive (same, 100000 rows): 17% cheaper, 12000 -> 10000 instructions"])

    def test_a_step_that_is_new_or_gone_fails(self):
        key = Key(10_000, "same", "derive")
        self.assertEqual(len(instructions.judge({key: 1}, {})[0]), 1)
        self.assertEqual(len(instructions.judge({}, {key: 1})[0]), 1)

    def test_more_than_linear_fails(self):
        counts = COUNTS | {Key(100_000, "same", "derive"): 12_000}
        self.assertEqual(len(instructions.shape(counts)), 1)
        self.assertEqual(instructions.shape(COUNTS), [])

    def test_work_while_nothing_moves_fails(self):
        allowed = int(instructions.MAX_QUIET["derive"] * 10_000)
        self.assertEqual(instructions.shape({Key(10_000, "quiet", "derive"): allowed}), [])
        self.assertEqual(len(instructions.shape({Key(10_000, "quiet", "derive"): allowed + 1})), 1)


if __name__ == "__main__":
    unittest.main()
