"""When every record was appended and every offset committed, and how far a time lag that was served is from that.

All times are seconds since 1970 on the machine's one clock. What was done is known to have happened between two times:
before the call that did it and after its answer. Nothing here knows how the exporter finds its values.
"""

import bisect
import collections

FOREVER = float("inf")
# Scrapes and passes take so long: what became true in that time may or may not be in a sample yet.
SLACK = 1.0
# What has moved every so many intervals, for as long as it may have been left alone, is asked for at every interval.
MOVING_INTERVALS = 2
# What grows with the clock is derived anew once a second: so much the time of an unread record may differ between two
# samples without having gone anywhere.
STILL = 1.5

# A lag may be between these two numbers of seconds.
Range = collections.namedtuple("Range", "least most")
# One series in one scrape: when the scrape began and ended, what was served, and the polling intervals in force.
Sample = collections.namedtuple("Sample", "begin end seconds lag commit interval quiet_interval")


class Log:
    """One partition in one life of its topic."""

    def __init__(self):
        self.nexts, self.since, self.until, self.firsts = [], [], [], []
        self.starts = [(0.0, 0.0, 0)]

    def wrote(self, first, count, since, until):
        """Records were appended between two times."""
        if first != self.end():
            raise RuntimeError(f"the log has a gap: from {self.end()} to {first}")
        self.firsts.append(first)
        self.nexts.append(first + count)
        self.since.append(since)
        # What was appended later shows that this was there by then.
        self.until.append(max(until, self.until[-1] if self.until else 0.0))

    def end(self):
        return self.nexts[-1] if self.nexts else 0

    def surely(self, time):
        """The end that it had at a time, at least."""
        written = bisect.bisect_right(self.until, time)
        return self.nexts[written - 1] if written else 0

    def appended(self, record):
        """Between which times a record was appended; None: it is not there."""
        place = bisect.bisect_right(self.nexts, record)
        return (self.since[place], self.until[place]) if place < len(self.nexts) else None

    def moved(self, begin, end):
        """Whether something was appended between two times."""
        return bisect.bisect_right(self.since, end) > bisect.bisect_left(self.since, begin)

    def starts_between(self, begin, end):
        """The log starts that may have stood between two times."""
        for place, (since, _, start) in enumerate(self.starts):
            until = self.starts[place + 1][1] if place + 1 < len(self.starts) else FOREVER
            if since <= end and until >= begin:
                yield start


class Commit:
    """An offset that a group committed, with the log that it is of."""

    def __init__(self, since, until, offset, log):
        self.since, self.until, self.offset, self.log, self.gone = since, until, offset, log, FOREVER


class Place:
    """A group on a partition, through all lives of the topic."""

    def __init__(self):
        self.commits = []

    def committed(self, since, until, offset, log):
        self.ends(until)
        self.commits.append(Commit(since, until, offset, log))

    def ends(self, time):
        """The commit that stands does not from that time on: there is another, or none, as its topic is gone."""
        if self.commits:
            self.commits[-1].gone = min(self.commits[-1].gone, time)

    def standing(self, begin, end):
        """The commits that may have stood between two times."""
        return [commit for commit in self.commits if commit.since <= end and commit.gone >= begin]

    def since_gap(self, time):
        """A commit for each life of the topic up to a time: what stood from its first commit to the end of the last."""
        lives = {}
        for commit in self.commits:
            if commit.since <= time:
                first = lives.setdefault(commit.log, Commit(commit.since, commit.until, commit.offset, commit.log))
                first.gone = commit.gone
        return lives.values()

    def last_true(self, offset, time):
        """How long ago an offset stood as commit for the last time; None: it never did."""
        gone = [commit.gone for commit in self.commits if commit.offset == offset and commit.since <= time]
        return max(0.0, time - max(gone)) if gone else None

    def window(self, sample):
        """How long ago what is shown may have been read: the interval at which the exporter looks here."""
        times = [sample.begin - sample.quiet_interval - SLACK]
        while times[-1] < sample.begin - MOVING_INTERVALS * sample.interval:
            times.append(times[-1] + MOVING_INTERVALS * sample.interval)
        logs = {commit.log for commit in self.standing(times[0], times[-1])}
        moves = all(any(log.moved(*span) for log in logs) for span in zip(times, times[1:]))
        return (sample.interval if moves else sample.quiet_interval) + SLACK

    def explanations(self, sample):
        """All time lags that some commit, start and end explain which stood since the exporter last looked."""
        begin = sample.begin - self.window(sample)
        for commit in self.standing(begin, sample.end):
            since = max(begin, commit.since)
            for start in commit.log.starts_between(since, min(sample.end, commit.gone)):
                unread = max(start, commit.offset)
                if commit.log.surely(since) <= unread:
                    yield Range(0.0, 0.0)
                yield from lag_of(commit.log, unread, sample)

    def explanations_of_commit(self, sample):
        """The time lags that the commit and the lag in the same scrape explain."""
        if sample.lag == 0:
            yield Range(0.0, 0.0)
            return
        begin = sample.begin - sample.quiet_interval - SLACK
        for commit in self.commits:
            if commit.offset == sample.commit and commit.since <= sample.end and commit.gone >= begin:
                for start in commit.log.starts_between(begin, sample.end):
                    yield from lag_of(commit.log, max(start, commit.offset), sample)


def lag_of(log, record, sample):
    """How long before the sample a record was appended, if it was."""
    appended = log.appended(record)
    if appended and appended[0] <= sample.end:
        yield Range(max(0.0, sample.begin - appended[1]), sample.end - appended[0])


def distance(seconds, ranges):
    """How far a value is from all that is right; None: nothing is."""
    return min((max(0.0, one.least - seconds, seconds - one.most) for one in ranges), default=None)


class Verdict:
    """Of one scenario with one exporter."""

    def __init__(self):
        self.samples = self.absent = self.lacking = self.false_zeros = self.backwards = self.drops = self.unexplained = 0
        self.errors, self.errors_of_commit, self.ages, self.shares, self.intervals = [], [], [], [], []
        self.examples = []

    def add(self, place, samples, offset=0.0):
        """Judges the samples of one series, in their order. `offset` is when the first of them was, for examples."""
        before = None
        for sample in samples:
            if sample.seconds is None:
                self.absent += sample.lag is not None
                continue
            self._judge(place, sample, offset)
            self._compare(place, before, sample, offset)
            before = sample

    def lack(self, place, samples, scrapes):
        """Counts the scrapes, given by their times, that show no lag although a commit has stood for long enough."""
        seen = {sample.begin for sample in samples if sample.lag is not None}
        patience = samples[-1].interval + SLACK if samples else 0.0
        for at in scrapes:
            stands = any(commit.until + patience <= at < commit.gone for commit in place.since_gap(at))
            self.lacking += stands and at not in seen

    def _judge(self, place, sample, offset):
        self.samples += 1
        ranges = list(place.explanations(sample))
        error = distance(sample.seconds, ranges)
        of_commit = distance(sample.seconds, place.explanations_of_commit(sample))
        self.intervals.append(sample.interval)
        if error is None or of_commit is None:
            self.unexplained += 1
            self._example(f"{self._told(sample, offset)}: nothing explains it")
            return
        self.errors.append(error)
        self.errors_of_commit.append(of_commit)
        self.shares.append(of_commit / max(sample.seconds, 1.0))
        self.ages.append(place.last_true(sample.commit, sample.begin) or 0.0)
        if sample.seconds == 0 and (error > 0 or of_commit > 0):
            self.false_zeros += 1
            self._example(f"{self._told(sample, offset)}: a false 0")
        elif max(error, of_commit) > sample.interval:
            self._example(f"{self._told(sample, offset)}: off by {error:.1f} s, {of_commit:.1f} s by its commit")

    def _compare(self, place, before, sample, offset):
        """With the sample before: time does not go back, and a lag does not fall while nothing is committed."""
        if not (before and before.seconds and sample.seconds) or sample.commit < before.commit:
            return
        logs = {commit.log for commit in place.standing(before.begin - before.quiet_interval, sample.end)}
        if len(logs) > 1:
            return
        went = (sample.begin - sample.seconds) - (before.begin - before.seconds)
        took = sample.end - sample.begin + before.end - before.begin
        if went < -STILL - took:
            self.backwards += 1
            self._example(f"{self._told(sample, offset)}: oldest unread {-went:.1f} s earlier than before")
        stood = list(next(iter(logs)).starts_between(before.begin - before.quiet_interval, sample.end)) if logs else []
        if sample.commit == before.commit and len(stood) == 1 and went > STILL + took:
            self.drops += 1
            self._example(f"{self._told(sample, offset)}: fell by {went:.1f} s with nothing committed")

    @staticmethod
    def _told(sample, offset):
        return f"at {sample.begin - offset:.1f} s {sample.seconds:.2f} s at commit {sample.commit:.0f}, lag {sample.lag:.0f}"

    def _example(self, text):
        if len(self.examples) < 6:
            self.examples.append(text)
