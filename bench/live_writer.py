"""Where events come from in bench/live.py: lines {"room", "event"} on stdin are committed and published, one by one.

Writes `number begun committed` (Unix times) for each. Before the first it has told a room that nobody is in of some, so
that connections and plans are there, as in a process that has run for a while.
"""

import json
import os
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openalert.settings")

import django

django.setup()

from incidents import rooms  # noqa: E402

WARM_EVENTS = 20
for _ in range(WARM_EVENTS):
    rooms.publish_to_teams([(str(uuid.uuid4()), "bench.event", {})])
    rooms.publisher.flush()

for line in sys.stdin:
    wanted = json.loads(line)
    event = wanted["event"]
    begun = time.time()
    rooms.publish_to_teams([(wanted["room"], "bench.event", event)])
    print(event["n"], begun, time.time(), flush=True)
