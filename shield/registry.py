"""A registry: names to parts. Each room (surrogates, attacks, transforms, ...) has one."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Generic, TypeVar

from shield.errors import RecipeError

T = TypeVar("T")


class Named(Mapping[str, T], Generic[T]):
    """Parts whose ``names`` are asked for at every access, and ``part``, which makes one: for a registry to follow."""

    def __init__(self, names: Callable[[], list[str]], part: Callable[[str], T]) -> None:
        self._names, self._part = names, part

    def __getitem__(self, name: str) -> T:
        if name not in self._names():
            raise KeyError(name)
        return self._part(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())


class Registry(Mapping[str, T], Generic[T]):
    """A read-only mapping that parts enter by decorator.

    A second part under a taken name raises ValueError (a programming error); an unknown name raises RecipeError
    (a user's error) that lists the known ones. Where two have a part of the same name, an own part comes before those
    of the mappings that it follows.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._parts: dict[str, T] = {}
        self._followed: list[Mapping[str, T]] = []

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator: enter the decorated part under ``name``."""

        def enter(part: T) -> T:
            if name in self._parts:
                raise ValueError(f"there is a {self.kind} named {name!r} already")
            self._parts[name] = part
            return part

        return enter

    def follow(self, others: Mapping[str, T]) -> None:
        """Hold the parts of another mapping as well, as they are at every access."""
        self._followed.append(others)

    def registered(self) -> tuple[str, ...]:
        """The names of those that entered by decorator, without what it follows."""
        return tuple(self._parts)

    def __getitem__(self, name: str) -> T:
        for parts in (self._parts, *self._followed):
            if name in parts:
                return parts[name]
        raise RecipeError(f"There is no {self.kind} named {name!r}; choose from: {', '.join(sorted(self))}.")

    def __contains__(self, name: object) -> bool:
        return any(name in parts for parts in (self._parts, *self._followed))

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(chain(self._parts, *self._followed)))

    def __len__(self) -> int:
        return len(list(iter(self)))
