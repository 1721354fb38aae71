"""The languages by name, as --lang and file names spell them."""

from anbn.counting import CountingLanguage
from anbn.languages import LanguageError
from anbn.reber import ReberLanguage


def named(name, embed=False, length=None):
    """The Language called `name`: reber, or anbn, anb2n, anbncn, anb2nc3n and others so spelled.

    embed: the embedded Reber grammar. length: the largest n in training, default 8 where no letter
    is repeated more than n times, else 4; of reber the least number of symbols, default 4. Raises
    LanguageError for any other name.
    """
    if name == "reber":
        return ReberLanguage(bool(embed), length or 4)
    if embed:
        raise LanguageError(f"only reber can be embedded, not {name}")
    return CountingLanguage.named(name, length)
