"""Where there are no documents, or nobody wants them: no passages, and this is said."""

from domain.conversation import Notice, Retrieved

EMPTY = Notice(
    port="knowledge",
    mode="embedded",
    reason="No documents are in the knowledge base.",
    lost="Replies carry no passages from your documents.",
)
OFF = EMPTY.model_copy(update={"reason": "The knowledge base is switched off (ENABLE_KNOWLEDGE is false)."})


class NoKnowledge:
    """A knowledge base without documents."""

    async def search(self, query: str, *, requester: str, top_k: int | None = None) -> Retrieved:
        """Return no passages, and why."""
        return Retrieved(notices=(OFF,))
