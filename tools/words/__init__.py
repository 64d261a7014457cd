"""Understanding a message by its words: what the embedded planner is made of."""
