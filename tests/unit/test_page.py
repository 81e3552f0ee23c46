"""The web page as it lies in the package: its languages say the same things, its parts fit together, nothing is inline.

No browser is needed for this. What the page does is tested in one.
"""

from __future__ import annotations

import gzip
import json
import re
from enum import Enum
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from coordinator import desk
from coordinator.audience import HEARTBEAT
from coordinator.roles import VipState
from coordinator.telling_time import TIME
from licensing.ledger import KeyState
from licensing.licence import Edition
from licensing.records import Action, ManagementType, Unit
from licensing.seen import Assurance, Reading, Visibility
from licensing.status import Alert, Validity

FOLDER = Path(__file__).parents[2] / "coordinator" / "page"
LANGUAGES = ("en", "zh")
LARGEST_FIRST_VISIT = 100_000
"""Bytes that a browser may load before the page is there in full."""
ANSWER_HEADERS = 700
"""Bytes of headers, roughly, that come with every file."""

INDEX = (FOLDER / "index.html").read_text(encoding="utf-8")
STYLE = (FOLDER / "style.css").read_text(encoding="utf-8")
MODULES = {
    path.name: path.read_text(encoding="utf-8")
    for path in sorted(FOLDER.glob("*.js"))
    if not path.name.startswith("strings.")
}
CODE = "\n".join(MODULES.values())

KEY = re.compile(r'"([a-z][A-Za-z]*\.[A-Za-z][\w. -]*)"')
"""A string in the code that names one of the page's sentences."""
GROUP = re.compile(r"`([a-z][A-Za-z]*)\.\$\{")
"""The beginning of such a name whose end is a word of the API."""
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w.]+)";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?:async )?(?:const|let|function|class) (\w+)", re.MULTILINE)


def strings(language: str) -> dict[str, str]:
    """Return the sentences of a language; their file is JSON but for its first and last line."""
    text = (FOLDER / f"strings.{language}.js").read_text(encoding="utf-8").partition("export default")[2]

    def without_duplicates(pairs: list[tuple[str, str]]) -> dict[str, str]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    found: dict[str, str] = json.loads(text.strip().removesuffix(";"), object_pairs_hook=without_duplicates)
    return found


ENGLISH = strings("en")


class Markup(HTMLParser):
    """Collects what index.html has: tags with their attributes, and the text inside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.inline = ""
        self.feed(INDEX)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        """Note what a browser would run or apply."""
        if self.tags and self.tags[-1][0] in {"script", "style"}:
            self.inline += data.strip()

    def all(self, attribute: str) -> list[str]:
        """Return the values of an attribute."""
        return [attributes[attribute] for _, attributes in self.tags if attribute in attributes]


MARKUP = Markup()


def seconds(module: str, name: str) -> float:
    """Return a span of time that a module gives in milliseconds."""
    found = re.search(rf"^const {name} = ([\d_]+);", MODULES[module], re.MULTILINE)
    assert found, name
    return int(found[1]) / 1000


def words(kind: type[Enum]) -> tuple[str, ...]:
    """Return how the members of an enumeration are written in answers."""
    return tuple(str(member.value) for member in kind)


WORDS = {
    "alert": words(Alert),
    "next": words(Alert),
    "keyState": words(KeyState),
    "reading": words(Reading),
    "visibility": words(Visibility),
    "validity": words(Validity),
    "edition": words(Edition),
    "item": tuple(edition.title for edition in Edition),
    "source": words(ManagementType),
    "unit": words(Unit),
    "action": words(Action),
    "assurance": get_args(Assurance),
}


# --- languages -----------------------------------------------------------------------------------------------------


def test_the_languages_have_the_same_sentences() -> None:
    """Whatever is said in English is said in Chinese as well, in the same order, so that the files can be compared."""
    assert list(strings("zh")) == list(ENGLISH)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sentences_of_a_language_have_the_same_places(language: str) -> None:
    """A sentence names the same figures in every language, and is never empty."""
    for key, sentence in strings(language).items():
        assert sentence.strip(), key
        assert sorted(re.findall(r"\{(\w+)\}", sentence)) == sorted(re.findall(r"\{(\w+)\}", ENGLISH[key])), key


def test_the_second_language_is_translated() -> None:
    """No sentence was left in English."""
    assert {key for key, sentence in strings("zh").items() if sentence == ENGLISH[key]} == set()


@pytest.mark.parametrize("name", MODULES)
def test_every_sentence_that_a_module_names_exists(name: str) -> None:
    """A module names no sentence that there is not, neither in full nor by the beginning of its key."""
    assert set(KEY.findall(MODULES[name])) - ENGLISH.keys() == set()
    assert all(any(key.startswith(f"{group}.") for key in ENGLISH) for group in GROUP.findall(MODULES[name]))


def test_every_sentence_that_the_markup_names_exists() -> None:
    """What index.html leaves to be filled in is there in every language."""
    named = {*MARKUP.all("data-t"), *MARKUP.all("data-t-label")}
    assert named
    assert named - ENGLISH.keys() == set()


def test_no_sentence_is_left_over() -> None:
    """Every sentence is named somewhere, in full or by a word of the API."""
    named = {*KEY.findall(CODE), *MARKUP.all("data-t"), *MARKUP.all("data-t-label")}
    by_word = WORDS.keys() | set(GROUP.findall(CODE)) | set(re.findall(r'\bword\("(\w+)"', CODE))
    assert {key for key in ENGLISH if key not in named and key.partition(".")[0] not in by_word} == set()


@pytest.mark.parametrize("group", WORDS)
def test_every_group_of_words_is_used(group: str) -> None:
    """A group of sentences for the words of the API is named somewhere."""
    assert f'"{group}"' in CODE or group in GROUP.findall(CODE)


@pytest.mark.parametrize("group", WORDS)
def test_every_word_of_the_api_has_a_sentence(group: str) -> None:
    """Whatever an answer can say of itself in one word is said in the language of the page."""
    assert {f"{group}.{word}" for word in WORDS[group]} - ENGLISH.keys() == set()


def test_a_virtual_ip_that_is_not_held_is_explained() -> None:
    """Every state of the virtual IP but the good one has a sentence."""
    assert {f"vip.{state}" for state in get_args(VipState) if state != "held"} <= ENGLISH.keys()


# --- safety --------------------------------------------------------------------------------------------------------


def test_the_markup_has_no_inline_script_or_style() -> None:
    """A strict policy lets nothing inline through, so there is none."""
    assert MARKUP.inline == ""
    attributes = {name for _, found in MARKUP.tags for name in found}
    assert {name for name in attributes if name.startswith("on") or name == "style"} == set()


@pytest.mark.parametrize("name", MODULES)
def test_a_module_makes_no_markup_and_runs_no_text(name: str) -> None:
    """What the site says is never taken for markup or for code."""
    dangerous = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function"
    assert re.findall(dangerous, MODULES[name]) == []


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path: Path) -> None:
    """No file names another host; the name of the SVG language is not one."""
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"https?://|[\"'(]//|@import", text) == []


def test_the_token_is_kept_nowhere() -> None:
    """Only the choice of language and appearance is remembered in the browser."""
    assert "sessionStorage" not in CODE
    assert "document.cookie" not in CODE
    assert set(re.findall(r"localStorage\.setItem\((\w+)", CODE)) == {"name"}
    assert set(re.findall(r'remember\("(\w+)"', CODE)) == {"language", "appearance"}


# --- parts that fit together ---------------------------------------------------------------------------------------


def test_every_file_that_the_markup_names_is_there() -> None:
    """The page loads nothing that is missing."""
    named = [*MARKUP.all("src"), *(link for link in MARKUP.all("href") if not link.startswith("#"))]
    assert {link for link in named if not (FOLDER / link.removeprefix("/page/")).is_file()} == set()


def test_every_link_within_the_page_leads_somewhere() -> None:
    """The links at the top lead to sections, and ids are given once."""
    ids = MARKUP.all("id")
    assert {link for link in MARKUP.all("href") if link.startswith("#")} <= {f"#{name}" for name in ids}
    assert len(set(ids)) == len(ids)


def test_every_module_is_fetched_at_once() -> None:
    """A browser learns of all modules from the markup, and need not read one to hear of the next."""
    loaded = {link.removeprefix("/page/") for link in (*MARKUP.all("href"), *MARKUP.all("src")) if link.endswith(".js")}
    assert loaded == MODULES.keys()


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_what_the_others_export(name: str) -> None:
    """Every import names a module of the page and something that it exports, and is used."""
    imports = IMPORT.findall(MODULES[name])
    assert len(imports) == len(re.findall(r"^import ", MODULES[name], re.MULTILINE))
    rest = IMPORT.sub("", MODULES[name])
    for names, module in imports:
        imported = {one.strip() for one in names.split(",")}
        assert imported - set(EXPORT.findall(MODULES[module])) == set(), module
        assert {one for one in imported if not re.search(rf"\b{one}\b", rest)} == set(), module


def test_nothing_is_exported_in_vain() -> None:
    """What a module exports is imported by another one."""
    exported = {name for text in MODULES.values() for name in EXPORT.findall(text)}
    imported = {
        one.strip() for text in MODULES.values() for names, _ in IMPORT.findall(text) for one in names.split(",")
    }
    assert exported - imported == set()


def test_every_element_that_a_module_looks_for_is_made() -> None:
    """An element that is looked up by its id is in the markup, or made by a module."""
    made = {*MARKUP.all("id"), *re.findall(r'\bid: "([\w-]+)"', CODE), *re.findall(r'\bbutton\("([\w-]+)"', CODE)}
    assert set(re.findall(r'\bbyId\("([\w-]+)"\)', CODE)) - made == set()


def test_every_file_says_what_it_is_for() -> None:
    """A module begins with a comment."""
    assert {name for name, text in MODULES.items() if not text.startswith("// ")} == set()
    assert STYLE.startswith("/* ")


# --- the node and the page -----------------------------------------------------------------------------------------


def test_a_node_is_called_silent_after_two_heartbeats() -> None:
    """One heartbeat that comes late is no reason to call a node lost, and a third is not waited for."""
    assert 2 * HEARTBEAT < seconds("live.js", "SILENCE") < 3 * HEARTBEAT


def test_a_call_waits_longer_than_the_node_waits_for_a_leader() -> None:
    """A page that gave up before would not hear what the node says of an order that nobody took."""
    assert seconds("api.js", "PATIENCE") >= 2 * desk.PATIENCE


def test_the_page_goes_by_the_time_that_the_node_tells() -> None:
    """The header with effective time has one name on both sides."""
    assert f'headers.get("{TIME}")' in MODULES["api.js"]


def test_an_order_was_refused_only_where_the_node_said_so() -> None:
    """Neither a server's error nor an order that nobody knows of any more counts as an order that changed nothing."""
    found = re.search(r"^const REFUSALS = \[([^]]+)\];", MODULES["orders.js"], re.MULTILINE)
    assert found
    codes = {int(code) for code in found[1].replace("TOO_MANY", "429").split(",")}
    assert {400, 409, 413, 422} <= codes <= set(range(400, 500)) - {404}


# --- size ----------------------------------------------------------------------------------------------------------


def test_a_first_visit_is_small() -> None:
    """All that a browser loads in one language, as it is sent, is less than 100 kB with the headers."""
    sent = [path.read_bytes() for path in FOLDER.iterdir() if path.name != "strings.zh.js"]
    assert sum(len(gzip.compress(data)) + ANSWER_HEADERS for data in sent) < LARGEST_FIRST_VISIT
