r"""What stands beside a stated answer, and makes another of it or takes it back: "2\boxed{6}", "not **6**", "… Actually, 5."

Patterns look at the 120 characters on either side; only what takes an answer back is sought in all the text behind it.
Every pattern takes time linear in the text.
"""

from __future__ import annotations

import re

# What takes an answer back: anywhere after it, directly behind it, at the head of a clause after it.
_REGRET = (
    r"\b(?:wait|oops|hold on|i made an? (?:mistake|error)|i was wrong|on (?:second thought|reflection)|scratch that|or rather|correction:|"
    r"(?:that|this|it)(?:['’]s| is| was) (?:wrong|incorrect|not (?:right|correct)|a mistake)|(?:is|was)n['’]t (?:right|correct)|"
    r"can(?:not|['’]t) be (?:right|correct|true)|it should be|(?:answer|result) (?:should|might|may|could) (?:\w{1,10} )?be|"
    r"let me (?:re|correct)|(?:take|took) (?:that|it) back)"
)
_REFUSAL = (
    r"^[ \t(]{0,3}(?:(?:is |was )?(?:wrong|incorrect)|(?:is|was) (?:not|too)|(?:is|was|does|did|can)(?:n['’]t| ?not))\b"
)
_TURN = (
    r"(?:^|[.!?:,;\n*])[ \t]{0,3}(?:(?:but|oh|ah|well|hm{1,3})[,.…]{0,3} )?"
    r"(?:actually|sorry|apologies|my (?:mistake|bad)|never ?mind|hm{1,3}|no(?=[,:;.!—–]| (?:wait|it|that)))\b"
)
_RETRACTED = re.compile(f"{_REGRET}|{_REFUSAL}|{_TURN}", re.IGNORECASE)
# What stands directly around a box and makes it part of something else: a factor, a sign, a relation, a word. Between the two
# may be what is only layout: spaces, maths delimiters, marks, and commands that set text or draw a conclusion.
_PLAIN_COMMAND = (
    r"\\(?:text\w{0,8}|math[a-z]{2,4}|mbox|[hf]?box|boxed|boldsymbol|bf|displaystyle|(?:normal)?large|L(?:arge|ARGE)|[hH]uge|left|right|[bB]igg?|"
    r"q?quad|[hv]space|hfill|newline|hline|underline|tag|label|item|begin|end|so|to|therefore|because|implies|iff|(?:[Ll]ong)?[rR]ightarrow|approx|equiv|in|[pb]?mod|"
    r"circ|degree|[lc]?dots|checkmark|qed|(?:black)?square|Box)(?![a-zA-Z])"
)
_SPACE, _BETWEEN = r"(?:[ \t~]|\\[,;!: ])", r"(?:\s|\\[,;!: ()\[\]]|[$*_~&])"
_SET_BEFORE = re.compile(
    r"(?:</?[A-Za-z]{1,12}[ /]{0,2}>|\\(?:text|math|mbox|begin|end|[hv]space|tag|label)\w{0,8}\*?\{[^{}]{0,80}\}|"
    r"\\(?:text|math|mbox|bold|f?box)\w{0,8}[ \t]{0,5}\{|\\(?:text)?color\{[^{}]{0,20}\}\{?)\s{0,9}$"
)
_JOINED_BEFORE = (
    rf"\d(?:[.,:]|{_SPACE}{{1,3}})?",  # 2\boxed{6}, 0.\boxed{6}
    r"(?<![A-Za-z\\])[A-Za-z]",  # x\boxed{6}
    rf"(?<!\\)(?:\)|\}}{_SPACE}{{0,3}})",  # (x+1)\boxed{6}, \frac{1}{2}\boxed{6}
    r"[\d)}]\s?\*\s?",  # 2 * \boxed{6}; but a list's "* \boxed{6}"
    r"(?<![A-Za-z-]{2})[-−]",  # -\boxed{6}; but "answer -- \boxed{6}"
    r"[\^_}]\s?\{\s{0,3}",  # 2^{\boxed{6}}, \frac{1}{\boxed{6}}
    r"(?<![A-Za-z])[A-Za-z\d^+−-](?:\\left)?\(",  # f(\boxed{6})
    *(
        rf"(?:{sign}){_SPACE}{{0,3}}(?:\n|\$|\*\*|\\\(|\\\[)?{_SPACE}{{0,3}}"
        for sign in (
            r"[<≤≥≠≮≯×·÷±√^/]|[<>]=|\s!=",  # x < \boxed{6}
            r"[^\s=>-][ \t]?>",  # x > \boxed{6}; but a quote's ">", and an arrow
            r"[\d)}][ \t]?[-+−]",  # 3 + \boxed{6}
            r"(?:=\s{0,3}|\\[(\[]\s{0,3}|\$[ \t]{0,3})[-+−]",  # = - \boxed{6}
            rf"(?!{_PLAIN_COMMAND})\\(?:not\s?=|[a-zA-Z]{{2,20}}(?:\[[^\]]{{0,9}}\])?[\s({{\]]{{0,5}})",  # x \neq \boxed{6}, \sqrt{\boxed{6}}
        )
    ),
)
_JOINED_AFTER = (
    r"\^(?!\s?\{?\s?\\(?:circ|degree))",  # \boxed{6}^2; but degrees
    r"_[A-Za-z\d{]",  # a subscript; but "_\boxed{6}_"
    rf"(?:\{{?[.,:]\}}?|{_SPACE}{{1,3}})?\d",  # \boxed{6}.5, \boxed{6},000
    r"!\s{0,3}(?:\\[)\]]|\$|=)",  # \boxed{6}!$; but "\boxed{6}!"
    r"\((?!s\))",  # \boxed{6}(x+1); but "\boxed{6}(s)"
    r"(?:\\right)?\)\s?\^|[,;]\s?[-−]?(?:\d[\d.]{0,9}|[a-z]|\\infty)\s?[)\]]",  # (\boxed{6})^2, (\boxed{6}, 7)
    rf"[?]|\.\.|{_SPACE}{{0,3}}\\[lc]?dots",  # \boxed{6}?, \boxed{6}...
    r"[A-Za-z](?![A-Za-z])",  # \boxed{6}x; but "\boxed{6}th"
    r"[⁰¹²³⁴-⁹⁺⁻ⁿ¼-¾⅐-⅞‰√万亿千百]",
    rf"{_SPACE}{{0,3}}(?:<(?!/|[a-z]{{1,9}}>)|[≤≥≠]|(?!{_PLAIN_COMMAND})\\[a-zA-Z])",  # \boxed{6}\pi, \boxed{6} < x
    rf"{_SPACE}{{0,3}}[-+−–*/×·÷>]{_SPACE}{{0,3}}(?:\d|\\[a-zA-Z]|[b-zB-HJ-Z](?![A-Za-z]))",  # \boxed{6} + x
    rf"(?:{_BETWEEN}|\\text\{{|-){{0,9}}(?i:hundred|thousand|grand|lakh|crore|[mbt]r?illi(?:on|ard)|(?:[mb]n|squared|cubed|doubled|tripled|halved)\b)",
)
_CHANGED_BEFORE = re.compile(f"(?:{'|'.join(_JOINED_BEFORE)})$")
_CHANGED_AFTER = re.compile("|".join(_JOINED_AFTER))
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|cannot|never|either|neither|nor|negative|minus|twice|half(?: of)?|than|(?:wrong|incorrect) (?:answer|result))|n['’]t)"
    r"(?:[ *]{1,3}(?:be|is|equals?|equal to|the|answer|just|simply)\b){0,4}[^\w.,;!?]{0,9}$",
    re.IGNORECASE,
)
_ANOTHER_AFTER = re.compile(  # \boxed{6} or 7
    rf"(?:{_BETWEEN}|\\text\{{){{0,9}}(?:or|and|to(?! \$?\d{{1,2}}\$? (?:decimal|significant|places))|plus|minus|times|over|divided by|mod)\s{{1,3}}(?:{_BETWEEN}|[(}}-]){{0,5}}(?:\d|\\d?frac|\\sqrt|[B-HJ-Z]\b)"
)


def denied(before: str) -> bool:
    """Whether the text that ends here denies what comes next."""
    return bool(_DENIED_BEFORE.search(before[-120:]))


def changed(text: str, start: int, end: int, words: bool) -> bool:
    r"""Whether what stands directly around a box denies it or makes another of it: "not \boxed{6}", "2\boxed{6}".

    The box is at `start`, its content ends at `end`; `words`: it holds no maths.
    """
    before, after = text[max(0, start - 120) : start], text[end : end + 120]
    after = re.sub(r"^\s{0,20}\}{1,5}", "", after)
    if denied(before) or _ANOTHER_AFTER.match(after):
        return True
    if words:
        return False  # what follows may be the option's text
    for _ in range(3):
        before = _SET_BEFORE.sub("", before)
    return bool(_CHANGED_BEFORE.search(before) or _CHANGED_AFTER.match(after))


def taken_back(text: str, end: int) -> bool:
    """Whether the text after an answer takes it back."""
    return bool(_RETRACTED.search(text[end:].lstrip("}$)\\ *.")))
