"""The languages by name, as --lang and file names spell them."""

from pathlib import Path

from anbn.counting import CountingLanguage
from anbn.dyck import DyckLanguage
from anbn.languages import LanguageError
from anbn.own import read
from anbn.reber import ReberLanguage


def is_file(name):
    """Whether a name is that of a file: it has a suffix or a folder in it."""
    return Path(name).suffix != "" or Path(name).name != name


def named(name, embed=False, length=None):
    """The Language called `name`: reber; dyck1, dyck2; anbn, anb2nc3n, anbmcmdn and others so
    spelled; or that of a file (a name with a dot or a folder in it).

    embed: the embedded Reber grammar. length: the largest n in training, default 8 where no letter
    is repeated more than n times, else 4; of reber the least number of symbols, default 4; of the
    Dyck languages the symbols read, default 50. Raises LanguageError for any other name.
    """
    if name == "reber":
        return ReberLanguage(bool(embed), length or 4)
    if embed:
        raise LanguageError(f"only reber can be embedded, not {name}")
    if name in ("dyck1", "dyck2"):
        return DyckLanguage(int(name[-1]), length or 50)
    if is_file(name):
        return read(name, length)
    return CountingLanguage.named(name, length)
