"""The parts of the sharded way, in one process: traces against the rule itself, cuts against hand-made graphs, and joined
messages against single ones. A process group of one makes the collectives real; test_shells_sharded.py has several.
"""

import pytest
import torch
import torch.distributed as dist
from torch import fx, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict, set_optimizer_state_dict
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor, init_device_mesh
from torch.distributed.tensor.debug import CommDebugMode
from torch.fx.experimental.proxy_tensor import make_fx

from sandbox.draws import generator, normal
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.sharding import local, placed, replicate, resolve, sums
from sandbox.shells import lockstep
from sandbox.shells.execution import Block, settings
from sandbox.shells.flat_state import structure
from sandbox.shells.gradients import bad_entries
from sandbox.shells.lockstep import Request, answered, together
from sandbox.shells.python_numbers import ON_NUMBERS, take_numbers_out
from sandbox.shells.segments import cut
from sandbox.shells.sharded import BUCKET, buckets
from sandbox.shells.stepwise import Stepwise

ALL_REDUCE = torch.ops._c10d_functional.all_reduce.default
ALL_GATHER = torch.ops._c10d_functional.all_gather_into_tensor.default
WAIT = torch.ops._c10d_functional.wait_tensor.default


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path_factory.mktemp('group')}/meeting", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def numbers(graph: fx.Graph, how_many: int) -> set[fx.Node]:
    return take_numbers_out(graph, graph.find_nodes(op="placeholder")[-how_many:])


def test_numbers_of_a_trace_become_python_floats():
    """Every operation of a rule on numbers, and every way in which a number meets a tensor; the tensor trace is the reference."""

    def f(x, y, a, b):
        c = ((1 - a * b) ** 0.5 + b / a - 2.0**b) / (1 - b) - -a
        c = c.clamp(min=0.1) * a.sqrt() * b.rsqrt() * b.reciprocal() + a**b
        return torch.lerp(x, y, 1 - b) * c + (c - y) / (x.square() + c) - torch.where(x > 0, x, a) + x.clamp(min=a), c

    x, y = normal((3, 4), generator(0)), normal((3, 4), generator(1))
    given = (x, y, *(torch.tensor(value, dtype=torch.float64) for value in (0.7, 0.9)))
    traced = make_fx(f)(*given)
    found = numbers(traced.graph, 2)
    traced.recompile()
    result, c = traced(x, y, 0.7, 0.9)
    assert type(c) is float
    torch.testing.assert_close(result, f(*given)[0], rtol=1e-14, atol=1e-14)
    assert all(node.target in ON_NUMBERS.values() for node in found if node.op == "call_function")
    assert len(found) > 15


def test_a_number_leaves_a_bfloat16_tensor_in_its_dtype():
    traced = make_fx(lambda x, a: x.lerp(x * x, a.to(x.dtype)) * a)(torch.ones(3).bfloat16(), torch.tensor(0.5, dtype=torch.float64))
    numbers(traced.graph, 1)
    traced.recompile()
    assert traced(torch.ones(3).bfloat16(), 0.5).dtype == torch.bfloat16


def three_sums(*, second_needs_first: bool) -> fx.GraphModule:
    """x -> two sums, and a third one of both; names a, b, c."""
    graph = fx.Graph()
    x = graph.placeholder("x")

    def summed(of, name):
        sent = graph.create_node("call_function", ALL_REDUCE, (of, "sum", "0"), name=f"send_{name}")
        return graph.create_node("call_function", WAIT, (sent,), name=name)

    a = summed(x, "a")
    b = summed(graph.call_function(torch.mul, (a if second_needs_first else x, 2)), "b")
    c = summed(graph.call_function(torch.add, (a, b)), "c")
    graph.call_function(torch.neg, (x,))  # of no use
    graph.output((c, a, 1.5))
    return fx.GraphModule(nn.Module(), graph)


def alone(own):
    return own, True


def results_of(stages, x):
    """What a run returns where every sum is over one rank, and how many collectives each round has."""
    program, rounds = stages.program([x]), []
    try:
        requests = next(program)
        while True:
            rounds.append(len(requests))
            requests = program.send([request.x for request in requests])
    except StopIteration as end:
        return list(end.value), rounds


def test_sums_that_do_not_need_each_other_go_in_one_round():
    x = torch.tensor(3.0)
    assert results_of(cut(three_sums(second_needs_first=False), alone), x) == ([9.0, 3.0, 1.5], [2, 1])
    assert results_of(cut(three_sums(second_needs_first=True), alone), x) == ([9.0, 3.0, 1.5], [1, 1, 1])


def test_a_rank_that_depends_on_less_takes_the_rounds_of_the_others():
    """As with an empty shard: here b could go at once, but on another rank it needs a."""

    def with_other(own):
        latest = [max(pair) for pair in zip(own, [0, 1, 2], strict=True)]
        return latest, latest == own

    assert results_of(cut(three_sums(second_needs_first=False), with_other), torch.tensor(3.0)) == ([9.0, 3.0, 1.5], [1, 1, 1])


def test_a_sum_that_this_rank_does_not_use_is_sent_all_the_same():
    """Another rank may wait for it."""
    traced = three_sums(second_needs_first=False)
    traced.graph.output_node().args = ((traced.graph.find_nodes(op="placeholder")[0],),)
    assert results_of(cut(traced, alone), torch.tensor(3.0)) == ([3.0], [2, 1])


def test_joined_messages_bring_what_single_ones_bring(mesh):
    """Sums and gathers of several shapes and two dtypes; one message per kind of collective and dtype."""
    group = mesh.get_group().group_name
    xs = [normal(shape, generator(i)) for i, shape in enumerate([(3,), (2, 4), (), (5,)])] + [torch.ones(2)]
    requests = [Request(ALL_REDUCE, x, ("sum", group)) for x in xs] + [Request(ALL_GATHER, x, (1, group)) for x in xs[:2]]
    with CommDebugMode() as counted:
        joined = answered(requests)
    assert counted.get_total_counts() == 3
    for request, x in zip(requests, joined, strict=True):
        assert x.shape == request.x.shape and torch.equal(x, request.x)


def test_sums_that_are_cut_travel_together(monkeypatch):
    """What the second of two ranks gets, were both to send the same numbers, is the second half of every tensor."""
    messages = []

    def second_rank(x, *rest):
        messages.append(x)
        return x.view(2, -1)[1].clone()

    monkeypatch.setattr(lockstep, "SCATTER", second_rank)
    xs = [normal((4, 2), generator(0)), normal((2, 3), generator(1)), normal((6,), generator(2))]
    found = answered([Request(second_rank, x, ("sum", 2, "group")) for x in xs])
    assert len(messages) == 1
    assert all(torch.equal(part, x[len(x) // 2 :]) for part, x in zip(found, xs, strict=True))


def test_programs_of_different_length_run_side_by_side(mesh):
    group = mesh.get_group().group_name

    def program(n):
        total = 0.0
        for k in range(n):
            (x,) = yield [Request(ALL_REDUCE, torch.full((1,), float(10 * n + k)), ("sum", group))]
            total += x.item()
        return n, total

    with CommDebugMode() as counted:
        returned = together([program(n) for n in (2, 0, 1)])
    assert returned == [(2, 41.0), (0, 0.0), (1, 10.0)]
    assert counted.get_total_counts() == 2


@pytest.mark.parametrize(
    "rule", [AdamW(0.1, weight_decay=0.1), AdaLomo(0.1), GaLore(Adam(0.1), rank=2, update_gap=3)], ids=lambda r: type(r).__name__
)
def test_a_sharded_run_follows_a_plain_one_on_one_rank(mesh, rule):
    """Eight steps with a learning rate that changes; on one rank no sum changes its order, and lerp alone may round otherwise."""
    start = normal((6, 8), generator(9))
    whole, parts = nn.Parameter(start.clone()), nn.Parameter(distribute_tensor(start, mesh, [Shard(0)]))
    optimizers = [Stepwise([("w", w)], rule) for w in (whole, parts)]
    for k in range(8):
        whole.grad = normal((6, 8), generator(9, k))
        parts.grad = distribute_tensor(whole.grad, mesh, [Shard(0)])
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = 0.1 / (k + 1)
            optimizer.step()
    torch.testing.assert_close(local(parts.detach()), whole.detach(), rtol=0, atol=1e-15)
    leaves = optimizers[1].state[parts]
    assert all(hasattr(x, "placements") for x in leaves.values() if isinstance(x, torch.Tensor))


def test_the_state_stays_the_same_dtensor_and_is_replaced_inside(mesh):
    """A checkpoint that holds the state sees it move, as with torch.optim."""
    w = nn.Parameter(distribute_tensor(torch.ones(4, 2), mesh, [Shard(0)]))
    optimizer = Stepwise([("w", w)], Adam(0.1))
    seen = []
    for k in range(3):
        w.grad = distribute_tensor(torch.full((4, 2), float(k + 1)), mesh, [Shard(0)])
        optimizer.step()
        seen.append((optimizer.state[w]["m"], local(optimizer.state[w]["m"]).clone()))
    assert seen[1][0] is seen[2][0] and not torch.equal(seen[1][1], seen[2][1])


def test_buckets_hold_consecutive_blocks_up_to_their_size():
    def block(n):
        return Block(
            Adam(0.1), settings({"lr": 0.1}), torch.empty(n, device="meta"), torch.empty(0), structure(Adam(0.1).init(torch.ones(1))), {}
        )

    sizes = [[b.w.numel() for b in bucket] for bucket in buckets([block(n) for n in (BUCKET - 5, 5, 1, 3 * BUCKET, 2)])]
    assert sizes == [[BUCKET - 5, 5], [1], [3 * BUCKET], [2]]


def test_sums_of_tensors_that_lie_differently_come_back_in_their_order(mesh):
    xs = [normal((n, 2), generator(n)) for n in (1, 2, 3)]
    laid = [distribute_tensor(x, mesh, [place]) for x, place in zip(xs, (Shard(0), Shard(0), Replicate()), strict=True)]
    found = sums([*laid, xs[2], torch.ones(3)])
    assert found == pytest.approx([*(x.sum().item() for x in xs), xs[2].sum().item(), 3.0], rel=1e-15)


def test_bad_entries_of_gradients_that_lie_differently_come_back_in_their_order(mesh):
    xs = [normal((n, 2), generator(n)).float() for n in (1, 2, 3)]
    xs[2][1, 1] = 1e20
    laid = [distribute_tensor(x, mesh, [place]) for x, place in zip(xs, (Shard(0), Shard(1), Replicate()), strict=True)]
    laid += [distribute_tensor(xs[0], mesh, [Shard(0)]), xs[2]]
    assert bad_entries(laid, [torch.float32] * 5) == [0, 0, 1, 0, 1]


@pytest.mark.parametrize("form", [{}, {"flatten_optimizer_state_dict": True}], ids=["nested", "flat"])
def test_seed_and_skipped_travel_through_a_distributed_checkpoint(mesh, form):
    """torch fills a fresh optimizer with a step of its own first; that step is not counted."""
    model = nn.Linear(3, 2)
    options = StateDictOptions(**form)

    def made(seed):
        return Stepwise(model.named_parameters(), Adam(0.1), seed=seed, nonfinite="skip")

    optimizer = made(7)
    for factor in (1.0, torch.nan):
        optimizer.zero_grad()
        (factor * model(torch.ones(3)).sum()).backward()
        optimizer.step()
    optimizer.zero_grad()
    saved = get_optimizer_state_dict(model, optimizer, options=options)
    again = made(7)
    set_optimizer_state_dict(model, again, saved, options=options)
    assert (again.param_groups[0]["seed"], again.skipped) == (7, 1) and again.state[model.weight]["step"] == 1
    with pytest.raises(ValueError, match="come from seed 7 and the shell was made with seed 8"):
        set_optimizer_state_dict(model, made(8), get_optimizer_state_dict(model, optimizer, options=options), options=options)


def test_resolve_finishes_pending_sums_and_nothing_else(mesh):
    pending = DTensor.from_local(torch.ones(2), mesh, [Partial()], run_check=False)
    assert resolve(pending).placements == (Replicate(),)
    sharded = distribute_tensor(torch.ones(4), mesh, [Shard(0)])
    assert resolve(sharded) is sharded and replicate(sharded).placements == (Replicate(),)


def test_placed_lays_a_tensor_as_the_weight_lies(mesh):
    w = distribute_tensor(torch.ones(4, 2), mesh, [Shard(0)])
    whole = distribute_tensor(torch.ones(4, 2), mesh, [Replicate()])
    assert placed(whole, w).placements == w.placements and placed(w, w) is w
    plain = torch.ones(2)
    assert placed(plain, w) is plain
