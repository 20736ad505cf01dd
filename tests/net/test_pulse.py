"""The wheel of whole seconds."""

from mailstead.net.pulse import Pulse


class Someone:
    def __init__(self, pulse, limit_s=None):
        self.check_second = 0
        self.pulse = pulse
        self.limit_s = limit_s
        self.looked_at = []

    def check_time(self):
        self.looked_at.append(self.pulse.now_s)
        if self.limit_s:
            self.pulse.arm(self, self.limit_s)


class Clock:
    now_s = 50.5

    def __call__(self):
        return self.now_s


def advance(pulse, clock, seconds):
    for _ in range(seconds):
        clock.now_s += 1
        pulse.tick()


def test_nobody_is_looked_at_too_early_and_all_within_a_second():
    clock = Clock()
    pulse = Pulse(clock)
    someone = Someone(pulse)
    pulse.arm(someone, 10)
    advance(pulse, clock, 9)
    assert someone.looked_at == []
    advance(pulse, clock, 2)
    assert len(someone.looked_at) == 1
    assert 10 <= someone.looked_at[0] - 50.5 <= 11
    advance(pulse, clock, 100)
    assert len(someone.looked_at) == 1


def test_an_earlier_look_replaces_a_later_one_and_not_the_other_way():
    clock = Clock()
    pulse = Pulse(clock)
    someone = Someone(pulse)
    pulse.arm(someone, 100)
    pulse.arm(someone, 10)
    pulse.arm(someone, 50)
    advance(pulse, clock, 200)
    assert len(someone.looked_at) == 1
    assert someone.looked_at[0] - 50.5 <= 11


def test_arming_again_while_being_looked_at():
    clock = Clock()
    pulse = Pulse(clock)
    someone = Someone(pulse, 5)
    pulse.arm(someone, 5)
    advance(pulse, clock, 30)
    assert len(someone.looked_at) == 5


def test_who_is_disarmed_leaves_nothing_behind():
    clock = Clock()
    pulse = Pulse(clock)
    everybody = [Someone(pulse) for _ in range(1000)]
    for someone in everybody:
        pulse.arm(someone, 1800)
        pulse.disarm(someone)
    assert not any(pulse._wheel.values())


def test_attack_077_clock_that_jumps_looks_once_at_each():
    clock = Clock()
    pulse = Pulse(clock)
    first, second = Someone(pulse), Someone(pulse)
    pulse.arm(first, 10)
    pulse.arm(second, 1000)
    clock.now_s += 31_536_000
    pulse.tick()
    assert len(first.looked_at) == len(second.looked_at) == 1
    clock.now_s -= 1000
    pulse.tick()
    assert len(first.looked_at) == 1
