"""A report: what verification found, in words for people and in JSON for programs."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from shield.channels import AS_SAVED, load_channel
from shield.verify.findings import (
    EDITS,
    SEARCH,
    STRANGER,
    SWAPS,
    UNSEEN,
    Count,
    Door,
    Findings,
    disrupted,
    framed,
    openness,
    works,
)
from shield.verify.rows import (
    BROKEN,
    ENOUGH,
    EXACT,
    HELD,
    MANIPULATED,
    NOISE,
    ORIGINAL,
    PROTECTED,
    RESAVED,
    SOCIAL,
    TARGET,
    Effect,
)

SCHEMA = 6
# What stands in the table of doors, and what still can be done, in words that follow so many of so many.
TITLES = {
    SWAPS: "face swaps show you",
    SEARCH: "face search knows you",
    STRANGER: "recognisers never trained against know you",
    EDITS: "edits make a usable deepfake",
    UNSEEN: "edits by networks that were not searched",
}
TOOLS = {SWAPS: "face swaps", EDITS: "edits", UNSEEN: "edits by networks that the search did not see"}
# Where nothing of what worked on the original works any more, and where something does.
WORDS = {
    SWAPS: ("face swaps no longer show you ({} pictures)", "face swaps still show you ({} pictures)"),
    SEARCH: ("face search no longer knows you ({} recognisers)", "face search still knows you ({} recognisers)"),
    STRANGER: (
        "recognisers that shield never trained against no longer know you ({})",
        "recognisers that shield never trained against still know you ({})",
    ),
    EDITS: ("edits make no usable deepfake any more ({})", "edits still make a usable deepfake ({})"),
    UNSEEN: (
        "edits by networks that the search did not see no longer work ({})",
        "edits by networks that the search did not see still work ({})",
    ),
}
SHORTER = {SWAPS: "swaps", SEARCH: "recognisers", STRANGER: "never trained against", EDITS: "edits", UNSEEN: "others"}
WHOLE = "withstand the change (Ruiz)"
COLUMNS = ("what still works", "original", "as saved", "social", "at worst")


@dataclass(frozen=True)
class Report(Findings):
    """Everything that was measured on the two files, and what it means."""

    def __repr__(self) -> str:
        names = f"{self.original.name!r}, {self.protected.name!r}"
        return f"Report({names}, {len(self.faces)} face(s), {self.verdict})"

    def lead(self) -> str:
        """The verdict and the headline: what a page, a command line and a contact sheet say first."""
        return f"{self.verdict.capitalize()}. {self.headline()}"

    def headline(self) -> str:
        """The shortest words: what face swaps, face search and edits still can do with the protected photo.

        As saved, in the kind of frames in which most still work, and after a social network's compression.
        """
        return self._doors_sentence() + self.doubts()

    def _doors_sentence(self) -> str:
        doors = self.doors()
        if not doors:
            return "Nothing was tried on this photo."
        text = "; ".join(map(_still, doors))
        several = f", counted over {len(self.faces)} faces" if len(self.faces) > 1 else ""
        parts = [f"{text[0].upper()}{text[1:]}{several}."]
        if sent := [_after(door, left) for door in doors if (left := door.left(SOCIAL)) and left[1]]:
            parts.append(f"After {load_channel(SOCIAL).words}: {', '.join(sent)}.")
        return " ".join(parts)

    def door_table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """The same as a table, headings and rows of cells: so many still work, of so many; "" was not measured.

        The last column is of the channel after which most still work. At its foot the measure of Ruiz et al. Columns of
        which nothing was measured are left out.
        """
        doors = [(TITLES[door.name] if door.judged else f"{TOOLS[door.name]} {WHOLE}", door) for door in self.doors()]
        if (whole := self.broken_edits()) is not None and any(door.judged and door.name == EDITS for _, door in doors):
            doors.append((f"{TOOLS[EDITS]} {WHOLE}", whole))
        rows = [(title, *_cells(door)) for title, door in doors]
        measured = [number for number, _ in enumerate(COLUMNS) if number == 0 or any(row[number] for row in rows)]
        return tuple(COLUMNS[n] for n in measured), [tuple(row[n] for n in measured) for row in rows]

    def identity_sentence(self) -> str:
        """How many recognisers no longer know the person, which is what face swaps and face search go by.

        Of those that the search worked on and of judges, in the frames in which the fewest lose him.
        """
        asked = self._asked()
        where, lost, total = self._worst(asked)
        parts = [f"Face swap and face search: {lost} of {total} recognisers no longer know the person {where}".rstrip()]
        if (seen := self._seen()) and (judged := asked - seen):
            parts.append("of those that no search asked, {} of {}".format(*self._worst(judged)[1:]))
        if SOCIAL in self.channels():
            parts.append("after a social network's compression {} of {}".format(*self._worst(asked, SOCIAL)[1:]))
        return "; ".join(parts) + "."

    def sentence(self) -> str:
        """The headline, and then in detail what holds and what does not."""
        return " ".join([self._doors_sentence(), *self.details()]) + self.doubts()

    def details(self) -> list[str]:
        """A few plain sentences each on face swaps, recognisers, usable deepfakes, and edits that break.

        Of what the search worked on, and of judges.
        """
        edited = self._worked_on() - self._asked()
        swaps = self.swap_sentence() if self.lent(ORIGINAL) else ""
        sentences = [swaps, self.identity_sentence() if self._asked() else "", self.outcome_sentence()]
        return [sentence for sentence in [*sentences, self._edits_sentence(edited) if edited else ""] if sentence]

    def outcome_sentence(self) -> str:
        """How many edits make a usable deepfake of the original, and how many of these one of the protected photo.

        Of all editors, in the frames in which most still do; "" where no judge reads an edit.
        """
        counts = self._usable(AS_SAVED)
        if not counts:
            return ""
        frame = max(counts, key=lambda name: openness(counts[name]))
        alike = len(counts) > 1 and len(set(counts.values())) == 1
        judged, before, after = counts[frame]
        parts = [
            f"Edits, {'however the face is framed' if alike else framed(frame)}: {before} of {judged} would have made "
            f"a usable deepfake of the original, {after} of the protected photo"
        ]
        _, before, after = self._usable(SOCIAL).get(HELD, (0, 0, 0))
        if before:
            parts.append(f"after a social network's compression {after} of {before}")
        return "; ".join(parts) + "."

    def _edits_sentence(self, worked_on: set[str]) -> str:
        """One plain sentence on what becomes of the edits of these surrogates."""
        saved = self._counts(worked_on)
        exact = saved.pop(EXACT) if len(saved) > 1 and EXACT in saved else None
        where, broken, total = self._worst(worked_on)
        parts = [f"{broken} of {total} manipulations break on the saved file {where}".rstrip()]
        if len(set(saved.values())) > 1:
            others = {framed(frame): count for frame, count in saved.items() if framed(frame) != where}
            for count in dict.fromkeys(others.values()):
                parts.append("{} of {} {}".format(*count, _list([word for word in others if others[word] == count])))
        if exact is not None and exact != (broken, total):
            parts.append("{} of {} {}".format(*exact, framed(EXACT)))
        sent = {channel: self._worst(worked_on, channel)[1:] for channel in self._sent(worked_on)}
        firm = [load_channel(c).words for c, (b, t) in sent.items() if b == t]
        weak = [f"{load_channel(c).words} ({b} of {t})" for c, (b, t) in sent.items() if b < broken]
        if firm and broken == total:
            parts.append(f"still all of them after {_list(firm)}")
        if weak:
            parts.append(f"fewer after {_list(weak)}")
        frame = next(iter(self._judged()), HELD)
        noise, measured = disrupted(row for row in self.select(NOISE, frame=frame) if row.surrogate in worked_on)
        if measured:
            parts.append(f"noise of the same visibility breaks {noise}")
        return "; ".join(parts) + "."

    def doubts(self) -> str:
        """A sentence, after a space, on every face that may be framed wrongly; nothing where there is none."""
        doubtful = [(number, face.doubt) for number, face in enumerate(self.faces, start=1) if face.doubt]
        return "".join(
            f" Face {number} may be framed wrongly, and what is said of it with it: {doubt}."
            for number, doubt in doubtful
        )

    @property
    def other_side(self) -> "Report":
        """This report with adversaries where channels are: whatever reads the one reads the other."""
        return replace(self, effects=self.adversaries, adversaries=())

    def reference_sentence(self) -> str:
        """One plain sentence on how many recognisers know the person of the reference photo, in the worst frames.

        Only those count that know the original beside it.
        """
        lost, total = self._lost()
        if not total:
            return (
                "Beside the other photo no recogniser knows the person of the original, so that nothing can be said; "
                "give another photo of the same person."
            )
        parts = [f"Beside the other photo {lost} of {total} recognisers no longer know the person"]
        if SOCIAL in self.channels():
            parts.append("after a social network's compression {} of {}".format(*self._lost(SOCIAL)))
        return "; ".join(parts) + "."

    def _lost(self, channel: str = AS_SAVED) -> tuple[int, int]:
        """How many recognisers (of every face) know the reference's person in no kind of frames; of how many."""
        lost: dict[tuple[int, str, str], bool] = {}
        for row in (row for frame in self._judged(channel) for row in self.select(channel=channel, frame=frame)):
            if row.known is not None and row.known_clean is not None and row.known_clean >= ENOUGH:
                lost[_subject(row)] = lost.get(_subject(row), True) and row.known < ENOUGH
        return sum(lost.values()), len(lost)

    def undo_sentence(self) -> str:
        """One plain sentence on the mildest cleaning after which recognisers know the person again.

        The mildest is the one that moves them least where it is done to the original.
        """
        asked, side = self._asked(), self.other_side
        rows = [row for row in side.effects if row.surrogate in asked and row.channel != AS_SAVED]
        lost = {_subject(row) for row in side.select() if row.surrogate in asked and row.disrupted}
        if not lost:
            return "The cheapest undo: none is needed, for recognisers know the person on the saved file."
        back = Counter(r.channel for r in rows if r.picture == PROTECTED and _subject(r) in lost and not r.disrupted)
        if not back:
            ways = len({row.channel for row in rows})
            return f"The cheapest undo: none of {ways} ways to clean the photo brings the person back."
        harm = dict.fromkeys(back, 0.0)
        for row in rows:
            if row.picture == RESAVED and row.channel in harm:
                harm[row.channel] += row.distance / row.threshold
        mildest = min(back, key=harm.__getitem__)
        known = f"{back[mildest]} of {len(lost)} recognisers know the person again"
        return f"The cheapest undo: {mildest}, after which {known}."

    def adversary_sentence(self) -> str:
        """One plain sentence on what adversaries undo of what breaks on the saved file, and what they break themselves.

        Of the manipulations that the search worked on; hardened manipulators, on which it never does, are named apart.
        """
        side, seen = self.other_side, self._worked_on()
        broken = {_subject(effect) for effect in side.select() if effect.surrogate in seen and effect.disrupted}
        undone, spoilt = Counter[str](), Counter[str]()
        for effect in side.effects:
            if _subject(effect) in broken and effect.channel != AS_SAVED:
                undone[effect.channel] += effect.picture == PROTECTED and not effect.disrupted
                spoilt[effect.channel] += effect.picture == RESAVED and effect.disrupted
        parts = ["No manipulation breaks on the saved file, so that an adversary has nothing to undo"]
        if broken:
            parts = [f"Of {len(broken)} broken manipulations an adversary undoes {_bycount(undone)}"]
        if +spoilt:
            parts.append(f"the same done to the original breaks {_bycount(+spoilt)}")
        for name in [name for name in side.surrogates() if name not in self.surrogates()]:
            parts.append("{} of {} break of the hardened {}".format(*disrupted(side.select(surrogate=name)), name))
        return "; ".join(parts) + "."

    def detector_sentence(self) -> str:
        """One plain sentence on what the detector calls fake: of the photos, and of the manipulations."""
        verdicts: dict[str, list[str]] = {}
        for row in self.detections:
            verdicts.setdefault(row.picture, []).append(row.verdict)
        photos = [f"the {name} photo {_worst(verdicts[name])}" for name in (ORIGINAL, PROTECTED) if name in verdicts]
        words = {MANIPULATED: "manipulations of the original", BROKEN: "of the protected photo"}
        made = [
            f"{verdicts[k].count('fake')} of {len(verdicts[k])} {word}" for k, word in words.items() if k in verdicts
        ]
        parts = [f"The detector calls {_list(photos)}"] if photos else ["The detector saw no photo"]
        if made:
            parts.append(f"fake it calls {_list(made)}")
        return "; ".join(parts) + "."

    def swap_sentence(self) -> str:
        """Plain sentences on whom face swaps show, with the face of the original and of the protected photo; and on it.

        Of the swaps that put it on the donors on whom the original's works.
        """
        clean = self.lent(ORIGINAL)
        if not clean:
            return "No face swap was made of this photo."
        working = works(clean)
        start = f"A face swap made from this photo shows you in {_of(working, len(clean))} pictures"
        if not working:
            return f"{start}: there is nothing to protect from."
        those = "of those " if working < len(clean) else "of "
        parts = [f"{start}, made from the protected photo in {works(self.lent()) or 'none'} {those}{working}"]
        sent = dict.fromkeys(row.channel for row in self.swaps if row.picture == PROTECTED and row.channel != AS_SAVED)
        if sent:
            parts.append(
                _list([f"after {load_channel(c).words} in {works(self.lent(channel=c)) or 'none'}" for c in sent])
            )
        if noise := self.lent(NOISE):
            parts.append(f"from noise of the same visibility in {works(noise) or 'none'}")
        return "; ".join(parts) + "." + self._target_sentence()

    def _target_sentence(self) -> str:
        """A sentence, after a space, on swaps that put another face on the photo; nothing where there are none."""
        rows = [[row for row in self.swaps if (row.role, row.picture) == (TARGET, it)] for it in (ORIGINAL, PROTECTED)]
        if not all(rows):
            return ""
        clean, protected = (f"{_of(works(own), len(own))}" for own in rows)
        return f" Another face put on this photo shows that person in {clean}, on the protected photo in {protected}."

    def credentials_sentence(self) -> str:
        """What the file's Content Credentials say, or that it lacks those that the original has; else nothing."""
        if self.protected.claim is not None:
            return self.protected.claim.sentence()
        if self.original.claim is not None:
            return "The original's Content Credentials are about other pixels and were left out."
        return ""

    def to_json(self) -> str:
        """JSON text; infinite values (the PSNR of equal pictures) become null."""
        return json.dumps(_finite(asdict(self)), indent=2, ensure_ascii=True) + "\n"


def _still(door: Door) -> str:
    """What can be done through a door on the saved file."""
    left = f"{door.saved} of {door.worked}"
    if not door.worked:
        return f"{TOOLS[door.name]} do not work on the original either"
    if not door.judged:
        words = "{} withstand the change ({})" if door.saved else "{} break ({} withstand the change)"
        return words.format(TOOLS[door.name], left)
    closed, opened = WORDS[door.name]
    return (opened if door.saved else closed).format(left)


def _after(door: Door, left: Count) -> str:
    """The same after a channel, shorter."""
    return f"{left[0]} of {left[1]} {SHORTER[door.name]}"


def _cells(door: Door) -> tuple[str, ...]:
    """A row of the table of doors, without its title."""
    channel, most = door.worst
    counts = [(door.worked, door.tried), door.left(), door.left(SOCIAL), most if door.after else None]
    cells = ["" if count is None else f"{count[0]} of {count[1]}" for count in counts]
    if door.after and channel != AS_SAVED and cells[-1] != cells[1]:
        cells[-1] += f" ({channel})"
    return tuple(cells)


def _worst(verdicts: Iterable[str]) -> str:
    return max(verdicts, key=("real", "unsure", "fake").index)


def _subject(effect: Effect) -> tuple[int, str, str]:
    """Which manipulation a row is of."""
    return effect.face, effect.surrogate, effect.edit


def _of(count: int, total: int) -> str:
    return f"{count or 'none'} of {total}"


def _bycount(counts: Mapping[str, int]) -> str:
    """How many by whom, fewest first: "none by blur and JPEG 50, 2 by median 5"."""
    numbers = sorted(set(counts.values()))
    return ", ".join(f"{n or 'none'} by {_list([name for name in counts if counts[name] == n])}" for n in numbers)


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
