"""Makes a StatefulSet of what the chart's notes show for mode sidecar, with the manifests of the release, so that it can be checked like the others.

    notes.py RENDERED.yaml     rendered together with the chart's ci/notes.yaml
"""

import pathlib
import sys

import yaml

STATEFUL_SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: kafka}
spec:
  serviceName: kafka
  selector: {matchLabels: {app.kubernetes.io/name: kafka}}
  template:
    metadata: {labels: {app.kubernetes.io/name: kafka}}
    spec: {automountServiceAccountToken: false}
"""


def main():
    docs = [doc for doc in yaml.safe_load_all(pathlib.Path(sys.argv[1]).read_text()) if doc]
    notes = next(doc for doc in docs if doc["metadata"]["name"] == "notes")
    docs.remove(notes)
    text = notes["data"]["notes"]
    broker = yaml.safe_load(STATEFUL_SET)
    broker["spec"]["template"]["spec"].update(yaml.safe_load(text[text.index("containers:") : text.index("\nThe ConfigMap is")]))
    print(yaml.safe_dump_all([*docs, broker]))


if __name__ == "__main__":
    main()
