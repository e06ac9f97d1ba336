"""Checks a compose file that compose-spec's reader has parsed and normalised.

    compose.py NORMALISED.json DIRECTORY

What it mounts is there, images are pinned, services are hardened, ports are open on this machine only, and what the mounted files say of each other's places is true. Lays the
mounted files out in DIRECTORY, as DIRECTORY/SERVICE/etc/…, for the programs that check them.
"""

import json
import pathlib
import re
import sys

import yaml

# Kafka's image writes into its own root when it starts.
WRITES_ITS_ROOT = "apache/kafka:"


def service_problems(name, service):
    image = service["image"]
    if not re.search(r":v?[0-9]+\.[0-9]+\.[0-9]+$", image):
        yield f"{name}: image {image} is not pinned"
    if service.get("cap_drop") != ["ALL"] or "no-new-privileges:true" not in service.get("security_opt", []):
        yield f"{name}: keeps capabilities or may gain privileges"
    if not service.get("read_only") and not image.startswith(WRITES_ITS_ROOT):
        yield f"{name}: its root is not read-only"
    for port in service.get("ports", []):
        if port.get("host_ip") != "127.0.0.1":
            yield f"{name}: port {port['target']} is open to others"
    if "healthcheck" not in service and service.get("ports") and name != "kafkascope":
        yield f"{name}: has no health check"


def mount_problems(name, service, directory):
    for volume in service.get("volumes", []):
        if volume["type"] != "bind":
            continue
        source = pathlib.Path(volume["source"])
        if not source.exists():
            yield f"{name}: mounts {source}, which is not there"
            continue
        if not volume.get("read_only"):
            yield f"{name}: may write to {source}"
        target = pathlib.Path(directory, name, volume["target"].lstrip("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)


def place_problems(services, directory):
    """Grafana finds the dashboards where its provisioning says, and Prometheus where its data source says."""
    grafana = pathlib.Path(directory, "grafana")
    targets = [volume["target"] for volume in services["grafana"]["volumes"]]
    for file in grafana.glob("etc/grafana/provisioning/dashboards/*.y*ml"):
        for provider in yaml.safe_load(file.read_text())["providers"]:
            if provider["options"]["path"] not in targets:
                yield f"grafana: {file.name} looks for dashboards in {provider['options']['path']}; mounted are {targets}"
    sources = list(grafana.glob("etc/grafana/provisioning/datasources/*.y*ml"))
    if not sources:
        yield "grafana: no data source is provisioned"
    for file in sources:
        for source in yaml.safe_load(file.read_text())["datasources"]:
            host = re.match(r"https?://([^:/]+)", re.sub(r"\$\{?(\w+)\}?", lambda v: services["grafana"]["environment"].get(v[1], ""), source["url"]))
            if not host or host[1] not in services:
                yield f"grafana: data source {source['name']} is at {source['url']}, which is no service here"


def main():
    services = json.loads(pathlib.Path(sys.argv[1]).read_text())["services"]
    found = []
    for name, service in services.items():
        found += service_problems(name, service)
        found += mount_problems(name, service, sys.argv[2])
    found += place_problems(services, sys.argv[2])
    for problem in found:
        print(problem)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
