"""The keyring's face against a real Secret Service and against backends that do not keep secrets."""

import pytest

from tests.vault.secret_service import STILL_LOCKED, python, session


pytestmark = pytest.mark.slow  # each of these starts real programs; `.ci/run` runs them


LOCK = """
    import secretstorage
    connection = secretstorage.dbus_init()
    secretstorage.get_default_collection(connection).lock()
    connection.close()
"""


def test_a_key_kept_by_one_process_opens_the_vault_in_another():
    """`init` makes a random key, the keyring keeps it, and nobody is asked."""
    said = session(
        "vault, source = create_vault(path, environ={}, prompt=None, profile=CHEAPEST)\n"
        "vault.add(new_account('Work', Secret('sk-x')))\nprint(source)",
        "key = resolve(path, environ={}, prompt=None)\nprint(key.source, len(key.secret.reveal()))\n"
        "print([account.label for account in Vault.open(path, key.secret).accounts()])",
    )
    assert said == ["keyring", "keyring 43\n['Work']"]


def test_a_new_master_key_follows_the_old_one_in_the_keyring(tmp_path):
    """After `rekey` the vault opens by itself; so does the backup made before it. Forgetting needs the key typed."""
    backup = str(tmp_path / "copy.db")
    said = session(
        "create_vault(path, environ={}, prompt=None, profile=CHEAPEST)[0].close()",
        f"vault = open_vault(path, environ={{}}, prompt=None)\nvault.backup(Path({backup!r}))\n"
        "print(rekey(vault, None, profile=CHEAPEST), kept(path))",
        "open_vault(path, environ={}, prompt=None).close(); print('opens')",
        "print(rekey(open_vault(path, environ={}, prompt=None), Secret('typed by hand'), profile=CHEAPEST))",
        "print(resolve(path, environ={}, prompt=None).secret.reveal())",
        f"open_vault(Path({backup!r}), environ={{}}, prompt=None).close(); print('opens')",
        "tell(forget, path, Secret('wrong'))\nprint(kept(path))\ntell(forget, path, Secret('typed by hand'))\nprint(kept(path))",
        "tell(resolve, path, environ={}, prompt=None)",
        "keep(path, Secret('typed by hand'))\nprint(resolve(path, environ={}, prompt=None).source)",
    )
    assert said[1:6] == ["keyring True", "opens", "keyring", "typed by hand", "opens"]
    assert said[6].splitlines()[0].startswith("WrongKeyError | the master key does not open this vault")
    assert said[6].splitlines()[1:] == ["True", "True", "False"]
    assert "the OS keyring holds no key for this vault" in said[7]
    assert said[8] == "keyring"


def test_a_crash_between_keyring_and_vault_loses_no_access():
    """The new key is in the keyring before the vault needs it; killed in between, the old one still opens it."""
    said = session(
        "create_vault(path, environ={}, prompt=None, profile=CHEAPEST)[0].close()",
        """
        import signal
        vault = open_vault(path, environ={}, prompt=None)
        ring = Keyring()
        def keep_and_die(header):
            ring.set(header.keyring_name, Secret("new"))
            print("kept", flush=True)
            if os.fork() == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            os.wait()
            os._exit(0)
        vault.rekey(Secret("new"), profile=CHEAPEST, before_commit=keep_and_die)
        """,
        "open_vault(path, environ={}, prompt=None).close(); print('opens')",
    )
    assert said[1:] == ["kept", "opens"]


def test_set_get_delete():
    said = session(
        "ring = Keyring(); print(ring.get('a')); ring.set('a', Secret('ä' * 200)); ring.set('a', Secret('x'))",
        "ring = Keyring(); print(ring.get('a').reveal(), ring.delete('a'), ring.delete('a'), ring.get('a'))",
    )
    assert said == ["None", "x True False None"]


def test_a_locked_keyring_is_a_sentence_and_the_prompt_comes_next():
    """Locked while in use: get, set and delete say so; resolving goes on to the prompt, or names all three."""
    said = session(
        "create_vault(path, environ={}, prompt=None, profile=CHEAPEST)[0].close()\nKeyring().set('a', Secret('x'))",
        LOCK,
        "tell(Keyring().get, 'a')\ntell(Keyring().set, 'a', Secret('y'))\ntell(Keyring().delete, 'a')",
        "tell(resolve, path, environ={}, prompt=None)\nprint(resolve(path, environ={}, prompt=lambda _: 'typed'))",
        "tell(create_vault, path.with_name('other.db'), environ={}, prompt=None)\nprint(path.with_name('other.db').exists())",
    )
    assert [line.split(" | ")[:2] for line in said[2].splitlines()] == [
        ["KeyringLockedError", "the keyring is locked"]
    ] * 3
    refusal, prompted = said[3].splitlines()
    assert refusal.startswith(
        "NoMasterKeyError | no master key: CAM_MASTER_KEY is not set, the OS keyring is of no help "
        "(the keyring is locked), and there is no terminal to ask on"
    )
    assert prompted == "MasterKey(secret=[secret], source='prompt')"
    assert said[4].splitlines()[0].startswith("NoMasterKeyError")
    assert said[4].splitlines()[1] == "False"


def test_a_keyring_that_was_never_unlocked_in_this_session_is_locked():
    """As after logging in without a password."""
    session("create_vault(path, environ={}, prompt=None, profile=CHEAPEST)[0].close()")
    (said,) = session("tell(resolve, path, environ={}, prompt=None)", start=STILL_LOCKED)
    assert said.startswith("NoMasterKeyError")
    assert "the keyring is locked" in said


def test_no_session_bus_is_a_sentence():
    """A server, a container, cron."""
    said = python("tell(Keyring().get, 'a')\ntell(Keyring().set, 'a', Secret('x'))").splitlines()
    assert [line.split(" | ")[:2] for line in said] == [
        ["KeyringMissingError", "there is no keyring service in this session"]
    ] * 2


BACKENDS = '''
import time

from keyring.backend import KeyringBackend


class Memory(KeyringBackend):
    """Keeps secrets as a real backend does, for as long as the process lives."""

    priority = 9
    kept: dict[tuple[str, str], str] = {}

    def get_password(self, service, username):
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        del self.kept[service, username]


class PlaintextKeyring(Memory):
    """Named as the one of keyrings.alt that writes a readable file."""

    priority = 20


class Forgetful(Memory):
    priority = 0

    def set_password(self, service, username, password):
        pass


class Hanging(Memory):
    priority = 0

    def get_password(self, service, username):
        time.sleep(60)


class Breaking(Memory):
    priority = 0

    def get_password(self, service, username):
        raise RuntimeError("sk-canary is in this text")
'''


@pytest.fixture
def backends(tmp_path):
    """Keyring backends by other people, importable in a child process."""
    (tmp_path / "others.py").write_text(BACKENDS)
    alt = tmp_path / "keyrings" / "alt"
    alt.mkdir(parents=True)
    (alt / "file.py").write_text("from others import Memory\n\n\nclass EncryptedKeyring(Memory):\n    pass\n")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("keyring.backends.null.Keyring", "KeyringRefusedError | the keyring on offer does not keep secrets safe: "),
        ("keyring.backends.fail.Keyring", "KeyringMissingError | there is no keyring service in this session"),
        ("others.PlaintextKeyring", "KeyringRefusedError | the keyring on offer does not keep secrets safe: others.Pl"),
        ("keyrings.alt.file.EncryptedKeyring", "KeyringRefusedError | the keyring on offer does not keep secrets safe"),
        ("others.Forgetful", "KeyringRefusedError | the keyring others.Forgetful did not keep what it was given"),
        ("others.Hanging", "KeyringTimeoutError | the keyring did not answer within 0.2 s; a prompt may be waiting"),
        ("others.Breaking", "KeyringRefusedError | the keyring failed with RuntimeError | set CAM_MASTER_KEY"),
        ("others.Memory", "None"),
    ],
)
def test_what_is_said_of_a_backend(backends, backend, said):
    """A hanging one does not keep the process from ending, and no text of a backend is repeated."""
    patience = 0.2 if backend == "others.Hanging" else 20  # the others answer as soon as a busy machine lets them
    answer = python(
        f"tell(Keyring(timeout_s={patience}).set, 'a', Secret('x'))",
        PYTHON_KEYRING_BACKEND=backend,
        PYTHONPATH=backends,
    )
    assert answer.startswith(said)
    assert "canary" not in answer


@pytest.mark.parametrize("backend", ["keyring.backends.null.Keyring", "others.PlaintextKeyring", "others.Forgetful"])
def test_no_vault_is_made_with_a_key_that_nobody_keeps(backends, backend):
    """A random key in a null keyring would be lost at once."""
    answer = python(
        "tell(create_vault, path, environ={}, prompt=None, profile=CHEAPEST)\nprint(path.exists())",
        PYTHON_KEYRING_BACKEND=backend,
        PYTHONPATH=backends,
    )
    assert answer.splitlines()[0].startswith("NoMasterKeyError | no master key: CAM_MASTER_KEY is not set")
    assert answer.splitlines()[1] == "False"


def test_of_a_chain_the_first_backend_that_keeps_secrets_is_used(backends):
    """The chain alone would write into the plaintext file, which it ranks higher; a chain of nothing else is refused."""
    answer = python(
        """
        import keyring, others
        Keyring().set("a", Secret("x"))
        chain = keyring.get_keyring()
        print(type(chain).__name__, [type(backend).__name__ for backend in chain.backends][:2])
        print(Keyring().get("a").reveal())
        others.Memory.priority = -1
        tell(Keyring().get, "a")
        """,
        PYTHON_KEYRING_BACKEND="keyring.backends.chainer.ChainerBackend",
        PYTHONPATH=backends,
    ).splitlines()
    assert answer[0] == "ChainerBackend ['PlaintextKeyring', 'Memory']"
    assert answer[1] == "x"
    assert answer[2].startswith("KeyringRefusedError | the keyring on offer does not keep secrets safe: others.Pl")
