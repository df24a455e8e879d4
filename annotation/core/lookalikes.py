"""Names that people take for another one: the same letters by another alphabet, or with something unseen between."""

import unicodedata

# What is drawn as a small Latin letter (Unicode TR39, as far as names have it): the Latin one, then those like it.
ALIKE = {
    "a": "аαɑ", "b": "ƅ", "c": "сϲ", "d": "ԁ", "e": "еҽ", "g": "ɡցԍ", "h": "һհ", "i": "іιıɩ", "j": "јϳյ", "k": "κк",
    "l": "ӏ", "m": "м", "n": "ոռ", "o": "оοօσ", "p": "рρ", "q": "ԛզ", "r": "гɼ", "s": "ѕ", "t": "тτ", "u": "υսц",
    "v": "νѵ", "w": "ԝѡω", "x": "хχ", "y": "уγү", "z": "ʐᴢ",
}  # fmt: skip
LATIN = {ord(each): letter for letter, alike in ALIKE.items() for each in alike}
FAMILIES = {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"}  # that have letters alike


def skeleton(name: str) -> str:
    """Two names with one skeleton look alike."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    seen = (each for each in plain if unicodedata.category(each)[0] in "LNPS")
    return "".join(seen).translate(LATIN)


def what_is_odd(name: str) -> str:
    """What about a name misleads whoever reads it; empty if nothing."""
    if name != unicodedata.normalize("NFKC", name):
        return "it has letters that are only another form of plain ones"
    if any(unicodedata.category(each)[0] in "CZ" for each in name):
        return "it has blanks, or signs that nobody sees"
    families = {unicodedata.name(each, "").split(" ")[0] for each in name if each.isalpha()} & FAMILIES
    if len(families) > 1:
        return f"it mixes the alphabets {' and '.join(sorted(each.capitalize() for each in families))}"
    return ""
