"""What the shipped Alertmanager configuration keeps quiet, asked of a real Alertmanager: inhibition.py [ALERTMANAGER]

Sends it cases of alerts that fire together and compares which of them it inhibits with what is expected here. Ends with 0
when all are as expected, and when every alert that the configuration names exists.
"""

import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ALERTS = pathlib.Path(__file__).resolve().parent.parent / 'alerts'
# Shorter than group_wait: nobody is told.
WAIT_SECONDS = 25

PROD = {'namespace': 'mon', 'job': 'k', 'cluster_name': 'prod'}
DEPLOYMENT = {'namespace': 'mon', 'job': 'k'}
NAMELESS = {'job': 'n'}
A, B = {'instance': 'a'}, {'instance': 'b'}


def other(cluster):
    return {**PROD, 'cluster_name': cluster}


def on(group=None, topic=None):
    """Labels of what an alert on a group or a topic of prod is about."""
    named = {'consumergroup': group, 'topic': topic}
    return {**PROD, **{label: value for label, value in named.items() if value}}


TOLD, QUIET = False, True
CRITICAL, WARNING, INFO = 'critical', 'warning', 'info'
# For each case: alerts that fire at the same time, and whether Alertmanager keeps them quiet.
CASES = {
    'the exporter is down': [
        ('KafkascopeDown', CRITICAL, DEPLOYMENT, TOLD),
        ('KafkaBrokerDown', CRITICAL, {**PROD, 'id': '1'}, QUIET),
        ('KafkaConsumerGroupStopped', CRITICAL, on('g', 't'), QUIET),
        ('KafkascopeMemoryHigh', WARNING, {**DEPLOYMENT, **A}, QUIET),
        ('KafkaBrokerDown', CRITICAL, {**PROD, 'namespace': 'other', 'id': '1'}, TOLD),
        ('NodeDown', CRITICAL, DEPLOYMENT, TOLD),
    ],
    'the cluster is not reached': [
        ('KafkaClusterUnreachable', CRITICAL, PROD, TOLD),
        ('KafkaBrokerDown', CRITICAL, {**PROD, 'id': '1'}, QUIET),
        ('KafkaConsumerGroupStopped', CRITICAL, on('g', 't'), QUIET),
        ('KafkascopeCollectorFailing', WARNING, {**PROD, **A}, QUIET),
        ('KafkascopeCpuHigh', WARNING, {**DEPLOYMENT, **A}, TOLD),
        ('KafkaBrokerDown', CRITICAL, {**other('test'), 'id': '1'}, TOLD),
    ],
    'a cluster without a name is not reached': [
        ('KafkaClusterUnreachable', CRITICAL, NAMELESS, TOLD),
        ('KafkaBrokerDown', CRITICAL, {**NAMELESS, 'id': '1'}, QUIET),
        ('KafkascopeBreakerOpen', WARNING, {**NAMELESS, **A, 'broker': '1'}, QUIET),
        ('KafkascopeCpuHigh', WARNING, {**NAMELESS, **A}, TOLD),
        ('KafkaBrokerDown', CRITICAL, {**NAMELESS, 'cluster_name': 'test', 'id': '1'}, TOLD),
    ],
    'a broker is down': [
        ('KafkaBrokerDown', CRITICAL, {**PROD, 'id': '1'}, TOLD),
        ('KafkaBrokerDown', CRITICAL, {**PROD, 'id': '2'}, TOLD),
        ('KafkaPartitionsUnderReplicated', WARNING, PROD, QUIET),
        ('KafkaLeadersNotPreferred', INFO, PROD, QUIET),
        ('KafkaTopicValuesUnknown', WARNING, PROD, QUIET),
        ('KafkaConsumerGroupLagUnknown', WARNING, on('g', 't'), QUIET),
        ('KafkaServiceLevelErrors', WARNING, PROD, QUIET),
        ('KafkascopeBreakerOpen', WARNING, {**PROD, **A, 'broker': '1'}, QUIET),
        ('KafkascopeCollectorFailing', WARNING, {**PROD, **A, 'collector': 'offsets'}, QUIET),
        ('KafkascopeConnectionsReplaced', WARNING, {**PROD, **A}, QUIET),
        ('KafkascopeCommitStreamNotStreaming', WARNING, {**PROD, **A}, QUIET),
        # What users feel.
        ('KafkaTopicPartitionsOffline', CRITICAL, on(topic='t'), TOLD),
        ('KafkaTopicUnderMinIsr', CRITICAL, on(topic='t'), QUIET),
        ('KafkaTopicUnderMinIsr', CRITICAL, on(topic='u'), TOLD),
        ('KafkaConsumerGroupStopped', CRITICAL, on('g', 't'), TOLD),
        ('KafkaPartitionsUnderReplicated', WARNING, other('test'), TOLD),
    ],
    'nobody reads for a group': [
        ('KafkaConsumerGroupStopped', CRITICAL, on('g', 't'), TOLD),
        ('KafkaConsumerGroupNoMembers', CRITICAL, on('g'), QUIET),
        ('KafkaConsumerGroupLagSeconds', CRITICAL, on('g', 't'), QUIET),
        ('KafkaConsumerGroupLagSeconds', WARNING, on('g', 'u'), QUIET),
        ('KafkaServiceLevelLag', CRITICAL, on('g', 't'), QUIET),
        ('KafkaConsumerGroupDataLost', CRITICAL, on('g', 't'), TOLD),
        ('KafkaConsumerGroupLagSeconds', WARNING, on('h', 't'), TOLD),
    ],
    'nobody reads for a group whose statuses are not exported': [
        ('KafkaConsumerGroupNoMembers', CRITICAL, on('g'), TOLD),
        ('KafkaConsumerGroupUnhealthy', CRITICAL, on('g'), QUIET),
        ('KafkaConsumerGroupLagSeconds', WARNING, on('g', 't'), QUIET),
    ],
    'a group is stuck on a topic': [
        ('KafkaConsumerGroupStalled', CRITICAL, on('g', 't'), TOLD),
        ('KafkaConsumerGroupCommitsStopped', WARNING, on('g', 't'), QUIET),
        ('KafkaConsumerGroupLagMessages', WARNING, on('g', 't'), QUIET),
        ('KafkaConsumerGroupLagMessages', WARNING, on('g', 'u'), TOLD),
    ],
    'the same trouble with two severities': [
        ('KafkaServiceLevelLag', CRITICAL, on('g', 't'), TOLD),
        ('KafkaServiceLevelLag', WARNING, on('g', 't'), QUIET),
        ('KafkaServiceLevelLag', WARNING, on('g', 'u'), TOLD),
        ('KafkaConsumerGroupDataLossAhead', CRITICAL, on('h', 't'), TOLD),
        ('KafkaConsumerGroupDataLossAhead', WARNING, on('h', 't'), QUIET),
    ],
    'messages were deleted unread, and more will be': [
        ('KafkaConsumerGroupDataLost', CRITICAL, on('g', 't'), TOLD),
        ('KafkaConsumerGroupDataLossAhead', CRITICAL, on('g', 't'), QUIET),
        ('KafkaConsumerGroupDataLossAhead', CRITICAL, on('g', 'u'), TOLD),
    ],
    'polling hangs': [
        ('KafkascopeSnapshotNotFresh', CRITICAL, PROD, TOLD),
        ('KafkascopeTaskStuck', WARNING, {**PROD, **A, 'task': 'poller'}, QUIET),
        ('KafkascopeTaskStuck', WARNING, {**other('test'), **A, 'task': 'poller'}, TOLD),
        ('KafkaBrokerDown', CRITICAL, {**PROD, 'id': '1'}, TOLD),
    ],
    'a replica is short of memory': [
        ('KafkascopeMemoryHigh', WARNING, {**DEPLOYMENT, **A}, TOLD),
        ('KafkascopeServiceLevelMemory', WARNING, {**DEPLOYMENT, **A}, QUIET),
        ('KafkascopeServiceLevelMemory', WARNING, {**DEPLOYMENT, **B}, TOLD),
    ],
}


def fired():
    """Each alert's labels, and whether it is to be quiet. The cases are kept apart by their jobs."""
    return [
        ({**labels, 'job': f'{labels["job"]}-{place}', 'alertname': name, 'severity': severity}, quiet)
        for place, case in enumerate(CASES.values())
        for name, severity, labels, quiet in case
    ]


def free_port():
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


def api(address, alerts=None):
    body = None if alerts is None else json.dumps([{'labels': labels} for labels in alerts]).encode()
    request = urllib.request.Request(f'http://{address}/api/v2/alerts', body, {'Content-Type': 'application/json'})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read() or b'null')


def faults(address):
    held = {json.dumps(row['labels'], sort_keys=True): row['status']['inhibitedBy'] for row in api(address)}
    for labels, quiet in fired():
        by = held.get(json.dumps(labels, sort_keys=True))
        if by is None or bool(by) != quiet:
            yield f'{"should be quiet" if quiet else "should be told"}: {labels}'


def unknown_names(configuration):
    """Words of matchers on alertname that occur in no alert's name."""
    rules = [*ALERTS.glob('rules/*.yml'), *ALERTS.glob('optional/*.yml')]
    names = {name for path in rules for name in re.findall(r'- alert: (\w+)', path.read_text())}
    for pattern in re.findall(r'alertname!?=~?"([^"]+)"', configuration):
        for word in re.findall(r'\w{6,}', pattern):
            if not any(word in name for name in names):
                yield word


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else shutil.which('prometheus-alertmanager') or shutil.which('alertmanager')
    configuration = (ALERTS / 'alertmanager.yml').read_text()
    unknown = list(unknown_names(configuration))
    address = f'127.0.0.1:{free_port()}'
    with tempfile.TemporaryDirectory() as directory:
        # Nobody listens at the receivers, and nobody has to.
        command = [binary, f'--config.file={ALERTS / "alertmanager.yml"}', f'--storage.path={directory}']
        command += [f'--web.listen-address={address}', '--cluster.listen-address=']
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as alertmanager:
            try:
                wrong = observe(address)
            finally:
                alertmanager.terminate()
    for fault in [*wrong, *(f'there is no alert {word}' for word in unknown)]:
        print(fault, file=sys.stderr)
    print(f'inhibition: {len(fired())} alerts in {len(CASES)} cases, {len(wrong)} wrong')
    return 1 if wrong or unknown else 0


def observe(address):
    """What is wrong once Alertmanager has taken in all alerts, which it does one after the other."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            api(address, [labels for labels, _ in fired()])
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    wrong = ['nothing was asked']
    while wrong and time.monotonic() < deadline:
        time.sleep(1)
        wrong = list(faults(address))
    return wrong


if __name__ == '__main__':
    sys.exit(main())
