"""Users, tokens, sessions: what lets somebody in, what no longer does, and what nobody ever sees."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from nervure.core.entity import Thing
from nervure.core.error import BusyError, ConflictError, DeniedError, NotFoundError, SignInError, UsageError
from nervure.store import access, sql
from nervure.store.catalogue import Catalogue
from nervure.store.database import Database
from nervure.trust import attempt, register
from nervure.trust.office import MACHINE, Office
from nervure.trust.register import Register
from nervure.trust.right import GRANTS, RIGHTS, ROLES, as_role, rights_of
from tests.house import PASSWORD, House
from tests.patience import until


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path)
    yield found
    found.close()


def test_each_role_may_do_what_the_one_below_may_and_more() -> None:
    roles = list(ROLES.values())
    assert all(low < high for low, high in itertools.pairwise(roles))
    assert not set(GRANTS) & set().union(*roles)
    assert set(GRANTS) | roles[-1] == set(RIGHTS)


@pytest.mark.parametrize("role", ROLES)
def test_act_interlock_and_train_come_by_name_only_and_to_no_viewer(role: str) -> None:
    one = as_role(role)
    assert not rights_of(one) & set(GRANTS)
    gained = rights_of(one, GRANTS) - rights_of(one)
    expected = {"viewer": set(), "operator": {"act"}}.get(role, set(GRANTS))
    assert gained == expected


def test_the_first_admin_is_made_once_and_their_secret_is_nowhere(
    house: House, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = house.office.first_admin()
    assert secret is not None
    assert house.office.first_admin() is None
    assert house.register.by_password("Admin", secret, "10.0.0.1").rights == ROLES["admin"]
    house.close()
    assert secret not in caplog.text
    assert all(secret.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_no_secret_is_kept_in_the_clear(house: House, tmp_path: Path) -> None:
    token = house.user("admin")
    owner = house.register.by_password("admin", PASSWORD, "10.0.0.1")
    _, cookie = house.office.begin(owner, "10.0.0.1", 1.0)
    house.close()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert not [one for one in (token, cookie, PASSWORD) if one.encode() in data]
    assert owner.secret is not None
    assert owner.secret.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert PASSWORD not in repr(owner)


def test_a_wrong_name_takes_as_long_as_a_wrong_password_and_says_the_same(house: House) -> None:
    house.user("viewer")
    said: list[str] = []
    took: list[float] = []
    for name in ("viewer", "nobody"):
        times = []
        for _ in range(3):
            begun = time.thread_time()
            with pytest.raises(SignInError) as caught:
                house.register.by_password(name, "wrong wrong wrong", f"10.0.0.{len(said)}")
            times.append(time.thread_time() - begun)
        said.append(str(caught.value))
        took.append(min(times))
    assert said[0] == said[1]
    assert max(took) < 2 * min(took)


def test_sign_ins_that_go_wrong_wait_longer_and_longer_and_a_right_one_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.user("viewer")
    for _ in range(5):
        with pytest.raises(SignInError):
            house.register.by_password("viewer", "wrong", "10.0.0.1")
    now, later, waits = time.time_ns(), 0, []
    monkeypatch.setattr("nervure.trust.attempt.time.time_ns", lambda: now + later)
    for number in range(3):
        later = number * 40 * 10**9
        with pytest.raises(SignInError if number else BusyError):
            house.register.by_password("viewer", "wrong", "10.0.0.1")
        with pytest.raises(BusyError) as caught:
            house.register.by_password("viewer", PASSWORD, "10.0.0.1")
        waits.append(caught.value.retry_s)
    assert 0 < waits[0] < waits[1] < waits[2]
    assert house.register.by_password("viewer", PASSWORD, "10.0.0.2").name == "viewer"  # from elsewhere


def test_a_name_guessed_from_everywhere_waits_as_well(house: House) -> None:
    with house.catalogue.database.write() as connection:
        for number in range(30):
            attempt.fail(connection, "viewer", f"10.0.1.{number}")
        with pytest.raises(BusyError):
            attempt.require_patience(connection, "viewer", "10.0.2.1")
        attempt.require_patience(connection, "other", "10.0.1.1")


def test_nobody_is_kept_out_of_their_usual_place_by_strangers(house: House) -> None:
    house.user("viewer")
    assert house.register.by_password("viewer", PASSWORD, "10.0.0.1").name == "viewer"
    with house.catalogue.database.write() as connection:
        for number in range(60):
            attempt.fail(connection, "viewer", f"10.0.1.{number}")
            attempt.fail(connection, f"x{number}", "10.0.0.1")
        with pytest.raises(BusyError):
            attempt.require_patience(connection, "viewer", "10.0.2.1")
    assert house.register.by_password("viewer", PASSWORD, "10.0.0.1").name == "viewer"
    with house.catalogue.database.write() as connection:
        for _ in range(6):
            attempt.fail(connection, "viewer", "10.0.0.1")
        with pytest.raises(BusyError):
            attempt.require_patience(connection, "viewer", "10.0.0.1")


def test_a_token_makes_nothing_that_is_stronger_or_lasts_longer_than_itself(house: House) -> None:
    house.user("admin")
    made, secret = house.office.add_token(MACHINE, "hour", ["read", "manage-users"], 1 / 24, owner="admin")
    who = house.register.by_token(secret)
    assert house.office.add_token(who, "child", None, 3650.0)[0].expires_ns <= made.expires_ns
    with pytest.raises(DeniedError):
        house.office.add_user(who, "mine", "admin", password=PASSWORD)
    with pytest.raises(DeniedError):
        house.office.change_user(who, "admin", password=PASSWORD + "!")
    assert house.office.add_user(who, "guest", "viewer", password=PASSWORD).role == "viewer"
    with pytest.raises(DeniedError):
        house.office.change_user(who, "guest", role="engineer")
    roles = {one.name: one.role for one in house.office.users(MACHINE)}
    assert roles == {"admin": "admin", "guest": "viewer"}
    assert house.register.by_password("admin", PASSWORD, "10.0.0.1").name == "admin"


def test_a_token_ends_with_its_time_its_owner_and_at_once_when_taken_back(house: House) -> None:
    secret = house.user("engineer")
    found = house.register.by_token(secret)
    assert (found.name, found.kind, found.rights) == ("engineer", "token", ROLES["engineer"])
    short = house.office.add_token(MACHINE, "short", ["read"], 0.05 / 86_400, owner="engineer")[1]
    time.sleep(0.06)
    gone, taken = house.office.add_token(MACHINE, "gone", ["read"], 1.0, owner="engineer")
    house.office.revoke_token(MACHINE, gone.id)
    for wrong in (short, taken, "nvt_x", "", secret[:-1], secret + "x", "\ud800"):
        with pytest.raises(SignInError):
            house.register.by_token(wrong)
    house.office.change_user(MACHINE, "engineer", role="viewer", granted=())
    assert house.register.by_token(secret).rights == ROLES["viewer"]
    house.user("admin")
    house.office.change_user(MACHINE, "engineer", active=False)
    with pytest.raises(SignInError):
        house.register.by_token(secret)


def test_a_token_never_does_more_than_its_owner_or_than_the_token_that_made_it(house: House) -> None:
    house.user("operator")
    owner = house.register.by_password("operator", PASSWORD, "10.0.0.1").principal()
    with pytest.raises(DeniedError):
        house.office.add_token(owner, "more", ["write"], 1.0)
    reading = house.register.by_token(house.office.add_token(owner, "less", ["read"], 1.0)[1])
    with pytest.raises(DeniedError):
        house.office.add_token(reading, "again", ["observe"], 1.0)
    assert house.office.add_token(reading, "same", None, 1.0)[0].rights == ("read",)
    house.user("viewer")
    with pytest.raises(DeniedError):
        house.office.add_token(owner, "others", ["read"], 1.0, owner="viewer")


def test_sessions_end_with_sign_out_a_new_password_and_the_user(house: House) -> None:
    house.user("viewer")
    owner = house.register.by_password("viewer", PASSWORD, "10.0.0.1")

    def begin() -> str:
        return house.office.begin(owner, "10.0.0.1", 1.0)[1]

    one, two = begin(), begin()
    who, session = house.register.by_session(one)
    assert who.session == session.hash
    house.office.end(who)
    with pytest.raises(SignInError):
        house.register.by_session(one)
    house.office.change_password(
        house.register.by_session(two)[0], PASSWORD, "another long password", "10.0.0.1"
    )
    with pytest.raises(SignInError):
        house.register.by_session(two)
    three = begin()
    house.office.remove_user(MACHINE, "viewer")
    with pytest.raises(SignInError):
        house.register.by_session(three)


def test_another_process_is_heard_within_half_a_second(house: House, tmp_path: Path) -> None:
    secret = house.user("viewer")
    house.register.by_token(secret)
    other = Catalogue.open(tmp_path / "catalogue.db")
    Office(Register(other.database), tmp_path / "tls").revoke_token(MACHINE, 1)
    other.close()
    with pytest.raises(SignInError):
        until(lambda: house.register.by_token(secret), lambda _: False, seconds=0.5)


def test_what_another_process_gives_is_good_at_once(house: House, tmp_path: Path) -> None:
    house.user("viewer")
    other = Catalogue.open(tmp_path / "catalogue.db")
    office = Office(Register(other.database), tmp_path / "tls")
    for turn in range(20):
        house.register.known()
        _, secret = office.add_token(MACHINE, f"token {turn}", None, 1, owner="viewer")
        assert house.register.by_token(secret).name == "viewer"
        house.register.known()
        found = office.add_user(MACHINE, f"user-{turn}", "viewer", password=PASSWORD) if turn < 2 else None
        assert found is None or house.register.by_password(found.name, PASSWORD, "10.0.0.1") == found
        session = office.begin(house.register.known().users[1], "10.0.0.1", 1)[1]
        assert house.register.by_session(session)[0].name == "viewer"
    other.close()


def test_what_is_taken_back_while_somebody_looks_is_taken_back_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who had begun to look before the change told the register afterwards that all was known."""
    secret, read = house.user("viewer"), register._stamp
    reading, changed = threading.Event(), threading.Event()

    def slow(connection: sa.Connection) -> tuple[int, ...]:
        found = read(connection)
        if threading.current_thread() is looking:
            reading.set()
            changed.wait(60)
        return found

    monkeypatch.setattr(register, "_FRESH_S", 3600.0)
    monkeypatch.setattr(register, "_stamp", slow)
    looking = threading.Thread(target=lambda: house.register.known(fresh=True))
    looking.start()
    assert reading.wait(60)
    change = {"active": False}
    changing = threading.Thread(target=lambda: house.office.change_user(MACHINE, "viewer", **change))
    changing.start()
    changing.join(0.5)  # it waits for who looks, if need be
    changed.set()
    looking.join()
    changing.join()
    with pytest.raises(SignInError):
        house.register.by_token(secret)


def test_what_is_taken_back_on_a_machine_just_started_is_taken_back_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its steady clock stood near zero, which is what said that nothing had been looked up."""
    monkeypatch.setattr(register, "time", SimpleNamespace(monotonic=lambda: 0.1, time_ns=time.time_ns))
    secret = house.user("viewer")
    assert house.register.by_token(secret).name == "viewer"
    house.office.change_user(MACHINE, "viewer", active=False)
    with pytest.raises(SignInError):
        house.register.by_token(secret)


def test_who_comes_wrongly_without_end_costs_no_look_at_the_catalogue_each(
    house: House, tmp_path: Path
) -> None:
    looks = 0

    class Counted(Database):
        @contextmanager
        def read(self) -> Iterator[sa.Connection]:
            nonlocal looks
            looks += 1
            with super().read() as connection:
                yield connection

    here = Register(Counted(tmp_path / "catalogue.db"))
    begun = time.monotonic()
    for number in range(500):
        with pytest.raises(SignInError):
            here.by_token(f"nvd_{number}")
    assert looks < 30 + 60 * (time.monotonic() - begun)
    given = house.user("viewer")
    time.sleep(0.3)
    assert here.by_token(given).name == "viewer"


def test_the_last_admin_stays(house: House) -> None:
    house.user("admin")
    for change in ({"role": "viewer"}, {"active": False}, {"project_id": 1}):
        with pytest.raises(ConflictError, match="last admin"):
            house.office.change_user(MACHINE, "admin", **change)
    with pytest.raises(ConflictError, match="last admin"):
        house.office.remove_user(MACHINE, "admin")
    house.user("admin", name="second")
    house.office.remove_user(MACHINE, "admin")


@pytest.mark.parametrize("name", ["", " ", "a b", "../x", "x" * 101, "a\0b", "a/b", "a\nb"])
def test_a_name_is_a_name(house: House, name: str) -> None:
    with pytest.raises(UsageError):
        house.office.add_user(MACHINE, name, "viewer", password=PASSWORD)


def test_names_are_the_same_in_small_and_large(house: House) -> None:
    house.user("viewer", name="Ann")
    with pytest.raises(ConflictError):
        house.user("viewer", name="ANN")
    assert house.register.by_password("aNN", PASSWORD, "10.0.0.1").name == "ann"


def test_an_admin_of_one_project_sees_and_gives_that_project_only(house: House) -> None:
    mine = house.office.add_project(MACHINE, "mine").id
    other = house.office.add_project(MACHINE, "other").id
    house.user("admin")
    house.user("admin", name="bound", project_id=mine)
    house.user("viewer", name="foreign", project_id=other)
    bound = house.register.by_password("bound", PASSWORD, "10.0.0.1").principal()
    assert not bound.rights & {"manage-projects", "read-audit"}
    assert [one.name for one in house.office.users(bound)] == ["bound"]
    assert [one.id for one in house.office.projects(bound)] == [mine]
    assert house.office.add_user(bound, "mate", "admin", project_id=other).project_id == mine
    for name in ("foreign", "admin"):
        with pytest.raises(NotFoundError):
            house.office.change_user(bound, name, role="viewer")
        with pytest.raises(NotFoundError):
            house.office.remove_user(bound, name)
        with pytest.raises(NotFoundError):
            house.office.add_token(bound, "theft", ["read"], 1.0, owner=name)
    with pytest.raises(DeniedError):
        house.office.change_user(bound, "mate", project_id=None)
    assert {one.account_id for one in house.office.tokens(bound)} == {bound.id}
    with pytest.raises(DeniedError):
        house.office.add_project(bound, "third")


def test_a_device_is_added_to_a_thing_in_sight_only(house: House) -> None:
    thing = house.catalogue.ensure_thing(Thing(name="pump")).id
    mine = house.office.add_project(MACHINE, "mine").id
    house.user("engineer", project_id=mine)
    bound = house.register.by_password("engineer", PASSWORD, "10.0.0.1").principal()
    with pytest.raises(NotFoundError):
        house.office.add_device(bound, "one", thing)
    with house.catalogue.database.write() as connection:
        connection.execute(sa.update(sql.thing).values(project_id=mine))
    made = house.office.add_device(bound, "one", thing)
    found = house.register.by_token(made.token)
    assert (found.kind, found.project, set(found.rights)) == ("device", mine, {"observe"})
    with pytest.raises(ConflictError):
        house.office.add_device(MACHINE, "ONE", thing)
    with pytest.raises(ConflictError):
        house.office.add_device(MACHINE, "nervure", thing)
    with pytest.raises(UsageError):
        house.office.add_device(MACHINE, "two", thing, datastreams=[99])


def test_every_change_is_in_the_audit_and_none_that_failed(house: House) -> None:
    house.user("admin")
    with pytest.raises(ConflictError):
        house.user("admin")
    house.office.add_project(MACHINE, "town")
    house.office.change_user(MACHINE, "admin", password="a new long password")
    lines = [(one.who, one.what) for one in reversed(house.catalogue.audits())]
    assert lines == [
        ("console", "user.add"),
        ("console", "token.add"),
        ("console", "project.add"),
        ("console", "user.change"),
    ]
    assert "a new long password" not in str(house.catalogue.audits())


def test_attempts_are_forgotten(house: House) -> None:
    with house.catalogue.database.write() as connection:
        attempt.fail(connection, "x", "10.0.0.1")
        attempt.succeed(connection, "x", "10.0.0.1")
        left = connection.execute(sa.select(sa.func.count()).select_from(access.attempt)).scalar_one()
    assert left == 2  # that of the address, and that it is a usual place
