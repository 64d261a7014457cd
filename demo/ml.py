"""The demo's customer segmentation: RFM scores by documented thresholds, over stored or given figures."""

from fastapi import APIRouter, FastAPI

from demo import rfm
from demo.database import Database, Transaction
from demo.documents import Documents
from demo.ml_schemas import (
    CustomerFeatures,
    CustomerSegment,
    Features,
    ModelCard,
    Scores,
    Segmentation,
    SegmentationRequest,
    SegmentMeaning,
)
from demo.web import Id, Store, because, create_shell, found

DESCRIPTION = "Customer segments by recency, frequency and monetary value (RFM)."
NOT_FOUND = because(404, "There are no figures of that customer")
FEATURES = Documents("features", CustomerFeatures)
FIRST = [
    (1, 12, 14, 2480.0),
    (2, 25, 9, 1120.0),
    (3, 18, 1, 314.15),
    (4, 130, 6, 1750.0),
    (5, 40, 4, 210.0),
    (6, 190, 2, 560.25),
    (7, 900, 0, 0.0),
    (8, 9, 3, 820.1),
]
"""Customer (cloudapp's numbers), days since the last order, orders and euros in the last year."""

routes = APIRouter()


def create_app(database: Database) -> FastAPI:
    """Return the service; the database is opened and closed with the server."""
    app = FastAPI(title="Segmentation", version="1.0.0", description=DESCRIPTION)
    app.include_router(routes)
    return create_shell(app, database, seed)


async def seed(transaction: Transaction) -> None:
    """Create the tables, and fill them when they are new."""
    rows = {
        number: CustomerFeatures(customer_id=number, recency_days=recency, frequency=frequency, monetary=monetary)
        for number, recency, frequency, monetary in FIRST
    }
    await FEATURES.seed(transaction, rows)


@routes.get("/segments", operation_id="listSegments", summary="List customer segments")
async def list_segments(store: Store) -> list[CustomerSegment]:
    """List the segment of every customer, such as champions, loyal, promising, at risk or lost."""
    return [_segmented(features) for features in await FEATURES.all(store)]


@routes.get(
    "/customers/{customer_id}/segment",
    operation_id="getCustomerSegment",
    summary="Get a customer's segment",
    responses=NOT_FOUND,
)
async def get_customer_segment(customer_id: Id, store: Store) -> CustomerSegment:
    """Get the segment one customer is in (champion, loyal, at risk …) and the scores behind it."""
    return _segmented(found(await FEATURES.get(store, customer_id), f"customer {customer_id}"))


@routes.put(
    "/customers/{customer_id}/features", operation_id="recordCustomerFeatures", summary="Record a customer's figures"
)
async def record_customer_features(customer_id: Id, features: Features, store: Store) -> CustomerSegment:
    """Record how recently, how often and for how much a customer bought, and get the segment that follows."""
    recorded = CustomerFeatures(customer_id=customer_id, **features.model_dump())
    if not await FEATURES.replace(store, customer_id, recorded):
        await FEATURES.add(store, customer_id, recorded)
    return _segmented(recorded)


@routes.post("/segmentations", operation_id="segmentCustomers", summary="Segment customers")
async def segment_customers(wanted: SegmentationRequest) -> Segmentation:
    """Compute the segments of customers from figures given in the request; nothing is stored."""
    return Segmentation(segments=[_segmented(features) for features in wanted.customers])


@routes.get("/model", operation_id="describeModel", summary="Describe the segmentation model")
async def describe_model() -> ModelCard:
    """Describe how customers are put into segments: method, thresholds, meaning and limits."""
    return ModelCard(
        name="RFM by thresholds",
        version="1",
        method="Recency, frequency and monetary value score 1 to 5 by fixed thresholds; the first rule that fits wins.",
        thresholds={
            "recency_days_at_most_for_5_4_3_2": list(rfm.RECENCY_DAYS),
            "frequency_at_least_for_2_3_4_5": list(rfm.FREQUENCY),
            "monetary_at_least_for_2_3_4_5": list(rfm.MONETARY),
        },
        segments=[SegmentMeaning(segment=segment, meaning=meaning) for segment, meaning in rfm.MEANING.items()],
        limits="Not trained on data; thresholds suit a small shop with yearly figures. It predicts nothing.",
    )


def _segmented(features: CustomerFeatures) -> CustomerSegment:
    recency, frequency, monetary = rfm.scores(features.recency_days, features.frequency, features.monetary)
    segment = rfm.segment(recency, frequency, monetary)
    return CustomerSegment(
        customer_id=features.customer_id,
        segment=segment,
        scores=Scores(recency=recency, frequency=frequency, monetary=monetary),
        meaning=rfm.MEANING[segment],
    )
