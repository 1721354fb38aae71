"""Languages of one's own: a class in a file, a list of strings."""

import math

import pytest
import torch

from anbn.catalogue import named
from anbn.languages import LanguageError
from anbn.own import ListLanguage

SEPARATED = """
from anbn.languages import Language

class Separated(Language):
    name, symbols = "ansbn", "ABS"

    def word(self, n):
        return "A" * n + "S" + "B" * n
"""


def test_a_list_of_strings():
    """. a b, . b a, . b b b (twice); then the next string's mark."""
    language = ListLanguage("words", ["ab", "", "ba", "bbb", " bbb "])
    assert (language.symbols, language.length) == (".ab", 4)
    stream = language.strings(torch.tensor([1, 3]))
    assert [stream.text(".ab", b) for b in (0, 1)] == [".ab.", ".bbb."]
    after_mark, after_b = stream.probability[0, 0], stream.probability[1, 1]
    assert after_mark.tolist() == pytest.approx([0, 1 / 4, 3 / 4])
    assert after_b.tolist() == pytest.approx([0, 1 / 3, 2 / 3])
    assert stream.deterministic[1].tolist() == [False, False, True, True]
    assert language.legal_next(".ab.bb") == ["ab", "b", ".", "ab", "ab"]
    surprise = 4 * (math.log(4) / 4 + 3 / 4 * math.log(4 / 3))
    surprise += 3 * (math.log(3) / 3 + 2 / 3 * math.log(3 / 2))
    assert language.entropy_rate == pytest.approx(surprise / (3 + 3 + 4 + 4))
    draws = language.draw((50,), torch.Generator().manual_seed(0), length=99)
    assert set(draws.unique().tolist()) == {1, 2, 3, 4}
    assert set(language.single_texts(9)) == {".ab.", ".ba.", ".bbb."}
    assert set(language.texts(8)) == set(language.texts(4))
    assert not language.numbered and language.axes == ()
    assert ListLanguage("dots", ["a.b"]).symbols == "#.ab"


@pytest.mark.parametrize(
    ("word", "why"),
    [
        (
            '"A" * n + "B" * (n if n < 5 else 1 // 0)',
            "ansbn, n = 5: ZeroDivisionError.* .line 8",
        ),
        ('None if n == 5 else "A" * n + "B" * n', "string None is empty or has other symbols"),
        ('"A" * n + "BZ"[n == 5] * n', "'AAAAAZZZZZ' is empty or has other symbols"),
        ('"AB"[n == 5] * n + "B" * n', "begin with the same symbol"),
    ],
)
def test_a_string_that_fails_later_is_told_then(word, why, tmp_path):
    path = tmp_path / "own.py"
    path.write_text(SEPARATED.replace('"A" * n + "S" + "B" * n', word))
    language = named(str(path))
    language.word(4)
    with pytest.raises(LanguageError, match=why):
        language.strings(torch.tensor([2, 5]))


def test_languages_from_files(tmp_path):
    (tmp_path / "own.py").write_text(SEPARATED)
    (tmp_path / "words.txt").write_text("ab\nba\n", encoding="utf-8-sig")  # with a mark in front
    language = named(str(tmp_path / "own.py"), length=5)
    assert (language.name, language.length, language.word(2)) == ("ansbn", 5, "AASBB")
    assert named(language.spelling).length == 8 and language.file_name == "ansbn"
    words = named(str(tmp_path / "words.txt"))
    assert (words.name, words.spelling) == ("words", str(tmp_path / "words.txt"))
    assert named(words.spelling, length=2).lines == ["ab", "ba"]


def test_a_language_may_be_a_dataclass(tmp_path):
    source = SEPARATED.replace("class", "@dataclass\nclass").replace(
        "name, sym", "length: int = 3\n    name, sym"
    )
    (tmp_path / "own.py").write_text(f"from dataclasses import dataclass\n{source}")
    assert named(str(tmp_path / "own.py")).strings(torch.tensor([2])).text("ABS", 0) == "AASBBA"


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("none.txt", None, "cannot be read: No such file"),
        ("none.py", None, "cannot be read: No such file"),
        ("empty.txt", "\n \n", "has no strings"),
        ("blanks.txt", "a b\n", "blanks"),
        ("marks.txt", "a.#|/\n", "leave one out"),
        ("latin.txt", b"\xe4\xf6", "UTF-8"),
        ("large.txt", "\n".join(["ab" * 5000] * 2000), "too large"),
        ("long.txt", "a" * 100_001, "too large"),
        ("three.txt", "a\nb\nab\n", "3 strings, not --length 7"),
        ("nothing.py", "x = 1\n", "defines 0 subclasses"),
        ("twice.py", SEPARATED + SEPARATED.replace("class Sep", "class Other"), "defines 2"),
        ("syntax.py", "class\n", "SyntaxError"),
        ("fails.py", "\n1 / 0\n", r"ZeroDivisionError: division by zero \(line 2\)"),
        ("symbols.py", SEPARATED.replace('"ABS"', '"AB"'), "has other symbols"),
        ("first.py", SEPARATED.replace('"A" * n', '"AB"[n % 2] * n'), "same symbol"),
        ("nameless.py", SEPARATED.replace("name, symbols", "nom, symbols"), "no name"),
        ("odd.py", SEPARATED.replace('"ansbn"', '"../x"'), "must be letters"),
        ("double.py", SEPARATED.replace('"ABS"', '"ABA"'), "different characters"),
        ("list.py", SEPARATED.replace('"A" * n + "S"', '["A"] * n + ["S"]'), "TypeError"),
        ("exits.py", "import sys\nsys.exit('bye')\n", r"SystemExit: bye \(line 2\)"),
        ("short.py", SEPARATED + "    def __init__(self):\n        pass\n", "length must be"),
        ("wordless.py", SEPARATED.replace("def word", "def text"), "no method word"),
        ("multiples.py", SEPARATED + "    multiples = (1, 1)\n", "one for each symbol"),
    ],
)
def test_files_that_are_no_language(file, content, why, tmp_path):
    path = tmp_path / file
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(LanguageError, match=why) as error:
        named(str(path), length=7 if file == "three.txt" else None)
    assert file in str(error.value) and "\n" not in str(error.value)
