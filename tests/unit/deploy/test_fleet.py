"""The simulation of several machines: its costs, its parts, and what must hold whatever the figures are."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from deploy.bench.fleet.costs import Cost, Costs, fit, measured_costs, rows_in_a_batch, with_history
from deploy.bench.fleet.report import PLANS, SHARD, Plan, keeps_up
from deploy.bench.fleet.servers import Broker, Clock, Interpreter, Processors
from deploy.bench.fleet.simulation import Simulation
from deploy.bench.fleet.site import Fleet, Outcome

COSTS = Costs(
    web=Cost(0.0003, 0.0001),
    scoring=Cost(0.0006, 0.00003),
    valkey=Cost(0.0005, 0.00003),
    background=Cost(0.0001, 0.00004),
    sync_s=0.00015,
)
MACHINE = Fleet(machines=1, cores=4, web=1, scoring=2, has_own_broker=False)


def play(rate: float, fleet: Fleet = MACHINE, costs: Costs = COSTS, seconds: float = 0.5) -> Outcome:
    return Simulation(fleet, costs, rate=rate, seconds=seconds).run()


def test_a_fit_finds_the_costs_that_made_the_points() -> None:
    points = [(rows, 0.5 / rows + 0.03) for rows in (1, 4, 16, 64)]

    cost = fit(points)

    assert cost.message_s == pytest.approx(0.5)
    assert cost.row_s == pytest.approx(0.03)


def test_a_cost_that_does_not_fall_with_the_batch_is_all_the_rows() -> None:
    assert fit([(1, 0.1), (16, 0.1), (64, 0.12)]).message_s == 0.0


def run_of(connections: int, bodies: str = "builtin") -> dict[str, object]:
    seconds = {
        kind: 1000 * (0.0005 / rows_in_a_batch(connections) + (0.00003 if bodies == "builtin" else 0.00006))
        for kind in ("web", "scoring", "valkey", "background")
    }
    result = {"mode": "closed", "bodies": bodies, "connections": connections, "completed": 1000}
    return {"server": "tollgate", "result": {**result, "cpu": {"seconds_by_kind": seconds}}}


def test_the_costs_are_those_of_the_measured_runs() -> None:
    runs = [run_of(connections) for connections in (1, 8, 32, 128)] + [run_of(32, "history")]
    report = {"machine": {"sync_ms": 0.2}, "runs": [*runs, {"server": "in_process", "result": {}}]}

    plain = measured_costs(report)
    looked_up = with_history(plain, report)

    assert plain.valkey.message_s == pytest.approx(0.0005)
    assert plain.valkey.row_s == pytest.approx(0.00003)
    assert plain.sync_s == pytest.approx(0.0002)
    assert looked_up.valkey.message_s == plain.valkey.message_s
    assert looked_up.valkey.row_s == pytest.approx(0.00006)


def test_processors_work_side_by_side_and_then_in_turn() -> None:
    two = Processors(2)

    assert [two.serve(0.0, 1.0) for _ in range(3)] == [1.0, 1.0, 2.0]
    assert two.serve(5.0, 1.0) == 6.0
    assert two.busy_s == 4.0


def test_the_broker_syncs_once_for_everybody_who_waits() -> None:
    clock, answered = Clock(), []
    broker = Broker(clock, sync_s=10.0)

    for name in ("first", "second", "third"):
        broker.ask(0.0, 1.0, lambda at, name=name: answered.append((name, at)))
    clock.run(100.0)

    # The first has a round of its own; the others came while it was under way.
    assert answered == [("first", 11.0), ("second", 23.0), ("third", 23.0)]
    assert broker.busy_s == 23.0


def test_an_interpreter_does_one_thing_at_a_time_however_many_processors_there_are() -> None:
    clock, done = Clock(), []
    interpreter = Interpreter(clock, Processors(4))

    for _ in range(3):
        interpreter.work(0.0, 1.0, done.append)
    clock.run(10.0)

    assert done == [1.0, 2.0, 3.0]


def test_an_idle_system_answers_everything_in_little_more_than_the_work() -> None:
    outcome = play(100)
    work_ms = 1000 * (COSTS.web.of(1) + COSTS.scoring.of(1) + COSTS.valkey.of(1) + 3 * COSTS.sync_s)

    assert outcome.refused_share == 0
    assert outcome.answered_s == pytest.approx(outcome.offered_s, rel=0.05)
    assert work_ms * 0.8 < outcome.p50_ms < work_ms * 1.3


def test_batches_fill_as_payments_come_faster() -> None:
    sizes = [play(rate).rows_a_batch for rate in (200, 2000, 6000)]

    assert sizes == sorted(sizes)
    assert sizes[-1] > 4 * sizes[0]


def test_a_flood_is_refused_and_what_is_let_in_is_still_answered() -> None:
    outcome = play(40_000, seconds=0.2)

    assert outcome.refused_share > 0.5
    assert outcome.answered_s > 5000
    assert outcome.p99_ms < 1000
    assert not keeps_up(outcome)


def test_the_broker_bounds_what_any_number_of_machines_carries() -> None:
    slow = replace(COSTS, valkey=Cost(0.0005, 0.0002))
    many = Fleet(machines=10, cores=8, web=5, scoring=10)

    outcome = play(20_000, many, slow, seconds=0.3)

    assert outcome.broker_busy > 0.95
    assert outcome.answered_s < 1 / 0.0002


def test_the_same_seed_plays_the_same_game() -> None:
    assert play(2000) == play(2000)


def test_a_fleet_without_a_payment_has_no_latency_to_tell() -> None:
    assert math.isnan(play(0.001).p50_ms)


@pytest.mark.parametrize("plan", [*PLANS, SHARD], ids=lambda plan: plan.title)
def test_every_plan_has_room_for_its_workers(plan: Plan) -> None:
    for web in plan.web:
        fleet = plan.fleet(web)
        assert 1 <= fleet.scoring <= max(1, fleet.machines * fleet.cores // 2)
        assert fleet.has_own_broker is (fleet.machines > 1)
