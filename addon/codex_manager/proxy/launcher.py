"""`python -m codex_manager.proxy`: a lean mitmproxy master, one listener, the runtime behind it; from start to drain.

Knows the order of starting and stopping and the words for the terminal. Law: says on stderr when it serves and where,
ends with one sentence when it cannot; SIGTERM and Ctrl-C let what is under way finish (10 s), a second one does not.
"""

import argparse
import asyncio
import contextlib
import errno
import gc
import getpass
import json
import logging
import os
import socket
import sys

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mitmproxy.options import Options
from mitmproxy.proxy.layers.http import HTTPMode

from codex_manager import __version__
from codex_manager.config import presence, storage
from codex_manager.config.address import Address, is_wildcard
from codex_manager.config.paths import Paths
from codex_manager.config.presence import RunningProxy
from codex_manager.config.schema import DEFAULT_LOCAL_KEYS
from codex_manager.core.errors import CodexManagerError
from codex_manager.core.secret import Secret
from codex_manager.proxy import attendance
from codex_manager.proxy import loop as event_loop
from codex_manager.proxy.arguments import again, options, parsed
from codex_manager.proxy.bridge import Bridge
from codex_manager.proxy.dialer import Dialer
from codex_manager.proxy.dispatch import LeanMaster
from codex_manager.proxy.forward import Forward
from codex_manager.proxy.interception import Interception
from codex_manager.proxy.layer import CodexHttpLayer
from codex_manager.proxy.listener import Listener
from codex_manager.proxy.logs import Logs, fail, say
from codex_manager.proxy.notices import Drain
from codex_manager.proxy.runtime import Runtime
from codex_manager.proxy.stopping import Stop
from codex_manager.proxy.tunnels import Tunnels
from codex_manager.vault.masterkey import VARIABLE
from codex_manager.vault.process import harden


if TYPE_CHECKING:
    from codex_manager.proxy.web.face import Face

__all__ = ["main"]

DRAIN_S = 10.0  # how long requests under way may take once we are asked to stop; systemd kills after 90 s
WIND_UP_S = 1.0  # what closing connections may take after that

log = logging.getLogger("codex_manager")


class ListenError(CodexManagerError):
    """The address cannot be listened on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; the exit status."""
    args = parsed(arguments)
    try:
        logs = Logs(
            level=args.log_level or "info",
            form=args.log_format or "text",
            detached=args.log_file if args.detached else None,
        )
        harden()
        _raise_file_limit()
        environ = _environ(args)
        if environ is None:
            return 0
        prompt = _prompt if sys.stdin.isatty() and not args.master_key_stdin else None
        if args.detached:
            say(f"codex-manager {__version__}, process {os.getpid()}")
        runtime = Runtime.open(Paths.locate(), environ, prompt, options=options(args))
        logs.follow(runtime.config.logging)
        runtime.tell_log(logs.memory.page)
        status = event_loop.run(_serve(runtime, args, environ, logs))
        if args.detached:
            say(f"ended with status {status}")
        return status
    except CodexManagerError as error:
        fail(error)
        _report(args, {"error": str(error), "hint": error.hint, "status": error.exit_code})
        return error.exit_code
    except KeyboardInterrupt:
        return 130


async def _serve(runtime: Runtime, args: argparse.Namespace, environ: Mapping[str, str], logs: Logs) -> int:
    loop = asyncio.get_running_loop()
    event_loop.start_tasks_at_once(loop)
    stop = Stop()
    with stop.on_signals(loop):
        face = _face(runtime, environ) if args.web else None
        master = LeanMaster(Options()) if face is None else face.master
        endpoint = ""
        dialer = Dialer(lambda: runtime.forward.dial)
        tunnels = Tunnels(dialer, lambda: listener.connections)
        interception = Interception(Paths.locate().authority_dir, lambda: runtime.forward.hosts)
        bridge = Bridge(
            runtime,
            connections=lambda: listener.connections,
            hears=master.addons.hears,
            routed=frozenset,
            forward=False,
            forwarder=Forward(lambda: runtime.forward, runtime.knows_key, lambda: endpoint),
            endpoint=lambda: endpoint,
            capture=runtime.capture if face is not None else None,
            streams=runtime.captures_streams,
        )
        listener = Listener(master, lambda context: CodexHttpLayer(context, HTTPMode.regular, bridge))
        if face is None:
            master.addons.add(listener, bridge, tunnels, interception)
        else:
            face.attach(listener, bridge, tunnels, interception)
        try:
            handed = None if args.listen_fd is None else socket.socket(fileno=args.listen_fd)
            bound = await _listen(listener, runtime.bind) if handed is None else (handed.getsockname()[:2],)
            endpoint = _endpoint(bound[0])
            await runtime.start(bound if face is None else (*bound, *face.bind()))
            gc.collect()
            gc.freeze()  # what was imported stays: the collector need not walk 200,000 objects in front of a request
            gc.enable()
            async with interception.kept():
                if handed is not None:
                    await listener.listen_on(handed)  # last, because clients may be waiting on it already
                proxy = _described(bound[0], runtime, args, logs, page="" if face is None else face.address)
                async with _attended(proxy, stop, runtime.control_token):
                    if face is not None:
                        face.serve(endpoint, bound[0])
                    _announce(bound[0], runtime, args)
                    for line in await face.announce() if face is not None else ():
                        _show(line)
                    _report(args, {"pid": proxy.pid, "address": str(Address(*bound[0])), "page": proxy.web})
                    await stop.asked.wait()
                    if args.detached:
                        say("asked to stop")
            await _drain(listener, bridge, tunnels, stop)
        finally:
            if face is not None:
                await face.close()
            listener.stop()
            listener.drop(lambda _: False)
            await listener.closed(WIND_UP_S)
            await runtime.close()
    return 128 + stop.again if stop.again else 0


def _face(runtime: Runtime, environ: Mapping[str, str]) -> "Face":
    """The page: mitmweb and the dashboard; half a second of imports that only `web` has to wait for."""
    from codex_manager.proxy.web.face import Face

    return Face(runtime, Paths.locate(environ), environ)


def _described(
    bound: tuple[str, int], runtime: Runtime, args: argparse.Namespace, logs: Logs, *, page: str
) -> RunningProxy:
    """What commands are told of this process."""
    return RunningProxy(
        pid=os.getpid(),
        host=bound[0],
        port=bound[1],
        version=__version__,
        started=attendance.now(),
        for_commands=args.while_used,
        detached=args.detached,
        service=args.service,
        web=page,
        log="" if logs.file is None else str(logs.file),
        arguments=again(args, runtime.bind, bound),
    )


@contextlib.asynccontextmanager
async def _attended(proxy: RunningProxy, stop: Stop, control: Secret) -> AsyncIterator[None]:
    """Be found by commands while serving, and stop after the last one if that was asked for."""
    folder = Paths.locate().data_dir
    here = attendance.Attendance(folder, proxy, control)
    await here.begin()
    waiting = here.until_unused(stop.asked.set) if proxy.for_commands else here.take_turn()
    watching = asyncio.create_task(waiting, name="attend to commands")
    try:
        async with stop.on_file(folder, control) if os.name == "nt" else contextlib.nullcontext():
            yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        here.end()


async def _listen(listener: Listener, address: Address) -> tuple[tuple[str, int], ...]:
    try:
        return await listener.listen(address.host, address.port)
    except OSError as error:
        other = Address(address.host, address.port + 1)
        if error.errno == errno.EADDRINUSE:
            running = await asyncio.to_thread(presence.running, Paths.locate().data_dir)
            if running is not None and running.port == address.port:
                raise ListenError(
                    f"{address} is in use by the proxy of this home, process {running.pid}",
                    hint=f"stop it with `codex-manager stop`, or listen elsewhere: `codex-manager proxy --bind {other}`",
                ) from error
            raise ListenError(
                f"{address} is in use by another program",
                hint=f"stop it, or listen elsewhere: `codex-manager proxy --bind {other}`",
            ) from error
        if error.errno == errno.EACCES:
            raise ListenError(f"listening on {address} is not permitted", hint="use a port from 1024 on") from error
        raise ListenError(
            f"{address} is not an address of this machine ({error.strerror or type(error).__name__})",
            hint="set proxy.bind_addr to 127.0.0.1:8080",
        ) from error


async def _drain(listener: Listener, bridge: Bridge, tunnels: Tunnels, stop: Stop) -> None:
    """Let what is under way finish; connections that only wait, and quiet tunnels, are closed at once."""
    listener.stop()
    bridge.wind_down()
    await listener.tell(Drain())
    listener.drop((bridge.busy_clients() | tunnels.busy_clients()).__contains__)
    if bridge.running:
        count = len(bridge.running)
        say(f"finishing {count} request{'' if count == 1 else 's'}, {DRAIN_S:.0f} s at most; again to stop at once")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while (bridge.running or tunnels.busy_clients()) and not stop.now.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.now.wait(), 0.05)


def _endpoint(bound: tuple[str, int]) -> str:
    """The base URL for clients on this machine."""
    host, port = bound
    return f"http://{Address('127.0.0.1' if is_wildcard(host) else host, port)}/v1"


def _announce(bound: tuple[str, int], runtime: Runtime, args: argparse.Namespace) -> None:
    address = Address(*bound)
    if args.port_file is not None:
        args.port_file.write_text(f"{address.port}\n", encoding="ascii")
    if args.ready_fd is not None:
        os.write(args.ready_fd, f"{address.port}\n".encode())
        os.close(args.ready_fd)
    say(f"listening on http://{address}")
    if args.detached:
        return  # who started us says the rest
    say(f"use it with: export OPENAI_BASE_URL={_endpoint(bound)}")
    key = runtime.config.proxy.api_key.reveal()
    shown = (
        key if key in DEFAULT_LOCAL_KEYS else "$(codex-manager config get proxy.api_key --reveal)"
    )  # the defaults are no secret
    say(f"             export OPENAI_API_KEY={shown}")
    if runtime.forward.enabled:
        say("for tools without such settings: codex-manager run -- COMMAND, or HTTPS_PROXY as `codex-manager env` says")


def _environ(args: argparse.Namespace) -> Mapping[str, str] | None:
    """The environment the runtime reads: this process's, and the master key if it came another way.

    None when stdin ended without one: whoever started us found another proxy meanwhile.
    """
    if not args.master_key_stdin:
        return os.environ
    key = sys.stdin.readline().rstrip("\n")
    return {**os.environ, VARIABLE: key} if key else None


def _show(text: str) -> None:
    """To a person at the terminal only: it may be what nobody else is to know. Where there is none, it is no such thing."""
    if sys.stderr.isatty():
        sys.stderr.write(f"codex-manager: {text}\n")
        sys.stderr.flush()
    else:
        say(text)


def _report(args: argparse.Namespace, document: Mapping[str, object]) -> None:
    """Tell whoever started us and waits for it."""
    if args.report is not None:
        try:
            storage.write(args.report, json.dumps(document) + "\n")
        except CodexManagerError as error:
            log.warning("%s", error)


def _prompt(question: str) -> str:
    return getpass.getpass(f"{question}: ", stream=sys.stderr)


def _raise_file_limit() -> None:
    """Each connection is a file; many systems start programs with 1,024."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS refuses `unlimited`; what there was stays
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
