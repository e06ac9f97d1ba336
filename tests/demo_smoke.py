"""Runs the demo as a new user does and looks at what it shows: demo_smoke.py PATH-OF-KAFKASCOPE

Ends with 0 when the whole cast is exported, lag of the slow group grows, and Ctrl-C ends the demo with code 0.
"""

import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

START_SECONDS = 60
STOP_SECONDS = 5
CAST = [
    'kafka_consumergroup_lag_sum{consumergroup="checkout"',
    'kafka_consumergroup_lag_sum{consumergroup="billing-slow"',
    'kafka_consumergroup_state{consumergroup="reports-stopped",state="Empty"}',
    'kafka_consumergroup_lag_sum{consumergroup="fraud-bursty"',
    'kafka_consumergroup_lost_messages_sum{consumergroup="archive-losing-data"',
    'kafka_consumergroup_state{consumergroup="newsletter-empty",state="Empty"}',
    'kafka_consumergroup_info{consumergroup="search-kip848",type="consumer"',
]
SLOW = re.compile(r'^kafka_consumergroup_lag_sum\{consumergroup="billing-slow".*\} (\d+)$', re.M)


def scrape(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def eventually(what, probe):
    """The first true answer of a probe, within the bound."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = probe()
        if found:
            return found
        time.sleep(0.2)
    raise SystemExit(f"demo: {what}: not within {START_SECONDS} s")


def main(program):
    demo = subprocess.Popen([program, "demo", "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True)
    said = []
    threading.Thread(target=lambda: said.extend(iter(demo.stderr.readline, "")), daemon=True).start()
    try:
        url = eventually("its URL", lambda: re.search(r"metrics +(http://\S+)", "".join(said)))[1]
        eventually("the whole cast", lambda: all(line in scrape(url) for line in CAST))
        before = int(SLOW.search(scrape(url))[1])
        eventually("lag of billing-slow grows", lambda: int(SLOW.search(scrape(url))[1]) > before)
        demo.send_signal(signal.SIGINT)
        code = demo.wait(STOP_SECONDS)
    except BaseException:
        demo.kill()
        sys.stderr.write("".join(said))
        raise
    if code != 0:
        raise SystemExit(f"demo: ended with code {code} on Ctrl-C")
    print(f"demo: the cast of {len(CAST)} groups is there, and Ctrl-C ends it")


main(sys.argv[1])
