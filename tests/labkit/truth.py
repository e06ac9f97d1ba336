"""What was true when: Kafka's own admin client at a moment without traffic, and since then the traffic's log."""

import bisect
import json


class Steps:
    """A number that only grows: what it was at first, and each later value with the times between which it became true."""

    def __init__(self, first):
        self.values, self.since, self.until = [first], [0.0], [0.0]

    def add(self, since, until, value):
        if value <= self.values[-1]:
            raise RuntimeError(f"the log goes back from {self.values[-1]} to {value}")
        # A later value shows that the earlier ones were true by then.
        self.values.append(value)
        self.since.append(max(since, self.since[-1]))
        self.until.append(max(until, self.until[-1]))

    def last(self):
        return self.values[-1]

    def floor(self, time):
        """What it surely was at a time, at least."""
        return self.values[bisect.bisect_right(self.until, time) - 1]

    def ceiling(self, time):
        """What it may have been at a time, at most."""
        return self.values[bisect.bisect_right(self.since, time) - 1]

    def holds(self, value):
        """Whether it ever was exactly this."""
        place = bisect.bisect_left(self.values, value)
        return place < len(self.values) and self.values[place] == value

    def begins(self, value):
        """From when on it may have been this, or more."""
        place = bisect.bisect_left(self.values, value)
        return self.since[place] if place < len(self.values) else float("inf")

    def ends(self, value):
        """Until when it may have been this, or less."""
        place = bisect.bisect_right(self.values, value)
        return self.until[place] if place < len(self.values) else float("inf")

    def age(self, value, time):
        """How long it has been more than this; 0 while it is not."""
        return max(0.0, time - self.ends(value))


class Truth:
    """End offsets by (topic, partition), commits by (group, topic, partition); log starts are 0 in the lab."""

    def __init__(self, seen, log):
        self.ends = {place: Steps(end) for place, end in admin_ends(seen).items()}
        self.commits = {place: Steps(offset) for place, offset in admin_commits(seen).items()}
        self.groups, self.topics = seen["groups"], seen["topics"]
        self.log, self.read = log, 0

    def catch_up(self):
        """Takes in what the log has got since the last time."""
        with open(self.log) as file:
            file.seek(self.read)
            lines = file.readlines()
            if lines and not lines[-1].endswith("\n"):
                lines.pop()
            self.read += sum(len(line.encode()) for line in lines)
        rows = [json.loads(line) for line in lines]
        for row in rows:
            if "failed" in row:
                raise RuntimeError(f"the lab's traffic failed: {row['failed']}")
            since, until = row["from"] / 1000, row["to"] / 1000
            if "group" in row:
                for topic, partition, offset in row["committed"]:
                    self.commits[row["group"], topic, partition].add(since, until, offset)
            else:
                self.ends[row["topic"], row["partition"]].add(since, until, row["end"])

    def rate(self, topic, begin, end):
        """Records a second that the topic really got between two times."""
        partitions = [steps for (its_topic, _), steps in self.ends.items() if its_topic == topic]
        return sum(steps.floor(end) - steps.floor(begin) for steps in partitions) / (end - begin)

    def agree(self, before, seen, after):
        """Raises when the log does not bear out what the admin client saw: then the lab is wrong, not the exporter."""
        self.groups, self.topics = seen["groups"], seen["topics"]
        for known, found in [(self.ends, admin_ends(seen)), (self.commits, admin_commits(seen))]:
            if known.keys() != found.keys():
                raise RuntimeError(f"the admin client sees others: {sorted(known.keys() ^ found.keys())[:5]}")
            for place, value in found.items():
                steps = known[place]
                if not steps.floor(before) <= value <= steps.ceiling(after):
                    raise RuntimeError(f"the admin client sees {value} for {place}, the log {steps.floor(before)}")


def admin_ends(seen):
    return {
        (topic, row["partition"]): row["latest"] for topic, one in seen["topics"].items() for row in one["partitions"]
    }


def admin_commits(seen):
    return {
        (group, row["topic"], row["partition"]): row["offset"]
        for group, one in seen["groups"].items()
        for row in one["offsets"]
    }
