"""Who is known stays known while the catalogue is away; nobody new is."""

from __future__ import annotations

from pathlib import Path

import pytest

from nervure.bench.speed.fault.database import postgres
from nervure.core.error import StoreError
from nervure.store.catalogue import Catalogue
from nervure.trust import register as module
from nervure.trust.office import MACHINE, Office
from nervure.trust.register import Register

pytestmark = pytest.mark.service


def test_who_is_known_stays_known_while_the_catalogue_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FRESH_S", 0.0)
    with postgres() as server:
        catalogue = Catalogue.open(server.url)
        office = Office(Register(catalogue.database), tmp_path / "tls")
        office.add_user(MACHINE, "ada", "admin", password="correct horse battery staple")
        token = office.add_token(MACHINE, "test", None, 1.0, owner="ada")[1]
        register = Register(catalogue.database)
        assert register.by_token(token).name == "ada"
        server.kill()
        assert register.by_token(token).name == "ada"
        with pytest.raises(StoreError):
            register.by_token("somebody else's")
        server.start()
        assert register.by_token(token).name == "ada"
        catalogue.close()
