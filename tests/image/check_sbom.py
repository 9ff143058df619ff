"""check_sbom.py BOM PACKAGES: a CycloneDX file is strictly valid, each package URL says what its component says, and it has
exactly the packages of `dpkg-query -W -f='${Package} ${Version}\\n'`. Prints what is wrong; exit status 1 then."""
import json
import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL


def problems(text, packages):
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if found:
        yield str(found)[:500]
    bom = json.loads(text)
    listed = [c for c in bom["components"] if "purl" in c]
    for component in listed:
        url = PackageURL.from_string(component["purl"])
        if (url.type, url.namespace, url.name, url.version) != ("deb", "debian", component["name"], component["version"]):
            yield f"{component['name']} {component['version']} is {component['purl']}"
        if url.to_string() != component["purl"]:
            yield f"{component['purl']} would be written {url.to_string()}"
    names = {f"{c['name']} {c['version']}" for c in listed}
    if names != packages:
        yield f"not the packages that are installed: {sorted(names ^ packages)[:5]}"
    if not any(c["type"] == "operating-system" for c in bom["components"]):
        yield "no operating system"


if __name__ == "__main__":
    wrong = list(problems(pathlib.Path(sys.argv[1]).read_text(), set(pathlib.Path(sys.argv[2]).read_text().splitlines())))
    print("\n".join(wrong[:10]))
    sys.exit(bool(wrong))
