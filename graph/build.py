r"""The whole state machine on one page.

START -> assign -> retrieve -> plan -> respond -> END
                               ^  \
                               |   \-> review -> gate (a human answers) -> review again
                               |          |
                               \-- act <--/    (one per action, in parallel)
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from domain.ports import Approvals, Knowledge, Ledger, Model, Policies, Toolbox, Variants, Vitals
from domain.state import Input, Output, State
from graph.edges import after_plan, after_review
from nodes.act import Sender, act
from nodes.assign import assign
from nodes.gate import gate
from nodes.plan import plan
from nodes.respond import respond
from nodes.retrieve import retrieve
from nodes.review import review

type Graph = CompiledStateGraph[State, None, Input, Output]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the nodes are given.

    Args:
        max_steps: How many rounds of actions one run may take.
        error_handling: Whether a failing service is told to the model, or fails the run.
        window_chars: Budget of the conversation's working window, in characters.
        summary_chars: Budget of the running summary, in characters.
        resolve_seconds: How long a service that answers is asked what came of an action until that is `unknown`.
        vitals: How the services are; None where nobody is told.
    """

    model: Model
    variants: Variants
    knowledge: Knowledge
    toolbox: Toolbox
    policies: Policies
    approvals: Approvals
    ledger: Ledger
    clock: Callable[[], datetime]
    vitals: Vitals | None = None
    max_steps: int
    error_handling: bool
    window_chars: int
    summary_chars: int
    resolve_seconds: float = 20.0

    @property
    def sender(self) -> Sender:
        """What carries out actions."""
        return Sender(
            toolbox=self.toolbox,
            ledger=self.ledger,
            approvals=self.approvals,
            policies=self.policies,
            clock=self.clock,
            resolve_seconds=self.resolve_seconds,
        )


def build(parts: Parts, *, checkpointer: BaseCheckpointSaver[Any] | None) -> Graph:
    """Return the compiled graph; without a checkpointer it can neither pause nor remember."""
    graph = StateGraph(State, input_schema=Input, output_schema=Output)

    graph.add_node("assign", partial(assign, variants=parts.variants))
    graph.add_node("retrieve", partial(retrieve, knowledge=parts.knowledge))
    graph.add_node(
        "plan",
        partial(
            plan,
            model=parts.model,
            toolbox=parts.toolbox,
            policies=parts.policies,
            max_steps=parts.max_steps,
            error_handling=parts.error_handling,
        ),
    )
    graph.add_node(
        "review",
        partial(
            review,
            policies=parts.policies,
            approvals=parts.approvals,
            toolbox=parts.toolbox,
            clock=parts.clock,
            vitals=parts.vitals,
        ),
    )
    graph.add_node("gate", gate)
    graph.add_node("act", partial(act, sender=parts.sender))
    graph.add_node("respond", partial(respond, window_chars=parts.window_chars, summary_chars=parts.summary_chars))

    graph.add_edge(START, "assign")
    graph.add_edge("assign", "retrieve")
    graph.add_edge("retrieve", "plan")
    graph.add_conditional_edges("plan", after_plan, ["respond", "review", "plan"])
    graph.add_conditional_edges("review", partial(after_review, toolbox=parts.toolbox), ["gate", "act", "plan"])
    graph.add_edge("gate", "review")
    graph.add_edge("act", "plan")
    graph.add_edge("respond", END)
    return graph.compile(checkpointer=checkpointer, name="orchestrate")
