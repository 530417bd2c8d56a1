"""Writes tests/vault/vectors/*.json: vaults as data, each with the outcome that opening it must have.

    python tests/vault/make_vectors.py

Run it for a new format only: the files are committed and stay, so that every later version of codex-manager is held to
opening (or refusing) what this one wrote. The first version of a vector is made by the product, the bad ones by hand
from it.
"""

import base64
import contextlib
import copy
import json
import sqlite3
import tempfile

from pathlib import Path

from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.vault import CHEAPEST, RFC_9106_LOW_MEMORY, Vault


VECTORS = Path(__file__).parent / "vectors"
MASTER = "correct horse battery staple"
WHEN = "2026-01-02T03:04:05.000006Z"


def account(number, **fields):
    return Account(
        id=f"00000000-0000-4000-8000-00000000000{number}",
        label=f"Account {number}",
        api_key=Secret(f"sk-vector-{number}"),
        created_at=WHEN,
        updated_at=WHEN,
        **fields,
    )


FULL = account(
    1,
    organization="org-vector",
    project="proj_vector",
    base_url="https://eu.api.example.test/v1",
    models=("gpt-*", "!gpt-4*"),
    daily_limit_usd=2.5,
    monthly_limit_usd=40.0,
    priority=3,
    weight=0.5,
    enabled=False,
    admin_key=Secret("sk-admin-vector"),
    tags=("work", "größe"),
    notes="two\nlines",
    last_used_at=WHEN,
)


def vault_of(fill, *, master=MASTER, profile=CHEAPEST):
    """The rows of a vault that the product wrote."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "vault.db"
        with Vault.create(path, Secret(master), profile=profile) as vault:
            fill(vault)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            header, locked_at = connection.execute("SELECT json, locked_at FROM header").fetchone()
            records = connection.execute("SELECT kind, id, sealed FROM record ORDER BY kind, id").fetchall()
    return {
        "user_version": version,
        "header": header,
        "locked_at": locked_at,
        "records": [{"kind": kind, "id": record, "sealed": sealed} for kind, record, sealed in records],
    }


def two(vault):
    vault.add(account(2))
    vault.add(account(3))


def full(vault):
    vault.add(FULL)
    vault.add(account(2))
    vault.pin(FULL.id)
    vault.add_client_key("laptop")


def later(vault):
    vault.add(account(2))
    with vault._writing() as records:
        payload = records.get("account", account(2).id)
        records.put("account", account(2).id, {**payload, "field_of_a_later_version": {"deep": [1]}})


def shown(one):
    """An account as the vectors spell it."""
    values = {name: getattr(one, name) for name in Account.__dataclass_fields__}
    for name in ("api_key", "admin_key"):
        values[name] = values[name].reveal() if values[name] else None
    return {**values, "models": list(one.models), "tags": list(one.tags)}


def vector(name, vault, **expected):
    return {"name": name, "master_key": MASTER, "vault": vault, **expected}


def good():
    return [
        vector("empty", vault_of(lambda _: None), accounts=[], client_keys=[], pinned=None),
        vector(
            "every field",
            vault_of(full),
            accounts=[shown(FULL), shown(account(2))],
            client_keys=["laptop"],
            pinned=FULL.id,
        ),
        vector("field of a later version", vault_of(later), accounts=[shown(account(2))], client_keys=[], pinned=None),
        vector(
            "default key derivation",
            vault_of(two, profile=RFC_9106_LOW_MEMORY),
            accounts=[shown(account(2)), shown(account(3))],
            client_keys=[],
            pinned=None,
        ),
        vector(
            "master key in decomposed Unicode",
            vault_of(two, master="schlüssel"),
            accounts=[shown(account(2)), shown(account(3))],
            client_keys=[],
            pinned=None,
        )
        | {"master_key": "schlu\N{COMBINING DIAERESIS}ssel"},
    ]


def flipped(sealed, place):
    raw = bytearray(base64.b64decode(sealed))
    raw[place] ^= 1
    return base64.b64encode(raw).decode()


def tampered(base):
    def case(name, change):
        vault = copy.deepcopy(base)
        bad = change(vault["records"])
        return vector(name, vault, record=bad)

    def put(place):
        def change(records):
            records[0]["sealed"] = place(records[0]["sealed"])
            return records[0]["id"]

        return change

    def swap(records):
        records[0]["sealed"], records[1]["sealed"] = records[1]["sealed"], records[0]["sealed"]
        return records[0]["id"]

    def rename(records):
        records[0]["id"] = account(9).id
        return account(9).id

    def from_other(records):
        records[0]["sealed"] = vault_of(two)["records"][0]["sealed"]
        return records[0]["id"]

    def from_kind(records):
        records.append({"kind": "client_key", "id": records[0]["id"], "sealed": records[0]["sealed"]})
        return records[0]["id"]

    return [
        case("nonce", put(lambda sealed: flipped(sealed, 0))),
        case("ciphertext", put(lambda sealed: flipped(sealed, 12))),
        case("tag", put(lambda sealed: flipped(sealed, -1))),
        case("truncated", put(lambda sealed: sealed[:-8])),
        case("empty", put(lambda _: "")),
        case("not base64", put(lambda sealed: "!" + sealed[1:])),
        case("newline after it", put(lambda sealed: sealed + "\n")),
        case("swapped between accounts", swap),
        case("under another id", rename),
        case("from another vault with the same master key", from_other),
        case("moved to another kind", from_kind),
    ]


def with_header(base, **changes):
    vault = copy.deepcopy(base)
    header = json.loads(vault["header"])
    for name, value in changes.items():
        (header["kdf"] if name in header["kdf"] and name != "version" else header)[name] = value
    vault["header"] = json.dumps(header)
    return vault


def refused(base):
    def raw(text):
        return {**copy.deepcopy(base), "header": text}

    unknown_version = json.loads(base["header"])
    unknown_version["kdf"]["version"] = 16
    return [
        vector("t=0", with_header(base, time_cost=0)),
        vector("t=2**31", with_header(base, time_cost=2**31)),
        vector("m=1", with_header(base, memory_kib=1)),
        vector("m=2**31", with_header(base, memory_kib=2**31)),
        vector("p=0", with_header(base, parallelism=0)),
        vector("p=2**24", with_header(base, parallelism=2**24)),
        vector("no salt", with_header(base, salt="")),
        vector("short salt", with_header(base, salt="c2FsdA==")),
        vector("unknown key derivation", with_header(base, name="scrypt")),
        vector("unknown Argon2 version", raw(json.dumps(unknown_version))),
        vector("version 0", with_header(base, version=0)),
        vector("version is text", with_header(base, version="1")),
        vector("other format", with_header(base, format="something else")),
        vector("one field more", with_header(base, surprise=1)),
        vector("truncated", raw(base["header"][:100])),
        vector("not JSON", raw("vault")),
        vector("not an object", raw("[1]")),
    ]


def write(outcome, vectors):
    for one in vectors:
        one["outcome"] = outcome
    text = json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"
    (VECTORS / f"{outcome}.json").write_text(text, encoding="utf-8")


def main():
    base = vault_of(two)
    write("success", good())
    write(
        "wrong_key",
        [
            vector("another key", base) | {"master_key": "incorrect"},
            vector("capital letter", base) | {"master_key": MASTER.capitalize()},
            vector("space after it", base) | {"master_key": MASTER + " "},
            vector("salt of another vault", with_header(base, salt="AAAAAAAAAAAAAAAAAAAAAA==")),
            vector("cheaper derivation", with_header(base, time_cost=2)),
            vector("vault id of another", with_header(base, vault_id=account(1).id)),
            vector(
                "wrapped key of another",
                with_header(base, wrapped_key=json.loads(vault_of(two)["header"])["wrapped_key"]),
            ),
            vector("wrapped key cut", with_header(base, wrapped_key="AAAA")),
        ],
    )
    write("tampered", tampered(base))
    write("header_refused", refused(base))
    write(
        "too_new",
        [
            vector("header of version 2", with_header(base, version=2)),
            vector("header of version 2 with other fields", with_header(base, version=2, post_quantum="yes")),
            vector("schema of version 2", {**base, "user_version": 2}),
        ],
    )
    write("locked", [vector("locked", {**base, "locked_at": WHEN})])


if __name__ == "__main__":
    main()
