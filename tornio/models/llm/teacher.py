"""The teacher ``llm``: a chat model is asked for the label of each text."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from threading import Event

import numpy as np

from tornio.arrays import FloatVector
from tornio.errors import InvalidInput
from tornio.models.llm.asking import Asker, Stopped
from tornio.models.llm.budget import Limits, Purse, left_of
from tornio.models.llm.port import ChatServer
from tornio.models.llm.prompt import Prompt, text_digest
from tornio.models.port import Scores
from tornio.schemas.keys import llm_answers
from tornio.schemas.llm import Answer
from tornio.settings import LlmEndpoint
from tornio.spec import LabelSpec
from tornio.storage import documents
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)

JUDGED_AS = 20
"""Fewer texts are judged as if they were so many, or one bad text could end the run of a small part of a pool."""
HOPELESS = 100
"""So many texts without a single usable answer end a run at once: then the model or the instruction is wrong, and each
further text would cost some requests."""
HASTE_S = 20.0
"""Most seconds of a request for which somebody waits, such as the annotators of a batch. An answer has few tokens."""
Connect = Callable[[str, LlmEndpoint], ChatServer]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What labelling would ask. ``texts``: different ones without an answer. ``tokens``: about, of both directions.
    ``left``: what the budget has. ``cost``: in the currency of the endpoint's price; None without a price."""

    texts: int
    known: int
    tokens: int
    left: Limits
    cost: float | None
    model: str

    def __str__(self) -> str:
        cost = "" if self.cost is None else f", which cost about {self.cost:,.2f} for the questions"
        return (
            f"asks {self.model} about {self.texts:,} texts ({self.known:,} are answered): about {self.tokens:,} tokens"
            f"{cost}; the budget has {self.left.requests:,} requests and {self.left.tokens:,} tokens left"
        )


class LlmZeroShot:
    """The ``ZeroShotModel`` behind an endpoint that speaks the OpenAI chat-completions protocol. Thread-safe.

    An answer is kept in the store as soon as it arrives, so a repetition, also of a run that was killed, asks only for
    what is missing. A text whose answers are all rubbish has NaN in its row: it has no soft label.
    """

    def __init__(
        self, store: ObjectStore, endpoint: str, settings: LlmEndpoint, connect: Connect, instruction: str = ""
    ) -> None:
        """``endpoint``: its name. ``instruction``: words of the task for the model; empty for the usual ones."""
        self._store = store
        self._endpoint = endpoint
        self._settings = settings
        self._connect = connect
        self._instruction = instruction

    @property
    def name(self) -> str:
        model = re.sub(r"[^\w:./-]", "_", self._settings.model, flags=re.ASCII)
        return f"teacher:llm:{self._endpoint}:{model}"

    @property
    def _limits(self) -> Limits:
        return Limits(self._settings.max_requests, self._settings.max_tokens)

    def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool = False
    ) -> Scores:
        """As ``ZeroShotModel.score``, for somebody who waits: a request has at most ``HASTE_S`` seconds and is not sent
        again where the server is busy. ``templates`` are not used. Raises as ``ask`` does."""
        haste = {"retries": 0, "timeout_seconds": min(HASTE_S, self._settings.timeout_seconds)}
        settings = self._settings.model_copy(update=haste)
        hasty = LlmZeroShot(self._store, self._endpoint, settings, self._connect, self._instruction)
        return hasty.ask(texts, labels, multi_label)

    def estimate(self, texts: Sequence[str], labels: Sequence[LabelSpec], multi_label: bool) -> Estimate:
        """Return what ``ask`` would ask for, without asking."""
        prompt = self._prompt(labels, multi_label)
        folder = self._folder(prompt)
        answered = {info.key for info in self._store.list(folder)}
        missing = [text for text in dict.fromkeys(texts) if _key(folder, text) not in answered]
        tokens = prompt.estimated_tokens(missing)
        price = self._settings.input_price
        cost = None if price is None else price * tokens / 1e6
        known_texts = len(set(texts)) - len(missing)
        return Estimate(len(missing), known_texts, tokens, self._left(), cost, self._settings.model)

    def ask(
        self,
        texts: Sequence[str],
        labels: Sequence[LabelSpec],
        multi_label: bool = False,
        done: Callable[[int], None] = lambda _texts: None,
    ) -> Scores:
        """Return scores [n, labels], with NaN for a text without a usable answer. ``done``: called with the number of
        texts so far.

        Raises BudgetSpent, Unavailable, Forbidden or InvalidInput as soon as one text meets it. What was answered by
        then is kept.
        """
        prompt = self._prompt(labels, multi_label)
        unique = list(dict.fromkeys(texts))
        stop, rows, tally = Event(), dict[str, FloatVector | None](), Counter[str]()
        server = self._connect(self._endpoint, self._settings)
        try:
            with (
                Purse(self._store, self._endpoint, self._limits) as purse,
                ThreadPoolExecutor(self._settings.concurrency, "llm") as threads,
            ):
                asker = Asker(server, purse, self._settings, stop)
                futures = {threads.submit(self._of_text, asker, prompt, text): text for text in unique}
                try:
                    for future in as_completed(futures):
                        try:
                            answer = future.result()
                        except Stopped:
                            continue  # the text that stopped it says why
                        rows[futures[future]] = None if answer is None else np.asarray(answer.probabilities, np.float32)
                        tally.update(_kinds(answer))
                        self._check_useful(asker, tally["unanswered"], len(rows), len(unique))
                        done(len(rows))
                finally:
                    stop.set()
                    threads.shutdown(cancel_futures=True)
                tally.update(asker.tally())
        finally:
            server.close()
        return _scores(texts, rows, prompt, tally)

    def _of_text(self, asker: Asker, prompt: Prompt, text: str) -> Answer | None:
        """Return the answer that is kept for a text, or ask for it and keep it. An error stops the other threads."""
        try:
            return self._answered(asker, prompt, text)
        except BaseException:
            asker.stop.set()
            raise

    def _answered(self, asker: Asker, prompt: Prompt, text: str) -> Answer | None:
        key = _key(self._folder(prompt), text)
        kept = documents.find(self._store, key, Answer)
        if kept is not None and len(kept[0].probabilities) == len(prompt.labels):
            return kept[0]
        found = asker.answer(prompt, text)
        if found is None:
            return None
        judged, mode = found
        answer = Answer(
            probabilities=tuple(map(float, judged.probabilities)), measured=judged.measured, structured=mode.structured
        )
        self._store.put(key, answer.encode())
        return answer

    def _check_useful(self, asker: Asker, bad: int, asked: int, texts: int) -> None:
        """Raise InvalidInput as soon as it is sure that too many of the texts have no usable answer, whatever their
        order is; also where the first ``HOPELESS`` have none."""
        share = self._settings.max_unanswered
        if bad <= share * max(texts, JUDGED_AS) and not (bad == asked >= HOPELESS and share < 1):
            return
        kinds = ", ".join(
            f"{name.removeprefix('rubbish: ')} {count}"
            for name, count in sorted(asker.tally().items())
            if "rubbish" in name
        )
        said = f". At last {asker.rejection}" if asker.rejection else ""
        raise InvalidInput(
            f"the model {self._settings.model!r} of the endpoint {self._endpoint!r} gave no usable answer about {bad} "
            f"of {asked} texts ({kinds}), and its max_unanswered allows {share:.0%} of all {texts:,}{said}. "
            "Describe the labels better, change the settings of the endpoint, or choose another model. The usable "
            "answers are kept"
        )

    def _left(self) -> Limits:
        return left_of(self._store, self._endpoint, self._limits)

    def _prompt(self, labels: Sequence[LabelSpec], multi_label: bool) -> Prompt:
        return Prompt(self._instruction, tuple(labels), multi_label, self._settings.max_characters)

    def _folder(self, prompt: Prompt) -> str:
        parts = (self._endpoint, self._settings.model, prompt.digest)
        return llm_answers(hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32])


def _key(folder: str, text: str) -> str:
    return f"{folder}{text_digest(text)}.json"


def _kinds(answer: Answer | None) -> dict[str, int]:
    if answer is None:
        return {"unanswered": 1}
    return {
        "answered": 1,
        "without log-probabilities": int(not answer.measured),
        "without a schema": int(not answer.structured),
    }


def _scores(texts: Sequence[str], rows: dict[str, FloatVector | None], prompt: Prompt, tally: Counter[str]) -> Scores:
    probabilities = np.full((len(texts), len(prompt.labels)), np.nan, dtype=np.float32)
    for number, text in enumerate(texts):
        row = rows[text]
        if row is not None:
            probabilities[number] = row
    logits = np.log(probabilities)
    if prompt.multi_label:
        logits = logits - np.log1p(-probabilities)
    truncated = np.fromiter((prompt.is_cut(text) for text in texts), dtype=bool, count=len(texts))
    return Scores(logits, probabilities, truncated, {name: float(count) for name, count in tally.items() if count})
