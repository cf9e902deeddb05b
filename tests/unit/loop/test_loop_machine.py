"""Two controllers, looks that are old or repeated, acts that are done twice or never: the loop keeps its promises."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.loop.world import SIZE, World, make_spec
from tornio.loop.acts import Act, owed
from tornio.loop.advance import RIVALS
from tornio.loop.automatic import withdrawn_of
from tornio.loop.observation import Observation, Replica
from tornio.loop.phase import Phase, standing
from tornio.schemas.loop import LoopState, TrainIntent
from tornio.schemas.task import GateVerdict, Iteration
from tornio.spec import AutoLabelSpec, GateSpec

VERDICTS = [
    GateVerdict(promoted=True, integrity=True, reasons=("fine",)),
    GateVerdict(promoted=False, integrity=True, reasons=("worse",)),
    GateVerdict(promoted=False, integrity=False, reasons=("broken",)),
]


GATES = [
    {},
    {"canary": {"share": 0.1, "minutes": 0.1}},
    {"canary": {"share": 0.0, "minutes": 0.1}, "shadow": True},
]


class LoopMachine(RuleBasedStateMachine):
    """The world does what it likes, controllers look and act when they like; none of it may break a promise."""

    @initialize(
        open_batches=st.integers(1, 3),
        pool=st.integers(0, 30),
        fraction=st.sampled_from([0.5, 1.0]),
        bootstrap=st.sampled_from(["none", "teacher"]),
        stop=st.sampled_from([{"criterion": "none"}, {"window": 2}, {"max_iterations": 3}]),
        auto_label=st.sampled_from([{}, {"target_error": 0.05}, {"target_error": 0.05, "train": True}]),
        gates=st.sampled_from(GATES),
    )
    def begin(
        self,
        open_batches: int,
        pool: int,
        fraction: float,
        bootstrap: str,
        stop: dict[str, Any],
        auto_label: dict[str, Any],
        gates: dict[str, Any],
    ) -> None:
        spec = make_spec(
            auto_label, gates, open_batches=open_batches, close_fraction=fraction, bootstrap=bootstrap, stop=stop
        )
        self.always_tried = bool(gates)
        self.gone: set[tuple[str, str]] = set()
        self.world = World(spec=spec, pool=pool, agreement=0.995)
        self.looks: list[tuple[LoopState, Observation]] = []
        self.debts: list[Act] = []
        self.served: set[str] = set()
        self.chosen: set[str] = set()
        self.sent: dict[str, int] = {}

    # -- controllers -------------------------------------------------------------------------------------

    @rule()
    def look(self) -> None:
        self.looks.append((self.world.state, self.world.look()))

    @precondition(lambda self: self.looks)
    @rule(data=st.data())
    def decide(self, data: st.DataObject) -> None:
        """Any controller decides on any look that it once took; only a current one can write."""
        read, seen = data.draw(st.sampled_from(self.looks[-4:]))
        state, held = self.world.decide(read, seen)
        if held:
            self.debts += owed(state, seen)

    @rule()
    def look_and_decide(self) -> None:
        state, _ = self.world.decide(self.world.state, self.world.look())
        self.debts += owed(state, self.world.look())

    @precondition(lambda self: self.debts)
    @rule(data=st.data(), again=st.booleans())
    def act(self, data: st.DataObject, again: bool) -> None:
        """Acts are done late, twice, in another order, or never (the rule need not run)."""
        act = data.draw(st.sampled_from(self.debts[-6:]))
        self.world.act(act)
        if not again:
            self.debts.remove(act)

    @rule()
    def the_controller_is_killed(self) -> None:
        self.debts.clear()

    # -- the world ---------------------------------------------------------------------------------------

    @precondition(lambda self: self.world.running)
    @rule(data=st.data(), fails=st.booleans(), empty=st.booleans(), verdict=st.sampled_from(VERDICTS))
    def a_run_ends(self, data: st.DataObject, fails: bool, empty: bool, verdict: GateVerdict) -> None:
        run = data.draw(st.sampled_from(sorted(self.world.running)))
        plan = self.world.plans[run]
        if fails:
            self.world.fail(run)
            return
        if plan.job == "evaluate":
            self.world.verdicts[plan.args["version"]] = verdict
        self.world.finish(run, items=0 if empty else SIZE)

    @precondition(lambda self: self.world.logged)
    @rule(data=st.data(), count=st.integers(1, SIZE))
    def annotators_answer(self, data: st.DataObject, count: int) -> None:
        self.world.answer(data.draw(st.sampled_from(sorted(self.world.logged))), count)

    @rule(loads=st.booleans(), gone=st.booleans())
    def replicas_report(self, loads: bool, gone: bool) -> None:
        if gone:
            self.world.fleet = (Replica("r1"),)
        if loads:
            self.world.load_candidate()

    @rule(seconds=st.sampled_from([0.5, 5.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule(paused=st.booleans(), train=st.booleans(), force=st.booleans(), hold=st.sampled_from([None, "rolled back"]))
    def users_ask(self, paused: bool, train: bool, force: bool, hold: str | None) -> None:
        asks = self.world.state.asks
        number = asks.train_now + train
        forced = number if train and force else asks.forced
        self.world.state = self.world.state.evolve(
            asks=asks.evolve(paused=paused, train_now=number, forced=forced, hold=hold)
        )

    @rule()
    def a_user_sends_a_model(self) -> None:
        name = f"model-{len(self.sent)}"
        self.sent[name] = self.world.generation
        self.world.send_model(name, self.world.generation)

    @rule()
    def an_answer_changes(self) -> None:
        self.world.relabel()

    @precondition(lambda self: self.world.generation < 3)
    @rule()
    def the_labels_change(self) -> None:
        self.world.change_labels()

    @rule(more=st.integers(1, 12))
    def texts_come(self, more: int) -> None:
        self.world.fill(more)

    @precondition(lambda self: "current" in self.world.aliases)
    @rule()
    def a_user_rolls_back(self) -> None:
        current = self.world.aliases["current"]
        if current.previous:
            asks = self.world.state.asks.evolve(hold="rolled back", promote=None)
            self.world.state = self.world.state.evolve(asks=asks)
            self.world.move("current", current.previous, current.revision, "ops", "rollback")

    @precondition(lambda self: self._may_be_chosen())
    @rule(data=st.data())
    def a_user_chooses_a_version(self, data: st.DataObject) -> None:
        """Also one that the gate or a trial refused for its scores."""
        iteration = data.draw(st.sampled_from(self._may_be_chosen()))
        assert iteration.version is not None
        self.chosen.add(iteration.version)
        self.world.choose(iteration)

    def _may_be_chosen(self) -> list[Iteration]:
        whole = [one for one in self.world.iterations.values() if one.verdict and one.verdict.integrity]
        return [one for one in whole if one.generation == self.world.state.generation]

    @rule(more=st.integers(1, 40), passing=st.booleans(), labels=st.sampled_from([("a", "b"), ("a",), ("b",)]))
    def the_hold_out_grows(self, more: int, passing: bool, labels: tuple[str, ...]) -> None:
        """A version may pass its test, or lose its bound, for one label or for both."""
        self.world.passing_labels = labels
        self.world.holdout_labels += more
        if "current" in self.world.aliases:
            self.world.passing[self.world.aliases["current"].version] = passing

    @rule(train=st.booleans(), error=st.sampled_from([None, 0.05, 0.1]))
    def users_change_what_they_want_of_automatic_labels(self, train: bool, error: float | None) -> None:
        wanted = AutoLabelSpec(target_error=error, train=train and error is not None)
        self.world.spec = self.world.spec.model_copy(update={"auto_label": wanted})

    @rule(texts=st.sampled_from([20, 400]), good=st.booleans(), broken=st.booleans())
    def live_texts_come(self, texts: int, good: bool, broken: bool) -> None:
        self.world.traffic(
            texts=texts, agreed=texts if good else texts // 2, broken="NaN" if broken and not good else ""
        )

    @rule(gates=st.sampled_from(GATES))
    def users_change_whether_versions_are_tried(self, gates: dict[str, Any]) -> None:
        self.always_tried &= bool(gates)
        self.world.spec = self.world.spec.model_copy(update={"gates": GateSpec.model_validate(gates)})

    # -- the promises ------------------------------------------------------------------------------------

    @invariant()
    def no_more_open_batches_than_allowed(self) -> None:
        state = self.world.state
        taken = [b for b in state.batches if not b.closed]
        assert len(taken) + (state.query is not None) <= self.world.spec.loop.open_batches

    @invariant()
    def no_record_in_two_batches(self) -> None:
        asked = [item.record_id for batch in self.world.batches.values() for item in batch.items]
        assert len(asked) == len(set(asked))

    @invariant()
    def every_sent_batch_is_open_waits_for_a_training_or_stands_in_one_iteration(self) -> None:
        state = self.world.state
        held = [b.batch for b in state.batches] + [*state.untrained, *state.moving]
        held += [state.query.batch] if state.query else []
        source = state.query.moved_from if state.query else ""
        held += [source] if source not in ("", *self.world.moved) else []
        for train in (state.train, state.gate.train if state.gate else None):
            if train and train.iteration not in self.world.iterations:
                held += train.batches
        held += [b for iteration in self.world.iterations.values() for b in iteration.batches]
        assert len(held) == len(set(held))
        assert set(self.world.batches) <= set(held) | self._ahead() | self.world.moved

    def _ahead(self) -> set[str]:
        """Written late by a controller that had slept: the next query of that number takes it up."""
        ahead = self.world.state.batch_number + 1
        return {b.batch for b in self.world.batches.values() if b.number >= ahead}

    @invariant()
    def signals_are_fewer_than_trainings_with_new_labels(self) -> None:
        seqs = {iteration.label_seq for iteration in self._trained()}
        assert len(self.world.state.stop.signals) <= max(0, len(seqs) - 1)

    def _pending(self) -> list[TrainIntent]:
        state = self.world.state
        return [train for train in (state.train, state.gate.train if state.gate else None) if train]

    def _trained(self) -> list[Iteration]:
        return [iteration for iteration in self.world.iterations.values() if iteration.imported_by is None]

    @invariant()
    def a_model_that_was_sent_has_one_place(self) -> None:
        """It waits, is worked on, or stands in one iteration; only where the labels changed, it may be given up."""
        state = self.world.state
        places = [ask.upload for ask in state.asks.imports]
        worked_on = [train for train in self._pending() if train.iteration not in self.world.iterations]
        places += [train.imported.upload for train in worked_on if train.imported]
        places += [one.imported_by for one in self.world.iterations.values() if one.imported_by]
        assert len(places) == len(set(places))
        assert all(self.sent[name] < state.generation for name in set(self.sent) - set(places))

    @invariant()
    def a_model_that_was_sent_is_no_step_of_learning(self) -> None:
        state = self.world.state
        sent = {one.version for one in self.world.iterations.values() if one.imported_by}
        assert state.stop.last_version not in sent or state.stop.last_version is None
        learning = {train.iteration for train in self._pending() if not train.imported}
        learning |= {one.number for one in self._trained()}
        assert state.counted_iterations <= len(learning - {0})

    @invariant()
    def what_has_served_is_known(self) -> None:
        if "current" in self.world.aliases:
            self.served.add(self.world.aliases["current"].version)

    @invariant()
    def a_version_that_was_not_judged_good_never_serves(self) -> None:
        for alias in ("candidate", "current"):
            if alias in self.world.aliases:
                version = self.world.aliases[alias].version
                verdict = self.world.verdicts.get(version)
                assert verdict is None or verdict.promoted or (verdict.integrity and version in self.chosen)

    @invariant()
    def a_version_that_its_trial_refused_never_serves(self) -> None:
        verdicts = {name: one.trial.verdict for name, one in self.world.trials.items()}
        refused = {name for name, verdict in verdicts.items() if verdict is None or not verdict.promoted}
        assert not (refused - self.chosen) & self.served

    @invariant()
    def what_a_user_chose_serves_only_by_that_name(self) -> None:
        current = self.world.aliases.get("current")
        assert current is None or current.cause != "manual" or current.version in self.chosen

    @invariant()
    def no_version_serves_without_its_trial_while_the_spec_always_wanted_one(self) -> None:
        current = self.world.aliases.get("current")
        if current is None or not self.always_tried or current.cause != "promotion":
            return
        judged = [one for one in self.world.iterations.values() if one.version == current.version]
        assert current.version in self.world.trials or all(one.against is None for one in judged)

    @invariant()
    def a_trial_is_against_what_serves_under_the_revision_that_it_names(self) -> None:
        candidate, current = self.world.aliases.get("candidate"), self.world.aliases.get("current")
        if candidate is not None and candidate.trial is not None:
            assert current is not None
            assert candidate.trial.revision <= current.revision

    @invariant()
    def a_label_that_was_withdrawn_never_stands_again(self) -> None:
        gone = {place for place, stands in self.world.automatic.items() if not stands}
        assert self.gone <= gone
        self.gone |= gone

    @invariant()
    def iterations_are_counted_without_a_gap(self) -> None:
        state = self.world.state
        pending = {train.iteration for train in (state.train, state.gate.train if state.gate else None) if train}
        taught = {0} & (set(self.world.iterations) | pending)
        assert set(self.world.iterations) | pending == set(range(1, state.iteration + 1)) | taught

    @invariant()
    def the_teacher_teaches_only_where_it_is_asked_to_and_nothing_else_was_trained(self) -> None:
        state = self.world.state
        asked = self.world.spec.loop.bootstrap == "teacher"
        assert asked or not (state.taught or 0 in self.world.iterations)
        if state.train and not state.train.iteration:
            assert (state.counted_iterations, state.newest, state.train.batches) == (0, None, ())

    def teardown(self) -> None:
        """Whatever happened: with a fair world from now on, the loop comes to an end and says where it stands."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.state = world.state.evolve(asks=world.state.asks.evolve(paused=False, hold=None))
        world.wait(300)
        for _ in range(80 + 12 * (world.pool // SIZE + len(world.batches) + len(self.sent) + 1)):
            world.turn()
        said = standing(world.state, world.look())
        assert said.phase in (Phase.WAITING, Phase.STOPPED, Phase.ATTENTION), said
        state = world.state
        assert (state.query, state.train, state.gate, state.batches) == (None, None, None, ())
        assert (state.auto.intent, state.auto.retrain) == (None, False)
        assert (state.swap, state.waiting, state.asks.imports, state.asks.promote) == (None, None, (), None)
        assert "candidate" not in world.aliases or world.aliases["candidate"].trial is None
        serving = (
            {world.aliases["current"].version} if world.spec.auto_label.on and "current" in world.aliases else set()
        )
        standing_labels = {version for (version, _), stands in world.automatic.items() if stands}
        assert standing_labels <= serving
        trained = {one.number for one in self._trained()} - {0}
        newest = max(trained, default=None)
        assert (
            newest is None
            or withdrawn_of(state, world.iterations[newest].automatic, world.iterations[newest].label_seq) is None
        )
        budget = world.spec.loop.stop.max_iterations
        spent = budget is not None and state.counted_iterations >= budget
        assert state.trained_label_seq >= world.given_seq or spent or not trained
        if len(state.promoted) < RIVALS:  # else the oldest were let go
            assert self.served <= set(state.promoted) | {world.aliases[a].version for a in world.aliases}


LoopMachine.TestCase.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestLoopMachine = LoopMachine.TestCase
