"""The adapter of pretrained models, on tiny random checkpoints written by the libraries themselves."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from nervure.core.error import DataError, DeclarationError
from nervure.learn.evaluate import forecast
from nervure.learn.models.zero_shot import ZeroShot, _at, library_of
from nervure.learn.task import Forecaster, ForecastTask, samples, windows
from tests.series import weekly_task

_LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def _chronos_2(folder: Path) -> None:
    library = importlib.import_module("chronos.chronos2")
    config = importlib.import_module("chronos.chronos2.config").Chronos2CoreConfig(
        d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, vocab_size=2
    )
    config.chronos_config = {
        "context_length": 128, "output_patch_size": 8, "input_patch_size": 8, "input_patch_stride": 8,
        "quantiles": _LEVELS, "use_reg_token": True, "use_arcsinh": True, "max_output_patches": 4,
    }  # fmt: skip
    config.chronos_pipeline_class = "Chronos2Pipeline"
    config.architectures = ["Chronos2Model"]
    torch.manual_seed(0)
    library.Chronos2Model(config).save_pretrained(folder)


def _chronos_bolt(folder: Path) -> None:
    library = importlib.import_module("chronos.chronos_bolt")
    config = importlib.import_module("transformers").T5Config(
        d_model=16, d_kv=8, d_ff=32, num_layers=1, num_decoder_layers=1, num_heads=2, vocab_size=2,
        pad_token_id=0, decoder_start_token_id=0, feed_forward_proj="relu", is_encoder_decoder=True,
    )  # fmt: skip
    config.chronos_config = {
        "context_length": 128, "prediction_length": 16, "input_patch_size": 8, "input_patch_stride": 8,
        "quantiles": _LEVELS, "use_reg_token": True,
    }  # fmt: skip
    config.chronos_pipeline_class = "ChronosBoltPipeline"
    config.architectures = ["ChronosBoltModelForForecasting"]
    torch.manual_seed(0)
    library.ChronosBoltModelForForecasting(config).save_pretrained(folder)


def _tirex(folder: Path) -> None:
    tirex = importlib.import_module("tirex")
    given = {
        "model_config": {
            "input_patch_size": 8, "output_patch_size": 8, "quantiles": _LEVELS, "input_ff_dim": 16,
            "block_kwargs": {"embedding_dim": 16, "num_heads": 2, "num_blocks": 1, "ffn_proj_factor": 2.0},
        },
        "train_ctx_len": 64,
    }  # fmt: skip
    torch.manual_seed(0)
    model = tirex.TiRexZero(backend="torch", **given)
    folder.mkdir()
    torch.save({"hyper_parameters": given, "state_dict": model.state_dict()}, folder / "model.ckpt")


def _timesfm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library knows one size only, of 200 M weights, so its own definition is made smaller."""
    timesfm = importlib.import_module("timesfm")
    module = importlib.import_module("timesfm.timesfm_2p5.timesfm_2p5_torch")
    big = module.TimesFM_2p5_200M_torch_module.config
    replace = dataclasses.replace
    inner = replace(big.stacked_transformers.transformer, model_dims=16, hidden_dims=16, num_heads=2)
    small = replace(
        big,
        tokenizer=replace(big.tokenizer, hidden_dims=16, output_dims=16),
        stacked_transformers=replace(big.stacked_transformers, num_layers=1, transformer=inner),
        output_projection_point=replace(big.output_projection_point, input_dims=16, hidden_dims=16),
        output_projection_quantiles=replace(big.output_projection_quantiles, input_dims=16, hidden_dims=16),
    )
    monkeypatch.setattr(module.TimesFM_2p5_200M_torch_module, "config", small)
    torch.manual_seed(0)
    timesfm.TimesFM_2p5_200M_torch(torch_compile=False).save_pretrained(folder)


# the two others have licences or sizes that keep them out of the development environment
_MORE = [name for name in ("tirex", "timesfm") if find_spec(name) is not None]


@pytest.fixture(name="weights", params=["chronos 2", "chronos bolt", *_MORE])
def _weights(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "weights"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    match request.param:
        case "chronos 2":
            _chronos_2(folder)
        case "chronos bolt":
            _chronos_bolt(folder)
        case "tirex":
            _tirex(folder)
        case _:
            _timesfm(folder, monkeypatch)
    return folder


@pytest.mark.parametrize("ahead", [False, True])
def test_a_checkpoint_answers_as_a_forecaster_does(weights: Path, *, ahead: bool) -> None:
    task = weekly_task(nodes=2, weeks=3, ahead=ahead)
    model = ZeroShot(weights, context=100, batch=3)
    assert isinstance(model, Forecaster)
    assert model.fit(task) is model
    assert (model.kind, model.history) == ("peer", 100)
    chosen = samples(task, "test").take(slice(0, 7))
    y = forecast(task, model, chosen)
    assert y.shape == (7, task.horizon, 5)
    assert (np.diff(y, axis=2) >= 0).all()
    assert 0 <= y.min() <= y.max() <= 100
    assert np.array_equal(y, forecast(task, model, chosen))
    window = windows(task, chosen, history=model.history)
    alone = msgspec.structs.replace(
        window, x=window.x[2:3], node=window.node[2:3], calendar=window.calendar[2:3],
        ahead=None if window.ahead is None else window.ahead[2:3],
    )  # fmt: skip
    np.testing.assert_allclose(model.predict(alone)[0], y[2], rtol=1e-3, atol=1e-3)
    older = window.x.copy()
    older[:, : model.history - task.window, 0] += 30.0
    assert not np.allclose(model.predict(msgspec.structs.replace(window, x=older)), y), (
        "the past is not looked at"
    )
    blind = msgspec.structs.replace(window, x=np.full_like(window.x, np.nan))
    assert np.isfinite(model.predict(blind)).all()


def test_quantiles_between_and_beyond_those_it_knows() -> None:
    """Of a normal distribution the deciles tell the rest."""
    found = np.array([[-1.2815516, 0.0, 1.2815516]])
    wanted = _at(found, (0.1, 0.5, 0.9), (0.05, 0.25, 0.5, 0.975))
    np.testing.assert_allclose(wanted, [[-1.6448536, -0.6744898, 0.0, 1.959964]], atol=1e-6)


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NERVURE_WEIGHTS", raising=False)
    with pytest.raises(DataError, match="no weights are named"):
        ZeroShot()
    with pytest.raises(DataError, match="not there"):
        ZeroShot(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no checkpoint"):
        library_of(tmp_path)
    (tmp_path / "config.json").write_text('{"chronos_config": {}}')
    monkeypatch.setenv("NERVURE_WEIGHTS", str(tmp_path))
    model = ZeroShot()
    assert model.library == "chronos"
    task: ForecastTask = weekly_task(weeks=3)
    with pytest.raises(DeclarationError, match="was not fitted"):
        model.predict(windows(task, samples(task, "test").take(slice(0, 1))))


def test_a_library_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.ckpt").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "tirex", None)
    with pytest.raises(DataError, match="need tirex-ts"):
        ZeroShot(tmp_path).fit(weekly_task(weeks=3))
