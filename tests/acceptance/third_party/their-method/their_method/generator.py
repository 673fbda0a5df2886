"""G(z, a), trained by the energy score: E‖G(z, a) − g‖ − ½ E‖G(z, a) − G(z', a)‖."""

import torch

from zslbench.plugin.interfaces import Generator
from zslbench.plugin.programs import Losses, Normal, Optimizer, Program, Step
from zslbench.training import initial_linear, leaky_relu, linear


class TheirGenerator(Generator):
    def fit(self, view):
        s = self.settings
        noise = dict.fromkeys(("z", "other") if s.spread else ("z",), self.sample_noise["z"])
        return Program(
            initial=lambda streams: self.initial(streams, view.features.shape[1]),
            passes=((Step("score", self.losses, updates=("generator",), noise=noise),),),
            optimizers={"generator": Optimizer("adam", lr=s.lr)},
            features=view.features,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
        )

    def initial(self, streams, d):
        attributes, hidden = self.space.semantics.shape[1], self.settings.hidden
        first = initial_linear(streams, "generator", "hidden", 2 * attributes, hidden, std=0.1)
        return {"generator": first | initial_linear(streams, "generator", "out", hidden, d)}

    def losses(self, nets, batch, noise):
        fake = self.sample(nets, batch.semantics, noise)
        total = distance = (fake - batch.features).norm(dim=1).mean()
        if self.settings.spread:
            other = self.sample(nets, batch.semantics, {"z": noise["other"]})
            total = distance - 0.5 * self.settings.spread * (fake - other).norm(dim=1).mean()
        return Losses(total, log={"distance": distance})

    @property
    def per_class(self):
        return self.settings.per_class

    @property
    def sample_noise(self):
        return {"z": Normal((self.space.semantics.shape[1],))}

    def sample(self, nets, semantics, noise):
        net, inputs = nets["generator"], torch.cat([noise["z"], semantics], dim=1)
        return torch.sigmoid(linear(net, "out", leaky_relu(linear(net, "hidden", inputs))))
