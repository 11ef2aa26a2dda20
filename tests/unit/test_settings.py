"""Settings: where they come from, who wins, and what a person is told when one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from nervure.core.error import SettingError
from nervure.core.settings import Settings, flat, load, variable


def test_later_sources_win_and_each_setting_knows_its_own(tmp_path: Path) -> None:
    file = tmp_path / "nervure.toml"
    file.write_text('data = "here"\n[nats]\nport = 4001\nmqtt_port = 4002\n[http]\nport = 4003\n')
    settings, origin = load(
        file,
        environ={"NERVURE_NATS_PORT": "5001", "NERVURE_HTTP_PORT": "5003"},
        override={"http.port": "6003"},
    )
    assert (settings.nats.mqtt_port, settings.nats.port, settings.http.port) == (4002, 5001, 6003)
    assert settings.folder == Path("here")
    assert origin == {
        "data": str(file),
        "nats.mqtt_port": str(file),
        "nats.port": "NERVURE_NATS_PORT",
        "http.port": "the command line",
    }


def test_every_setting_but_a_listed_one_has_a_variable_that_sets_it() -> None:
    texts = {int: "7000", float: "7.5", str: "127.0.0.1", bool: "true"}
    special = {
        "project.solutions": "water, traffic",
        "limits.oldest": "2000-01-01",
        "notify.webhook": "http://127.0.0.1/",
        "oidc.issuer": "http://127.0.0.1/",
        "score.batch": "32",
        "limits.depth": "9",
        "scale.partitions": "16",
        "scale.workers": "4",
        "tls.names": "water, traffic",
        "oidc.new_users": "viewer",
        "notify.mail_to": "ann@example.org, bo@example.org",
        "notify.mail_from": "node@example.org",
        "notify.mail_severity": "minor",
        "notify.smtp_security": "tls",
    }
    for name, default in flat(Settings()).items():
        key = variable(name)
        if name in {"broker", "thing"}:
            assert key is None
            continue
        assert key is not None
        text = special.get(name, texts.get(type(default), "nats://127.0.0.1:4222"))
        settings, origin = load(environ={key: text})
        assert origin == {name: key}
        found = flat(settings)[name]
        assert found == (tuple(text.split(", ")) if ", " in text else type(found)(text)), name


@pytest.mark.parametrize(
    ("text", "environ", "says"),
    [
        ("[nats]\nprot = 1\n", {}, ["unknown field `prot`", "nervure.toml $.nats"]),
        ("[nats]\nport = 70000\n", {}, ["<= 65535", "nervure.toml $.nats.port"]),
        ("[nats]\nport = 0\n", {}, [">= 1", "$.nats.port"]),
        ("[http]\nport = 'many'\n", {}, ["Expected `int`", "$.http.port"]),
        ("nats = 5\n", {"NERVURE_NATS_PORT": "1"}, ["nats is a section", "NERVURE_NATS_PORT"]),
        ("[nats\n", {}, ["not TOML", "nervure.toml"]),
        ("", {"NERVURE_NATS_PROT": "1"}, ["NERVURE_NATS_PROT is no setting", "NERVURE_NATS_PORT?"]),
        ("", {"NERVURE_NATS_PORT": "x"}, ["Expected `int`", "NERVURE_NATS_PORT $.nats.port"]),
        ("", {"NERVURE_HTTP_HOST": "0.0.0.0"}, ["pass in the clear", "NERVURE_HTTP_HOST"]),
        ("[nats]\nhost = 'example.org'\n", {}, ["only be this machine", "$.nats.host"]),
        ("[nats]\nmqtt_host = '0.0.0.0'\n", {}, ["pass in the clear", "$.nats.mqtt_host"]),
        ("[access]\nopen = true\n[http]\nhost = '::'\n[tls]\non = true\n", {}, ["an open node"]),
        ("[http]\nport = 4222\n", {}, ["nats.port and http.port are both 4222", "nervure.toml"]),
        ("[notify]\nwebhook = 'file:///etc/passwd'\n", {}, ["matching regex", "$.notify.webhook"]),
        ("[limits]\noldest = 'long ago'\n", {}, ["matching regex", "$.limits.oldest"]),
        ("[[thing]]\nname = 'A'\n", {}, ["missing required field `solution`", "$.thing[0]"]),
        ("[[broker]]\nname = 'b'\n", {}, ["missing required field `host`", "$.broker[0]"]),
    ],
)
def test_an_error_names_the_setting_the_value_and_who_set_it(
    tmp_path: Path, text: str, environ: dict[str, str], says: list[str]
) -> None:
    file = tmp_path / "nervure.toml"
    file.write_text(text)
    with pytest.raises(SettingError) as caught:
        load(file, environ=environ)
    assert all(part in str(caught.value) for part in says), str(caught.value)
    assert caught.value.exit_code == 2


def test_a_file_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="No such file"):
        load(tmp_path / "gone.toml", environ={})


def test_the_folder_of_the_data_sets_is_no_setting() -> None:
    assert load(environ={"NERVURE_DATA": "/elsewhere"}) == (Settings(), {})


def test_brokers_come_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "nervure.toml"
    file.write_text('[[broker]]\nname = "old"\nhost = "10.0.0.9"\ntopics = { "m/+" = "{1}" }\n')
    settings, origin = load(file, environ={})
    assert settings.broker[0].topics == {"m/+": "{1}"}
    assert origin == {"broker": str(file)}
