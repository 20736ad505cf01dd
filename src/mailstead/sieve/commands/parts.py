"""The body, and the MIME parts one by one.

Spec: RFC 5173 (body); RFC 5703 §3 (foreverypart), §7 (extracttext).
"""

from __future__ import annotations

from typing import Final

from mailstead.model.message import PartFacts
from mailstead.sieve.call import Call
from mailstead.sieve.commands.variables import MODIFIER_TAGS, modified
from mailstead.sieve.forms import MATCH_TAGS, NOTHING, Check, CommandForm, Step, TagForm, Takes, TestForm
from mailstead.sieve.matching import matcher
from mailstead.sieve.run import Broken, Run


def _body(call: Call) -> Check:
    """Spec: RFC 5173 §4, §5, §6 (match variables are not set)."""
    match = matcher(call, 0, sets_variables=False)
    if call.has("raw"):
        return lambda run: match(run, [run.message.raw_body()])
    if call.has("content"):
        types_of = call.read_all("content", str.lower)

        def content_holds(run: Run) -> bool:
            types = types_of(run)
            texts: list[str] = []
            for index, part in enumerate(run.message.parts):
                run.budget.spend(1 + len(types))
                if any(_is_of_type(part, wanted) for wanted in types):
                    texts.append(_content(run, index))
            return match(run, texts)

        return content_holds

    def text_holds(run: Run) -> bool:
        parts = run.message.parts
        run.budget.spend(1 + (len(parts) >> 2))
        return match(
            run,
            [run.message.part_text(index) for index, part in enumerate(parts) if part.media_type.startswith("text/")],
        )

    return text_holds


def _is_of_type(part: PartFacts, wanted: str) -> bool:
    """Whether a content type is asked for: ``""`` all, ``type`` its subtypes too. Spec: RFC 5173 §5.2."""
    if wanted.startswith("/") or wanted.endswith("/") or wanted.count("/") > 1:
        return False
    return not wanted or part.media_type == wanted or ("/" not in wanted and part.media_type.startswith(f"{wanted}/"))


def _content(run: Run, index: int) -> str:
    """Give what ``:content`` looks at in a part. Spec: RFC 5173 §5.2.

    Of a multipart what stands outside its parts, of an enclosed message its header.
    """
    message = run.message
    part = message.parts[index]
    if part.is_message:
        nested = message.parts[index + 1]
        return message.piece_text(nested.header_start, nested.body_start)
    if part.media_type.startswith("multipart/"):
        inside = [each for each in message.parts[index + 1 :] if each.parent == index]
        run.budget.spend(len(message.parts) - index)
        if inside:
            before = message.piece_text(part.body_start, inside[0].header_start)
            return before + message.piece_text(inside[-1].body_end, part.body_end)
    return message.part_characters(index)


def _foreverypart(call: Call) -> Step:
    """Run a block for each MIME part: outside of other loops all of them, inside the parts of that part.

    Spec: RFC 5703 §3.1.
    """
    name = call.constant("name") if call.has("name") else ""
    call.checker.loops.append(name)
    block = call.block()
    call.checker.loops.pop()

    def loop(run: Run) -> None:
        outer = run.part
        try:
            for part in range(len(run.message.parts)) if outer < 0 else run.message.below(outer):
                run.budget.spend(2)
                run.part = part
                block(run)
        except Broken as broken:
            if broken.name and broken.name != name:
                raise
        finally:
            run.part = outer

    return loop


def _break(call: Call) -> Step:
    """Spec: RFC 5703 §3.2."""
    name = call.constant("name") if call.has("name") else ""
    loops = call.checker.loops
    if not loops:
        call.checker.tell(call.place, '"break" stands inside of "foreverypart" only')
    elif name and name not in loops:
        call.wrong("name", f'There is no "foreverypart" with the name "{name[:60]}" around this')

    def leave(_: Run) -> None:
        raise Broken(name)

    return leave


def _extracttext(call: Call) -> Step:
    """Put the text of the current part into a variable. Spec: RFC 5703 §7."""
    if not call.checker.loops:
        call.checker.tell(call.place, '"extracttext" stands inside of "foreverypart" only')
        return NOTHING
    call.needs(0, '"extracttext"', "variables")
    name = call.variable(0)
    first = call.number("first") if call.has("first") else None
    modify = modified(call)

    def extract(run: Run) -> None:
        part = run.message.parts[run.part]
        text = run.message.part_text(run.part) if part.media_type.startswith("text/") else ""
        text = text if first is None else text[:first]
        run.budget.spend(1 + (len(text) >> 8))
        run.set_variable(name, modify(run, text))

    return extract


COMMANDS: Final = (
    CommandForm(
        "foreverypart",
        tags=(TagForm("name", takes=Takes.TEXT),),
        needs=("foreverypart",),
        takes_block=True,
        build=_foreverypart,
    ),
    CommandForm("break", tags=(TagForm("name", takes=Takes.TEXT),), needs=("foreverypart",), build=_break),
    CommandForm(
        "extracttext",
        (Takes.TEXT,),
        (*MODIFIER_TAGS, TagForm("first", takes=Takes.NUMBER)),
        ("extracttext",),
        build=_extracttext,
    ),
)
TESTS: Final = (
    TestForm(
        "body",
        (Takes.TEXTS,),
        (
            *MATCH_TAGS,
            TagForm("raw", "transform"),
            TagForm("content", "transform", Takes.TEXTS),
            TagForm("text", "transform"),
        ),
        ("body",),
        build=_body,
    ),
)
EXTENSIONS: Final = ("body", "foreverypart", "mime", "extracttext")
