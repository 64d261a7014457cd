"""Plan: ask the model for an answer or for calls, and freeze its calls into actions."""

import structlog
from langchain_core.runnables import RunnableConfig
from langgraph.types import StreamWriter

from domain.actions import Action, Call, Operation, Result
from domain.canonical import JSON, canonical, parsed
from domain.conversation import Decision, Done, Message, Notice, Passage, Turn
from domain.errors import InvalidInput, ServiceError
from domain.experiments import VariantConfig
from domain.origins import origins_of
from domain.ports import Model, Policies, Toolbox
from domain.state import State, Update, result_of
from domain.variants import config_of, given_of, use_of, used

log = structlog.get_logger(__name__)

SAID_CHARS = 4_000
"""How much is kept of what the model says beside its calls: an approver sees it, marked as the model's own words."""


async def plan(
    state: State,
    config: RunnableConfig,
    writer: StreamWriter,
    *,
    model: Model,
    toolbox: Toolbox,
    policies: Policies,
    max_steps: int,
    error_handling: bool,
) -> Update:
    """Return the model's answer as `text`, or its next actions; calls that do not fit their schema become results.

    The model's words go to `configurable["__on_token"]` as they come, or to LangGraph's stream where nobody listens
    there: the server does, because a `custom` stream costs half a millisecond a run.

    Args:
        max_steps: How many rounds of actions one run may take; after that the run answers with what it has.
        error_handling: Whether a service's failure is told to the model; otherwise it fails the run, which raises
            `ServiceError` here, when every action of the round has ended.
    """
    if not error_handling:
        _refuse_failures(state)
    wanted = config_of(state["variants"])
    limit = wanted.max_steps or max_steps
    if state["step"] >= limit:
        return {"text": _stopped(state, limit, by_variant=wanted.max_steps is not None)}

    told = config.get("configurable", {}).get("__on_token")

    async def on_token(text: str) -> None:
        if told:
            told(text)
        else:
            writer({"token": text})

    turn = _turn(state, toolbox, wanted)
    decision = await model.decide(turn, on_token=on_token)
    update: Update = {"answered_by": decision.answered_by, "notices": _notices(state, decision, toolbox)}
    if state["variants"]:
        update["variants"] = _exposed(state, decision, turn)
    if not decision.calls:
        return {**update, "text": decision.text}
    update["said"] = decision.text[:SAID_CHARS]
    return {**update, **_proposed(state, turn, decision.calls, toolbox, policies.current().version)}


def _exposed(state: State, decision: Decision, turn: Turn) -> dict[str, JSON]:
    """Return the run's variants with the use just made of them, and log the first one: the exposure."""
    missed = not turn.passages if state.get("searched") else None
    variants = used(state["variants"], decision, turn.operations, missed=missed)
    if not use_of(state["variants"]) and (use := use_of(variants)):
        given = {each.experiment_id: each.variant for each in given_of(variants)}
        log.info("exposed", run_id=state["run_id"], variants=given, **use.model_dump())
    return variants


def _refuse_failures(state: State) -> None:
    for entry in state["actions"]:
        result = result_of(state, entry["action_id"])
        if result and result.outcome in ("failed", "unknown"):
            raise ServiceError(f"{entry['operation']}: {result.body}", service=entry["service"])


def _turn(state: State, toolbox: Toolbox, wanted: VariantConfig) -> Turn:
    actions = [Action(**entry) for entry in state["actions"]]
    results = [(action, result_of(state, action.action_id)) for action in actions]
    return Turn(
        message=state["message"],
        window=tuple(Message(**entry) for entry in state.get("window", [])),
        summary=state.get("summary", ""),
        passages=tuple(Passage(**entry) for entry in state["passages"]),
        operations=_offered(toolbox, wanted),
        done=tuple(_done(state, action, result) for action, result in results if result),
        tuning=wanted.tuning(),
        observed=bool(state["variants"]),
    )


def _offered(toolbox: Toolbox, wanted: VariantConfig) -> tuple[Operation, ...]:
    operations = toolbox.operations()
    if wanted.tools is None:
        return operations
    return tuple(each for each in operations if wanted.offers(each.service, each.name))


def _done(state: State, action: Action, result: Result) -> Done:
    edited = state.get("verdicts", {}).get(action.action_id, {}).get("edited", False)
    return Done(action=action, result=result, edited=edited)


def _notices(state: State, decision: Decision, toolbox: Toolbox) -> list[dict[str, object]]:
    notices = (*decision.notices, *map(_unheard, toolbox.unknown()))
    return [*state["notices"], *(new for each in notices if (new := each.model_dump()) not in state["notices"])]


def _unheard(service: str) -> Notice:
    return Notice(
        port="services",
        mode="degraded",
        reason=f"What {service} offers is not known: it has not answered yet.",
        lost=f"Nothing can be asked of {service}, and another service may have been asked in its place.",
    )


def _proposed(state: State, turn: Turn, calls: tuple[Call, ...], toolbox: Toolbox, policy_version: str) -> Update:
    step, actions, refused = state["step"] + 1, list(state["actions"]), {}
    for index, call in enumerate(calls):
        try:
            _check_offered(call, state)
            proposed = toolbox.propose(
                call,
                run_id=state["run_id"],
                step=step,
                index=index,
                thread_id=state["thread_id"],
                requester=state["requester"],
                policy=policy_version,
            )
            action = _traced(proposed, turn)
        except InvalidInput as error:
            action = _unusable(call, action_id=f"bad_{state['run_id']}_{step}_{index}", step=step)
            result = Result(action_id=action.action_id, outcome="invalid", body=error.detail)
            refused[action.action_id] = result.model_dump()
        actions.append(action.model_dump())
    return {"step": step, "actions": actions, "results": refused}


def _traced(action: Action, turn: Turn) -> Action:
    """Return an action that knows where its arguments' values came from."""
    arguments = parsed(action.arguments)
    return action.model_copy(update={"origins": origins_of(arguments, turn)}) if isinstance(arguments, dict) else action


def _check_offered(call: Call, state: State) -> None:
    if not config_of(state["variants"]).offers(call.service, call.operation):
        raise InvalidInput(f"{call.operation} is not among the tools of this run.")


def _unusable(call: Call, *, action_id: str, step: int) -> Action:
    """Return a call that cannot be sent as an action without method and URL, so that reply and model can show it."""
    try:
        arguments = canonical(call.arguments)
    except InvalidInput:
        arguments = "{}"
    return Action(
        action_id=action_id,
        service=call.service,
        operation=call.operation,
        method="",
        url="",
        arguments=arguments,
        digest="",
        effect="read",
        step=step,
    )


def _stopped(state: State, max_steps: int, *, by_variant: bool) -> str:
    count = len(state["actions"])
    rounds = f"{max_steps} round{'' if max_steps == 1 else 's'} of actions"
    limit = "the limit of this run's variant" if by_variant else "this server's limit (MAX_STEPS)"
    return (
        f"I stopped after {rounds}, which is {limit}, without an answer. "
        f"{count} action{' was' if count == 1 else 's were'} taken or refused; they are listed with this reply."
    )
