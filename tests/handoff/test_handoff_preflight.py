"""Preflight: sizes, cards, batches and costs in closed form, published figures, and every wrong call in a sentence."""

import json
from dataclasses import replace
from math import prod
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sandbox.cli import app, main
from sandbox.handoff.preflight.asked import Ask
from sandbox.handoff.preflight.hardware import CARDS, GB, card_of
from sandbox.handoff.preflight.moments import Rank
from sandbox.handoff.preflight.preflight import Flight, Preflight, least_words, of_card
from sandbox.handoff.preflight.roofline import Roofline, flops, offloaded, roofline, sent
from sandbox.handoff.preflight.sizes import SIZES
from sandbox.handoff.preflight.systems import NAMES, Model, system
from sandbox.handoff.preflight.targets import Target, target_of
from sandbox.handoff.preflight.told import details, headline, table
from sandbox.handoff.preflight.traces import model_of
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import roles_of, shapes_of
from sandbox.models.llama import LlamaConfig

SMALL = LlamaConfig(100, width=16, layers=2, heads=2, context=8)
OWN = {"type": "LlamaConfig", "vocab": 100, "width": 16, "layers": 2, "heads": 2, "context": 8}
LLAMA = {
    "model_type": "llama",
    "vocab_size": 100,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
GPT2 = {"model_type": "gpt2", "vocab_size": 100, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 8}


def ask(**kw) -> Ask:
    given = dict(target=Target("small", SMALL, "own"), card=card_of("12MB"), batch=2, weights="float32", compute="float32")
    return Ask(**given | kw)


def model(config) -> Model:
    return Model(roles_of(config), shapes_of(config), config.width)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("llama-60m", 58e6), ("llama-130m", 134e6), ("llama-350m", 368e6), ("llama-1b", 1.34e9), ("llama-7b", 6_738_415_616)]
    + [("llama-13b", 13_015_864_320), ("llama-70b", 68_976_648_192), ("gpt2", 124_439_808), ("gpt2-medium", 354_823_168)]
    + [("gpt2-large", 774_030_080), ("gpt2-xl", 1_557_611_200)],
)
def test_sizes_have_the_published_numbers_of_parameters(name, parameters):
    """Exact where the published checkpoints say so; GaLore's own tables round to two digits."""
    found = sum(map(prod, shapes_of(SIZES[name]).values()))
    assert found == pytest.approx(parameters, rel=0.01 if parameters % 1e6 == 0 else 0)


@pytest.mark.parametrize(
    ("text", "size"), [("80GB", 80e9), ("24 gib", 24 * 2**30), ("h200", 141e9), ("0.5TB", 5e11), (" A100-80GB ", 80e9)]
)
def test_a_card_is_a_size_or_a_name(text, size):
    assert card_of(text).memory == size


def test_a_size_alone_has_the_speeds_of_the_slowest_card_of_that_size():
    assert not card_of("80GB").named and card_of("80GB").flops == card_of("a100-80gb").flops < card_of("h100").flops
    assert card_of("h100").named and card_of("10TB").flops == CARDS[-1].flops


@pytest.mark.parametrize("text", ["", "80", "-80GB", "0GB", "9e9TB", "99999999TB", "nanGB", "titan", "80GB\x1b[31m"])
def test_no_such_card(text):
    with pytest.raises(ValueError, match="GPU") as error:
        card_of(text)
    assert "\x1b" not in str(error.value)


def written(tmp_path: Path, data) -> str:
    file = tmp_path / "config.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    return str(file)


def test_configurations_of_both_kinds_give_the_same_sizes(tmp_path):
    theirs = target_of(written(tmp_path, LLAMA | {"max_position_embeddings": 8, "rms_norm_eps": 1e-6}))
    ours = target_of(written(tmp_path, OWN | {"ffn": 24}))
    assert theirs.config == ours.config and (theirs.code, ours.code) == ("hugging face", "own")
    assert target_of(str(tmp_path)).config == ours.config  # a folder
    gpt = target_of(written(tmp_path, GPT2 | {"resid_pdrop": 0.0}))
    assert gpt.config == GPTConfig(100, 16, 2, 2, 8) and gpt.dropout == 0.0


REFUSED = {
    "an unknown model_type": (LLAMA | {"model_type": "mamba"}, "model_type llama or gpt2"),
    "no model_type": ({"hidden_size": 16}, "model_type llama or gpt2"),
    "an unknown field": (LLAMA | {"n_experts": 8}, "n_experts"),
    "a width that heads do not divide": (LLAMA | {"num_attention_heads": 3}, "heads must divide width"),
    "keys that do not divide heads": (LLAMA | {"num_key_value_heads": 3}, "kv_heads must divide heads"),
    "an odd head": (LLAMA | {"num_attention_heads": 16}, "rotated pairs"),
    "another head_dim": (LLAMA | {"head_dim": 16}, "head_dim x num_attention_heads"),
    "biases": (LLAMA | {"attention_bias": True}, "attention_bias False"),
    "a negative width": (LLAMA | {"hidden_size": -16}, "hidden_size must be a whole number above 0"),
    "a broken width": (LLAMA | {"hidden_size": 16.5}, "hidden_size must be a whole number above 0"),
    "a width in words": (LLAMA | {"hidden_size": "16"}, "hidden_size must be a whole number above 0"),
    "no width": ({k: v for k, v in LLAMA.items() if k != "hidden_size"}, "hidden_size must be .*, got none"),
    "absurd sizes": (LLAMA | {"hidden_size": 2**30, "vocab_size": 2**30}, "is a slip"),
    "a tie in words": (LLAMA | {"tie_word_embeddings": "yes"}, "tie_word_embeddings must be true or false"),
    "a share of dropout above 1": (GPT2 | {"resid_pdrop": 1.5}, "resid_pdrop must be a number"),
    "an unknown field of ours": (OWN | {"experts": 8}, "experts"),
    "an unknown class": (OWN | {"type": "os.system"}, "os.system"),
    "an own width that is no number": (OWN | {"width": "x"}, "width of LlamaConfig is of another type"),
    "a cut off file": ('{"model_type": "llama", "hidd', "no whole JSON file"),
    "a list": ("[1, 2]", "must hold a JSON object"),
    "nan": ('{"model_type": "llama", "hidden_size": NaN}', "no whole JSON file"),
    "deep nesting": ("[" * 5000, "no whole JSON file"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_configuration_that_cannot_be_used_is_refused_in_a_sentence(what, tmp_path, capsys, monkeypatch):
    data, words = REFUSED[what]
    file = written(tmp_path, data)
    with pytest.raises(ValueError, match=words):
        target_of(file)
    monkeypatch.setattr("sys.argv", ["sandbox", "preflight", "--optimizer", "adamw", "--model", file])
    with pytest.raises(SystemExit) as code:
        main()
    assert code.value.code == 2 and capsys.readouterr().err.startswith("sandbox: ")


@pytest.mark.parametrize("field", ["model_type", "hidden_act", "evil\x1b[2J", "note", "architectures"])
def test_no_escape_sequence_of_a_file_reaches_a_terminal(field, tmp_path):
    with pytest.raises(ValueError) as error:
        target_of(written(tmp_path, LLAMA | {field: "\x1b]0;owned\x07"}))
    assert str(error.value).isprintable()


def test_no_such_file_and_a_huge_one(tmp_path):
    with pytest.raises(ValueError, match="there is no file") as error:
        target_of("nowhere\x1b[1m.json")
    assert str(error.value).isprintable()
    with pytest.raises(ValueError, match="no configuration of a model has more than"):
        target_of(written(tmp_path, " " * 1_000_001))


@pytest.mark.parametrize(
    ("kw", "words"),
    [
        (dict(world=3), "3 ranks must divide it, but 2 leaves 2; choose 3"),
        (dict(world=0), "world must be 1"),
        (dict(world=-8), "world must be 1"),
        (dict(batch=-2), "batch must be 1"),
        (dict(batch=10**9), "batch must be 1"),
        (dict(context=1), "the context must be 2 .. 8 tokens"),
        (dict(context=9), "the context must be 2 .. 8 tokens"),
        (dict(weights="int4"), "weights must be float32 or bfloat16"),
    ],
)
def test_a_question_without_sense(kw, words):
    with pytest.raises(ValueError, match=words):
        ask(**kw)


def test_a_longer_context_than_positions():
    with pytest.raises(ValueError, match="has 1024 positions"):
        target_of("gpt2", 2048)
    assert target_of("llama-7b", 8192).config.context == 8192


def test_frames_have_the_matrices_of_the_blocks():
    """RSO of the inner Adam on all seven of a Llama's block, its rank a quarter of the width; a named rank wins."""
    small = model(SMALL)
    chosen = system("rso", small)
    framed = {name for name, rule in chosen.rules.items() if type(rule).__name__ == "RSO"}
    assert len(framed) == 7 * SMALL.layers and all(name.startswith("blocks.") for name in framed) and chosen.rank == 4
    assert system("rso", small, 2).rank == 2


@pytest.mark.parametrize(
    ("name", "rank", "words"),
    [("rso", 17, "rank must be 1 .. 16"), ("galore", -1, "rank must be 1 .. 16"), ("sofia", None, "must be one of adamw")],
)
def test_no_such_system(name, rank, words):
    with pytest.raises(ValueError, match=words):
        system(name, model(SMALL), rank)


def test_adam_mini_keeps_what_its_paper_says():
    """26.96 GB for the states of 7B in float32 (Zhang et al., 2024, table 1): half of Adam's and the means of the blocks."""
    seven = model(SIZES["llama-7b"])
    rank = Rank(ask(target=Target("llama-7b", SIZES["llama-7b"], "own")), seven, system("adam-mini", seven))
    assert rank.states() / GB == pytest.approx(26.96, abs=0.02)
    adam = Rank(rank.ask, seven, system("adamw", seven))
    assert adam.states() / GB == pytest.approx(53.91, abs=0.01)


@pytest.mark.slow
def test_lomo_with_blocks_recomputed_takes_what_its_table_says():
    """14.58 for LLaMA-7B, 8 x 512 tokens, 12.55 of it weights (Lv et al., 2023, table 1; its GB are GiB): 5 % are promised for a peak.

    Without recomputing, the table does not come out: 45.61 for activations, half of which (23.5) is told for the fused kernel of attention.
    """
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    lomo = Ask(target_of("llama-7b"), card_of("80GB"), batch=8, context=512, weights="bfloat16", compute="bfloat16", recompute="blocks")
    recomputed = Flight(lomo)
    found = recomputed.of(system("lomo", recomputed.model))
    assert round(found.bytes["weights"] / 2**30, 2) == 12.55 and found.bytes["states"] == 0
    assert found.peak / 2**30 == pytest.approx(14.58, rel=0.05)


@pytest.fixture(scope="module")
def flight() -> Flight:
    return Flight(ask())


def at_memory(flight: Flight, memory: int) -> Flight:
    again = Flight(replace(flight.ask, card=replace(flight.ask.card, memory=memory)))
    again.traces = flight.traces
    return again


@pytest.mark.parametrize("sequences", [1, 2, 3, 9])
def test_the_largest_batch_fits_and_one_more_does_not(flight, sequences):
    """Exactly the memory of a batch, and a byte less; the first answer for many systems is at most one off, by rounded sizes."""
    chosen = system("adamw", flight.model)
    needed = sum(flight._peaks(Rank(flight.ask, flight.model, chosen))(sequences)[1].values())
    for memory, most in ((needed, sequences), (needed - 1, sequences - 1)):
        found = at_memory(flight, memory)
        assert found.of(chosen).largest_batch == most
        assert abs(found.of(chosen, exact=False).largest_batch - most) <= 1


def test_what_does_not_fit_says_what_would(flight):
    small = replace(flight.ask, card=replace(flight.ask.card, memory=50_000))
    found = Flight(small).of(system("sgd", flight.model))
    words = least_words(found, small)
    assert not found.fits and "the smallest card that would do has 0.0 GB" in words and "not even one sequence a rank" in words
    assert least_words(flight.of(system("sgd", flight.model)), flight.ask) is None


def test_categories_add_up_to_the_peak(flight):
    for name in ("adamw", "lomo", "mezo", "forward-gradient", "rso"):
        found = flight.of(system(name, flight.model))
        assert sum(found.bytes.values()) == found.peak and min(found.bytes.values()) >= 0


def test_every_system_of_the_field_takes_off(flight):
    """None refuses a small Llama of this package."""
    found = list(flight.each(NAMES, None, lambda name: None))
    assert [type(one) for one in found] == [Preflight] * len(NAMES)
    states = {one.system: one.bytes["states"] for one in found}
    assert states["lomo"] == states["sgd"] == states["mezo"] == 0 < states["adalomo"] < states["adam-mini"] < states["adamw"]
    lines = table(found)
    assert len(lines) == len(NAMES) + 2 and all(line.isprintable() for line in lines)


def rank_of(name: str, config=SMALL, **kw) -> Rank:
    small = model(config)
    return Rank(ask(target=Target("m", config, "own"), **kw), small, system(name, small))


def test_arithmetic_of_a_step_in_closed_form():
    """Attention written out: 4 n s a layer and token; three passes' worth, four for recomputed blocks, two for two points."""
    n, f, v, s, layers, tokens = 16, SMALL.hidden, 100, 8, 2, 16
    blocks = 2 * layers * (4 * n * n + 3 * n * f) + 4 * n * s * layers
    forward = blocks + 2 * n * v
    assert flops(rank_of("adamw")) == 3 * forward * tokens
    assert flops(rank_of("adamw", recompute="blocks")) == (3 * forward + blocks) * tokens
    assert flops(rank_of("mezo")) == 2 * forward * tokens
    assert flops(rank_of("forward-gradient")) == 3 * forward * tokens
    r, sides, outputs = 4, layers * (8 * n + 3 * (n + f)), layers * (5 * n + 2 * f)
    plain = 2 * layers * (4 * n * n + 3 * n * f)
    assert flops(rank_of("rso")) == (3 * forward - plain + 4 * r * sides + 2 * r * outputs) * tokens


def test_bytes_between_ranks_in_closed_form():
    """Each of two ranks sends its half of every weight in forward, of those of blocks in backward, and half of every gradient."""
    shapes = shapes_of(SMALL)
    total, blocks = sum(map(prod, shapes.values())), sum(prod(s) for name, s in shapes.items() if name.startswith("blocks."))
    last = prod(shapes["norm.weight"])
    found = sent(rank_of("adamw", world=2))
    assert (found.gathered, found.reduced, found.rule) == (2 * (total + blocks + last), 2 * total, 0)
    mixed = sent(rank_of("adamw", world=2, compute="bfloat16"))
    assert (mixed.gathered, mixed.reduced) == (found.gathered // 2, found.reduced)
    columns = sum(shape[-1] for shape in shapes.values() if len(shape) > 1)
    assert sent(rank_of("adalomo", world=2)).rule == 4 * columns and sent(rank_of("adamw")).total == 0
    assert sent(rank_of("mezo", world=2)).total == 8


def test_layers_of_rso_lie_in_rows_on_the_ranks_with_weights_and_bases():
    """All of it is gathered, the blocks' part and the last norm twice; gradients are those of coefficients."""
    one, two = rank_of("rso"), rank_of("rso", world=2)
    shapes, r = shapes_of(SMALL), 4
    half = {name: (-(-shape[0] // 2), *shape[1:]) for name, shape in shapes.items()}
    trained = sum(half[name][0] * r if name in two.layers else prod(shape) for name, shape in half.items())
    fixed = sum(prod(half[name]) + -(-shapes[name][1] // 2) * r for name in two.layers)
    outside = sum(prod(half[name]) for name in ("embedding.weight", "head.weight"))
    assert two.weights() == 4 * (trained + fixed)
    assert one.weights() == 4 * sum(m * (n + r) + n * r for m, n in (shapes[name] for name in two.layers)) + 4 * sum(
        prod(shape) for name, shape in shapes.items() if name not in two.layers
    )
    assert (sent(two).gathered, sent(two).reduced) == (4 * (2 * (trained + fixed) - outside), 4 * trained)


def test_bytes_over_the_bus():
    rank = rank_of("adamw", world=2)
    here = offloaded(rank, "on the CPU")
    assert here.to_cpu == here.to_gpu == rank.weights() and offloaded(rank, "on the GPU").to_cpu == 2 * rank.weights()


def test_time_is_the_slowest_and_the_update():
    assert Roofline(3.0, 2.0, 5.0, 1.0).least == 6.0 and Roofline(3.0, 2.0, 5.0, 1.0).most == 11.0
    card = replace(card_of("80GB"), flops=1.0, hbm=2.0, link=4.0)
    rank = rank_of("adamw", world=2)
    total = sum(map(prod, shapes_of(SMALL).values()))
    found = roofline(rank, card, kept=100)
    assert found.compute == flops(rank) and found.memory == (3 * 4 * total + 200) / 2 and found.link == sent(rank).total / 4
    assert found.update == (3 * rank.weights() + 2 * rank.states()) / 2


def test_ranks_share_everything_but_what_runs_in_place():
    one, two = (rank_of("adamw", world=w, batch=2 * w) for w in (1, 2))
    assert two.weights() * 2 == one.weights() and two.states() * 2 == one.states()
    assert rank_of("mezo", world=2).weights() == rank_of("mezo").weights()
    assert rank_of("forward-gradient", world=2, compute="bfloat16").weights() == one.weights()


def test_headline_and_details(flight):
    found = flight.of(system("adamw", flight.model))
    lines = [*headline(flight), *details(found, flight.ask), *flight.notes()]
    text = "\n".join(lines)
    for words in ("small: ", "2 x 8 tokens", "fits in 12.0 MB", "states in CPU memory", "lower bounds", "all 2 blocks were run"):
        assert words in text


def test_states_that_more_ranks_do_not_shrink_are_said():
    """GaLore's bases have 4 columns of 16 numbers; AdamW has none."""
    two = Flight(ask(world=2))
    galore, adamw = (two.of(system(name, two.model)) for name in ("galore", "adamw"))
    bases = 4 * 4 * SMALL.layers * (7 * 16)  # every matrix is compressed on its side of 16
    assert SMALL.hidden > 16 and (galore.whole, adamw.whole) == (bases, 0)
    said = [line for line in details(galore, two.ask) if "whole on every rank" in line]
    assert len(said) == 1 and said[0].startswith("  0.0 MB of the states")
    assert not any("whole on every rank" in line for line in details(adamw, two.ask))


def test_ranks_that_do_not_divide_the_rows_are_said():
    """3 divides neither 16 nor 100."""
    line = next(line for line in Flight(ask(world=3, batch=3)).notes() if "FSDP2" in line)
    rows = [shape[0] for shape in shapes_of(SMALL).values()]
    assert f"({sum(m % 3 > 0 for m in rows)} tensors have rows" in line
    assert "tensors have rows" not in "".join(Flight(ask(world=2)).notes())


def test_model_of_a_target_is_that_of_its_modules():
    assert model_of(ask()) == model(SMALL)


RUN = CliRunner()
CALL = ["preflight", "--gpu", "12MB", "--context", "8", "--compute", "float32"]


def test_the_command_says_whether_it_fits(tmp_path):
    file = written(tmp_path, OWN)
    found = RUN.invoke(app, [*CALL, "--model", file, "--optimizer", "lomo", "--json"])
    row = json.loads(found.stdout)[0]
    assert found.exit_code == 0 and row["id"] == "lomo" and row["fits"] and row["assumptions"] and row["parameters"] > 0
    told = RUN.invoke(app, [*CALL, "--model", file, "--optimizer", "lomo"])
    assert told.exit_code == 0 and "fits in 12.0 MB" in told.stdout


def test_the_command_exits_with_1_where_it_does_not_fit(tmp_path):
    call = ["preflight", "--gpu", "0.01MB", "--compute", "float32", "--model", written(tmp_path, OWN), "--optimizer", "adamw"]
    found = RUN.invoke(app, call)
    assert found.exit_code == 1 and "the smallest card that would do" in found.stderr


@pytest.mark.parametrize("extra", [[], ["--optimizer", "adamw", "--all"], ["card.json", "--all"], ["--optimizer", "muon"]])
def test_a_wrong_call(extra):
    found = RUN.invoke(app, [*CALL, *extra])
    assert found.exit_code != 0 and isinstance(found.exception, ValueError)


CARDS_HERE = Path(__file__).resolve().parents[2] / "experiments" / "records" / "cards"


def test_a_published_card_is_carried_to_a_target(flight):
    """AdaLomo's card: its rule on every tensor of another model, in the card's shell, and so the bytes of the system by name."""
    carried = of_card(CARDS_HERE / "adalomo.json", flight.model, flight.ask)
    assert list(carried.rules) == list(flight.model.shapes) and carried.way in ("stepwise", "fused")
    by_name = replace(system("adalomo", flight.model), way=carried.way)
    assert flight.of(carried).bytes == flight.of(by_name).bytes


def test_a_card_that_was_changed_may_not_be_used(flight, tmp_path):
    text = (CARDS_HERE / "adalomo.json").read_text()
    for name, old, new in (("changed", '"steps": ', '"steps": 1'), ("weak", "HOLDS", "VIOLATED"), ("cut off", text[-200:], "")):
        (tmp_path / name).write_text(text.replace(old, new))
        with pytest.raises(ValueError, match="may not be used|is not a card"):
            of_card(tmp_path / name, flight.model, flight.ask)
    with pytest.raises(ValueError, match="does not exist"):
        of_card(tmp_path / "nowhere.json", flight.model, flight.ask)
