"""Parser for what a user types into Argilla's search box. Pure, and independent of SQL.

Every word or "quoted phrase" must occur as whole words, in upper or lower case. ``-word`` must not occur; ``word*`` is
a prefix; ``a | b`` means one or the other.
"""

import re
from dataclasses import dataclass

_TOKEN = re.compile(r'(-?)(?:"([^"]*)"|(\S+))')


@dataclass(frozen=True)
class Term:
    """One or more consecutive words."""

    words: tuple[str, ...]
    prefix: bool = False
    negated: bool = False

    @property
    def pattern(self) -> str:
        """A regular expression in Python's and PostgreSQL's dialect, to be searched case-insensitively."""
        end = "" if self.prefix else r"(\W|$)"
        return r"(^|\W)" + r"\W+".join(self.words) + end


def parse(query: str) -> tuple[tuple[Term, ...], ...]:
    """Return the alternatives, each a conjunction of terms; empty if there is nothing to search for."""
    alternatives = (_conjunction(part) for part in query.split("|"))
    return tuple(terms for terms in alternatives if terms)


def _conjunction(part: str) -> tuple[Term, ...]:
    terms = []
    for minus, phrase, word in _TOKEN.findall(part):
        token = phrase or word
        words = tuple(re.findall(r"\w+", token))
        if words:
            terms.append(Term(words, prefix=token.endswith("*"), negated=bool(minus)))
    return tuple(terms)
