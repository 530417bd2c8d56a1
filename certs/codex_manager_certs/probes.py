"""The client stacks that a machine may have, and one command for each that makes it open TLS to a host.

Law: a probe sends nothing but to the witness: no key, no data of the user; programs with settings of their own get an
empty home. What a stack prints does not matter, only what the witness saw.
"""

import json
import os
import shutil
import subprocess
import sys

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


__all__ = ["Probe", "find_probes"]

KEY = "sk-codex-manager-doctor"
"""No key at all; the witness looks at none."""
_REQUESTS = {
    "requests": "import requests; requests.get(url, timeout=15)",
    "httpx": "import httpx; httpx.get(url, timeout=15)",
    "httpx2": "import httpx2; httpx2.get(url, timeout=15)",
    "aiohttp": """
import aiohttp, asyncio
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.get(url):
            pass
asyncio.run(main())
""",
    "openai": f"import openai; openai.OpenAI(api_key={KEY!r}, max_retries=0, timeout=15).models.list()",
}
"""What each library is asked to do; it finds the witness as its proxy."""
_PYTHON_SSL = """
import os, socket, ssl
context = ssl.create_default_context()
with socket.create_connection(("127.0.0.1", int(os.environ["PROBE_PORT"])), timeout=15) as plain:
    with context.wrap_socket(plain, server_hostname=os.environ["PROBE_HOST"]) as secured:
        secured.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        secured.recv(1)
"""
_NODE = """
const { PROBE_HOST: servername, PROBE_PORT: port } = process.env;
require("https").get({ host: "127.0.0.1", port, servername, headers: { host: servername } }, (r) => r.resume())
  .on("error", (e) => { console.error(e.code || e.message); process.exit(1); });
"""
_GO = """package main
import ("fmt"; "net/http"; "os")
func main() { _, err := http.Get("https://" + os.Getenv("PROBE_HOST") + "/v1/models"); fmt.Println(err) }
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """One stack. `{home}` in its values is an empty folder of its own."""

    name: str
    program: str
    argv: tuple[str, ...]
    variable: str
    """Which of our variables it reads."""
    environ: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files to make in its home."""
    patience: float = 30.0
    """Seconds until it must have shown what it believes."""


def find_probes(environ: Mapping[str, str], host: str) -> list[Probe]:
    """A probe for every stack found on PATH."""
    return [*_pythons(environ, host), *_programs(environ, host)]


def _pythons(environ: Mapping[str, str], host: str) -> Iterator[Probe]:
    seen = set()
    for program in (_which("python3", environ), _which("python", environ), sys.executable):
        if not program or (real := _environment_of(program)) in seen:
            continue
        seen.add(real)
        yield Probe("Python ssl", program, (program, "-c", _PYTHON_SSL), "SSL_CERT_FILE")
        for module in _modules(program, environ):
            code = f"url = 'https://{host}/v1/models'\n{_REQUESTS[module]}"
            variable = "REQUESTS_CA_BUNDLE" if module == "requests" else "SSL_CERT_FILE"
            yield Probe(f"Python {module}", program, (program, "-c", code), variable)


def _environment_of(program: str) -> str:
    """Two links to one interpreter in one environment are one; a virtual environment is another."""
    return str(Path(program).parent.resolve() / Path(program).resolve().name)


def _modules(program: str, environ: Mapping[str, str]) -> list[str]:
    code = f"import importlib.util as u, json; print(json.dumps([m for m in {list(_REQUESTS)} if u.find_spec(m)]))"
    try:
        done = subprocess.run(  # noqa: S603 - an interpreter of the user's and code of ours
            [program, "-c", code], capture_output=True, text=True, timeout=20, check=True, env=dict(environ)
        )
        return list(json.loads(done.stdout))
    except (OSError, ValueError, subprocess.SubprocessError):
        return []  # an interpreter that does not run has no libraries to probe


def _programs(environ: Mapping[str, str], host: str) -> Iterator[Probe]:
    url = f"https://{host}/v1/models"
    argv: tuple[str, ...]
    if program := _which("node", environ):
        yield Probe("Node", program, (program, "-e", _NODE), "NODE_EXTRA_CA_CERTS")
    if program := _which("curl", environ):
        argv = (program, "-q", "-s", "-S", "-o", os.devnull, "--max-time", "15", url)
        yield Probe("curl", program, argv, "CURL_CA_BUNDLE")
    if program := _which("openssl", environ):
        argv = (
            program,
            "s_client",
            "-verify_return_error",
            "-quiet",
            "-servername",
            host,
            "-connect",
            "127.0.0.1:{port}",
        )
        yield Probe("OpenSSL", program, argv, "SSL_CERT_FILE", stdin="GET / HTTP/1.0\r\n\r\n")
    if program := _which("go", environ):
        argv = (program, "run", "{home}/probe.go")
        yield Probe("Go", program, argv, "SSL_CERT_FILE", files={"probe.go": _GO}, patience=120)  # compiles first
    if program := _which("codex", environ):
        own = {"CODEX_HOME": "{home}", "CODEX_API_KEY": KEY}
        argv = (program, "exec", "--skip-git-repo-check", "ping")
        yield Probe("Codex CLI", program, argv, "CODEX_CA_CERTIFICATE", environ=own, patience=60)
    if program := _which("opencode", environ):
        places = {f"XDG_{kind}_HOME": f"{{home}}/{kind.lower()}" for kind in ("CONFIG", "DATA", "CACHE", "STATE")}
        own = {"HOME": "{home}", "OPENAI_API_KEY": KEY, **places}
        argv = (program, "run", "--model", "openai/gpt-4.1-mini", "ping")
        yield Probe("OpenCode", program, argv, "NODE_EXTRA_CA_CERTS", environ=own, patience=60)


def _which(program: str, environ: Mapping[str, str]) -> str | None:
    return shutil.which(program, path=environ.get("PATH", os.defpath))
