"""The active-learning state machine, pure: (state, observation) -> state, and the acts that it still owes."""
