"""Models that nobody signed, that a stranger signed, or that were changed are refused."""

from __future__ import annotations

import stat
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from nervure.core.error import ModelError, SettingError
from nervure.trust.signature import TAIL_BYTES, SigningKey, sign, trusted, verify


@pytest.fixture(name="model")
def _model() -> bytes:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:])
    made: bytes = helper.make_model(graph).SerializeToString()
    return made


@pytest.fixture(name="key")
def _key(tmp_path: Path) -> SigningKey:
    return SigningKey.load_or_create(tmp_path / "data")


def test_signed_model_stays_onnx_and_its_body_is_untouched(model: bytes, key: SigningKey) -> None:
    signed = sign(model, key)
    verify(signed, [key.public])
    assert signed[:-TAIL_BYTES] == model
    assert [prop.key for prop in onnx.load_from_string(signed).metadata_props] == ["nervure.signature"]


def test_every_changed_byte_is_found(model: bytes, key: SigningKey) -> None:
    signed = sign(model, key)
    for place in range(len(signed)):
        changed = bytearray(signed)
        changed[place] ^= 1
        with pytest.raises(ModelError):
            verify(bytes(changed), [key.public])


def test_nothing_may_follow_the_signature(model: bytes, key: SigningKey) -> None:
    extra = helper.make_model(helper.make_graph([], "g", [], []), producer_name="evil").SerializeToString()
    with pytest.raises(ModelError, match="not signed"):
        verify(sign(model, key) + extra, [key.public])


def test_unsigned_and_foreign_models_are_refused(model: bytes, key: SigningKey, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not signed"):
        verify(model, [key.public])
    with pytest.raises(ModelError, match="not signed"):
        verify(b"", [key.public])
    other = SigningKey.load_or_create(tmp_path / "other")
    with pytest.raises(ModelError, match="not trusted"):
        verify(sign(model, other), [key.public])
    with pytest.raises(ModelError, match="not trusted"):
        verify(sign(model, key), [])


def test_signing_again_replaces_the_signature(model: bytes, key: SigningKey) -> None:
    assert sign(sign(model, key), key) == sign(model, key)


def test_the_key_is_kept_private_and_is_the_same_next_time(tmp_path: Path) -> None:
    first = SigningKey.load_or_create(tmp_path)
    file = tmp_path / "signing.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() not in repr(first)
    assert SigningKey.load_or_create(tmp_path).public == first.public
    file.chmod(0o644)
    with pytest.raises(SettingError, match="others can read"):
        SigningKey.load_or_create(tmp_path)


def test_a_broken_key_file_is_named(tmp_path: Path) -> None:
    SigningKey.load_or_create(tmp_path)
    (tmp_path / "signing.key").write_text("abc")
    with pytest.raises(SettingError, match=r"signing\.key is not a key"):
        SigningKey.load_or_create(tmp_path)


def test_keys_laid_into_the_folder_are_trusted(model: bytes, tmp_path: Path) -> None:
    assert trusted(tmp_path) == ()
    own, other = SigningKey.load_or_create(tmp_path), SigningKey.load_or_create(tmp_path / "other")
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / "other.pub").write_text(other.public.hex())
    assert trusted(tmp_path) == (own.public, other.public)
    verify(sign(model, other), trusted(tmp_path))
