"""Who is paged in the drill, and by what policy. Run as a program with an installation's environment, it writes the
rows and prints the scene as JSON, which is all that the other parts know of it.

A policy's waits are given in seconds; the product knows minutes, so a trigger of the drill's divides a run's by 60.
"""

import json
from typing import TypedDict

PASSWORD = "a lamp in the harbour"


class Step(TypedDict):
    delay: int  # seconds until the next step
    people: list[str]


class Policy(TypedDict):
    repeat: int
    steps: list[Step]


class Door(TypedDict):
    """An integration, and the policy that its incidents get."""

    format: str
    key: str
    policy: str


class Scene(TypedDict):
    password: str
    people: dict[str, list[str]]  # email → addresses of the contact methods; "" is a page in the app
    policies: dict[str, Policy]
    doors: list[Door]


PEOPLE = {
    "ana": ["ana@drill.example"],
    "bo": ["bo@drill.example", "bo.private@drill.example"],
    "cy": ["", "cy@drill.example"],
    "dee": ["dee@drill.example"],
    "eli": ["eli@drill.example", "eli.phone@drill.example"],
    "fay": ["", "fay@drill.example"],
}
# policy → (repeat, [(seconds, people)])
POLICIES = {
    "levels": (1, [(4, ["ana"]), (6, ["bo", "cy"])]),
    "team": (1, [(2, ["dee"]), (5, ["dee", "eli", "fay"])]),
    "schedule": (2, [(0, ["bo"]), (4, ["ana", "eli"])]),
}
DOORS = (
    ("openalert", "levels"),
    ("openalert", "team"),
    ("pagerduty", "schedule"),
    ("alertmanager", "levels"),
)

SECONDS_FOR_MINUTES = """
CREATE OR REPLACE FUNCTION drill_seconds() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.snapshot := jsonb_set(NEW.snapshot, '{steps}', (
        SELECT jsonb_agg(step || jsonb_build_object('delay_seconds', (step->>'delay_seconds')::int / 60) ORDER BY place)
        FROM jsonb_array_elements(NEW.snapshot->'steps') WITH ORDINALITY AS s(step, place)));
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER drill_seconds BEFORE INSERT ON escalations_escalationrun
FOR EACH ROW EXECUTE FUNCTION drill_seconds();
"""


def write() -> Scene:
    from django.db import connection

    from alerts.enums import Grouping
    from alerts.tests.factories import IntegrationFactory
    from escalations.tests.factories import PolicyFactory, RoutingRuleFactory, StepFactory
    from teams.models import Team
    from teams.tests.factories import ScheduleFactory, ServiceFactory, TeamFactory, UserFactory

    users = {
        name: UserFactory(name=name, email=f"{name}@drill.example", password=PASSWORD) for name in PEOPLE
    }
    for name, addresses in PEOPLE.items():
        _reach(users[name], addresses)
    team = TeamFactory(name="Drill", responders=list(users.values()))
    everybody = TeamFactory(name="Everybody", responders=[users[name] for name in ("dee", "eli", "fay")])
    on_call = ScheduleFactory(team=team, on_call=[users["bo"]])
    policies = {}
    for name, (repeat, steps) in POLICIES.items():
        policies[name] = PolicyFactory(team=team, name=name, repeat_count=repeat)
        for seconds, people in steps:
            targets: list[object] = [users[person] for person in people]
            if name == "team" and len(people) > 1:
                targets = [Team.objects.get(pk=everybody.pk)]
            elif name == "schedule" and people == ["bo"]:
                targets = [on_call]
            StepFactory(policy=policies[name], delay_minutes=seconds, targets=targets)
    doors = []
    for source, policy in DOORS:
        service = ServiceFactory(team=team, name=f"{source} {policy}")
        RoutingRuleFactory(team=team, service=service, policy=policies[policy])
        integration = IntegrationFactory(service=service, source=source, grouping=Grouping.NONE)
        doors.append(Door(format=source, key=integration.key, policy=policy))
    with connection.cursor() as cursor:
        cursor.execute(SECONDS_FOR_MINUTES)
    return Scene(
        password=PASSWORD,
        people={f"{name}@drill.example": addresses for name, addresses in PEOPLE.items()},
        policies={
            name: Policy(
                repeat=repeat,
                steps=[
                    Step(delay=seconds, people=[f"{person}@drill.example" for person in people])
                    for seconds, people in steps
                ],
            )
            for name, (repeat, steps) in POLICIES.items()
        },
        doors=doors,
    )


def _reach(user: object, addresses: list[str]) -> None:
    """By all of these at once, for either urgency: the rules of somebody who has chosen none."""
    from notifications.enums import Channel
    from notifications.tests.factories import ContactMethodFactory

    for address in addresses:
        ContactMethodFactory(user=user, address=address, channel=Channel.EMAIL if address else Channel.IN_APP)


if __name__ == "__main__":
    import django

    django.setup()
    print(json.dumps(write()))
