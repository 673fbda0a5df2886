"""Embeddings whose training step breaks a rule."""

from __future__ import annotations

from dataclasses import replace

import torch

from zsl_fakes.embeddings import Sound
from zslbench.plugin.programs import Normal, Step, Uniform


class RaisingStep(Sound):
    """step_losses: KeyError: 'critic'"""

    def losses(self, nets, batch, noise):
        return super().losses(nets["critic"], batch, noise)


class VectorLoss(Sound):
    """step_losses: 'total' is not a scalar tensor (shape (1,))"""

    def losses(self, nets, batch, noise):
        return super().losses(nets, batch, noise)._replace(total=torch.zeros(1))


class FloatLog(Sound):
    """step_losses: 'weight' is not a scalar tensor (float)"""

    def losses(self, nets, batch, noise):
        return super().losses(nets, batch, noise)._replace(log={"weight": 1.0})


class TupleLosses(Sound):
    """step_losses: a tuple, not Losses"""

    def losses(self, nets, batch, noise):
        return tuple(super().losses(nets, batch, noise))


class UndeclaredState(Sound):
    """step_losses: state 'calls' does not match Program.state"""

    def losses(self, nets, batch, noise):
        return super().losses(nets, batch, noise)._replace(state={"calls": torch.zeros(())})


class GrowingState(Sound):
    """step_losses: state 'steps' does not match Program.state"""

    def losses(self, nets, batch, noise):
        return super().losses(nets, batch, noise)._replace(state={"steps": torch.zeros(2)})


class SteepRoot(Sound):
    """step_losses: the gradient of 'map/out.weight' is not finite"""

    def losses(self, nets, batch, noise):
        losses = super().losses(nets, batch, noise)
        return losses._replace(total=losses.total + (nets["map"]["out.weight"] * 0).sum().sqrt())


class ScalesTheBatch(Sound):
    """steps_pure: changes batch/features in place"""

    def losses(self, nets, batch, noise):
        batch.features.mul_(0.5)
        return super().losses(nets, batch, noise)


class ChanceInStep(Sound):
    """steps_pure: other values when called again (total)"""

    def losses(self, nets, batch, noise):
        losses = super().losses(nets, batch, noise)
        return losses._replace(total=losses.total * torch.rand(()))


class HostBranch(Sound):
    """steps_lift: cannot be lifted by torch.func.vmap"""

    def losses(self, nets, batch, noise):
        losses = super().losses(nets, batch, noise)
        return losses if losses.total > 1 else losses._replace(total=losses.total * 2)


class OldGrad(Sound):
    """steps_lift: derivatives by torch.func.grad"""

    def losses(self, nets, batch, noise):
        x = batch.features.clone().requires_grad_()
        (slope,) = torch.autograd.grad(self.embed(nets, x).sum(), x, create_graph=True)
        losses = super().losses(nets, batch, noise)
        return losses._replace(total=losses.total + slope.norm())


class KnowsItIsLifted(Sound):
    """steps_lift: one replica gives other bits than the plain step in"""

    def losses(self, nets, batch, noise):
        losses = super().losses(nets, batch, noise)
        lifted = (torch._C._functorch.maybe_current_level() or 0) > 1
        return losses._replace(total=losses.total * 1.0001) if lifted else losses


class HidesWhatItTrained(Sound):
    """seeds_together: put it into frozen"""

    def fit(self, view):
        return self._stages(super().fit(view))

    def _stages(self, program):
        first = yield replace(program, name="first", paced=False)
        weight = first["map"]["out.weight"].sum()

        def losses(nets, batch, noise):
            found = self.losses(nets, batch, noise)
            return found._replace(total=found.total * weight)

        ((step,),) = program.passes
        return (yield replace(program, name="second", passes=((replace(step, losses=losses),),)))


class OtherBatches(Sound):
    """seeds_together: the programs differ in their batch_size"""

    def fit(self, view):
        return self._stages(super().fit(view))

    def _stages(self, program):
        first = yield replace(program, name="first", paced=False)
        size = 4 + int(first["map"]["out.weight"].abs().sum() * 1e6) % 7
        return (yield replace(program, name="second", batch_size=size))


class Undeclared(Sound):
    """noise_declared: reads noise 'mask'"""

    def fit(self, view):
        return replace(super().fit(view), passes=((Step("fit", self.losses, ("map", "head")),),))


class UndeclaredMaybe(Sound):
    """noise_declared: reads noise 'jitter'"""

    def losses(self, nets, batch, noise):
        noise.get("jitter")
        return super().losses(nets, batch, noise)


class Unread(Sound):
    """noise_declared: does not read noise 'jitter'"""

    def fit(self, view):
        noise = {"mask": Uniform((self.width_of(view),)), "jitter": Normal((2,))}
        return replace(super().fit(view), passes=((Step("fit", self.losses, ("map", "head"), noise),),))

    def width_of(self, view):
        return view.features.shape[1]
