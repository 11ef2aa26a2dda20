from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from nervure.core.error import EnvironmentMissing, SettingError
from nervure.core.settings import Nats
from nervure.stream.conf import (
    Gate,
    Wrapped,
    configuration,
    read_secret,
    require_loopback,
    write_private,
)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_is_taken(host: str) -> None:
    require_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "", "192.168.1.4", "::", "example.org"])
def test_an_address_that_others_reach_is_refused(host: str) -> None:
    with pytest.raises(SettingError, match="anyone could publish"):
        require_loopback(host)


def test_the_secret_is_made_once_and_is_its_owner_s_only(tmp_path: Path) -> None:
    first = read_secret(tmp_path / "nats")
    assert first == read_secret(tmp_path / "nats")
    assert len(first) >= 32
    assert first != read_secret(tmp_path / "other")
    assert (tmp_path / "nats" / "secret").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentMissing, match="cannot write"):
        write_private(tmp_path / "file" / "secret", "x")


@pytest.mark.parametrize(("sync_s", "written"), [(0.0, "always"), (2.5, "2500ms"), (120.0, "120000ms")])
def test_the_log_is_flushed_as_often_as_was_set(tmp_path: Path, sync_s: float, written: str) -> None:
    text = configuration(Nats(sync_s=sync_s), folder=tmp_path, secret="s", name="n", door=True)
    assert msgspec.json.decode(text)["jetstream"]["sync_interval"] == written


def test_no_device_gets_in_while_the_door_is_shut(tmp_path: Path) -> None:
    def tree(*, door: bool) -> dict[str, object]:
        text = configuration(Nats(mqtt_port=1999), folder=tmp_path, secret="s", name="n", door=door)
        found: dict[str, object] = msgspec.json.decode(text)
        return found

    assert tree(door=True)["mqtt"] == {"listen": "127.0.0.1:1999", "no_auth_user": "device"}
    assert "mqtt" not in tree(door=False)


def test_with_a_gate_the_server_asks_and_nobody_comes_in_unnamed(tmp_path: Path) -> None:
    tls = Wrapped(certificate="c.pem", key="c.key", authority="ca.pem", require=True)
    gate = Gate(issuer="AXYZ", secret="s", tls=tls)
    text = configuration(Nats(mqtt_host="::"), folder=tmp_path, secret="s", name="n", door=True, gate=gate)
    tree = msgspec.json.decode(text)
    assert tree["mqtt"]["listen"] == "[::]:1883"
    assert "no_auth_user" not in tree["mqtt"]
    assert (tree["mqtt"]["tls"]["verify"], tree["mqtt"]["tls"]["min_version"]) == (True, "1.2")
    assert tree["authorization"]["auth_callout"]["account"] == "$G"
    users = {one["user"]: one for one in tree["authorization"]["users"]}
    assert set(users) == {"nervure", "nervure-probe"}
    assert users["nervure"]["allowed_connection_types"] == ["STANDARD"]
    assert users["nervure-probe"]["permissions"] == {"publish": {"deny": ">"}, "subscribe": {"deny": ">"}}
