"""Members run one at a time, in an order that never varies, and meet."""

from __future__ import annotations

import threading
import time

import pytest

from zslbench.errors import Interrupted
from zslbench.training.threads import Abandoned, Group


def summed(brought):
    return {slot: (sum(brought.values()), sorted(brought)) for slot in brought}


def test_one_runs_at_a_time_until_it_meets_and_the_lowest_slot_goes_first():
    events, running, before = [], [], threading.active_count()

    def work(member):
        for turn in range(3):
            running.append(member.slot)
            events.append((turn, member.slot))
            time.sleep(0.001 * (3 - member.slot))
            assert running == [member.slot]
            running.remove(member.slot)
            total, slots = member.meet("sum", 10**member.slot, summed)
            assert (total, slots) == (111, [0, 1, 2])
        return member.slot

    for _ in range(3):
        events.clear()
        assert Group(3).run(dict.fromkeys((2, 0, 1), work)) == {0: 0, 1: 1, 2: 2}
        assert events == [(turn, slot) for turn in range(3) for slot in range(3)]
    assert threading.active_count() <= before


def test_a_member_that_leaves_is_not_waited_for():
    def work(member):
        if member.slot == 1:
            raise ValueError("broken")
        if member.slot == 2:
            member.meet("sum", 1, summed)
            return "early"
        first = member.meet("sum", 1, summed)
        return first, member.meet("sum", 1, summed, needs=lambda: {0, 1, 2})

    ends = Group(3).run(dict.fromkeys(range(3), work))
    assert ends[0] == ((2, [0, 2]), (1, [0]))
    assert isinstance(ends[1], ValueError)
    assert ends[2] == "early"


def test_what_a_meeting_raises_is_raised_by_all_who_came():
    def broken(brought):
        raise KeyError("nothing")

    def work(member):
        try:
            return member.meet("one", None, broken)
        except KeyError:
            return member.meet("two", 5, summed)

    assert Group(2).run(dict.fromkeys(range(2), work)) == {0: (10, [0, 1]), 1: (10, [0, 1])}


def test_members_at_different_places_meet_those_at_the_same():
    """Slot 0 goes another way first and joins the others later; nobody waits for good."""
    order = []

    def work(member):
        if member.slot == 0:
            order.append(member.meet("own", 0, summed)[1])
        found = member.meet("common", 1, summed)[1]
        order.append(found)
        return found

    ends = Group(3).run(dict.fromkeys(range(3), work))
    assert order[0] == [0]
    assert list(ends.values()) == [[0, 1, 2]] * 3


def test_a_closed_meeting_comes_before_an_open_one_and_inner_ones_before_outer_ones():
    order = []

    def noted(name):
        def compute(brought):
            order.append((name, sorted(brought)))
            return dict.fromkeys(brought)

        return compute

    def work(member):
        if member.slot == 0:  # is done early and goes to the next stage, where it waits for the others
            member.meet("next", None, noted("next"))
            return
        for epoch in range(2):
            member.meet(("epoch", 1), None, noted(f"epoch {epoch}"), needs=lambda: {1, 2})
            if member.slot == 1 and epoch == 0:
                with member.inside((1, 2)):
                    assert member.base == (1, 2)
                    member.meet("inner", None, noted("inner"))
                assert member.base == (0, 1, 2)
        member.meet("next", None, noted("next"))

    ends = Group(3).run(dict.fromkeys(range(3), work))
    assert ends == dict.fromkeys(range(3))
    assert order == [
        ("epoch 0", [1, 2]),
        ("inner", [1]),
        ("epoch 1", [1, 2]),
        ("next", [0, 1, 2]),
    ]


def test_who_is_interrupted_takes_the_others_along():
    def work(member):
        member.meet("start", 0, summed)
        if member.slot == 1:
            raise Interrupted("stop")
        return member.meet("never", 0, summed, needs=lambda: {0, 2})

    ends = Group(3).run(dict.fromkeys(range(3), work))
    assert all(isinstance(end, Interrupted) for end in ends.values())


def test_members_that_wait_for_each_other_are_an_error_and_no_hang():
    def work(member):
        return member.meet(member.slot, None, summed, needs=lambda: {0, 1})

    ends = Group(2).run(dict.fromkeys(range(2), work))
    assert all(isinstance(end, RuntimeError) for end in ends.values())


def test_a_second_stop_signal_waits_for_nobody_and_frees_those_who_wait(monkeypatch):
    group, inside, go_on, ends = Group(2), threading.Event(), threading.Event(), []

    def impatient():
        inside.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr(group._over, "wait", impatient)

    def work(member):
        try:
            if member.slot == 1:  # slot 0 waits for the meeting by now
                inside.set()
                go_on.wait()
            member.meet("sum", 1, summed)
            ends.append("met")
        except Abandoned:
            ends.append("freed")

    with pytest.raises(KeyboardInterrupt):
        group.run(dict.fromkeys(range(2), work))
    go_on.set()
    deadline = time.monotonic() + 5
    while len(ends) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert ends == ["freed"] * 2


def test_what_is_shared_is_made_once():
    made = []

    def work(member):
        return member.group.share("fold", lambda: made.append(member.slot) or object())

    ends = Group(3).run(dict.fromkeys(range(3), work))
    assert made == [0]
    assert ends[0] is ends[1] is ends[2]
