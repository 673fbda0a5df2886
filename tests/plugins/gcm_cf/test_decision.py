"""The decision between seen and unseen, against fits of torch's own modules image by image."""

from __future__ import annotations

import pytest
import torch

from zslbench.errors import SettingsError
from zslbench.plugin import ClassSpace, Generator, Normal, Streams, TrainView
from zslbench.training import Training, complete
from zslbench_gcm_cf.decision import CounterfactualClassifier, earlier_of_class
from zslbench_gcm_cf.settings import CounterfactualSettings

WIDTH, SEEN, UNSEEN = 3, (0, 2, 4), (1, 3)


class Shifting(Generator):
    """g = a + z, where z is what distinguishes an image: E(g, ·) = g less its largest attribute, ± 0.1."""

    per_class = 6
    sample_noise = {"z": Normal((WIDTH,))}  # noqa: RUF012

    def fit(self, view):
        return {}

    def sample(self, nets, semantics, noise):
        return nets["scale"]["scale"] * semantics + noise["z"]

    def transform(self, nets, g, noise):
        return torch.cat([g, g.square()], dim=1)

    def encode(self, nets, g, semantics, noise):
        return {"z": 0.5 * g + 0.1 * noise.get("z", torch.zeros_like(g))}


class Blind(Shifting):
    encode = Generator.encode


@pytest.fixture
def space():
    streams = Streams(5)
    return ClassSpace(
        tuple("abcde"), streams.normal("a", (5, WIDTH)), torch.tensor(SEEN), torch.tensor(UNSEEN)
    )


@pytest.fixture
def view(space):
    """Eight real features of each seen class, six synthetic ones of each unseen class, in random order."""
    streams = Streams(6)
    labels = torch.cat([space.seen.repeat_interleave(8), space.unseen.repeat_interleave(6)])[
        streams.uniform("order", (36,)).argsort()
    ]
    g = space.semantics[labels] + 0.3 * streams.normal("g", (36, WIDTH))
    nets = {"generator": {"scale": {"scale": torch.tensor(1.0)}}}
    return TrainView(g, labels, networks=nets, task="gzsl")


def classifier(space, generator=Shifting, **decision):
    few = {"per_class": 4, "batch_size": 7, "epochs": 3, "lr": 0.05, "images_at_once": 3} | decision
    settings = CounterfactualSettings(decision=few, unseen={"lr": 0.05}, seen={"lr": 0.05})
    made = CounterfactualClassifier(settings, space)
    made.generator = generator(None, space)
    return made


def fitted(made, view):
    return complete(made.fit(view), made.space.semantics, Training(Streams(0), stage="test")).networks


@pytest.fixture
def images(space):
    labels = torch.arange(5).repeat(4)
    return space.semantics[labels] + 0.3 * Streams(7).normal("test", (20, WIDTH))


def test_scores_are_those_of_a_torch_fit_for_each_image(space, view, images):
    made = classifier(space)
    nets = fitted(made, view)
    scores = made.scores(nets, images)
    real = torch.isin(view.labels, space.seen)
    order, noise = nets["decision"]["order"], nets["noise"]["z"]
    assert order.shape == (3 * 5, 7)  # 24 real and 8 made in batches of 7, three times

    def see(g):
        return torch.cat([g, g**2], dim=1)

    def named(part, ids, g):
        values = torch.nn.functional.linear(see(g[None]), nets[part]["out.weight"], nets[part]["out.bias"])
        return ids[int(values.argmax())]

    for image, row in zip(images[:8], scores[:8], strict=True):
        made_features, labels = [], []
        for number, unseen in enumerate(UNSEEN):
            for draw in noise[4 * number : 4 * number + 4]:
                made_features.append(space.semantics[unseen] + 0.5 * image + 0.1 * draw)
                labels.append(unseen)
        inputs = see(torch.cat([view.features[real], torch.stack(made_features)]))
        targets = torch.cat([view.labels[real], torch.tensor(labels)])
        own = torch.nn.Linear(2 * WIDTH, 5)
        own.weight.data, own.bias.data = (
            nets["decision"][f"out.{name}"].clone() for name in ("weight", "bias")
        )
        adam = torch.optim.Adam(own.parameters(), lr=0.05, betas=(0.5, 0.999))
        for rows in order:
            adam.zero_grad()
            torch.nn.functional.cross_entropy(own(inputs[rows]), targets[rows]).backward()
            adam.step()
        log_p = torch.log_softmax(own(see(image[None])), dim=1)[0].detach()
        seen_wins = log_p[list(SEEN)].max() > log_p[list(UNSEEN)].max()
        expected = named("seen", SEEN, image) if seen_wins else named("unseen", UNSEEN, image)
        assert int(row.argmax()) == expected
        for ids in (SEEN, UNSEEN):
            torch.testing.assert_close(row[list(ids)].max(), log_p[list(ids)].max(), rtol=1e-4, atol=1e-4)


def test_both_groups_are_chosen_and_an_offset_moves_the_decision(space, view, images):
    made = classifier(space)
    scores = made.scores(fitted(made, view), images)
    chosen = scores.argmax(dim=1)
    assert {*chosen.tolist()} & {*SEEN}
    assert {*chosen.tolist()} & {*UNSEEN}
    scores[:, list(SEEN)] -= 1e6
    within = scores[:, list(UNSEEN)].argmax(dim=1)
    assert torch.equal(scores.argmax(dim=1), torch.tensor(UNSEEN)[within])


def test_scores_depend_neither_on_other_images_nor_on_how_many_are_fitted_at_once(space, view, images):
    made = classifier(space)
    nets = fitted(made, view)
    whole = made.scores(nets, images)
    assert torch.equal(made.scores(nets, images), whole)
    torch.testing.assert_close(made.scores(nets, images.flip(0)), whole.flip(0))
    torch.testing.assert_close(made.scores(nets, images[4:5]), whole[4:5])
    other = classifier(space, images_at_once=20)
    torch.testing.assert_close(other.scores(nets, images), whole)
    assert made.scores(nets, images[:0]).shape == (0, 5)


def test_sub_sampling_everything_is_the_exact_procedure(space, view, images):
    exact, sampled = classifier(space, per_class=8), classifier(space, mode="sub-sampled", sub_sample=8)
    torch.testing.assert_close(
        sampled.scores(fitted(sampled, view), images), exact.scores(fitted(exact, view), images)
    )


def test_a_sub_sample_is_the_first_images_of_each_class(space, view):
    nets = fitted(classifier(space, mode="sub-sampled", sub_sample=2), view)
    expected = [
        row
        for row, label in enumerate(view.labels.tolist())
        if label in SEEN and view.labels[:row].tolist().count(label) < 2
    ]
    g = view.features[expected]
    assert torch.equal(nets["decision"]["inputs"], torch.cat([g, g**2], dim=1))
    made = [unseen for unseen in UNSEEN for _ in range(2)]
    assert nets["decision"]["labels"].tolist() == view.labels[expected].tolist() + made
    assert len(nets["noise"]["z"]) == 4


def test_earlier_of_class():
    assert earlier_of_class(torch.tensor([3, 1, 3, 3, 1, 0])).tolist() == [0, 0, 1, 2, 1, 0]


def test_counterfactuals_need_an_encoder_and_a_shared_decision_does_not(space, view, images):
    with pytest.raises(SettingsError, match=r"decision\.mode=shared"):
        fitted(classifier(space, Blind), view)
    made = classifier(space, Blind, mode="shared")
    nets = fitted(made, view)
    scores = made.scores(nets, images)
    g = torch.cat([images, images**2], dim=1)
    log_p = torch.log_softmax(g @ nets["decision"]["out.weight"].T + nets["decision"]["out.bias"], dim=1)
    torch.testing.assert_close(scores[:, list(SEEN)].amax(dim=1), log_p[:, list(SEEN)].amax(dim=1))
    torch.testing.assert_close(scores[:, list(UNSEEN)].amax(dim=1), log_p[:, list(UNSEEN)].amax(dim=1))


def test_czsl_is_the_classifier_of_unseen_classes_alone(space, view, images):
    unseen = ClassSpace(("b", "d"), space.semantics[list(UNSEEN)], torch.arange(0), torch.arange(2))
    made = classifier(unseen)
    made.generator = Shifting(None, space)
    mine = torch.isin(view.labels, space.unseen)
    labels = torch.searchsorted(space.unseen, view.labels[mine])
    nets = fitted(made, TrainView(view.features[mine], labels, networks=view.networks, task="czsl"))
    assert "seen" not in nets
    assert "decision" not in nets
    torch.testing.assert_close(made.scores(nets, images).exp().sum(dim=1), torch.ones(20))
