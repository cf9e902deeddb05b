"""New intents of the loop: the next training and the next batch. Pure."""

from __future__ import annotations

from tornio.loop import first
from tornio.loop.attention import attend
from tornio.loop.automatic import trained_on, training_waits
from tornio.loop.observation import Observation
from tornio.loop.standstill import stopped
from tornio.schemas.loop import LoopState, QueryIntent, TrainIntent


def start_training(state: LoopState, seen: Observation) -> LoopState:
    if state.train or state.gate or state.asks.paused:
        return state
    closed = tuple(batch.batch for batch in state.batches if batch.closed)
    asked = state.asks.train_now > state.served_train_now
    forced = state.asks.forced > state.served_train_now
    if asked and not forced and nothing_new(state, seen):  # another training took in the labels for which it was asked
        asked = False
        state = state.evolve(served_train_now=state.asks.train_now)
    due = closed or asked or state.relabelled or state.auto.retrain
    if not (due or first.due(state, seen) or _relabelled(state, seen)):
        return attend(state, "method", None)
    if training_waits(state, seen):
        return state
    state = attend(state, "method", seen.cannot_train)
    if seen.cannot_train is not None:  # it waits: an attempt would fail, and count as an iteration
        return state
    state = state.evolve(batches=tuple(batch for batch in state.batches if not batch.closed))
    untrained = (*state.untrained, *closed)
    lacking = first.lacking(seen)
    if lacking is not None:
        state = state.evolve(untrained=untrained, trained_label_seq=seen.label_seq, relabelled=False)
        if first.teachable(state, seen):  # a request is for the teacher: see start_teaching
            return attend(state, "labels", None)
        return attend(state.evolve(served_train_now=state.asks.train_now), "labels", lacking if asked else None)
    intent = TrainIntent(
        iteration=state.iteration + 1,
        batches=untrained,
        label_seq=seen.label_seq,
        pool_seq=seen.pool_seq,
        spec_rev=seen.spec_rev,
        parent=state.newest,
        given_seq=seen.news_seq if seen.news_seq < seen.label_seq else 0,
        automatic=trained_on(state, seen),
        started_at=seen.now,
        since=seen.now,
    )
    state = state.evolve(
        repeats=state.repeats + (not _new_labels(state, seen)),
        served_train_now=state.asks.train_now,
        train=intent,
        iteration=intent.iteration,
        relabelled=False,
        untrained=(),
        trained_label_seq=seen.label_seq,
        trained_pool_seq=seen.pool_seq,
        trained_spec_rev=seen.spec_rev,
        auto=state.auto.evolve(retrain=False),
    )
    return attend(attend(state, "import", None), "labels", None)


def start_teaching(state: LoopState, seen: Observation) -> LoopState:
    """State the training of version 0, from the teacher's labels of the pool, where there are no others to train on."""
    if state.train or state.gate or state.asks.paused:
        return state
    asked = state.asks.train_now > state.served_train_now and first.teachable(state, seen)
    if not (asked or first.taught_now(state, seen)):
        return state
    if _failed(state) and not (asked or state.query or state.batches):  # annotators do not wait for another try
        return state
    intent = TrainIntent(
        iteration=0,
        batches=(),
        label_seq=seen.label_seq,
        pool_seq=seen.pool_seq,
        spec_rev=seen.spec_rev,
        parent=None,
        method=seen.spec.bootstrap_method or "",
        started_at=seen.now,
        attempt=state.teaching_attempts + 1,
        since=seen.now,
    )
    return state.evolve(
        train=intent,
        served_train_now=state.asks.train_now,
        trained_pool_seq=seen.pool_seq,
        trained_spec_rev=seen.spec_rev,
    )


def _failed(state: LoopState) -> bool:
    """Whether the last training failed."""
    return "train" in state.attention


def nothing_new(state: LoopState, seen: Observation) -> bool:
    """Whether a training now would repeat the last one: labels and spec are the same, and its version is of use."""
    of_no_use = state.attention.keys() & {"train", "gate", "swap", "query"}
    return not (of_no_use or _new_labels(state, seen) or seen.spec_rev != state.trained_spec_rev)


def _new_labels(state: LoopState, seen: Observation) -> bool:
    """Whether the log has labels that the last training did not have."""
    return not state.counted_iterations or seen.news_seq > state.trained_label_seq


def _relabelled(state: LoopState, seen: Observation) -> bool:
    """Whether answers changed or labels arrived, and nothing else will start a training with them."""
    if seen.news_seq <= state.trained_label_seq or seen.quiet < first.QUIET or state.query or state.batches:
        return False
    budget = seen.spec.loop.stop.max_iterations
    if budget is not None and state.counted_iterations >= budget:
        return False
    return bool(stopped(state, seen.spec, seen.pool_seq, seen.answered)) or _exhausted(state, seen)


def _exhausted(state: LoopState, seen: Observation) -> bool:
    return not seen.queryable or seen.pool_seq <= state.exhausted_pool_seq


def start_query(state: LoopState, seen: Observation) -> LoopState:
    busy = state.query or state.train or state.gate or any(batch.closed for batch in state.batches)
    if busy or state.asks.paused or stopped(state, seen.spec, seen.pool_seq, seen.answered) or _exhausted(state, seen):
        return state
    if len(state.batches) >= seen.spec.loop.open_batches:
        return state
    if first.importing(state, seen) or (first.to_be_taught(state, seen) and not _failed(state)):
        return state  # that version picks the batch
    if state.query_not_before is not None and seen.now < state.query_not_before:
        return state
    number = state.batch_number + 1
    intent = QueryIntent(
        number=number,
        batch=f"g{state.generation}-b{number:04d}",
        version=state.newest,
        label_seq=seen.label_seq,
        pool_seq=seen.pool_seq,
        spec_rev=seen.spec_rev,
        attempt=state.query_failures + 1,
        since=seen.now,
    )
    return state.evolve(query=intent, batch_number=number, query_not_before=None)
