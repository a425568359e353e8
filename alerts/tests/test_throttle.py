from alerts.throttle import Throttle


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_a_minutes_worth_at_once_and_then_evenly():
    clock = Clock()
    throttle = Throttle(60, clock=clock)
    assert [throttle.allows("a", 20) for _ in range(4)] == [True, True, True, False]
    clock.now += 10
    assert [throttle.allows("a", 10), throttle.allows("a", 1)] == [True, False]


def test_integrations_do_not_share():
    throttle = Throttle(10, clock=Clock())
    assert throttle.allows("a", 10)
    assert not throttle.allows("a", 1)
    assert throttle.allows("b", 10)


def test_what_is_larger_than_a_minutes_worth_needs_a_minute_of_its_own():
    clock = Clock()
    throttle = Throttle(10, clock=clock)
    assert throttle.allows("a", 500)
    clock.now += 59
    assert not throttle.allows("a", 500)
    clock.now += 1
    assert throttle.allows("a", 500)


def test_nothing_is_throttled_by_default():
    throttle = Throttle(0)
    assert all(throttle.allows("a", 1_000_000) for _ in range(10))
