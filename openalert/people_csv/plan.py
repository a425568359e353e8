"""What each row of a sheet would do, for whoever uploads it: somebody made, changed, left as they are, or a refusal.

An empty cell changes nothing, and nothing is ever taken away: teams and contact methods that a row does not name stay.
"""

import copy
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models.functions import Lower

from notifications import addresses
from notifications.enums import Channel
from notifications.models import ContactMethod
from openalert.words import listed
from teams import queries
from teams.access import teams_to_manage
from teams.enums import Role
from teams.models import Membership, Team, User
from teams.standing import is_admin

from .sheet import Row, Sheet, split

YES, NO = {"yes", "true", "1", "on", "active"}, {"no", "false", "0", "off", "inactive"}
MEMBER, AUDITOR, ADMINISTRATOR = "member", "auditor", "administrator"
# Channels whose addresses are no secrets. The others' are their owners' to add.
OPEN_CHANNELS = (Channel.EMAIL, Channel.SMS, Channel.VOICE, Channel.SLACK)
TEXTS = ("name", "job_title", "phone", "time_zone")
ROLES = {word.lower(): role for role in Role for word in (role.value, role.label)}
CHANNELS = {word.lower(): channel for channel in Channel for word in (channel.value, channel.label)}


class Outcome(StrEnum):
    MADE = "made"
    CHANGED = "changed"
    LEFT = "left"
    REFUSED = "refused"


@dataclass(frozen=True)
class Refusal:
    """`column` is counted from 1."""

    column: int
    name: str
    sentence: str


@dataclass
class Entry:
    """One row: what would become of its person. `before` is the person as they are, None for somebody new."""

    line: int
    email: str
    user: User
    before: User | None = None
    fields: set[str] = field(default_factory=set)  # of the person, that change
    words: list[str] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    new_memberships: list[Membership] = field(default_factory=list)
    changed_memberships: list[tuple[Membership, Membership]] = field(default_factory=list)
    new_methods: list[ContactMethod] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome:
        if self.refusals:
            return Outcome.REFUSED
        if self.before is None:
            return Outcome.MADE
        return Outcome.CHANGED if self.words else Outcome.LEFT


@dataclass
class Plan:
    entries: list[Entry]

    def of(self, outcome: Outcome) -> list[Entry]:
        return [entry for entry in self.entries if entry.outcome == outcome]

    @property
    def counts(self) -> dict[str, int]:
        return {outcome.value: len(self.of(outcome)) for outcome in Outcome}

    @property
    def changes_something(self) -> bool:
        return any(entry.outcome in (Outcome.MADE, Outcome.CHANGED) for entry in self.entries)

    @property
    def digest(self) -> str:
        """Another one when anything would come out differently."""
        told = [(entry.line, entry.email, entry.outcome.value, entry.words) for entry in self.entries]
        return hashlib.sha256(repr(told).encode()).hexdigest()


def make_plan(sheet: Sheet, *, by: User, locks: bool = False) -> Plan:
    """In a fixed number of queries. With `locks`, in a transaction, the people and memberships stay as they are found."""
    world = _World.load(sheet, by=by, locks=locks)
    first_lines: dict[str, int] = {}
    entries = []
    for row in sheet.rows:
        entry = _Reader(sheet, row, world).read()
        key = entry.email.lower()
        if key and key in first_lines:
            sentence = f"Line {first_lines[key]} is about the same address."
            entry.refusals.append(Refusal(sheet.number_of("email"), "email", sentence))
        first_lines.setdefault(key, row.line)
        entries.append(entry)
    return Plan(entries)


@dataclass
class _World:
    """What there is already, as far as the sheet names it and the importing person may know of it."""

    by: User
    people: Mapping[str, User]
    teams: dict[str, Team]
    memberships: dict[tuple[UUID, UUID], Membership]
    methods: dict[UUID, set[tuple[str, str]]]

    @property
    def is_admin(self) -> bool:
        return is_admin(self.by)

    @classmethod
    def load(cls, sheet: Sheet, *, by: User, locks: bool) -> "_World":
        emails = {row.cells["email"].lower() for row in sheet.rows}
        everybody = User.objects.all() if is_admin(by) else queries.people_visible_to(by)
        found = everybody.annotate(lower_email=Lower("email")).filter(lower_email__in=emails).order_by("pk")
        people = {
            user.email.lower(): user for user in (found.select_for_update(of=("self",)) if locks else found)
        }
        ids = [user.pk for user in people.values()]
        teams = {team.name.lower(): team for team in teams_to_manage(by)} if "teams" in sheet.columns else {}
        rows = Membership.objects.filter(
            user__in=ids, team__in=[team.pk for team in teams.values()]
        ).order_by("pk")
        methods: dict[UUID, set[tuple[str, str]]] = {}
        if "contact_methods" in sheet.columns:
            for user_id, channel, address in ContactMethod.objects.filter(user__in=ids).values_list(
                "user", "channel", "address"
            ):
                methods.setdefault(user_id, set()).add((channel, address.lower()))
        return cls(
            by,
            people,
            teams,
            {(row.user_id, row.team_id): row for row in (rows.select_for_update() if locks else rows)},
            methods,
        )


class _Reader:
    """Reads one row."""

    def __init__(self, sheet: Sheet, row: Row, world: _World) -> None:
        self.sheet, self.row, self.world = sheet, row, world
        email = row.cells["email"]
        before = world.people.get(email.lower())
        user = copy.copy(before) if before else User(email=User.objects.normalize_email(email))
        if before is None:
            user.set_unusable_password()
        self.entry = Entry(row.line, email, user, before)

    def refuse(self, column: str, sentence: str) -> None:
        self.entry.refusals.append(Refusal(self.sheet.number_of(column), column, sentence))

    def read(self) -> Entry:
        entry, cells = self.entry, self.row.cells
        for column, cell in cells.items():
            if not cell.isprintable():
                self.refuse(
                    column, "There is a line break or another character that is not seen in this cell."
                )
        if not entry.email:
            self.refuse("email", "The address is missing.")
        elif entry.before and entry.before.is_service_account:
            self.refuse("email", "This is the address of a team’s token, and nobody’s.")
        elif entry.before is None and not self.world.is_admin:
            self.refuse(
                "email", "You share no team with anybody of this address. Only administrators add people."
            )
        elif entry.before is None and not cells.get("name"):
            self.refuse("name" if "name" in cells else "email", "Somebody new needs a name.")
        if entry.refusals:
            return entry
        readers: dict[str, Callable[[str], None]] = {
            **{name: self._text(name) for name in TEXTS},
            "active": self._active,
            "role": self._role,
            "teams": self._teams,
            "contact_methods": self._methods,
        }
        for column, reader in readers.items():
            if given := cells.get(column):
                reader(given)
        self._check()
        return entry

    def _set(self, column: str, name: str, value: Any, words: str) -> None:
        """Of the person themselves, if it is another value: that is for administrators."""
        entry = self.entry
        if getattr(entry.user, name) == value:
            return
        if not self.world.is_admin:
            self.refuse(
                column, "Only administrators change what is about a person. You may give roles in your teams."
            )
            return
        setattr(entry.user, name, value)
        entry.fields.add(name)
        entry.words.append(words)

    def _text(self, name: str) -> Callable[[str], None]:
        def read(cell: str) -> None:
            old = getattr(self.entry.before, name) if self.entry.before else ""
            label = name.replace("_", " ")
            self._set(name, name, cell, f"{label}: {old} → {cell}" if old else f"{label}: {cell}")

        return read

    def _active(self, cell: str) -> None:
        if cell.lower() not in YES | NO:
            self.refuse("active", f"“{cell[:60]}” is neither yes nor no.")
            return
        is_active = cell.lower() in YES
        if not is_active and self._is_self:
            self.refuse("active", "This is your own account: somebody else has to deactivate it.")
            return
        self._set("active", "is_active", is_active, "activated" if is_active else "deactivated")

    def _role(self, cell: str) -> None:
        role, entry = cell.lower(), self.entry
        if role not in (MEMBER, AUDITOR, ADMINISTRATOR):
            self.refuse(
                "role", f"There is no role “{cell[:60]}”: it is {MEMBER}, {AUDITOR} or {ADMINISTRATOR}."
            )
            return
        was = role_of(entry.user)
        if role == was:
            return
        if not self.world.is_admin:
            self.refuse("role", "Only administrators give roles in the installation.")
        elif was == ADMINISTRATOR and self._is_self:
            self.refuse(
                "role", "This is your own account: another administrator has to take the role from you."
            )
        else:
            entry.user.is_superuser = entry.user.is_staff = role == ADMINISTRATOR
            if role != ADMINISTRATOR:
                entry.user.is_auditor = role == AUDITOR
            entry.fields |= {"is_superuser", "is_staff", "is_auditor"}
            entry.words.append(f"role: {was} → {role}")

    @property
    def _is_self(self) -> bool:
        return self.entry.before is not None and self.entry.before.pk == self.world.by.pk

    def _teams(self, cell: str) -> None:
        named: set[UUID] = set()
        for name, word in self._pairs("teams", cell):
            team, role = self.world.teams.get(name.lower()), ROLES.get(word.lower())
            if team is None:
                which = "" if self.world.is_admin else " that you manage"
                self.refuse("teams", f"There is no team “{name[:60]}”{which}.")
            elif role is None:
                self.refuse(
                    "teams", f"There is no role “{word[:60]}”: the roles in a team are {listed(Role.values)}."
                )
            elif team.pk in named:
                self.refuse("teams", f"{team} is named twice.")
            else:
                named.add(team.pk)
                self._membership(team, role)

    def _membership(self, team: Team, role: Role) -> None:
        entry = self.entry
        old = self.world.memberships.get((entry.user.pk, team.pk)) if entry.before else None
        if old is None:
            entry.new_memberships.append(Membership(team=team, user=entry.user, role=role))
            entry.words.append(f"{role.label} of {team}")
        elif old.role == role:
            return
        elif old.from_identity:
            self.refuse(
                "teams",
                f"Their role in {team} is {old.role} by a group at the identity provider: change it there.",
            )
        else:
            new = copy.copy(old)
            new.role, new.team, new.user = role, team, entry.user
            entry.changed_memberships.append((old, new))
            entry.words.append(f"{team}: {old.role} → {role.value}")

    def _methods(self, cell: str) -> None:
        known = set(self.world.methods.get(self.entry.user.pk, ()) if self.entry.before else ())
        for word, given in self._pairs("contact_methods", cell):
            channel = CHANNELS.get(word.lower())
            if channel not in OPEN_CHANNELS:
                self.refuse(
                    "contact_methods", f"A file adds {listed(OPEN_CHANNELS)} only, not “{word[:60]}”."
                )
                continue
            try:
                address = addresses.checked(channel, given)
            except ValidationError as error:
                self.refuse("contact_methods", f"{given[:60]}: {' '.join(error.messages)}")
                continue
            if (channel.value, address.lower()) in known or self._has_at_once(channel, address):
                continue
            if not self.world.is_admin:
                self.refuse("contact_methods", "Only administrators add contact methods of others.")
                continue
            known.add((channel.value, address.lower()))
            self.entry.new_methods.append(
                ContactMethod(user=self.entry.user, channel=channel, address=address)
            )
            self.entry.words.append(f"{channel.label}: {address}")

    def _has_at_once(self, channel: Channel, address: str) -> bool:
        """Everybody is paged at the address of their account to begin with; see notifications.contacts."""
        entry = self.entry
        has_none = entry.before is None or not self.world.methods.get(entry.user.pk)
        return has_none and channel == Channel.EMAIL and address.lower() == entry.user.email.lower()

    def _pairs(self, column: str, cell: str) -> Iterable[tuple[str, str]]:
        try:
            return split(cell, at_first=column == "contact_methods")
        except ValueError as error:
            self.refuse(column, str(error))
            return ()

    def _check(self) -> None:
        """What the fields themselves have against it, if the row touches them."""
        entry = self.entry
        if entry.refusals or (entry.before is not None and not entry.fields):
            return
        try:
            entry.user.clean_fields(exclude=["password"])
        except ValidationError as failure:
            for name, messages in failure.message_dict.items():
                column = name if name in self.sheet.columns else "email"
                for sentence in messages:
                    self.refuse(
                        column, sentence if column == name else f"{name.replace('_', ' ')}: {sentence}"
                    )


def role_of(user: User) -> str:
    """In the installation, as the column says it."""
    return ADMINISTRATOR if user.is_superuser else AUDITOR if user.is_auditor else MEMBER
