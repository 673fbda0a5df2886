from typing import Literal

from pydantic import Field, PositiveFloat

from zslbench import ComponentSettings


class ESZSLSettings(ComponentSettings):
    gamma: PositiveFloat = Field(1.0, description="Ridge γ on the features.")
    lam: PositiveFloat = Field(0.1, description="Ridge λ on the semantics.")
    coding: Literal["pm1", "01"] = Field("pm1", description="Y of the other classes: -1 (the paper) or 0.")
