"""The arguments of a command or a test compared with its form.

Spec: RFC 5228 §2.6.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from mailstead.sieve.call import NotHere, Refused
from mailstead.sieve.forms import Form, TagForm, Takes
from mailstead.sieve.tree import Argument, Command, Number, Place, Tag, Test, Text, TextList

if TYPE_CHECKING:
    from mailstead.sieve.check import Checker

_KINDS: Final = {Number: "a number", Text: "a string", TextList: "a list of strings", Tag: "a tag"}


class Arguments:
    """Tags first, then positional arguments. Spec: RFC 5228 §2.6."""

    def __init__(self, checker: Checker, form: Form, node: Command | Test) -> None:
        self.checker = checker
        self.form = form
        self.node = node
        self.found: dict[int | str, Argument | None] = {}
        self.groups: dict[str, str] = {}
        self.is_wrong = False

    def read(self) -> dict[int | str, Argument | None]:
        """Give the arguments by position and by tag.

        Errors: Refused, after all that is wrong was told; NotHere.
        """
        rest = list(self.node.arguments)
        while rest and isinstance(rest[0], Tag):
            tag = rest.pop(0)
            assert isinstance(tag, Tag)
            form = self._form(tag)
            if form is None:
                # Whatever belongs to it is unknown too.
                while rest and not isinstance(rest[0], Tag):
                    rest.pop(0)
                raise Refused
            self.found[tag.name] = tag
            if form.takes is not None:
                if rest and not isinstance(rest[0], Tag):
                    argument = rest.pop(0)
                    self._fits(argument, form.takes, f'":{tag.name}"')
                    self.found[tag.name] = argument
                else:
                    self._tell(tag.place, f'":{tag.name}" needs {form.takes.value} behind it')
        self._positional(rest)
        for name in list(self.found):
            self._after(name)
        if self.is_wrong:
            raise Refused
        return self.found

    def _form(self, tag: Tag) -> TagForm | None:
        name = self.node.name
        form = next((form for form in self.form.tags if form.name == tag.name), None)
        if form is None:
            if self.checker.has("ihave"):
                raise NotHere(tag.place, f'"{name}" has no tag ":{tag.name[:60]}"')
            known = [f":{form.name}" for form in self.form.tags]
            near = get_close_matches(f":{tag.name[:60]}", known, 1)
            hint = f'; did you mean "{near[0]}"?' if near else "; remove it"
            self._tell(tag.place, f'"{name}" has no tag ":{tag.name[:60]}"{hint}')
            return None
        if form.needs and not self.checker.has(form.needs):
            what = self.checker.ask_for(f'":{tag.name}"', form.needs)
            if self.checker.has("ihave"):
                raise NotHere(tag.place, what)
            self._tell(tag.place, what)
        group = form.group or form.name
        if group in self.groups:
            other = self.groups[group]
            twice = f'":{tag.name}" stands twice; remove one'
            self._tell(tag.place, twice if other == tag.name else f'":{other}" and ":{tag.name}" exclude each other')
        self.groups[group] = tag.name
        return form

    def _after(self, name: int | str) -> None:
        form = next((form for form in self.form.tags if form.name == name), None)
        if form is not None and form.after and form.after not in self.found:
            tag = self.found[name]
            assert tag is not None
            self._tell(tag.place, f'":{form.name}" stands with ":{form.after}" only')

    def _positional(self, given: list[Argument]) -> None:
        takes = self.form.takes
        if any(isinstance(argument, Tag) for argument in given):
            late = next(argument for argument in given if isinstance(argument, Tag))
            self._tell(late.place, f'Tags stand before the other arguments; move ":{late.name}" forward')
            return
        name, count = self.node.name, len(given)
        if count > len(takes):
            expected = f"{len(takes)} argument{'s' if len(takes) > 1 else ''}" if takes else "no argument"
            self._tell(given[len(takes)].place, f'"{name}" takes {expected} beside its tags; this one is too many')
            return
        skipped = self.form.optional_count if count == len(takes) - self.form.optional_count else 0
        missing = takes[skipped + count : len(takes) - self.form.trailing_count]
        if missing:
            self._tell(self.node.place, f'"{name}" needs {missing[0].value} more')
            return
        for index, argument in enumerate(given, skipped):
            self._fits(argument, takes[index], f'"{name}"')
            self.found[index] = argument

    def _fits(self, argument: Argument, takes: Takes, what: str) -> None:
        fits = {
            Takes.NUMBER: isinstance(argument, Number),
            Takes.TEXT: isinstance(argument, Text),
            Takes.TEXTS: isinstance(argument, Text | TextList),
        }
        if not fits[takes]:
            self._tell(argument.place, f"{what} takes {takes.value} here, not {_KINDS[type(argument)]}")

    def _tell(self, place: Place, what: str) -> None:
        self.checker.tell(place, what)
        self.is_wrong = True
