"""Passages for a message: none while there is no knowledge base, and this is said."""

from domain.conversation import Notice, Passage

NOTICE = Notice(
    port="knowledge",
    mode="embedded",
    reason="No knowledge base is configured.",
    lost="Replies carry no passages from your documents.",
)


class NoKnowledge:
    """A knowledge base without documents."""

    async def search(
        self, query: str, *, requester: str, top_k: int | None = None
    ) -> tuple[tuple[Passage, ...], tuple[Notice, ...]]:
        """Return no passages, and why."""
        return (), (NOTICE,)
