"""Finding incidents by words: in titles, in notes, and in what higher apps know of them (parts.searches).

Words are found by their stems (“restarted” finds “restarting”), in any order, with websearch's quotes, minus and OR; and
whatever stands in the text as it was typed, also inside a word (“eu-1-work”), by trigrams.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import BooleanField, F, Func, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Upper

from openalert import sql

from . import parts
from .enums import Kind
from .models import Incident, TimelineEntry
from .models.incident import NOTE, WORDS

LARGEST_NUMBER = 2**63 - 1
MOST_FOUND = 1_000
# Shorter texts have no trigram: to look for them within words means to read every note.
SHORTEST_WITHIN = 3
# So many of the newest titles tell whether words are common.
SAMPLED = 200


def found_ids(text: str) -> list[UUID]:
    """The newest MOST_FOUND incidents that the text leads to, whoever may see them."""
    words = SearchQuery(text, config=WORDS, search_type="websearch")
    incidents = Incident.objects.order_by()
    notes = TimelineEntry.objects.filter(kind=Kind.NOTE).order_by()
    # A union, not an OR: each side has an index of its own to use.
    sides = [
        incidents.filter(title__icontains=text).values(found=F("pk")),
        notes.annotate(words=SearchVector(NOTE, config=WORDS))
        .filter(words=words)
        .values(found=F("incident")),
        *(search(text) for search in parts.searches),
    ]
    if len(text) >= SHORTEST_WITHIN:
        within = notes.annotate(note=Upper(NOTE)).filter(note__contains=text.upper())
        sides.append(within.values(found=F("incident")))
    number = text.removeprefix("#")
    if number.isdecimal() and int(number) <= LARGEST_NUMBER:
        sides.append(incidents.filter(number=int(number)).values(found=F("pk")))
    # Ids are in the order of time. What is older than the newest of its side is not among the newest of all; to know
    # that lets PostgreSQL stop early at what stands everywhere.
    newest = (side.distinct().order_by("-found")[:MOST_FOUND] for side in sides)
    found = _titled(words).union(*newest).order_by("-found")
    return [row["found"] for row in found[:MOST_FOUND]]


def _titled(words: SearchQuery) -> QuerySet[Any]:
    """Incidents with the words in their titles; of common words the newest MOST_FOUND."""
    incidents = Incident.objects.order_by("-pk").annotate(words=SearchVector("title", config=WORDS))
    titled = incidents.filter(words=words).values(found=F("pk"))
    # What most titles say is soon met among the newest. For anything else PostgreSQL would go that way too, and take far
    # more titles apart than it reckons: without an order it has to use their index.
    newest = incidents.annotate(is_so=Q(words=words)).values_list("is_so", flat=True)[:SAMPLED]
    is_common = sum(newest) > SAMPLED // 2
    return titled[:MOST_FOUND] if is_common else titled.order_by()


def among(ids: Iterable[UUID]) -> Q:
    """Those of these ids. As one parameter: thousands of them take longer to write into a statement than to look up.

    Compared with an array, not with rows made of it: then PostgreSQL knows how many there are, and looks them up at once.
    """
    array = RawSQL("%s::uuid[]", [sql.as_array(map(str, ids))])
    return Q(
        Func(F("pk"), array, template="%(expressions)s", arg_joiner=" = ANY ", output_field=BooleanField())
    )


def says(text: str) -> Q:
    return among(found_ids(text))
