"""On CI a skipped test fails the run: what was not tested must not look green."""

from __future__ import annotations

import os

import pytest

__all__ = ["pytest_sessionfinish", "pytest_terminal_summary"]


def _skipped(config: pytest.Config) -> list[pytest.TestReport]:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or os.environ.get("CI", "").lower() not in {"1", "true"}:
        return []
    return list(terminal.stats.get("skipped", ()))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.exitstatus == pytest.ExitCode.OK and _skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skipped = _skipped(config)
    if skipped:
        terminalreporter.write_sep("=", f"{len(skipped)} skipped on CI, which fails the run", red=True)
