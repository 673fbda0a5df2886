"""Every step of TF-VAEGAN, lifted over replicas, against the plain step; and its gradients."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import zslbench_tf_vaegan
from zslbench.plugin.programs import Batch, Step
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import ClassSpace
from zslbench.training import functional
from zslbench.training.step import draw, step_function
from zslbench_tf_vaegan.generator import TFVAEGAN
from zslbench_tf_vaegan.settings import TFVAEGANSettings

# torch computes a batched product of fewer than 400 multiplications by another kernel, which rounds
# differently; no product here is so small.
D, A, H, B, CLASSES = 16, 12, 24, 32, 5

OPTIONS = [
    {
        "decoder": decoder,
        "feedback": decoder and feedback,
        "transform": decoder,
        "encoded_noise": encoded,
        "adaptive_penalty": adaptive,
        "freeze_decoder": decoder and adaptive,
    }
    for decoder, feedback, encoded, adaptive in itertools.product([True, False], repeat=4)
    if decoder or not feedback
]


def steps(options) -> Iterator[tuple[TFVAEGAN, Step]]:
    """The distinct steps of a program, of the plain and of the feedback pass."""
    space = ClassSpace(("x",) * CLASSES, torch.rand(CLASSES, A), torch.arange(CLASSES), torch.arange(0))
    part = TFVAEGAN(TFVAEGANSettings(hidden=H, a1=0.7, **options), space)
    for feedback in {False, part.settings.feedback}:
        for step in {step.name: step for step in part.steps(feedback=feedback)}.values():
            yield part, step


def case(part: TFVAEGAN, step: Step, seed: int, dtype: torch.dtype):
    """Networks with weights of order 0.2, a batch with features in (0, 1), and the step's noise."""
    streams = Streams(seed)

    def cast(tensor):
        return tensor.to(dtype)

    nets = {
        **part.initial(streams, D),
        "state": {"penalty_weight": torch.tensor(10.0), "penalty_sum": torch.tensor(0.0)},
    }
    nets = {
        net: {name: cast(10 * t if name.endswith("weight") and t.ndim else t + 0.1) for name, t in ts.items()}
        for net, ts in nets.items()
    }
    labels = torch.randint(CLASSES, (B,), generator=streams["labels"])
    semantics = torch.nn.functional.normalize(streams.uniform("a", (CLASSES, A)))
    batch = Batch(cast(streams.uniform("g", (B, D))), labels, cast(semantics[labels]))
    noise = {name: cast(draw(spec, B, streams, name)) for name, spec in step.noise.items()}
    return nets, batch, noise


def stack(trees):
    if isinstance(trees[0], torch.Tensor):
        return torch.stack(trees)
    if isinstance(trees[0], dict):
        return {key: stack([tree[key] for tree in trees]) for key in trees[0]}
    return type(trees[0])(*(stack(list(parts)) for parts in zip(*trees, strict=True)))


def leaves(tree, path=""):
    if isinstance(tree, torch.Tensor):
        yield path, tree
        return
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield from leaves(value, f"{path}/{key}")


def name_of(options) -> str:
    return "-".join(key if value else f"no_{key}" for key, value in options.items())


@pytest.mark.parametrize("options", OPTIONS, ids=name_of)
def test_one_replica_gives_the_same_bits(options):
    for part, step in steps(options):
        arguments = case(part, step, 0, torch.float32)
        run = step_function(step)
        plain = dict(leaves(run(*arguments)))
        lifted = dict(
            leaves(torch.func.vmap(step_function(step, for_vmap=True))(*(stack([one]) for one in arguments)))
        )
        assert lifted.keys() == plain.keys()
        assert {path.split("/")[2] for path in plain if path.startswith("/0/")} == set(step.updates)
        for path, value in plain.items():
            assert torch.equal(lifted[path][0], value), (step.name, path)


@pytest.mark.parametrize("options", OPTIONS, ids=name_of)
def test_three_replicas_are_three_single_steps(options):
    for part, step in steps(options):
        cases = [case(part, step, seed, torch.float64) for seed in range(3)]
        run = step_function(step)
        arguments = (stack(list(parts)) for parts in zip(*cases, strict=True))
        lifted = dict(leaves(torch.func.vmap(step_function(step, for_vmap=True))(*arguments)))
        for number, one in enumerate(cases):
            for path, value in leaves(run(*one)):
                assert value.dtype == torch.float64, path
                assert torch.allclose(lifted[path][number], value, rtol=1e-10, atol=1e-10), (step.name, path)


def check_gradients(step: Step, nets, batch, noise, updated: set[str]) -> None:
    """The slope of the loss along a random direction of each tensor is the gradient's part along it."""
    gradients, _ = step_function(step)(nets, batch, noise)
    for net in updated:
        for name, gradient in gradients[net].items():
            direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(0)).double()
            ends = []
            for by in (1e-6, -1e-6):
                moved = {**nets, net: {**nets[net], name: nets[net][name] + by * direction}}
                ends.append(step.losses(moved, batch, noise).total.item())
            found = (gradient * direction).sum().item()
            assert found == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-6), (net, name)


@pytest.mark.parametrize("options", [o for o in OPTIONS if not o["feedback"]], ids=name_of)
def test_gradients_are_finite_differences(options):
    for part, step in steps(options):
        check_gradients(step, *case(part, step, 3, torch.float64), set(step.updates))


def test_feedback_gradients_are_finite_differences_where_nothing_is_detached():
    """With feedback the method detaches a path on purpose; the critic and the module itself are not on it."""
    for part, step in steps({"feedback": True}):
        updated = {"critic", "feedback"} & set(step.updates)
        check_gradients(step, *case(part, step, 4, torch.float64), updated)


def test_the_steps_of_critic_and_decoder_train_them_alone():
    for part, step in steps({}):
        if step.name != "generator":
            gradients, _ = step_function(step)(*case(part, step, 0, torch.float32))
            assert set(gradients) == {step.name}


# --- what step code may not call ------------------------------------------------------------------

PLUGINS = Path(zslbench_tf_vaegan.__file__).parents[1]
METHODS = [
    path
    for name in ("clswgan", "common", "eszsl", "ocd_cvae", "sc_egg", "tf_vaegan")
    for path in sorted((PLUGINS / f"zslbench_{name}").rglob("*.py"))
]
EVERYWHERE = {"linear", "Linear", "autograd", "bilinear"}
IN_STEPS = {"item", "tolist", "numpy", "cpu", "rand", "randn", "randint", "manual_seed", "backward"}


def calls(tree: ast.AST) -> Iterator[str]:
    """Dotted names of everything called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def step_code(tree: ast.Module, whole: bool) -> list[ast.AST]:
    """The module where all of it runs inside steps; else functions of networks or named after losses."""
    if whole:
        return [tree]
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [
        node
        for node in functions
        if node.name.endswith(("losses", "_loss"))
        or (any(one.arg == "nets" for one in node.args.args) and not node.name.startswith("warn"))
    ]


def test_step_code_calls_nothing_that_cannot_be_lifted():
    examined = 0
    for path in (Path(functional.__file__), *METHODS):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            dotted = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            assert not (set(dotted.split(".")[1:]) & EVERYWHERE), f"{path.name}: {dotted}"
        for part in step_code(tree, path.stem in ("networks", "functional")):
            examined += 1
            for called in calls(part):
                assert called not in ("float", "int", "bool", "print"), f"{path.name}: {called}()"
                assert called.rpartition(".")[2] not in IN_STEPS, f"{path.name}: {called}()"
    assert examined >= 3
