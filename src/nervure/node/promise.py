"""Promises: what changes of entities have left for the log, told when a crash or a broken log kept it back.

Whoever changes entities tells the log at once. This tells what is left over: at the start, when
everything that the log holds has been read (so that nothing is told twice), and later again and
again while the log does not take it.
"""

from __future__ import annotations

import asyncio
import logging

from nervure.core.error import NervureError, StoreError, StreamError
from nervure.node.readings import Readings
from nervure.store.catalogue import Catalogue
from nervure.store.intent import Intent
from nervure.stream.log import Log

__all__ = ["keep_promises"]

_log = logging.getLogger("nervure.node")

LOOK_S = 2.0


async def keep_promises(catalogue: Catalogue, log: Log, readings: Readings) -> None:
    """Tell the log what is left over, for ever."""
    last = await _end(log)
    while readings.position < last:  # noqa: ASYNC110 - the log is being read
        await asyncio.sleep(0.05)
    while True:
        try:
            pending = await asyncio.to_thread(catalogue.intents)
            for one in pending:
                if not readings.promised(one.id):
                    await _tell(readings, one)
        except (StoreError, StreamError) as cause:
            _log.warning("what was changed has to wait for the log: %s", cause.what)
        await asyncio.sleep(LOOK_S)


async def _tell(readings: Readings, intent: Intent) -> None:
    try:
        await readings.fulfil([intent])
    except (StoreError, StreamError):
        raise
    except NervureError as cause:  # it is in quarantine now, as anything that cannot be taken
        _log.warning("what was promised cannot be taken: %s", cause.what)


async def _end(log: Log) -> int:
    """Return the last position of the log."""
    while True:
        try:
            return (await log.first_last())[1]
        except StreamError as cause:
            _log.warning("the end of the log is not known yet: %s", cause.what)
            await asyncio.sleep(LOOK_S)
