"""SCEN, the semantic compression embedding network (section 3.1): which stages, which steps, what g is."""

from __future__ import annotations

import logging
from collections.abc import Generator as Coroutine
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench import ZslbenchError
from zslbench.plugin.interfaces import (
    Attention,
    Batch,
    Derived,
    Embedding,
    Fit,
    Guide,
    Losses,
    Networks,
    Noise,
    Optimizer,
    Program,
    Rows,
    Step,
    Streams,
    TrainView,
)
from zslbench.training import cross_entropy, in_chunks
from zslbench_sc_egg import networks, orders
from zslbench_sc_egg.batches import warn_of_uneven
from zslbench_sc_egg.losses import class_scores, regression
from zslbench_sc_egg.maps import attention_of
from zslbench_sc_egg.settings import SCENSettings

log = logging.getLogger("zslbench")

LEN = ("vectors", "attention", "projection")
"""LEN's networks, which stage 2 leaves alone."""


ROUNDING = 1e-5
"""A dimension of g whose values differ by less than this part of their size is constant."""


class SCEN(Embedding):
    """Region features r (n, regions, dv) to the dense-semantic features g (n, dv), scaled to [0, 1]."""

    inputs = "regions"
    settings: SCENSettings

    def fit(self, view: TrainView) -> Fit:
        if self.space.attribute_vectors is None:
            raise ZslbenchError(
                "embedding scen: the data set has no attribute vectors (v of eq. 1); give it "
                "attribute_vectors.npy, one row per attribute, or region features that hold w2v_att"
            )
        return self._stages(view)

    def _stages(self, view: TrainView) -> Coroutine[Program | Derived, Networks, Networks]:
        s, regions = self.settings, view.regions
        assert regions is not None
        warn_of_uneven("scen", s.sampler, s.batch_size, len(self.space.seen))
        nets = yield self._stage1(regions, view)
        if s.stage2 == "finetune":
            if self._has_scr:
                nets |= yield self._finetuning(regions, view, nets)
            return nets | _told_of_constants((yield self._range(regions, nets)))
        nets |= _told_of_constants((yield self._range(regions, nets)))
        targets = yield self._targets(regions, nets)
        return nets | (yield self._regression(view, targets["targets"]))

    @property
    def _has_scr(self) -> bool:
        return self.settings.scr and (self.settings.lambda_l > 0 or self.settings.scr_without_lce)

    # --- stage 1, eq. (16) -------------------------------------------------------------------------

    def _stage1(self, regions: Rows, view: TrainView) -> Program:
        s = self.settings
        trained = ["attention"]
        if s.train_vectors:
            trained.append("vectors")
        if s.lambda_l:
            trained.append("projection")
        if s.lambda_g:
            trained += ["sc", "cls_g"]
        if len(trained) == 1:
            raise ZslbenchError("embedding scen: with lambda_l and lambda_g both 0 stage 1 has no loss")
        used = ("classes", "lambda_l", "lambda_g", "normalize_regions", "normalize_semantics", "order")
        return self._program(
            "stage1",
            Step("scen", self.stage1_losses, updates=tuple(trained)),
            initial=partial(self.initial, view=view),
            features=regions,
            view=view,
            epochs=s.stage1_epochs,
            iterations=s.stage1_iterations,
            key=self._values(*used),
        )

    def initial(self, streams: Streams, view: TrainView) -> Networks:
        """LEN and GEN before training."""
        s, v = self.settings, self.space.attribute_vectors
        assert v is not None and view.regions is not None
        v = networks.unit(v) if s.normalize_vectors else v
        some = view.regions[torch.arange(min(64, len(view.labels)), device=view.labels.device)]
        dv = some.shape[2]
        beta_std = s.beta_std
        if beta_std is None:
            # At uniform attention e_l is mean(r)ᵀ W_β v, of variance beta_std² |mean(r)|² |v|².
            means = self._r(some).mean(dim=1).norm(dim=1)
            beta_std = 1 / float(means.mean() * v.norm(dim=1).mean())
        return {
            **networks.initial_len(streams, v, dv, s.alpha_std, beta_std),
            **networks.initial_gen(streams, len(v), dv, len(self.space.names), mean=s.sc_start == "mean"),
        }

    def stage1_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """L_S1 = L_LCE + λ_g L_GCE, eq. (16)."""
        s = self.settings
        among = self.space.seen if s.classes == "seen" else None
        found = self._local(nets, batch.features, "mlp" if s.lambda_g else None)
        total = torch.zeros((), device=batch.features.device)
        log: dict[str, Tensor] = {}
        if s.lambda_l:
            log["local"] = cross_entropy(class_scores(found.e, self._semantics), batch.labels, among)
            total = total + s.lambda_l * log["local"]
        if found.g is not None:
            log["global"] = cross_entropy(networks.cls_g(nets["cls_g"], found.g), batch.labels, among)
            total = total + s.lambda_g * log["global"]
        return Losses(total, log)

    # --- stage 2, eq. (17) -------------------------------------------------------------------------

    def _finetuning(self, regions: Rows, view: TrainView, nets: Networks) -> Program:
        """SC and CLS_g against a frozen LEN; without SC's MLP in g there is only CLS_g to tune."""
        s = self.settings
        trained = ("sc", "cls_g") if s.composition == "mlp" else ("cls_g",)
        used = ("composition", "scr_reduction", "normalize_regions", "normalize_semantics", "order")
        return self._program(
            "stage2",
            Step("gen", self.finetuning_losses, updates=trained),
            initial=lambda streams: {name: nets[name] for name in ("sc", "cls_g")},
            features=regions,
            view=view,
            epochs=s.stage2_epochs,
            iterations=s.stage2_iterations,
            key=self._values(*used),
            frozen={name: nets[name] for name in LEN},
        )

    def finetuning_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """L_S2 = L_SCR, eqs. (8) and (17)."""
        found = self._local(nets, batch.features, self.settings.composition)
        assert found.g is not None
        p_l = class_scores(found.e, self._semantics)
        p_g = networks.cls_g(nets["cls_g"], found.g)
        return Losses(regression(p_l, p_g, self.settings.scr_reduction), {})

    def _targets(self, regions: Rows, nets: Networks) -> Derived:
        """Scaled g and p_l of the training images, side by side: what the regressor is trained on."""

        def compute() -> Networks:
            made = [
                torch.cat([self._scaled(nets, g), class_scores(e, self._semantics)], dim=1)
                for e, g in self._all_local(regions, nets)
            ]
            return {"targets": {"g_and_p_l": torch.cat(made)}}

        used = ("composition", "normalize_regions", "normalize_semantics", "order")
        return Derived(compute, source=nets, key=self._values(*used), name="scores")

    def _regression(self, view: TrainView, targets: dict[str, Tensor]) -> Program:
        """The authors' stage 2: a new classifier of g regresses p_l, or learns labels where L_SCR is off."""
        s, classes = self.settings, len(self.space.names)
        rows = targets["g_and_p_l"]
        dv = rows.shape[1] - classes
        return self._program(
            "stage2",
            Step("regressor", self.regression_losses, updates=("regressor",)),
            initial=lambda streams: networks.initial_regressor(streams, dv, s.regressor_hidden, classes),
            features=rows,
            view=view,
            epochs=s.stage2_epochs,
            iterations=s.stage2_iterations,
            key=self._values("scr_reduction", "classes") | {"scr": self._has_scr},
        )

    def regression_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """L_SCR of the regressor on a frozen g (row 6), or its cross-entropy."""
        s = self.settings
        dv = batch.features.shape[1] - len(self.space.names)
        g, p_l = batch.features[:, :dv], batch.features[:, dv:]
        p_g = networks.regress(nets["regressor"], g)
        if self._has_scr:
            return Losses(regression(p_l, p_g, s.scr_reduction), {})
        return Losses(cross_entropy(p_g, batch.labels, self.space.seen if s.classes == "seen" else None), {})

    # --- g and its scale ---------------------------------------------------------------------------

    def _range(self, regions: Rows, nets: Networks) -> Derived:
        """Least value and spread of each dimension of g over the training images (row 5)."""

        def compute() -> Networks:
            g = torch.cat([g for _, g in self._all_local(regions, nets)])
            low, high = g.amin(dim=0), g.amax(dim=0)
            # What is constant in r is constant in g only as far as the attention's weights sum to 1.
            constant = high - low <= ROUNDING * torch.maximum(low.abs(), high.abs())
            spread = torch.where(constant, torch.ones_like(low), high - low)
            return {"range": {"low": low, "spread": spread, "varies": (~constant).to(low.dtype)}}

        return Derived(
            compute, source=nets, key=self._values("composition", "normalize_regions", "order"), name="range"
        )

    def embed(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Float[Tensor, "n dv"]:
        """g in [0, 1] on the training images; values of others are not clipped. A constant dimension is 0."""
        found = self._local(nets, inputs, self.settings.composition)
        assert found.g is not None
        return self._scaled(nets, found.g)

    def _scaled(self, nets: Networks, g: Tensor) -> Tensor:
        scale = nets["range"]
        return (g - scale["low"]) / scale["spread"] * scale["varies"]

    def guide(self, nets: Networks) -> Guide:
        """CLS_g on g mapped back to its own scale, or the regressor on scaled g (row 9)."""
        if self.settings.stage2 == "regressor":
            return Guide(
                {"regressor": nets["regressor"]}, lambda held, g: networks.regress(held["regressor"], g)
            )

        def scores(held: Networks, g: Tensor) -> Tensor:
            scale = held["range"]
            return networks.cls_g(held["cls_g"], g * scale["spread"] * scale["varies"] + scale["low"])

        return Guide({name: nets[name] for name in ("cls_g", "range")}, scores)

    def attention(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Attention:
        """LEN's maps and scores, and how much each region counts for g (Figure 3)."""
        r = self._r(inputs)
        w = self._weights(nets)
        return attention_of(r, w, nets["sc"], self.settings.composition)

    # --- shared ------------------------------------------------------------------------------------

    def _local(self, nets: Networks, r: Tensor, composition: orders.Composition | None) -> orders.Local:
        r, w = self._r(r), self._weights(nets)
        order = self.settings.order
        if order == "auto":
            order = orders.cheapest(r.shape[1], len(w.queries), r.shape[2], composition)
        return orders.local(r, w, nets["sc"], composition, order)

    def _all_local(self, regions: Rows, nets: Networks) -> Any:
        """(e_l, g) of all rows, one piece after the other."""
        for part in in_chunks(regions, self.space.semantics.device):
            found = self._local(nets, part, self.settings.composition)
            assert found.g is not None
            yield found.e, found.g

    def _weights(self, nets: Networks) -> orders.Weights:
        return orders.weights(
            nets["vectors"]["v"], nets["attention"]["w_alpha"], nets["projection"]["w_beta"]
        )

    def _r(self, r: Tensor) -> Tensor:
        return networks.unit(r) if self.settings.normalize_regions else r

    @property
    def _semantics(self) -> Tensor:
        a = self.space.semantics
        return networks.unit(a) if self.settings.normalize_semantics else a

    def _program(
        self, name: str, step: Step, *, view: TrainView, epochs: int, key: dict[str, Any], **rest: Any
    ) -> Program:
        s = self.settings
        lr = s.stage2_lr or s.lr if name == "stage2" else s.lr
        rule = Optimizer(s.optimizer, lr=lr, weight_decay=s.weight_decay, momentum=s.momentum)
        return Program(
            name=name,
            passes=((step,),),
            optimizers=dict.fromkeys(step.updates, rule),
            labels=view.labels,
            epochs=epochs,
            batch_size=s.batch_size,
            sampler=s.sampler,
            paced=False,
            key=key,
            **rest,
        )

    def _values(self, *names: str) -> dict[str, Any]:
        return {name: getattr(self.settings, name) for name in names}


def _told_of_constants(nets: Networks) -> Networks:
    """The range of g, after a word about dimensions that have none (the authors' code divides 0 by 0)."""
    if count := int((nets["range"]["varies"] == 0).sum()):
        log.warning("scen: %d dimension(s) of g are constant over the training images; they become 0", count)
    return nets
