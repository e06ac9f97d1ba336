"""The lab's arithmetic on scale: what is counted in a body, what a window comes to, and what is drawn."""

import io
import os
import sys
import types
import unittest
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.dirname(__file__))

import scale
import scale_report

BODY = (
    b"# HELP kafka_consumergroup_lag Lag.\n# TYPE kafka_consumergroup_lag gauge\n"
    b'kafka_consumergroup_lag{consumergroup="a",topic="t",partition="0"} 1\n'
    b'kafka_consumergroup_lag{consumergroup="a",topic="t",partition="1"} 2\n'
    b'kafka_consumergroup_lag_sum{consumergroup="a",topic="t"} 3\n'
)
SVG = "{http://www.w3.org/2000/svg}"


class Slowly:
    """An exporter whose body comes in parts of a few bytes."""

    def __init__(self, part):
        self.part = part

    def open_scrape(self, _):
        body = io.BytesIO(BODY)
        return types.SimpleNamespace(read=lambda _: body.read(self.part))


def moment(count, cpu, requests):
    return types.SimpleNamespace(count=count, wall=count * 0.5, cpu=cpu, cluster_cpu=cpu / 4, requests=requests)


def case(rows, moving, cpu, scrape=None):
    scrapes = [{"asked": "gzip", "scrapes": 3, "cpu": scrape}] if scrape else []
    return {"rows": rows, "moving": moving, "behind": 0, "real": False, "full_cpu": cpu, "steady_cpu": cpu / 10, "scrapes": scrapes}


class Counting(unittest.TestCase):
    def test_rows_and_series_are_counted_wherever_parts_end(self):
        for part in (1, 7, 50, 1000):
            self.assertEqual(scale._drain(Slowly(part), "identity"), (len(BODY), 2, 3), part)

    def test_costs_are_those_of_the_window(self):
        costs = scale._costs(moment(2, 1.0, {"OffsetFetch": 100}), moment(6, 3.0, {"OffsetFetch": 300, "Metadata": 4}))
        self.assertEqual((costs["passes"], costs["cpu"], costs["wall"], costs["cluster_cpu"]), (4, 0.5, 0.5, 0.125))
        self.assertEqual((costs["requests"], costs["requests_by_api"]), (51, {"OffsetFetch": 50, "Metadata": 1}))

    def test_a_window_without_a_pass_has_no_cost(self):
        with self.assertRaises(RuntimeError):
            scale._costs(moment(2, 1.0, {}), moment(2, 3.0, {}))


class Drawing(unittest.TestCase):
    def test_every_point_is_in_the_picture(self):
        cases = [case(1_000_000, 10, 5.0, 0.01), case(10_000, 10, 0.05, 0.001), case(10_000, 0, 0.02), case(1_000_000, 0, 0.03)]
        lines = scale_report.lines_of(cases)
        self.assertEqual(lines["a full pass"], [(10_000, 0.05), (1_000_000, 5.0)])
        self.assertEqual(lines["steady, nothing moving"], [(10_000, 0.002), (1_000_000, 0.003)])
        picture = ElementTree.fromstring(scale_report.plot(cases))
        circles = picture.findall(f"{SVG}circle")
        self.assertEqual(len(circles), 8)
        for circle in circles:
            self.assertTrue(scale_report.LEFT <= float(circle.get("cx")) <= scale_report.WIDTH - scale_report.RIGHT)
            self.assertTrue(scale_report.TOP <= float(circle.get("cy")) <= scale_report.HEIGHT - scale_report.BOTTOM)

    def test_nothing_is_no_picture(self):
        self.assertIsNone(scale_report.plot([]))


if __name__ == "__main__":
    unittest.main()
