"""Proves that manifests.py finds what it is there to find: each case breaks one thing of a set of manifests that is well."""

import copy
import unittest

import manifests

CONTAINER = {
    "name": "kafkascope",
    "image": "ghcr.io/kafkascope/kafkascope:0.1.0",
    "ports": [{"name": "http", "containerPort": 9308}],
    "livenessProbe": {"httpGet": {"path": "/-/healthy", "port": "http"}},
    "readinessProbe": {"httpGet": {"path": "/-/ready", "port": "http"}},
    "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
    "volumeMounts": [{"name": "secrets", "mountPath": "/secrets"}],
    "securityContext": {
        "runAsUser": 65532,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
POD = {"automountServiceAccountToken": False, "containers": [CONTAINER], "volumes": [{"name": "secrets", "secret": {"secretName": "secrets"}}]}
LABELS = {"app": "kafkascope"}


def deployment():
    template = {"metadata": {"labels": LABELS}, "spec": copy.deepcopy(POD)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "kafkascope"},
        "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template},
    }


def service():
    ports = [{"name": "http", "port": 9308, "targetPort": "http"}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kafkascope", "labels": LABELS}, "spec": {"selector": LABELS, "ports": ports}}


def budget():
    spec = {"minAvailable": 1, "selector": {"matchLabels": LABELS}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "kafkascope"}, "spec": spec}


CRD = manifests.strict({"type": "object", "properties": {"spec": {"type": "object", "properties": {"port": {"x-kubernetes-int-or-string": True}}}}})


class Finds(unittest.TestCase):
    def found(self, *docs):
        return list(manifests.problems(list(docs), {}, "no-kafkascope-is-needed"))

    def assert_found(self, words, *docs):
        found = self.found(*docs)
        self.assertTrue(any(words in problem for problem in found), found)

    def broken(self, change):
        doc = deployment()
        change(doc["spec"]["template"]["spec"])
        return doc

    def test_nothing_in_what_is_well(self):
        self.assertEqual(self.found(deployment(), service()), [])

    def test_a_field_that_kubernetes_does_not_know(self):
        self.assert_found("replicaCount", {**deployment(), "spec": {**deployment()["spec"], "replicaCount": 1}})

    def test_a_kind_without_a_schema(self):
        self.assert_found("schema", {**service(), "apiVersion": "example.org/v1", "kind": "Unknown"})

    def test_names_and_labels_that_kubernetes_refuses(self):
        for name in ("my.release", "9kafka", "k" * 64):
            doc = service()
            doc["metadata"]["name"] = name
            self.assert_found("no name for a Service", deployment(), doc)
        doc = service()
        doc["metadata"]["labels"] = {**LABELS, "team": "a b"}
        self.assert_found("the label team", deployment(), doc)
        self.assert_found("more than once", deployment(), service(), service())

    def test_a_pod_with_privileges(self):
        for key, value in [("runAsNonRoot", False), ("readOnlyRootFilesystem", False), ("capabilities", {}), ("runAsUser", 0), ("allowPrivilegeEscalation", True)]:
            self.assert_found(key, self.broken(lambda pod: pod["containers"][0]["securityContext"].update({key: value})))
        self.assert_found("token", self.broken(lambda pod: pod.pop("automountServiceAccountToken")))

    def test_a_container_without_bounds_probes_or_a_pinned_image(self):
        self.assert_found("limit of memory", self.broken(lambda pod: pod["containers"][0]["resources"].pop("limits")))
        self.assert_found("both probes", self.broken(lambda pod: pod["containers"][0].pop("readinessProbe")))
        self.assert_found("not pinned", self.broken(lambda pod: pod["containers"][0].update(image="ghcr.io/kafkascope/kafkascope:latest")))

    def test_what_selects_nothing_or_a_port_that_is_not_there(self):
        other = service()
        other["spec"]["selector"] = {"app": "other"}
        self.assert_found("selects no pod", deployment(), other)
        other = service()
        other["spec"]["ports"][0]["targetPort"] = "metrics"
        self.assert_found("no port metrics", deployment(), other)

    def test_secrets_that_cannot_be_read(self):
        closed = self.broken(lambda pod: pod["volumes"][0]["secret"].update(defaultMode=0o440))
        self.assert_found("no user but root", closed)
        closed["spec"]["template"]["spec"]["securityContext"] = {"fsGroup": 65532}
        self.assertEqual(self.found(closed), [])

    def test_a_budget_with_one_replica(self):
        self.assert_found("draining", deployment(), budget())

    def test_volumes_and_config_maps_that_are_not_there(self):
        self.assert_found("no volume", self.broken(lambda pod: pod.pop("volumes")))
        self.assert_found("no ConfigMap", self.broken(lambda pod: pod["volumes"].append({"name": "c", "configMap": {"name": "gone"}})))

    def test_a_sidecar_that_can_unready_its_broker(self):
        doc = deployment()
        doc.update(kind="StatefulSet")
        doc["spec"]["serviceName"] = "kafka"
        self.assert_found("unready", doc)
        self.assert_found("KAFKASCOPE_SCOPE", doc)

    def test_a_field_that_a_crd_does_not_know(self):
        doc = {"apiVersion": "example.org/v1", "kind": "Known", "metadata": {"name": "known"}, "spec": {"port": 1, "ports": 2}}
        crds = {("example.org/v1", "Known"): {**CRD, "properties": {**CRD["properties"], "apiVersion": {}, "kind": {}, "metadata": {}}}}
        self.assertIn("ports", list(manifests.schema_problems(doc, crds))[0])
        del doc["spec"]["ports"]
        self.assertEqual(list(manifests.schema_problems(doc, crds)), [])

    def test_files_that_no_volume_holds(self):
        found = list(manifests.checked("it", "sasl: {password_file: /elsewhere/password}", ["/secrets"], "/bin/true"))
        self.assertEqual(len(found), 1)
        self.assertIn("/elsewhere/password", found[0])


if __name__ == "__main__":
    unittest.main()
