"""What the segmentation service takes and gives."""

from typing import Annotated

from pydantic import BaseModel, Field

from demo.rfm import Segment
from demo.web import Id, Strict


class Features(Strict):
    """What a customer's segment follows from."""

    recency_days: Annotated[int, Field(ge=0, le=100_000, description="Days since the last order.")]
    frequency: Annotated[int, Field(ge=0, le=1_000_000, description="Orders in the last year.")]
    monetary: Annotated[float, Field(ge=0, le=1e12, description="Money spent in the last year, in euros.")]


class CustomerFeatures(Features):
    """One customer to put into a segment."""

    customer_id: Id


class SegmentationRequest(Strict):
    """Customers to put into segments."""

    customers: Annotated[list[CustomerFeatures], Field(min_length=1, max_length=10_000)]


class Scores(BaseModel):
    """Recency, frequency and monetary value, each from 1 (worst) to 5 (best)."""

    recency: int
    frequency: int
    monetary: int


class CustomerSegment(BaseModel):
    """The segment one customer is in, and why."""

    customer_id: int
    segment: Segment
    scores: Scores
    meaning: str


class Segmentation(BaseModel):
    """The segment of every customer asked for, in the order given."""

    segments: list[CustomerSegment]


class SegmentMeaning(BaseModel):
    """A segment and the rule that leads to it."""

    segment: Segment
    meaning: str


class ModelCard(BaseModel):
    """What the model is, what it is good for, and what it cannot do."""

    name: str
    version: str
    method: str
    thresholds: dict[str, list[int]]
    segments: list[SegmentMeaning]
    limits: str
