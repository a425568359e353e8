"""How fast a running installation takes alerts: `python bench/intake.py URL KEY [--clients 20] [--batch 1]`.

Every request goes to URL/api/v1/alerts over kept connections; a fifth of the alerts repeat an earlier dedup key.
Prints alerts per second and the latency of a request. Use it on a machine of your own.
"""

import argparse
import http.client
import json
import random
import threading
import time
from urllib.parse import urlsplit


def client(place: str, key: str, name: str, requests: int, batch: int, latencies: list[float]) -> None:
    chooser = random.Random(name)
    connection = http.client.HTTPConnection(place, timeout=60)
    sent = 0
    for _ in range(requests):
        alerts = []
        for _ in range(batch):
            repeats = sent > 10 and chooser.random() < 0.2
            number = chooser.randrange(sent) if repeats else sent
            sent += not repeats
            alerts.append(
                {
                    "external_id": f"{name}-{number}",
                    "title": f"High latency on api-{number % 100}",
                    "severity": "high",
                }
            )
        body = json.dumps(alerts if batch > 1 else alerts[0])
        began = time.perf_counter()
        connection.request("POST", "/api/v1/alerts", body, {"Authorization": f"Bearer {key}"})
        response = connection.getresponse()
        answer = response.read()
        latencies.append(time.perf_counter() - began)
        if response.status != 202:
            raise SystemExit(f"answered {response.status}: {answer.decode()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("key")
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--requests", type=int, default=100, help="of each client")
    parser.add_argument("--batch", type=int, default=1, help="alerts in a request")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    place = urlsplit(options.url).netloc
    for turn in range(options.rounds):
        latencies: list[float] = []
        run = f"{time.time_ns():x}"
        threads = [
            threading.Thread(
                target=client,
                args=(place, options.key, f"{run}-{n}", options.requests, options.batch, latencies),
            )
            for n in range(options.clients)
        ]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        if len(latencies) != options.clients * options.requests:
            raise SystemExit("some requests failed")
        latencies.sort()
        p50, p99 = (latencies[int(len(latencies) * share)] * 1000 for share in (0.5, 0.99))
        rate = len(latencies) * options.batch / took
        print(f"round {turn + 1}: {rate:8.0f} alerts/s   request p50 {p50:6.1f} ms   p99 {p99:6.1f} ms")


if __name__ == "__main__":
    main()
