"""Schemas where kubeconform looks for them: Kubernetes' own out of the package kubernetes-validate, the others out of CRDs."""
import json
import pathlib

import kubernetes_validate
import yaml


def write(folder, versions, crds):
    """Writes them for versions ("1.36") and CRD files; returns the kinds that the CRDs define."""
    kinds = set()
    packed = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    for version in versions:
        target = folder / f"v{version}.0-standalone-strict"
        target.mkdir(parents=True)
        for source in (packed / f"v{version}.0-local-strict").glob("*.json"):
            schema = json.loads(source.read_text().replace('"/api/_definitions.json', '"_definitions.json'))
            schema.pop("$id", None)  # it would send kubeconform to the network
            (target / source.name.replace("-core-v1.json", "-v1.json")).write_text(json.dumps(schema))
        for path in crds:
            kinds |= {write_crd(target, document) for document in yaml.safe_load_all(pathlib.Path(path).read_text()) if document}
    return kinds


def write_crd(target, crd):
    spec = crd["spec"]
    kind = spec["names"]["kind"]
    for version in spec["versions"]:
        name = f"{kind.lower()}-{spec['group'].split('.')[0]}-{version['name']}.json"
        schema = version["schema"]["openAPIV3Schema"]
        (target / name).write_text(json.dumps(closed(schema, top=True)))
    return kind


def closed(schema, top=False):
    """The schema with every object closed that lists its fields, as a strict API server reads it."""
    if not isinstance(schema, dict):
        return schema
    copy = {key: {name: closed(field) for name, field in value.items()} if key == "properties" else closed(value)
            for key, value in schema.items()}
    if "properties" in copy and "additionalProperties" not in copy and not copy.get("x-kubernetes-preserve-unknown-fields"):
        copy["additionalProperties"] = False
    if top and "metadata" in copy.get("properties", {}):
        copy["properties"]["metadata"] = {"type": "object"}
    return copy
