"""Where events come from in bench/live.py: lines {"room", "event"} on stdin are committed and published, one by one.

Writes `number begun committed` (Unix times) for each.
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openalert.settings")

import django

django.setup()

from incidents import rooms  # noqa: E402

for line in sys.stdin:
    wanted = json.loads(line)
    event = wanted["event"]
    begun = time.time()
    rooms.publish_to_teams([(wanted["room"], "bench.event", event)])
    print(event["n"], begun, time.time(), flush=True)
