"""Languages of one's own, from a file: a class in Python, or a list of strings.

    seq_train.py --lang separated.py     the Language that the file defines (anbn/languages.py)
    seq_train.py --lang words.txt        the strings of the file, one per line

Of a list nothing is known but the list: each line is a string of the language, as probable as it is
frequent, and no other string belongs to it. What may follow a beginning, and how probably, is what
follows it in the list. A mark stands in front of every string, so that its end can be predicted:

    words.txt  ab     . a b, then .      after . the next symbol is a or b, with 1/2 each (b a)
               ba     . b a, then .
"""

import hashlib
import traceback
from pathlib import Path

from anbn.languages import Language, LanguageError

MARKS = ".#|/"  # the first of them that no string has stands in front of each
MAX_LENGTH = 100_000  # symbols of a string
MAX_TABLE = 50_000_000  # strings x symbols of the longest x symbols of the alphabet
MAX_TEXTS = 500  # strings that a machine is made from


class ListLanguage(Language):
    """The strings of a list, each as probable as it is frequent there.

    name: of the language. strings: texts, a symbol for each character. Raises LanguageError for an
    empty list, a blank inside a string, or a list too large to hold.
    """

    numbered = False
    length_means = "lines"

    def __init__(self, name, strings):
        lines = [line for line in (line.strip() for line in strings) if line]
        if not lines:
            raise LanguageError(f"{name} has no strings: write one per line")
        for line in lines:
            if any(character.isspace() for character in line):
                raise LanguageError(f"{name}: a symbol is one character, but {line!r} has blanks")
        alphabet = sorted(set("".join(lines)))
        mark = next((mark for mark in MARKS if mark not in alphabet), None)
        if mark is None:
            raise LanguageError(f"{name}: all of {' '.join(MARKS)} are symbols; leave one out")
        self.name, self.symbols, self.mark = name, mark + "".join(alphabet), mark
        longest = max(map(len, lines))
        if longest > MAX_LENGTH or len(lines) * (2 + longest) * len(self.symbols) > MAX_TABLE:
            raise LanguageError(f"{name} is too large: use fewer, shorter strings")
        super().__init__(len(lines))
        self.lines = lines
        self._follows = [{}]  # for each beginning, the empty one first, what follows: the next ones
        for line in lines:
            beginning = 0
            for symbol in line + mark:
                if symbol not in self._follows[beginning]:
                    self._follows[beginning][symbol] = len(self._follows)
                    self._follows.append({})
                beginning = self._follows[beginning][symbol]

    def word(self, n):
        return self.mark + self.lines[n - 1]

    def draw(self, shape, generator, length=None):
        return super().draw(shape, generator, min(length or self.length, self.length))

    def _tables(self, largest):
        return self._tables_to(self.length)

    def numbers_to(self, longest):
        return super().numbers_to(min(longest, self.length, MAX_TEXTS))

    @property
    def max_symbols(self):
        return 1 + max(map(len, self.lines))

    def label(self, n):
        return f"string {n}, {self.lines[n - 1]}"

    def single_texts(self, n_states):
        words = dict.fromkeys(self.word(n) + self.mark for n in self.numbers_to(MAX_TEXTS))
        return sorted(words, key=len)

    def legal_next(self, text):
        legal, beginning = [], 0
        for symbol in text[:-1]:
            beginning = 0 if symbol == self.mark else self._follows[beginning][symbol]
            legal.append("".join(sorted(self._follows[beginning])))
        return legal


def read(path, length=None):
    """The Language of a file: .py, or anything else as a list of strings.

    length: for a class, its argument; of a list, the number of its strings, if it is given. Raises
    LanguageError, which names the file, for whatever is wrong with it.
    """
    path = Path(path).expanduser().resolve()
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
        if path.suffix == ".py":
            language = _defined(path, text, length)
        else:
            language = ListLanguage(path.stem, text.splitlines())
            if length not in (None, language.length):
                raise LanguageError(f"it has {language.length} strings, not --length {length}")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise LanguageError(f"{path} cannot be read: {why}") from None
    except LanguageError as error:
        raise LanguageError(f"{path}: {error}") from None
    language.file = str(path)
    language.sha256 = hashlib.sha256(content).hexdigest()
    return language


def _defined(path, source, length):
    """The Language that a Python file defines."""
    names = {"__name__": f"language_{path.stem}"}
    try:
        exec(compile(source, path, "exec"), names)
        kinds = (v for v in names.values() if isinstance(v, type) and issubclass(v, Language))
        found = [kind for kind in kinds if kind.__module__ == names["__name__"]]  # not imported
        if len(found) != 1:
            raise LanguageError(f"it defines {len(found)} subclasses of Language; one is needed")
        language = found[0]() if length is None else found[0](length)
        _check(language)
    except LanguageError:
        raise
    except (Exception, SystemExit) as error:  # whatever another's code does
        raise LanguageError(_told(error, path)) from None
    if language.numbered:
        language.word = _checked(language, path)
        for n in language.numbers_to(2):
            language.word(n)
    return language


def _told(error, path):
    """An error of the file's code in words, with the line where it was."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"{type(error).__name__}: {error}" + (f" (line {lines[-1]})" if lines else "")


def _checked(language, path):
    """Its `word`, which raises LanguageError for every n whose string is none of a language."""
    word = language.word

    def checked(n):
        try:
            text, first = word(n), word(1)[0]
        except LanguageError:
            raise
        except Exception as error:
            raise LanguageError(f"{language.name}, n = {n}: {_told(error, path)}") from None
        if not isinstance(text, str) or not text or set(text) - set(language.symbols):
            shown = repr(text)[:60]
            raise LanguageError(
                f"{language.name}: the string {shown} is empty or has other symbols"
            )
        if text[0] != first:
            raise LanguageError(f"all strings of {language.name} must begin with the same symbol")
        return text

    return checked


def _check(language):
    """Raise LanguageError for what every language must have and this one lacks."""
    for name in ("name", "symbols"):
        if not isinstance(getattr(language, name, None), str):
            raise LanguageError(f"its class has no {name}, a text")
    if len(set(language.symbols)) != len(language.symbols) or len(language.symbols) < 2:
        raise LanguageError("its symbols must be two or more different characters")
    if not language.name.replace("_", "").replace("-", "").isalnum():
        raise LanguageError(f"its name {language.name!r} must be letters, digits, _ or -")
    if type(getattr(language, "length", None)) is not int or language.length < 1:
        raise LanguageError("its length must be at least 1: call super().__init__(length)")
    if language.multiples and len(language.multiples) != language.n_symbols:
        raise LanguageError("its multiples must be one for each symbol, or none")
