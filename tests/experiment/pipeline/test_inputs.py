"""What the classifiers were given, counted and recomputed here without the code that gives it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from zslbench.errors import Diverged, Interrupted, PluginError, PluginFailure, SettingsError, ZslbenchError
from zslbench.evaluation.folds import ClassSpace, Fold, HeldOut, unseen_space
from zslbench.experiment.inputs import ClassifierInputs
from zslbench.plugin.interfaces import Classifier, Generator
from zslbench.plugin.programs import Losses, Normal, Optimizer, Program, Step, Uniform
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import TrainView
from zslbench.training.loop import Training, complete

SEEN, UNSEEN = [0, 2, 3], [1, 4]
COUNTS = {0: 5, 2: 1, 3: 3}
CPU = torch.device("cpu")


def space():
    return ClassSpace(
        names=tuple("abcde"),
        semantics=100.0 * torch.arange(5.0)[:, None] + torch.arange(2.0),
        seen=torch.tensor(SEEN),
        unseen=torch.tensor(UNSEEN),
    )


def view():
    """Images in mixed order; a row of g is [its class, its number]."""
    labels = torch.tensor([3, 0, 0, 2, 3, 0, 0, 3, 0])
    g = torch.stack([labels.float(), torch.arange(9.0)], dim=1)
    return TrainView(g, labels, networks={"embedding": {"net": {"w": torch.ones(2)}}})


def fold(rows=(40, 7, 19, 3)):
    """Test images by row of the data set; g is the row."""
    sides = (rows[: len(rows) // 2], rows[len(rows) // 2 :])

    def held_out(some):
        features = torch.tensor([[float(row), -1.0] for row in some]).reshape(-1, 2)
        return HeldOut(features, np.zeros(len(some), np.int64), np.array(some, np.int64), CPU)

    made = [held_out(side) for side in sides]
    return Fold("final", view(), space(), *made)


class Made(Generator):
    """sample: [semantics, noise]; transform: [g, code, all that is random of it]."""

    per_class = 3
    czsl_per_class = 3
    real_per_class = None
    redraws = draws_at_test = False
    sample_noise = {"code": Normal((1,)), "u": Uniform(())}  # noqa: RUF012
    transform_noise = {"code": Normal((2,))}  # noqa: RUF012

    def __init__(self, **changed):
        super().__init__(None, space())
        vars(self).update(changed)

    def fit(self, view):
        return {}

    def sample(self, nets, semantics, noise):
        return torch.cat([semantics, noise["code"], noise["u"][:, None]], dim=1)

    def transform(self, nets, g, noise):
        return torch.cat([g, noise.get("code", torch.full((len(g), 2), 0.5))], dim=1)


class Shorter(Made):
    """Real and synthetic features of equal width."""

    def sample(self, nets, semantics, noise):
        return semantics + 0.01 * noise["code"]


class Latent(Made):
    """Samples inputs."""

    samples = "inputs"

    def sample(self, nets, semantics, noise):
        return torch.cat([semantics, noise["code"], noise["u"][:, None]], dim=1)


def given(generator, seed=0, tasks=("gzsl", "czsl"), reads="inputs"):
    inputs = ClassifierInputs(generator, {"net": {"w": torch.zeros(1)}}, Streams(seed), reads)
    return inputs, inputs.views(view(), space(), tasks)


def by_class(one):
    return {label: int((one.labels == label).sum()) for label in one.labels.unique().tolist()}


# --- which rows, and how many of each class ---------------------------------------------------------


def test_by_default_each_training_image_once_and_as_many_of_each_unseen_class():
    _, views = given(Shorter())
    gzsl, czsl = views["gzsl"], views["czsl"]
    assert by_class(gzsl) == {**COUNTS, 1: 3, 4: 3}
    assert torch.equal(gzsl.features[:9, :2], view().features)
    assert torch.equal(gzsl.labels[:9], view().labels)
    assert by_class(czsl) == {0: 3, 1: 3}  # ids in the space of the unseen classes
    assert torch.equal(czsl.features, gzsl.features[9:])
    semantics = space().semantics[gzsl.labels[9:]]
    assert (gzsl.features[9:, :2] - semantics).abs().max() < 0.1
    assert (gzsl.task, czsl.task) == ("gzsl", "czsl")


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_the_first_images_of_each_class_again_from_the_start_where_it_has_fewer(count):
    _, views = given(Shorter(real_per_class=count, per_class=2))
    assert by_class(views["gzsl"]) == {**dict.fromkeys(SEEN, count), 1: 2, 4: 2}
    numbers = {0: [1, 2, 5, 6, 8], 2: [3], 3: [0, 4, 7]}
    for label, own in numbers.items():
        rows = views["gzsl"].features[views["gzsl"].labels == label]
        assert rows[:, 0].tolist() == [label] * count
        assert rows[:, 1].tolist() == [own[one % len(own)] for one in range(count)]
    repeated = views["gzsl"].features[views["gzsl"].labels == 2]
    assert len(repeated[:, 2:].unique(dim=0)) == count  # one image, but a draw of its own each time


def test_czsl_may_have_another_number_which_changes_nothing_for_gzsl():
    alike, other = given(Shorter())[1], given(Shorter(czsl_per_class=5))[1]
    assert torch.equal(alike["gzsl"].features, other["gzsl"].features)
    assert by_class(other["czsl"]) == {0: 5, 1: 5}
    assert not torch.isin(other["czsl"].features[:, 0], other["gzsl"].features[:, 0]).any()
    alone = given(Shorter(czsl_per_class=5), tasks=("czsl",))[1]
    assert torch.equal(alone["czsl"].features, other["czsl"].features)
    assert torch.equal(given(Shorter(), tasks=("czsl",))[1]["czsl"].features, alike["czsl"].features)


@pytest.mark.parametrize("name", ["per_class", "czsl_per_class", "real_per_class"])
def test_none_of_a_class_is_refused(name):
    with pytest.raises(SettingsError, match="0"):
        given(Shorter(**{name: 0}))


def test_sampled_inputs_are_not_transformed_and_real_images_are():
    _, views = given(Latent())
    gzsl = views["gzsl"].features
    assert torch.equal(gzsl[:9, :2], view().features)
    assert torch.equal(gzsl[9:, :2], space().semantics[views["gzsl"].labels[9:]])
    expected = Streams(0).child("synthesis")
    code = torch.cat([expected.normal("code", (3, 1)) for _ in UNSEEN])
    u = torch.cat([expected.uniform("u", (3,)) for _ in UNSEEN])
    assert torch.equal(gzsl[9:, 2:], torch.cat([code, u[:, None]], dim=1))


def test_a_classifier_of_features_sees_no_transform_and_draws_nothing_for_it():
    inputs, views = given(Shorter(), reads="features")
    assert torch.equal(views["gzsl"].features[:9], view().features)
    assert views["gzsl"].features.shape[1] == views["czsl"].features.shape[1] == 2
    as_inputs = given(Shorter())[1]["gzsl"].features
    assert torch.equal(views["gzsl"].features[9:], as_inputs[9:, :2])
    assert inputs.held_out(fold()).test_seen.features[torch.arange(2)].tolist() == [[40, -1], [7, -1]]


def test_without_a_generator_it_sees_g():
    inputs = ClassifierInputs(None, {}, Streams(0))
    (one,) = inputs.views(view(), space(), ["gzsl"]).values()
    assert torch.equal(one.features, view().features)
    assert one.features.data_ptr() != view().features.data_ptr()
    assert set(one.networks) == {"embedding"}


# --- noise ------------------------------------------------------------------------------------------


def test_each_use_of_noise_has_a_stream_of_its_own():
    """Real, synthetic and test images, epochs, and both tasks: no two share a number."""
    inputs, views = given(Shorter(draws_at_test=True, czsl_per_class=2))
    gzsl, held_out = views["gzsl"].features[:, 2:], inputs.held_out(fold())
    tested = [side.features[torch.arange(2)][:, 2:] for side in (held_out.test_seen, held_out.test_unseen)]
    again = torch.cat(inputs.real(view().features, 1))[:, 2:]
    everything = torch.cat([gzsl, *tested, again, views["czsl"].features[:, 2:]]).flatten()
    samples = [views[task].features[:, 1] % 1 for task in ("gzsl", "czsl")]
    assert len(everything.unique()) == len(everything) == 2 * (9 + 6 + 4 + 9 + 4)
    assert not torch.isin(samples[1], samples[0][9:]).any()


def test_noise_of_one_use_does_not_depend_on_another():
    usual = given(Shorter())[1]["gzsl"].features
    more = given(Shorter(per_class=8))[1]["gzsl"].features
    assert torch.equal(more[:9], usual[:9])
    fewer = given(Shorter(real_per_class=2))[1]["gzsl"].features
    assert torch.equal(fewer[6:], usual[9:])
    silent = given(Shorter(transform_noise={}))[1]["gzsl"].features
    assert torch.equal(silent[:, :2], usual[:, :2])
    assert (silent[:, 2:] == 0.5).all()
    assert torch.equal(given(Shorter())[1]["gzsl"].features, usual)
    assert not torch.equal(given(Shorter(), seed=1)[1]["gzsl"].features[:9, 2:], usual[:9, 2:])


def test_noise_that_rows_share_is_refused():
    with pytest.raises(PluginError, match="'u'"):
        given(Shorter(sample_noise={"code": Normal((1,)), "u": Uniform((), per_row=False)}))
    with pytest.raises(PluginError, match="'code'"):
        given(Shorter(transform_noise={"code": Normal((2,), per_row=False)}))


def test_by_default_test_images_get_the_mean():
    inputs, _ = given(Shorter())
    side = inputs.held_out(fold()).test_unseen
    assert side.features[torch.arange(2)].tolist() == [[19, -1, 0.5, 0.5], [3, -1, 0.5, 0.5]]


def test_a_test_image_has_its_own_draw_whatever_the_others_are():
    def draws(rows, seed=0):
        inputs, _ = given(Shorter(draws_at_test=True), seed)
        held_out = inputs.held_out(fold(rows))
        found = [torch.cat(list(side.inputs())) for side in (held_out.test_seen, held_out.test_unseen)]
        return {int(row[0]): row[2:].tolist() for row in torch.cat(found)}

    whole = draws((40, 7, 19, 3))
    assert draws((3, 40)) == {row: whole[row] for row in (3, 40)}
    assert len({tuple(one) for one in whole.values()}) == 4
    other = draws((40, 7, 19, 3), seed=1)
    assert all(other[row] != whole[row] for row in whole)
    for row, found in whole.items():
        assert found == Streams(0).child(f"test/{row}").normal("code", (1, 2))[0].tolist()


@pytest.mark.parametrize("method", ["sample", "transform"])
@pytest.mark.parametrize(
    ("change", "fact"),
    [(lambda one: one[1:], "(5, "), (torch.Tensor.double, "float64"), (torch.Tensor.flatten, "(12,)")],
)
def test_a_generator_that_returns_something_else_is_at_fault_itself(method, change, fact):
    """Not the classifier, in whose training it would surface."""
    changed = type("Changed", (Shorter,), {})
    original = getattr(Shorter, method)
    setattr(changed, method, lambda *arguments: change(original(*arguments)))
    with pytest.raises(PluginError, match=method) as caught:
        given(changed())
    assert method == "transform" or fact in str(caught.value)


@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
@pytest.mark.parametrize("method", ["sample", "transform"])
def test_a_generator_that_returns_nan_or_infinities_is_named(method, value):
    class Broken(Shorter):
        pass

    original = getattr(Shorter, method)

    def broken(*arguments):
        found = original(*arguments)
        found[1, 0] = value
        return found

    setattr(Broken, method, broken)
    inputs = ClassifierInputs(Broken(), {}, Streams(0), place={"generator": "bad"})
    with pytest.raises(Diverged, match=f"{method} of generator 'bad'.* 1 of "):
        inputs.views(view(), space(), ("gzsl",))


def test_an_embedding_that_returns_nan_is_named(run, monkeypatch):
    monkeypatch.setattr("zslbench_scripted.AsIs.embed", lambda self, nets, inputs: inputs / 0 * 0)
    with pytest.raises(Diverged, match="embed of embedding 'as-is'"):
        run(embedding="as-is", classifier="eszsl", select="last")


def test_real_and_synthetic_features_of_different_widths_are_the_generator_s_fault():
    class Wider(Latent):
        def transform(self, nets, g, noise):
            return g

    with pytest.raises(PluginError, match=r"generator.*2 and 4"):
        given(Wider())


class Forgetful(Shorter):
    def transform(self, nets, g, noise):
        return g + noise["code"] * noise.get("more", 1)


def test_a_transform_that_needs_noise_for_test_images_is_told_that_they_have_none():
    held_out = given(Forgetful())[0].held_out(fold())
    with pytest.raises(PluginError, match=r"'code'.*draws_at_test") as caught:
        list(held_out.test_seen.inputs())
    assert not isinstance(caught.value, PluginFailure)
    inputs, _ = given(Forgetful(draws_at_test=True))
    assert len(list(inputs.held_out(fold()).test_seen.inputs())) == 1


# --- drawn anew in every epoch ------------------------------------------------------------------------


class Watching(Classifier):
    """Keeps the sums of its batches over each epoch, which has every row once."""

    needs_examples = True

    def __init__(self, epochs=3, own=False, stages=False, where=None, batches=1):
        super().__init__(None, where or space())
        self.epochs, self.own, self.stages, self.batches = epochs, own, stages, batches

    def losses(self, nets, batch, noise):
        number = nets["state"]["number"]
        epoch = torch.nn.functional.one_hot(number // self.batches, self.epochs)
        at = epoch[:, None] * batch.features.sum(dim=0)
        state = {"sums": nets["state"]["sums"] + at, "number": number + 1}
        return Losses((nets["w"]["w"] * batch.features).sum(), {}, state)

    def program(self, view):
        width = view.features.shape[1]
        return Program(
            initial=lambda streams: {"w": {"w": torch.zeros(width)}},
            passes=((Step("watch", self.losses, updates=("w",)),),),
            optimizers={"w": Optimizer("sgd", lr=0.1)},
            features=view.features * 1 if self.own else view.features,
            labels=view.labels,
            epochs=self.epochs,
            batch_size=len(view.labels) // self.batches,
            sampler="shuffled",
            state={"sums": torch.zeros(self.epochs, width), "number": torch.zeros((), dtype=torch.int64)},
        )

    def fit(self, view):
        return self.in_stages(view) if self.stages else self.program(view)

    def in_stages(self, view):
        yield replace(self.program(view), name="first", paced=False)
        return (yield self.program(view))

    def scores(self, nets, features):
        return features


def sums(generator, classifier, task="gzsl", training=None):
    inputs, views = given(generator)
    where = space() if task == "gzsl" else unseen_space(space())
    fit = inputs.fit(classifier, view(), views[task], space())
    training = training or Training(Streams(0))
    return complete(fit, where.semantics, training).networks["state"]["sums"], views[task], inputs


@pytest.mark.parametrize("stages", [False, True])
def test_real_inputs_are_drawn_anew_in_every_epoch_and_synthetic_ones_are_not(stages):
    found, seen, _ = sums(Shorter(redraws=True), Watching(stages=stages))
    for epoch in range(3):
        code = Streams(0).child(f"real/{epoch}").normal("code", (9, 2))
        real = torch.cat([view().features, code], dim=1)
        torch.testing.assert_close(found[epoch], real.sum(dim=0) + seen.features[9:].sum(dim=0))
    assert len(found[:, 2].unique()) == 3
    torch.testing.assert_close(found[0], seen.features.sum(dim=0))


def test_without_it_every_epoch_sees_the_same_and_czsl_always_does():
    kept, seen, _ = sums(Shorter(), Watching())
    torch.testing.assert_close(kept, seen.features.sum(dim=0).expand(3, -1))
    czsl, unseen, _ = sums(Shorter(redraws=True), Watching(where=unseen_space(space())), task="czsl")
    torch.testing.assert_close(czsl, unseen.features.sum(dim=0).expand(3, -1))


def test_a_classifier_that_would_miss_the_new_draws_is_refused():
    with pytest.raises(PluginError, match="redraws"):
        sums(Shorter(redraws=True), Watching(own=True))
    sums(Shorter(), Watching(own=True))


def test_an_interrupted_classifier_goes_on_with_the_draws_of_its_epoch(tmp_path):
    """Stopped within the second epoch of three batches each."""
    whole, _, _ = sums(Shorter(redraws=True), Watching(batches=3))
    asked = iter([False, False, False, True])

    def training(**more):
        return Training(Streams(0), stage="gzsl", folder=tmp_path, checkpoint_seconds=0, **more)

    with pytest.raises(Interrupted):
        stops = training(stop_requested=lambda: next(asked))
        sums(Shorter(redraws=True), Watching(batches=3), training=stops)
    again, seen, _ = sums(Shorter(redraws=True), Watching(batches=3), training=training())
    assert torch.equal(again, whole)
    torch.testing.assert_close(whole[:, :2], seen.features[:, :2].sum(dim=0).expand(3, -1))
    assert len(whole[:, 2].unique()) == 3


# --- who knows whom -----------------------------------------------------------------------------------


def test_the_networks_before_it_are_the_fitted_ones_themselves():
    generator = Shorter()
    inputs, views = given(generator)
    for one in views.values():
        assert one.networks["generator"] is inputs.networks
        assert set(one.networks) == {"embedding", "generator"}


@pytest.mark.parametrize("select", ["val", "oracle"])
def test_components_use_those_before_them_also_in_mid_training(run, select):
    """Each class is where the generator samples it from semantics, scaled as the embedding says."""
    record = run("building", select=select, epochs=3, every=1, keep_weights=True)
    assert record.metrics["u"] == record.metrics["s"] == record.metrics["acc"] == 1
    figure = record.table("epochs")["val_h" if select == "val" else "test_h"]
    assert figure.dropna().tolist() == [1, 1, 1]
    if select == "val":  # an oracle run keeps no networks
        kept = record.networks()
        for name in ("generator/before/w", "gzsl/before/w", "czsl/before/w", "gzsl/own/w"):
            assert torch.equal(kept[name], kept["embedding/scale/w"])


def test_seeds_that_train_together_build_on_the_same_networks(known, tmp_path):
    import zslbench

    options = {"dataset": "scripted", "epochs": 2, "select": "last", "device": "cpu", "threads": 1}
    found = zslbench.run("building", seeds=[0, 1, 2], replicas=3, store=tmp_path, **options)
    assert [one.metrics["h"] for one in found.records] == [1, 1, 1]


def test_a_classifier_of_features_and_a_generator_of_inputs_are_refused(known):
    from zslbench.experiment.fitting import Fitter
    from zslbench.experiment.recipe import resolve

    recipe = resolve(known, "scripted", components={
        "embedding": "as-is", "generator": "scripted-codes", "classifier": "reads-g"})  # fmt: skip
    with pytest.raises(ZslbenchError, match=r"reads-g.*scripted-codes"):
        Fitter(recipe, fold(), Training(Streams(0)), ("gzsl",))


# --- settings of a task -------------------------------------------------------------------------------


def test_the_czsl_classifier_trains_as_its_own_settings_say(run):
    own = {"classifier.epochs": 3, "classifier.czsl_epochs": 2, "classifier.czsl_lr": 0.1}
    record = run("drawing", select="last", epochs=1, settings=own)
    usual = run("drawing", select="last", epochs=1, settings={"classifier.epochs": 3})
    lengths = [one.table("epochs").groupby("stage")["epoch"].max() for one in (record, usual)]
    assert lengths[0]["final/gzsl"] == lengths[1]["final/gzsl"] == lengths[1]["final/czsl"] == 3
    assert lengths[0]["final/czsl"] == 2
    assert record.metrics["h"] == usual.metrics["h"]


def test_it_has_no_length_of_its_own_where_the_classifiers_epoch_is_selected(run):
    with pytest.raises(SettingsError, match="schedule"):
        run("scripted-softmax", settings={"classifier.czsl_epochs": 2})
