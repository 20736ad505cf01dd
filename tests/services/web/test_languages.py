"""Every sentence of the pages is there in every language, right in form, and no page asks for one that is not collected."""

import ast
import gettext
import re
from html.parser import HTMLParser
from itertools import count

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from jinja2 import Undefined, nodes
from jinja2.runtime import Macro
from markupsafe import Markup
from tools.catalogues import WEB, collected

from mailstead.services.web.site.frame import Frame
from mailstead.services.web.site.languages import DOMAIN, LANGUAGES, NAMES, SOURCE, translations

TRANSLATED = [each for each in LANGUAGES if each != SOURCE]
NUMBERS = (1, 2, 5, 1_000_000)
"""One of each plural form of all our languages."""
ASKING = {"gettext", "ngettext", "pgettext", "npgettext"}
OWN_NAMES = {"Chat", "Delta", "https://", "Mailstead", "Message-ID", "OpenPGP", "UTC"}
"""The same in every language."""
COMMANDS = re.compile(r"(mailstead|docker|systemctl|sudo|self-hosting/\S+|pipx|tail) |-----BEGIN PGP ")
"""How what is to be copied into a terminal begins, and what a key begins with."""
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
BRACES = re.compile(r"\{(\w+)\}")
"""Places of values in sentences that are built below the pages."""
ENDS = ".…:?!。"
MANY_SENTENCES = 100
"""So many there are at least: a collection that finds fewer has lost its way."""


# the catalogues


def catalogue(language) -> Catalog:
    with (WEB / "languages" / language / f"{DOMAIN}.po").open("rb") as octets:
        return read_po(octets, locale=language, domain=DOMAIN)


def sentences(source) -> dict:
    """All messages but the head, by (context, singular)."""
    return {(each.context, forms_of(each.id)[0]): each for each in source if each.id}


def forms_of(text) -> tuple:
    return tuple(text) if isinstance(text, (tuple, list)) else (text,)


def problems(language, wanted, translated) -> list[str]:
    """What is not translated, not wanted any more, or wrong in form; each names language and sentence."""
    found = []
    wanted_by, translated_by = sentences(wanted), sentences(translated)
    for key, message in wanted_by.items():
        name = f"{language}: {key[1]!r}"
        if key not in translated_by:
            found.append(f"{name} is missing; `make docs` adds it")
            continue
        there = translated_by[key]
        forms, sources = forms_of(there.string), forms_of(message.id)
        expected = translated.num_plurals if len(sources) > 1 else 1
        if forms_of(there.id) != sources:
            found.append(f"{name} has another plural than the template says")
        elif not all(forms):
            found.append(f"{name} is not translated")
        elif there.fuzzy:
            found.append(f"{name} is fuzzy")
        elif len(forms) != expected:
            found.append(f"{name} has {len(forms)} forms, not {expected}")
        else:
            found += [f"{name}: {form!r} {what}" for form in forms for what in unlike(sources[-1], form, language)]
    found += [f"{language}: {key[1]!r} is not asked for any more" for key in translated_by if key not in wanted_by]
    return found


def unlike(source, form, language) -> list[str]:
    """In what form a translation is not as its sentence is."""
    found = []
    if any(sorted(places.findall(source)) != sorted(places.findall(form)) for places in (PLACEHOLDER, BRACES)):
        found.append("has other placeholders")
    elif not formats(form):
        found.append("cannot be formatted: a per cent sign is written %%")
    if form != form.strip() or "\n" in form or "  " in form:
        found.append("has blanks too many")
    if set("<>&") & set(form):  # a translation goes into the page as it is
        found.append("has HTML")
    if end(source) != end(form):
        found.append(f"ends with {end(form)!r}, not with {end(source)!r}")
    if first_case(source) != first_case(form) and None not in {first_case(source), first_case(form)}:
        found.append("begins with the other case")
    if len(re.sub(r"%\(\w+\)s", "", source).split()) > 2 and form == source:
        found.append("is English still")
    spoken = form.replace("Let's", "").replace("ip4:", "").replace("include:", "")  # names that are written so
    if language == "fr" and (re.search(r"[^\u00a0\u202f][:;?!](?![\w/])", spoken) or "'" in spoken):
        found.append("has no unbroken space before :;?!, or a typewriter's apostrophe")
    if language == "es" and form.count("?") != form.count("¿"):
        found.append("has a question mark at one side only")
    return found


def formats(form) -> bool:
    """Whether the page can put its values in, as Jinja does with every text."""
    if BRACES.search(form):
        return True  # checked by name, and put in by `told`
    try:
        Markup(form) % dict.fromkeys(PLACEHOLDER.findall(form), "x")
    except (ValueError, TypeError, KeyError):
        return False
    return True


def end(text) -> str:
    return text[-1] if text[-1] in ENDS else ""


def first_case(text) -> bool | None:
    """Whether it begins with a capital; None: with none of either case, with a value, or with a name that stays small."""
    first = "" if text.startswith("chatmail") and len(text.split()) > 1 else text[0]
    return first.isupper() if first.isupper() or first.islower() else None


def test_there_are_names_and_catalogues_of_the_same_languages():
    assert set(NAMES) == set(LANGUAGES)
    assert sorted(each.name for each in (WEB / "languages").iterdir()) == sorted(TRANSLATED)
    assert len(sentences(collected())) > MANY_SENTENCES


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_sentence_is_translated_and_in_form(language):
    found = problems(language, collected(), catalogue(language))
    assert not found, "\n" + "\n".join(found)


def test_errors_have_the_form_of_a_sentence_without_its_full_stop():
    for (_, text), message in sentences(errors()).items():
        assert first_case(text) is not False, text
        assert end(text) == "", text
        for language in TRANSLATED:
            for form in forms_of(catalogue(language)[message.id].string):
                assert form, f"{language}: {text!r} is not translated"
                assert first_case(form) is not False, f"{language}: {form!r} begins small"
                assert end(form) == "", f"{language}: {form!r} has its own end"


def errors() -> Catalog:
    from mailstead.model.errors import MailsteadError

    found = Catalog()
    below = list(MailsteadError.__subclasses__())
    while below:
        error = below.pop()
        below += error.__subclasses__()
        if error.__module__ == MailsteadError.__module__:
            found.add(error.default_text)
    return found


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_compiled_catalogue_says_the_same(language):
    text, compiled = catalogue(language), translations(language)
    for (context, singular), message in sentences(text).items():
        forms, sources = forms_of(message.string), forms_of(message.id)
        if len(sources) == 1:
            said = compiled.pgettext(context, singular) if context else compiled.gettext(singular)
            assert said == forms[0], f"{language}: {singular!r}; `make docs` compiles"
            continue
        for n in range(120):
            said = compiled.npgettext(context, *sources, n) if context else compiled.ngettext(*sources, n)
            assert said in forms, f"{language}: {singular!r}; `make docs` compiles"
        assert {compiled.ngettext(*sources, n) for n in NUMBERS} == set(forms)
    known = {key[0] if isinstance(key, tuple) else key for key in compiled._catalog} - {""}
    assert known == {f"{c}\x04{each}" if c else each for c, each in sentences(text)}


def test_what_is_wrong_is_named_with_language_and_sentence():
    wanted = Catalog()
    for each in ("Only in the template", "Empty still", "Not sure", "With %(name)s", "An error", "Find", "100 of it"):
        wanted.add(each)
    wanted.add(("%(count)s letter", "%(count)s letters"))
    there = Catalog(locale="ru")
    there.add("Empty still", "")
    there.add("Not sure", "Не уверен", flags=["fuzzy"])
    there.add("With %(name)s", "С %(nom)s")
    there.add("An error", "Ошибка.")
    there.add("Find", "найти")
    there.add("100 of it", "100 %")
    there.add(("%(count)s letter", "%(count)s letters"), ("%(count)s письмо", "", ""))
    there.add("Gone", "Прошло")
    assert problems("ru", wanted, there) == [
        "ru: 'Only in the template' is missing; `make docs` adds it",
        "ru: 'Empty still' is not translated",
        "ru: 'Not sure' is fuzzy",
        "ru: 'With %(name)s': 'С %(nom)s' has other placeholders",
        "ru: 'An error': 'Ошибка.' ends with '.', not with ''",
        "ru: 'Find': 'найти' begins with the other case",
        "ru: '100 of it': '100 %' cannot be formatted: a per cent sign is written %%",
        "ru: '%(count)s letter' is not translated",
        "ru: 'Gone' is not asked for any more",
    ]


# the templates, every branch of them, with a value for whatever they ask for


class Anything(Undefined):
    """A value that has whatever is asked of it."""

    __slots__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def _same(self, *args, **kwargs):
        return self

    __call__ = __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __mod__ = _same
    __truediv__ = __floordiv__ = __neg__ = _same

    def __str__(self):
        return "·"

    def __iter__(self):
        yield self

    def __len__(self):
        return 1

    def __bool__(self):
        return True

    def __hash__(self):
        return 0

    __int__ = __index__ = __hash__

    def __eq__(self, other):
        return True

    def __lt__(self, other):
        return True

    __le__ = __gt__ = __ge__ = __contains__ = __lt__


class Filters(dict):
    """Text goes through as it is; of anything else comes anything."""

    def __contains__(self, name):
        return True

    def get(self, name, otherwise=None):
        return self[name]

    def __getitem__(self, name):
        return lambda value=None, *args, **kwargs: value if isinstance(value, str) else Anything()


def all_ways(template: nodes.Template) -> nodes.Template:
    """Make a template that goes all ways: both of each condition, once through each loop."""

    def bodies(node):
        for field, value in node.iter_fields():
            if isinstance(value, nodes.Node):
                setattr(node, field, changed(value)[0])
            elif isinstance(value, list):
                setattr(
                    node,
                    field,
                    [new for old in value for new in (changed(old) if isinstance(old, nodes.Node) else [old])],
                )

    def changed(node) -> list[nodes.Node]:
        if isinstance(node, nodes.Extends):  # one way: a template has one parent, and here the whole page
            node.template = node.template.expr2 if isinstance(node.template, nodes.CondExpr) else node.template
            return [node]
        bodies(node)
        if isinstance(node, nodes.If):
            return [*node.body, *node.elif_, *node.else_]
        if isinstance(node, nodes.CondExpr):
            return [nodes.Concat([node.expr1, *([node.expr2] if node.expr2 else [])])]
        if isinstance(node, nodes.For):
            node.iter, node.test = nodes.List([several(node.target, node.iter)]), None
            after, node.else_ = node.else_, []
            return [node, *after]
        if isinstance(node, nodes.Assign):
            node.node = several(node.target, node.node)
        return [node]

    def several(target, value):
        """As many values as there are names."""
        return (
            nodes.Tuple([several(each, value) for each in target.items], "load")
            if isinstance(target, nodes.Tuple)
            else value
        )

    bodies(template)
    template.set_environment(template.environment)
    return template


def rendered(say, say_plural) -> dict[str, str]:
    """Render all templates all ways, with `say(text)` and `say_plural(singular, plural)` for words."""
    environment = Frame()._environment(SOURCE)
    usual = environment._parse
    environment._parse = lambda source, name, filename: all_ways(usual(source, name, filename))
    environment.undefined = Anything
    environment.filters = Filters()
    environment.globals["range"] = Anything()
    environment.install_gettext_callables(
        lambda text: say(text) if isinstance(text, str) else "·",
        lambda singular, plural, n: say_plural(singular, plural),
        newstyle=environment.newstyle_gettext,
        pgettext=lambda context, text: say(text, context),
        npgettext=lambda context, singular, plural, n: say_plural(singular, plural, context),
    )
    pages = {}
    for name in environment.list_templates():
        template = environment.get_template(name)
        text = template.render()
        for part in vars(template.make_module()).values():
            if isinstance(part, Macro):
                text += str(part(*[Anything()] * len(part.arguments)))
        pages[name] = text
    return pages


class Words(HTMLParser):
    """Text that people read or hear of a page, but code."""

    def __init__(self):
        super().__init__()
        self.found, self._inside = [], []

    def handle_starttag(self, tag, attrs):
        if tag in {"code", "script", "style", "pre"}:
            self._inside.append(tag)
        for name, value in attrs:
            spoken = name in {"alt", "title", "placeholder", "aria-label", "aria-description", "label", "summary"}
            of_script = name.startswith("data-") and " " in (value or "")
            of_button = name == "value" and tag == "input" and dict(attrs).get("type") in {"submit", "button", "reset"}
            if value and (spoken or of_script or of_button):
                self.found.append(value)

    def handle_endtag(self, tag):
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data):
        if not self._inside and data.strip():
            self.found.append(" ".join(data.split()))


def words_of(page) -> list[str]:
    parser = Words()
    parser.feed(page)
    parser.close()
    return parser.found


def test_every_template_is_rendered_and_each_of_its_words_is_collected():
    asked = set()

    def say(text, context=None):
        asked.add((context, text))
        return text

    def say_plural(singular, plural, context=None):
        asked.add((context, (singular, plural)))
        return plural

    pages = rendered(say, say_plural)
    assert sorted(pages) == sorted(
        each.relative_to(WEB / "templates").as_posix() for each in (WEB / "templates").rglob("*") if each.is_file()
    )
    known = {(each.context, each.id if isinstance(each.id, str) else tuple(each.id)) for each in collected()}
    lost = [text for context, text in asked if (context, text) not in known]
    assert not lost, f"asked for by templates, but not in the collection of tools/catalogues.py: {lost}"


def test_each_word_that_modules_of_pages_ask_for_is_collected():
    """The collection knows functions by their names; under another one (`words = ….gettext`) it would find nothing."""
    known = {(each.context, text) for each in collected() for text in forms_of(each.id) if text}
    for file in (WEB / "site").rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        asking = {"_", *ASKING}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute) and node.value.attr in ASKING:
                asking |= {each.id for each in node.targets if isinstance(each, ast.Name)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            if name in asking and texts:
                context = texts.pop(0) if name in {"pgettext", "npgettext"} else None
                lost = [text for text in texts if (context, text) not in known]
                assert not lost, f"{file.name}:{node.lineno}: not collected, call `_` or `gettext` by its name: {lost}"


def test_no_words_stand_in_templates_outside_of_the_catalogue():
    """What is said is taken away; no letters may be left but names, and examples of hosts, addresses and verbs."""
    pages = rendered(lambda text, context=None: "·", lambda singular, plural, context=None: "·")
    for name, page in pages.items():
        for text in words_of(page):
            if (" " not in text and re.search(r"\w[.@/]", text)) or COMMANDS.match(text):
                continue
            left = [word for word in text.split() if word not in OWN_NAMES and not re.search(r"\w[.@+]\w", word)]
            assert not re.search(r"[^\W\d_]{2}", " ".join(left)), f"{name}: {text!r} is in English for everybody"


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_page_in_a_language_holds_no_english_sentence(language):
    english = {}
    for message in sentences(catalogue(language)).values():
        for source in forms_of(message.id):
            if source not in forms_of(message.string) and re.search(r"[^\W\d_]", filled(source)):
                english[filled(source)] = source
    long = [text for text in english if len(text.split()) > 2]
    numbers = count()
    said = translations(language)

    def say(text, context=None):
        return said.pgettext(context, text) if context else said.gettext(text)

    def say_plural(singular, plural, context=None):
        n = NUMBERS[next(numbers) % len(NUMBERS)]
        return said.npgettext(context, singular, plural, n) if context else said.ngettext(singular, plural, n)

    same = {filled(form) for each in catalogue(language) if each.id for form in forms_of(each.string)}
    for name, page in rendered(say, say_plural).items():
        for text in words_of(page):
            there = [text] if text in english and text not in same else [each for each in long if each in text]
            assert not there, f"{language}, {name}: {text!r} is English; {english[there[0]]!r} is not translated"


def filled(text) -> str:
    return BRACES.sub("·", PLACEHOLDER.sub("·", text)).replace("%%", "%")


def test_unknown_languages_and_english_give_the_words_as_they_are():
    for language in (SOURCE, "tlh", "../ko", ""):
        assert type(translations(language)) is gettext.NullTranslations
        assert translations(language).gettext("Log in") == "Log in"
    assert isinstance(translations("ko"), gettext.GNUTranslations)
