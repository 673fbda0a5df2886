"""SCEN, the semantic compression embedding network (section 3.1). Equation numbers are the SC-EGG paper's.

============= ================================ ===============================
(1), (2)      attention and e_l                :meth:`SCEN.attend`
(3)           p_l                              :meth:`SCEN.local_scores`
(4)           g                                :meth:`SCEN.compress`
(5)           p_g                              :meth:`SCEN.global_scores`
(6), (7)      L_LCE and L_GCE                  :meth:`SCEN.stage1_losses`
(8)           L_SCR                            :meth:`SCEN.consistency`
(16)          L_S1 = L_LCE + λ_g L_GCE         :meth:`SCEN.stage1_losses`
(17)          L_S2 = L_SCR                     :meth:`SCEN.stage2_losses`
============= ================================ ===============================
"""

from __future__ import annotations

import logging
from collections.abc import Generator as Coroutine, Iterator
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.errors import ZslbenchError
from zslbench.plugin import (
    Attention,
    Batch,
    ClassSpace,
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
from zslbench.training import cross_entropy, in_chunks, leaky_relu, linear, mse, unit
from zslbench_common.attribute_attention import attend, attribute_vectors
from zslbench_common.embeddings import fit_range, to_range
from zslbench_sc_egg.differences import warn_of_uneven_batches
from zslbench_sc_egg.networks import SLOPE, initial_gen, initial_len, initial_regressor, regress
from zslbench_sc_egg.settings import SCENSettings

log = logging.getLogger("zslbench")
StagedFit = Coroutine[Program | Derived, Networks, Networks]


class SCEN(Embedding):
    """As printed. Region features r (b, R, dv) → attribute scores e_l (b, A) and global feature g (b, dv).

    LEN is ``vectors`` (v), ``attention`` (W_α) and ``projection`` (W_β); GEN is ``sc`` and ``cls_g``. The
    local features h (b, A, dv) are never formed: what reads them is linear in h, so r is pooled last.
    """

    inputs = "regions"
    settings: SCENSettings

    def attend(
        self, nets: Networks, r: Float[Tensor, "b regions dv"]
    ) -> tuple[Float[Tensor, "b regions attributes"], Float[Tensor, "b attributes"]]:
        """The softmax of eq. (1) over the regions, and e_l of eq. (2) = Σ_i softmax_i · r_iᵀ W_β v."""
        v = nets["vectors"]["v"]
        queries, values = v @ nets["attention"]["w_alpha"], v @ nets["projection"]["w_beta"].T
        alpha, e = attend(r, queries, values)  # (1), (2)
        return alpha, e

    def local_scores(self, e: Float[Tensor, "b attributes"]) -> Float[Tensor, "b classes"]:
        """p_l, eq. (3): p_l(c) = a(c)ᵀ e_l."""
        return e @ self.semantics.T  # (3)

    def compress(self, nets: Networks, r: Tensor, alpha: Tensor) -> Float[Tensor, "b dv"]:
        """SC({h_n}), eq. (4): an MLP along the attributes, per channel; W₁ h = (W₁ softmax) r."""
        sc = nets["sc"]
        mixed = (alpha @ sc["first.weight"].T).mT @ r
        hidden = leaky_relu(mixed + sc["first.bias"][:, None], SLOPE)
        return (sc["second.weight"] @ hidden)[:, 0] + sc["second.bias"]  # (4)

    def global_scores(self, nets: Networks, g: Float[Tensor, "b dv"]) -> Float[Tensor, "b classes"]:
        """p_g, eq. (5): CLS_g is one linear layer."""
        return linear(nets["cls_g"], "out", g)  # (5)

    def stage1_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """L_S1 = L_LCE + λ_g L_GCE, eqs. (6), (7) and (16)."""
        s, r, logged = self.settings.stage1, self.regions(batch.features), {}
        among = self.space.seen if s.classes == "seen" else None
        alpha, e = self.attend(nets, r)
        total = torch.zeros((), device=r.device)
        if s.lambda_l:
            logged["local"] = cross_entropy(self.local_scores(e), batch.labels, among)  # (6)
            total = total + s.lambda_l * logged["local"]
        if s.lambda_g:
            p_g = self.global_scores(nets, self.compress(nets, r, alpha))
            logged["global"] = cross_entropy(p_g, batch.labels, among)  # (7)
            total = total + s.lambda_g * logged["global"]  # (16)
        return Losses(total, logged)

    def stage2_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """L_S2 = L_SCR, eqs. (8) and (17)."""
        e, g = self.local_and_global(nets, batch.features)
        return Losses(self.consistency(self.local_scores(e), self.global_scores(nets, g)), {})  # (17)

    def consistency(self, p_l: Float[Tensor, "b c"], p_g: Float[Tensor, "b c"]) -> Float[Tensor, ""]:
        """L_SCR = ‖p_l − p_g‖², eq. (8), averaged over the batch, which the paper leaves open."""
        return ((p_l - p_g) ** 2).sum(dim=1).mean()  # (8)

    # --- what the reading ``authors`` computes differently -----------------------------------------------

    trains_vectors: ClassVar[bool] = False
    """Whether stage 1 trains v along with LEN."""
    released_start: ClassVar[bool] = False
    """Whether SC and CLS_g start as in the authors' code, or SC near the mean over the attributes (ours)."""

    def regions(self, r: Float[Tensor, "b regions dv"]) -> Float[Tensor, "b regions dv"]:
        """r as LEN and GEN read it."""
        return r

    @property
    def semantics(self) -> Float[Tensor, "classes attributes"]:
        """a of eq. (3)."""
        return self.space.semantics

    def stages(self, view: TrainView) -> StagedFit:
        """Stage 1, stage 2 (section 3.3: SC and CLS_g, LEN is frozen), then the range of g."""
        nets = yield self.stage1(view)
        if self.uses_scr:
            gen = {name: nets[name] for name in ("sc", "cls_g")}
            trained = ("sc", "cls_g") if self.settings.composition == "mlp" else ("cls_g",)
            nets |= yield self.program(
                "stage2",
                Step("gen", self.stage2_losses, updates=trained),
                view,
                initial=lambda streams: gen,
                features=view.regions,
                frozen={name: nets[name] for name in ("vectors", "attention", "projection")},
            )
        return nets | warn_of_constants((yield self.range_of_g(view, nets, "stage2")))

    def guide(self, nets: Networks) -> Guide | None:
        """CLS_g on g mapped back to its own scale."""

        def scores(frozen: Networks, g: Tensor) -> Tensor:
            scale = frozen["range"]
            return self.global_scores(frozen, g * scale["spread"] * scale["varies"] + scale["low"])

        return Guide({name: nets[name] for name in ("cls_g", "range")}, scores)

    # --- stages ------------------------------------------------------------------------------------------

    def __new__(cls, settings: SCENSettings | None = None, space: ClassSpace | None = None) -> SCEN:
        """The class of the reading that the settings name; a copy has no settings yet and keeps its class."""
        authors = settings is not None and settings.reading == "authors"
        return super().__new__(AuthorsSCEN if authors else cls)

    def fit(self, view: TrainView) -> Fit:
        s = self.settings
        attribute_vectors(self.space, "scen")  # raises if there are none
        for sampler, batch_size in sorted({(one.sampler, one.batch_size) for one in (s.stage1, s.stage2)}):
            warn_of_uneven_batches("scen", sampler, batch_size, len(self.space.seen))
        norms = self.semantics.norm(dim=1)
        if float((norms - 1).abs().max()) > 0.01:
            log.warning(
                "scen: the class semantics have norms from %.3g to %.3g, and p_l of eq. (3) takes them as "
                "stored; the authors' code scales them to unit length (row 12)",
                float(norms.min()),
                float(norms.max()),
            )
        return self.stages(view)

    @property
    def uses_scr(self) -> bool:
        """Whether stage 2 follows LEN's scores."""
        s = self.settings
        return s.stage2.scr and (s.stage1.lambda_l > 0 or s.stage2.scr_without_lce)

    def stage1(self, view: TrainView) -> Program:
        """Trains the networks that its losses read."""
        s = self.settings.stage1
        if not s.lambda_l and not s.lambda_g:
            raise ZslbenchError("embedding scen: with lambda_l and lambda_g both 0 stage 1 has no loss")
        trained = ["attention", *(["vectors"] if self.trains_vectors else [])]
        trained += ["projection"] if s.lambda_l else []
        trained += ["sc", "cls_g"] if s.lambda_g else []
        step = Step("scen", self.stage1_losses, updates=tuple(trained))
        return self.program("stage1", step, view, initial=partial(self.initial, view), features=view.regions)

    def initial(self, view: TrainView, streams: Streams) -> Networks:
        """LEN and GEN before training."""
        s, v = self.settings.stage1, attribute_vectors(self.space, "scen")
        assert view.regions is not None
        v = unit(v) if s.normalize_vectors else v
        some = view.regions[torch.arange(min(64, len(view.labels)), device=view.labels.device)]
        beta_std = s.beta_std
        if beta_std is None:
            # At uniform attention e_l is mean(r)ᵀ W_β v, of variance beta_std² |mean(r)|² |v|².
            means = self.regions(some).mean(dim=1).norm(dim=1)
            beta_std = 1 / float(means.mean() * v.norm(dim=1).mean())
        classes, dv = len(self.space.names), some.shape[2]
        return {
            **initial_len(streams, v, dv, s.alpha_std, beta_std),
            **initial_gen(streams, len(v), dv, classes, released=self.released_start),
        }

    def program(self, name: str, step: Step, view: TrainView, **rest: Any) -> Program:
        """One step per batch, with the settings of the stage ``name``."""
        s = getattr(self.settings, name)
        momentum = s.momentum if s.optimizer == "rmsprop" else 0.0
        rule = Optimizer(s.optimizer, lr=s.lr, weight_decay=s.weight_decay, momentum=momentum)
        return Program(
            name=name,
            passes=((step,),),
            optimizers=dict.fromkeys(step.updates, rule),
            labels=view.labels,
            epochs=s.epochs,
            iterations=s.iterations,
            batch_size=s.batch_size,
            sampler=s.sampler,
            paced=False,
            key=self.settings.through(name),
            **rest,
        )

    def range_of_g(self, view: TrainView, nets: Networks, after: str) -> Derived:
        """Minimum and spread of g over the training images, after a stage (row 5)."""

        def compute() -> Networks:
            g = torch.cat([g for _, g in self.in_pieces(view.regions, nets)])
            # Attention sums to 1 up to rounding: a dimension constant in r is constant in g up to rounding.
            return {"range": fit_range(g, rounding=1e-5, shared=self.settings.scale == "shared")}

        return Derived(compute, source=nets, key=self.settings.through(after), name="range")

    # --- g -----------------------------------------------------------------------------------------------

    def compose(self, nets: Networks, r: Tensor, alpha: Tensor) -> Float[Tensor, "b dv"]:
        """g after stage 1, eq. (4) or the mean over the attributes of h (row 4)."""
        if self.settings.composition == "mlp":
            return self.compress(nets, r, alpha)
        return (alpha.mean(dim=2)[:, None] @ r)[:, 0]

    def terms(self, nets: Networks, r: Tensor, alpha: Tensor) -> Float[Tensor, "b regions dv"]:
        """The regions' terms m_i ⊙ r_i of g, with the slopes that SC's LeakyReLU has at each image."""
        if self.settings.composition == "mean":
            return alpha.mean(dim=2)[..., None] * r
        sc = nets["sc"]
        mixed = alpha @ sc["first.weight"].T  # (b, regions, half)
        before = mixed.mT @ r + sc["first.bias"][:, None]
        slopes = torch.where(before > 0, 1.0, SLOPE) * sc["second.weight"].T  # (b, half, dv)
        return (mixed @ slopes) * r

    def local_and_global(self, nets: Networks, r: Tensor) -> tuple[Tensor, Tensor]:
        """e_l and g, not yet scaled."""
        r = self.regions(r)
        alpha, e = self.attend(nets, r)
        return e, self.compose(nets, r, alpha)

    def in_pieces(self, regions: Rows | None, nets: Networks) -> Iterator[tuple[Tensor, Tensor]]:
        """The same for all rows, in pieces that fit in memory."""
        assert regions is not None
        for part in in_chunks(regions, self.space.semantics.device):
            yield self.local_and_global(nets, part)

    def embed(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Float[Tensor, "n dv"]:
        """g, in [0, 1] on the training images and not clipped elsewhere; a constant dimension is 0."""
        return to_range(nets["range"], self.local_and_global(nets, inputs)[1])

    def attention(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Attention:
        """LEN's maps and e_l; a region's weight for g is the norm of its term (Figure 3)."""
        r = self.regions(inputs)
        alpha, e = self.attend(nets, r)
        return Attention(alpha.mT, e, self.terms(nets, r, alpha).norm(dim=2))


class AuthorsSCEN(SCEN):
    """As the authors' code computes it. Row numbers are those of :mod:`zslbench_sc_egg.differences`."""

    trains_vectors = True  # row 13
    released_start = True  # row 15

    def consistency(self, p_l: Float[Tensor, "b c"], p_g: Float[Tensor, "b c"]) -> Float[Tensor, ""]:
        """Row 7: L_SCR is the mean over the batch and the classes."""
        return mse(p_g, p_l)

    def regions(self, r: Float[Tensor, "b regions dv"]) -> Float[Tensor, "b regions dv"]:
        """Row 11: of unit length."""
        return unit(r)

    @property
    def semantics(self) -> Float[Tensor, "classes attributes"]:
        """Row 12: of unit length."""
        return unit(self.space.semantics)

    def stages(self, view: TrainView) -> StagedFit:
        """Rows 5, 6 and 8: g is scaled after stage 1, then a new classifier of it is trained alone."""
        nets = yield self.stage1(view)
        nets |= warn_of_constants((yield self.range_of_g(view, nets, "stage1")))
        targets = yield Derived(
            partial(self.targets, view.regions, nets), nets, self.settings.through("stage1"), name="scores"
        )
        rows, classes = targets["targets"]["g_and_p_l"], len(self.space.names)
        dv, hidden = rows.shape[1] - classes, self.settings.stage2.regressor_hidden
        return nets | (
            yield self.program(
                "stage2",
                Step("regressor", self.stage2_losses, updates=("regressor",)),
                view,
                initial=lambda streams: initial_regressor(streams, dv, hidden, classes),
                features=rows,
            )
        )

    def targets(self, regions: Rows | None, nets: Networks) -> Networks:
        """Row 6: scaled g and p_l of the training images side by side, which the classifier learns from."""
        pieces = self.in_pieces(regions, nets)
        made = [torch.cat([to_range(nets["range"], g), self.local_scores(e)], dim=1) for e, g in pieces]
        return {"targets": {"g_and_p_l": torch.cat(made)}}

    def stage2_losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """Row 6: L_SCR of the classifier on g, or without L_SCR its cross-entropy."""
        dv = batch.features.shape[1] - len(self.space.names)
        g, p_l = batch.features[:, :dv], batch.features[:, dv:]
        p_g = regress(nets["regressor"], g)
        if self.uses_scr:
            return Losses(self.consistency(p_l, p_g), {})
        among = self.space.seen if self.settings.stage1.classes == "seen" else None
        return Losses(cross_entropy(p_g, batch.labels, among), {})

    def guide(self, nets: Networks) -> Guide | None:
        """Row 9: the classifier of stage 2, on scaled g."""
        return Guide({"regressor": nets["regressor"]}, lambda frozen, g: regress(frozen["regressor"], g))


class LEN(SCEN):
    """The same networks, trained in the same way, but an image becomes LEN's attribute scores e_l, eq. (2),
    for a classifier such as ``attribute-scores``: what the local branch does alone."""

    def __new__(cls, settings: SCENSettings | None = None, space: ClassSpace | None = None) -> LEN:
        """The class of the reading that the settings name, as SCEN's."""
        authors = settings is not None and settings.reading == "authors"
        return Embedding.__new__(AuthorsLEN if authors else cls)

    def embed(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Float[Tensor, "n attributes"]:
        """e_l, not scaled."""
        return self.local_and_global(nets, inputs)[0]

    def guide(self, nets: Networks) -> Guide | None:
        """None: class scores of g say nothing about e_l."""
        return None


class AuthorsLEN(LEN, AuthorsSCEN):
    """e_l as in the authors' code: of unit regions, with trained v (rows 11 and 13)."""


def warn_of_constants(nets: Networks) -> Networks:
    """The range of g, after a warning about dimensions without one (0 / 0 in the authors' code)."""
    if count := int((nets["range"]["varies"] == 0).sum()):
        log.warning("scen: %d dimension(s) of g are constant over the training images; they become 0", count)
    return nets
