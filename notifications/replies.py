"""Answers to pages: who it was, what they want, one call, and the words that go back.

Doors check first that the provider, or the link, is what it says. An answer is attributed to the person whose
verified contact method it came from; from anybody else nothing is done, and it is logged. The same answer twice, by
the provider's name for it, is done once and told the same.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from incidents import lifecycle, rooms
from incidents.enums import Kind, Status
from incidents.models import Incident
from incidents.timeline import Actor
from openalert.exceptions import OpenAlertError
from openalert.words import ago, listed
from teams.access import teams_to_respond_for
from teams.models import User

from . import bundles, subscriptions
from .enums import Action, Channel, NotificationStatus, Purpose, ReplyOutcome
from .models import ContactMethod, Notification, Reply
from .plain import printable

logger = logging.getLogger(__name__)

ACTIONS: dict[str, Action] = {
    word: action
    for action, words in {
        Action.ACKNOWLEDGE: ("a", "ack", "acknowledge", "acknowledged", "4"),
        Action.RESOLVE: ("r", "res", "resolve", "resolved", "6"),
    }.items()
    for word in words
}
KEYS: dict[str, Action] = {"4": Action.ACKNOWLEDGE, "6": Action.RESOLVE}
# A word, and perhaps the numbers of incidents: “A 42”, “ack #42 #43”, “R42”, “4”.
COMMAND = re.compile(
    r"(?P<word>[a-z]+|[46](?!\d))[\s:.,]*(?P<all>all\b)?(?P<numbers>(?:#?\s*\d{1,18}[\s,.;!]*)*)",
    re.IGNORECASE,
)
HELP = "Reply A 42 to acknowledge incident 42, R 42 to resolve it."
MOST_AT_ONCE = 20
ALL = 0  # no incident has this number
MOST_MEANT = 1000  # at once, by “A ALL”
TEST_ANSWERED = "Your answer to the test page has arrived."
TEST_ANSWERED_WITHIN = timedelta(minutes=10)
UNKNOWN = "This sender belongs to nobody here: nothing was done."
DONE: dict[Action, str] = {Action.ACKNOWLEDGE: "acknowledged", Action.RESOLVE: "resolved"}
VIA: dict[Channel, str] = {
    Channel.EMAIL: "email",
    Channel.SMS: "sms",
    Channel.VOICE: "phone",
    Channel.WEB_PUSH: "push",
    Channel.MOBILE_PUSH: "push",
    Channel.SLACK: "slack",
    Channel.TEAMS: "teams",
    Channel.APPRISE: "messenger",
}


@dataclass(frozen=True)
class Result:
    outcome: ReplyOutcome
    words: str
    incident: Incident | None = None


@transaction.atomic
def take_text(*, channel: Channel, key: str, sender: str, text: str, opt_out_type: str = "") -> Reply:
    """A message that somebody wrote back: “A 42”, “R 42”, “ack”, “4”, and “STOP”; its provider answers that (no words)."""
    reply, is_new = _begin(channel, key, sender, text)
    if not is_new:
        return reply
    # Whoever proved to hear calls at a number has proved to hold it.
    user = person_at((Channel.SMS, Channel.VOICE) if channel == Channel.SMS else (channel,), sender)
    word = subscriptions.keyword(text, opt_out_type) if channel == Channel.SMS else ""
    if word and subscriptions.is_known(sender):
        return _subscribe(reply, user, word)
    if user is None:
        return _stranger(reply)
    action, numbers = parse(text)
    if action is None:
        return _finish(reply, user, None, Result(ReplyOutcome.UNCLEAR, HELP))
    if not numbers and (test := _unanswered_test(user, sender)):
        return _answer_test(reply, test, user, action)
    if numbers and ALL not in numbers:
        incidents, others = _named(user, numbers)
    else:
        incidents, others = _meant(user, channel, sender, action, all_of_them=ALL in numbers)
    if ALL in numbers and len(incidents) > 1:
        outcomes = [
            result.outcome for result in _each(incidents, action, user, VIA[channel], in_words=False).values()
        ]
        return _finish(reply, user, action, _together(outcomes, others))
    done = _each(incidents, action, user, VIA[channel])
    asked = [] if ALL in numbers else numbers
    results = [done[number] for number in asked or done if number in done] + others
    first = next((result for result in results if result.outcome == ReplyOutcome.DONE), results[0])
    words = " ".join(result.words for result in results)
    return _finish(reply, user, action, Result(first.outcome, words, first.incident))


def _subscribe(reply: Reply, user: User | None, word: str) -> Reply:
    change = subscriptions.stop if word == "STOP" else subscriptions.start
    outcome = ReplyOutcome.DONE if change(reply.sender) else ReplyOutcome.ALREADY
    return _finish(reply, user, None, Result(outcome, ""))


def _each(
    incidents: Iterable[Incident], action: Action, user: User, via: str, *, in_words: bool = True
) -> dict[int, Result]:
    """Do it to all of them, inside the caller's transaction. What became of each, by its number.

    In a fixed number of queries, but for words about what was done already: a storm's five hundred are answered while
    whoever asked still waits for the answer.
    """
    locked = lifecycle.lock([incident.pk for incident in incidents])
    answerable = _answerable(user, locked)
    found: dict[int, Result] = {}
    doing = []
    for incident in locked:
        if incident.pk not in answerable:
            words = f"There is no incident {incident.number} for you."
            found[incident.number] = Result(ReplyOutcome.REFUSED, words)
        elif _is_done(incident, action):
            words = _already(incident, action, user) if in_words else ""
            found[incident.number] = Result(ReplyOutcome.ALREADY, words, incident)
        else:
            doing.append(incident)
    change = lifecycle.acknowledge_locked if action == Action.ACKNOWLEDGE else lifecycle.resolve_locked
    try:
        with transaction.atomic():
            change(doing, actor=Actor.person(user, via=via))
    except OpenAlertError as failure:
        outcome, detail = ReplyOutcome.REFUSED, failure.detail
    else:
        outcome, detail = ReplyOutcome.DONE, ""
    for incident in doing:
        words = detail or f"Incident {incident.number} {DONE[action]} by you."
        found[incident.number] = Result(outcome, words, incident)
    return found


def _answerable(user: User, incidents: Iterable[Incident]) -> set[UUID]:
    """Those of the incidents that `user` may answer: as responder of the team, or because of having been paged."""
    if not user.is_active:
        return set()
    teams = set(teams_to_respond_for(user).values_list("pk", flat=True))
    paged = Notification.objects.filter(
        user=user, purpose=Purpose.PAGE, incident__in=[incident.pk for incident in incidents]
    )
    paged_about = set(paged.values_list("incident", flat=True))
    return {i.pk for i in incidents if i.service.team_id in teams or i.pk in paged_about}


def _together(outcomes: Iterable[ReplyOutcome], others: Iterable[Result] = ()) -> Result:
    """“21 incidents acknowledged by you. 2 were so already.”: what became of many, in few words."""
    counts = Counter(outcomes)
    parts = []
    if count := counts[ReplyOutcome.DONE]:
        parts.append(f"{count} incident{'s' if count > 1 else ''} acknowledged by you.")
    if count := counts[ReplyOutcome.ALREADY]:
        parts.append(f"{count} {'were' if count > 1 else 'was'} acknowledged or resolved already.")
    if count := counts[ReplyOutcome.REFUSED]:
        parts.append(f"{count} could not be acknowledged by you.")
    outcome = next(
        found for found in (ReplyOutcome.DONE, ReplyOutcome.ALREADY, ReplyOutcome.REFUSED) if counts[found]
    )
    return Result(outcome, " ".join([*parts, *(other.words for other in others)]))


@transaction.atomic
def take_action(
    *,
    channel: Channel,
    key: str,
    sender: str,
    notification_id: UUID,
    action: Action,
    user: User | None,
    text: str = "",
) -> tuple[Reply, bool]:
    """A button, a key or a link of one notification, pressed by `user`; None for somebody unknown.

    Returns the reply, and False when this very answer had been taken before.
    """
    reply, is_new = _begin(channel, key, sender, text or action.value)
    if not is_new:
        return reply, False
    if user is None or not user.is_active:
        return _stranger(reply), True
    page = Notification.objects.select_related("incident").filter(pk=notification_id).first()
    if page is not None and page.purpose == Purpose.TEST and page.user_id == user.pk:
        return _answer_test(reply, page, user, action), True
    if page is None or page.incident is None:
        result = Result(ReplyOutcome.REFUSED, "There is nothing to answer: the page is gone.")
        return _finish(reply, user, action, result), True
    reply.notification = page
    incidents = bundles.incidents_of(bundles.sent_with(page)) if action == Action.ACKNOWLEDGE else []
    if len(incidents) > 1:
        done = _each(incidents, action, user, VIA[channel], in_words=False)
        return _finish(reply, user, action, _together(result.outcome for result in done.values())), True
    return _finish(
        reply, user, action, answer_about(page.incident, action, user=user, via=VIA[channel])
    ), True


def answer_about(incident: Incident, action: Action, *, user: User, via: str) -> Result:
    """Do it, inside the caller's transaction, and say in words what it led to."""
    return _each([incident], action, user, via)[incident.number]


def _is_done(incident: Incident, action: Action) -> bool:
    """Whether there is nothing left to do."""
    is_acknowledged = incident.status == Status.ACKNOWLEDGED and action == Action.ACKNOWLEDGE
    return is_acknowledged or incident.status == Status.RESOLVED or incident.merged_into_id is not None


def _already(incident: Incident, action: Action, user: User) -> str:
    """“Incident 42 is already resolved by Bo, 2 minutes ago.”"""
    if incident.merged_into_id and incident.merged_into:
        return f"Incident {incident.number} goes on in incident {incident.merged_into.number}."
    if incident.status == Status.RESOLVED:
        kind, at, by = Kind.RESOLVED, incident.resolved_at, incident.resolved_by
    else:
        kind, at, by = Kind.ACKNOWLEDGED, incident.acknowledged_at, incident.acknowledged_by
    name = "you" if by == user else str(by) if by else _name_of(incident, kind)
    when = f", {ago(timezone.now() - at)}" if at else ""
    return f"Incident {incident.number} is already {kind.label.lower()} by {name}{when}."


def _name_of(incident: Incident, kind: Kind) -> str:
    """Who did it when it was no person: an integration, or us."""
    entry = incident.timeline.filter(kind=kind).order_by("-id").first()
    return (entry and entry.actor_name) or "somebody else"


def parse(text: str) -> tuple[Action | None, list[int]]:
    """What a message wants, and of which incidents ([ALL] for all that wait); (None, []) when it is no command."""
    found = COMMAND.match(text.strip())
    if found is None or found["word"].lower() not in ACTIONS:
        return None, []
    action = ACTIONS[found["word"].lower()]
    if found["all"] and action == Action.ACKNOWLEDGE:
        return action, [ALL]
    # Words behind it are no harm: “ack, on my way”.
    numbers = [int(number) for number in re.findall(r"\d+", found["numbers"])]
    return action, list(dict.fromkeys(numbers))[:MOST_AT_ONCE]


def person_at(channels: Iterable[Channel], address: str) -> User | None:
    """Who has this address as a verified contact method. Of several, whoever was paged there last."""
    methods = ContactMethod.objects.filter(
        channel__in=list(channels), address=address, verified_at__isnull=False, user__is_active=True
    ).select_related("user")
    users = {method.user_id: method.user for method in methods}
    if len(users) <= 1:
        return next(iter(users.values()), None)
    last = (
        Notification.objects.filter(
            user__in=users, address=address, channel__in=list(channels), status=NotificationStatus.SENT
        )
        .order_by("-sent_at")
        .first()
    )
    return users[last.user_id] if last else None


def _named(user: User, numbers: list[int]) -> tuple[list[Incident], list[Result]]:
    found = {incident.number: incident for incident in Incident.objects.filter(number__in=numbers)}
    missing = [
        Result(ReplyOutcome.REFUSED, f"There is no incident {number} for you.")
        for number in numbers
        if number not in found
    ]
    return list(found.values()), missing


def _meant(
    user: User, channel: Channel, sender: str, action: Action, *, all_of_them: bool
) -> tuple[list[Incident], list[Result]]:
    """The incident of a bare “ack”: the one that waits, of those the person was paged about here; else the last one.

    With several that wait, none is guessed: to acknowledge the wrong one would silence it. “A all” means all of them.
    """
    pages = Notification.objects.filter(
        user=user, channel=channel, address=sender, incident__isnull=False, status=NotificationStatus.SENT
    )
    done = (Status.RESOLVED, Status.ACKNOWLEDGED) if action == Action.ACKNOWLEDGE else (Status.RESOLVED,)
    of_waiting = pages.exclude(incident__status__in=done).values("incident").order_by()
    ids = list(
        of_waiting.annotate(last=Max("sent_at"))
        .order_by("-last")
        .values_list("incident", flat=True)[: MOST_MEANT + 1]
    )
    found = Incident.objects.in_bulk(ids)
    waiting = [found[pk] for pk in ids if pk in found]
    if all_of_them and len(waiting) > MOST_MEANT:
        more = Result(ReplyOutcome.UNCLEAR, "More wait: reply A ALL again.")
        return waiting[:MOST_MEANT], [more]
    if all_of_them and waiting:
        return waiting, []
    if len(waiting) > 1:
        letter = "A" if action == Action.ACKNOWLEDGE else "R"
        numbers = [f"{letter} {incident.number}" for incident in waiting[:5]]
        choice = listed(numbers).replace(" and ", " or ")
        every = f", or {letter} ALL for all of them" if action == Action.ACKNOWLEDGE else ""
        words = f"{len(waiting)} incidents wait. Which one? Reply {choice}{every}."
        return [], [Result(ReplyOutcome.UNCLEAR, words)]
    last = pages.select_related("incident").order_by("-sent_at").first()
    if last is None or last.incident is None:
        return [], [Result(ReplyOutcome.UNCLEAR, f"You were paged about nothing here. {HELP}")]
    return waiting or [last.incident], []


def _unanswered_test(user: User, address: str) -> Notification | None:
    """The test page that a bare “ack” answers: when it is the last that came to this address, a while ago at most."""
    last = (
        Notification.objects.filter(user=user, address=address, status=NotificationStatus.SENT)
        .exclude(purpose=Purpose.VERIFICATION)
        .order_by("-sent_at")
        .first()
    )
    if last is None or last.purpose != Purpose.TEST or last.sent_at is None:
        return None
    is_news = timezone.now() - last.sent_at < TEST_ANSWERED_WITHIN
    return last if is_news and not last.replies.exists() else None


def _answer_test(reply: Reply, page: Notification, user: User, action: Action) -> Reply:
    reply.notification = page
    rooms.publish_to_user(user.pk, "notification.receipt", {"notification_id": str(page.pk)})
    return _finish(reply, user, action, Result(ReplyOutcome.DONE, TEST_ANSWERED))


def _begin(channel: Channel, key: str, sender: str, text: str) -> tuple[Reply, bool]:
    """The row comes first: the same answer at the same time waits for it, and then finds it."""
    return Reply.objects.get_or_create(
        channel=channel,
        key=printable(key)[:255],
        defaults={
            "sender": printable(sender)[:320],
            "text": printable(text)[:1600],
            "outcome": ReplyOutcome.REFUSED,
        },
    )


def _stranger(reply: Reply) -> Reply:
    logger.warning("an answer by %s from %s, whom we do not know", reply.channel, reply.sender)
    reply.outcome, reply.answer = ReplyOutcome.STRANGER, UNKNOWN
    reply.save()
    return reply


def _finish(reply: Reply, user: User | None, action: Action | None, result: Result) -> Reply:
    reply.user, reply.action, reply.incident = user, action or "", result.incident
    reply.outcome, reply.answer = result.outcome, result.words
    reply.save()
    return reply
