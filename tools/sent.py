"""What a language model was really called with, read off the bytes that were sent: the check of the experiments.

It looks at the request alone, so that it cannot agree with a mistake made anywhere on the way there.
"""

import json

from domain.conversation import Called


def called(body: bytes) -> Called:
    """Return what a request to Ollama's `/api/chat` asks for."""
    request = json.loads(body)
    system = next((each["content"] for each in request["messages"] if each["role"] == "system"), "")
    return Called(
        model=request["model"],
        temperature=(request.get("options") or {}).get("temperature"),
        system_prompt=system,
        tools=tuple(each["function"]["name"] for each in request.get("tools") or ()),
    )
