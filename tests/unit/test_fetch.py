import base64
import functools
import hashlib
import http.server
import os
import socket
import threading
import zipfile

import pytest

from boomlib.datasets.fetch import fetch
from boomlib.files import ContractError

CONTENT = b"smiles,density\nCCO,0.789\n"
OTHER = b"<html>404</html>"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def closed_port() -> int:
    """A local port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch):
    """Neither the user's mirror nor the user's package index nor a proxy takes part."""
    monkeypatch.delenv("BOOM_MIRROR", raising=False)
    for name in list(os.environ):
        if name.startswith("PIP_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")


@pytest.fixture
def source():
    """A source whose URL answers nobody: only a mirror has it."""
    return {"url": f"http://127.0.0.1:{closed_port()}/data.csv", "sha256": digest(CONTENT)}


@pytest.fixture
def server(tmp_path):
    """A folder served over HTTP: (folder, address)."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def make_wheel(path) -> str:
    """Write a wheel of the package ``tinypack`` 1.0 by hand; returns its sha256."""
    files = {
        "tinypack/__init__.py": b"",
        "tinypack/data.csv": CONTENT,
        "tinypack-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tinypack\nVersion: 1.0\n",
        "tinypack-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    hashes = {
        name: base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        for name, content in files.items()
    }
    record = "".join(f"{name},sha256={hashes[name]},{len(content)}\n" for name, content in files.items())
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
        wheel.writestr("tinypack-1.0.dist-info/RECORD", record + "tinypack-1.0.dist-info/RECORD,,\n")
    return digest(path.read_bytes())


def only_file(folder):
    (path,) = folder.iterdir()
    return path


def assert_names_the_remedy(error, name, sha256):
    for part in (name, sha256, "`mirror:`", "BOOM_MIRROR"):
        assert part in str(error.value)


@pytest.mark.parametrize("given_by", ["argument", "environment"])
def test_mirror_comes_first_and_is_searched_with_its_subfolders(tmp_path, monkeypatch, source, given_by):
    mirrored = tmp_path / "mirror/a/b/data.csv"
    mirrored.parent.mkdir(parents=True)
    mirrored.write_bytes(CONTENT)
    mirror = str(tmp_path / "mirror")
    if given_by == "environment":
        monkeypatch.setenv("BOOM_MIRROR", mirror)
    fetch("data.csv", source, tmp_path / "out/data.csv", mirror if given_by == "argument" else None)
    assert only_file(tmp_path / "out").read_bytes() == CONTENT
    assert mirrored.read_bytes() == CONTENT, "the mirror's own copy stays"


def test_the_configured_mirror_beats_the_environment(tmp_path, monkeypatch, source):
    for name, content in (("config", CONTENT), ("environment", OTHER)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.csv").write_bytes(content)
    monkeypatch.setenv("BOOM_MIRROR", str(tmp_path / "environment"))
    fetch("data.csv", source, tmp_path / "out/data.csv", str(tmp_path / "config"))
    assert (tmp_path / "out/data.csv").read_bytes() == CONTENT


def test_a_file_with_another_checksum_is_moved_aside_and_not_used(tmp_path, source):
    bad = tmp_path / "mirror/data.csv"
    bad.parent.mkdir()
    bad.write_bytes(OTHER)
    out = tmp_path / "out/data.csv"
    with pytest.raises(ContractError) as error:
        fetch("data.csv", source, out, str(tmp_path / "mirror"))
    for part in ("data.csv", str(bad), digest(OTHER), digest(CONTENT), f"{out}.rejected", "`sources:`"):
        assert part in str(error.value)
    assert only_file(out.parent).name == "data.csv.rejected"
    assert only_file(out.parent).read_bytes() == OTHER
    assert bad.read_bytes() == OTHER, "the mirror's own copy stays"


def test_a_good_file_is_fetched_after_a_rejected_one(tmp_path, source):
    mirrored = tmp_path / "mirror/data.csv"
    mirrored.parent.mkdir()
    mirrored.write_bytes(OTHER)
    out = tmp_path / "out/data.csv"
    with pytest.raises(ContractError):
        fetch("data.csv", source, out, str(tmp_path / "mirror"))
    mirrored.write_bytes(CONTENT)
    fetch("data.csv", source, out, str(tmp_path / "mirror"))
    assert out.read_bytes() == CONTENT


@pytest.mark.parametrize("made", [False, True], ids=["absent", "a file"])
def test_a_mirror_that_is_no_folder(tmp_path, source, made):
    if made:
        (tmp_path / "mirror").write_text("")
    with pytest.raises(ContractError, match=r"mirror is not a folder; correct `mirror:` in the config or BOOM_MIRROR"):
        fetch("data.csv", source, tmp_path / "out/data.csv", str(tmp_path / "mirror"))


def test_a_url_is_downloaded_when_the_mirror_lacks_the_file(tmp_path, server):
    folder, address = server
    (folder / "data.csv").write_bytes(CONTENT)
    (tmp_path / "mirror").mkdir()
    source = {"url": f"{address}/data.csv", "sha256": digest(CONTENT)}
    fetch("data.csv", source, tmp_path / "out/data.csv", str(tmp_path / "mirror"))
    assert only_file(tmp_path / "out").read_bytes() == CONTENT


def test_a_url_with_other_content_is_rejected(tmp_path, server):
    folder, address = server
    (folder / "data.csv").write_bytes(OTHER)
    source = {"url": f"{address}/data.csv", "sha256": digest(CONTENT)}
    with pytest.raises(ContractError) as error:
        fetch("data.csv", source, tmp_path / "out/data.csv")
    for part in (source["url"], digest(OTHER), digest(CONTENT)):
        assert part in str(error.value)
    assert only_file(tmp_path / "out").name == "data.csv.rejected"


def test_a_url_that_the_server_does_not_know(tmp_path, server):
    source = {"url": f"{server[1]}/data.csv", "sha256": digest(CONTENT)}
    with pytest.raises(ContractError, match="404") as error:
        fetch("data.csv", source, tmp_path / "out/data.csv")
    assert_names_the_remedy(error, "data.csv", source["sha256"])


def test_no_network_and_no_mirror_names_the_remedy(tmp_path, source):
    with pytest.raises(ContractError, match=f"cannot download {source['url']}") as error:
        fetch("data.csv", source, tmp_path / "out/data.csv")
    assert_names_the_remedy(error, "data.csv", source["sha256"])
    assert not (tmp_path / "out/data.csv").exists()


def test_a_wheel_comes_through_pip_from_the_users_own_index(tmp_path, monkeypatch):
    name = "tinypack-1.0-py3-none-any.whl"
    (tmp_path / "wheels").mkdir()
    sha256 = make_wheel(tmp_path / "wheels" / name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    left = tmp_path / "out" / f".{name}.scratch/half a wheel"
    left.parent.mkdir(parents=True)
    left.write_text("of a download that was killed")
    fetch(name, {"pypi": "tinypack==1.0", "sha256": sha256}, tmp_path / "out" / name)
    assert digest(only_file(tmp_path / "out").read_bytes()) == sha256


def test_a_wheel_with_another_checksum_is_not_used(tmp_path, monkeypatch):
    name = "tinypack-1.0-py3-none-any.whl"
    (tmp_path / "wheels").mkdir()
    found = make_wheel(tmp_path / "wheels" / name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    with pytest.raises(ContractError) as error:
        fetch(name, {"pypi": "tinypack==1.0", "sha256": digest(OTHER)}, tmp_path / "out" / name)
    assert found in str(error.value)
    assert digest(OTHER) in str(error.value)
    assert not list((tmp_path / "out").iterdir())


def test_a_wheel_without_network_and_without_mirror_names_the_remedy(tmp_path):
    name, sha256 = "tinypack-1.0-py3-none-any.whl", digest(CONTENT)
    with pytest.raises(ContractError, match=r"pip cannot download tinypack==1\.0 as tinypack-1\.0-py3") as error:
        fetch(name, {"pypi": "tinypack==1.0", "sha256": sha256}, tmp_path / "out" / name)
    assert_names_the_remedy(error, name, sha256)
    assert not list((tmp_path / "out").iterdir())


def test_a_wheel_is_taken_from_the_mirror_first(tmp_path):
    name = "tinypack-1.0-py3-none-any.whl"
    (tmp_path / "mirror").mkdir()
    sha256 = make_wheel(tmp_path / "mirror" / name)
    fetch(name, {"pypi": "tinypack==1.0", "sha256": sha256}, tmp_path / "out" / name, str(tmp_path / "mirror"))
    assert digest((tmp_path / "out" / name).read_bytes()) == sha256


def test_a_server_that_does_not_speak_http_names_the_remedy(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"220 mail.example.org ESMTP\r\n")

        threading.Thread(target=answer, daemon=True).start()
        source = {"url": f"http://127.0.0.1:{listening.getsockname()[1]}/data.csv", "sha256": digest(CONTENT)}
        with pytest.raises(ContractError) as error:
            fetch("data.csv", source, tmp_path / "out/data.csv")
        assert_names_the_remedy(error, "data.csv", source["sha256"])
