"""Checks rendered Kubernetes manifests: against schemas, against each other, and against what kafkascope promises of them.

    manifests.py --crds DIR:DIR --kafkascope PROGRAM NAME=FILE...

Each NAME=FILE is one set of manifests that is installed together. CRDs come as YAML files in the directories. Prints every problem, and exits 1 if there is one.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import jsonschema
import kubernetes_validate
import yaml

# The oldest that the chart is for, and the newest that the schemas know.
KUBERNETES = ("1.27", "1.37")
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# etcd takes 1 MiB; a client-side `kubectl apply` repeats the object in an annotation of at most 256 KiB.
LARGEST_CONFIG_MAP = 1024 * 1024
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
# A Service's name; also those of what pods take their names from.
DNS_LABEL = re.compile(r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")
LABEL_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")
FILE_KEY = re.compile(r"\b(?:ca|cert|key|password|key_password)_file: *'?([^\s,'}]+)")


def label(doc):
    return f"{doc['kind']} {doc['metadata']['name']}"


def strict(schema):
    """A CRD's schema as the API server means it: a field that it does not name is an error."""
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    known = {key: strict(value) for key, value in schema.items() if key in ("items", "additionalProperties", "not")}
    for key in ("oneOf", "anyOf", "allOf"):
        if key in schema:
            known[key] = [strict(each) if "properties" not in each else each for each in schema[key]]
    made = {**schema, **known}
    if "properties" in schema:
        made["properties"] = {name: strict(value) for name, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
    return made


def load_crds(directories):
    """The strict schema of every kind and version that a CRD in the directories serves."""
    schemas = {}
    for path in sorted(path for directory in directories.split(":") for path in pathlib.Path(directory).glob("*.yaml")):
        crd = yaml.safe_load(path.read_text())
        for version in crd["spec"]["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"] = {**schema["properties"], "metadata": {"type": "object"}}
            schemas[f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]] = schema
    return schemas


def schema_problems(doc, crds):
    crd = crds.get((doc["apiVersion"], doc["kind"]))
    if crd:
        for error in jsonschema.Draft7Validator(crd).iter_errors(doc):
            yield f"{label(doc)}: {'.'.join(map(str, error.path))}: {error.message[:300]}"
        return
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(doc, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{label(doc)}, Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message[:300]}"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield f"{label(doc)}: {error.message}"


def name_problems(doc):
    """Names and labels that the API server would refuse, which the schemas do not tell."""
    name = doc["metadata"]["name"]
    if doc["kind"] in ("Service", *WORKLOADS) and not DNS_LABEL.match(name):
        yield f"{label(doc)}: no name for a {doc['kind']}"
    template = doc["spec"].get("template", {}).get("metadata", {}) if doc["kind"] in WORKLOADS else {}
    for key, value in {**doc["metadata"].get("labels", {}), **template.get("labels", {})}.items():
        if not LABEL_VALUE.match(str(value)):
            yield f"{label(doc)}: {value} is no value for the label {key}"


def pod_specs(docs):
    """Every pod that the set makes, with its labels: (document, labels, spec)."""
    for doc in docs:
        if doc["kind"] in WORKLOADS:
            template = doc["spec"]["template"]
            yield doc, template["metadata"].get("labels", {}), template["spec"]
        elif doc["kind"] == "Pod":
            yield doc, doc["metadata"].get("labels", {}), doc["spec"]


def selects(selector, labels):
    return all(labels.get(name) == value for name, value in (selector or {}).items())


def container_problems(where, pod, container):
    """Non-root, without capabilities, on a read-only root, from a pinned image, with bounds."""
    security = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
    wanted = {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
        "runAsUser": 65532,
    }
    for key, value in wanted.items():
        if security.get(key) != value:
            yield f"{where}: {key} is {security.get(key)}, not {value}"
    if not re.search(r":[0-9]+\.[0-9]+\.[0-9]+$|@sha256:[0-9a-f]{64}$", container["image"]):
        yield f"{where}: image {container['image']} is not pinned"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
        yield f"{where}: needs requests of CPU and memory, and a limit of memory"


def sidecar_problems(where, container):
    if "readinessProbe" in container or "startupProbe" in container:
        yield f"{where}: a sidecar with such a probe can make its broker unready"
    if "livenessProbe" not in container:
        yield f"{where}: has no liveness probe"
    env = {variable["name"]: variable.get("value") for variable in container.get("env", [])}
    if env.get("KAFKASCOPE_SCOPE") != "local_broker":
        yield f"{where}: KAFKASCOPE_SCOPE is {env.get('KAFKASCOPE_SCOPE')}"


def pod_problems(doc, pod):
    name = label(doc)
    if pod.get("automountServiceAccountToken") is not False:
        yield f"{name}: mounts a token of its service account"
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    for volume in pod.get("volumes", []):
        # Files of a Secret are root's. Without a group of the pod only what all may read is readable for another user.
        if "secret" in volume and "fsGroup" not in pod.get("securityContext", {}) and not volume["secret"].get("defaultMode", 0o644) & 0o004:
            yield f"{name}: no user but root can read the files of volume {volume['name']}"
    for container in pod["containers"]:
        where = f"{name}, container {container['name']}"
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                yield f"{where}: mounts {mount['name']}, which is no volume"
        if container["name"] == "kafka":
            continue
        yield from container_problems(where, pod, container)
        if container["name"] != "kafkascope":
            continue
        if doc["kind"] == "StatefulSet":
            yield from sidecar_problems(where, container)
        elif not {"livenessProbe", "readinessProbe"} <= set(container):
            yield f"{where}: needs both probes"


def ports_of(pod):
    return {port["name"] for container in pod["containers"] for port in container.get("ports", [])}


def port_problems(name, ports, pods):
    """Ports that are named must be there."""
    known = set().union(*(ports_of(pod) for pod in pods)) if pods else set()
    for port in ports:
        if isinstance(port, str) and port not in known:
            yield f"{name}: no port {port} in the pods that it selects, which have {sorted(known)}"


def selection_problems(doc, docs):
    """What selects pods or services finds them, and the ports that it names."""
    kind, spec, name = doc["kind"], doc.get("spec", {}), label(doc)
    pods = list(pod_specs(docs))
    labels = None
    ports = []
    if kind == "Service":
        labels, ports = spec["selector"], [port["targetPort"] for port in spec["ports"]]
    elif kind == "NetworkPolicy":
        labels = spec["podSelector"].get("matchLabels", {})
        ports = [port["port"] for rule in spec.get("ingress", []) for port in rule.get("ports", [])]
        if not labels:
            yield f"{name}: concerns every pod of its namespace"
    elif kind == "PodDisruptionBudget":
        labels = spec["selector"]["matchLabels"]
        replicas = max((doc["spec"].get("replicas", 1) for doc, its, _ in pods if selects(labels, its) and doc["kind"] != "Pod"), default=0)
        if replicas < 2:
            yield f"{name}: a budget for {replicas} replica would hold up the draining of nodes"
    elif kind == "PodMonitor" and pods:
        labels = spec["selector"]["matchLabels"]
        ports = [endpoint["port"] for endpoint in spec["podMetricsEndpoints"]]
    elif kind == "ServiceMonitor":
        services = [each for each in docs if each["kind"] == "Service" and selects(spec["selector"]["matchLabels"], each["metadata"].get("labels", {}))]
        if len(services) != 1:
            yield f"{name}: selects {len(services)} services, not one"
        for service in services:
            if missing := {e["port"] for e in spec["endpoints"]} - {p["name"] for p in service["spec"]["ports"]}:
                yield f"{name}: its service has no port {missing}"
            if spec["jobLabel"] not in service["metadata"]["labels"]:
                yield f"{name}: its service has no label {spec['jobLabel']}, so every replica would get a job of its own"
    if labels is not None:
        found = [pod for _, its, pod in pods if selects(labels, its)]
        if not found:
            yield f"{name}: selects no pod"
        yield from port_problems(name, ports, found)


def config_problems(doc, pod, docs, kafkascope):
    """The configuration of a kafkascope pod is accepted, and the files that it names are mounted."""
    maps = {each["metadata"]["name"]: each for each in docs if each["kind"] == "ConfigMap"}
    mounts = {m["name"]: m["mountPath"] for c in pod["containers"] for m in c.get("volumeMounts", [])}
    for volume in pod.get("volumes", []):
        if "configMap" not in volume:
            continue
        found = maps.get(volume["configMap"]["name"])
        if not found:
            yield f"{label(doc)}: there is no ConfigMap {volume['configMap']['name']}"
        elif "kafkascope.yml" in found["data"]:
            others = [path for name, path in mounts.items() if name != volume["name"]]
            yield from checked(label(doc), found["data"]["kafkascope.yml"], others, kafkascope)


def checked(name, text, mounted, kafkascope):
    for path in FILE_KEY.findall(text):
        if not any(path.startswith(mount.rstrip("/") + "/") for mount in mounted):
            yield f"{name}: {path} is in none of its volumes, which are {mounted}"
    with tempfile.TemporaryDirectory() as scratch:
        # The files are not here: any that is there stands for them.
        stand_in = pathlib.Path(scratch, "file")
        stand_in.write_text("-----BEGIN CERTIFICATE-----\nstands for a file of a volume\n-----END CERTIFICATE-----\n")
        config = pathlib.Path(scratch, "kafkascope.yml")
        config.write_text(FILE_KEY.sub(lambda found: found[0].replace(found[1], str(stand_in)), text))
        done = subprocess.run([kafkascope, "check", config], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"{name}: `kafkascope check` of its configuration: {done.stderr.strip() or done.stdout.strip()}"


def rule_problems(doc, kafkascope):
    """The rules are those of alerts/, none missing, none changed."""
    said = [rule["record"] if "record" in rule else rule["alert"] for group in doc["spec"]["groups"] for rule in group["rules"]]
    optional = "service" in " ".join(group["name"] for group in doc["spec"]["groups"])
    command = [kafkascope, "rules", "--output", "prometheusrule"] + (["--service-levels"] if optional else [])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield f"{label(doc)}: `{' '.join(map(str, command))}`: {done.stderr.strip()}"
        return
    wanted = {group["name"]: group for group in yaml.safe_load(done.stdout)["spec"]["groups"]}
    has = {group["name"]: group for group in doc["spec"]["groups"]}
    if has != wanted:
        differ = sorted(name for name in has.keys() | wanted.keys() if has.get(name) != wanted.get(name))
        yield f"{label(doc)}: {len(said)} rules; differs from `kafkascope rules` in the groups {differ}"


def dashboard_problems(docs):
    """The dashboards are those of grafana/, each whole."""
    shipped = {path.name: path.read_text() for path in (REPOSITORY / "grafana/dashboards").glob("*.json")}
    found = {}
    for doc in docs:
        if doc["kind"] == "ConfigMap" and doc["metadata"].get("labels", {}).get("grafana_dashboard") == "1":
            found.update(doc["data"])
            if len(json.dumps(doc)) > LARGEST_CONFIG_MAP:
                yield f"{label(doc)}: too large for a ConfigMap"
    if not found:
        return
    if found.keys() != shipped.keys():
        yield f"dashboards: {sorted(found)} are installed, {sorted(shipped)} are in grafana/dashboards"
    for name in found.keys() & shipped.keys():
        if json.loads(found[name]) != json.loads(shipped[name]):
            yield f"dashboard {name} differs from grafana/dashboards"


def problems(docs, crds, kafkascope):
    for doc in docs:
        yield from schema_problems(doc, crds)
        yield from name_problems(doc)
        yield from selection_problems(doc, docs)
        if doc["kind"] == "Secret":
            yield f"{label(doc)}: secrets are not made here"
        if doc["kind"] == "PrometheusRule":
            yield from rule_problems(doc, kafkascope)
    for kind, name in {(doc["kind"], doc["metadata"]["name"]) for doc in docs}:
        if sum(doc["kind"] == kind and doc["metadata"]["name"] == name for doc in docs) > 1:
            yield f"{kind} {name}: is there more than once"
    for doc, _, pod in pod_specs(docs):
        yield from pod_problems(doc, pod)
        yield from config_problems(doc, pod, docs, kafkascope)
    yield from dashboard_problems(docs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crds", required=True)
    parser.add_argument("--kafkascope", required=True)
    parser.add_argument("sets", nargs="+")
    options = parser.parse_args()
    crds = load_crds(options.crds)
    bad = 0
    for named in options.sets:
        name, _, file = named.partition("=")
        docs = [doc for doc in yaml.safe_load_all(pathlib.Path(file).read_text()) if doc]
        if not docs:
            sys.exit(f"{name}: no manifests")
        found = list(problems(docs, crds, options.kafkascope))
        bad += len(found)
        for problem in found:
            print(f"{name}: {problem}")
        print(f"    {name}: {len(docs)} manifests" + ("" if not found else f", {len(found)} problems"))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
