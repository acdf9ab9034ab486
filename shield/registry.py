"""A registry: names to parts. Each room (surrogates, attacks, transforms, ...) has one."""

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from shield.errors import RecipeError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A read-only mapping that parts enter by decorator.

    A second part under a taken name raises ValueError (a programming error); an unknown name raises RecipeError
    (a user's error) that lists the known ones.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._parts: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator: enter the decorated part under ``name``."""

        def enter(part: T) -> T:
            if name in self._parts:
                raise ValueError(f"there is a {self.kind} named {name!r} already")
            self._parts[name] = part
            return part

        return enter

    def __getitem__(self, name: str) -> T:
        if name not in self._parts:
            raise RecipeError(f"There is no {self.kind} named {name!r}; choose from: {', '.join(sorted(self))}.")
        return self._parts[name]

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)
