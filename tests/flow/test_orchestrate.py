"""A message in, actions on services, a reply out."""

from pathlib import Path

from tests.asking import ask
from tests.ollama_server import call, ollama_server, say
from tests.running import Served, free_port, served, settings_for
from tests.services import DemoServices


async def test_a_question_is_answered_with_what_the_service_really_holds(server: Served, demo: DemoServices) -> None:
    answer = await ask(server.client, "which pets are available?")
    body = answer.json()
    pets = (await server.client.get(f"{demo['petstore']}/api/v3/pet/findByStatus?status=available")).json()
    assert answer.status_code == 200
    assert body["status"] == "completed"
    assert [pet["name"] for pet in pets if pet["name"] not in body["reply"]] == []
    (action,) = body["actions"]
    assert (action["service"], action["operation"]) == ("petstore", "findPetsByStatus")
    assert action["arguments"] == {"status": "available"}
    assert (action["status"], action["http_status"]) == ("executed", 200)
    assert action["duration_ms"] > 0


async def test_a_reply_says_what_answered_and_what_was_missing(server: Served) -> None:
    body = (await ask(server.client, "which pets are available?")).json()
    assert body["answered_by"] == "embedded planner"
    assert {(notice["port"], notice["mode"]) for notice in body["degraded"]} == {
        ("model", "embedded"),
        ("knowledge", "embedded"),
    }


async def test_two_questions_in_one_message_call_two_services_in_a_stable_order(server: Served) -> None:
    for session in ("a", "b"):
        answer = await ask(server.client, "is there a red car, and is pet 3 still available?", session_id=session)
        actions = answer.json()["actions"]
        assert [action["service"] for action in actions] == ["vehicles", "petstore"]
        assert [action["status"] for action in actions] == ["executed", "executed"]


async def test_actions_go_one_after_the_other_when_parallel_is_off(tmp_path: Path, demo: DemoServices) -> None:
    async with served(settings_for(tmp_path / "data", demo, enable_parallel=False)) as server:
        answer = await ask(server.client, "is there a red car, and is pet 3 still available?")
        assert [action["service"] for action in answer.json()["actions"]] == ["vehicles", "petstore"]
        assert (await server.client.get("/feature-status")).json()["available"]["parallel"] is False


async def test_a_second_message_knows_the_first(server: Served) -> None:
    await ask(server.client, "show order 1001")
    second = (await ask(server.client, "and what did I ask before?")).json()
    assert "show order 1001" in second["reply"]
    other = (await ask(server.client, "what did I ask before?", session_id="s2")).json()
    assert "1001" not in other["reply"]


async def test_a_conversation_is_known_after_a_restart(tmp_path: Path, demo: DemoServices) -> None:
    settings = settings_for(tmp_path / "data", demo)
    async with served(settings) as server:
        await ask(server.client, "show order 1001")
    async with served(settings) as server:
        body = (await ask(server.client, "what did I ask before?")).json()
        transcript = (await server.client.get("/orchestrations?session_id=s1&user_id=1")).json()
    assert "show order 1001" in body["reply"]
    assert [run["message"] for run in transcript["orchestrations"]] == ["what did I ask before?", "show order 1001"]


async def test_a_service_that_is_down_is_said_to_be_down(server: Served, demo: DemoServices) -> None:
    await demo.stop("petstore")
    body = (await ask(server.client, "which pets are available?")).json()
    assert body["status"] == "completed"
    assert body["actions"][0]["status"] == "failed"
    assert "petstore" in body["reply"]


async def test_a_service_that_never_answered_is_missed_in_the_reply(tmp_path: Path, demo: DemoServices) -> None:
    urls = {**demo, "cloudapp": f"http://127.0.0.1:{free_port()}"}
    async with served(settings_for(tmp_path / "data", urls)) as server:
        degraded = (await ask(server.client, "show order 1001")).json()["degraded"]
    (notice,) = [each for each in degraded if each["port"] == "services"]
    assert "cloudapp" in notice["reason"]


async def test_what_a_service_refuses_took_its_time_as_well(server: Served) -> None:
    (action,) = (await ask(server.client, "show pet 999")).json()["actions"]
    assert (action["status"], action["http_status"]) == ("failed", 404)
    assert action["duration_ms"] > 0


async def test_what_fits_no_operation_is_answered_with_what_can_be_done(server: Served) -> None:
    body = (await ask(server.client, "tell me a joke")).json()
    assert body["status"] == "completed"
    assert body["actions"] == []
    assert body["reply"]


async def test_without_error_handling_a_failing_service_fails_the_run_which_still_tells_what_was_done(
    tmp_path: Path, demo: DemoServices
) -> None:
    async with served(settings_for(tmp_path / "data", demo, enable_error_handling=False)) as server:
        await demo.stop("petstore")
        answer = await ask(server.client, "is there a red car, and is pet 3 still available?")
        run = (await server.client.get(f"/orchestrations/{answer.json()['orchestration_id']}")).json()
    assert (answer.status_code, answer.json()["type"]) == (502, "/problems/service-error")
    assert (run["status"], run["error"]["error"]) == ("failed", "ServiceError")
    assert [action["status"] for action in run["actions"]] == ["executed", "failed"]


async def test_a_run_that_failed_at_a_refusal_does_not_say_that_nothing_was_sent(
    tmp_path: Path, demo: DemoServices
) -> None:
    async with served(settings_for(tmp_path / "data", demo, enable_error_handling=False)) as server:
        answer = await ask(server.client, "show pet 999")
        run_id = answer.json()["orchestration_id"]
        run = (await server.client.get(f"/orchestrations/{run_id}")).json()
    async with served(settings_for(tmp_path / "data", demo)) as server:
        stream = (await server.client.get(f"/orchestrations/{run_id}/stream")).text
    assert run["reply"] == "This run failed. 1 of its actions had been sent before."
    assert "event: error" in stream
    assert "event: done" not in stream


async def test_a_run_stops_at_the_bound_of_its_steps_and_says_so(tmp_path: Path, demo: DemoServices) -> None:
    script = [call("petstore__getPetById", {"petId": number}) for number in range(1, 9)]
    async with ollama_server(script) as ollama:
        settings = settings_for(tmp_path / "data", demo, ollama_url=ollama.url, max_steps=2)
        async with served(settings) as server:
            body = (await ask(server.client, "look at every pet")).json()
    assert body["status"] == "completed"
    assert len(body["actions"]) == 2
    assert "MAX_STEPS" in body["reply"]


async def test_calls_that_do_not_fit_are_told_to_the_model_and_shown(tmp_path: Path, demo: DemoServices) -> None:
    script = [call("petstore__getPetById", {"petId": "three"}), call("nothing__here", {}), say("I cannot.")]
    async with (
        ollama_server(script) as ollama,
        served(settings_for(tmp_path / "data", demo, ollama_url=ollama.url)) as server,
    ):
        body = (await ask(server.client, "look at pet three")).json()
    assert (body["status"], body["reply"]) == ("completed", "I cannot.")
    assert [action["status"] for action in body["actions"]] == ["invalid", "invalid"]
    assert "petId" in body["actions"][0]["result"]
