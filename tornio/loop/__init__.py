"""The active-learning state machine, pure: state and observation -> next state, and the acts that are due."""
