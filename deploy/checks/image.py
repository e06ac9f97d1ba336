"""Checks what of an image's build can be checked without an engine.

    image.py PROGRAM

Of the Dockerfile: that every file which it copies is there and sent, that the crate is whole with these files alone, that the compiler is new enough, and that the
builder's Debian is the base's; of all of deploy/, that it names the crate's version. Of PROGRAM, the binary: that it needs only libraries that the base holds, in a version that it has.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DOCKERFILE = REPOSITORY / "deploy/Dockerfile"
IGNORE = REPOSITORY / "deploy/Dockerfile.dockerignore"
# gcr.io/distroless/cc: glibc (libc6 with its parts), libgcc, libgomp and libstdc++.
IN_BASE = re.compile(r"^(lib(c|m|dl|pthread|rt|resolv|gcc_s|stdc\+\+)\.so\.[0-9]+|ld-linux.*\.so\.[0-9]+)$")
GLIBC_OF = {"bookworm": (2, 36), "trixie": (2, 41)}
DEBIAN_OF = {"debian12": "bookworm", "debian13": "trixie"}
NAMED_VERSION = re.compile(r"(?:kafkascope/kafkascope:|kafkascope-|image\.version=\"|^(?:version|appVersion): |newTag: )(\d+\.\d+\.\d+)", re.M)
EMBEDDED = re.compile(r"include_(?:str|bytes)!\(\s*(?:concat!\(env!\(\"CARGO_MANIFEST_DIR\"\),\s*)?\"([^\"]+)\"")


def sent():
    """What the ignore file lets through: it names all exceptions from `*`."""
    lines = [line.strip() for line in IGNORE.read_text().splitlines() if line.strip() and not line.startswith("#")]
    if lines[0] != "*" or any(not line.startswith("!") for line in lines[1:]):
        sys.exit(f"{IGNORE}: more than exceptions from *, which this check does not read")
    return {line[1:] for line in lines[1:]}


def copied():
    """Sources of the build stage's COPY, and of the final one's that come from the context."""
    sources = {"build": set(), "final": set()}
    stage = "build"
    for line in DOCKERFILE.read_text().splitlines():
        if line.startswith("FROM") and " AS build" not in line:
            stage = "final"
        if line.startswith("COPY") and "--from=" not in line:
            sources[stage].update(line.split()[1:-1])
    return sources


def context_problems():
    sources, files = copied(), sent()
    for source in sorted(sources["build"] | sources["final"]):
        if not (REPOSITORY / source).exists():
            yield f"the Dockerfile copies {source}, which is not there"
        if source not in files:
            yield f"the Dockerfile copies {source}, which {IGNORE.name} keeps back"
    for name in sorted(files - sources["build"] - sources["final"]):
        yield f"{IGNORE.name} lets {name} through, which the Dockerfile does not copy"
    yield from embedded_problems(sources["build"])
    yield from crate_problems(sources["build"])


def embedded_problems(sources):
    """What the code embeds (include_str!) is in the build."""
    for path in (REPOSITORY / "src").rglob("*.rs"):
        if path.name == "tests.rs" or "tests" in path.parent.parts:
            continue
        text = path.read_text().split("#[cfg(test)]")[0]
        for name in EMBEDDED.findall(text):
            target = (REPOSITORY / name.lstrip("/") if name.startswith("/") else path.parent / name).resolve()
            top = target.relative_to(REPOSITORY).parts[0]
            if not target.exists() or top not in sources:
                yield f"{path.relative_to(REPOSITORY)} embeds {name}, which the Dockerfile does not copy"


def crate_problems(sources):
    """Cargo reads the manifest with these files alone, and no crate asks for a newer compiler."""
    builder = re.search(r"^FROM rust:([0-9.]+)-slim-(\w+) AS build$", DOCKERFILE.read_text(), re.M)
    base = re.search(r"^FROM gcr.io/distroless/cc-(debian[0-9]+):nonroot$", DOCKERFILE.read_text(), re.M)
    if not builder or not base:
        yield "the Dockerfile's builder and base are not rust:VERSION-slim-RELEASE and gcr.io/distroless/cc-debianN:nonroot"
        return
    if builder[2] != DEBIAN_OF[base[1]]:
        yield f"built on {builder[2]}, run on {base[1]}: the base's glibc may be older"
    with tempfile.TemporaryDirectory() as scratch:
        for source in sources:
            target = pathlib.Path(scratch, source)
            if (REPOSITORY / source).is_dir():
                shutil.copytree(REPOSITORY / source, target)
            else:
                shutil.copy(REPOSITORY / source, target)
        done = subprocess.run(["cargo", "metadata", "--locked", "--format-version=1"], cwd=scratch, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"cargo, with what the Dockerfile copies: {done.stderr.strip()}"
            return
    have = tuple(map(int, builder[1].split(".")))
    for package in json.loads(done.stdout)["packages"]:
        if tuple(map(int, (package["rust_version"] or "0").split("."))) > have:
            yield f"{package['name']} needs Rust {package['rust_version']}, the builder has {builder[1]}"


def version_problems():
    """Whatever names a version of kafkascope, in files that no build fills in, names the crate's."""
    version = re.search(r'^version = "(.+)"$', (REPOSITORY / "Cargo.toml").read_text(), re.M)[1]
    for path in sorted(path for path in (REPOSITORY / "deploy").rglob("*") if path.is_file() and not path.is_symlink() and "files" not in path.parts):
        for named in NAMED_VERSION.findall(path.read_text()):
            if named != version:
                yield f"{path.relative_to(REPOSITORY)}: kafkascope {named}, but Cargo.toml has {version}"


def program_problems(program):
    """The binary runs on the base: its libraries, and the newest version of glibc that it asks for."""
    dynamic = subprocess.run(["readelf", "-dW", program], capture_output=True, text=True, check=True).stdout
    needed = re.findall(r"NEEDED.*\[(.+)\]", dynamic)
    for name in needed:
        if not IN_BASE.match(name):
            yield f"the binary needs {name}, which the base has not"
    versions = subprocess.run(["readelf", "-VW", program], capture_output=True, text=True, check=True).stdout
    asked = max((tuple(map(int, found)) for found in re.findall(r"GLIBC_(\d+)\.(\d+)", versions)), default=(0, 0))
    release = re.search(r"slim-(\w+) AS build", DOCKERFILE.read_text())[1]
    # Built elsewhere than in the builder, it may ask for more than it will there; that tells nothing about the image.
    print(f"    needs {', '.join(needed)} and glibc {asked[0]}.{asked[1]}; the base, {release}, has {GLIBC_OF[release][0]}.{GLIBC_OF[release][1]}")
    if asked > GLIBC_OF[release] and debian() == release:
        yield f"the binary asks for glibc {asked}, the base has {GLIBC_OF[release]}"


def debian():
    found = re.search(r"^VERSION_CODENAME=(\w+)$", pathlib.Path("/etc/os-release").read_text(), re.M)
    return found[1] if found else None


def main():
    found = [*context_problems(), *version_problems(), *program_problems(sys.argv[1])]
    for problem in found:
        print(problem)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
